"""The report shows a session, holds all it shows, and believes nothing that it was given."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edge.errors import InputError, StorageError
from edge.report import write_report
from tests.bundles import HOSTILE, record
from tests.pictures import decode


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in ("meta", "img", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += " " + data

    def all(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag and kind in f" {attrs.get('class', '')} "]


async def test_it_shows_the_session(tmp_path: Path) -> None:
    path = record(tmp_path / "walk")
    write_report(path, tmp_path / "out" / "report.html")
    page = Page(tmp_path / "out" / "report.html")
    assert not page.open
    for text in (
        "what does the sign say",
        "The sign says: Platform 9, night trains.",
        "871 ms",
        "402 ms voice to voice, median",
        "interrupted",
        "engine hung",
        "This session is being recorded.",
        "touch tap",
        "PLATFORM 9",
        "kept as a photo",
        "lanes_free_ms",
        "pocketsphinx 5.1.1 en-us",
        "recording.max_mb",
        "turns.hint_silence",
        "numpy",
    ):
        assert text in page.words, text
    assert "Photo taken. It says: way out," in page.words and len(page.all("span", "unheard")) == 1
    assert len(page.all("article", "turn")) == 3 and len(page.all("div", "bar")) == 18
    assert "not closed in order" not in page.words
    waves = [attrs["d"] for tag, attrs in page.tags if tag == "path"]
    assert len(waves) == 2 and all(len(set(wave.split())) > 500 for wave in waves)


async def test_bars_lie_where_the_time_went(tmp_path: Path) -> None:
    write_report(record(tmp_path / "walk"), tmp_path / "report.html")
    bars = [
        attrs["style"]
        for tag, attrs in Page(tmp_path / "report.html").tags
        if tag == "i" and attrs["class"] in ("hear", "think", "speak")
    ]
    spans = [[float(part.split(":")[1].rstrip("%")) for part in bar.split(";")] for bar in bars[6:12]]
    marks = [212.0, 188.4, 810.0, 822.5, 859.0, 871.0]
    begins = [0.0, 0.0, 188.4, 810.0, 822.5, 859.0]
    assert [left for left, _ in spans] == pytest.approx([100 * begin / 871 for begin in begins], abs=0.01)
    assert [left + width for left, width in spans] == pytest.approx([100 * mark / 871 for mark in marks], abs=0.02)


async def test_it_holds_all_it_shows_and_runs_nothing(tmp_path: Path) -> None:
    write_report(record(tmp_path / "walk"), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(tmp_path / "report.html")
    assert HOSTILE in page.words and "<script" not in text.lower()
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    sources = [attrs["src"] for attrs in page.all("img")]
    assert len(sources) == 4 and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert all(attrs["href"].startswith("#") for attrs in page.all("a"))
    assert "://" not in text.replace("data:image", "") and "@import" not in text and "url(" not in text
    for source in sources:
        assert max(decode(base64.b64decode(source.partition(",")[2])).shape) == 640


def test_a_killed_session_has_a_report(tmp_path: Path) -> None:
    lines = [
        {"event": "session", "t_ms": 0, "profile": "p", "link": "sim:", "version": "1"},
        {"event": "final", "t_ms": 900, "text": "who is"},
    ]
    (tmp_path / "session.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"event": "tu')
    write_report(tmp_path, tmp_path / "report.html")
    words = Page(tmp_path / "report.html").words
    assert (
        "not closed in order" in words
        and "who is" in words
        and "ends before an answer" in words
        and "no sound recorded" in words
    )


def test_wrong_kinds_of_values_are_left_out(tmp_path: Path) -> None:
    wrong: list[Any] = [None, 5, -1e300, True, "x\ud800\0", [1], {"a": [{}]}, "../../etc/passwd"]
    names = ("session", "state", "final", "frame", "text", "code", "photo", "notice", "error", "turn", "end", "news")
    keys = (
        "t_ms",
        "text",
        "lines",
        "codes",
        "index",
        "age_ms",
        "path",
        "turn",
        "answer",
        "heard",
        "timings_ms",
        "drops",
        "state",
    )
    lines = [json.dumps({"event": name} | dict.fromkeys(keys, value)) for name in names for value in wrong]
    (tmp_path / "session.jsonl").write_text("\n".join(lines))
    (tmp_path / "measures.json").write_text(json.dumps({"drops": 5, "recording_dropped": [1], "x": wrong[4]}))
    (tmp_path / "versions.json").write_text(json.dumps({"engines": "none", "packages": None}))
    (tmp_path / "microphone.flac").write_bytes(b"fLaC and no more")
    write_report(tmp_path, tmp_path / "report.html")
    assert len(Page(tmp_path / "report.html").all("article", "turn")) == 8


def test_what_is_no_bundle_and_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a session bundle"):
        write_report(tmp_path, tmp_path / "report.html")
    (tmp_path / "session.jsonl").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(tmp_path, tmp_path / "session.jsonl" / "report.html")
    write_report(tmp_path, tmp_path / "report.html")
    assert "Nobody asked anything." in Page(tmp_path / "report.html").words
