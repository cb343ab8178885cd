"""A translated conversation as text: WebVTT, SRT, plain text and JSON, both languages side by side.

Finished sentences alone are kept. A cue shows a part of one sentence in both languages, the one that was spoken above. It
follows the usual rules of subtitling (BBC Subtitle Guidelines; Netflix Timed Text Style Guide): two lines of 42 columns at
most for each language (a Chinese character takes two columns), at least 5/6 s, about 17 characters a second where the time
until the next cue allows it, and never two cues at once: where two people speak at the same time, the second one's cue waits.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from edge.events import Event
from edge.translation import InterpretingChanged, SourceHeard, Translated, TranslationSpoken

COLUMNS: Final = 42
LINES: Final = 2
SHORTEST_MS: Final = 833.0
COLUMNS_A_SECOND: Final = 17.0
FORMATS: Final = ("vtt", "srt", "txt", "json")

_STOPS: Final = ".!?;:,。！？；：，、…"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a conversation, in both languages. Times are media milliseconds."""

    number: int
    """Counts the sentences of the conversation."""
    speaker: str
    """``wearer``, ``partner``, or empty where nobody could tell."""
    source_language: str
    source: str
    target_language: str
    translation: str
    """The whole sentence translated for the record; what was given out bit by bit where there is no such."""
    streamed: str
    """What was given out bit by bit, and spoken."""
    start_ms: float
    end_ms: float
    words: tuple[Mapping[str, Any], ...] = ()
    """Of the source: ``{"text", "start_ms", "end_ms"}``."""
    spoken: tuple[Mapping[str, Any], ...] = ()
    """What left the loudspeaker: ``{"text", "start_ms", "rate", "shortened"}``."""

    def as_json(self) -> dict[str, Any]:
        """The sentence as an object of the JSON export."""
        return {
            "sentence": self.number,
            "speaker": self.speaker,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "source": {"language": self.source_language, "text": self.source, "words": [dict(word) for word in self.words]},
            "target": {"language": self.target_language, "text": self.translation, "streamed": self.streamed},
            "spoken": [dict(piece) for piece in self.spoken],
        }


@dataclass(slots=True)
class _Growing:
    source: SourceHeard | None = None
    target: Translated | None = None
    spoken: list[Mapping[str, Any]] = field(default_factory=list)


class Conversation:
    """Collects what was said and translated, from a session's events. It keeps the newest ``most`` sentences."""

    def __init__(self, most: int = 20_000) -> None:
        self._kept: dict[tuple[int, int], _Growing] = {}
        self._interpretation = 0
        self._most = most
        self.dropped = 0
        """Sentences that were forgotten to keep within the bound."""

    def take(self, event: Event) -> None:
        """Takes the next event; those that tell of no translation are passed over."""
        match event:
            case InterpretingChanged(on=True):
                self._interpretation += 1  # its sentences are counted from 1 again
            case SourceHeard(final=True):
                self._sentence(event.sentence).source = event
            case Translated(final=True):
                self._sentence(event.sentence).target = event
            case TranslationSpoken():
                piece = {
                    "text": event.text,
                    "start_ms": event.start_ms,
                    "rate": event.rate,
                    "shortened": event.shortened,
                }
                self._sentence(event.sentence).spoken.append(piece)

    def _sentence(self, number: int) -> _Growing:
        key = self._interpretation, number
        if key not in self._kept:
            if len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
                self.dropped += 1
            self._kept[key] = _Growing()
        return self._kept[key]

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences that were heard and translated to their end, in the order in which they were begun to be spoken."""
        found = [
            Sentence(
                number=number + 1,
                speaker=one.source.speaker,
                source_language=one.source.language,
                source=_line(one.source.text),
                target_language=one.target.language,
                translation=_line(one.target.record or one.target.text),
                streamed=_line(one.target.text),
                start_ms=one.source.start_ms,
                end_ms=one.source.end_ms,
                words=one.source.words,
                spoken=tuple(one.spoken),
            )
            for number, one in enumerate(self._kept.values(), self.dropped)
            if one.source is not None and one.target is not None and one.source.text.strip()
        ]
        return tuple(sorted(found, key=lambda one: (one.start_ms, one.number)))


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen for a while."""

    sentence: Sentence
    start_ms: float
    end_ms: float
    source: tuple[str, ...]
    """Lines."""
    target: tuple[str, ...]
    """Lines."""


def export(sentences: Sequence[Sentence], kind: str) -> str:
    """Gives the text of a file of one of ``FORMATS``."""
    makers = {"vtt": webvtt, "srt": srt, "txt": plain, "json": as_json}
    return makers[kind](sentences)


def webvtt(sentences: Sequence[Sentence]) -> str:
    """Gives a WebVTT file (W3C): a cue has the speaker's ``v`` span and a ``lang`` span for each language."""
    blocks = ["WEBVTT"]
    for number, cue in enumerate(cues(sentences), 1):
        voice = f"<v {_escaped(cue.sentence.speaker.capitalize())}>" if cue.sentence.speaker else ""
        texts = ((cue.sentence.source_language, cue.source), (cue.sentence.target_language, cue.target))
        spans = [f"<lang {language}>{_escaped(chr(10).join(lines))}</lang>" for language, lines in texts if lines]
        body = f"{voice}{chr(10).join(spans)}{'</v>' if voice else ''}"
        blocks.append(f"{number}\n{_clock(cue.start_ms)} --> {_clock(cue.end_ms)}\n{body}")
    return "\n\n".join(blocks) + "\n"


def srt(sentences: Sequence[Sentence]) -> str:
    """Gives a SubRip file. The format has no escapes: what a player would take for a tag is written with other brackets."""
    blocks = []
    for number, cue in enumerate(cues(sentences), 1):
        lines = [line.translate(_BRACKETS) for line in (*cue.source, *cue.target)]
        times = f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        blocks.append("\n".join((str(number), times, *lines)) + "\n")
    return "\n".join(blocks)


def plain(sentences: Sequence[Sentence]) -> str:
    """Gives a transcript for people: who and when, the sentence, below it its translation."""
    blocks = []
    for one in sentences:
        head = f"[{_clock(one.start_ms)[:8]}]" + (f" {one.speaker.capitalize()}" if one.speaker else "")
        texts = ((one.source_language, one.source), (one.target_language, one.translation))
        blocks.append("\n".join((head, *(f"  {language:<3} {text}".rstrip() for language, text in texts))) + "\n")
    return "\n".join(blocks)


def as_json(sentences: Sequence[Sentence]) -> str:
    """Gives the JSON export: an object with the list of sentences."""
    return json.dumps({"format": 1, "sentences": [one.as_json() for one in sentences]}, ensure_ascii=False, indent=1) + "\n"


def cues(sentences: Iterable[Sentence]) -> list[Cue]:
    """Cuts sentences into cues that can be read, one after the other."""
    parts = [cue for one in sentences for cue in _parts(one)]
    timed: list[Cue] = []
    free = 0.0
    for at, cue in enumerate(parts):
        following = parts[at + 1].start_ms if at + 1 < len(parts) else math.inf
        start = max(cue.start_ms, free)
        columns = max(sum(map(_columns, cue.source)), sum(map(_columns, cue.target)))
        wanted = max(cue.end_ms, start + 1000 * columns / COLUMNS_A_SECOND)
        free = max(min(wanted, following), start + SHORTEST_MS)
        timed.append(Cue(cue.sentence, start, free, cue.source, cue.target))
    return timed


def _parts(one: Sentence) -> list[Cue]:
    """Cuts a sentence into as few parts as fit, alike in length; each begins with its first word, as far as that is known."""
    texts = (one.source, one.translation)
    count = max(1, *(math.ceil(_columns(text) / (COLUMNS * LINES)) for text in texts))
    while True:
        source, target = (_divided(text, count) for text in texts)
        if all(len(wrapped(part)) <= LINES for part in (*source, *target)):
            break
        count += 1
    starts = [*_starts(one, source), max(one.start_ms, one.end_ms)]
    return [
        Cue(one, start, end, tuple(wrapped(a)), tuple(wrapped(b)))
        for (start, end), a, b in zip(pairwise(starts), source, target, strict=True)
        if a or b
    ]


def _starts(one: Sentence, parts: Sequence[str]) -> list[float]:
    """When each part begins: with its first word where words are timed, else in proportion to the text before it."""
    whole = sum(map(_columns, parts)) or 1
    words = [len(part.split()) for part in parts]
    starts = []
    for at in range(len(parts)):
        share = sum(map(_columns, parts[:at])) / whole
        timed = sum(words) == len(one.words) and sum(words[:at]) < len(one.words)
        even = one.start_ms + share * max(0.0, one.end_ms - one.start_ms)
        starts.append(float(one.words[sum(words[:at])]["start_ms"]) if timed and at else even)
    return starts


def _divided(text: str, count: int) -> list[str]:
    """Cuts a text into ``count`` parts of about the same width, at spaces, rather after a stop than elsewhere."""
    atoms = _atoms(text)
    widths = [0]
    for atom in atoms:
        widths.append(widths[-1] + _columns(atom))
    cuts = [0]
    for part in range(1, count):
        ideal = widths[-1] * part / count
        places = range(cuts[-1], len(atoms) + 1)
        cuts.append(min(places, key=lambda at: abs(widths[at] - ideal) - (COLUMNS / 3 if _stops(atoms, at) else 0)))
    cuts.append(len(atoms))
    return ["".join(atoms[a:b]).strip() for a, b in pairwise(cuts)]


def _stops(atoms: Sequence[str], at: int) -> bool:
    return at > 0 and atoms[at - 1].rstrip().endswith(tuple(_STOPS))


def wrapped(text: str) -> list[str]:
    """Gives the lines of a text: as few as fit into the columns, each as full as it gets; none for no text."""
    lines = [""]
    for atom in _atoms(text):
        if lines[-1] and _columns((lines[-1] + atom).rstrip()) > COLUMNS:
            lines.append("")
        lines[-1] += atom
    return [line.strip() for line in lines if line.strip()]


def _atoms(text: str) -> list[str]:
    """What no line may break: words with the space after them, characters of scripts without spaces, pieces of giants."""
    atoms: list[str] = []
    for word in (f"{word} " for word in text.split()):
        if _columns(word.rstrip()) <= COLUMNS and not any(map(_wide, word)):
            atoms.append(word)
            continue
        for character in word:
            glued = atoms and (_mark(character) or character.isspace() or character in _STOPS)
            if glued or (atoms and not _wide(character) and not _full(atoms[-1])):
                atoms[-1] += character
            else:
                atoms.append(character)
    return atoms


def _full(atom: str) -> bool:
    return atom[-1].isspace() or _wide(atom[-1]) or _columns(atom) >= COLUMNS // 2


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _mark(character: str) -> bool:
    """Whether it stands above, below or around the one before it."""
    return unicodedata.category(character).startswith("M")


def _columns(text: str) -> int:
    return sum(2 if _wide(character) else 0 if _mark(character) else 1 for character in text)


def _line(text: str) -> str:
    return " ".join(text.split())


def _clock(ms: float, point: str = ".") -> str:
    total = max(0, round(ms))
    return f"{total // 3_600_000:02}:{total // 60_000 % 60:02}:{total // 1000 % 60:02}{point}{total % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_BRACKETS: Final = str.maketrans({"<": "\u2039", ">": "\u203a", "{": "(", "}": ")", "\\": "/"})
