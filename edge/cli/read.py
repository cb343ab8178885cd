"""``read``: the text and the codes in a picture."""

from __future__ import annotations

from pathlib import Path

from edge import app
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.errors import EngineMissing, UsageError
from edge.policy.layout import arrange
from edge.values import Box, Code, Reading, VideoFrame


def read(image: Path, profile: str | None, file: Path | None, *, as_json: bool) -> None:
    """Reads one picture and prints a line of text a line, then the codes."""
    if not image.exists():
        raise UsageError(f"{image}: there is no such file")
    config = app.load_config(profile, file)
    frame = VideoFrame(app.read_picture(image), 0)
    reading, codes = loop.run(_read(config, frame))
    output = Output(as_json=as_json)
    for line in reading.lines:
        output.line(
            {"event": "text", "text": line.text, "box": _box(line.box), "confidence": round(line.confidence, 3)}, line.text
        )
    for code in codes:
        output.line(
            {"event": "code", "kind": code.kind, "data": code.data, "box": _box(code.box)}, f"[{code.kind}] {code.data}"
        )
    if not as_json and not reading.lines and not codes:
        print("(too blurred to read)" if reading.blurred else "(no text)")
    if as_json and reading.blurred:
        output.line({"event": "notice", "code": "blurred", "text": "There seems to be text, too blurred to read."})


async def _read(config: Config, frame: VideoFrame) -> tuple[Reading, tuple[Code, ...]]:
    engines = app.build_engines(config, only=("text_reader", "code_reader"))
    reader, codes = engines.text_reader, engines.code_reader
    if reader is None:
        raise EngineMissing(f"the profile {config.profile} has no text reader")
    try:
        reading = arrange(await reader.call(lambda engine, stop: engine.read(frame, stop)))
        return reading, await codes.call(lambda engine, stop: engine.scan(frame)) if codes is not None else ()
    finally:
        await reader.close()
        if codes is not None:
            await codes.close()


def _box(box: Box) -> list[float]:
    return [round(edge, 1) for edge in (box.x0, box.y0, box.x1, box.y1)]
