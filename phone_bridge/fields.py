"""The fields of a page's message, taken out with their types and bounds checked."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any


class Malformed(Exception):
    """A message that does not say what it should; its text says what it should."""


class Fields:
    """The fields of a JSON object, taken out with their types and bounds checked."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def text(self, key: str, limit: int = 200) -> str:
        """Gives a text, cut to ``limit`` characters; empty where there is none."""
        value = self._fields.get(key, "")
        if not isinstance(value, str):
            raise Malformed(f"{key} must be a text")
        return value[:limit]

    def choice(self, key: str, *known: str) -> str:
        """Gives one of the texts that are known."""
        value = self._fields.get(key)
        if value not in known:
            raise Malformed(f"{key} must be one of {', '.join(known)}")
        return str(value)

    def whole(self, key: str, high: int, default: int | None = None) -> int:
        """Gives a whole number from 0 to ``high``."""
        value = self._fields.get(key, default)
        if type(value) is not int or not 0 <= value <= high:
            raise Malformed(f"{key} must be a whole number from 0 to {high}")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """Gives a finite number within bounds."""
        value = self._fields.get(key, default)
        if type(value) not in (int, float) or not (math.isfinite(value) and low <= value <= high):
            raise Malformed(f"{key} must be a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str) -> bool:
        """Gives whether it is true."""
        return self._fields.get(key) is True

    def part(self, key: str) -> Fields | None:
        """Gives an object within; None where there is none."""
        value = self._fields.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Malformed(f"{key} must be an object or null")
        return Fields(value)

    def maybe(self, key: str) -> bool | None:
        """Gives a boolean; None for anything else."""
        value = self._fields.get(key)
        return value if isinstance(value, bool) else None

    def texts(self, key: str, most: int, limit: int = 64) -> tuple[str, ...]:
        """Gives a list of at most ``most`` texts of at most ``limit`` characters each."""
        value = self._fields.get(key)
        good = (
            isinstance(value, list) and len(value) <= most and all(isinstance(one, str) and len(one) <= limit for one in value)
        )
        if not isinstance(value, list) or not good:
            raise Malformed(f"{key} must be a list of at most {most} texts")
        return tuple(value)

    def data(self, key: str, most: int) -> bytes:
        """Gives at most ``most`` bytes of base64; empty where there are none."""
        try:
            found = base64.b64decode(self.text(key, 2 * most + 8), validate=True)
        except ValueError:
            raise Malformed(f"{key} must be base64") from None
        if len(found) > most:
            raise Malformed(f"{key} has at most {most} bytes")
        return found
