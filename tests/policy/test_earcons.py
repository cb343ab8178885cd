import numpy as np
import pytest

from edge.policy.earcons import EARCONS
from edge.values import SAMPLE_RATE


def test_every_sound_that_a_session_plays_is_there() -> None:
    assert set(EARCONS) == {"wake", "timeout", "error", "shutter", "mute", "unmute"}


@pytest.mark.parametrize("name", EARCONS)
def test_soft_and_without_clicks(name: str) -> None:
    pcm = EARCONS[name]
    assert pcm.dtype == np.int16
    level = np.abs(pcm.astype(float)) / 32768
    assert 0.1 < level.max() < 10 ** (-12 / 20)
    edge = SAMPLE_RATE // 1000
    assert max(level[0], level[-1]) < 0.002
    assert (
        max(level[: edge // 4].max(), level[-edge // 4 :].max()) < 0.05
    )  # no step in the first or last quarter of a millisecond
    assert len(pcm) < 0.5 * SAMPLE_RATE
    with pytest.raises(ValueError, match="read-only"):
        pcm[0] = 1


def test_the_wake_chime_leaves_time_to_speak() -> None:
    assert len(EARCONS["wake"]) < 0.15 * SAMPLE_RATE


def test_opening_rises_and_closing_falls() -> None:
    def pitch(pcm: np.ndarray) -> float:
        return float(np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE)[np.abs(np.fft.rfft(pcm)).argmax()])

    for name, rises in (("wake", True), ("unmute", True), ("mute", False), ("timeout", False), ("error", False)):
        pcm = EARCONS[name]
        third = len(pcm) // 3
        assert (pitch(pcm[-third:]) > pitch(pcm[:third])) is rises, name
