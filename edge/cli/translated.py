"""What came of a live translation: from its events to figures.

Media time runs at the pace of the recording, so the media time of an event is when it happened, all computing included: the
*elapsed* time of the words that it brings. The *delay* of a word, which leaves all computing out, is the media time up to which
the recording was heard when the source words that it was made from stood for good. Words of one piece of speech count from the
piece's first sample.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.bench.stats import spread
from edge.cli import quality
from edge.events import Event
from edge.policy.lateness import UNSPACED, Erasure, Segment, lateness, units
from edge.policy.resegmenting import by_edits
from edge.translation import InterpretingChanged, PassedOver, SourceHeard, Translated, TranslationSpoken


@dataclass(frozen=True, slots=True)
class Reference:
    """One sentence of a reference translation."""

    text: str
    start_ms: float | None = None
    """When its source begins; None where the reference has no times."""
    end_ms: float | None = None


@dataclass(slots=True)
class _Sentence:
    language: str = ""
    source: str = ""
    start_ms: float = math.inf
    end_ms: float = 0.0
    stood: list[tuple[float, float]] = field(default_factory=list)
    """Up to where of the source words stood for good, and when; both rise."""
    captions: list[tuple[str, ...]] = field(default_factory=list)
    """The units of each caption, the newest guess included."""
    texts: list[tuple[str, ...]] = field(default_factory=list)
    """The units of what stood for good."""
    times: list[tuple[float, float]] = field(default_factory=list)
    """Delay and elapsed time of each of these."""
    spoken: list[str] = field(default_factory=list)
    spoken_at: list[tuple[float, float]] = field(default_factory=list)
    """Delay and elapsed time of each unit that was spoken."""
    shortened: bool = False
    text: str = ""
    record: str = ""
    final: bool = False


class Translation:
    """Collects the events of interpretations into one language."""

    def __init__(self, language: str) -> None:
        """``language`` is the target's, a BCP 47 tag."""
        self._language = language
        self._sentences: dict[tuple[int, int], _Sentence] = {}
        self._interpretation = 0
        self._passed: Counter[str] = Counter()
        self._lags: list[float] = []

    def take(self, event: Event) -> None:
        """Takes the next event; those that tell of no translation are passed over."""
        match event:
            case InterpretingChanged(on=True):
                self._interpretation += 1  # its sentences are counted from 1 again
            case SourceHeard():
                self._heard(event)
            case Translated():
                self._translated(event)
            case TranslationSpoken():
                self._spoken(event)
            case PassedOver():
                self._passed[event.reason] += 1

    @property
    def sentences(self) -> int:
        """Sentences that were translated to their end."""
        return len(self._done())

    def _done(self) -> list[_Sentence]:
        return [one for _, one in sorted(self._sentences.items()) if one.final and one.text]

    def _at(self, number: int) -> _Sentence:
        return self._sentences.setdefault((self._interpretation, number), _Sentence())

    def _heard(self, event: SourceHeard) -> None:
        one = self._at(event.sentence)
        one.source = event.text
        one.start_ms, one.end_ms = min(one.start_ms, event.start_ms), max(one.end_ms, event.end_ms)
        if event.text and (not one.stood or event.end_ms > one.stood[-1][0]):
            one.stood.append((event.end_ms, event.heard_ms or event.t_ns / 1e6))

    def _translated(self, event: Translated) -> None:
        one = self._at(event.sentence)
        one.language = event.language
        counted = units(event.text, event.language)
        shown = units(f"{event.text} {event.tail}", event.language)
        if not one.captions or one.captions[-1] != shown:
            one.captions.append(shown)
        if not one.texts or one.texts[-1] != counted:
            one.texts.append(counted)
        now = event.t_ns / 1e6
        one.times += [(self._delay(one, event.end_ms, now), now)] * (len(counted) - len(one.times))
        one.text, one.record, one.final = event.text, event.record, event.final

    def _spoken(self, event: TranslationSpoken) -> None:
        one = self._at(event.sentence)
        one.spoken.append(event.text)
        one.shortened |= event.shortened
        delay = self._delay(one, event.start_ms - event.lag_ms, event.start_ms)
        one.spoken_at += [(delay, event.start_ms)] * len(units(event.text, event.language))
        self._lags.append(event.lag_ms)

    @staticmethod
    def _delay(one: _Sentence, covered_ms: float, now_ms: float) -> float:
        """When the source up to ``covered_ms`` stood."""
        at = bisect_left(one.stood, covered_ms - _SAME_MS, key=lambda row: row[0])
        return min(now_ms, one.stood[at][1]) if at < len(one.stood) else now_ms

    # -- figures -------------------------------------------------------------------------------------------------------------

    def summary(self, *, seconds: float, spent_s: float, references: Sequence[Reference] = ()) -> dict[str, Any]:
        """Gives the figures of the summary line.

        ``seconds`` is the length of the recording, ``spent_s`` the processor time of all of it. Raises EngineMissing where
        there are references and no sacrebleu.
        """
        done = self._done()
        return {
            "sentences": len(done),
            "words": sum(len(one.texts[-1]) for one in done),
            "passed_over": dict(self._passed),
            "seconds": round(seconds, 3),
            "real_time_factor": round(spent_s / seconds, 3) if seconds > 0 else None,
            "text": {**self._latency(done, "times"), "erasure": _erasure([one.texts for one in done])},
            "captions": {"erasure": _erasure([one.captions for one in done])},
            "spoken": {
                **self._latency(done, "spoken_at"),
                "erasure": _erasure([_said(one, self._language) for one in done if one.spoken and not one.shortened]),
                "lag_ms": spread(self._lags, 0),
                "shortened": sum(one.shortened for one in done),
            },
            **self._against_record(done),
            **(self._against(references, done, seconds) if references else {}),
        }

    def _latency(self, done: Sequence[_Sentence], which: str) -> dict[str, float | None]:
        """Each sentence by itself, as it was cut here, its own length standing in for a reference's."""
        segments = [
            Segment(
                tuple(delay - one.start_ms for delay, _ in getattr(one, which)),
                tuple(elapsed - one.start_ms for _, elapsed in getattr(one, which)),
                one.end_ms - one.start_ms,
                len(units(one.record or one.text, self._language)),
            )
            for one in done
        ]
        return _figures(segments)

    def _against_record(self, done: Sequence[_Sentence]) -> dict[str, Any]:
        """What was given out bit by bit, beside the same sentences translated whole by the same engine."""
        pairs = [(_line(one.text), _line(one.record)) for one in done if one.record]
        texts, records = [text for text, _ in pairs], [record for _, record in pairs]
        score = quality.bleu(texts, records, self._language) if quality.available() else None
        equal = statistics.fmean(text == record for text, record in pairs) if pairs else None
        return {"same_as_whole": _rounded(equal, 3), "bleu_to_whole": _rounded(score, 1)}

    def _against(self, references: Sequence[Reference], done: Sequence[_Sentence], seconds: float) -> dict[str, Any]:
        """Quality, and latency over the reference's own sentences (StreamLAAL), to which the words are dealt out anew."""
        words = [word for one in done for word in one.texts[-1]]
        times = [time for one in done for time in one.times]
        theirs = [units(reference.text, self._language) for reference in references]
        places = by_edits(words, theirs)
        space = "" if self._language.partition("-")[0] in UNSPACED else " "
        ours = [space.join(words[at] for at in place) for place in places]
        texts = [reference.text for reference in references]
        figures = {
            "bleu": _rounded(quality.bleu(ours, texts, self._language), 1),
            "chrf": _rounded(quality.chrf(ours, texts), 1),
        }
        if len(references) == 1 and references[0].start_ms is None:
            references = [Reference(references[0].text, 0.0, seconds * 1000)]
        segments = [
            Segment(
                tuple(times[at][0] - reference.start_ms for at in place),
                tuple(times[at][1] - reference.start_ms for at in place),
                reference.end_ms - reference.start_ms,
                len(counted),
                seconds * 1000 - reference.start_ms,
            )
            for reference, counted, place in zip(references, theirs, places, strict=True)
            if reference.start_ms is not None and reference.end_ms is not None
        ]
        return {**figures, "stream": _figures(segments) if segments else None}


_SAME_MS: Final = 0.2
"""Two roundings of one time differ by less."""


def _figures(segments: Sequence[Segment]) -> dict[str, float | None]:
    ideal, aware = lateness(segments, aware=False), lateness(segments, aware=True)
    figures: dict[str, float | None] = {}
    for name in ("laal", "al", "dal", "yaal", "start_offset", "end_offset"):
        figures[f"{name}_ms"] = _rounded(getattr(ideal, name))
        figures[f"{name}_ca_ms"] = _rounded(getattr(aware, name))
    return figures


def _said(one: _Sentence, language: str) -> list[tuple[str, ...]]:
    """What had been spoken of a sentence after each piece, and what of it stood in the end; they agree if no word changed."""
    said = [units(" ".join(one.spoken[: at + 1]), language) for at in range(len(one.spoken))]
    return [*said, one.texts[-1]]


def _erasure(texts: Sequence[Sequence[Sequence[str]]]) -> float | None:
    counted = Erasure()
    for shown in texts:
        counted.add(shown)
    return _rounded(counted.normalised, 3)


def _rounded(figure: float | None, digits: int = 0) -> float | None:
    return None if figure is None else round(figure, digits or None)


def _line(text: str) -> str:
    return " ".join(text.split())


def for_people(figures: Mapping[str, Any]) -> list[str]:
    """Gives the summary's lines for people."""
    text, spoken, stream = figures["text"], figures["spoken"], figures.get("stream")
    rows = [
        ("sentences", f"{figures['sentences']} ({figures['words']} words) in {figures['seconds']:.1f} s of sound"),
        ("passed over", ", ".join(f"{count} {reason}" for reason, count in figures["passed_over"].items())),
        ("spoken lag", _seconds("median", spoken["lag_ms"].get("median"), "95 %", spoken["lag_ms"].get("p95"))),
        ("LAAL, text", _seconds("ideal", text["laal_ms"], "with computing", text["laal_ca_ms"])),
        ("LAAL, speech", _seconds("ideal", spoken["laal_ms"], "with computing", spoken["laal_ca_ms"])),
        ("StreamLAAL", _seconds("ideal", stream["laal_ms"], "with computing", stream["laal_ca_ms"]) if stream else ""),
        ("erasure", _plain("captions", figures["captions"]["erasure"], "spoken", spoken["erasure"])),
        ("as a whole", _plain("same sentences", figures["same_as_whole"], "BLEU", figures["bleu_to_whole"])),
        ("reference", _plain("BLEU", figures.get("bleu"), "chrF", figures.get("chrf"))),
        ("load", _plain("processor seconds a second of sound", figures["real_time_factor"])),
    ]
    return [f"{label:<13} {text}" for label, text in rows if text]


def _seconds(*named: Any) -> str:
    return _plain(*(f"{item / 1000:.2f} s" if isinstance(item, int | float) else item for item in named))


def _plain(*named: Any) -> str:
    pairs = [(named[at], named[at + 1]) for at in range(0, len(named), 2)]
    return ", ".join(f"{name} {figure}" for name, figure in pairs if figure is not None)
