"""What is taken for an interruption: noises, backchannels and real ones, through the bundled recogniser and the rules.

``python -m tools.bench.interruptions``. Everything is made by code and by flite's voices, 0.4 s of hiss before it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np

from edge.policy.interruption import verdict
from edge.policy.phrases import commands
from edge.ports import Stop
from edge.skills import load
from edge.values import Pcm, Transcript, samples
from models.silero import Silero
from models.sphinx import PocketSphinx
from tools.bench.echo_scenes import FLITE, INTERRUPTIONS, LISTENING, at_level, disturbance, flite, noise, whole

NOISES = 40
LEVEL_DB = -22.0
LEAD = samples(0.4)
OVER_A_REPLY = 0.4
"""The voice-activity threshold while a reply plays."""


def cases() -> Iterator[tuple[str, str, Pcm]]:
    """Gives kind, words and sound."""
    for variant in range(NOISES):
        name, sound = disturbance(variant)
        yield "noise", name, sound
    for kind, texts in (("backchannel", LISTENING), ("interruption", INTERRUPTIONS), ("one word", ("stop", "wait", "no"))):
        for voice in FLITE:
            for text in texts:
                yield kind, text, at_level(flite(text, voice), LEVEL_DB)


def hear(recogniser: PocketSphinx, activity: Silero, sound: Pcm, phrases: tuple[str, ...]) -> tuple[Transcript, float]:
    """Gives what the recogniser makes of a sound, and the seconds that voice activity finds in it."""
    quiet = [np.zeros(LEAD, np.int16), np.zeros(LEAD // 2, np.int16)]
    heard = np.concatenate([quiet[0], sound, quiet[1]])
    heard = whole(heard + noise(len(heard), -60.0))
    stream = recogniser.stream(phrases=phrases)
    stream.accept(heard)
    transcript = stream.final(Stop())
    stream.close()
    activity.reset()
    size = activity.window
    windows = [activity.probability(heard[at : at + size]) for at in range(0, len(heard) - size + 1, size)]
    return transcript, sum(window >= OVER_A_REPLY for window in windows) * size / 16_000


def main() -> None:
    """Prints a line for each case that went wrong, and the counts."""
    phrases = tuple(commands(phrase for skill in load(()) for phrase in skill.phrases))
    recogniser, activity = PocketSphinx(), Silero()
    recogniser.open()
    activity.open()
    counts: dict[str, Counter[str]] = {}
    for kind, words, sound in cases():
        transcript, speech_s = hear(recogniser, activity, sound, phrases)
        found = verdict(transcript.text, confidence=transcript.confidence, source=transcript.source, speech_s=speech_s)
        counts.setdefault(kind, Counter())[found.value] += 1
        if (found.value == "cut") is not (kind in ("interruption", "one word")):
            print(f"{kind}: {words!r} was heard as {transcript.text!r} ({transcript.confidence:.2f}): {found.value}")
    recogniser.close()
    activity.close()
    print(json.dumps({kind: dict(count) for kind, count in counts.items()}))


if __name__ == "__main__":
    main()
