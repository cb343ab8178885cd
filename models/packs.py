"""Several translators behind one: which serves a pair of languages, and which two of them do through a third language.

A pack made for the pair comes first, then the general model, then the way through English where both halves are here: two
networks in a row cost twice the time, and what the first gets wrong the second cannot mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edge.errors import EngineFailed, LanguageMissing
from edge.ports import Stop, Translator
from edge.translation import TranslateRequest
from edge.values import EngineInfo
from models.ct2_languages import primary

PIVOT: Final = "en"


@dataclass(frozen=True, slots=True)
class Hop:
    """One translator's part of the way."""

    engine: int
    """Its place among the engines."""
    source: str
    target: str


Serves = Callable[[int, str, str], bool]
"""Whether the engine at that place translates from one language to another."""


def choose(source: str, target: str, engines: int, serves: Serves, pivot: str = PIVOT) -> tuple[Hop, ...]:
    """Gives the way from one language to another through the first engines that serve it: one hop, two, or none."""
    straight = _first(source, target, engines, serves)
    if straight is not None:
        return (straight,)
    if pivot in (primary(source), primary(target)):
        return ()
    halves = _first(source, pivot, engines, serves), _first(pivot, target, engines, serves)
    return (halves[0], halves[1]) if halves[0] is not None and halves[1] is not None else ()


def _first(source: str, target: str, engines: int, serves: Serves) -> Hop | None:
    return next((Hop(at, source, target) for at in range(engines) if serves(at, source, target)), None)


class Packs:
    """Implements ``edge.ports.Translator`` over others, all of which are open while it is."""

    def __init__(self, packs: Sequence[Translator], general: Translator | None = None, *, pivot: str = PIVOT) -> None:
        """``packs`` are for single pairs, the ones to prefer first; ``general`` serves what they do not."""
        self._engines = (*packs, *([general] if general is not None else []))
        self._general = general
        self._pivot = pivot

    @property
    def info(self) -> EngineInfo:
        """Names every model of them; ``pivot`` is the language that others are reached through."""
        infos = [engine.info for engine in self._engines]
        if len(infos) == 1:
            return infos[0]
        details = {info.model or info.name: " ".join(part for part in (info.name, info.version) if part) for info in infos}
        return EngineInfo(
            ", ".join(dict.fromkeys(info.name for info in infos)) or "packs",
            ", ".join(dict.fromkeys(info.version for info in infos if info.version)),
            ", ".join(info.model for info in infos if info.model),
            ", ".join(dict.fromkeys(info.licence for info in infos if info.licence)),
            {**details, "pivot": self._pivot},
            ", ".join(dict.fromkeys(info.remote for info in infos if info.remote)),
        )

    @property
    def forces(self) -> bool:
        """Whether every one of them does: which is asked is seen only from the languages."""
        return bool(self._engines) and all(engine.forces for engine in self._engines)

    def open(self) -> None:
        """Opens all, or none. Raises what the first raises that cannot."""
        opened: list[Translator] = []
        try:
            for engine in self._engines:
                engine.open()
                opened.append(engine)
        except BaseException:
            for engine in opened:
                engine.close()
            raise

    def close(self) -> None:
        """Closes all."""
        for engine in self._engines:
            engine.close()

    def missing(self, source: str, target: str) -> str:
        """Says why there is no way between two languages; where half of the way through the pivot is here, which half lacks."""
        if primary(source) == primary(target):
            return f"{source} and {target} are the same language"
        if self._way(source, target):
            return ""
        one, other = primary(source), primary(target)
        command = f"run nearsight models pull --translate {one}-{other}"
        if self._pivot not in (one, other):
            halves = [(one, self._pivot), (self._pivot, other)]
            lacking = [half for half in halves if not self._way(*half)]
            if len(lacking) == 1:
                half = "-".join(lacking[0])
                there = "-".join(next(each for each in halves if each not in lacking))
                return f"no translator from {source} to {target}; with {there} here, {half} makes the way through it: {command}"
        if len(self._engines) == 1:
            return self._engines[0].missing(source, target)
        return f"no translator from {source} to {target}: {command}"

    def via(self, source: str, target: str) -> str:
        """Gives the language that a pair is translated through; empty where it is not, or cannot be."""
        return self._pivot if len(self._way(source, target)) > 1 else ""

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation by the one that serves the pair; through the pivot only once its half is whole.

        Raises LanguageMissing, and what the engines raise.
        """
        way = self._way(request.source, request.target)
        if not way:
            raise LanguageMissing(self.missing(request.source, request.target))
        if not self.forces:
            request = replace(request, prefix="")
        for hop in way[:-1]:
            # The prefix and the sentences before are in the language of the end.
            half = replace(request, source=hop.source, target=hop.target, prefix="", before=())
            text = "".join(self._engines[hop.engine].translate(half, stop))
            if stop:
                return
            if not text.strip():
                if any(letter.isalnum() for letter in request.text):
                    raise EngineFailed(
                        f"{hop.source}-{hop.target}: nothing comes of it, so nothing goes on to {way[-1].target}"
                    )
                return
            request = replace(request, text=text, before=())
        last = way[-1]
        yield from self._engines[last.engine].translate(replace(request, source=last.source, target=last.target), stop)

    def _way(self, source: str, target: str) -> tuple[Hop, ...]:
        if primary(source) == primary(target):
            return ()
        return choose(
            source,
            target,
            len(self._engines),
            lambda at, one, other: not self._engines[at].missing(one, other),
            self._pivot,
        )
