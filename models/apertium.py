"""Translation by rules: Apertium (GPL-2.0-or-later), from Debian's packages, in processes of its own.

It is small, knows some forty closely related pairs and English with Spanish and a few more, and takes milliseconds: nothing is
downloaded from a model hub, and the same words give the same translation every time, after whatever other words. What it cannot
do is choose between meanings; for a better translation there is CTranslate2.

A mode's programs are run as its file names them, without a shell, and kept. On one of two cores, eng-spa's eleven programs take
0.2 s to their first answer and then 3 ms for a sentence of twenty words; with seven times as many runnable processes as cores,
0.6 s and 12 ms. When programs die, they are started once more and the request is repeated.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge.errors import EngineFailed, EngineHung, EngineMissing, LanguageMissing, TooLarge
from edge.ports import Stop
from edge.translation import TranslateRequest
from edge.values import EngineInfo
from models.apertium_modes import MODES, Mode, find, installed, package, primary
from models.apertium_pipe import Broken, Pipe
from models.apertium_text import LAST, cased_like, cleaned, decode, encode, pieces, prepared

log = logging.getLogger(__name__)

LONGEST: Final = 100_000
"""Characters of one request: two hours of speech."""
_SCRIPT: Final = Path("/usr/bin/apertium")
_VERSION: Final = re.compile(r'apertium_version="Apertium ([\w.]+)"')
_OPEN: Final = 4
"""Directions that are kept: a conversation has two, and twice as many by way of a third language. English and Spanish
take 110 MB each way."""
_TRIES: Final = 2


class Apertium:
    """Implements ``edge.ports.Translator``. Lines stay lines; words that it does not know stay as they are."""

    def __init__(self, *, modes: Path = MODES, time_limit: float = 10.0) -> None:
        """``time_limit``: seconds that a thousand characters may take before the programs are ended."""
        self._folder = modes
        self._limit = time_limit
        self._modes: tuple[Mode, ...] = ()
        self._pipes: OrderedDict[str, Pipe] = OrderedDict()

    def open(self) -> None:
        """Looks for modes; programs are started when they are needed. Raises EngineMissing."""
        self._modes = installed(self._folder)
        if not self._modes:
            raise EngineMissing(
                "Apertium is not installed: sudo apt-get install apertium-eng-spa (or another pair of languages)"
            )

    def close(self) -> None:
        """Ends all programs."""
        while self._pipes:
            self._pipes.popitem()[1].close()
        self._modes = ()

    @property
    def info(self) -> EngineInfo:
        """Name, version and licence, and the directions that are installed."""
        found = _VERSION.search(_SCRIPT.read_text(errors="replace")) if _SCRIPT.exists() else None
        directions = sorted({mode.direction for mode in installed(self._folder)})
        details = MappingProxyType({"process": "its own", "pairs": " ".join(directions)})
        return EngineInfo("apertium", found[1] if found else "not installed", "", "GPL-2.0-or-later", details)

    @property
    def forces(self) -> bool:
        """Never: rules see the whole sentence."""
        return False

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of all processes that run now."""
        return tuple(pid for pipe in self._pipes.values() for pid in pipe.pids)

    def missing(self, source: str, target: str) -> str:
        """Names the Debian package with a pair, or what else may help; the folder of modes is looked at anew."""
        if primary(source) == primary(target):
            return f"{source} and {target} are the same language"
        if find(source, target, installed(self._folder)) is not None:
            return ""
        if name := package(source, target):
            return f"Apertium's pair {source}-{target} is not installed: sudo apt-get install {name}"
        command = f"nearsight models pull --translate {primary(source)}-{primary(target)}"
        return f"Apertium has no pair {source}-{target}: run {command}"

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation, up to a thousand characters a piece; ends early once ``stop`` is set.

        Raises LanguageMissing, TooLarge, EngineMissing, EngineFailed, EngineHung; the next request has fresh programs.
        """
        if not self._modes:
            raise EngineFailed("Apertium is not open")
        mode = find(request.source, request.target, self._modes)
        if mode is None:  # it may have been installed meanwhile
            self._modes = installed(self._folder)
            mode = find(request.source, request.target, self._modes)
        if mode is None or primary(request.source) == primary(request.target):
            raise LanguageMissing(self.missing(request.source, request.target))
        if len(request.text) > LONGEST:
            raise TooLarge(f"a text of {len(request.text)} characters; Apertium is given {LONGEST} at most")
        between = ""
        for line in request.text.strip().split("\n"):
            for piece in pieces(cleaned(line)):
                found = self._piece(mode, piece, stop)
                if stop:
                    return
                if found:
                    yield between + found
                    between = " "
            between = between.rstrip(" ") + "\n" if between else ""

    def _piece(self, mode: Mode, text: str, stop: Stop) -> str:
        if not any(sign.isalnum() for sign in text):
            return text
        answer = self._ask(mode, encode(prepared(text, mode.source)), stop)
        return "" if answer is None else cased_like(decode(answer), text)

    def _ask(self, mode: Mode, request: bytes, stop: Stop) -> bytes | None:
        why = ""
        for _ in range(_TRIES):
            if stop:
                return None
            pipe = self._pipe(mode)
            try:
                return pipe.ask(request, self._limit, stop)
            except Broken as error:
                why = str(error)
                log.warning("apertium %s broke: %s; it is started once more", mode.name, why)
                self._drop(mode)
            except EngineHung:
                self._drop(mode)
                raise
        raise EngineFailed(f"apertium {mode.name} broke {_TRIES} times at the same text: {why}")

    def _pipe(self, mode: Mode) -> Pipe:
        pipe = self._pipes.get(mode.name)
        if pipe is not None and not pipe.alive:
            log.info("apertium %s has ended; it is started anew", mode.name)
            self._drop(mode)
            pipe = None
        if pipe is None:
            try:
                pipe = Pipe(mode.name, mode.programs(), LAST)
            except (OSError, ValueError) as error:
                raise EngineFailed(f"apertium {mode.name}: {error}") from error
            self._pipes[mode.name] = pipe
            while len(self._pipes) > _OPEN:
                self._pipes.popitem(last=False)[1].close()
        self._pipes.move_to_end(mode.name)
        return pipe

    def _drop(self, mode: Mode) -> None:
        if (pipe := self._pipes.pop(mode.name, None)) is not None:
            pipe.close()
