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
        self._asked = -MEMORY  # one past the newest sample that was asked for
        self._began: int | None = None  # where the newest sound without a gap began, until ``moved`` has told it

    def played(self, pcm: Pcm, at: int) -> None:
        """Takes sound whose first sample leaves the loudspeaker at media time ``at``, about: sound that follows on is joined.

        A loudspeaker plays without gaps what it is handed every 20 ms, early or late by some milliseconds. But nothing is put
        where the canceller has been already: a reply that begins just after another would stay behind it to its end, unseen.
        """
        joined = self._end - AHEAD <= at <= self._end + SLACK and self._end >= min(self._asked, at)
        start = self._end if joined else at
        if not joined or at > self._end:  # the loudspeaker may have run dry
            self._began = start
        self._end = start + len(pcm)
        self._advance(self._end)
        oldest = self._head - MEMORY
        self._write(max(start, oldest), pcm[max(0, oldest - start) :])

    def moved(self, end: int) -> bool:
        """Whether the loudspeaker began anew before ``end``; tells each time once.

        A loudspeaker that was silent sounds one time sooner and another time later after ``played``, by a buffer's length. What
        was learnt of the path before is then off by that: one sample, 0.06 ms, takes 10 dB from a filter that only subtracts.
        """
        moved = self._began is not None and self._began < end
        if moved:
            self._began = None
        return moved

    def flushed(self, since: int) -> None:
        """Takes back what was to be played from media time ``since`` on."""
        oldest = self._head - MEMORY
        if self._end > max(since, oldest):
            start = max(since, oldest)
            self._write(start, np.zeros(self._end - start, np.int16))
            self._end = since

    def between(self, start: int, end: int) -> Pcm:
        """Gives the sound from ``start`` to ``end``, zeros where nothing was played or where it is forgotten."""
        self._asked = max(self._asked, end)
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


class Loudspeakers:
    """Several loudspeakers as the one far end that a canceller knows: they seldom sound at once."""

    def __init__(self, *parts: Reference) -> None:
        self._parts = parts

    def between(self, start: int, end: int) -> Pcm:
        """Gives what all of them played from ``start`` to ``end``."""
        heard = sum((part.between(start, end).astype(np.int32) for part in self._parts), np.zeros(end - start, np.int32))
        return np.clip(heard, -32768, 32767).astype(np.int16)

    def moved(self, end: int) -> bool:
        """Whether one of them began anew before ``end``; tells each time once."""
        return any([part.moved(end) for part in self._parts])


FAR_DB = -55.0
"""Above this the loudspeaker plays something that can be heard."""
GUARD = samples(1.0)
"""How long after the loudspeaker its sound may still be in the room or on its way. What is left of it is no longer suppressed
then: 0.25 s after a reply in a room of 2 s of reverberation voice activity takes it for speech with 0.8."""
CONVERGED = samples(2.5)
"""Far-end sound that AEC3 needs to learn a path."""
LEARNT = samples(1.5)
"""The same for a canceller that only subtracts, until its residue is worth a comparison."""
RELEARNT = samples(0.5)
"""The same where it knows the path, but not to the sample: each time that the loudspeaker begins anew."""
VOICED, VOICED_EARLY = 0.4, 0.7
"""Voice-activity probabilities from which a window can be a voice: usually, and before the canceller has converged."""
FAINT = 0.1
"""The same where the subtracted sound rises too: AEC3 suppresses much of a voice that comes over the loudspeaker's."""
RISE_DB = 3.0
"""The least by which the subtracted sound rises with a voice: what rises only behind AEC3 is echo that it let through."""
RISE_S, HOLD_S = 0.3, 6.4
"""Time constants of the floors: for what is left of the echo, and while a voice is being judged."""


class EchoGate:
    """Which voice-activity windows are somebody's voice, and not what is left of the loudspeaker's.

    A canceller leaves a residue, and voice activity takes some of it for speech, above all before the canceller has
    converged and in reverberant rooms. A voice near the microphone is louder than what is left, and louder behind both
    cancellers: behind AEC3, which suppresses, and behind the filter that only subtracts. So while the loudspeaker plays, and
    a second after, a window counts only

    - if it stands ``margin_db`` above a floor that follows AEC3's residue, and somewhat above the filter's, or
    - if it stands ``margin_db`` above the filter's, which has had time to learn, and voice activity does not exclude a voice
      behind AEC3.

    In open loop over half an hour of answers through four rooms the assistant paused itself not once (49 times in eleven
    minutes by AEC3 alone and 6 dB); "stop" as loud as the echo or 4 dB below paused it 49 times of 51 (44), 0.2 s after the
    hiss with which it begins.
    """

    def __init__(self, margin_db: float = 9.0, *, subtracted: bool = True) -> None:
        """``subtracted`` says whether there is a second canceller, which only subtracts."""
        self._margin_db = margin_db
        self._faint = FAINT if subtracted else VOICED
        self._until = self._heard = self._since = 0
        self._floor_db: float | None = None
        self._plain_floor_db = FLOOR_DB

    def judge(self, probability: float, near_db: float, plain_db: float, far_db: float, start: int, end: int) -> float:
        """Gives the probability that the turn policy should see: the same, at least 0.4 for a voice, or 0 for what may be echo.

        ``near_db`` is ``level_db`` of the window after cancelling, ``plain_db`` that after subtracting only (the same where
        nothing subtracts), ``far_db`` that of the reference in the same span.
        """
        if far_db > FAR_DB:
            self._until = end + GUARD
            self._heard += end - start
            self._since += end - start
        if start >= self._until:
            return probability
        if self._floor_db is None:
            self._floor_db, self._plain_floor_db = near_db, plain_db
        above, plain_above = near_db - self._floor_db, plain_db - self._plain_floor_db
        voiced = above > self._margin_db and probability >= VOICED
        faint = plain_above > self._margin_db and probability >= self._faint and self._since >= RELEARNT
        share = 1 - math.exp((start - end) / SAMPLE_RATE / (HOLD_S if voiced or faint else RISE_S))
        self._floor_db += share * above
        self._plain_floor_db += share * plain_above
        sure = probability >= (VOICED if self.converged else VOICED_EARLY)
        if (voiced and sure and plain_above > RISE_DB) or (faint and self._heard >= LEARNT):
            return max(probability, VOICED)
        return 0.0

    @property
    def converged(self) -> bool:
        """Whether the canceller has heard enough of the far end to be trusted."""
        return self._heard >= CONVERGED

    def moved(self) -> None:
        """Trusts what was subtracted less for a while: call it with ``EchoCanceller.moved``."""
        self._since = 0

    def reset(self) -> None:
        """Forgets: call it with ``EchoCanceller.reset``, when the sound path changes."""
        self._until = self._heard = self._since = 0
        self._floor_db = None
