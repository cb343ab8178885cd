"""PocketSphinx while somebody speaks: the words of its partials, and what of them stands for a translation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge.policy.source_words import SourceWords
from edge.ports import Recogniser, Stop
from edge.runtime.engines import Ears
from edge.runtime.lane import Lane
from edge.runtime.utterances import Began, Ended, Utterances, Words
from edge.values import CHUNK_SAMPLES, AudioChunk, Pcm, Transcript, Word, samples
from models.silero import Silero
from models.sphinx import PocketSphinx
from phone_bridge.media import read_audio
from tests.models.contract import chunks
from tests.models.sounds import flite, hiss
from tests.shared import shared

LOOK = samples(0.1)
FIRST, SECOND = "the weather is very good today", "we went to the station"


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinx:
    engine = PocketSphinx()
    engine.open()
    return engine


@pytest.fixture(scope="module")
def speech() -> Pcm:
    """Two sentences with half a second between them."""
    return np.concatenate([flite(FIRST, tail=0.3), flite(SECOND, lead=0.2, tail=0.7)])


@pytest.fixture(scope="module")
def live(sphinx: PocketSphinx, speech: Pcm) -> tuple[list[tuple[int, Transcript | None]], Transcript]:
    """What each tenth of a second brings, with where the sound was, and the final."""
    stream = sphinx.stream()
    looks = [(LOOK * at, stream.accept(piece)) for at, piece in enumerate(chunks(speech, LOOK), 1)]
    final = stream.final(Stop())
    stream.close()
    return looks, final


def test_partials_have_words_with_times_and_a_pause_settles_them(
    live: tuple[list[tuple[int, Transcript | None]], Transcript],
) -> None:
    looks, final = live
    settled: tuple[Word, ...] = ()
    counts = []
    for at, partial in looks:
        if partial is None:
            continue
        assert partial.text == " ".join(word.text for word in partial.words)
        assert all(a.end <= b.start for a, b in itertools.pairwise(partial.words))
        assert all(0 <= word.start < word.end <= at for word in partial.words)
        assert partial.words[: len(settled)] == settled
        settled = partial.words[: partial.settled]
        counts.append(partial.settled)
    assert {0, 6, 11} == set(counts), "each sentence when its pause comes"
    assert final.words == settled
    assert final.text == f"{FIRST} {SECOND}"


def test_words_stand_soon_after_they_were_said(live: tuple[list[tuple[int, Transcript | None]], Transcript]) -> None:
    looks, final = live
    source = SourceWords()
    now, delays = Transcript(""), list[int]()
    for at, partial in looks:
        now = partial or now
        heard = source.partial(now, at)
        delays += [at - word.end for word in heard.committed[len(delays) :]]
    heard = source.final(final, looks[-1][0])
    assert " ".join(word.text for word in heard.committed) == f"{FIRST} {SECOND}"
    assert len(delays) == 11
    assert np.median(delays) <= samples(0.8) and max(delays) <= samples(2.0)


def test_with_commands_nothing_is_settled_before_the_end(sphinx: PocketSphinx, speech: Pcm) -> None:
    stream = sphinx.stream(phrases=("what time is it",))
    partials = [partial for piece in chunks(speech[: samples(3)], LOOK) if (partial := stream.accept(piece))]
    stream.close()
    assert len(partials[-1].words) >= 6 and not any(partial.settled for partial in partials)


async def _heard(pcm: Pcm) -> list[Began | Words | Ended]:
    ears = Ears(None, Silero())
    ears.open()
    lane: Lane[Recogniser] = Lane("recogniser", PocketSphinx)
    told: list[Began | Words | Ended] = []
    failed: list[Exception] = []
    utterances = Utterances(lane, told.append, failed.append, languages=("en",))
    try:
        for at in range(0, len(pcm), CHUNK_SAMPLES):
            await utterances.hear(ears.hear(AudioChunk(pcm[at : at + CHUNK_SAMPLES], at), voice=True))
        await utterances.finish()
    finally:
        await lane.close()
        ears.close()
    assert not failed
    return told


async def test_speech_through_voice_activity(speech: Pcm) -> None:
    told = await _heard(np.concatenate([hiss(0.6), speech, hiss(0.4)]))
    ended = [event for event in told if isinstance(event, Ended)]
    assert " ".join(word.text for event in ended for word in event.heard.committed) == f"{FIRST} {SECOND}"
    assert all(event.confidence > 0.3 and -40 < event.level_db < -6 for event in ended)
    early = [event for event in told if isinstance(event, Words)]
    assert any(event.heard.committed for event in early) and any(event.heard.tail for event in early)


async def test_noise_gets_no_words() -> None:
    noises = [read_audio(shared(f"noise/{name}.wav"))[: samples(6)] for name in ("noise1", "noise2", "noise3", "kitchen")]
    told = await _heard(np.concatenate(noises))
    assert not any(event.heard.words for event in told if isinstance(event, Words | Ended))
