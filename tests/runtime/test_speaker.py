"""The speaker queue: gapless, bounded, flushable, and it knows to the sample what was played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from edge.runtime.speaker import Playback, Speaker
from edge.values import SAMPLE_RATE, Pcm, SpeechChunk, WordMark


class Ear:
    """A loudspeaker that notes when it was given what."""

    def __init__(self) -> None:
        self.given: list[tuple[float, Pcm]] = []
        self.unplayed = 0
        self.speaker = Speaker(self.play, self.flush)

    def play(self, pcm: Pcm) -> None:
        self.given.append((asyncio.get_running_loop().time(), pcm))

    def flush(self) -> int:
        return self.unplayed

    @property
    def sound(self) -> Pcm:
        return np.concatenate([pcm for _, pcm in self.given])


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(ear.speaker.run())
    yield ear
    ear.speaker.queue.close()
    ear.speaker.flush()
    await task


def words(count: int, size: int = 1600) -> SpeechChunk:
    marks = tuple(WordMark(f"w{number}", number * size, (number + 1) * size) for number in range(count))
    return SpeechChunk(np.arange(1, count * size + 1, dtype=np.int16), marks)


async def test_plays_what_it_was_given_to_the_sample_at_the_pace_of_sound(ear: Ear) -> None:
    loop = asyncio.get_running_loop()
    playback = Playback(SAMPLE_RATE * 10)
    playback.begin()
    chunk = words(5)
    ear.speaker.give(playback)
    began = loop.time()
    playback.put(chunk)
    playback.close()
    await playback.finished.wait()
    assert np.array_equal(ear.sound[: len(chunk.pcm)], chunk.pcm)
    assert loop.time() - began == pytest.approx(0.5)
    assert playback.played == len(chunk.pcm)
    assert playback.heard() == "w0 w1 w2 w3 w4"
    assert playback.first_at == began
    gaps = {round(b[0] - a[0], 6) for a, b in zip(ear.given[1:], ear.given[2:], strict=False)}
    assert gaps == {0.02}


async def test_a_flush_in_the_middle_of_a_word_leaves_the_words_before_it(ear: Ear) -> None:
    playback = Playback(SAMPLE_RATE * 10)
    playback.begin()
    playback.put(words(10))
    ear.speaker.give(playback)
    await asyncio.sleep(0.35)
    ear.unplayed = 320
    ear.speaker.flush()
    assert playback.cut
    assert playback.heard() == "w0 w1 w2"
    before = len(ear.given)
    await asyncio.sleep(0.5)
    assert len(ear.given) == before, "nothing comes after a flush"
    await playback.finished.wait()


async def test_the_voice_is_held_back_when_the_queue_is_full(ear: Ear) -> None:
    playback = Playback(SAMPLE_RATE // 2)
    playback.begin()
    added = 0

    async def speak() -> None:
        nonlocal added
        for _ in range(40):
            await playback.room()
            playback.put(SpeechChunk(np.ones(1600, np.int16)))
            added += 1
        playback.close()

    task = asyncio.create_task(speak())
    await asyncio.sleep(0.01)
    assert added == 5, "half a second waits, no more"
    ear.speaker.give(playback)
    await playback.finished.wait()
    await task
    assert playback.played == 40 * 1600


async def test_a_cut_frees_a_voice_that_waits() -> None:
    playback = Playback(320)
    playback.put(SpeechChunk(np.ones(640, np.int16)))
    waiting = asyncio.create_task(playback.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    playback.stop()
    await waiting
    assert playback.written == 640


async def test_after_an_underrun_the_timeline_begins_anew(ear: Ear) -> None:
    loop = asyncio.get_running_loop()
    playback = Playback(SAMPLE_RATE)
    ear.speaker.give(playback)
    playback.put(SpeechChunk(np.ones(640, np.int16)))
    await asyncio.sleep(1.0)
    late = loop.time()
    playback.put(SpeechChunk(np.ones(640, np.int16)))
    playback.close()
    await playback.finished.wait()
    assert [round(at - late, 3) for at, _ in ear.given[2:]] == [0.0, 0.0]
    assert loop.time() - late == pytest.approx(0.04)


async def test_two_playbacks_follow_each_other(ear: Ear) -> None:
    first, second = Playback(SAMPLE_RATE), Playback(SAMPLE_RATE)
    first.put(SpeechChunk(np.full(3200, 1, np.int16)))
    second.put(SpeechChunk(np.full(3200, 2, np.int16)))
    first.close()
    second.close()
    ear.speaker.give(first)
    ear.speaker.give(second)
    await second.finished.wait()
    assert list(np.unique(ear.sound)) == [1, 2]
    assert first.played == second.played == 3200


async def test_what_nobody_plays_is_cut_when_too_much_waits() -> None:
    ear = Ear()
    playbacks = [Playback(320) for _ in range(9)]
    assert [ear.speaker.give(playback) for playback in playbacks] == [True] * 8 + [False]
    assert playbacks[8].cut


async def test_a_held_reply_goes_on_at_the_sample_where_it_was_last_heard(ear: Ear) -> None:
    playback = Playback(SAMPLE_RATE * 10)
    chunk = words(10)
    playback.put(chunk)
    playback.close()
    ear.speaker.give(playback)
    await asyncio.sleep(0.35)
    ear.unplayed = 500
    ear.speaker.hold("speech")
    handed = len(ear.sound)
    assert playback.played == handed - 500
    ear.speaker.hold("absent")
    await asyncio.sleep(1.0)
    ear.speaker.release("speech")
    await asyncio.sleep(1.0)
    assert len(ear.sound) == handed, "the other still holds"
    ear.speaker.release("absent")
    await playback.finished.wait()
    heard = np.concatenate([ear.sound[: handed - 500], ear.sound[handed:]])
    assert np.array_equal(heard[: len(chunk.pcm)], chunk.pcm)
    assert playback.played == len(chunk.pcm)


async def test_a_hold_after_the_last_sample_was_handed_over_takes_back_what_was_not_heard(ear: Ear) -> None:
    ear.speaker.sink_delay_s = 0.2
    playback = Playback(SAMPLE_RATE)
    playback.put(words(1))
    playback.close()
    ear.speaker.give(playback)
    await asyncio.sleep(0.15)
    ear.unplayed = 800
    ear.speaker.hold("speech")
    assert playback.played == 800 and not playback.finished.is_set()
    ear.unplayed = 0
    ear.speaker.release("speech")
    await playback.finished.wait()
    assert playback.played == 1600


async def test_a_reply_that_is_held_can_be_cut(ear: Ear) -> None:
    playback = Playback(SAMPLE_RATE)
    playback.put(words(5))
    ear.speaker.give(playback)
    await asyncio.sleep(0.1)
    ear.speaker.hold("speech")
    ear.speaker.flush()
    ear.speaker.release("speech")
    await playback.finished.wait()
    following = Playback(SAMPLE_RATE)
    following.put(words(1))
    following.close()
    ear.speaker.give(following)
    await following.finished.wait()
    assert following.played == 1600
