"""What is heard outside a turn: notices and short sounds."""

from __future__ import annotations

from contextlib import aclosing

from edge.policy.earcons import EARCONS
from edge.ports import Voice
from edge.runtime.lane import Lane
from edge.runtime.speaker import Playback, Speaker
from edge.values import SpeechChunk, VoiceStyle, samples

BOUND = samples(10.0)
"""The longest notice."""


def chime(speaker: Speaker, name: str) -> None:
    """Plays a short sound behind what plays already."""
    playback = Playback(BOUND)
    playback.put(SpeechChunk(EARCONS[name]))
    playback.close()
    speaker.give(playback)


async def say(speaker: Speaker, voice: Lane[Voice], text: str, style: VoiceStyle) -> None:
    """Speaks a notice behind what plays already. Raises EngineError."""
    playback = Playback(BOUND)
    playback.begin()
    if not speaker.give(playback):
        return
    try:
        async with aclosing(voice.stream(lambda engine, stop: engine.synthesize(text, style, stop))) as chunks:
            async for chunk in chunks:
                playback.put(chunk)
    finally:
        playback.close()
