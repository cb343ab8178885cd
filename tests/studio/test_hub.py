"""The studio over a real session with scripted engines: what it tells, and what its commands do."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError, UsageError
from edge.events import FrameChosen, Notice, TextSeen
from edge.studio import House, Studio
from edge.studio.hub import METER_S
from edge.values import Box, Reading, TextLine, VideoFrame
from phone_bridge.desk import Desk
from tests.studio.desktop import FakeHouse, Impairment, bundle, desktop

Rows = AsyncGenerator[Mapping[str, Any], None]


def rows_of(studio: Studio, since: int = 0) -> Rows:
    return cast(Rows, studio.events(since))


async def until(rows: Rows, holds: Callable[[Mapping[str, Any]], bool], patience: float = 20.0) -> Mapping[str, Any]:
    async with asyncio.timeout(patience):
        async for row in rows:
            if holds(row):
                return row
    raise AssertionError("the rows ended")


def test_it_is_a_desk_and_the_house_is_a_house(tmp_path: Path) -> None:
    house: House = FakeHouse(tmp_path)
    assert isinstance(Studio(house), Desk)


async def test_a_page_sees_the_conversation_as_json(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        await here.stage.say()
        await asyncio.sleep(6)
        async with aclosing(rows_of(here.studio)) as rows:
            first = await anext(rows)
            told = [await anext(rows) for _ in range(len(here.stage.events) - 1)]
    assert first["household"]["profile"] == "bundled"
    assert [wearer["name"] for wearer in first["household"]["wearers"]] == ["ada"]
    assert {"wake", "partial", "endpoint", "final", "speak", "turn"} <= {row["row"]["event"] for row in told if "row" in row}
    assert all(row["wearer"] == "ada" for row in told)
    json.dumps([first, *told], allow_nan=False)


async def test_meters_come_ten_times_a_second_while_somebody_looks(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        await asyncio.sleep(3)
        loop = asyncio.get_running_loop()
        async with aclosing(rows_of(here.studio)) as rows:
            begun = loop.time()
            found = [await until(rows, lambda row: "meters" in row) for _ in range(20)]
            assert loop.time() - begun == pytest.approx(20 * METER_S, abs=0.15)
        json.dumps(found, allow_nan=False)
    meters = found[-1]["meters"]
    assert meters["state"] == "idle"
    assert meters["t_ms"] > 3000
    assert {channel["name"] for channel in meters["channels"]} >= {"microphone", "camera", "recogniser", "speaker"}
    assert {lane["name"] for lane in meters["lanes"]} >= {"ears", "voice", "language_model"}
    assert meters["process"]["memory_mb"] > 10
    assert meters["process"]["cpu"] >= 0
    assert found[-1]["n"] == found[0]["n"], "they take no numbers"


async def test_nothing_is_measured_while_nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []

    def count(session: object, link: object) -> dict[str, Any]:
        read.append(session)
        return {}

    monkeypatch.setattr("edge.studio.hub.meters", count)
    async with desktop(tmp_path) as here:
        await asyncio.sleep(1)
        assert not read
        async with aclosing(rows_of(here.studio)) as rows:
            await until(rows, lambda row: "meters" in row)
        seen = len(read)
        await asyncio.sleep(1)
        assert 0 < seen == len(read)


async def test_the_chosen_picture_comes_with_its_text(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        sight: Any = here.stage.session.sight
        pixels = np.full((900, 1200, 3), (40, 90, 200), np.uint8)
        sight.chosen = VideoFrame(pixels, 2_500_000_000, 7)
        sight.chosen_reading = None
        async with aclosing(rows_of(here.studio)) as rows:
            here.studio.event("ada", FrameChosen(t_ns=0, index=7, age_ms=1, sharpness=1))
            bare = (await until(rows, lambda row: "frame" in row))["frame"]
            sight.chosen_reading = Reading((TextLine("EXIT", Box(10, 20, 110, 50), 0.9),))
            here.studio.event("ada", TextSeen(t_ns=0, lines=("EXIT",)))
            read = (await until(rows, lambda row: "frame" in row))["frame"]
    assert bare["overlays"] == []
    assert (bare["index"], bare["width"], bare["height"], bare["t_ms"]) == (7, 1200, 900, 2500.0)
    assert read["overlays"] == [{"kind": "text", "label": "EXIT", "score": 0.9, "box": [10, 20, 110, 50]}]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(read["jpeg"]), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (480, 640, 3)
    assert shown.mean(axis=(0, 1)) == pytest.approx([40, 90, 200], abs=4)


async def test_a_typed_question_is_answered(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        async with aclosing(rows_of(here.studio)) as rows:
            assert await here.do("ask", wearer="ada", text=" how are you ") == {}
            turn = await until(rows, lambda row: row.get("row", {}).get("event") == "turn")
    assert turn["row"]["transcript"] == "how are you"
    assert turn["row"]["answer"].startswith("I am well")


async def test_commands_reach_the_house(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        assert await here.do("record", wearer="ada", on=True) == {"bundle": "bundle-1"}
        await here.do("profile", name="phone")
        await here.do("engine", port="recogniser", engine="none")
        await here.do("engine", port="voice", engine="piper", model="amy")
    assert here.house.recorded == [("ada", True)]
    assert here.house.changes == [
        {"profile": "phone"},
        {"recogniser": {"engine": "none", "model": ""}},
        {"voice": {"engine": "piper", "model": "amy"}},
    ]


async def test_a_refusal_of_the_house_is_told(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        with pytest.raises(ConfigError, match="nonsense"):
            await here.do("profile", name="nonsense")


async def test_a_session_ends_by_command(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        await here.do("end", wearer="ada")
        async with asyncio.timeout(5):
            await here.stage.session.over()


async def test_the_network_moves_while_it_runs(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        with pytest.raises(UsageError, match="no network"):
            await here.do("network", wearer="ada", loss=0.1, delay_ms=0, jitter_ms=0)
        found = Impairment()
        here.stage.glasses.impairment = found  # type: ignore[attr-defined]  # as a WebRTC link has it
        async with aclosing(rows_of(here.studio)) as rows:
            await anext(rows)
            await here.do("network", wearer="ada", loss=0.1, delay_ms=150, jitter_ms=20)
            household = (await until(rows, lambda row: "household" in row))["household"]
    assert (found.loss, found.delay, found.jitter) == (0.1, 0.15, 0.02)
    assert household["wearers"][0]["network"] == {"loss": 0.1, "delay_ms": 150, "jitter_ms": 20}


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("recrod", {}, "record"),
        ("ask", {"wearer": "bob", "text": "hi"}, "bob"),
        ("ask", {"wearer": "ada", "text": "  "}, "empty"),
        ("ask", {"wearer": "ada", "text": "a" * 2001}, "2000"),
        ("ask", {"wearer": "ada", "text": ["hi"]}, "must be a text"),
        ("record", {"wearer": "ada", "on": 1}, "true or false"),
        ("replay", {"bundle": "../secret"}, "no recording"),
        ("engine", {"port": "sight", "engine": "none"}, "sight"),
        ("profile", {}, "name"),
        ("network", {"wearer": "ada", "loss": 1.2, "delay_ms": 0, "jitter_ms": 0}, "no network"),
    ],
)
async def test_a_bad_command_is_refused_by_name(tmp_path: Path, name: str, arguments: dict[str, Any], why: str) -> None:
    async with desktop(tmp_path) as here:
        with pytest.raises(UsageError, match=why):
            await here.studio.command(name, arguments)


@pytest.mark.parametrize("loss", [1.01, -0.1, float("nan"), True, "0.1"])
async def test_a_network_out_of_range_is_refused_and_changes_nothing(tmp_path: Path, loss: object) -> None:
    async with desktop(tmp_path) as here:
        found = Impairment()
        here.stage.glasses.impairment = found  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match="loss"):
            await here.do("network", wearer="ada", loss=loss, delay_ms=50, jitter_ms=0)
        assert (found.loss, found.delay, found.jitter) == (0, 0, 0)


def test_recordings_are_found_by_name_alone(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    studio = Studio(FakeHouse(recordings))
    assert studio.bundles() == ()
    first, outside = bundle(recordings, "first"), bundle(tmp_path, "outside")
    (recordings / "no-bundle").mkdir()
    (recordings / "link").symlink_to(outside)
    assert studio.bundles() == ("first",)
    assert studio.bundle("first") == first
    for name in ("../outside", "link", "no-bundle", "", ".", "first/", str(outside)):
        assert studio.bundle(name) is None


@pytest.mark.real_time
async def test_a_replay_runs_beside_the_session_and_one_at_a_time(tmp_path: Path) -> None:
    bundle(tmp_path, "one")
    script = "import json, sys; print(json.dumps({'event': 'turn'})); print('odd'); print('as recorded', file=sys.stderr)"
    async with desktop(tmp_path, replayer=lambda folder: (sys.executable, "-c", script)) as here:
        async with aclosing(rows_of(here.studio)) as rows:
            await here.do("replay", bundle="one")
            with pytest.raises(UsageError, match="one is being replayed"):
                await here.do("replay", bundle="one")
            found: list[Mapping[str, Any]] = []
            while not found or "exit" not in found[-1]:
                found.append((await until(rows, lambda row: "replay" in row))["replay"])
            last = await until(rows, lambda row: "household" in row)
    assert last["household"]["replaying"] is None
    assert found[-1] == {"bundle": "one", "exit": 0}
    assert {"bundle": "one", "line": {"event": "turn"}} in found
    assert {"bundle": "one", "text": "odd"} in found
    assert {"bundle": "one", "text": "as recorded"} in found


@pytest.mark.real_time
async def test_a_replay_ends_with_the_studio(tmp_path: Path) -> None:
    bundle(tmp_path, "one")
    script = "import time; print('{}', flush=True); time.sleep(600)"
    async with desktop(tmp_path, replayer=lambda folder: (sys.executable, "-c", script)) as here:
        async with aclosing(rows_of(here.studio)) as rows:
            await here.do("replay", bundle="one")
            await until(rows, lambda row: "line" in row.get("replay", {}))
    # The guard on leaked processes sees whether it is gone.


@pytest.mark.real_time
async def test_a_replay_that_says_too_much_is_cut_short(tmp_path: Path) -> None:
    bundle(tmp_path, "one")
    script = "print('x' * 200_000); [print('{}') for _ in range(1100)]"
    async with desktop(tmp_path, replayer=lambda folder: (sys.executable, "-c", script)) as here:
        async with aclosing(rows_of(here.studio)) as rows:
            await here.do("replay", bundle="one")
            found: list[Mapping[str, Any]] = []
            while not found or "exit" not in found[-1]:
                row = await until(rows, lambda row: "replay" in row or "missed" in row)
                found += [row["replay"]] if "replay" in row else []
    assert "too long" in json.dumps(found[0])
    assert "more lines are not shown" in found[-2]["text"]


async def test_an_event_of_somebody_who_has_left_is_still_told(tmp_path: Path) -> None:
    studio = Studio(FakeHouse(tmp_path))
    studio.event("bob", Notice(t_ns=0, code="late", text="x"))
    studio.event("bob", FrameChosen(t_ns=0, index=0, age_ms=0, sharpness=0))
    async with aclosing(rows_of(studio)) as rows:
        assert [(await anext(rows)).get("wearer") for _ in range(3)] == [None, "bob", "bob"]
    await studio.close()
