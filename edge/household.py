"""Sessions and what they share: one wearer on one link, or everybody who arrives at a station.

A wearer has ears and a recogniser of their own, because these remember the sound so far. Everything else is shared: its lanes
give wearers turns (``edge/runtime/fair.py``), so that one who asks much does not keep the others waiting.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from edge import app
from edge.config import Config, parse
from edge.errors import NearsightError, OutOfMemory, UsageError
from edge.events import Event, Notice
from edge.ports import Link, Station
from edge.runtime.engines import Engines
from edge.runtime.fair import WEARER
from edge.runtime.recording import Recorder
from edge.runtime.session import Session
from edge.skill import Skill
from edge.tables import as_table, merge
from edge.values import NS_PER_SAMPLE

log = logging.getLogger(__name__)

OWN = ("ears", "recogniser", "segmenter", "clips")
"""Ports whose engines remember what a wearer said, or saw."""


def local_time() -> datetime:
    """The one place that reads the wall clock."""
    return datetime.now().astimezone()  # noqa: TID251 - what the wearer calls the time


def versions(engines: Engines) -> dict[str, str]:
    """The engines that run, with version and model, for the session bundle."""
    found = {}
    for lane in engines.lanes():
        info = lane.engine.info
        found[lane.name] = " ".join(part for part in (info.name, info.version, info.model) if part)
    return found


@asynccontextmanager
async def session(
    config: Config,
    link: Link,
    *,
    engines: Engines | None = None,
    shared: Engines | None = None,
    skills: Sequence[Skill] | None = None,
    emit: Callable[[Event], None],
    wall_time: Callable[[], datetime] | None = None,
) -> AsyncIterator[Session]:
    """Opens link, engines and recording, runs a session inside the block, and closes everything however the block ends.

    ``shared`` engines are open and stay so; the session then has engines of its own only for the ports in ``OWN``.
    """
    from edge.skills import load

    skills = load(config.skills.disabled) if skills is None else skills
    async with AsyncExitStack() as stack:
        told: list[str] = []
        if engines is None:
            config, own = await open_engines(config, None if shared is None else OWN, told=told.append)
        else:
            own = engines
            await own.open()
        stack.push_async_callback(own.close)
        stack.push_async_callback(link.close)
        await link.open()
        used = own if shared is None else dataclasses.replace(shared, **{port: getattr(own, port) for port in OWN})
        if (notifier := app.notifier(config)) is not None:
            stack.push_async_callback(notifier.close)
        served = Session(config, link, used, skills, emit=emit, wall_time=wall_time or local_time, notifier=notifier)
        stack.callback(stop_recording, served)
        if config.recording.folder:
            record(served, Path(config.recording.folder))
        task = asyncio.create_task(served.run())
        try:
            await served.begun()
            for line in told:
                served.emit(Notice(t_ns=served.now_ns(), code="degraded", text=line))
            yield served
        finally:
            served.end("closed")
            await task


async def open_engines(
    config: Config, only: Collection[str] | None = None, *, but: Collection[str] = (), told: Callable[[str], None]
) -> tuple[Config, Engines]:
    """Builds and loads engines, smaller ones where memory runs out; gives what they are, and ``told`` each step down.

    Raises OutOfMemory where nothing smaller is left, and what ``build_engines`` and engines raise.
    """
    while True:
        engines = app.build_engines(config, only)
        try:
            await engines.open(but=but)
        except OutOfMemory as error:
            smaller = app.degrade(config, error.port) if error.port else None
            if smaller is None:
                raise
            config, line = smaller
            log.warning("%s: %s", error.text, line)
            told(line)
        else:
            return config, engines


def record(served: Session, folder: Path) -> Recorder:
    """Begins to record a session into a folder. Raises UsageError, StorageError, EngineMissing."""
    if served.device.recording is not None:
        raise UsageError("this session is being recorded already")
    recording = dataclasses.replace(served.config.recording, folder=str(folder))
    recorder = Recorder(recording, on_stop=served.failed, origin=served.now_ns() // NS_PER_SAMPLE)
    recorder.open(served.config, {**versions(served.engines), "started": local_time().isoformat()})
    served.record(recorder)
    return recorder


def stop_recording(served: Session) -> Recorder | None:
    """Ends the recording of a session and gives it, where there is one."""
    recorder = served.device.recording
    if not isinstance(recorder, Recorder):
        return None
    served.record(None)
    recorder.close(dataclasses.asdict(served.measures()))
    return recorder


def _name(recorder: Recorder | None) -> str:
    return recorder.folder.name if recorder is not None and recorder.folder is not None else ""


class Watcher(Protocol):
    """Whoever wants to know what happens in a household. Nothing here waits."""

    def joined(self, wearer: str, session: Session, link: Link) -> None:
        """A wearer's session begins."""

    def event(self, wearer: str, event: Event) -> None:
        """A session told something."""

    def left(self, wearer: str) -> None:
        """A wearer's session is over."""


class Household:
    """Everybody whom one process serves. ``async with`` opens and closes the shared engines; ``attend`` serves a station.

    Sessions that are recorded on demand go into folders below ``recordings``.
    """

    def __init__(self, config: Config, recordings: Path, watcher: Watcher | None = None) -> None:
        self.config = config
        self.recordings = recordings
        self.watcher = watcher
        self._shared: Engines | None = None
        self._serving: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Household:
        self._shared = await _open_shared(self.config)
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:
        try:
            for task in self._tasks:
                task.cancel()
            await self._group.__aexit__(*failure)
        finally:
            if self._shared is not None:
                await self._shared.close()

    @property
    def wearers(self) -> Mapping[str, Session]:
        """The sessions that run."""
        return MappingProxyType(self._serving)

    async def attend(self, station: Station) -> None:
        """Serves whoever arrives, until the station closes."""
        async for link in station.arrivals():
            task = self._group.create_task(self._receive(link, link.uri))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _receive(self, link: Link, wearer: str) -> None:
        """Serves one who arrived. What goes wrong costs this wearer only."""
        try:
            await self.serve(link, wearer)
        except NearsightError as error:
            log.warning("%s: %s: %s", wearer, error.code, error.text)
        except Exception:  # a fault of ours in one session must not end the others
            log.exception("%s: the session failed", wearer)
        finally:
            await link.close()

    async def serve(self, link: Link, wearer: str) -> None:
        """Serves one wearer to the end. Raises what keeps the session from beginning."""
        WEARER.set(wearer)
        async with self._changing:
            shared = self._shared

        def tell(event: Event) -> None:
            if self.watcher is not None:
                self.watcher.event(wearer, event)

        async with session(self.config, link, shared=shared, emit=tell) as served:
            self._serving[wearer] = served
            if self.watcher is not None:
                self.watcher.joined(wearer, served, link)
            try:
                await served.over()
            finally:
                if self._serving.get(wearer) is served:
                    del self._serving[wearer]
                if self.watcher is not None:
                    self.watcher.left(wearer)

    def choices(self) -> Mapping[str, Sequence[str]]:
        """The names that ``configure`` can choose from."""
        return app.choices()

    async def record(self, wearer: str, on: bool) -> str:
        """Begins or ends the recording of a wearer's session; gives the bundle's name. Raises NearsightError."""
        served = self._serving.get(wearer)
        if served is None:
            raise UsageError(f"there is no session of {wearer!r}")
        if not on:
            return _name(stop_recording(served))
        name = f"{local_time():%Y%m%d-%H%M%S}-{re.sub('[^a-z0-9]+', '-', wearer.lower()).strip('-')}"
        return _name(record(served, self.recordings / name))

    async def configure(self, changes: Mapping[str, Any]) -> None:
        """Changes profile, engines or settings: running sessions end, and their glasses come back to the new ones.

        Raises ConfigError, ModelMissing and whatever engines raise when they open; then everything stays as it was.
        """
        profile = changes.get("profile")
        table = dict(changes) if profile is not None else merge(_differences(self.config), changes)
        config = app.load_config(profile if isinstance(profile, str) else self.config.profile, None, table)
        async with self._changing:
            fresh = await _open_shared(config)
            old, self._shared, self.config = self._shared, fresh, config
            for served in list(self._serving.values()):
                served.end("reconfigured")
                await served.over()
            if old is not None:
                await old.close()


def _differences(config: Config) -> dict[str, Any]:
    """What a configuration says beside its profile."""
    profile = as_table(parse({**as_table(app.load_config(config.profile)), "profile": config.profile}))
    return {key: value for key, value in as_table(config).items() if value != profile.get(key) and key != "profile"}


async def _open_shared(config: Config) -> Engines:
    ports = [item.name for item in dataclasses.fields(Engines) if item.name not in OWN]
    _, shared = await open_engines(config, ports, but=OWN, told=lambda line: None)  # the log has it
    await shared.warm_up()  # before anybody speaks: it takes every core for a second
    return shared
