"""Speaks translations to one of two people: in order, a few words at a time, faster when it has fallen behind.

Each piece is one ``Playback``, so that what plays can be held, cut and counted like any reply. The next piece is synthesised
while the one before it still sounds, and not earlier: its pace is that of the moment, and what was not begun can be shortened.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from edge.errors import NearsightError
from edge.events import Event
from edge.policy.pacing import Backlog, Pace
from edge.ports import Voice
from edge.runtime.lane import Lane
from edge.runtime.speaker import Playback, Speaker
from edge.translation import Party, TranslationSpoken
from edge.values import NS_PER_SAMPLE, SAMPLE_RATE, VoiceStyle, samples

BOUND: Final = samples(60.0)
"""The longest piece."""
AHEAD: Final = samples(0.4)
"""Sound of one piece that is left when the next is made."""

ECHO_S: Final = 4.0
"""How long after its end what was spoken may still come out of a recogniser, reverberation and pauses included."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a translation."""

    sentence: int
    language: str
    text: str
    covered: int
    """Media time at which the last source word ends that they were made from."""
    shortened: bool = False


class Mouth:
    """Whoever translates says pieces; ``run`` speaks them.

    ``speaker`` gives the loudspeaker for the next piece, ``voice`` the voice for a language.
    """

    def __init__(
        self,
        party: Party,
        speaker: Callable[[], Speaker],
        voice: Callable[[str], Awaitable[Lane[Voice]]],
        pace: Pace,
        *,
        style: Callable[[], VoiceStyle],
        emit: Callable[[Event], None],
        failed: Callable[[NearsightError], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.party = party
        self._said: deque[tuple[str, Playback, float]] = deque(maxlen=8)
        self._speaker = speaker
        self._voice = voice
        self._pace = pace
        self._backlog = Backlog()
        self._style = style
        self._emit = emit
        self._failed = failed
        self._now_ns = now_ns
        self._waiting: deque[Piece] = deque()
        self._playback: Playback | None = None
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def say(self, piece: Piece) -> None:
        """Takes the next words."""
        self._waiting.append(piece)
        self._idle.clear()
        self._news.set()

    def drop(self) -> None:
        """Gives up what was not begun."""
        self._waiting.clear()

    @property
    def behind_s(self) -> float:
        """Seconds of speech that wait to be heard, about."""
        playing = self._playback.waiting / SAMPLE_RATE if self._playback is not None else 0.0
        return playing + self._backlog.seconds("".join(piece.text for piece in self._waiting))

    def lately(self) -> list[str]:
        """Gives what was spoken just now, oldest first: a microphone may hear it, and its recogniser be late."""
        now = asyncio.get_running_loop().time()
        return [text for text, playback, at in self._said if at + playback.written / SAMPLE_RATE > now - ECHO_S]

    @property
    def speaking(self) -> bool:
        """Whether anything plays or waits to."""
        playing = self._playback is not None and not self._playback.finished.is_set()
        return playing or not self._idle.is_set()

    async def silent(self) -> None:
        """Waits until all was spoken."""
        while self.speaking:
            await self._idle.wait()
            if self._playback is not None:
                await self._playback.finished.wait()

    async def run(self) -> None:
        """Speaks until it is cancelled."""
        while True:
            while not self._waiting:
                self._idle.set()
                self._news.clear()
                await self._news.wait()
            behind = self.behind_s
            piece = self._next(behind)
            try:
                await self._speak(piece, self._pace.rate(behind))
            except NearsightError as error:
                self._failed(error)

    def _next(self, behind: float) -> Piece:
        """Takes the next piece; of a sentence that waits whole, far behind, only what matters."""
        piece = self._waiting.popleft()
        if not self._pace.shortens(behind):
            return piece
        while self._waiting and self._waiting[0].sentence == piece.sentence:
            more = self._waiting.popleft()
            piece = replace(more, text=f"{piece.text} {more.text}")
        short = self._pace.shorten(piece.text, piece.language)
        return replace(piece, text=short, shortened=short != piece.text)

    async def _speak(self, piece: Piece, rate: float) -> None:
        loop = asyncio.get_running_loop()
        style = self._style()
        style = replace(style, rate=min(2.5, style.rate * rate))
        playback = self._playback = Playback(BOUND)

        def audible() -> None:
            wait = max(0.0, (playback.first_at or 0.0) - loop.time())
            start = self._now_ns() + round(wait * 1e9)
            self._said.append((piece.text, playback, playback.first_at or loop.time()))
            self._emit(
                TranslationSpoken(
                    t_ns=self._now_ns(),
                    sentence=piece.sentence,
                    to=self.party.value,
                    language=piece.language,
                    text=piece.text,
                    start_ms=round(start / 1e6, 1),
                    lag_ms=round((start - piece.covered * NS_PER_SAMPLE) / 1e6, 1),
                    rate=round(rate, 3),
                    shortened=piece.shortened,
                )
            )

        voice = await self._voice(piece.language)
        playback.on_first = audible
        playback.begin()
        if not self._speaker().give(playback):
            return
        try:
            job = voice.stream(lambda engine, stop: engine.synthesize(piece.text, style, stop))
            async with aclosing(job) as chunks:
                async for chunk in chunks:
                    playback.put(chunk)
        finally:
            playback.close()
        self._backlog.spoke(piece.text, playback.written / SAMPLE_RATE * rate)
        while not playback.finished.is_set() and playback.waiting > AHEAD:
            await playback.changed()
