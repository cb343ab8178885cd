"""The hub between sessions and the developer's page: rows out, commands in."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from edge import __version__
from edge.bundle import is_bundle
from edge.config import Config, EngineConfig
from edge.errors import NearsightError, UsageError
from edge.events import CodesSeen, Event, FrameChosen, MaskSeen, TextSeen, TurnEnded, WatchFired
from edge.policy.echo import FLOOR_DB
from edge.ports import Link
from edge.runtime.lane import Lane
from edge.runtime.session import Session
from edge.runtime.sight import Sight
from edge.studio.commands import Arguments, Impairment, impairment
from edge.studio.feed import Feed
from edge.studio.kept import Kept
from edge.studio.live import Live
from edge.studio.meters import meters
from edge.studio.overlay import Overlay, code_overlay, text_overlay
from edge.studio.picture import Coder
from edge.studio.process import Process
from edge.studio.replay import Replay, replay_command
from edge.values import VideoFrame

log = logging.getLogger(__name__)

METER_S = 0.1
"""Seconds between two readings of the meters."""
MAX_TEXT = 2000
"""Characters of a typed question."""


class House(Protocol):
    """What the studio needs of the household that it stands in."""

    @property
    def config(self) -> Config:
        """What new sessions are made from."""

    @property
    def recordings(self) -> Path:
        """The folder in which session bundles are made. It need not exist."""

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Gives the names there are: of profiles under ``profile``, and of engines under each port's name."""

    async def configure(self, changes: Mapping[str, Any]) -> None:
        """Lays ``changes``, a TOML table that may name a ``profile``, over the configuration and brings it into force.

        Raises NearsightError where that cannot be; what was in force stays so.
        """

    async def record(self, wearer: str, on: bool) -> str:
        """Begins or ends the recording of a wearer's session; gives the name of its bundle. Raises NearsightError."""


@dataclass(slots=True)
class _Wearer:
    session: Session
    link: Link
    live: Live
    drawn: tuple[VideoFrame, str] | None = None
    """The picture that was coded last, and its JPEG."""
    drawing: bool = False
    again: bool = False


class Studio:
    """The developer's desk. All methods belong to the loop's thread.

    The household tells it of wearers by ``joined`` and ``left``, of their events by ``event``, and calls ``close`` at the end.
    """

    def __init__(self, house: House, *, replayer: Callable[[Path], Sequence[str]] = replay_command) -> None:
        """``replayer`` gives the command that replays a bundle."""
        self._house = house
        self._replayer = replayer
        self._epoch = secrets.token_hex(4)
        self._wearers: dict[str, _Wearer] = {}
        self._feed = Feed(self._watched)
        self._timer: asyncio.TimerHandle | None = None
        self._process = Process()
        self._kept = Kept()
        self._coder: Lane[Coder] = Lane("studio", Coder)
        self._tasks: set[asyncio.Task[None]] = set()
        self._replay: tuple[str, asyncio.Task[None]] | None = None

    # -- what the household tells ------------------------------------------------------------------------------------------

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        """A wearer's session begins."""
        self._wearers[wearer] = _Wearer(session, link, Live(session, self._coder))
        self.changed()

    def left(self, wearer: str) -> None:
        """A wearer's session is over."""
        self._wearers.pop(wearer, None)
        self.changed()

    def event(self, wearer: str, event: Event) -> None:
        """A session told something."""
        if isinstance(event, MaskSeen):
            return  # they come all the time, and the live picture shows them
        if isinstance(event, WatchFired) and event.folder:
            self._kept.add(Path(event.folder))
        self._feed.put({"wearer": wearer, "row": event.as_json()})
        if isinstance(event, FrameChosen | TextSeen | CodesSeen | TurnEnded):
            self._draw(wearer)

    def changed(self) -> None:
        """The configuration, a recording or the wearers changed: tells the pages."""
        self._feed.pass_on(self._household())

    async def close(self) -> None:
        """Ends readers, replays and work in hand."""
        self._watched(False)
        self._feed.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._coder.close()

    # -- Desk ----------------------------------------------------------------------------------------------------------------

    def events(self, since: int) -> AsyncIterator[Mapping[str, Any]]:
        """Gives what is true now, the rows after number ``since`` and then each new one.

        ``{"n", "household"}`` comes first; by its ``epoch`` a page knows whether ``n`` counts as before. ``{"n", "missed"}``
        says how many were lost to a slow reader or a long absence.
        """
        return self._feed.read(since, self._household)

    async def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Does what a button of the page asks. Raises NearsightError."""
        doers = {
            "ask": self._ask,
            "end": self._end,
            "record": self._record,
            "replay": self._start_replay,
            "stop_replay": self._stop_replay,
            "profile": self._profile,
            "engine": self._engine,
            "network": self._network,
            "look": self._look,
            "follow": self._follow,
            "unfollow": self._unfollow,
            "unwatch": self._unwatch,
        }
        given = Arguments(name, arguments, known=tuple(doers))
        return await doers[name](given)

    def bundles(self) -> tuple[str, ...]:
        """Gives the names of the recordings, newest first."""
        try:
            found = [(path.stat().st_mtime_ns, path.name) for path in self._house.recordings.iterdir() if _is_ours(path)]
        except OSError:
            return ()
        return tuple(name for _, name in sorted(found, reverse=True))

    def bundle(self, name: str) -> Path | None:
        """Gives the folder of a recording; None where there is none of that name. Names alone count, never paths."""
        return self._house.recordings / name if name in self.bundles() else None

    def kept(self, name: str) -> Mapping[str, Path]:
        """Gives the files that a watch kept of an event, by name; empty where there are none. Paths never count."""
        return self._kept.files(name)

    # -- commands ----------------------------------------------------------------------------------------------------------

    async def _ask(self, given: Arguments) -> Mapping[str, Any]:
        wearer = self._wearer(given)
        text = given.text("text", MAX_TEXT)
        if not text:
            raise UsageError("text: is empty")
        self._start(_asked(wearer.session, text))
        return {}

    async def _end(self, given: Arguments) -> Mapping[str, Any]:
        self._wearer(given).session.end("dashboard")
        return {}

    async def _record(self, given: Arguments) -> Mapping[str, Any]:
        self._wearer(given)
        name = await self._house.record(given.text("wearer"), given.flag("on"))
        self.changed()
        return {"bundle": name}

    async def _start_replay(self, given: Arguments) -> Mapping[str, Any]:
        name = given.text("bundle")
        folder = self.bundle(name)
        if folder is None:
            raise UsageError(f"bundle: there is no recording {name!r}")
        if self._replay is not None:
            raise UsageError(f"{self._replay[0]} is being replayed: stop that first")
        replay = Replay(name, self._replayer(folder), lambda row: self._feed.put({"replay": row}))
        task = self._start(replay.run())
        self._replay = (name, task)
        task.add_done_callback(self._replayed)
        self.changed()
        return {}

    async def _stop_replay(self, given: Arguments) -> Mapping[str, Any]:
        if self._replay is not None:
            name, task = self._replay
            task.cancel()
            self._feed.put({"replay": {"bundle": name, "text": "stopped"}})
        return {}

    def _replayed(self, task: asyncio.Task[None]) -> None:
        self._replay = None
        self.changed()

    async def _profile(self, given: Arguments) -> Mapping[str, Any]:
        await self._house.configure({"profile": given.text("name")})
        self.changed()
        return {}

    async def _engine(self, given: Arguments) -> Mapping[str, Any]:
        port = given.one_of("port", tuple(_ports(self._house.config)))
        await self._house.configure({port: {"engine": given.text("engine"), "model": given.text("model", default="")}})
        self.changed()
        return {}

    async def _network(self, given: Arguments) -> Mapping[str, Any]:
        found = impairment(self._wearer(given).link)
        if found is None:
            raise UsageError("this link has no network to impair")
        found.loss = given.number("loss", 0, 1)
        found.delay = given.number("delay_ms", 0, 2000) / 1000
        found.jitter = given.number("jitter_ms", 0, 2000) / 1000
        self.changed()
        return {}

    async def _look(self, given: Arguments) -> Mapping[str, Any]:
        return await self._wearer(given).live.look(given)

    async def _follow(self, given: Arguments) -> Mapping[str, Any]:
        return await self._wearer(given).live.follow(given)

    async def _unfollow(self, given: Arguments) -> Mapping[str, Any]:
        return self._wearer(given).live.unfollow(given)

    async def _unwatch(self, given: Arguments) -> Mapping[str, Any]:
        return self._wearer(given).live.unwatch(given)

    def _wearer(self, given: Arguments) -> _Wearer:
        return self._wearers[given.one_of("wearer", tuple(self._wearers))]

    # -- rows ------------------------------------------------------------------------------------------------------------------

    def _household(self) -> Mapping[str, Any]:
        config = self._house.config
        return {
            "household": {
                "epoch": self._epoch,
                "version": __version__,
                "profile": config.profile,
                "choices": {port: list(names) for port, names in self._house.choices().items()},
                "engines": {port: {"engine": engine.engine, "model": engine.model} for port, engine in _ports(config).items()},
                "wearers": [_about(name, wearer) for name, wearer in self._wearers.items()],
                "places": config.serve.wearers,
                "replaying": self._replay[0] if self._replay is not None else None,
                "turns": {"speech_threshold": config.turns.speech_threshold, "wake": config.turns.wake},
            }
        }

    def _watched(self, yes: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if yes:
            self._measure()

    def _measure(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(METER_S, self._measure)
        process = self._process.read(asyncio.get_running_loop().time())
        for name, wearer in self._wearers.items():
            self._feed.pass_on({"wearer": name, "meters": {**meters(wearer.session, wearer.link), "process": process}})
        if not self._wearers:
            self._feed.pass_on({"meters": {"process": process, "level_db": FLOOR_DB}})

    def _draw(self, name: str) -> None:
        """Shows the chosen picture with what has been found in it; what comes while it is drawn is drawn once more."""
        wearer = self._wearers.get(name)
        if wearer is None:
            return
        if wearer.drawing:
            wearer.again = True
        else:
            wearer.drawing = True
            self._start(self._drawn(name, wearer))

    async def _drawn(self, name: str, wearer: _Wearer) -> None:
        try:
            while True:
                wearer.again = False
                await self._show(name, wearer)
                if not wearer.again:
                    return
        finally:
            wearer.drawing = False

    async def _show(self, name: str, wearer: _Wearer) -> None:
        sight = wearer.session.sight
        frame = sight.chosen
        if frame is None:
            return
        if wearer.drawn is None or wearer.drawn[0] is not frame:
            wearer.drawn = (frame, await self._coder.call(partial(_code, frame)))
        height, width = frame.pixels.shape[:2]
        row = {
            "index": frame.index,
            "t_ms": round(frame.t_ns / 1e6, 1),
            "width": width,
            "height": height,
            "jpeg": wearer.drawn[1],
            "overlays": _overlays(sight),
        }
        self._feed.put({"wearer": name, "frame": row}, picture=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("studio: %s", error, exc_info=error)


def _code(frame: VideoFrame, coder: Coder, stop: Any) -> str:
    return coder.code(frame, stop)


async def _asked(session: Session, text: str) -> None:
    try:
        await session.ask(text)
    except NearsightError as error:
        session.failed(error)


def _overlays(sight: Sight) -> list[Overlay]:
    """What has been found so far in the chosen picture."""
    reading = sight.chosen_reading
    lines = [text_overlay(line) for line in reading.lines] if reading is not None else []
    return lines + [code_overlay(code) for code in sight.chosen_codes]


def _about(name: str, wearer: _Wearer) -> Mapping[str, Any]:
    network: Impairment | None = impairment(wearer.link)
    return {
        "name": name,
        "link": wearer.link.uri,
        "state": wearer.session.listener.policy.state.value,
        "recording": wearer.session.device.recording is not None,
        "network": None
        if network is None
        else {"loss": network.loss, "delay_ms": round(network.delay * 1000), "jitter_ms": round(network.jitter * 1000)},
    }


def _ports(config: Config) -> dict[str, EngineConfig]:
    values = ((item.name, getattr(config, item.name)) for item in fields(config))
    return {name: value for name, value in values if isinstance(value, EngineConfig)}


def _is_ours(path: Path) -> bool:
    """Whether a folder is a bundle that was made here: a link may lead anywhere."""
    return not path.is_symlink() and is_bundle(path)
