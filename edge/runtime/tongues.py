"""Voices by language: a translation is spoken by one that knows its language, loaded when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge.ports import Voice
from edge.runtime.lane import Lane


class Tongues:
    """The voices of a household, one lane a language. ``make`` builds one, and raises LanguageMissing where none knows it."""

    def __init__(self, make: Callable[[str], Lane[Voice]]) -> None:
        self._make = make
        self._lanes: dict[str, Lane[Voice]] = {}
        self._making = asyncio.Lock()

    async def voice(self, language: str) -> Lane[Voice]:
        """Gives the voice for a BCP 47 tag, loaded. Raises LanguageMissing, and what voices raise when they are opened."""
        async with self._making:
            if language not in self._lanes:
                lane = self._make(language)
                await lane.open()
                self._lanes[language] = lane
        return self._lanes[language]

    async def close(self) -> None:
        """Frees all of them."""
        while self._lanes:
            _, lane = self._lanes.popitem()
            await lane.close()
