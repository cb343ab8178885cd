"""Turns the lines of a session into what the report shows: turns with their waterfalls, a timeline, figures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from edge.bundle import Bundle
from edge.report.media import BUCKETS, data_uri, seconds_of, waveform

STAGES = (
    ("endpoint", "endpoint decided", None, "hear"),
    ("asr_final", "words final", None, "hear"),
    ("first_token", "first token", "asr_final", "think"),
    ("first_sentence", "first sentence", "first_token", "think"),
    ("first_audio", "voice ready", "first_sentence", "speak"),
    ("voice_to_voice", "heard by the wearer", "first_audio", "speak"),
)
"""A turn's marks: key in ``timings_ms``, label, the mark from which the bar begins (None: the end of speech), kind."""
MAX_PICTURES = 60
"""The page stays a file that can be mailed."""
STATES = ("idle", "listening", "thinking", "speaking", "muted")


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a waterfall; positions in percent of its width."""

    label: str
    kind: str
    left: float
    width: float
    ms: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that an answer was about, or that was kept."""

    uri: str
    caption: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer."""

    number: int
    clock: str
    asked: str
    source: str
    skill: str
    heard: str
    unheard: str
    """The rest of the answer, which the wearer did not hear."""
    interrupted: bool
    answered: bool
    total_ms: float | None
    bars: tuple[Bar, ...]
    endpoint_at: float | None
    """Percent of the waterfall's width at which it was sure that the question had ended."""
    pictures: tuple[Picture, ...]
    kind: str = "turn"


@dataclass(frozen=True, slots=True)
class Remark:
    """A notice, a fault or a touch between the turns."""

    kind: str
    """``notice``, ``error`` or ``tap``."""
    clock: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the timeline, in percent."""

    kind: str
    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the page shows."""

    name: str
    about: str
    figures: tuple[tuple[str, str], ...]
    """Label and value."""
    items: tuple[Turn | Remark, ...]
    states: tuple[Span, ...]
    marks: tuple[Span, ...]
    ticks: tuple[tuple[float, str], ...]
    """Percent and clock."""
    microphone: str
    speaker: str
    buckets: int
    complete: bool
    """Whether the session was closed in order."""
    drops: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, str], ...]
    machine: tuple[tuple[str, str], ...]
    engines: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]
    config: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Pictures:
    """Finds the pictures of a bundle, up to ``MAX_PICTURES``."""

    bundle: Bundle
    left: int = MAX_PICTURES
    _made: dict[Path, str | None] = field(default_factory=dict)

    def chosen(self, event: Mapping[str, Any], lines: tuple[str, ...]) -> Iterator[Picture]:
        """Gives the recorded picture next to the one that was chosen: not every frame is recorded."""
        index = _number(event, "index")
        near = min(self.bundle.frames, key=lambda frame: abs(frame.index - index), default=None)
        if near is None or abs(near.index - index) > 60:
            return
        note = "" if near.index == index else ", the nearest that was recorded"
        yield from self._picture(near.path, f"{_number(event, 'age_ms') / 1000:.1f} s old when chosen{note}", lines)

    def kept(self, event: Mapping[str, Any]) -> Iterator[Picture]:
        """Gives a photo."""
        name = _text(event, "path")
        if re.fullmatch(r"photos/[\w-]+\.jpg", name, re.ASCII):
            yield from self._picture(self.bundle.path / name, "kept as a photo", ())

    def _picture(self, path: Path, caption: str, lines: tuple[str, ...]) -> Iterator[Picture]:
        if path not in self._made and self.left > 0:
            self.left -= 1
            self._made[path] = data_uri(path)
        uri = self._made.get(path)
        if uri:
            yield Picture(uri, caption, lines)


def tell(bundle: Bundle) -> Story:
    """Reads a bundle's events, sounds and pictures into what the page shows."""
    events = sorted(bundle.events, key=lambda event: _number(event, "t_ms"))
    seconds = max(
        [1.0, seconds_of(bundle.microphone), seconds_of(bundle.speaker), *(_number(event, "t_ms") / 1000 for event in events)]
    )
    begun = _first(events, "session")
    ended = _first(events, "end")
    turns = list(_turns(events, _Pictures(bundle)))
    items: list[tuple[float, Turn | Remark]] = [*turns, *_remarks(events)]
    items += [(t_ns / 1e6, Remark("tap", _clock(t_ns / 1e9), "touch", name)) for t_ns, name in bundle.taps]
    versions, measures = bundle.versions, bundle.measures
    about = (f"profile {_text(begun, 'profile')}", _text(begun, "link"), f"nearsight {_text(begun, 'version')}")
    return Story(
        name=bundle.path.resolve().name,
        about=" · ".join(about) if begun else "",
        figures=_figures([turn for _, turn in turns], events, seconds),
        items=tuple(item for _, item in sorted(items, key=lambda entry: entry[0])),
        states=tuple(_states(events, seconds)),
        marks=tuple(_marks(events, turns, seconds)),
        ticks=tuple(_ticks(seconds)),
        microphone=waveform(bundle.microphone, seconds),
        speaker=waveform(bundle.speaker, seconds),
        buckets=BUCKETS,
        complete=bool(ended),
        drops=_rows({**_table(measures.get("recording_dropped"), "recording: "), **_table(ended.get("drops"))}),
        measures=_rows({key: value for key, value in measures.items() if key not in ("drops", "recording_dropped") and value}),
        machine=_rows({key: versions[key] for key in ("python", "platform", "machine", "cores") if key in versions}),
        engines=_rows(_table(versions.get("engines"))),
        packages=_rows(_table(versions.get("packages"))),
        config=_rows(dict(_flat(bundle.config))),
    )


def _turns(events: Sequence[Mapping[str, Any]], pictures: _Pictures) -> Iterator[tuple[float, Turn]]:
    """Gives the turns with their time in milliseconds; a question without an answer at the end is one, too."""
    window: list[Mapping[str, Any]] = []
    for event in events:
        if event.get("event") == "turn":
            yield _turn(event, window, pictures)
            window = []
        else:
            window.append(event)
    last = _first(window[::-1], "final")
    if last:
        yield _turn({"transcript": last.get("text"), "t_ms": last.get("t_ms"), "unanswered": True}, window, pictures)


def _turn(event: Mapping[str, Any], window: Sequence[Mapping[str, Any]], pictures: _Pictures) -> tuple[float, Turn]:
    final = _first(window[::-1], "final")
    chosen = _first(window[::-1], "frame")
    read = [*_list(_first(window[::-1], "text").get("lines")), *_list(_first(window[::-1], "code").get("codes"))]
    shown = list(pictures.chosen(chosen, tuple(map(str, read)))) if chosen else []
    for found in window:
        if found.get("event") == "photo":
            shown += pictures.kept(found)
    timings = {key: float(value) for key, value in _table(event.get("timings_ms")).items() if _is_number(value)}
    bars, endpoint_at = _waterfall(timings)
    heard, unheard = _split(_text(event, "answer"), _text(event, "heard"))
    t_ms = _number(final or event, "t_ms")
    return t_ms, Turn(
        number=int(_number(event, "turn")),
        clock=_clock(t_ms / 1000),
        asked=_text(event, "transcript"),
        source=f"{_text(final, 'source')}, {_number(final, 'confidence'):.0%} sure" if final else "",
        skill=_text(event, "skill"),
        heard=heard,
        unheard=unheard,
        interrupted=bool(event.get("interrupted")),
        answered=not event.get("unanswered"),
        total_ms=timings.get("voice_to_voice"),
        bars=bars,
        endpoint_at=endpoint_at,
        pictures=tuple(shown),
    )


def _split(answer: str, heard: str) -> tuple[str, str]:
    """Splits the answer where the wearer stopped hearing it, counted in words."""
    spoken = len(heard.split())
    if spoken >= len(answer.split()):
        return answer, ""
    cut = 0
    for number, word in enumerate(re.finditer(r"\S+", answer), 1):
        if number <= spoken:
            cut = word.end()
    return answer[:cut], answer[cut:]


def _waterfall(timings: Mapping[str, float]) -> tuple[tuple[Bar, ...], float | None]:
    """Lays the marks out: each bar begins where the mark that it follows is reached."""
    longest = max(timings.values(), default=0.0)
    if longest <= 0:
        return (), None
    bars: list[Bar] = []
    for key, label, after, kind in STAGES:
        if key not in timings:
            continue
        end = max(0.0, timings[key])
        begin = min(end, max(0.0, timings.get(after, 0.0))) if after is not None else 0.0
        bars.append(Bar(label, kind, 100 * begin / longest, 100 * (end - begin) / longest, timings[key]))
    endpoint = timings.get("endpoint")
    return tuple(bars), None if endpoint is None else 100 * max(0.0, endpoint) / longest


def _remarks(events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, Remark]]:
    for event in events:
        if event.get("event") in ("notice", "error"):
            t_ms = _number(event, "t_ms")
            label = _text(event, "code").replace("_", " ")
            yield t_ms, Remark(_text(event, "event"), _clock(t_ms / 1000), label, _text(event, "text"))


def _figures(turns: Sequence[Turn], events: Sequence[Mapping[str, Any]], seconds: float) -> tuple[tuple[str, str], ...]:
    totals = [turn.total_ms for turn in turns if turn.total_ms is not None]
    faults = sum(event.get("event") == "error" for event in events)
    return (
        ("length", _clock(seconds)),
        ("turns", str(len(turns))),
        ("voice to voice, median", f"{median(totals):.0f} ms" if totals else "none"),
        ("interrupted", str(sum(turn.interrupted for turn in turns))),
        ("faults", str(faults)),
    )


def _states(events: Sequence[Mapping[str, Any]], seconds: float) -> Iterator[Span]:
    changes = [(_number(event, "t_ms") / 1000, _text(event, "state")) for event in events if event.get("event") == "state"]
    ends = [at for at, _ in changes[1:]] + [seconds]
    for (begin, state), end in zip(changes, ends, strict=False):
        kind = state if state in STATES else "idle"
        yield Span(kind, 100 * begin / seconds, 100 * (end - begin) / seconds, f"{state}, {_clock(begin)} to {_clock(end)}")


def _marks(events: Sequence[Mapping[str, Any]], turns: Sequence[tuple[float, Turn]], seconds: float) -> Iterator[Span]:
    for t_ms, turn in turns:
        yield Span("turn", t_ms / 10 / seconds, 0, str(turn.number))
    for event in events:
        if event.get("event") == "error":
            yield Span("error", _number(event, "t_ms") / 10 / seconds, 0, _text(event, "code"))


def _ticks(seconds: float) -> Iterator[tuple[float, str]]:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
    step = next((step for step in steps if seconds / step <= 6), 14_400)
    for at in range(0, int(seconds * 0.97) + 1, step):
        yield 100 * at / seconds, _clock(at)


def _clock(seconds: float) -> str:
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _rows(table: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    texts = {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in table.items()}
    return tuple(texts.items())


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# A bundle may come from anywhere and any version: what is missing or of the wrong kind is empty, never an error.


def _first(events: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((event for event in events if event.get("event") == name), {})


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _number(event: Mapping[str, Any], key: str) -> float:
    value = event.get(key)
    return float(value) if isinstance(value, int | float) and _is_number(value) else 0.0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: Any, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{key}": item for key, item in value.items()} if isinstance(value, dict) else {}
