import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import ModelCorrupt, ModelMissing
from models.smart_turn import SPAN, SmartTurn, turn_features
from phone_bridge.media import read_audio
from tests.models.sounds import flite, hiss
from tests.shared import index, shared

FILE = "models/smart-turn-v3.2/smart-turn-v3.2-cpu.onnx"


@pytest.fixture(scope="module")
def turn() -> SmartTurn:
    path = Path(os.environ.get("NEARSIGHT_CACHE", Path.home() / ".cache" / "nearsight")) / FILE
    if not path.exists():
        pytest.skip(f"MODEL MISSING: {path} (nearsight models pull smart-turn-v3.2)")
    engine = SmartTurn(path)
    engine.open()
    engine.open()
    return engine


@pytest.mark.parametrize("samples", [0, 1, 400, SPAN, SPAN + 5000])
def test_any_length(turn: SmartTurn, samples: int) -> None:
    assert 0 <= turn.probability(hiss(samples / 16_000)) <= 1


def test_only_the_last_eight_seconds_matter() -> None:
    sound = flite("please read the sign and tell me the price")
    long = np.concatenate((hiss(9, amplitude=900), sound))
    np.testing.assert_array_equal(turn_features(long), turn_features(long[-SPAN:]))
    padded = np.concatenate((np.zeros(SPAN - len(sound), np.int16), sound))
    np.testing.assert_array_equal(turn_features(sound), turn_features(padded))


def test_whole_orders_rank_above_halves(turn: SmartTurn) -> None:
    """People who order coffee; synthetic voices will not do, their ends sound unfinished to the network."""
    rows = [row for row in index() if row["file"].startswith("speech/commands/")][:12]
    whole, half = [], []
    for row in rows:
        sound = read_audio(shared(row["file"]))
        spoken = np.flatnonzero(np.abs(sound) > 0.1 * np.abs(sound).max())
        end = min(len(sound), int(spoken[-1]) + 3200)
        whole.append(turn.probability(sound[:end]))
        half.append(turn.probability(np.concatenate((sound[: (spoken[0] + spoken[-1]) // 2], hiss(0.2)))))
    ranked = [a > b for a in whole for b in half]
    assert np.mean(ranked) > 0.75, (whole, half)  # the area under the ROC curve


def test_like_pipecat(turn: SmartTurn) -> None:
    theirs = _pipecat_features()
    for pcm in (flite("could you read me the", "rms"), hiss(3), hiss(9, amplitude=2000)):
        tail = pcm[-SPAN:].astype(np.float32) / np.float32(32768)
        expected = theirs(np.pad(tail, (SPAN - len(tail), 0)))
        np.testing.assert_allclose(turn_features(pcm), expected, atol=1e-6)


def test_missing_and_corrupt(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="models pull smart-turn-v3.2"):
        SmartTurn(tmp_path / "none.onnx").open()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(ModelCorrupt):
        SmartTurn(broken).open()


def _pipecat_features() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Loads pipecat's feature extractor by file, without pipecat's dependencies: PIPECAT_WHEEL is the unpacked wheel."""
    folder = os.environ.get("PIPECAT_WHEEL")
    if folder is None:
        pytest.skip("PIPECAT MISSING: unpack the wheel pipecat-ai 1.14.0 and name its folder in PIPECAT_WHEEL")
    path = Path(folder) / "pipecat/audio/turn/smart_turn/_whisper_features.py"
    spec = importlib.util.spec_from_file_location("pipecat_whisper_features", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    features: Callable[[NDArray[np.float32]], NDArray[np.float32]] = module.compute_whisper_log_mel_features
    return features
