"""Tells what comes of speech on its way into another language: each text when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.events import Event, as_ms, word_rows
from edge.translation import Party, Progress, SourceHeard, Translated


@dataclass(frozen=True, slots=True)
class Direction:
    """From one language into another."""

    source: str
    target: str
    speaker: Party | None


class Teller:
    """Remembers what was told of the sentences that are not finished."""

    def __init__(self, emit: Callable[[Event], None], now_ns: Callable[[], int], *, sources: bool) -> None:
        """``sources``: whether there are any; a recogniser that translates hears none."""
        self._emit = emit
        self._now_ns = now_ns
        self._sources = sources
        self._told: dict[int, tuple[object, object]] = {}

    def tell(self, direction: Direction, number: int, step: Progress, heard_to: int) -> None:
        """Tells a sentence's source and its translation where they are not as they were. ``heard_to``: media time."""
        before = self._told.get(number, (None, None))
        heard = step.source, step.source_tail, step.final
        translated = step.text, step.tail, step.final
        self._told[number] = heard, translated
        if heard != before[0] and (step.source or step.source_tail) and self._sources:
            self._emit(self._source(direction, number, step, heard_to))
        if translated != before[1] and (step.text or step.tail or step.final):
            self._emit(self._translation(direction, number, step))
        if step.final:
            del self._told[number]

    def _source(self, direction: Direction, number: int, step: Progress, heard_to: int) -> SourceHeard:
        return SourceHeard(
            t_ns=self._now_ns(),
            sentence=number,
            speaker=direction.speaker.value if direction.speaker is not None else "",
            language=direction.source,
            text=step.source,
            tail=step.source_tail,
            final=step.final,
            start_ms=as_ms(step.start),
            end_ms=as_ms(step.end),
            heard_ms=as_ms(heard_to),
            words=word_rows(step.words) if step.final else (),
        )

    def _translation(self, direction: Direction, number: int, step: Progress) -> Translated:
        now = self._now_ns()
        return Translated(
            t_ns=now,
            sentence=number,
            speaker=direction.speaker.value if direction.speaker is not None else "",
            language=direction.target,
            text=step.text,
            tail=step.tail,
            final=step.final,
            record=step.record,
            start_ms=as_ms(step.start),
            end_ms=as_ms(step.covered),
            lag_ms=round(max(0.0, now / 1e6 - as_ms(step.covered)), 1),
        )
