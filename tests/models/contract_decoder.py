"""What holds for every ``SpeechDecoder``, the scripted one and the real one."""

from __future__ import annotations

import numpy as np

from edge.decoding import Decoded, DecodeRequest
from edge.ports import SpeechDecoder, Stop
from edge.values import Pcm


def check_decoder(engine: SpeechDecoder, sound: Pcm) -> Decoded:
    """Takes a decoder that is not open and speech that it hears words in; gives what it heard, and closes it."""
    engine.open()
    engine.open()
    assert engine.info.name
    assert len(set(engine.languages)) == len(engine.languages) > 0
    decoded = engine.decode(sound, DecodeRequest(language=engine.languages[0]), Stop())
    assert decoded.words
    assert decoded.language == engine.languages[0]
    _check_times(decoded, len(sound))
    attended = engine.attend(sound, decoded, Stop())
    assert len(attended) == len(decoded.words)
    assert all(0 <= sample <= len(sound) for sample in attended)
    likely = engine.identify(sound, Stop())
    assert set(tag for tag, _ in likely) <= set(engine.languages)
    assert [p for _, p in likely] == sorted((p for _, p in likely), reverse=True)
    again = engine.decode(sound, DecodeRequest(language=engine.languages[0]), Stop())
    assert again == decoded
    _check_stopped(engine, sound, decoded)
    assert not engine.decode(sound[:0], DecodeRequest(), Stop()).words
    assert not engine.decode(np.zeros(0, np.int16), DecodeRequest(thorough=True), Stop()).words
    engine.close()
    engine.close()
    return decoded


def _check_times(decoded: Decoded, size: int) -> None:
    starts = [word.start for word in decoded.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= size for word in decoded.words)
    assert all(0.0 <= word.confidence <= 1.0 and word.text == word.text.strip() != "" for word in decoded.words)
    assert all(0 <= segment.start <= segment.end <= size for segment in decoded.segments)
    assert all(0.0 <= segment.no_speech <= 1.0 and segment.log_probability <= 0.0 for segment in decoded.segments)


def _check_stopped(engine: SpeechDecoder, sound: Pcm, decoded: Decoded) -> None:
    stop = Stop()
    stop.set()
    early = engine.decode(sound, DecodeRequest(language=engine.languages[0]), stop)
    assert early.words == decoded.words[: len(early.words)]
    assert len(engine.attend(sound, decoded, stop)) == len(decoded.words)
