"""Exports can be read back, by FFmpeg and by the rules of each format; cues fit, and never overlap."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise

import av
import pytest
from av.subtitles.subtitle import AssSubtitle
from hypothesis import given
from hypothesis import strategies as st

from edge.events import Event
from edge.policy.captions import (
    COLUMNS,
    FORMATS,
    LINES,
    SHORTEST_MS,
    Conversation,
    Sentence,
    as_json,
    cues,
    export,
    plain,
    srt,
    webvtt,
    wrapped,
)
from edge.translation import InterpretingChanged, PassedOver, SourceHeard, Translated, TranslationSpoken

LONG = "I would like to know when the next ferry leaves, because we have to be back on the mainland before it gets dark."
LARGO = "Me gustaría saber cuándo sale el próximo transbordador, porque tenemos que volver a tierra firme antes de anochecer."


def said(source: str, target: str, start: float = 1000.0, end: float = 4000.0, speaker: str = "partner") -> Sentence:
    return Sentence(1, speaker, "en", source, "es", target, target, start, end)


def heard(number: int, text: str, start: float, *, final: bool = True, language: str = "en") -> SourceHeard:
    return SourceHeard(
        t_ns=0,
        sentence=number,
        speaker="partner",
        language=language,
        text=text,
        final=final,
        start_ms=start,
        end_ms=start + 900,
    )


def told(number: int, text: str, *, final: bool = True, record: str = "") -> Translated:
    return Translated(t_ns=0, sentence=number, speaker="partner", language="es", text=text, final=final, record=record)


def collected(*events: Event) -> tuple[Sentence, ...]:
    conversation = Conversation()
    for event in events:
        conversation.take(event)
    return conversation.sentences


def test_a_conversation_keeps_what_is_finished() -> None:
    found = collected(
        InterpretingChanged(t_ns=0, on=True),
        heard(1, "Good", 100.0, final=False),
        told(1, "Buen", final=False),
        heard(1, "Good  day.", 100.0),
        told(1, "Buen día.", record="Buenos días."),
        TranslationSpoken(t_ns=0, sentence=1, to="wearer", language="es", text="Buen día.", start_ms=1500.0, lag_ms=500.0),
        PassedOver(t_ns=0, speaker="wearer", reason="same_language", text="hola"),
        heard(2, "And", 1200.0, final=False),
        told(2, "Y", final=False),
        heard(3, "Unanswered.", 2200.0),
    )
    (one,) = found
    assert (one.source, one.translation, one.streamed) == ("Good day.", "Buenos días.", "Buen día.")
    assert (one.start_ms, one.end_ms) == (100.0, 1000.0)
    assert one.spoken == ({"text": "Buen día.", "start_ms": 1500.0, "rate": 1.0, "shortened": False},)


def test_a_second_interpretation_counts_anew() -> None:
    on = InterpretingChanged(t_ns=0, on=True)
    found = collected(on, heard(1, "One.", 5.0), told(1, "Uno."), on, heard(1, "Two.", 3000.0), told(1, "Dos."))
    assert [(one.number, one.source) for one in found] == [(1, "One."), (2, "Two.")]


def test_the_oldest_is_forgotten_first() -> None:
    conversation = Conversation(most=2)
    for number in range(1, 5):
        conversation.take(heard(number, f"{number}.", number * 1000.0))
        conversation.take(told(number, f"{number}!"))
    assert [one.source for one in conversation.sentences] == ["3.", "4."]
    assert conversation.dropped == 2


def strict_srt(text: str) -> list[tuple[int, int, list[str]]]:
    """Reads SRT as the strictest player would."""
    found = []
    for number, block in enumerate(text.removesuffix("\n").split("\n\n") if text else [], 1):
        first, times, *lines = block.split("\n")
        match = re.fullmatch(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})", times)
        assert first == str(number) and match is not None and lines and all(lines)
        h1, m1, s1, f1, h2, m2, s2, f2 = map(int, match.groups())
        found.append((((h1 * 60 + m1) * 60 + s1) * 1000 + f1, ((h2 * 60 + m2) * 60 + s2) * 1000 + f2, lines))
    return found


def by_ffmpeg(text: str, kind: str) -> list[tuple[int, int, str]]:
    """Gives start, length (ms) and the text that FFmpeg shows."""
    found = []
    with av.open(io.BytesIO(text.encode()), "r", format={"vtt": "webvtt"}.get(kind, kind)) as container:
        for packet in container.demux(subtitles=0):
            if packet.pts is None or not packet.size or packet.time_base is None:
                continue
            for subtitle in packet.decode():
                assert isinstance(subtitle, AssSubtitle)
                dialogue = subtitle.ass.decode().split(",", 8)[-1]
                scale = float(packet.time_base) * 1000
                found.append((round(packet.pts * scale), round((packet.duration or 0) * scale), dialogue))
    return found


AWKWARD = (
    said("Fish & chips <b>for two</b> --> now", "Pescado {\\an8} y patatas", 0.0, 1500.0),
    said("Is it open?", "¿Está abierto?", 2000.0, 2600.0, "wearer"),
    said("Is it?\n\nYes.", "¿Sí?\r\nSí.", 2400.0, 2500.0, ""),
    said(LONG, LARGO, 7000.0, 13_000.0),
    said("我们明天早上八点在火车站见面，请不要迟到。" * 4, "Quedamos mañana.", 3_725_000.0, 3_735_000.0),
)


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_ffmpeg_reads_every_cue(kind: str) -> None:
    wanted = cues(AWKWARD)
    read = by_ffmpeg(export(AWKWARD, kind), kind)
    assert [(start, start + length) for start, length, _ in read] == [
        (round(cue.start_ms), round(cue.end_ms)) for cue in wanted
    ]
    texts = [re.sub(r"\{\\[^}]*\}", "", text) for _, _, text in read]
    for cue, text in zip(wanted, texts, strict=True):
        shown = "\\N".join((*cue.source, *cue.target))
        if kind == "srt":
            shown = shown.replace("<", "‹").replace(">", "›").replace("{\\", "(/").replace("}", ")")
        if "{" not in shown:
            assert text == shown


def test_srt_is_strict() -> None:
    found = strict_srt(srt(AWKWARD))
    assert [lines for *_, lines in found][1] == ["Is it open?", "¿Está abierto?"]
    assert all(start < end <= following for (start, end, _), (following, _, _) in pairwise(found))
    assert not any(tag in line for *_, lines in found for line in lines for tag in ("<", "{", "-->"))


def test_webvtt_has_voices_languages_and_escapes() -> None:
    text = webvtt(AWKWARD[:3])
    assert text.startswith("WEBVTT\n\n1\n00:00:00.000 --> ")
    assert "<v Partner><lang en>Fish &amp; chips &lt;b&gt;for two&lt;/b&gt; --&gt; now</lang>\n<lang es>Pescado" in text
    assert "<v Wearer><lang en>Is it open?</lang>\n<lang es>¿Está abierto?</lang></v>" in text
    assert "-->" not in "".join(line for line in text.splitlines() if not re.match(r"\d\d:", line))
    assert all(block.strip() for block in text.split("\n\n"))


def test_hours_are_written() -> None:
    assert "01:02:05,000 --> " in srt(AWKWARD)


def test_plain_text() -> None:
    assert plain([said("Is it open?", "¿Está abierto?", 62_500.0, 63_000.0, "wearer")]) == (
        "[00:01:02] Wearer\n  en  Is it open?\n  es  ¿Está abierto?\n"
    )


def test_json_has_all() -> None:
    first, *_ = json.loads(as_json(AWKWARD))["sentences"]
    assert first["source"] == {"language": "en", "text": "Fish & chips <b>for two</b> --> now", "words": []}
    assert first["target"]["text"] == "Pescado {\\an8} y patatas"


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_said_is_a_file_too(kind: str) -> None:
    text = export((), kind)
    assert text == {"vtt": "WEBVTT\n", "srt": "", "txt": ""}.get(kind, text)


def test_a_long_sentence_is_cut_alike_in_both_languages() -> None:
    words = LONG.split()
    timed = tuple({"text": word, "start_ms": 7000.0 + 300 * at, "end_ms": 7250.0 + 300 * at} for at, word in enumerate(words))
    one = Sentence(1, "partner", "en", LONG, "es", LARGO, LARGO, 7000.0, 7000.0 + 300 * len(words), timed)
    found = cues([one])
    assert len(found) == 2
    assert " ".join(line for cue in found for line in cue.source) == LONG
    assert " ".join(line for cue in found for line in cue.target) == LARGO
    second = " ".join(found[1].source).split()[0]
    assert found[1].start_ms == next(word["start_ms"] for word in timed if word["text"] == second)
    assert found[0].source[-1].endswith(",")


TEXT = st.text(st.sampled_from("abc  .,我日ไั́"), min_size=1, max_size=300)


@given(st.lists(st.tuples(TEXT, TEXT, st.floats(0, 30_000), st.floats(0, 9000)), max_size=5))
def test_cues_fit_and_lose_nothing(rows: list[tuple[str, str, float, float]]) -> None:
    sentences = sorted(
        (said(" ".join(a.split()) or "a", " ".join(b.split()), start, start + length) for a, b, start, length in rows),
        key=lambda one: one.start_ms,
    )
    found = cues(sentences)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(found))
    assert all(cue.end_ms - cue.start_ms >= SHORTEST_MS - 1e-6 for cue in found)
    for cue in found:
        assert len(cue.source) <= LINES and len(cue.target) <= LINES
    for one in sentences:
        mine = [cue for cue in found if cue.sentence is one]
        for side, text in (("source", one.source), ("target", one.translation)):
            shown = "".join(line for cue in mine for line in getattr(cue, side))
            assert shown.replace(" ", "") == text.replace(" ", "")


@given(TEXT)
def test_lines_fit(text: str) -> None:
    for line in wrapped(text):
        wide = sum(character in "我日" for character in line)
        marks = sum(character in "ั́" for character in line)
        assert len(line) + wide - marks <= COLUMNS


def test_words_stay_whole() -> None:
    assert wrapped("a" * 40 + " bcd " + "e" * 38) == ["a" * 40, "bcd " + "e" * 38]
    assert wrapped("") == []
