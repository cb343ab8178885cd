"""A studio beside a real session with scripted engines, for the tests of the studio and of its page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.bundle import EVENTS
from edge.config import Config
from edge.errors import ConfigError
from edge.events import Event
from edge.studio import Studio
from tests.runtime.stage import Stage, play


class FakeHouse:
    """A household of one room."""

    def __init__(self, recordings: Path) -> None:
        self.config = Config()
        self.recordings = recordings
        self.changes: list[Mapping[str, Any]] = []
        self.recorded: list[tuple[str, bool]] = []

    def choices(self) -> Mapping[str, Sequence[str]]:
        return {"profile": ["bundled", "phone"], "recogniser": ("pocketsphinx", "none")}

    async def configure(self, changes: Mapping[str, Any]) -> None:
        if changes.get("profile") == "nonsense":
            raise ConfigError("unknown profile 'nonsense'")
        self.changes.append(changes)

    async def record(self, wearer: str, on: bool) -> str:
        self.recorded.append((wearer, on))
        return "bundle-1"


class Impairment:
    loss = 0.0
    delay = 0.0
    jitter = 0.0


class Desktop:
    """A stage with a studio beside it."""

    def __init__(self, stage: Stage, studio: Studio, house: FakeHouse) -> None:
        self.stage = stage
        self.studio = studio
        self.house = house

    async def do(self, name: str, /, **arguments: object) -> Mapping[str, Any]:
        return await self.studio.command(name, arguments)


@asynccontextmanager
async def desktop(folder: Path, **options: Any) -> AsyncIterator[Desktop]:
    house = options.pop("house", FakeHouse)(folder)
    studio = Studio(house, replayer=options.pop("replayer", _no_replays))
    async with play(**options) as stage:

        def tell(event: Event) -> None:
            stage.told(event)
            studio.event("ada", event)

        stage.session._emit = tell
        studio.joined("ada", stage.session, stage.glasses)
        try:
            yield Desktop(stage, studio, house)
        finally:
            studio.left("ada")
            await studio.close()


def _no_replays(bundle: Path) -> Sequence[str]:
    raise AssertionError("nothing is replayed here")


def bundle(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    (made / EVENTS).write_text("", encoding="utf-8")
    return made
