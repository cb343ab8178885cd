"""A question that may have ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from edge.ports import Stop
from edge.values import Transcript


@dataclass(eq=False)
class Attempt:
    """A question that may have ended: begun at a hint of silence, then confirmed or thrown away."""

    last: int
    """One past the last sample of speech."""
    began: int
    """First sample of the question."""
    stop: Stop = field(default_factory=Stop)
    transcript: Transcript | None = None
    confirmed: bool = False
    dropped: bool = False
    spotting: asyncio.Task[None] | None = None
    """Looks for a single word in what was said over a reply."""
    understood_at: float | None = None
    """Loop time of the final transcript."""
    ended_at: float | None = None
    """Loop time of the endpoint."""
