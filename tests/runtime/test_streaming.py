"""A recogniser that streams over a decoder that hears only what has been said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoding import Decoded, DecodeRequest
from edge.policy.agreement import LocalAgreement
from edge.policy.alignatt import AlignAtt
from edge.policy.echo import EchoGate
from edge.policy.settling import LONGEST, StreamingPolicy, normal
from edge.ports import RecogniserStream, Stop
from edge.runtime.engines import Ears
from edge.runtime.streaming import BEHIND, Streaming, StreamingRecogniser
from edge.values import CHUNK_SAMPLES, AudioChunk, Pcm, Transcript, Word, samples
from models.echo import Aec3
from models.fakes import FakeVoiceActivity, silence, tone
from models.fakes_speech import ScriptedDecoder, Slips, said, spoken
from models.kalman import KalmanEcho
from models.silero import Silero
from phone_bridge.media import read_audio
from tests.models.contract import check_recogniser, chunks
from tests.shared import index, shared

POLICIES: dict[str, Callable[[], StreamingPolicy]] = {"agreement": LocalAgreement, "alignatt": AlignAtt}
FEED = samples(0.06)
TEXT = "where is the next train to the airport please tell me now"
ENGLISH = Streaming(languages=("en",))
INVENTION = "thank you all so much and see you in the next one"


def recogniser(decoder: ScriptedDecoder, settings: Streaming = ENGLISH, policy: str = "agreement") -> StreamingRecogniser:
    engine = StreamingRecogniser(decoder, POLICIES[policy], FakeVoiceActivity(), settings, clock=lambda: 0.0)
    engine.open()
    return engine


def sound(script: Sequence[Word], after: float = 0.3) -> Pcm:
    return said(script, script[-1].end + samples(after))


def feed(stream: RecogniserStream, pcm: Pcm) -> list[Transcript]:
    return [partial for piece in chunks(pcm, FEED) if (partial := stream.accept(piece))]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("voice", [FakeVoiceActivity(), None], ids=["voice", "level"])
def test_it_keeps_the_contract_of_recognisers(policy: str, voice: FakeVoiceActivity | None) -> None:
    script = spoken(TEXT, 0.2)
    decoder = ScriptedDecoder(script, Slips(jitter=samples(0.05)))
    check_recogniser(StreamingRecogniser(decoder, POLICIES[policy], voice), sound(script), TEXT)


@pytest.mark.parametrize("policy", POLICIES)
def test_words_come_while_they_are_said_and_stand_soon(policy: str) -> None:
    script = spoken(TEXT, 0.2)
    stream = recogniser(ScriptedDecoder(script), policy=policy).stream()
    pcm = sound(script)
    first = stands = None
    for at, piece in enumerate(chunks(pcm, FEED)):
        partial = stream.accept(piece)
        if partial:
            first = first or (at + 1) * 0.06 - 0.2
            stands = stands or ((at + 1) * 0.06 - 0.2 if partial.settled else None)
    assert first is not None and first < 0.8
    assert stands is not None and stands < 2.0
    assert stream.final(Stop()).text == TEXT


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=40)
@given(
    gaps=st.lists(st.sampled_from([0.05, 0.05, 0.3, 0.8, 1.5, 6.0]), min_size=1, max_size=30),
    seed=st.integers(0, 2**16),
    hints=st.booleans(),
)
def test_any_utterance_is_told_whole(policy: str, gaps: list[float], seed: int, hints: bool) -> None:
    at, script = 0.3, []
    words = TEXT.split()
    for place, gap in enumerate(gaps):
        script += spoken(words[(seed + place * place) % len(words)], at)
        at += 0.3 + gap
    decoder = ScriptedDecoder(script, Slips(jitter=samples(0.05), flips=True, cut=True, seed=seed))
    stream = recogniser(decoder, policy=policy).stream()
    settled: tuple[str, ...] = ()
    for place, piece in enumerate(chunks(sound(script), FEED)):
        partial = stream.accept(piece)
        if hints and place % 40 == 39:
            stream.final(Stop())
        if partial:
            shown = tuple(word.text for word in partial.words)
            assert shown[: len(settled)] == settled, "what stands stays"
            settled = shown[: partial.settled]
    last = stream.final(Stop())
    assert [normal(word.text) for word in last.words] == [word.text for word in script]
    assert tuple(word.text for word in last.words)[: len(settled)] == settled
    for word, true in zip(last.words, script, strict=True):
        assert abs(word.start - true.start) <= samples(0.16)


@pytest.mark.parametrize("policy", POLICIES)
def test_where_nothing_was_heard_yet_the_next_look_comes_soon(policy: str) -> None:
    script = spoken("somewhere between the two", 0.2, word=0.6)
    decoder = ScriptedDecoder(script)
    stream = recogniser(decoder, policy=policy).stream()
    pcm = sound(script)
    told = next(at for at, piece in enumerate(chunks(pcm, FEED), 1) if stream.accept(piece))
    assert told * 0.06 - 0.2 < 0.8, "not a whole update after the look that came too early"
    assert len(decoder.asked) == 2
    feed(stream, pcm[told * FEED :])
    assert len(decoder.asked) == 3, "from then on once a second"


def test_nothing_is_decoded_without_new_speech() -> None:
    script = spoken("one two three four five", 0.2)
    decoder = ScriptedDecoder(script)
    stream = recogniser(decoder).stream()
    feed(stream, silence(2.0))
    assert not decoder.asked
    feed(stream, sound(script, 0.5))
    before = len(decoder.asked)
    assert before == 2, "after a third of a second of speech, and a second later"
    stream.final(Stop())
    feed(stream, silence(5.0))
    stream.final(Stop())
    assert len(decoder.asked) == before + 1, "the pause ends the run with what the last pass gave"
    assert [request.thorough for request in decoder.asked] == [False, False, True]


def test_after_a_pause_all_words_stand_by_one_decode() -> None:
    script = spoken("one two three", 0.2)
    decoder = ScriptedDecoder(script)
    stream = recogniser(decoder).stream()
    partials = feed(stream, sound(script, 1.5))
    assert partials[-1].text == "one two three"
    assert partials[-1].settled == 3
    assert [request.thorough for request in decoder.asked] == [False, True]
    assert stream.final(Stop()).text == "one two three"
    assert len(decoder.asked) == 2


def test_the_speaker_may_go_on_after_a_final() -> None:
    script = [*spoken("one two three", 0.2), *spoken("four five six seven eight nine", 1.6)]
    pcm = sound(script)
    decoder = ScriptedDecoder(script)
    stream = recogniser(decoder).stream()
    cut = script[2].end + samples(0.2)
    feed(stream, pcm[:cut])
    assert stream.final(Stop()).text == "one two three"
    partials = feed(stream, pcm[cut:])
    assert partials
    assert all(partial.text.startswith("one two three") for partial in partials)
    assert stream.final(Stop()).text == "one two three four five six seven eight nine"


class Listening(ScriptedDecoder):
    """Keeps what it heard last."""

    last = ""

    def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
        decoded = super().decode(pcm, request, stop)
        self.last = " ".join(word.text for word in decoded.words)
        return decoded


@pytest.mark.parametrize(("pause", "before"), [(2.0, "one two three "), (4.5, "one two three "), (6.0, "")])
def test_what_was_said_before_a_pause_is_decoded_with_what_follows_but_not_after_a_long_silence(
    pause: float, before: str
) -> None:
    script = [*spoken("one two three", 0.2), *spoken("four five six", 1.3 + pause)]
    for policy in POLICIES:
        decoder = Listening(script)
        stream = recogniser(decoder, policy=policy).stream()
        partials = feed(stream, sound(script, 1.5))
        assert partials[-1].text == "one two three four five six"
        assert partials[-1].settled == 6
        assert decoder.last == before + "four five six"
        assert decoder.asked[-1].context == ""
        assert decoder.asked[-1].prefix.startswith(before.strip()) or policy == "agreement"


def test_names_are_told_but_not_beside_a_prefix() -> None:
    script = spoken(TEXT, 0.2)
    for policy in POLICIES:
        decoder = ScriptedDecoder(script)
        stream = recogniser(decoder, Streaming(languages=("en",), hotwords="Ada Grace"), policy).stream()
        feed(stream, sound(script, 1.5))
        assert all(request.hotwords == ("" if request.prefix else "Ada Grace") for request in decoder.asked)
        assert any(request.prefix for request in decoder.asked) is (policy == "alignatt")


def test_a_stop_ends_the_last_pass_with_what_was_known() -> None:
    script = spoken(TEXT, 0.2)
    decoder = ScriptedDecoder(script)
    stream = recogniser(decoder).stream()
    partials = feed(stream, sound(script))
    count = len(decoder.asked)
    stop = Stop()
    stop.set()
    assert stream.final(stop).text == partials[-1].text
    assert len(decoder.asked) == count
    assert stream.final(Stop()).text == TEXT, "the next one does the work"


class StoppedWithin(ScriptedDecoder):
    """Is told to stop while it decodes for the last time."""

    stop: Stop

    def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
        if request.thorough:
            self.stop.set()
        return super().decode(pcm, request, stop)


def test_a_stop_within_the_last_pass_loses_nothing() -> None:
    script = spoken(TEXT, 0.2)
    decoder = StoppedWithin(script)
    decoder.stop = Stop()
    stream = recogniser(decoder).stream()
    partials = feed(stream, sound(script))
    assert stream.final(decoder.stop).text == partials[-1].text
    assert stream.final(Stop()).text == TEXT


def test_a_slow_decoder_is_asked_more_seldom() -> None:
    script = spoken(" ".join([TEXT] * 2), 0.2)
    counts = []
    for cost in (0.1, 2.0):
        now = [0.0]

        def clock(now: list[float] = now, cost: float = cost) -> float:
            now[0] += cost
            return now[0]

        decoder = ScriptedDecoder(script)
        engine = StreamingRecogniser(decoder, LocalAgreement, FakeVoiceActivity(), ENGLISH, clock)
        engine.open()
        feed(engine.stream(), sound(script))
        counts.append(len(decoder.asked))
    assert counts[1] <= counts[0] // 2 + 1


def test_an_endless_speaker_never_outgrows_the_decoder() -> None:
    script = spoken(" ".join(f"word{at}" for at in range(150)), 0.2)

    class Bounded(ScriptedDecoder):
        def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
            assert len(pcm) <= LONGEST + BEHIND
            return super().decode(pcm, request, stop)

    for policy in POLICIES:
        stream = recogniser(Bounded(script, Slips(jitter=samples(0.05), cut=True)), policy=policy).stream()
        feed(stream, sound(script))
        assert stream.final(Stop()).text.split() == [word.text for word in script]


def test_a_recording_may_come_in_one_piece() -> None:
    words = [f"word{at}" for at in range(150)]
    script = [*spoken(" ".join(words[:100]), 0.2), *spoken(" ".join(words[100:]), 40.0)]
    for policy in POLICIES:
        decoder = ScriptedDecoder(script, Slips(jitter=samples(0.05), cut=True))
        stream = recogniser(decoder, policy=policy).stream()
        stream.accept(sound(script))
        assert stream.final(Stop()).text.split() == words
        assert sum(request.thorough for request in decoder.asked) == 2, "one last pass for each run"


def test_an_empty_answer_at_the_end_of_nothing() -> None:
    stream = recogniser(ScriptedDecoder(invents=INVENTION)).stream()
    feed(stream, silence(1.0))
    feed(stream, tone(0.2))
    feed(stream, silence(3.0))
    assert stream.final(Stop()) == Transcript("", confidence=0.0, final=True, source="fake ScriptedDecoder")
    stream.close()
    stream.close()


def heard_by_an_inventor(pcm: Pcm, policy: str = "agreement") -> tuple[int, int]:
    """Gives the words and the decodes of a decoder that hears speech in everything, behind Silero and the guards."""
    decoder = ScriptedDecoder(invents=INVENTION)
    engine = StreamingRecogniser(decoder, POLICIES[policy], Silero(), ENGLISH, clock=lambda: 0.0)
    engine.open()
    try:
        stream = engine.stream()
        shown = [len(partial.words) for partial in feed(stream, pcm)]
        return max([*shown, len(stream.final(Stop()).words)]), len(decoder.asked)
    finally:
        engine.close()


@pytest.mark.parametrize(
    "file", ["noise/silence_8s.wav", "vad/silence.wav", "noise/noise1.wav", "noise/noise2.wav", "noise/noise3.wav"]
)
def test_an_inventor_is_not_asked_about_silence_and_noise(file: str) -> None:
    assert heard_by_an_inventor(read_audio(shared(file))) == (0, 0)


def test_an_inventor_is_never_given_the_own_voice() -> None:
    """What the loudspeaker says ends at the echo gate: no utterance begins, so that there is no stream to decode."""
    name = "echo/9mkQhVtzTEy2hDk-6u2Sww_farend_singletalk"
    near, far = (read_audio(shared(f"{name}_{end}.wav")) for end in ("mic", "lpb"))
    ears, gate = Ears(None, Silero(), Aec3(), KalmanEcho()), EchoGate()
    ears.open()
    let_through = 0
    for at in range(0, min(len(near), len(far)) - CHUNK_SAMPLES, CHUNK_SAMPLES):
        cut = slice(at, at + CHUNK_SAMPLES)
        for window in ears.hear(AudioChunk(near[cut], at), voice=True, far=far[cut]).windows:
            levels = window.near_db, window.plain_db, window.far_db
            let_through += gate.judge(window.probability, *levels, window.start, window.end) >= 0.5
    ears.close()
    assert let_through == 0


def test_made_up_noise_gives_no_words() -> None:
    chance = np.random.default_rng(5)
    assert heard_by_an_inventor(np.zeros(5 * 16000, np.int16)) == (0, 0)
    for level in (30, 300, 3000):
        assert heard_by_an_inventor((chance.standard_normal(5 * 16000) * level).astype(np.int16))[0] == 0


def test_an_inventor_is_believed_where_somebody_speaks() -> None:
    row = next(row for row in index() if row["kind"] == "speech" and row.get("lang") == "en")
    assert heard_by_an_inventor(read_audio(shared(row["file"])))[0] > 0, "or the tests above could not fail"
