"""How late and how restless a simultaneous translation is, from a log of when each of its words was given out.

A log has, for each unit of the target (a word; a character in languages written without spaces), two times in milliseconds
from the first sample of the source: its *delay*, how much of the source had been heard, and *elapsed*, when it was out,
computing and waiting included. Every measure is taken of either: of delays it is the ideal one (computation-unaware, CU), of
elapsed times the computation-aware one (CA). A word given out after the end of the source counts with its own time.

- AL, Average Lagging (Ma et al. 2019, arXiv 1810.08398): by how much words lag behind an ideal interpreter who spreads the
  reference's words evenly over the source; over the words up to the first that had all of the source.
- LAAL, Length-Adaptive AL (Papi et al. 2022, arXiv 2206.05807; Polak et al. 2022): spreads as many words as the longer of
  reference and translation has, so that saying too much is no gain.
- DAL, Differentiable AL (Cherry and Foster 2019, arXiv 1906.00048): each word costs the ideal interpreter's time at least, so
  what waits to the end is not forgiven.
- AP, Average Proportion (Cho and Esipova 2016, arXiv 1606.02012): the mean share of the source that words waited for.
- YAAL, Yet Another AL (Polak et al. 2025, arXiv 2509.17349): LAAL without the words that were given out when the source was
  over, since those are no matter of the policy; *LongYAAL* in a long recording, where a segment's end stops nobody.
- StreamLAAL (Papi et al. 2024, arXiv 2406.03049): LAAL of a long recording's reference segments, each with the part of the
  translation that belongs to it (``edge.policy.resegmenting``).
- Normalised erasure (Arivazhagan et al. 2020, arXiv 1912.03393): units that were shown and taken back, for each unit of the
  final text; 0 where text is only ever appended.

AL, LAAL, DAL, AP and YAAL are those of OmniSTEval 0.1.10, and the first four those of SimulEval 1.1.4, which it took them from;
the tests compare. Two edges differ: a source of no length and a translation of no words have no figure here (None), where
SimulEval fails, and a reference of no words counts as unknown, as if the translation had the right length.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

UNSPACED: Final = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my", "bo", "dz"})
"""Languages that are written without spaces between words: their units are characters."""


def units(text: str, language: str) -> tuple[str, ...]:
    """Gives what is counted of ``text``: its words, or its characters without the spaces, by the language (a BCP 47 tag)."""
    words = tuple(text.split())
    primary = language.lower().replace("_", "-").partition("-")[0]
    return tuple("".join(words)) if primary in UNSPACED else words


def al(times_ms: Sequence[float], source_ms: float, reference: int = 0) -> float | None:
    """Gives Average Lagging in milliseconds.

    ``times_ms`` are the delays, or the elapsed times, of the translation's units; ``reference`` is how many the reference
    has, 0 where there is none.
    """
    return _lagging(times_ms, source_ms, reference or len(times_ms))


def laal(times_ms: Sequence[float], source_ms: float, reference: int = 0) -> float | None:
    """Gives Length-Adaptive Average Lagging in milliseconds."""
    return _lagging(times_ms, source_ms, max(reference, len(times_ms)))


def _lagging(times_ms: Sequence[float], source_ms: float, length: int) -> float | None:
    if not times_ms or source_ms <= 0:
        return None
    if times_ms[0] > source_ms:
        return times_ms[0]
    # All up to the first word that had the whole source: what comes after it waited for nothing more.
    counted = next((at for at, time in enumerate(times_ms, 1) if time >= source_ms), len(times_ms))
    pace = source_ms / length
    return sum(time - at * pace for at, time in enumerate(times_ms[:counted])) / counted


def dal(times_ms: Sequence[float], source_ms: float) -> float | None:
    """Gives Differentiable Average Lagging in milliseconds; like SimulEval's it looks at the translation's own length."""
    if not times_ms or source_ms <= 0:
        return None
    pace = source_ms / len(times_ms)
    total, before = 0.0, -math.inf
    for at, time in enumerate(times_ms):
        before = max(time, before + pace)
        total += before - at * pace
    return total / len(times_ms)


def ap(times_ms: Sequence[float], source_ms: float, reference: int = 0) -> float | None:
    """Gives the Average Proportion: 0 to 1 of delays, more where words come after the end."""
    if not times_ms or source_ms <= 0:
        return None
    return sum(times_ms) / (source_ms * (reference or len(times_ms)))


def yaal(times_ms: Sequence[float], source_ms: float, reference: int = 0, *, recording_ms: float | None = None) -> float | None:
    """Gives YAAL in milliseconds, None where no unit came before the end.

    With ``recording_ms``, from the segment's start to the end of the recording that it is part of, it is LongYAAL.
    """
    end = source_ms if recording_ms is None else recording_ms
    counted = next((at for at, time in enumerate(times_ms) if time >= end), len(times_ms))
    if not counted or source_ms <= 0:
        return None
    pace = source_ms / max(reference, len(times_ms))
    return sum(time - at * pace for at, time in enumerate(times_ms[:counted])) / counted


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence of the source, or one segment of a reference, with the units of the translation that belong to it."""

    delays_ms: tuple[float, ...]
    """How much of the source had been heard when each unit was given out, from the segment's first sample."""
    elapsed_ms: tuple[float, ...]
    """When each was out, from the segment's first sample."""
    source_ms: float
    reference: int = 0
    """Units of its reference; 0 where there is none."""
    recording_ms: float = math.inf
    """From its first sample to the end of the recording."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """The measures' means over segments, in milliseconds; None where no segment has the measure."""

    al: float | None
    laal: float | None
    dal: float | None
    yaal: float | None
    ap: float | None
    """A proportion, no time."""
    start_offset: float | None
    """When the first unit was given out."""
    end_offset: float | None
    """How long after the end of the source the last one was."""


def lateness(segments: Iterable[Segment], *, aware: bool) -> Lateness:
    """Gives the measures of the delays, or of the elapsed times if ``aware``.

    A segment without a translation has no delay: it is left out, as by SimulEval and OmniSTEval. A system that leaves words out
    pays in quality, not here.
    """
    timed = [(segment.elapsed_ms if aware else segment.delays_ms, segment) for segment in segments]
    timed = [(times, segment) for times, segment in timed if times]
    return Lateness(
        al=_mean(al(times, one.source_ms, one.reference) for times, one in timed),
        laal=_mean(laal(times, one.source_ms, one.reference) for times, one in timed),
        dal=_mean(dal(times, one.source_ms) for times, one in timed),
        yaal=_mean(yaal(times, one.source_ms, one.reference, recording_ms=one.recording_ms) for times, one in timed),
        ap=_mean(ap(times, one.source_ms, one.reference) for times, one in timed),
        start_offset=_mean(times[0] for times, _ in timed),
        end_offset=_mean(times[-1] - one.source_ms for times, one in timed),
    )


def _mean(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.fmean(known) if known else None


@dataclass(slots=True)
class Erasure:
    """Counts what was shown and taken back, over any number of texts."""

    erased: int = 0
    """Units that were taken back."""
    final: int = 0
    """Units of the texts as they ended."""

    def add(self, shown: Sequence[Sequence[str]]) -> None:
        """Takes one text as it was shown each time, in units, the last being what stood in the end."""
        for before, after in pairwise(shown):
            kept = next(
                (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
            )
            self.erased += len(before) - kept
        self.final += len(shown[-1]) if shown else 0

    @property
    def normalised(self) -> float | None:
        """Units taken back for each unit of the final texts; None where nothing was left to count by."""
        return self.erased / self.final if self.final else None


def real_time_factor(spent_s: float, sound_s: float) -> float | None:
    """Gives seconds of work for each second of sound; None without sound."""
    return spent_s / sound_s if sound_s > 0 else None
