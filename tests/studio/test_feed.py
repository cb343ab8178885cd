"""The feed: serial numbers, a bounded past, and readers who are slow, late or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

from edge.studio import feed as module
from edge.studio.feed import HISTORY, PICTURES, WAITING, Feed

Rows = AsyncGenerator[Mapping[str, Any], None]


class Watch:
    def __init__(self) -> None:
        self.said: list[bool] = []

    def __call__(self, watched: bool) -> None:
        self.said.append(watched)


def read(feed: Feed, since: int = 0) -> Rows:
    return cast(Rows, feed.read(since, lambda: {"household": {}}))


async def take(rows: Rows, count: int) -> list[Mapping[str, Any]]:
    return [await anext(rows) for _ in range(count)]


async def test_a_reader_gets_the_greeting_the_past_and_then_what_comes() -> None:
    feed = Feed(Watch())
    feed.put({"row": "a"})
    async with aclosing(read(feed)) as rows:
        assert await take(rows, 2) == [{"n": 0, "household": {}}, {"n": 1, "row": "a"}]
        feed.put({"row": "b"})
        assert await take(rows, 1) == [{"n": 2, "row": "b"}]


async def test_a_reader_who_comes_back_goes_on_behind_its_last_row() -> None:
    feed = Feed(Watch())
    for name in "abc":
        feed.put({"row": name})
    async with aclosing(read(feed, since=2)) as rows:
        assert [row["n"] for row in await take(rows, 2)] == [2, 3]


async def test_a_number_that_was_never_given_counts_as_none() -> None:
    feed = Feed(Watch())
    feed.put({"row": "a"})
    for since in (2, -1, 10**12):
        async with aclosing(read(feed, since)) as rows:
            assert [row["n"] for row in await take(rows, 2)] == [0, 1]


async def test_what_fell_out_of_the_history_is_counted() -> None:
    feed = Feed(Watch())
    for number in range(HISTORY + 30):
        feed.put({"row": number})
    async with aclosing(read(feed, since=10)) as rows:
        greeting, missed, first = await take(rows, 3)
    assert greeting["n"] == 10
    assert missed == {"n": 10, "missed": 20}
    assert first["n"] == 31


async def test_pictures_are_few_and_stand_in_their_place() -> None:
    feed = Feed(Watch())
    for number in range(2 * PICTURES):
        feed.put({"row": number})
        feed.put({"frame": number}, picture=True)
    async with aclosing(read(feed)) as rows:
        got = (await take(rows, 1 + 2 * PICTURES + PICTURES))[1:]
    assert [row["n"] for row in got] == sorted(row["n"] for row in got)
    assert [row["frame"] for row in got if "frame" in row] == list(range(PICTURES, 2 * PICTURES))


async def test_a_slow_reader_loses_its_oldest_rows_and_is_told_how_many() -> None:
    feed = Feed(Watch())
    async with aclosing(read(feed)) as slow, aclosing(read(feed)) as quick:
        await take(slow, 1)
        await take(quick, 1)
        seen = []
        for number in range(WAITING + 7):
            feed.put({"row": number})
            seen += await take(quick, 1)
        told, row = await take(slow, 2)
    assert told == {"n": 8, "missed": 7}
    assert row == {"n": 8, "row": 7}
    assert [row["row"] for row in seen] == list(range(WAITING + 7)), "one slow reader costs the others nothing"


async def test_meters_pass_through_and_are_not_kept() -> None:
    feed = Feed(Watch())
    feed.put({"row": "a"})
    async with aclosing(read(feed)) as rows:
        await take(rows, 2)
        feed.pass_on({"meters": {}})
        assert await take(rows, 1) == [{"n": 1, "meters": {}}]
    async with aclosing(read(feed, since=1)) as rows:
        await take(rows, 1)
        feed.put({"row": "b"})
        assert (await take(rows, 1))[0]["row"] == "b"


async def test_it_is_told_when_somebody_looks_and_when_nobody_does() -> None:
    watch = Watch()
    feed = Feed(watch)
    async with aclosing(read(feed)) as one, aclosing(read(feed)) as two:
        await take(one, 1)
        await take(two, 1)
        assert watch.said == [True]
    assert watch.said == [True, False]


async def test_closing_ends_readers_old_and_new() -> None:
    feed = Feed(Watch())
    feed.put({"row": "a"})

    async def all_of() -> list[Mapping[str, Any]]:
        async with aclosing(read(feed)) as rows:
            return [row async for row in rows]

    reading = asyncio.create_task(all_of())
    await asyncio.sleep(0.01)
    feed.close()
    assert len(await reading) == 2
    assert await all_of() == []
    feed.put({"row": "b"})


def test_the_bounds_are_those_of_the_plan() -> None:
    assert (module.HISTORY, module.WAITING <= module.HISTORY) == (2000, True)
