"""Word error rate of our recogniser, beside PocketSphinx as it comes: ``python -m tools.bench.wer [--json]``.

Takes the English recordings of the shared data that have full transcripts. Errors are counted by jiwer after Whisper's English
normaliser. Five ways through the same recordings, in the order of the index:

- ``plain``: ``Decoder()``, the file in one piece (``full_utt``), so with the cepstral mean of the whole;
- ``plain_live``: ``Decoder()``, the file in chunks of 20 ms, as a microphone gives it;
- ``ours``: ``models.sphinx``, the file in one ``accept``, with the second pass;
- ``ours_live``: the same in chunks of 20 ms;
- ``transcribe``: ``nearsight transcribe``, which cuts the file at pauses and searches every utterance twice.

``rtf`` is processor time a second of sound; ``final_ms`` the median time of the call that gives the last word.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jiwer
import pocketsphinx
from whisper_normalizer.english import EnglishTextNormalizer

from edge.cli.transcribe import transcribe
from edge.ports import Stop
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm
from models.sphinx import PocketSphinx
from phone_bridge.media import read_audio

DATA = Path(__file__).parents[3] / "shared" / "data"

Hear = Callable[[Pcm], tuple[str, float]]
"""Gives the text of a recording, and the seconds that its last call took."""

WAYS = ("plain", "plain_live", "ours", "ours_live", "transcribe")

GROUPS = {
    "librispeech": re.compile("librispeech|sortformer"),
    "librivox": re.compile("librivox"),
    "ljspeech": re.compile("ljspeech"),
    "commands": re.compile("cards|living_room|resources/audio|snippets"),
    "telephone": re.compile("pyannote"),
}
"""Groups by the source of a recording; what matches none is ``other``."""


@dataclass
class Tally:
    """What one way heard in one group."""

    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    @property
    def wer(self) -> float:
        """Word error rate in percent."""
        return round(100 * float(jiwer.wer(self.said, self.heard)), 1)


def main() -> None:
    """Prints a table, or with ``--json`` one object a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--group", choices=[*GROUPS, "other"])
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    index = arguments.data / "index.jsonl"
    if not index.exists():
        sys.exit(f"no data at {arguments.data}: name its folder with --data")
    rows = [row for row in map(json.loads, index.read_text(encoding="utf-8").splitlines()) if wanted(row)]
    rows = [row for row in rows if arguments.group in (None, group(row))]
    for name in WAYS if arguments.way is None else (arguments.way,):
        hear = way(name)
        for line in measure(name, hear, rows, arguments.data):
            print(
                json.dumps(line) if arguments.json else "  ".join(f"{key} {value}" for key, value in line.items()), flush=True
            )


def measure(name: str, hear: Hear | None, rows: list[dict[str, Any]], data: Path) -> Iterator[dict[str, Any]]:
    """Gives one line for every group, one for people, one for machines' voices, and one for all."""
    normalise = EnglishTextNormalizer()
    tallies: dict[str, Tally] = {}
    finals: list[float] = []
    seconds = spent = 0.0
    for row in rows:
        pcm = read_audio(data / row["file"])
        began = time.process_time()
        text, final = _transcribed(data / row["file"]) if hear is None else hear(pcm)
        spent += time.process_time() - began
        seconds += len(pcm) / SAMPLE_RATE
        finals.append(final)
        for key in (group(row), "human" if row.get("human") == "yes" else "synthetic", "all"):
            tally = tallies.setdefault(key, Tally())
            tally.said.append(normalise(reference(row)))
            tally.heard.append(normalise(text))
    for key, tally in sorted(tallies.items(), key=lambda item: item[0] == "all"):
        yield {"way": name, "group": key, "clips": len(tally.said), "wer": tally.wer}
    if rows:
        yield {"way": name, "rtf": round(spent / seconds, 3), "final_ms": round(1000 * statistics.median(finals), 1)}


def group(row: dict[str, Any]) -> str:
    """Names the group of a recording."""
    return next((name for name, pattern in GROUPS.items() if pattern.search(row["source"])), "other")


def reference(row: dict[str, Any]) -> str:
    """Gives what is said in a recording, without the marks of who says it."""
    return re.sub(r"\b[LR]:", "", row["text"])


def way(name: str) -> Hear | None:
    """Gives one way of ``WAYS``, with a decoder of its own; None for the command line, which takes files."""
    if name == "transcribe":
        return None
    live = name.endswith("_live")
    if name.startswith("plain"):
        return _plain(pocketsphinx.Decoder(loglevel="FATAL"), live)
    engine = PocketSphinx(grammar=False, second_pass=not live)
    engine.open()
    return _ours(engine, live)


def wanted(row: dict[str, Any]) -> bool:
    """Says whether a row of the index is a recording in English with a full transcript."""
    return bool(row["kind"] == "speech" and row.get("lang") == "en" and row.get("ref") == "full" and row.get("text"))


def _plain(decoder: pocketsphinx.Decoder, live: bool) -> Hear:
    def hear(pcm: Pcm) -> tuple[str, float]:
        decoder.start_utt()
        if live:
            for at in range(0, len(pcm), CHUNK_SAMPLES):
                decoder.process_raw(pcm[at : at + CHUNK_SAMPLES].tobytes())
        else:
            decoder.process_raw(pcm.tobytes(), full_utt=True)
        began = time.perf_counter()
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else "", time.perf_counter() - began

    return hear


def _transcribed(file: Path) -> tuple[str, float]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        transcribe(file, None, None, stream=False, language=None, as_json=True)
    return " ".join(json.loads(line)["text"] for line in out.getvalue().splitlines()), 0.0


def _ours(engine: PocketSphinx, live: bool) -> Hear:
    def hear(pcm: Pcm) -> tuple[str, float]:
        stream = engine.stream()
        step = CHUNK_SAMPLES if live else max(1, len(pcm))
        for at in range(0, len(pcm), step):
            stream.accept(pcm[at : at + step])
        began = time.perf_counter()
        result = stream.final(Stop())
        stream.close()
        return result.text, time.perf_counter() - began

    return hear


if __name__ == "__main__":
    main()
