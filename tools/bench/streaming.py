"""What streaming costs and gains: ``python -m tools.bench.streaming [--policy agreement|alignatt] [--seconds S] [--json]``.

PocketSphinx decodes buffers (``tools.bench.sphinx_decoder``); our policies make a stream of it, in chunks of 60 ms, as the
listener feeds them, with Silero as voice activity. The recordings are those of ``tools.bench.wer``. For each policy:

- ``wer`` of the stream's final text beside ``offline_wer``, the same decoder over the whole recording at once;
- ``first_ms``: from the first sample of speech (Silero's) to the first partial, the decode's own time included;
- ``lag_ms``: from the end of a word (its place in the final text) until it stood for good, for the words that did before the
  end of the recording;
- ``erased``: words that partials showed and took back, for each word of the final text; ``erased_settled`` among those that
  stood for good;
- ``load``: processor time a second of sound, all decodes together.

A decode's processor time is added to the time of the sound that it waited for: what a listener would see on a machine that does
nothing else. (One thread does all the work.)
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

from edge.bench.stats import spread
from edge.decoding import DecodeRequest
from edge.policy.agreement import LocalAgreement
from edge.policy.alignatt import AlignAtt
from edge.policy.settling import StreamingPolicy, agreed, joined
from edge.ports import Stop
from edge.runtime.streaming import Streaming, StreamingRecogniser
from edge.values import SAMPLE_RATE, Pcm, Transcript, Word, samples
from models.silero import Silero
from phone_bridge.media import read_audio
from tools.bench.sphinx_decoder import SphinxDecoder
from tools.bench.wer import DATA, reference, wanted

FEED: Final = samples(0.06)
POLICIES: Final[dict[str, Callable[[], StreamingPolicy]]] = {"agreement": LocalAgreement, "alignatt": AlignAtt}


@dataclass
class Clip:
    """How one recording went."""

    final: Transcript
    first_ms: float | None = None
    lags_ms: list[float] = field(default_factory=list)
    erased: int = 0
    erased_settled: int = 0


@dataclass
class Tally:
    """How all of them went."""

    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    offline: list[str] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    seconds: float = 0.0
    spent: float = 0.0

    def line(self) -> dict[str, Any]:
        """Gives the figures."""
        words = sum(len(clip.final.words) for clip in self.clips)
        return {
            "clips": len(self.clips),
            "words": words,
            "wer": _percent(jiwer.wer(self.said, self.heard)),
            "offline_wer": _percent(jiwer.wer(self.said, self.offline)),
            "first_ms": _rounded(spread([clip.first_ms for clip in self.clips if clip.first_ms is not None])),
            "lag_ms": _rounded(spread([lag for clip in self.clips for lag in clip.lags_ms])),
            "erased": round(sum(clip.erased for clip in self.clips) / max(1, words), 3),
            "erased_settled": sum(clip.erased_settled for clip in self.clips),
            "load": round(self.spent / max(self.seconds, 1e-9), 2),
        }


def main() -> None:
    """Prints one line for each policy, after every recording with ``--each``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--policy", choices=POLICIES)
    parser.add_argument("--limit", type=int, help="take only so many recordings, the same ones each time")
    parser.add_argument("--longest", type=float, default=30.0, help="take no recording of more seconds")
    parser.add_argument("--seconds", type=float, help="begin no recording after so much processor time")
    parser.add_argument("--update", type=float, default=Streaming().update_s, help="seconds of speech between two decodes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    index = arguments.data / "index.jsonl"
    if not index.exists():
        sys.exit(f"no data at {arguments.data}: name its folder with --data")
    rows = [row for row in map(json.loads, index.read_text(encoding="utf-8").splitlines()) if wanted(row)]
    rows = [row for row in rows if float(row["seconds"]) <= arguments.longest]
    random.Random(1).shuffle(rows)  # what is left out, is left out of all groups
    rows = rows[: arguments.limit]
    for name in POLICIES if arguments.policy is None else (arguments.policy,):
        tally = Tally()
        began = time.process_time()
        for row in measure(name, rows, arguments.data, arguments.update, tally):
            if arguments.each:
                print(json.dumps(row), flush=True)
            if arguments.seconds is not None and time.process_time() - began >= arguments.seconds:
                break
        line = {"policy": name, **tally.line()}
        print(json.dumps(line) if arguments.json else "  ".join(f"{key} {value}" for key, value in line.items()), flush=True)


def measure(name: str, rows: Iterable[dict[str, Any]], data: Path, update_s: float, tally: Tally) -> Iterable[dict[str, Any]]:
    """Runs every recording through one policy and through the decoder alone; gives what each of them was."""
    normalise = EnglishTextNormalizer()
    decoder = SphinxDecoder()
    settings = Streaming(languages=("en",), update_s=update_s)
    engine = StreamingRecogniser(decoder, POLICIES[name], Silero(), settings, time.process_time)
    engine.open()
    try:
        for row in rows:
            pcm = read_audio(data / row["file"])
            began = time.process_time()
            clip = stream(engine, pcm)
            tally.spent += time.process_time() - began
            tally.seconds += len(pcm) / SAMPLE_RATE
            whole = joined(decoder.decode(pcm, DecodeRequest(thorough=True), Stop()).words)
            tally.clips.append(clip)
            tally.said.append(normalise(reference(row)))
            tally.heard.append(normalise(clip.final.text))
            tally.offline.append(normalise(whole))
            yield {"file": row["file"], "said": tally.said[-1], "heard": tally.heard[-1], "offline": tally.offline[-1]}
    finally:
        engine.close()


def stream(engine: StreamingRecogniser, pcm: Pcm) -> Clip:
    """Feeds one recording."""
    onset = first_speech(engine, pcm)
    running = engine.stream()
    told = Transcript("")
    clip = Clip(told)
    stood: list[float] = []
    for at in range(0, len(pcm), FEED):
        began = time.process_time()
        partial = running.accept(pcm[at : at + FEED])
        now = min(at + FEED, len(pcm)) / SAMPLE_RATE + time.process_time() - began
        if partial is None:
            continue
        if clip.first_ms is None:
            clip.first_ms = 1000 * (now - onset)
        _compare(told, partial, clip)
        stood += [now] * (partial.settled - len(stood))
        told = partial
    clip.final = running.final(Stop())
    _compare(told, clip.final, clip)
    running.close()
    clip.lags_ms = [1000 * (at - word.end / SAMPLE_RATE) for at, word in zip(stood, clip.final.words, strict=False)]
    return clip


def first_speech(engine: StreamingRecogniser, pcm: Pcm) -> float:
    """Gives the second at which voice activity begins, 0 where it never does."""
    voice = engine.voice
    if voice is None:
        return 0.0
    voice.reset()
    windows = range(0, len(pcm) - voice.window + 1, voice.window)
    return next((at / SAMPLE_RATE for at in windows if voice.probability(pcm[at : at + voice.window]) >= 0.5), 0.0)


def _compare(before: Transcript, after: Transcript, clip: Clip) -> None:
    kept = agreed(before.words, after.words)
    clip.erased += len(before.words) - kept
    clip.erased_settled += _changed(before.words[: before.settled], after.words)


def _changed(settled: Sequence[Word], after: Sequence[Word]) -> int:
    return sum(a != b for a, b in zip(settled, after, strict=False)) + max(0, len(settled) - len(after))


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _rounded(figures: dict[str, float]) -> dict[str, int]:
    return {key: round(value) for key, value in figures.items()}


if __name__ == "__main__":
    main()
