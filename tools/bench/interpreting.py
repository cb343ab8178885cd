"""What live translation costs and how late it is: ``python -m tools.bench.interpreting [--fast] [--json]``.

Utterances of LibriSpeech from the shared data, those of one reader joined with pauses, go through what ``nearsight translate``
runs: the profile's recogniser, translator and voice, at the recording's own pace. With ``--fast`` time is virtual: silence
costs nothing, and work is charged with the time that it takes.

One row a reader and one of all: ``lag_s``, from the end of the last source word until the piece made from it is heard (median,
95th percentile); ``laal_ca_s``, Length-Adaptive Average Lagging of the spoken words with all computing, and ``laal_s``, of the
text without the translator's; ``rtf``, processor seconds of all processes a second of sound; ``ne``, normalised erasure of what
was spoken and of the captions; ``same``, the share of sentences whose streamed text is that of the whole sentence, and
``bleu`` of the one against the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from edge import app
from edge.bench.stats import machine
from edge.cli import loop
from edge.cli.interpretation import Interpretation, Played
from edge.cli.translated import Translation
from edge.config import Config
from edge.errors import NearsightError
from edge.events import Event
from edge.policy.languages import tag_of
from edge.translation import InterpretingChanged
from edge.values import SAMPLE_RATE, Pcm, samples
from tools.bench.wer import DATA, wanted

PAUSE: Final = samples(0.9)
"""Between two utterances: readers pause about so long between sentences."""
SOURCE: Final = "Resemblyzer"
"""Of these recordings the index has ten of each reader."""


def main() -> None:
    """Prints a row a reader, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", default="es")
    parser.add_argument("--readers", type=int, help="take only so many")
    parser.add_argument("--reader", default="", help="take only this one")
    parser.add_argument("--utterances", type=int, default=10, help="take only so many of each")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--profile")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    index = arguments.data / "index.jsonl"
    if not index.exists():
        sys.exit(f"no data at {arguments.data}: name its folder with --data")
    rows = [row for row in map(json.loads, index.read_text(encoding="utf-8").splitlines()) if wanted(row)]
    config = app.load_config(arguments.profile, None, {"turns": {"wake": False}})
    whole, seconds, spent_s = Translation(arguments.to), 0.0, 0.0
    try:
        for name, files in list(readers(rows, arguments.reader).items())[: arguments.readers]:
            sound = joined([read(arguments.data / file) for file in files[: arguments.utterances]])
            one = Translation(arguments.to)
            played = interpreted(config, sound, arguments.to, [one, whole], fast=arguments.fast)
            seconds, spent_s = seconds + played.seconds, spent_s + played.spent_s
            show({"reader": name, **figures(one, played.seconds, played.spent_s)}, as_json=arguments.json)
    except NearsightError as error:
        sys.exit(error.text)
    show({"reader": "all", **figures(whole, seconds, spent_s), "machine": machine()}, as_json=arguments.json)


def figures(translation: Translation, seconds: float, spent_s: float) -> dict[str, Any]:
    """Gives a row."""
    found = translation.summary(seconds=seconds, spent_s=spent_s)
    lag = found["spoken"]["lag_ms"]
    return {
        "seconds": round(seconds, 1),
        "sentences": found["sentences"],
        "lag_s": _seconds(lag.get("median")),
        "lag_p95_s": _seconds(lag.get("p95")),
        "laal_ca_s": _seconds(found["spoken"]["laal_ca_ms"]),
        "laal_s": _seconds(found["text"]["laal_ms"]),
        "rtf": found["real_time_factor"],
        "ne_spoken": found["spoken"]["erasure"],
        "ne_captions": found["captions"]["erasure"],
        "same": found["same_as_whole"],
        "bleu": found["bleu_to_whole"],
        "passed_over": sum(found["passed_over"].values()),
    }


def readers(rows: Sequence[dict[str, Any]], only: str = "") -> dict[str, list[str]]:
    """Gives the files of each reader, in the order of the book; perhaps of one alone."""
    found: dict[str, list[str]] = {}
    for row in rows:
        name = Path(row["file"]).name
        if name.startswith(f"{SOURCE}__"):
            found.setdefault(name.partition("__")[2].partition("-")[0], []).append(row["file"])
    return {name: sorted(files) for name, files in sorted(found.items()) if only in ("", name)}


def read(path: Path) -> Pcm:
    """Gives a recording at 16 kHz."""
    return np.concatenate(list(app.read_sound(path)))


def joined(sounds: Sequence[Pcm]) -> Pcm:
    """Puts pauses between recordings, as quiet as a room is."""
    chance = np.random.default_rng(1)
    quiet = [chance.integers(-8, 9, PAUSE).astype(np.int16) for _ in sounds]
    return np.concatenate([part for pair in zip(sounds, quiet, strict=True) for part in pair])


def interpreted(config: Config, sound: Pcm, target: str, told: Sequence[Translation], *, fast: bool) -> Played:
    """Plays a recording through engines of its own."""

    def emit(event: Event) -> None:
        for one in told:
            one.take(event)

    async def run(path: Path) -> Played:
        async with AsyncExitStack() as stack:
            engines = app.build_engines(config, only=("recogniser", "translator", "voice"))
            stack.push_async_callback(engines.close)
            through = Interpretation(config, engines, tag_of(config.recogniser.language), target, speak=True, emit=emit)
            await through.open()
            link = app.file_link(path, None, None)
            stack.push_async_callback(link.close)
            await link.open()
            return await through.play(link)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reader.wav"
        soundfile.write(path, sound, SAMPLE_RATE, subtype="PCM_16")
        emit(InterpretingChanged(t_ns=0, on=True))
        return loop.run(run(path), fast=fast)


def show(row: dict[str, Any], *, as_json: bool) -> None:
    """Prints a row."""
    print(json.dumps(row) if as_json else "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 2)


if __name__ == "__main__":
    main()
