"""The session bundle: what a recorded session looks like on disk, and how it is read back.

::

    session.jsonl        every event, one JSON object a line
    microphone.flac      16 kHz mono, media time from sample 0
    speaker.flac         the same clock; silence where nothing was played
    frames/000012.jpg    the camera's pictures, upright
    frames.jsonl         {"index", "t_ns", "file"} for each
    taps.jsonl           {"t_ns", "name"} for each
    photos/0001.jpg      pictures that the wearer asked to keep
    config.toml          the whole configuration
    versions.json        Python, machine, packages, engines
    measures.json        written last: counts, times, what was dropped

A process that was killed leaves a bundle that reads: a last line that was torn is left out, whatever is missing is empty.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError

EVENTS = "session.jsonl"
MICROPHONE = "microphone.flac"
SPEAKER = "speaker.flac"
FRAMES = "frames.jsonl"
TAPS = "taps.jsonl"
CONFIG = "config.toml"
VERSIONS = "versions.json"
MEASURES = "measures.json"


@dataclass(frozen=True, slots=True)
class FrameFile:
    """A recorded picture."""

    index: int
    t_ns: int
    """Media time in nanoseconds."""
    path: Path


@dataclass(frozen=True, slots=True)
class Bundle:
    """A recorded session."""

    path: Path
    events: tuple[Mapping[str, Any], ...]
    """The lines of ``session.jsonl``, as ``Event.as_json`` made them."""
    frames: tuple[FrameFile, ...]
    """By media time."""
    taps: tuple[tuple[int, str], ...]
    """Media time in nanoseconds and name, by time."""
    config: Mapping[str, Any]
    """The TOML table that ``edge.config.parse`` takes."""
    versions: Mapping[str, Any]
    measures: Mapping[str, Any]
    """Empty where the session was killed."""

    @property
    def microphone(self) -> Path:
        """The microphone's sound; the file may be missing."""
        return self.path / MICROPHONE

    @property
    def speaker(self) -> Path:
        """The loudspeaker's sound; the file may be missing."""
        return self.path / SPEAKER


def is_bundle(path: Path) -> bool:
    """Whether a folder holds a session bundle."""
    return (path / EVENTS).is_file()


def read_bundle(path: Path) -> Bundle:
    """Reads a bundle's texts; sound and pictures stay on disk. Raises InputError with the file and the line of the fault."""
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder")
    if not is_bundle(path):
        raise InputError(f"{path}: not a session bundle: there is no {EVENTS} in it")
    try:
        frames = [
            FrameFile(int(row["index"]), int(row["t_ns"]), _inside(path, str(row["file"]))) for row in _lines(path / FRAMES)
        ]
        taps = [(int(row["t_ns"]), str(row["name"])) for row in _lines(path / TAPS)]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a line of {FRAMES} or {TAPS} lacks a key or holds a wrong value") from error
    return Bundle(
        path=path,
        events=tuple(_lines(path / EVENTS)),
        frames=tuple(sorted(frames, key=lambda frame: frame.t_ns)),
        taps=tuple(sorted(taps)),
        config=_config(path / CONFIG),
        versions=_object(path / VERSIONS),
        measures=_object(path / MEASURES),
    )


def _inside(folder: Path, name: str) -> Path:
    """A bundle comes from elsewhere: it may not name files outside itself."""
    inside = (folder / name).resolve()
    if not inside.is_relative_to(folder.resolve()):
        raise InputError(f"{folder / FRAMES}: {name!r} lies outside the bundle")
    return inside


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text") from error


def _lines(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    lines = _text(path).split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError:
            if number == len(lines):
                break  # Torn: the process was killed while it wrote.
            raise InputError(f"{path}, line {number}: not JSON") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: not a JSON object")
        rows.append(row)
    return rows


def _object(path: Path) -> dict[str, Any]:
    text = _text(path)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        raise InputError(f"{path}: not JSON") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object")
    return value


def _config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}") from None
