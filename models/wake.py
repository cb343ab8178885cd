"""Wake words by microWakeWord: small streaming networks on TensorFlow Lite, all four inside one wheel.

The wheel ``pymicro-wakeword`` carries the words ``hey_jarvis``, ``alexa``, ``hey_mycroft`` and ``okay_nabu`` (52 to 60 KB
each, Apache-2.0). Several words share one feature extractor, which costs as much as one network.

A word fires when the mean of the last five outputs (150 ms) passes the cut-off that its author chose. On the recordings of
the shared data that happens 0 to 0.2 s after the word's last sound, so a question spoken in one breath with the wake word
has begun before the word is known: whoever records the question keeps that much pre-roll.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from edge.errors import EngineMissing, UsageError
from edge.tables import nearest
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, samples

if TYPE_CHECKING:
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures

WORDS: Final = ("hey_jarvis", "alexa", "hey_mycroft", "okay_nabu")
"""The wake words that the wheel carries."""

REST: Final = samples(1.0)
"""Samples for which a word's output must have stayed below its cut-off before the word can fire again. After one utterance
the output stays up for 0.1 to 0.9 s, and may dip and rise once more as speech goes on."""

STEP_SAMPLES: Final = 160
"""A feature vector is made every 10 ms."""


@dataclass(slots=True)
class _Ear:
    name: str
    network: MicroWakeWord
    rests_until: int = 0
    """In samples of the sound so far."""


class MicroWake:
    """Finds wake words in running sound. Implements ``edge.ports.WakeWord``."""

    def __init__(self, words: Sequence[str] = ("hey_jarvis",)) -> None:
        """Takes the words to listen for, each one of ``WORDS``. Raises UsageError for any other."""
        for word in words:
            if word not in WORDS:
                raise UsageError(f"no wake word {word!r}: {nearest(word, WORDS)}")
        if not words:
            raise UsageError("no wake word given: known are " + ", ".join(WORDS))
        self._words = tuple(dict.fromkeys(words))
        self._features: MicroWakeWordFeatures | None = None
        self._ears: list[_Ear] = []
        self._clock = 0

    @property
    def info(self) -> EngineInfo:
        """Name, version, words and licence."""
        return EngineInfo("microwakeword", version("pymicro-wakeword"), ", ".join(self._words), "Apache-2.0")

    def open(self) -> None:
        """Loads the networks. Raises EngineMissing where the wheel, or its native library, cannot be used."""
        if self._features is not None:
            return
        try:
            from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

            self._ears = [_Ear(word, MicroWakeWord.from_builtin(Model(word))) for word in self._words]
        except ImportError as error:
            raise EngineMissing("wake words need the package pymicro-wakeword: pip install pymicro-wakeword") from error
        except OSError as error:  # the wheel is there, but this system's libc cannot load its TensorFlow Lite
            raise EngineMissing(f"pymicro-wakeword cannot load its library: {error}") from error
        self._features = MicroWakeWordFeatures()
        self._clock = 0

    def close(self) -> None:
        """Frees the networks."""
        for ear in self._ears:
            ear.network.close()
        self._ears = []
        self._features = None

    def detect(self, pcm: Pcm) -> str | None:
        """Takes the next sound, any length; gives the name of the wake word that ended in it, or None.

        Where several end in the same piece of sound, the first counts; the others rest as well.
        """
        features = self._features
        if features is None:
            raise RuntimeError("MicroWake.detect before open()")
        found: str | None = None
        for vector in features.process_streaming(pcm.tobytes()):
            self._clock += STEP_SAMPLES
            for ear in self._ears:
                if self._fires(ear, ear.network.process_streaming_prob(vector)) and found is None:
                    found = ear.name
        return found

    def reset(self) -> None:
        """Forgets the sound so far: the features' noise estimate, the networks' memories, the rests.

        TensorFlow Lite cannot clear a streaming network's memory, so the library loads each network again (2 ms a word).
        """
        if self._features is None:
            return
        self._features.reset()
        for ear in self._ears:
            ear.network.reset()
            ear.rests_until = 0
        self._clock = 0

    def _fires(self, ear: _Ear, probability: float | None) -> bool:
        """Turns the outputs of many steps into one detection an utterance."""
        if probability is None or probability <= ear.network.probability_cutoff:
            return False
        rested = self._clock >= ear.rests_until
        ear.rests_until = self._clock + REST
        return rested


assert SAMPLE_RATE == 100 * STEP_SAMPLES  # the networks are trained on 16 kHz sound
