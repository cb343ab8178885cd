"""Several wearers in one process: sessions of their own, shared engines, and one who fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.app import choices, load_config
from edge.config import Config
from edge.errors import ConfigError, LinkError, OutOfMemory, UsageError
from edge.events import Event, Notice, SessionEnded, SessionStarted, TurnEnded
from edge.household import Household, open_engines
from edge.ports import Link, Station
from edge.runtime.engines import Ears, Engines
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from models.fakes import FakeVoice
from phone_bridge.sim import SimGlasses


class Book:
    """Writes down what a household does."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.events: list[tuple[str, Event]] = []
        self.gone: list[str] = []

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        self.sessions[wearer] = session

    def event(self, wearer: str, event: Event) -> None:
        self.events.append((wearer, event))

    def left(self, wearer: str) -> None:
        self.gone.append(wearer)

    def of(self, wearer: str, kind: type[Event]) -> list[Event]:
        return [event for who, event in self.events if who == wearer and isinstance(event, kind)]


class Gate:
    """A station whose wearers come when a test says so."""

    uri = "gate:"

    def __init__(self, *links: Link) -> None:
        self.links = links
        self.closing = asyncio.Event()

    @property
    def fingerprint(self) -> str:
        return ""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        self.closing.set()

    def invite(self, role: str, wearer: str) -> str:
        return f"gate:{role}/{wearer}"

    async def arrivals(self) -> AsyncIterator[Link]:
        for link in self.links:
            yield link
        await self.closing.wait()


class Shut(SimGlasses):
    """Glasses that cannot be opened."""

    async def open(self) -> None:
        raise LinkError("they are broken")


NO_ENGINES = {port: {"engine": "none"} for port in choices() if port != "profile"}
BARE = load_config(changes=NO_ENGINES)
"""No engine at all: nothing to load, and typed questions still find the skills that need none."""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - virtual time: looking often costs nothing
            await asyncio.sleep(0.01)


async def test_wearers_have_sessions_of_their_own_and_one_that_fails_costs_nobody(tmp_path: Path) -> None:
    gate = Gate(SimGlasses(uri="ada"), Shut(uri="broken"), SimGlasses(uri="bob"))
    assert isinstance(gate, Station)
    book = Book()
    async with Household(BARE, tmp_path, book) as household:
        attending = asyncio.create_task(household.attend(gate))
        await until(lambda: len(household.wearers) == 2)
        assert set(household.wearers) == {"ada", "bob"} == set(book.sessions)
        turn = await household.wearers["ada"].ask("what can you do")
        assert turn.skill == "help"
        assert book.of("ada", TurnEnded) and not book.of("bob", TurnEnded)
        household.wearers["bob"].end("bye")
        await until(lambda: book.gone == ["bob"])
        assert set(household.wearers) == {"ada"}
        await gate.close()
        await attending
    assert book.gone == ["bob", "ada"]
    assert len(book.of("ada", SessionEnded)) == 1


async def test_a_new_configuration_ends_the_sessions_and_holds_for_the_next(tmp_path: Path) -> None:
    book = Book()
    async with Household(BARE, tmp_path, book) as household, asyncio.TaskGroup() as group:
        group.create_task(household.serve(SimGlasses(uri="ada"), "ada"))
        await until(lambda: household.wearers)
        with pytest.raises(ConfigError):
            await household.configure({"voice": {"engine": "parrot"}})
        assert set(household.wearers) == {"ada"}, "what is in force stays"
        assert household.config == BARE
        await household.configure({**NO_ENGINES, "turns": {"max_speech": 5.0}})
        assert not household.wearers
        serving = group.create_task(household.serve(SimGlasses(uri="bob"), "bob"))
        await until(lambda: household.wearers)
        assert household.wearers["bob"].config.turns.max_speech == 5.0
        serving.cancel()
    (ended,) = book.of("ada", SessionEnded)
    assert isinstance(ended, SessionEnded) and ended.reason == "reconfigured"


async def test_a_recording_begins_and_ends_in_the_middle_of_a_session(tmp_path: Path) -> None:
    async with Household(BARE, tmp_path) as household, asyncio.TaskGroup() as group:
        glasses = SimGlasses(uri="Ada Lovelace")
        glasses.say(np.full(16000, 1000, np.int16), at=1.0)
        serving = group.create_task(household.serve(glasses, glasses.uri))
        await until(lambda: household.wearers)
        await glasses.until(1.5)
        name = await household.record("Ada Lovelace", True)
        assert name.endswith("-ada-lovelace")
        with pytest.raises(UsageError):
            await household.record("Ada Lovelace", True)
        await household.wearers["Ada Lovelace"].ask("what can you do")
        await glasses.until(3.0)
        assert await household.record("Ada Lovelace", False) == name
        with pytest.raises(UsageError):
            await household.record("nobody", True)
        serving.cancel()
    import soundfile

    from edge.bundle import read_bundle

    bundle = read_bundle(tmp_path / name)
    kinds = [event["event"] for event in bundle.events]
    assert "turn" in kinds and SessionStarted.event not in kinds
    assert all(0 <= event["t_ms"] < 1600 for event in bundle.events)
    sound, rate = soundfile.read(tmp_path / name / "microphone.flac", dtype="int16")
    assert rate == 16000 and abs(len(sound) - 1.5 * rate) <= 640
    assert abs(np.flatnonzero(sound)[-1] - 0.5 * rate) <= 640, "half a second of the sound was left"


async def test_an_engine_that_does_not_fit_is_replaced_by_a_smaller_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(FakeVoice):
        def open(self) -> None:
            raise OutOfMemory("8,000 MB asked for, 512 free")

    small, config = load_config(), load_config(None, None, {"voice": {"engine": "piper", "model": "large"}})

    def build(chosen: Config, only: object = None) -> Engines:
        voice = Large if chosen is config else FakeVoice
        return Engines(ears=Lane("ears", lambda: Ears(None, None)), voice=Lane("voice", voice))

    steps = [(small, "piper needs more memory than there is: espeak-ng speaks instead")]
    monkeypatch.setattr(app, "build_engines", build)
    monkeypatch.setattr(app, "degrade", lambda config, port: steps.pop() if steps and port == "voice" else None)
    told: list[str] = []
    used, engines = await open_engines(config, told=told.append)
    await engines.close()
    assert used is small and len(told) == 1
    with pytest.raises(OutOfMemory, match="512 free"):
        await open_engines(config, told=told.append)


async def test_a_link_that_writes_down_what_it_carries_is_said_like_a_recording(tmp_path: Path) -> None:
    book = Book()
    async with Household(BARE, tmp_path, book) as household, asyncio.TaskGroup() as group:
        for uri, captured in (("ada", True), ("bob", False)):
            glasses = SimGlasses(uri=uri)
            setattr(glasses, "captured", captured)  # noqa: B010 - as CapturedBleLink has it
            group.create_task(household.serve(glasses, uri))
        await until(lambda: len(household.wearers) == 2)
        for served in list(household.wearers.values()):
            await served.begun()
            served.end("done")
    assert [notice.code for notice in book.of("ada", Notice) if isinstance(notice, Notice)] == ["recording"]
    assert not book.of("bob", Notice)
