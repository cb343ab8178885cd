"""Keeps clips of events while something is watched, and nothing while nothing is.

Pictures go to the encoder through a short channel that drops the oldest, so that neither a slow machine nor a slow disk holds
up the watch; everything that touches the disk happens in the encoder's lane. A disk that is full costs the clips and is told
once; when one can be written again, the next failure is told anew.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.channel import Channel, Overflow
from edge.config import WatchConfig
from edge.errors import EngineError, NearsightError, StorageError
from edge.ports import ClipWriter, Stop
from edge.runtime import keeping
from edge.runtime.lane import Lane
from edge.values import VideoFrame

log = logging.getLogger(__name__)

WAITING = 8
"""Pictures that may wait for the encoder."""


@dataclass(eq=False, slots=True)
class Kept:
    """The folder of an event that is being written."""

    folder: Path
    first_ns: int
    """Media time of the clip's first picture."""


class Keeper:
    """The encoder's ring and the folders of events. ``failed`` is told of a failure, once until something could be kept."""

    def __init__(self, config: WatchConfig, clips: Lane[ClipWriter], *, failed: Callable[[NearsightError], None]) -> None:
        self._config = config
        self._clips = clips
        self._failed = failed
        self._told = False
        self._root = keeping.event_folder(config)
        self._open: set[Path] = set()
        self._holding = False
        self._forgetting = False
        # None among the pictures empties the ring.
        self._pictures: Channel[VideoFrame | None] = Channel("clips", WAITING, Overflow.DROP_OLDEST)

    @property
    def dropped(self) -> int:
        """Pictures that the encoder was too slow for."""
        return self._pictures.dropped

    def take(self, frame: VideoFrame) -> None:
        """Takes the next picture. Never waits."""
        self._holding = True
        self._pictures.send_nowait(frame)

    def forget(self) -> None:
        """Nothing is watched any more: what the ring holds is dropped, as soon as the last clip has ended."""
        if self._open:
            self._forgetting = True
        elif self._holding:
            self._holding = False
            self._pictures.flush()
            self._pictures.send_nowait(None)

    async def run(self) -> None:
        """Encodes until it is cancelled, then empties the ring."""
        try:
            async for frame in self._pictures:
                if frame is None:
                    await self._clips.close()
                else:
                    await self._add(frame)
        finally:
            if self._holding:
                await self._clips.close()

    async def _add(self, frame: VideoFrame) -> None:
        try:
            await self._clips.call(lambda engine, stop: engine.add(frame))
        except (StorageError, EngineError) as error:
            self._tell(error)

    async def begin(self, number: int, wall: datetime, since_ns: int) -> Kept | None:
        """Makes an event's folder, and begins its clip with the pre-roll; None where that fails."""

        def job(engine: ClipWriter, stop: Stop) -> Kept:
            keeping.tidy(self._root, self._config, wall, self._open)
            folder = keeping.make(self._root, wall, number)
            self._open.add(folder)
            try:
                first_ns = engine.begin(folder / keeping.CLIP, since_ns - round(self._config.pre_roll * 1e9))
            except StorageError:
                self._remove(folder)
                raise
            return Kept(folder, first_ns)

        try:
            return await self._clips.call(job)
        except (StorageError, EngineError) as error:
            self._tell(error)
            return None

    async def finish(self, kept: Kept, facts: Mapping[str, Any], pictures: Sequence[VideoFrame], wall: datetime) -> None:
        """Ends the clip, and writes contact sheet and report; what cannot be written is left out, and told."""

        def job(engine: ClipWriter, stop: Stop) -> StorageError | None:
            failure: StorageError | None = None
            files: dict[str, str] = {}
            try:
                engine.finish(kept.folder / keeping.CLIP)
                files["clip"] = keeping.CLIP
            except StorageError as error:
                failure = error
            try:
                engine.sheet(kept.folder / keeping.SHEET, pictures)
                files["sheet"] = keeping.SHEET
            except StorageError as error:
                failure = failure or error
            try:
                keeping.write(kept.folder, {**facts, "files": files})
            except StorageError as error:
                failure = failure or error
                if not files:
                    self._remove(kept.folder)
            self._open.discard(kept.folder)
            keeping.tidy(self._root, self._config, wall, self._open)
            return failure

        try:
            failure = await self._clips.call(job)
        except EngineError as error:
            self._open.discard(kept.folder)
            self._tell(error)
        else:
            if failure is not None:
                self._tell(failure)
            else:
                self._told = False
        self._ended()

    async def drop(self, kept: Kept) -> None:
        """Gives an event up: nothing of it stays."""

        def job(engine: ClipWriter, stop: Stop) -> None:
            try:
                engine.finish(kept.folder / keeping.CLIP)
            except StorageError as error:
                log.info("%s", error.text)  # it was to go anyway
            self._remove(kept.folder)

        try:
            await self._clips.call(job)
        except EngineError as error:
            self._open.discard(kept.folder)
            self._tell(error)
        self._ended()

    def _ended(self) -> None:
        if self._forgetting and not self._open:
            self._forgetting = False
            self.forget()

    def _remove(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._open.discard(folder)

    def _tell(self, error: NearsightError) -> None:
        log.warning("%s: %s", error.code, error.text)
        if not self._told:
            self._told = True
            self._failed(error)


async def within(seconds: float, task: asyncio.Task[Kept | None]) -> Kept | None:
    """Gives what a task has made, None where it takes longer; the task goes on."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    return task.result() if done else None
