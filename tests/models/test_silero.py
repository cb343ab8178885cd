import json

import numpy as np
import pytest

from models.silero import WINDOW, Silero
from phone_bridge.media import read_audio
from tests.models.contract import check_voice_activity, chunks
from tests.models.sounds import flite, hiss
from tests.shared import shared


@pytest.fixture(scope="module")
def silero() -> Silero:
    engine = Silero()
    engine.open()
    return engine


def test_contract() -> None:
    check_voice_activity(Silero(), flite("what does this sign say", lead=0.0), hiss(2))


def test_like_faster_whisper(silero: Silero) -> None:
    from faster_whisper.vad import get_vad_model

    sound = flite("please read the sign and tell me the price", "rms")
    sound = sound[: len(sound) // WINDOW * WINDOW]
    silero.reset()
    ours = [silero.probability(piece) for piece in chunks(sound, WINDOW)]
    theirs = get_vad_model()(sound.astype(np.float32) / np.float32(32768)).ravel()
    # faster-whisper zeroes the last 64 samples of its last window while it makes the first one's context.
    np.testing.assert_allclose(ours[:-1], theirs[:-1], atol=1e-6)


def test_refuses_another_window(silero: Silero) -> None:
    with pytest.raises(ValueError, match="512"):
        silero.probability(np.zeros(320, np.int16))


@pytest.mark.parametrize("name", ["dev", "train"])
def test_annotated_speech(silero: Silero, name: str) -> None:
    sound = read_audio(shared({"dev": "vad/valid.wav", "train": "vad/train.wav"}[name]))
    for example in json.loads(shared(f"vad/VAD_{name}.json").read_text()).values():
        silero.reset()
        cut = sound[example["wav"]["start"] : example["wav"]["stop"]]
        heard = np.array([silero.probability(piece) > 0.5 for piece in chunks(cut, WINDOW)[: len(cut) // WINDOW]])
        spoken = np.zeros(len(heard), bool)
        edges = [float(edge) for edge in example["speech"].split()]
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            spoken[int(start * 16_000 / WINDOW) : int(end * 16_000 / WINDOW)] = True
        assert (heard == spoken).mean() > 0.9
