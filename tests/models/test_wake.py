import numpy as np
import pytest

from edge.errors import UsageError
from edge.values import Pcm
from models.wake import WORDS, MicroWake
from phone_bridge.media import read_audio
from tests.models.contract import check_wake_word, chunks
from tests.models.sounds import flite, hiss
from tests.shared import index, shared


def fired(engine: MicroWake, pcm: Pcm, size: int = 320) -> list[str]:
    engine.reset()
    return [name for piece in chunks(pcm, size) if (name := engine.detect(piece))]


@pytest.fixture(scope="module")
def ear() -> MicroWake:
    engine = MicroWake(WORDS)
    engine.open()
    return engine


def test_contract() -> None:
    check_wake_word(MicroWake(), flite("hey jarvis", "rms", tail=0.5), "hey_jarvis", flite("what does this sign say", "rms"))


@pytest.mark.parametrize("size", [1, 37, 4096])
def test_any_chunk_length(ear: MicroWake, size: int) -> None:
    assert fired(ear, flite("hey jarvis", "slt", tail=0.5), size) == ["hey_jarvis"]


def test_speech_that_follows_at_once(ear: MicroWake) -> None:
    assert fired(ear, flite("hey jarvis, what does this sign say", "rms")) == ["hey_jarvis"]


def test_two_calls_are_two(ear: MicroWake) -> None:
    call = flite("hey jarvis", "slt", tail=1.5)
    assert fired(ear, np.concatenate((call, call))) == ["hey_jarvis", "hey_jarvis"]


def test_only_the_words_asked_for() -> None:
    engine = MicroWake(["alexa"])
    engine.open()
    assert fired(engine, flite("hey jarvis", "slt", tail=0.5)) == []
    engine.close()


def test_noise_is_no_call(ear: MicroWake) -> None:
    assert fired(ear, hiss(10, amplitude=3000)) == []


def test_unknown_word_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="hey_jarvis"):
        MicroWake(["hey_jervis"])
    with pytest.raises(UsageError):
        MicroWake([])


def test_recordings(ear: MicroWake) -> None:
    for row in index():
        if not row["file"].startswith("wake/"):
            continue
        sound = read_audio(shared(row["file"]))
        expected = {row["phrase"]} & set(WORDS)
        for lead in (0, 8000):
            heard = fired(ear, np.concatenate((np.zeros(lead, np.int16), sound)))
            assert set(heard) == expected, row["file"]


def test_speech_is_no_call(ear: MicroWake) -> None:
    rows = [row for row in index() if row["kind"] in ("speech", "intent") and row["file"].endswith((".wav", ".flac"))]
    for row in rows[::6]:
        assert fired(ear, read_audio(shared(row["file"]))) == [], row["file"]
