"""A canceller that only subtracts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.ports import EchoCanceller
from edge.values import SAMPLE_RATE, Pcm, samples
from models.kalman import KalmanEcho

RESPONSE = np.random.default_rng(4).normal(0, 1, 2400) * np.exp(-np.arange(2400) / 400)


def babble(seconds: float, seed: int) -> NDArray[np.float64]:
    """Coloured noise that comes and goes four times a second, as speech does."""
    size = samples(seconds)
    noise = np.convolve(np.random.default_rng(seed).normal(0, 1, size), np.hanning(9) / 4)[:size]
    return 2500 * noise * (0.05 + np.sin(2 * np.pi * 4 * np.arange(size) / SAMPLE_RATE).clip(0))


def through_the_room(far: NDArray[np.float64]) -> NDArray[np.float64]:
    response = RESPONSE / np.sqrt(np.sum(RESPONSE**2)) * 0.4
    return np.concatenate([np.zeros(900), np.convolve(far, response)])[: len(far)]


def whole(sound: NDArray[np.float64]) -> Pcm:
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def power_db(sound: NDArray[np.float64] | Pcm) -> float:
    return 10 * float(np.log10(np.mean(np.asarray(sound, np.float64) ** 2) + 1e-9))


def run(near: Pcm, far: Pcm, step: int = 320) -> Pcm:
    canceller: EchoCanceller = KalmanEcho()
    canceller.open()
    parts = [canceller.cancel(near[at : at + step], far[at : at + step]) for at in range(0, len(near), step)]
    canceller.close()
    return np.concatenate(parts)


def test_it_takes_the_echo_away() -> None:
    far = babble(6, 1)
    near = whole(through_the_room(far) + np.random.default_rng(2).normal(0, 8, len(far)))
    clean = run(near, whole(far))
    assert power_db(near[-samples(2) :]) - power_db(clean[-samples(2) :]) > 15


def test_a_voice_over_the_echo_is_left_as_it_is() -> None:
    far, voice = babble(6, 1), babble(6, 3)
    voice[: samples(4)] = 0
    near = whole(through_the_room(far) + voice)
    clean = run(near, whole(far))[samples(4) :].astype(np.float64)
    over = voice[samples(4) :]
    assert abs(power_db(clean) - power_db(over)) < 1.5
    assert np.corrcoef(clean, over)[0, 1] > 0.9, "before: " + str(np.corrcoef(near[samples(4) :], over)[0, 1])


@pytest.mark.parametrize("late", [40, 150])
def test_told_that_the_path_has_moved_it_follows_sooner(late: int) -> None:
    far = babble(6, 1)
    echo = through_the_room(far)
    moved = samples(4)
    echo[moved:] = np.concatenate([np.zeros(late), echo])[moved : len(echo)]
    near = whole(echo + np.random.default_rng(2).normal(0, 8, len(far)))
    told, untold = KalmanEcho(), KalmanEcho()
    for canceller in (told, untold):
        canceller.cancel(near[:moved], whole(far)[:moved])
    told.moved()
    left = [power_db(canceller.cancel(near[moved:], whole(far)[moved:])) for canceller in (told, untold)]
    assert left[0] < left[1] - 2


def test_silence_of_the_loudspeaker_passes_the_microphone_untouched() -> None:
    near = whole(babble(2, 5))
    assert np.array_equal(run(near, np.zeros_like(near)), near)


def test_the_size_of_the_pieces_changes_nothing_and_a_reset_forgets() -> None:
    far = babble(1, 1)
    near = whole(through_the_room(far))
    assert np.array_equal(run(near, whole(far), 160), run(near, whole(far), 1600))
    canceller = KalmanEcho()
    first = canceller.cancel(near, whole(far))
    canceller.reset()
    assert np.array_equal(canceller.cancel(near, whole(far)), first)


@pytest.mark.parametrize(("near", "far"), [(320, 160), (100, 100)])
def test_uneven_pieces_are_refused(near: int, far: int) -> None:
    with pytest.raises(ValueError, match="multiple of 160"):
        KalmanEcho().cancel(np.zeros(near, np.int16), np.zeros(far, np.int16))
