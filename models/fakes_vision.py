"""A scripted vision-language model, for tests, benches and anybody who builds on nearsight.

Like every fake it obeys the contract tests of the real engine, and its cost is spent in the lane's thread. What it was shown
and asked stays to be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.errors import EngineFailed
from edge.ports import Stop
from edge.values import EngineInfo, Pixels, Prompt
from models.fakes import Spend, spend_real

KEPT = 2
"""How many pictures stay looked at, as in the real engine."""


@dataclass(frozen=True, slots=True)
class Look:
    """One call of ``answer``."""

    pictures: tuple[Pixels, ...]
    prompt: Prompt
    schema: Mapping[str, Any] | None
    prepared: bool
    """Whether its first picture had been looked at before."""


Answer = str | Callable[[Look], str]
"""What is written: a text, or a function of what was shown and asked."""


class FakeVision:
    """Writes the scripted answers, a word a token; the last one for ever.

    An entry of the script for a call with a schema is JSON text: any other is an EngineFailed.
    """

    def __init__(
        self,
        answers: Sequence[Answer],
        *,
        encode: float = 0.0,
        first_token: float = 0.0,
        per_token: float = 0.0,
        spend: Spend = spend_real,
    ) -> None:
        """Costs in seconds: ``encode`` for each picture that was not looked at before."""
        self.answers = list(answers)
        self.encode = encode
        self.first_token = first_token
        self.per_token = per_token
        self.spend = spend
        self.opened = 0
        self.closed = 0
        self.encoded = 0
        """Pictures that had to be looked at."""
        self.looks: list[Look] = []
        self._seen: list[Pixels] = []

    @property
    def info(self) -> EngineInfo:
        """Says that it is a fake."""
        return EngineInfo("fake FakeVision", "0")

    def open(self) -> None:
        """Counts."""
        self.opened += 1

    def close(self) -> None:
        """Counts, and forgets what was looked at."""
        self.closed += 1
        self._seen.clear()

    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        """Looks at a picture; in vain once ``stop`` is set."""
        if self._known(pixels):
            return
        self.spend(self.encode, stop)
        if not stop:
            self.encoded += 1
            self._seen = [*self._seen, pixels][-KEPT:]

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Writes the script's next answer; nothing once ``stop`` is set."""
        look = Look(tuple(pictures), prompt, schema, prepared=bool(pictures) and self._known(pictures[0]))
        self.looks.append(look)
        scripted = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = scripted if isinstance(scripted, str) else scripted(look)
        if schema is not None:
            _check_json(text)
        for pixels in pictures:
            self.prepare(pixels, stop)
        for at, word in enumerate(text.split()):
            self.spend(self.per_token if at else self.first_token, stop)
            if stop:
                return
            yield word if at == 0 else f" {word}"

    def _known(self, pixels: Pixels) -> bool:
        return any(one is pixels for one in self._seen)


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise EngineFailed(f"the script has no JSON for a call with a schema: {text[:40]!r}") from error
