"""The files around a translation: a reference is read, captions and the mix with the original are written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from edge.cli.translated import Reference
from edge.errors import InputError, StorageError
from edge.policy.captions import Sentence, export
from edge.policy.ducking import gain, mixed, runs
from edge.values import SAMPLE_RATE, Pcm

BLOCK = SAMPLE_RATE
"""Samples that are mixed at a time."""


def read_reference(path: Path) -> tuple[Reference, ...]:
    """Reads a reference translation: text with a sentence a line, or JSON lines ``{"text", "start_ms", "end_ms"}``.

    With times the summary has StreamLAAL. Raises InputError.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a text in UTF-8") from error
    rows = [(number, line) for number, line in enumerate(lines, 1) if line]
    if not rows:
        raise InputError(f"{path}: there is no text in it")
    if path.suffix.lower() not in (".json", ".jsonl"):
        return tuple(Reference(line) for _, line in rows)
    return tuple(_row(path, number, line) for number, line in rows)


def _row(path: Path, number: int, line: str) -> Reference:
    try:
        row: dict[str, Any] = json.loads(line)
        start, end = row.get("start_ms"), row.get("end_ms")
        if not isinstance(row["text"], str) or not row["text"].strip() or (start is None) != (end is None):
            raise ValueError
        found = Reference(row["text"].strip(), *(None if at is None else float(at) for at in (start, end)))
        if found.start_ms is not None and found.end_ms is not None and not 0 <= found.start_ms < found.end_ms < 1e12:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        wanted = '{"text": ..., "start_ms": ..., "end_ms": ...}'
        raise InputError(f"{path}:{number}: is not {wanted}") from error
    return found


def write_captions(path: Path, sentences: Sequence[Sentence]) -> None:
    """Writes the file whose format its name tells. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(export(sentences, path.suffix.lstrip(".").lower()), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def under(interpretation: Path, original: Callable[[], Iterator[Pcm]]) -> None:
    """Puts the original under a WAV of its interpretation, ducked while that speaks. Raises StorageError, InputError."""
    import soundfile

    half = interpretation.with_name(f".{interpretation.name}.part")
    try:
        spoken = runs(_blocks(interpretation))
        with soundfile.SoundFile(half, "w", SAMPLE_RATE, 1, subtype="PCM_16", format="WAV") as out:
            start = 0
            for below, above in zip_longest(_even(original()), _blocks(interpretation), fillvalue=_SILENCE):
                count = max(len(below), len(above))
                out.write(mixed(_filled(below, count), _filled(above, count), gain(start, count, spoken)))
                start += count
        os.replace(half, interpretation)
    except (OSError, soundfile.SoundFileError) as error:
        raise StorageError(f"{interpretation}: the mix cannot be written: {error}") from error
    finally:
        half.unlink(missing_ok=True)


_SILENCE: Pcm = np.zeros(0, np.int16)


def _blocks(path: Path) -> Iterator[Pcm]:
    import soundfile

    with soundfile.SoundFile(path) as sound:
        while len(block := sound.read(BLOCK, dtype="int16")):
            yield block


def _even(sound: Iterator[Pcm]) -> Iterator[Pcm]:
    """The same in blocks of ``BLOCK`` samples, the last one shorter."""
    waiting: list[Pcm] = []
    for pcm in sound:
        waiting.append(pcm)
        while sum(map(len, waiting)) >= BLOCK:
            joined = np.concatenate(waiting)
            yield joined[:BLOCK]
            waiting = [joined[BLOCK:]]
    if sum(map(len, waiting)):
        yield np.concatenate(waiting)


def _filled(pcm: Pcm, count: int) -> Pcm:
    return np.pad(pcm, (0, count - len(pcm))) if len(pcm) < count else pcm
