"""What every ear keeps, the scripted fakes and the real engines: each engine's own test calls these."""

import numpy as np

from edge.ports import Recogniser, Stop, VoiceActivity, WakeWord
from edge.values import CHUNK_SAMPLES, Pcm, Transcript

NOTHING = np.zeros(0, np.int16)


def chunks(pcm: Pcm, size: int = CHUNK_SAMPLES) -> list[Pcm]:
    """Cuts sound into pieces of ``size`` samples, the last one shorter."""
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def check_wake_word(engine: WakeWord, call: Pcm, word: str, other: Pcm) -> None:
    """Checks a closed engine: ``call`` holds ``word`` once, ``other`` is sound without it. Leaves it closed."""
    assert engine.info.name
    engine.close()
    engine.open()
    engine.open()
    try:
        assert engine.detect(NOTHING) is None
        first = [engine.detect(piece) for piece in chunks(call)]
        assert [name for name in first if name] == [word], "one utterance fires once"
        engine.reset()
        assert [engine.detect(piece) for piece in chunks(call)] == first, "after reset() the same sound gives the same"
        engine.reset()
        assert not any(engine.detect(piece) for piece in chunks(other))
    finally:
        engine.close()
        engine.close()


def check_voice_activity(engine: VoiceActivity, speech: Pcm, other: Pcm) -> None:
    """Checks a closed engine on sound that begins with speech and on sound without any. Leaves it closed."""
    assert engine.info.name
    engine.close()
    engine.open()
    engine.open()
    try:
        first = [engine.probability(piece) for piece in chunks(speech, engine.window) if len(piece) == engine.window]
        assert all(0 <= p <= 1 for p in first)
        assert max(first) > 0.5
        engine.reset()
        assert engine.probability(speech[: engine.window]) == first[0], "after reset() the same sound gives the same"
        engine.reset()
        assert all(engine.probability(piece) < 0.5 for piece in chunks(other, engine.window) if len(piece) == engine.window)
    finally:
        engine.close()
        engine.close()


def check_recogniser(engine: Recogniser, speech: Pcm, text: str, *, partial: bool = True) -> None:
    """Checks a closed engine that hears ``text`` in ``speech``. A scripted fake needs ``text`` three times.

    Not ``partial``: one that hears whole utterances only.
    """
    assert engine.info.name
    engine.close()
    engine.open()
    engine.open()
    try:
        stream = engine.stream()
        assert stream.accept(NOTHING) is None
        partials = [heard for piece in chunks(speech) if (heard := stream.accept(piece))]
        assert bool(partials) is partial, "words come while speech goes on"
        assert all(not heard.final for heard in partials)
        assert all(a.text != b.text for a, b in zip(partials, partials[1:], strict=False)), "only what has changed"
        last = stream.final(Stop())
        _check_final(last, len(speech), text)
        assert stream.final(Stop()) == last, "asked again, without more sound, it says the same"
        stream.close()
        stream.close()
        _check_nothing(engine)
        stream = engine.stream()
        for piece in chunks(speech):
            stream.accept(piece)
        assert stream.final(Stop()).text == text, "one utterance leaves nothing behind for the next"
    finally:
        engine.close()
        engine.close()


def _check_final(last: Transcript, length: int, text: str) -> None:
    assert last.final
    assert last.text == text
    assert 0 <= last.confidence <= 1
    assert all(0 <= word.start < word.end <= length + CHUNK_SAMPLES for word in last.words)
    assert all(a.end <= b.start for a, b in zip(last.words, last.words[1:], strict=False))
    assert not last.words or " ".join(word.text for word in last.words) == last.text


def _check_nothing(engine: Recogniser) -> None:
    stream = engine.stream()
    empty = stream.final(Stop())
    assert (empty.text, empty.words, empty.confidence, empty.final) == ("", (), 0.0, True)
    stream.close()
