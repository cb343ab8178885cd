"""A chat model as a translator: ``PromptedTranslator``."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Generator, Iterator
from typing import Final, cast

from edge.errors import EngineFailed, LanguageMissing
from edge.policy.languages import name_of, primary, same, three_letters
from edge.policy.settling import unspaced
from edge.policy.translation_prompt import fault, translation_in, translation_prompt, unended
from edge.ports import LanguageModel, Stop
from edge.runtime.fallback import Away, server_of
from edge.translation import TranslateRequest
from edge.values import EngineInfo

log = logging.getLogger(__name__)

_PER_TOKEN: Final = 3
_SPARE: Final = 24
"""An answer has at most three tokens for each of its source, and 24. Between European languages it needs 1.3 (SimulStreaming's
bound for German; 1.34 for Japanese, 1.23 for Chinese, with a tokenizer made for them); one made for English spends two to three
times as many on other scripts. What is still too long is told by its words (``edge.policy.translation_guards``)."""


class PromptedTranslator(Away):
    """Implements ``edge.ports.Translator`` with a ``LanguageModel``, here or elsewhere.

    It gives a translation whole: before its line has ended nobody knows whether it is one. An answer that is none is asked for
    once more, in other words.
    """

    def __init__(self, model: LanguageModel, *, forces: bool = False) -> None:
        """``forces``: whether the model goes on from a last message of the assistant, as ``models.llama.LlamaCpp`` does."""
        self._model = model
        self._forces = forces

    def open(self) -> None:
        """Opens the model."""
        self._model.open()

    def close(self) -> None:
        """Closes the model. Where it is somebody else's there is ``edge.runtime.shared_lane``."""
        self._model.close()

    @property
    def info(self) -> EngineInfo:
        """The model's."""
        found = self._model.info
        return dataclasses.replace(found, name=f"{found.name} (prompted)")

    @property
    def server(self) -> str:
        """Where the model sends what it is given, ``HOST:PORT``; empty for one of this machine."""
        return server_of(self._model)

    @property
    def forces(self) -> bool:
        """As it was made."""
        return self._forces

    def missing(self, source: str, target: str) -> str:
        """Says which of the two has no name; whether the model knows a language that has one, only its answers tell."""
        if same(source, target):
            return f"{source} and {target} are the same language"
        for tag in (source, target):
            if not three_letters(tag):
                command = f"nearsight models pull --translate {primary(source)}-{primary(target)}"
                return f"no language is known by the name {tag!r}: a model for it may be: run {command}"
        return ""

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation in one piece, or nothing once ``stop`` is set.

        Raises LanguageMissing; EngineFailed where the model gives something else twice; what the model raises.
        """
        if why := self.missing(request.source, request.target):
            raise LanguageMissing(why)
        if not any(sign.isalnum() for sign in request.text):
            return
        found, why = "", ""
        for again in (False, True):
            found = self._ask(request, stop, again=again)
            if stop:
                return
            why = fault(found, request)
            if not why:
                yield found
                return
            log.info("%s gave no translation: %s", self._model.info.name, why)
        raise EngineFailed(f"{self._model.info.name} gave no translation into {name_of(request.target)}: {why}")

    def _ask(self, request: TranslateRequest, stop: Stop, *, again: bool) -> str:
        begun = self._forces and bool(request.prefix.strip()) and not again
        limit = _PER_TOKEN * self._model.count(request.text) + _SPARE
        # A generator, in every engine: closing it is what ends its work early.
        pieces = cast(
            Generator[str, None, None],
            self._model.generate(translation_prompt(request, limit, begun=begun, again=again), stop),
        )
        answer = ""
        with contextlib.closing(pieces):
            for piece in pieces:
                answer += piece
                if not begun and translation_in(answer, request)[1]:
                    break
        if begun:
            return _continued(request.prefix, unended(answer.rstrip(), request))
        return unended(translation_in(answer, request)[0], request)


def _continued(prefix: str, rest: str) -> str:
    if not rest or prefix[-1].isspace():
        return prefix + rest.lstrip()
    joins = not rest[0].isalnum() or unspaced(rest[0]) or unspaced(prefix[-1])
    return f"{prefix}{rest}" if joins else f"{prefix} {rest}"
