"""The live picture: what a page is given, what its clicks follow, and the files of events."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import EngineMissing, InputError, NoView, UsageError
from edge.events import MaskSeen, TrackChanged, WatchFired
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.studio.live import SHOWN
from edge.studio.overlay import track_overlay
from edge.tracks import Track, TrackState, Watched, WatchRule
from edge.values import Box, Mask, Pixels
from models.fakes_sight import FakeDetector, FakeSegmenter
from tests.studio.desktop import Desktop, desktop
from tests.studio.test_hub import rows_of, until
from tests.studio.test_overlay import decode


def scene(x: int | None) -> Pixels:
    """A red square on grey, its left edge at ``x``, or none."""
    picture = np.full((120, 160, 3), 70, np.uint8)
    if x is not None:
        picture[40:70, x : x + 30] = (0, 0, 255)
    return picture


def with_segmenter(engines: Engines) -> Engines:
    return replace(engines, segmenter=Lane("segmenter", FakeSegmenter))


@asynccontextmanager
async def watching(folder: Path, x: int | None = 20) -> AsyncIterator[Desktop]:
    """A session whose camera shows the scene, and which can follow."""
    async with desktop(folder, engines=with_segmenter) as here:
        here.stage.glasses.see(scene(x))
        await asyncio.sleep(1)
        yield here


async def look(here: Desktop, after: str = "") -> Mapping[str, Any]:
    return await here.do("look", wearer="ada", after=after)


async def test_the_picture_comes_while_nothing_is_followed(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        told = await look(here)
        picture = told["picture"]
        assert (told["tracks"], told["watches"]) == ([], [])
        assert (picture["width"], picture["height"], picture["overlays"]) == (160, 120, [])
        shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["jpeg"]), np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None and shown[55, 35] == pytest.approx([0, 0, 255], abs=12)
        assert 0 <= told["age_ms"] <= 200, "five pictures a second"
        here.stage.glasses.see(None)
        await asyncio.sleep(0.3)
        last = await look(here)
        await asyncio.sleep(3)
        again = await look(here, after=last["picture"]["key"])
        assert "picture" not in again, "it has that one"
        assert again["age_ms"] - last["age_ms"] == pytest.approx(3000, abs=50)


async def test_without_a_picture_there_is_none(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        assert await look(here) == {"tracks": [], "watches": [], "picture": None}
        with pytest.raises(NoView):
            await here.do("follow", wearer="ada", x=0.5, y=0.5)


async def test_a_click_is_followed_lost_found_and_let_go(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        key = (await look(here))["picture"]["key"]
        assert await here.do("follow", wearer="ada", picture=key, x=35 / 160, y=55 / 120) == {"object": 1, "label": ""}
        here.stage.glasses.see(scene(60))
        await asyncio.sleep(0.5)
        told = await look(here)
        assert told["tracks"] == [{"id": 1, "label": "", "state": "followed", "sure": True, "unseen_ms": 0}]
        (overlay,) = told["picture"]["overlays"]
        assert overlay["box"] == [60, 40, 90, 70]
        assert decode(overlay["rle"]["size"], overlay["rle"]["counts"]).sum() == 900
        here.stage.glasses.see(scene(None))
        await asyncio.sleep(2)
        told = await look(here)
        assert told["tracks"][0]["state"] == "lost"
        assert told["tracks"][0]["unseen_ms"] == pytest.approx(2000, abs=300)
        (overlay,) = told["picture"]["overlays"]
        assert "rle" not in overlay and overlay["box"] == [60, 40, 90, 70], "where it was seen last"
        here.stage.glasses.see(scene(62))
        await asyncio.sleep(1)
        assert (await look(here))["tracks"][0]["state"] == "followed"
        assert await here.do("unfollow", wearer="ada", id=1) == {"stopped": 1}
        assert (await look(here))["tracks"] == []
        assert [event.change for event in here.stage.of(TrackChanged)] == ["started", "lost", "found", "ended"]


async def test_a_click_means_the_picture_that_was_shown(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        key = (await look(here))["picture"]["key"]
        here.stage.glasses.see(scene(100))  # it has jumped while the developer aimed
        await asyncio.sleep(0.5)
        await here.do("follow", wearer="ada", picture=key, x=35 / 160, y=55 / 120)
        await asyncio.sleep(0.5)
        assert (await look(here))["picture"]["overlays"][0]["box"] == [100, 40, 130, 70]


async def test_the_segmenter_never_goes_back(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        key = (await look(here))["picture"]["key"]
        await here.do("follow", wearer="ada", picture=key, x0=0.1, y0=0.3, x1=0.35, y1=0.6)
        here.stage.glasses.see(scene(30))
        await asyncio.sleep(1)
        looked = here.stage.session.eyes.looked
        assert looked is not None
        second = await here.do("follow", wearer="ada", picture=key, x=45 / 160, y=55 / 120)
        track = here.stage.session.eyes.tracks[-1]
        assert track.object_id == second["object"]
        assert track.t_ns >= looked.t_ns


async def test_the_detector_gives_it_its_name(tmp_path: Path) -> None:
    def with_both(engines: Engines) -> Engines:
        return replace(with_segmenter(engines), detector=Lane("detector", FakeDetector))

    async with desktop(tmp_path, engines=with_both) as here:
        here.stage.glasses.see(scene(20))
        await asyncio.sleep(0.5)
        clicked = await here.do("follow", wearer="ada", x=35 / 160, y=55 / 120)
        assert clicked == {"object": 1, "label": "cup"}, "red is a cup"
        dragged = await here.do("follow", wearer="ada", x0=18 / 160, y0=38 / 120, x1=52 / 160, y1=72 / 120, label="mine")
        assert dragged["label"] == "mine"
        assert await here.do("follow", wearer="ada", x=0.9, y=0.1) == {"object": 3, "label": ""}, "grey is nothing"


async def test_few_pictures_are_kept_for_clicks(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        for _ in range(3 * SHOWN):
            await look(here)
            await asyncio.sleep(0.2)
        live = here.studio._wearers["ada"].live
        assert len(live._shown) == SHOWN


async def test_watches_are_listed_and_ended(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        number = here.stage.session.eyes.watch(WatchRule(Watched.MOVES, words="tell me when anything moves"))
        row = {"id": number, "what": "moves", "label": "", "words": "tell me when anything moves", "object": None}
        assert (await look(here))["watches"] == [row]
        await here.do("unwatch", wearer="ada", id=number)
        assert (await look(here))["watches"] == []


@pytest.mark.parametrize(
    ("name", "arguments", "error", "why"),
    [
        ("follow", {"x": 1.2, "y": 0.5}, UsageError, "between 0 and 1"),
        ("follow", {"x": 0.5}, UsageError, "y: must be a number"),
        ("follow", {"x": float("nan"), "y": 0.5}, UsageError, "x: must be a number"),
        ("follow", {"x0": 0.5, "y0": 0.5, "x1": 0.5, "y1": 0.9}, InputError, "empty"),
        ("follow", {"x0": 0.5, "y0": 0.5, "x1": 0.9}, UsageError, "y1"),
        ("follow", {"x": 0.5, "y": 0.5, "label": "a" * 61}, UsageError, "60"),
        ("follow", {"x": 0.5, "y": 0.5, "picture": 7}, UsageError, "picture"),
        ("unfollow", {}, UsageError, "id"),
        ("unfollow", {"id": 1.5}, UsageError, "whole"),
        ("unwatch", {"id": 0}, UsageError, "id"),
        ("look", {"wearer": "bob"}, UsageError, "bob"),
    ],
)
async def test_nonsense_is_refused(
    tmp_path: Path, name: str, arguments: dict[str, Any], error: type[Exception], why: str
) -> None:
    async with watching(tmp_path) as here:
        with pytest.raises(error, match=why):
            await here.studio.command(name, {"wearer": "ada", **arguments})


async def test_without_a_segmenter_a_click_says_so(tmp_path: Path) -> None:
    async with desktop(tmp_path) as here:
        here.stage.glasses.see(scene(20))
        await asyncio.sleep(0.5)
        with pytest.raises(EngineMissing, match="segmenter"):
            await here.do("follow", wearer="ada", x=0.2, y=0.5)


async def test_mask_events_do_not_fill_the_log(tmp_path: Path) -> None:
    async with watching(tmp_path) as here:
        await here.do("follow", wearer="ada", x=35 / 160, y=55 / 120)
        await asyncio.sleep(3)
        assert here.stage.of(MaskSeen)
        here.studio.event("ada", TrackChanged(t_ns=0, object=9, label="last", change="lost"))
        kinds: list[tuple[str, str | None]] = []
        async with aclosing(rows_of(here.studio)) as rows:
            while not kinds or kinds[-1] != ("track", "last"):
                row = (await until(rows, lambda row: "row" in row))["row"]
                kinds.append((row["event"], row.get("label")))
    assert ("track", "") in kinds
    assert "mask" not in dict(kinds)


async def test_what_watches_kept_is_found_by_name_alone(tmp_path: Path) -> None:
    folder, other = tmp_path / "events" / "1200-door", tmp_path / "events" / "secret"
    for made in (folder, other):
        made.mkdir(parents=True)
        (made / "clip.mp4").write_bytes(b"film")
    (folder / "report.txt").write_text("the door opened")
    (folder / "keys.pem").write_text("not of the kinds that are written")
    (folder / "link.txt").symlink_to(other / "clip.mp4")
    async with desktop(tmp_path) as here:
        assert here.studio.kept("1200-door") == {}, "nobody has told of it"
        here.studio.event("ada", WatchFired(t_ns=0, watch=1, words="", text="The door opened.", folder=str(folder)))
        here.studio.event("ada", WatchFired(t_ns=0, watch=1, words="", text="Nothing is kept.", folder=""))
        assert here.studio.kept("1200-door") == {name: folder / name for name in ("clip.mp4", "report.txt")}
        for name in ("secret", "../secret", "..", ".", "", str(other), "1200-door/../secret"):
            assert here.studio.kept(name) == {}
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        assert here.studio.kept("1200-door") == {}, "the quota took it"


def test_a_large_mask_is_thinned_out() -> None:
    bits = np.zeros((1080, 1920), bool)
    bits[300:600, 600:1200] = True
    track = Track(3, "cup", TrackState.FOLLOWED, Box(600, 300, 1200, 600), (1920, 1080), 0, 0, Mask(3, bits, 0.9), sure=False)
    overlay = track_overlay(track, 640)
    assert overlay["rle"]["size"] == [360, 640]
    assert (decode(**overlay["rle"]) == bits[::3, ::3]).all()
    assert {key: overlay[key] for key in ("kind", "id", "label", "state", "sure")} == {
        "kind": "track",
        "id": 3,
        "label": "cup",
        "state": "followed",
        "sure": False,
    }
