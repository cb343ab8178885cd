"""``read``: the text and the codes in a picture, in another language if asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from edge import app
from edge.cli import loop
from edge.cli.output import Output
from edge.config import Config
from edge.errors import EngineMissing, LanguageMissing, UsageError
from edge.policy import layout
from edge.policy.languages import name_of, same, suggested, tag_of
from edge.policy.passages import passages
from edge.ports import Translator
from edge.runtime.engines import Engines
from edge.runtime.lane import Lane
from edge.runtime.written import written_in
from edge.skills.translate_text import translated
from edge.skills.translate_text import written_in as language_of_all
from edge.translation import TranslateRequest, text_translated
from edge.values import Box, Code, Reading, TextLine, VideoFrame

PORTS = ("text_reader", "code_reader")
TRANSLATING = ("translator", "text_language")


def read(image: Path, profile: str | None, file: Path | None, *, as_json: bool, to: str = "", source: str = "") -> None:
    """Reads one picture and prints a line of text a line, then the codes; with ``to`` each sentence with its translation.

    Raises UsageError, LanguageMissing, EngineMissing, and what engines raise.
    """
    if not image.exists():
        raise UsageError(f"{image}: there is no such file")
    if source and not to:
        raise UsageError("--from says what is translated: say with --to into which language")
    target, written = _tag("--to", to), _tag("--from", source)
    if target and same(target, written):
        raise UsageError(f"--to and --from are both {name_of(target)}")
    config = app.load_config(profile, file)
    frame = VideoFrame(app.read_picture(image), 0)
    loop.run(_Read(config, frame, Output(as_json=as_json)).run(target, written))


def _tag(option: str, text: str) -> str:
    tag = tag_of(text) if text else ""
    if text and not tag:
        near = suggested(text)
        raise UsageError(f"{option}: no language {text!r}" + (f": did you mean {near}?" if near else ""))
    return tag


class _Read:
    """One picture's reading."""

    def __init__(self, config: Config, frame: VideoFrame, output: Output) -> None:
        self._config = config
        self._frame = frame
        self._output = output

    async def run(self, target: str, source: str) -> None:
        """Reads, and translates where there is a target."""
        engines = app.build_engines(self._config, only=(*PORTS, *(TRANSLATING if target else ())))
        try:
            linguist = _Linguist(self._config, engines, source, target) if target else None
            reading, codes = await self._look(engines)
            if linguist is None or self._output.as_json:
                self._print_lines(reading)
            if linguist is not None and reading.lines:
                await self._translate(linguist, reading)
            self._print_codes(codes)
            self._print_nothing(reading, codes)
        finally:
            for lane in (engines.text_reader, engines.code_reader, engines.translator, engines.text_language):
                if lane is not None:
                    await lane.close()

    async def _look(self, engines: Engines) -> tuple[Reading, tuple[Code, ...]]:
        reader, codes = engines.text_reader, engines.code_reader
        if reader is None:
            raise EngineMissing(f"the profile {self._config.profile} has no text reader")
        reading = layout.arrange(await reader.call(lambda engine, stop: engine.read(self._frame, stop)))
        return reading, await codes.call(lambda engine, stop: engine.scan(self._frame)) if codes is not None else ()

    async def _translate(self, linguist: _Linguist, reading: Reading) -> None:
        found, target = passages(layout.blocks(reading.lines)), linguist.target
        if not any(passage.cells for passage in found):
            self._print_read(reading)
            return
        source = linguist.source or await language_of_all(linguist, found, target)
        why = linguist.missing(source) if source and not same(source, target) else ""
        if why or not source:
            self._print_read(reading)
            raise LanguageMissing(why) if why else UsageError("the text's language is not plain: name it with --from")
        if same(source, target):
            self._print_read(reading)
            notice = f"The text is {name_of(target)} already."
            self._output.line({"event": "notice", "code": "same_language", "text": notice}, f"({notice})")
            return
        lines: list[tuple[TextLine, str]] = []
        async with aclosing(translated(linguist, found, target, source)) as coming:
            async for row in coming:
                if row.line is not None:
                    lines.append((row.line, row.shown))
                if not self._output.as_json:
                    print(row.passage.text, *([f"    {row.said}"] if row.line is not None else []), sep="\n", flush=True)
        if self._output.as_json:
            self._output.line(text_translated(self._frame, target, lines, self._frame.t_ns).as_json())

    def _print_read(self, reading: Reading) -> None:
        """Prints what was read where its translation does not stand beside it; as JSON it has been printed."""
        if not self._output.as_json:
            self._print_lines(reading)

    def _print_lines(self, reading: Reading) -> None:
        for line in reading.lines:
            row = {"event": "text", "text": line.text, "box": _box(line.box), "confidence": round(line.confidence, 3)}
            self._output.line(row, line.text)

    def _print_codes(self, codes: tuple[Code, ...]) -> None:
        for code in codes:
            row = {"event": "code", "kind": code.kind, "data": code.data, "box": _box(code.box)}
            self._output.line(row, f"[{code.kind}] {code.data}")

    def _print_nothing(self, reading: Reading, codes: tuple[Code, ...]) -> None:
        if not self._output.as_json and not reading.lines and not codes:
            print("(too blurred to read)" if reading.blurred else "(no text)")
        if self._output.as_json and reading.blurred:
            self._output.line({"event": "notice", "code": "blurred", "text": "There seems to be text, too blurred to read."})


class _Linguist:
    """What translating text asks for, on the engines of a command."""

    def __init__(self, config: Config, engines: Engines, source: str, target: str) -> None:
        """Raises EngineMissing, and LanguageMissing where the languages are known already."""
        if engines.translator is None:
            raise EngineMissing(f"the profile {config.profile} has no translator: sudo apt-get install apertium-eng-spa")
        self._translator: Lane[Translator] = engines.translator
        self._identifier = engines.text_language
        self.source = source
        self.target = target
        if source and (why := self.missing(source)):
            raise LanguageMissing(why)

    def missing(self, source: str) -> str:
        """Says why nothing can be translated from a language; empty where it can."""
        return self._translator.engine.missing(source, self.target)

    async def language_of(self, text: str) -> str:
        """Gives the language of a text; empty where it is not plain."""
        return await written_in(text, self._identifier)

    async def translate(self, text: str, target: str, source: str = "") -> AsyncIterator[str]:
        """Gives the translation of a text, piece by piece."""
        request = TranslateRequest(text, source, target)
        async with aclosing(self._translator.stream(lambda engine, stop: engine.translate(request, stop))) as pieces:
            async for piece in pieces:
                yield piece


def _box(box: Box) -> list[float]:
    return [round(edge, 1) for edge in (box.x0, box.y0, box.x1, box.y1)]
