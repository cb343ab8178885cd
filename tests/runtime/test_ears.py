"""The ears and the gate behind them, in a room where nobody but the loudspeaker speaks."""

from __future__ import annotations

import numpy as np
import pytest

from edge.policy.echo import EchoGate, Reference
from edge.runtime.engines import Ears
from edge.values import CHUNK_SAMPLES, AudioChunk, EngineInfo, Pcm, samples
from models.echo import Aec3
from models.kalman import KalmanEcho
from tests.models.test_kalman import babble, through_the_room, whole


class Suspicious:
    """Voice activity that never excludes a voice, and is never sure of one."""

    info = EngineInfo("suspicious", "1")
    window = 512

    def open(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free."""

    def reset(self) -> None:
        """Nothing to forget."""

    def probability(self, pcm: Pcm) -> float:
        """Gives the same for all sound."""
        return 0.3


@pytest.mark.parametrize("late", [1, 80])
def test_a_reply_that_sounds_a_little_later_than_the_last_one_is_no_voice(late: int) -> None:
    """A loudspeaker that was silent begins when its buffer does: nobody knows that to the sample."""
    said, silence = babble(6, 1), samples(0.1)
    second = len(said) // 2
    far = whole(np.concatenate([said[:second], np.zeros(silence), said[second:]]))
    played = np.concatenate([said[:second], np.zeros(silence + late), said[second:]])[: len(far)]
    near = whole(through_the_room(played) + np.random.default_rng(2).normal(0, 8, len(far)))
    ears, gate, reference = Ears(None, Suspicious(), Aec3(), KalmanEcho()), EchoGate(), Reference()
    ears.open()
    voices = []
    for at in range(0, len(far) // CHUNK_SAMPLES * CHUNK_SAMPLES, CHUNK_SAMPLES):
        here = slice(at, at + CHUNK_SAMPLES)
        if far[here].any():
            reference.played(far[here], at)
        moved = reference.moved(here.stop)
        if moved:
            gate.moved()
        heard = ears.hear(AudioChunk(near[here], at), voice=True, far=reference.between(at, here.stop), moved=moved)
        for window in heard.windows:
            levels = window.near_db, window.plain_db, window.far_db
            if gate.judge(window.probability, *levels, window.start, window.end):
                voices.append(window.start)
    ears.close()
    assert voices == []
