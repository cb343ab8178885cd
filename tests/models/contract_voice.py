"""What every voice keeps, the fake and the real ones: ``check_voice`` is called by each engine's own test."""

import numpy as np
import pytest

from edge.ports import Stop, Voice
from edge.values import SAMPLE_RATE, SpeechChunk, VoiceStyle, WordMark

TEXT = "The sign says no parking, and it costs $4.50 after 12:30."


def speak(voice: Voice, text: str, style: VoiceStyle | None = None) -> tuple[np.ndarray, list[WordMark]]:
    """Gives the whole sound of a text and its word marks."""
    chunks = list(voice.synthesize(text, style or VoiceStyle(), Stop()))
    return _sound(chunks), [word for chunk in chunks for word in chunk.words]


def check_voice(voice: Voice, *, paced: bool = True) -> None:
    """Checks a voice that is not open, and leaves it closed; ``paced`` tells whether it can speak faster and slower."""
    assert voice.info.name
    voice.close()
    voice.open()
    voice.open()
    try:
        _check_chunks(list(voice.synthesize(TEXT, VoiceStyle(), Stop())))
        _check_nothing_to_say(voice)
        _check_stop(voice)
        if paced:
            _check_pace(voice)
        _check_volume(voice)
    finally:
        voice.close()
        voice.close()


def _sound(chunks: list[SpeechChunk]) -> np.ndarray:
    return np.concatenate([chunk.pcm for chunk in chunks]) if chunks else np.zeros(0, np.int16)


def _check_chunks(chunks: list[SpeechChunk]) -> None:
    assert all(chunk.pcm.dtype == np.int16 and chunk.pcm.ndim == 1 for chunk in chunks)
    assert all(0 < len(chunk.pcm) <= SAMPLE_RATE // 10 for chunk in chunks)
    total = len(_sound(chunks))
    words = [word for chunk in chunks for word in chunk.words]
    assert [word.text for word in words] == TEXT.split()
    assert words[0].start == 0
    assert all(0 <= word.start <= word.end <= total for word in words)
    assert all(a.end <= b.start for a, b in zip(words, words[1:], strict=False))
    assert words[-1].end == total, "the utterance ends with its last word: trailing silence is trimmed"
    at = 0
    for chunk in chunks:
        at += len(chunk.pcm)
        assert all(at - len(chunk.pcm) <= word.start < at for word in chunk.words if word.end > word.start)


def _check_nothing_to_say(voice: Voice) -> None:
    for text in ("", "  \n "):
        assert list(voice.synthesize(text, VoiceStyle(), Stop())) == []


def _check_stop(voice: Voice) -> None:
    stop = Stop()
    stop.set()
    assert list(voice.synthesize(TEXT, VoiceStyle(), stop)) == []
    stop = Stop()
    chunks = voice.synthesize(TEXT * 20, VoiceStyle(), stop)
    next(chunks)
    stop.set()
    assert list(chunks) == []
    next(chunks := voice.synthesize(TEXT, VoiceStyle(), Stop()))
    chunks.close()  # type: ignore[attr-defined]  # a lane closes the generator that it gives up
    assert len(speak(voice, TEXT)[0]) > SAMPLE_RATE // 2, "after a stop the voice speaks again"


def _check_pace(voice: Voice) -> None:
    normal = speak(voice, TEXT)[0]
    faster, slower = (speak(voice, TEXT, VoiceStyle(rate=rate))[0] for rate in (1.5, 0.75))
    assert len(normal) / len(faster) == pytest.approx(1.5, rel=0.15)
    assert len(normal) / len(slower) == pytest.approx(0.75, rel=0.15)


def _check_volume(voice: Voice) -> None:
    normal = speak(voice, TEXT)[0]
    quieter = speak(voice, TEXT, VoiceStyle(volume=0.5))[0]
    assert np.abs(quieter).max() == pytest.approx(np.abs(normal).max() / 2, rel=0.05)
    assert not speak(voice, TEXT, VoiceStyle(volume=0.0))[0].any()
