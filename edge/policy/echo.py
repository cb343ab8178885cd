"""Listening while speaking: what the loudspeaker played, and what of it may still be in the microphone's sound.

What is heard over a reply passes three gates: the canceller takes the loudspeaker's sound out (an engine), ``EchoGate`` takes
what is left of it for silence, and ``edge/policy/interruption.py`` looks at the words.
"""

from __future__ import annotations

import math

import numpy as np

from edge.values import SAMPLE_RATE, Pcm, samples

FLOOR_DB = -96.0
"""What silence is said to be."""
MEMORY = samples(10.0)
SLACK = samples(0.06)
"""Sound that comes this little after the end of the sound before it follows on: timers wake late, devices have a buffer."""
AHEAD = samples(0.1)
"""Sound may run this much ahead of the clock; more is no buffer, it is a clock that has drifted."""


def level_db(pcm: Pcm) -> float:
    """Gives the level of a run of samples in dB relative to full scale, -96 for silence or for no samples."""
    if not len(pcm):
        return FLOOR_DB
    sound = pcm.astype(np.float32)
    power = float(sound @ sound) / len(sound) / 32768.0**2
    return max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB


class Reference:
    """What the loudspeaker plays, on the microphone's media time: the canceller's far end. Remembers 10 s."""

    def __init__(self) -> None:
        self._ring: Pcm = np.zeros(MEMORY, np.int16)
        self._head = 0  # one past the newest sample that the ring has a place for
        self._end = -MEMORY  # one past the last sample played

    def played(self, pcm: Pcm, at: int) -> None:
        """Takes sound whose first sample leaves the loudspeaker at media time ``at``, about: sound that follows on is joined.

        A loudspeaker plays without gaps what it is handed every 20 ms, early or late by some milliseconds.
        """
        start = self._end if self._end - AHEAD <= at <= self._end + SLACK else at
        self._end = start + len(pcm)
        self._advance(self._end)
        oldest = self._head - MEMORY
        self._write(max(start, oldest), pcm[max(0, oldest - start) :])

    def flushed(self, since: int) -> None:
        """Takes back what was to be played from media time ``since`` on."""
        oldest = self._head - MEMORY
        if self._end > max(since, oldest):
            start = max(since, oldest)
            self._write(start, np.zeros(self._end - start, np.int16))
            self._end = since

    def between(self, start: int, end: int) -> Pcm:
        """Gives the sound from ``start`` to ``end``, zeros where nothing was played or where it is forgotten."""
        found = np.zeros(end - start, np.int16)
        first, last = max(start, self._head - MEMORY, 0), min(end, self._head)
        if first < last:
            places = np.arange(first, last) % MEMORY
            found[first - start : last - start] = self._ring[places]
        return found

    def _advance(self, head: int) -> None:
        """Makes room up to ``head``; what falls out of the memory is silence."""
        if head > self._head:
            fresh = max(self._head, head - MEMORY)
            self._head = head
            self._write(fresh, np.zeros(head - fresh, np.int16))

    def _write(self, start: int, pcm: Pcm) -> None:
        place = start % MEMORY
        split = MEMORY - place
        self._ring[place : place + len(pcm)] = pcm[:split]
        self._ring[: max(0, len(pcm) - split)] = pcm[split:]


FAR_DB = -55.0
"""Above this the loudspeaker plays something that can be heard."""
GUARD = samples(0.25)
"""How long after the loudspeaker its sound may still be in the room or on its way."""
CONVERGED = samples(2.5)
"""Far-end sound that AEC3 needs to learn a path."""
VOICED, VOICED_EARLY = 0.4, 0.7
"""Voice-activity probabilities from which a window can be a voice: usually, and before the canceller has converged."""
RISE_S, HOLD_S = 0.3, 6.4
"""Time constants of the floor: for what is left of the echo, and while a voice is being judged."""


class EchoGate:
    """Which voice-activity windows are somebody's voice, and not what is left of the loudspeaker's.

    A canceller leaves a residue, and voice activity takes some of it for speech, above all before the canceller has
    converged and in reverberant rooms. What is left is quieter than a voice near the microphone. So while the loudspeaker
    plays, and 250 ms after, a window counts only if it stands ``margin_db`` above a floor that follows the residue, and until
    the canceller has heard its far end for some seconds only if voice activity is surer than usual. Over three sets of ten
    minutes of answers through four rooms, twelve runs of 64 ms in the first three seconds became one and 52 later ones 33; of
    156 voices as loud as the echo it lost five instead of three.
    """

    def __init__(self, margin_db: float = 6.0) -> None:
        self._margin_db = margin_db
        self._until = self._heard = 0
        self._floor_db: float | None = None

    def judge(self, probability: float, near_db: float, far_db: float, start: int, end: int) -> float:
        """Gives the probability that the turn policy should see: the same, or 0 for what may be echo.

        ``near_db`` is ``level_db`` of the window after cancelling, ``far_db`` that of the reference in the same span.
        """
        if far_db > FAR_DB:
            self._until = end + GUARD
            self._heard += end - start
        if start >= self._until:
            return probability
        if self._floor_db is None:
            self._floor_db = near_db
        loud = near_db > self._floor_db + self._margin_db
        voiced = probability >= (VOICED if self.converged else VOICED_EARLY)
        seconds = RISE_S if not (loud and probability >= VOICED) else HOLD_S
        self._floor_db += (1 - math.exp((start - end) / SAMPLE_RATE / seconds)) * (near_db - self._floor_db)
        return probability if loud and voiced else 0.0

    @property
    def converged(self) -> bool:
        """Whether the canceller has heard enough of the far end to be trusted."""
        return self._heard >= CONVERGED

    def reset(self) -> None:
        """Forgets: call it with ``EchoCanceller.reset``, when the sound path changes."""
        self._until = 0
        self._heard = 0
        self._floor_db = None
