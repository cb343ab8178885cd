"""AEC3 behind the port: what it takes away, what it leaves, and what it costs while nothing plays."""

from __future__ import annotations

import numpy as np
import pytest

from edge.values import SAMPLE_RATE, Pcm, samples
from models.echo import Aec3
from phone_bridge.media import read_audio
from tests.models.sounds import flite, hiss
from tests.shared import shared

CHUNK = 320
TEXT = (
    "The sign above the door says platform nine, trains to the city centre leave every ten minutes. Please mind the gap and "
    "keep your luggage with you at all times."
)
FAR_END = "echo/9mkQhVtzTEy2hDk-6u2Sww_farend_singletalk"
NEAR_END = "echo/DLhjtuwiEkS-68TsUVvW5g_nearend_singletalk"


def cancelled(near: Pcm, far: Pcm, canceller: Aec3 | None = None) -> Pcm:
    """Runs both sounds through a canceller, 20 ms at a time."""
    engine = canceller or Aec3()
    engine.open()
    size = min(len(near), len(far)) // CHUNK * CHUNK
    clean = [engine.cancel(near[at : at + CHUNK], far[at : at + CHUNK]) for at in range(0, size, CHUNK)]
    return np.concatenate(clean)


def loss_db(near: Pcm, clean: Pcm, since: float = 0.0) -> float:
    """By how much the power fell from ``since`` seconds on: with the far end alone this is ERLE."""
    power = [np.mean(sound[samples(since) : len(clean)].astype(np.float64) ** 2) + 1e-9 for sound in (near, clean)]
    return float(10 * np.log10(power[0] / power[1]))


def in_a_room(far: Pcm, late: float = 0.06) -> Pcm:
    """What a microphone hears of ``far``: a direct path, 80 ms of reverberation, 6 dB down, and hiss."""
    random = np.random.default_rng(4)
    response = random.normal(0, 1, samples(0.08)) * np.exp(-np.arange(samples(0.08)) / samples(0.02))
    heard = np.convolve(far, response / np.sqrt(np.sum(response**2)))[: len(far)]
    heard = np.concatenate([np.zeros(samples(late)), heard])[: len(far)] / 2
    return np.clip(heard + random.normal(0, 20, len(far)), -32768, 32767).astype(np.int16)


def test_contract() -> None:
    engine = Aec3()
    assert engine.info.name
    engine.close()
    engine.open()
    engine.open()
    far = flite(TEXT)[: samples(4)]
    near = in_a_room(far)
    first = cancelled(near, far, engine)
    assert first.dtype == np.int16 and len(first) == len(near)
    engine.reset()
    assert np.array_equal(cancelled(near, far, engine), first), "after reset() the same sound gives the same"
    assert len(engine.cancel(near[:0], far[:0])) == 0
    for wrong in (near[:320], near[:100]):
        with pytest.raises(ValueError, match="160"):
            engine.cancel(wrong, far[:160] if len(wrong) == 320 else far[:100])
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError):
        engine.cancel(near[:320], far[:320])


def test_an_echo_in_a_room_is_taken_away() -> None:
    far = flite(TEXT)
    near = in_a_room(far)
    assert loss_db(near, cancelled(near, far), 3.0) >= 20


def test_the_reference_may_be_early_and_must_not_be_late() -> None:
    far = flite(TEXT)
    early, late = (in_a_room(far, 0.4), in_a_room(far, 0.0)[samples(0.05) :])
    assert loss_db(early, cancelled(early, far), 3.0) >= 20
    assert loss_db(late, cancelled(late, far), 3.0) < 10


def test_a_voice_over_it_is_left() -> None:
    far = flite(TEXT)
    near = in_a_room(far)
    voice = flite("excuse me where is the door", "rms")
    voice = voice[: (len(far) - samples(4)) // CHUNK * CHUNK]
    spoken = slice(samples(4), samples(4) + len(voice))
    near[spoken] = np.clip(near[spoken].astype(np.int32) + voice, -32768, 32767)
    clean = cancelled(near, far)
    assert abs(loss_db(voice, clean[spoken])) < 6


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_rooms_of_the_data(number: int) -> None:
    response = read_audio(shared(f"rooms/rir{number}.wav")).astype(np.float64)
    far = flite(TEXT)
    heard = np.convolve(far, response / np.sqrt(np.sum(response**2)))[: len(far)] / 2
    near = np.clip(heard + hiss(len(far) / SAMPLE_RATE), -32768, 32767).astype(np.int16)
    assert loss_db(near, cancelled(near, far), 3.0) >= 20


def test_a_real_echo() -> None:
    near, far = (read_audio(shared(f"{FAR_END}_{end}.wav")) for end in ("mic", "lpb"))
    clean = cancelled(near, far)
    assert loss_db(near, clean, len(clean) / 2 / SAMPLE_RATE) >= 10


def test_a_real_voice_is_left_alone() -> None:
    near, far = (read_audio(shared(f"{NEAR_END}_{end}.wav")) for end in ("mic", "lpb"))
    assert abs(loss_db(near, cancelled(near, far))) < 1


def test_while_nothing_plays_sound_passes_as_it_is() -> None:
    engine = Aec3()
    far = flite(TEXT)[: samples(3)]
    cancelled(in_a_room(far), far, engine)
    near = flite("excuse me where is the door", "rms")
    near = np.tile(near, 3)[: samples(4)]
    clean = cancelled(near, np.zeros_like(near), engine)
    over = samples(1.0) + CHUNK
    assert np.array_equal(clean[over:], near[over:])
    assert abs(loss_db(near[: samples(1)], clean[: samples(1)])) < 1


def test_the_path_is_remembered_over_a_silence() -> None:
    engine = Aec3()
    far = flite(TEXT)
    near = in_a_room(far)
    fresh = loss_db(near[: samples(1.0)], cancelled(near, far, engine)[: samples(1.0)])
    quiet = hiss(3.0)
    cancelled(quiet, np.zeros_like(quiet), engine)
    again = loss_db(near[: samples(1.0)], cancelled(near[: samples(1.0)], far[: samples(1.0)], engine))
    assert again > fresh - 3 and again > 10


def test_nothing_clicks_when_a_reply_begins_and_ends() -> None:
    """Going over between the sound as it is and AEC3's, 8 ms later, keeps a hum a hum."""
    at = np.arange(samples(5)) / SAMPLE_RATE
    near = (3000 * np.sin(2 * np.pi * 200 * at)).astype(np.int16)
    far = np.zeros_like(near)
    far[samples(1) : samples(1.5)] = hiss(0.5, amplitude=300)
    steps = np.abs(np.diff(cancelled(near, far).astype(np.int32)))
    assert steps.max() < 2 * np.abs(np.diff(near.astype(np.int32))).max()
