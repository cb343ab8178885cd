"""Running sound into utterances: each word once, whatever is cut, and no failure that outlives its utterance."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import EngineHung, NearsightError
from edge.policy.agreement import LocalAgreement
from edge.policy.source_words import Heard
from edge.ports import Recogniser, RecogniserStream, Stop
from edge.runtime.engines import Ears
from edge.runtime.lane import Lane
from edge.runtime.streaming import Streaming, StreamingRecogniser
from edge.runtime.utterances import Began, Cutting, Ended, Utterances, Words
from edge.runtime.virtual import VirtualLoop
from edge.values import CHUNK_SAMPLES, AudioChunk, EngineInfo, Pcm, Transcript, Word, samples
from models.fakes import FakeRecogniser, FakeVoiceActivity, silence, tone
from models.fakes_speech import ScriptedDecoder, Slips, heard, said, spoken

TEXT = "where is the next train to the airport please tell me now"
USUAL = Cutting()
SHORT = Cutting(soft=4.0, hard=7.0)
"""Cut early, so that short scripts are cut too."""


class Looking:
    """Hears a script's words in ``said`` sound, as far as they were heard; settles nothing. Fails where told to."""

    def __init__(self, script: Sequence[Word], *, confidence: float = 1.0) -> None:
        self.decoder = ScriptedDecoder(script, Slips(jitter=200, cut=True))
        self.confidence = confidence
        self.fails: dict[str, int] = {}
        """By call (``stream``, ``accept``, ``final``): how many of them succeed before one fails."""
        self.streams: list[_Looking] = []
        self.asked: list[tuple[str, ...]] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("looking", "0")

    def open(self) -> None: ...

    def close(self) -> None: ...

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        self.step("stream")
        self.asked.append(tuple(languages))
        self.streams.append(_Looking(self))
        return self.streams[-1]

    def step(self, call: str) -> None:
        assert threading.current_thread() is not threading.main_thread(), "an engine ran on the event loop"
        if call in self.fails:
            self.fails[call] -= 1
            if self.fails[call] < 0:
                del self.fails[call]
                raise ValueError(f"no {call} today")


class _Looking:
    def __init__(self, engine: Looking) -> None:
        self.engine = engine
        self.sound: list[Pcm] = []
        self.closed = 0

    def accept(self, pcm: Pcm) -> Transcript | None:
        assert not self.closed
        self.engine.step("accept")
        self.sound.append(pcm)
        return self._view()

    def final(self, stop: Stop) -> Transcript:
        self.engine.step("final")
        return self._view(final=True)

    def close(self) -> None:
        self.closed += 1

    def _view(self, *, final: bool = False) -> Transcript:
        start, end = heard(np.concatenate(self.sound))
        found = [word for segment in self.engine.decoder.between(start, end).segments for word in segment.words]
        words = tuple(Word(w.text, w.start, w.end, self.engine.confidence) for w in found)
        return Transcript(" ".join(w.text for w in words), words, self.engine.confidence, final, "looking", language="en")


class Scene:
    """Utterances over a recogniser, with all that they told."""

    def __init__(self, engine: Recogniser, cutting: Cutting = USUAL, **more: float) -> None:
        self.lane: Lane[Recogniser] = Lane("recogniser", lambda: engine, **more)
        self.ears = Ears(None, FakeVoiceActivity())
        self.told: list[Began | Words | Ended] = []
        self.failed: list[NearsightError] = []
        self.utterances = Utterances(self.lane, self.told.append, self.failed.append, languages=("en-GB",), cutting=cutting)
        self.at = 0

    async def hear(self, pcm: Pcm, after: float = 1.0) -> None:
        pcm = np.concatenate([pcm, silence(after)])
        for at in range(0, len(pcm), CHUNK_SAMPLES):
            chunk = AudioChunk(pcm[at : at + CHUNK_SAMPLES], self.at)
            self.at = chunk.end
            await self.utterances.hear(self.ears.hear(chunk, voice=True))

    @property
    def ended(self) -> list[Ended]:
        return [event for event in self.told if isinstance(event, Ended)]

    @property
    def texts(self) -> list[str]:
        return [" ".join(word.text for word in event.heard.committed) for event in self.ended]

    @property
    def words(self) -> list[Word]:
        return [word for event in self.ended for word in event.heard.committed]


@asynccontextmanager
async def scene(engine: Recogniser, cutting: Cutting = USUAL, **more: float) -> AsyncIterator[Scene]:
    made = Scene(engine, cutting, **more)
    try:
        yield made
    finally:
        await made.lane.close()
    _consistent(made.told)


def _consistent(told: Sequence[Began | Words | Ended]) -> None:
    """Began, any Words, Ended; what stands in an utterance is never taken back, and each word comes after the one before."""
    stands: tuple[Word, ...] | None = None
    for event in told:
        match event:
            case Began():
                assert stands is None
                stands = ()
            case Words() | Ended():
                assert stands is not None and event.heard.committed[: len(stands)] == stands
                stands = event.heard.committed if isinstance(event, Words) else None
                assert not (isinstance(event, Ended) and event.heard.tail)
    words = [word for event in told if isinstance(event, Ended) for word in event.heard.committed]
    assert all(a.end <= b.start < b.end for a, b in itertools.pairwise(words))


def streaming(script: Sequence[Word]) -> Recogniser:
    settings = Streaming(languages=("en",))
    return StreamingRecogniser(ScriptedDecoder(script), LocalAgreement, FakeVoiceActivity(), settings, clock=lambda: 0.0)


ENGINES: dict[str, Callable[[Sequence[Word]], Recogniser]] = {"looking": Looking, "streaming": streaming}


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
async def test_words_stand_while_one_speaks_and_a_pause_ends_it(make: Callable[[Sequence[Word]], Recogniser]) -> None:
    script = spoken(TEXT, 1.0)
    async with scene(make(script)) as now:
        await now.hear(said(script, script[-1].end))
        assert now.texts == [TEXT]
        began, *words, ended = now.told
        assert isinstance(began, Began) and began.at == samples(0.6)
        assert isinstance(ended, Ended) and ended.at - script[-1].end == pytest.approx(samples(0.6), abs=samples(0.03))
        assert ended.level_db == pytest.approx(-18.0, abs=1.5) and ended.confidence == 1.0
        early = [event for event in words if isinstance(event, Words) and event.heard.committed]
        assert len(early[-1].heard.committed) > 6 and early[0].at < samples(4)
        assert [word.start for word in ended.heard.committed] == pytest.approx([w.start for w in script], abs=300)


async def test_two_utterances_and_what_the_recogniser_is_told_of_their_language() -> None:
    script = [*spoken("good morning", 0.5), *spoken("and you", 3.0)]
    engine = Looking(script)
    async with scene(engine) as now:
        await now.hear(said(script, script[-1].end))
        assert now.texts == ["good morning", "and you"]
        assert engine.asked == [("en-GB",)] * 2 and [stream.closed for stream in engine.streams] == [1, 1]
        assert [event.language for event in now.ended] == ["en", "en"]


async def test_a_recogniser_without_words_or_times() -> None:
    async with scene(FakeRecogniser(["turn left here"], seconds=1.5)) as now:
        await now.hear(np.concatenate([silence(0.5), tone(1.5)]))
        assert now.texts == ["turn left here"]
        assert all(samples(0.1) <= word.start < word.end <= samples(2.7) for word in now.words)
        assert any(isinstance(event, Words) and event.heard.words for event in now.told)


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
async def test_speech_without_a_pause_is_cut_and_no_word_is_lost_or_doubled(
    make: Callable[[Sequence[Word]], Recogniser],
) -> None:
    script = [Word(f"w{at}", w.start, w.end) for at, w in enumerate(spoken("x " * 190, 0.5, word=0.33, gap=0.0))]
    async with scene(make(script)) as now:
        await now.hear(said(script, script[-1].end))
        assert [word.text for word in now.words] == [word.text for word in script]
        began = [event.at for event in now.told if isinstance(event, Began)]
        assert len(began) == 3 and max(b - a for a, b in itertools.pairwise(began)) <= samples(28)


async def test_a_long_utterance_is_cut_in_its_small_pauses() -> None:
    script: list[Word] = []
    for phrase in range(12):
        script += spoken("one two three four five six seven", 0.5 + 2.75 * phrase, gap=0.05)
    async with scene(Looking(script)) as now:
        await now.hear(said(script, script[-1].end))
        assert len(now.ended) == 2 and now.texts[0].endswith("seven") and now.texts[1].startswith("one")
        assert samples(15) < now.ended[0].at < samples(26)
        assert [word.text for word in now.words] == [word.text for word in script]


@settings(max_examples=12)
@given(st.integers(0, 10**9), st.sampled_from(sorted(ENGINES)))
def test_each_word_comes_once_whatever_the_pauses_are(seed: int, name: str) -> None:
    chance = random.Random(seed)
    script, at = [], 0.4
    for index in range(60):
        end = at + chance.uniform(0.26, 0.6)  # a streaming recogniser wants a quarter of a second of speech
        script.append(Word(f"w{index}", samples(at), samples(end)))
        at = end + chance.choice((0.0, 0.0, 0.0, 0.02, 0.1, 0.3, 1.2) if chance.random() < 0.5 else (0.0,))

    async def run() -> None:
        async with scene(ENGINES[name](script), SHORT) as now:
            await now.hear(said(script, script[-1].end))
            assert [word.text for word in now.words] == [word.text for word in script]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("call", ["stream", "accept", "final"])
async def test_an_error_costs_the_utterance_and_no_more(call: str) -> None:
    script = [*spoken(TEXT, 0.5), *spoken("and again", 7.0), *spoken("the last", 10.0)]
    engine = Looking(script)
    engine.fails[call] = 30 if call == "accept" else 1
    async with scene(engine) as now:
        await now.hear(said(script, script[-1].end))
        assert len(now.failed) == 1 and f"no {call} today" in now.failed[0].text
        if call == "accept":
            assert TEXT.startswith(now.texts[0]) and 3 < len(now.texts[0].split()) < 12 and now.ended[0].confidence == 0
            assert now.texts[1:] == ["and again", "the last"]
        elif call == "stream":
            assert now.texts == [TEXT, "the last"], "not begun again before the pause"
        else:
            assert now.texts == [TEXT, "and again", "the last"], "what stood before the end is told"
            assert [event.confidence for event in now.ended] == [1.0, 0.0, 1.0]
        assert all(stream.closed == 1 for stream in engine.streams)


async def test_an_engine_that_hangs_is_replaced_and_the_next_utterance_goes_on() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    slow = FakeRecogniser(["lost", "heard"], cost=60.0, seconds=1.0, spend=loop.spend)
    async with scene(slow, time_limit=5.0) as now:
        await now.hear(np.concatenate([silence(0.5), tone(1.0)]))
        assert isinstance(now.failed[0], EngineHung) and now.ended[0].confidence == 0.0
        slow.cost = 0.0
        await now.hear(tone(1.0))
        assert now.texts[-1] == "heard" and len(now.failed) == 1


async def test_given_up_is_untold_and_so_is_the_rest_of_it() -> None:
    script = [*spoken(TEXT, 0.5), *spoken("the next one", 6.0)]
    engine = Looking(script)
    pcm = said(script, script[-1].end)
    async with scene(engine) as now:
        await now.hear(pcm[: samples(2.5)], after=0.0)
        await now.utterances.abandon()
        assert engine.streams[0].closed == 1
        before = len(now.told)
        await now.hear(pcm[samples(2.5) :])
        now.told[:before] = []
        assert now.texts == ["the next one"]


async def test_the_end_of_the_sound_and_a_gap_in_it_end_an_utterance() -> None:
    script = spoken(TEXT, 0.5)
    pcm = said(script, script[-1].end)
    async with scene(Looking(script)) as now:
        await now.hear(pcm[: script[4].end + 400], after=0.0)
        now.at += samples(3)
        await now.hear(pcm[script[4].end + 400 :], after=0.0)
        assert len(now.ended) == 1 and now.texts[0].split() == TEXT.split()[:5]
        await now.utterances.finish()
        assert len(now.ended) == 2 and now.texts[1].split()[-3:] == ["tell", "me", "now"]
        await now.utterances.finish()
        assert len(now.ended) == 2


async def test_silence_and_clicks_are_no_utterance() -> None:
    engine = Looking([])
    async with scene(engine) as now:
        for _ in range(5):
            await now.hear(tone(0.05))
        await now.utterances.finish()
        assert not now.told and not engine.streams


async def test_words_where_nobody_speaks_are_not_believed() -> None:
    script = [*spoken("in here", 1.0), Word("breath", samples(1.9), samples(2.1))]
    silent = said(script[:2], samples(3))
    async with scene(Looking(script)) as now:
        await now.hear(silent)
        assert now.texts == ["in here"]


async def test_what_the_recogniser_does_not_believe_has_no_words() -> None:
    script = spoken("eh", 0.5)
    async with scene(Looking(script, confidence=0.1)) as now:
        await now.hear(said(script, script[-1].end))
        assert [event.heard for event in now.ended] == [Heard()] and now.ended[0].confidence == pytest.approx(0.1)


def test_the_longer_an_utterance_the_shorter_the_pause_that_ends_it() -> None:
    cutting = Cutting()
    assert [cutting.enough(lasted) for lasted in (0.0, 15.0, 28.0, 60.0)] == pytest.approx([0.6, 0.6, 0.1, 0.1])
    assert cutting.enough(20.0) > cutting.enough(22.0)
