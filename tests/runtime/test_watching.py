from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge.config import WatchConfig
from edge.errors import EngineFailed, LinkError, NearsightError
from edge.events import Failed, Notice, WatchFired
from edge.ports import ClipWriter
from edge.runtime import keeping
from edge.runtime.lane import Lane
from edge.runtime.told import Told
from edge.runtime.virtual import VirtualLoop
from edge.runtime.watching import Watching
from edge.tracks import Watched, WatchRule
from edge.values import Box, Detection, Prompt, VideoFrame
from models.clips import ClipRing
from models.fakes_clips import FakeClips

RATE = 8
BOX = Box(40, 30, 80, 90)
DOG = WatchRule(Watched.APPEARS, "dog", words="tell me when a dog comes")
BEGAN = datetime(2026, 11, 22, 16, 20, tzinfo=UTC)


def frame(n: int) -> VideoFrame:
    """Gives a picture of noise; whoever stirs it says so by its detections, and the noise is everywhere."""
    chance = np.random.default_rng(n // RATE)
    return VideoFrame(chance.integers(0, 255, (96, 128, 3)).astype(np.uint8), n * 1_000_000_000 // RATE, n)


@dataclass
class Outside:
    """Whoever is told outside."""

    messages: list[Mapping[str, Any]] = field(default_factory=list)
    error: LinkError | None = None
    hangs: bool = False

    async def tell(self, message: Mapping[str, Any]) -> None:
        self.messages.append(message)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        pass


@dataclass
class Watchers:
    """A watching with fakes about it, and a camera that counts pictures."""

    watching: Watching
    told: Told
    said: list[str]
    clips: FakeClips
    outside: Outside
    root: Path
    at: int = 0

    async def show(self, seconds: float, dogs: Callable[[int], Iterable[Box]] = lambda n: ()) -> None:
        """Shows so many seconds of pictures, at their time."""
        loop = asyncio.get_running_loop()
        for _ in range(round(seconds * RATE)):
            picture = frame(self.at)
            await asyncio.sleep(max(0.0, picture.t_ns / 1e9 - loop.time()))
            found = tuple(Detection("dog", box, 0.8) for box in dogs(self.at))
            self.watching.take(picture)
            await self.watching.look(picture, (), found)
            self.at += 1

    async def event(self, seconds: float = 2.0) -> None:
        """A dog comes, stays for so many seconds, and goes."""
        await self.show(seconds, lambda n: [BOX])

    @property
    def folders(self) -> list[Path]:
        return sorted(self.root.iterdir()) if self.root.exists() else []


def _same(boxes: list[Box], n: int) -> list[Box]:
    return boxes


@asynccontextmanager
async def watching(tmp_path: Path, *, runs: bool = True, cost: float = 0.0, **fields: Any) -> AsyncIterator[Watchers]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    settings = {name: fields.pop(name) for name in list(fields) if name in WatchConfig.__slots__}
    config = replace(WatchConfig(folder=str(tmp_path / "events"), pre_roll=2.0, post_roll=2.0, cooldown=4.0), **settings)
    clips, told, outside = FakeClips(cost=cost, spend=loop.spend), Told(), Outside()
    said: list[str] = []

    async def say(text: str) -> None:
        said.append(text)

    lane: Lane[ClipWriter] = Lane("clips", lambda: fields.get("clips", clips))
    made = Watching(
        config,
        lane,
        outside,
        emit=told,
        say=say,
        now_ns=lambda: round(loop.time() * 1e9),
        wall_time=lambda: BEGAN + timedelta(seconds=loop.time()),
        describe=fields.get("describe"),
        models={"detector": "fake"},
    )
    running = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    try:
        yield Watchers(made, told, said, clips, outside, tmp_path / "events")
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled(), running.exception()
        await lane.close()


async def test_event_is_told_once_spoken_sent_and_kept_with_its_pre_roll(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        number = play.watching.add(DOG)
        await play.show(6)
        await play.event(3)
        await play.show(6)
        (fired,) = play.told.of(WatchFired)
        (folder,) = play.folders
        assert (fired.watch, fired.words, fired.text, fired.sure) == (number, DOG.words, "A dog appeared.", True)
        assert fired.folder == str(folder) and 6.0 <= fired.t_ns / 1e9 <= 7.0
        assert play.said == ["A dog appeared."]
        assert play.outside.messages[0]["text"] == "A dog appeared." and play.outside.messages[0]["folder"] == str(folder)
    facts = json.loads((folder / keeping.FACTS).read_text())
    shown = [int(n) for n in (folder / keeping.CLIP).read_text().split()]
    assert facts["since_s"] == 6.0 and facts["clip_from_s"] == 4.0
    assert shown == list(range(4 * RATE, shown[-1] + 1))  # the pre-roll counts from the first sight of it, and nothing is lost
    assert shown[-1] / RATE == pytest.approx(fired.t_ns / 1e9 + 2.0, abs=0.3)
    assert facts["tracks"] and facts["models"] == {"detector": "fake"} and facts["time_utc"].startswith("2026-11-22 16:20:0")
    report = (folder / keeping.REPORT).read_text()
    assert report.startswith("# A dog appeared.") and DOG.words in report and "[clip.mp4](clip.mp4)" in report
    sheet = [int(n) for n in (folder / keeping.SHEET).read_text().split()]
    assert sheet == sorted(sheet) and sheet[0] < 6 * RATE <= sheet[-1] and len(sheet) <= 9


async def test_real_clip_plays_from_its_first_picture(tmp_path: Path) -> None:
    async with watching(tmp_path, clips=ClipRing(2.0)) as play:
        play.watching.add(DOG)
        await play.show(5)
        await play.event(2)
        await play.show(4)
        (folder,) = play.folders
    with av.open(str(folder / keeping.CLIP)) as container:
        frames = list(container.decode(video=0))
    facts = json.loads((folder / keeping.FACTS).read_text())
    assert frames[0].key_frame and frames[0].time == 0
    assert 2.0 <= facts["clip_from_s"] <= 3.0 and len(frames) >= 4.5 * RATE
    assert (folder / keeping.SHEET).read_bytes()[:2] == b"\xff\xd8"


async def test_nothing_is_kept_while_nothing_is_watched(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        await play.event(3)
        assert not play.clips.ring
        number = play.watching.add(DOG)
        await play.show(2)
        assert play.clips.ring
        assert play.watching.remove(number) == 1 and play.watching.remove(number) == 0
        await asyncio.sleep(0.1)
        assert not play.clips.ring and play.clips.closed
    assert not play.folders


async def test_ending_a_watch_ends_its_clip_and_then_empties_the_ring(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(1)
        assert play.watching.remove() == 1
        await asyncio.sleep(0.5)
        (folder,) = play.folders
        assert (folder / keeping.CLIP).exists() and (folder / keeping.REPORT).exists()
        assert not play.clips.ring


async def test_end_of_the_session_finishes_what_is_open(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(1)
    (folder,) = play.folders
    assert {path.name for path in folder.iterdir()} == {keeping.CLIP, keeping.SHEET, keeping.REPORT, keeping.FACTS}


async def test_same_rule_again_before_the_clip_ends_is_the_same_event(tmp_path: Path) -> None:
    async with watching(tmp_path, post_roll=5.0) as play:
        play.watching.add(replace(DOG, cooldown=1.0))
        await play.show(4)
        await play.show(2, lambda n: [BOX])
        await play.show(2, lambda n: [BOX, Box(90, 30, 125, 90)])
        await play.show(8)
        events = play.told.of(WatchFired)
        (folder,) = play.folders
    assert len(events) == 2 and events[0].folder == events[1].folder == str(folder)
    facts = json.loads((folder / keeping.FACTS).read_text())
    assert len(facts["again"]) == 1
    last = int((folder / keeping.CLIP).read_text().split()[-1])
    assert last / RATE == pytest.approx(events[1].t_ns / 1e9 + 5.0, abs=0.3)


async def test_no_clip_is_longer_than_the_bound(tmp_path: Path) -> None:
    async with watching(tmp_path, post_roll=3.0, max_clip=4.0) as play:
        play.watching.add(replace(DOG, cooldown=0.5))
        await play.show(4)
        for k in range(6):
            boxes = [Box(20.0 * i, 30, 20.0 * i + 12, 60) for i in range(k + 1)]
            await play.show(1.5, partial(_same, boxes))
        await play.show(6)
        shown = [int(n) for n in (play.folders[0] / keeping.CLIP).read_text().split()]
    assert (shown[-1] - shown[0]) / RATE <= 2.0 + 4.0 + 0.5


async def test_full_disk_drops_clips_tells_once_and_watches_on(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        play.clips.full = True
        await play.show(4)
        for _ in range(3):
            await play.event(2)
            await play.show(6)
        assert [event.folder for event in play.told.of(WatchFired)] == ["", "", ""]
        assert [error.code for error in play.told.of(Failed)] == ["storage"]
        assert play.said.count("I cannot keep clips now. I go on watching.") == 1
        assert not play.folders
        play.clips.full = False
        await play.event(2)
        await play.show(6)
        assert len(play.folders) == 1 and play.told.of(WatchFired)[-1].folder
        play.clips.full = True
        await play.event(2)
        await play.show(6)
        assert len(play.told.of(Failed)) == 2


async def test_disk_that_fills_up_in_the_middle_leaves_no_half_event(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(1)
        play.clips.full = True
        await play.show(5)
        (folder,) = play.folders
        assert {path.name for path in folder.iterdir()} == {keeping.REPORT, keeping.FACTS}
        assert json.loads((folder / keeping.FACTS).read_text())["files"] == {}
        assert len(play.told.of(Failed)) == 1


async def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("in the way")
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(2)
        assert play.told.of(WatchFired)[0].folder == "" and play.told.of(Failed)[0].code == "storage"


async def test_slow_disk_delays_no_report(tmp_path: Path) -> None:
    async with watching(tmp_path, cost=3.0) as play:
        play.watching.add(DOG)
        await play.show(6)
        await play.event(4)
        (fired,) = play.told.of(WatchFired)
        assert fired.t_ns / 1e9 <= 6.0 + 2.0 and fired.folder == ""


async def test_nothing_is_kept_where_that_is_switched_off(tmp_path: Path) -> None:
    async with watching(tmp_path, keep=False) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(2)
        await play.show(4)
        assert play.told.of(WatchFired)[0].folder == "" and not play.folders and not play.clips.ring


async def test_camera_that_stops_is_told_within_five_seconds_once_and_its_return_too(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        await play.show(3)
        stopped = asyncio.get_running_loop().time()
        await asyncio.sleep(60)
        (notice,) = play.told.of(Notice)
        assert notice.code == "watch_blind" and notice.t_ns / 1e9 - stopped <= 5.0
        assert play.said == ["I get no pictures any more, so I cannot watch."]
        play.at = round(asyncio.get_running_loop().time() * RATE) + 1
        await play.show(1)
        assert [event.code for event in play.told.of(Notice)] == ["watch_blind", "watch_again"]


async def test_camera_that_stops_in_an_event_does_not_hold_its_clip_open(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(1)
        await asyncio.sleep(6)
        assert (play.folders[0] / keeping.CLIP).exists()


async def test_nobody_is_told_of_a_camera_while_nothing_is_watched(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        await asyncio.sleep(60)
        assert not play.told.events


async def test_outside_that_fails_or_hangs_delays_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path) as play:
        play.outside.error = LinkError("webhook example: answered 500")
        play.watching.add(DOG)
        await play.show(4)
        await play.event(2)
        await play.show(5)
        assert [error.text for error in play.told.of(Failed)] == ["webhook example: answered 500"]
        play.outside.hangs = True
        await play.event(2)
        await play.show(5)
        await play.event(2)
        assert len(play.told.of(WatchFired)) == 3 and len(play.folders) == 3


Answer = str | NearsightError | None


@pytest.mark.parametrize(
    ("answer", "sure"),
    [("Yes.", True), ("no", None), ("I cannot tell", False), (EngineFailed("broken"), False), (None, False)],
)
async def test_vision_model_is_asked_before_anything_is_told(tmp_path: Path, answer: Answer, sure: bool | None) -> None:
    asked: list[tuple[int, str]] = []

    async def describe(pictures: Sequence[VideoFrame], prompt: Prompt) -> str:
        asked.append((len(pictures), prompt.messages[-1].text))
        if answer is None:
            await asyncio.sleep(1000)
        if isinstance(answer, NearsightError):
            raise answer
        await asyncio.sleep(2.0)  # the pre-roll counts from the first sight, not from the answer
        return str(answer)

    async with watching(tmp_path, confirm=True, describe=describe) as play:
        play.watching.add(DOG)
        await play.show(4)
        await play.event(2)
        await play.show(75 if answer is None else 9)
        events = play.told.of(WatchFired)
        assert [event.sure for event in events] == ([] if sure is None else [sure])
        assert asked[0][0] == 2 and "A dog appeared." in asked[0][1]
        assert len(play.folders) == len(events)
        if events:
            facts = json.loads((play.folders[0] / keeping.FACTS).read_text())
            assert facts["clip_from_s"] == 2.0 and facts["sure"] is sure
            assert facts["report"] if sure is False else facts["report"] == "Yes."
            assert play.said[0].startswith("A dog" if sure else "I am not sure")


async def test_cooldown_of_the_configuration_holds_where_a_rule_has_none_of_its_own(tmp_path: Path) -> None:
    async with watching(tmp_path, cooldown=33.0) as play:
        play.watching.add(DOG)
        play.watching.add(replace(DOG, cooldown=1.5))
        assert [rule.cooldown for rule in play.watching.rules.values()] == [33.0, 1.5]
