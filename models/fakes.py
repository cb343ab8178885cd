"""Scripted engines with a declared cost, for tests, benches and anybody who builds on nearsight.

They obey the same contract tests as the real engines. What they cost is spent in the lane's thread: real time by default,
virtual time where ``VirtualLoop.spend`` is given. Speech is scripted by loudness: a window with a sample louder than ``LOUD``
counts as speech, and each utterance is one entry of the recogniser's script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from edge.errors import LanguageMissing
from edge.ports import RecogniserStream, Stop
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, Prompt, SpeechChunk, Transcript, VoiceStyle, WordMark

LOUD = 1000
"""Peak amplitude from which a fake hears speech."""

Spend = Callable[[float, Stop], None]
"""Spends seconds of an engine's cost, or less when the stop is set."""


def spend_real(seconds: float, stop: Stop) -> None:
    """Spends real time, in the engine's thread."""
    if seconds > 0:
        stop.wait(seconds)


def tone(seconds: float, *, amplitude: int = 8000, hertz: float = 220.0) -> Pcm:
    """Gives a tone, which every fake takes for speech."""
    at = np.arange(round(seconds * SAMPLE_RATE))
    return (amplitude * np.sin(2 * np.pi * hertz * at / SAMPLE_RATE)).astype(np.int16)


def silence(seconds: float) -> Pcm:
    """Gives silence."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


class Fake:
    """What all fakes share."""

    def __init__(self, spend: Spend = spend_real) -> None:
        self.spend = spend
        self.opened = 0
        self.closed = 0

    @property
    def info(self) -> EngineInfo:
        """Says that it is a fake."""
        return EngineInfo(f"fake {type(self).__name__}", "0")

    def open(self) -> None:
        """Counts."""
        self.opened += 1

    def close(self) -> None:
        """Counts."""
        self.closed += 1


class FakeWake(Fake):
    """Hears a word in every run of samples that equals its mark."""

    MARK = 31_000

    def __init__(self, mark: int = MARK, word: str = "hey_jarvis") -> None:
        super().__init__()
        self._mark = mark
        self._word = word

    def detect(self, pcm: Pcm) -> str | None:
        """Fires on the mark."""
        return self._word if bool((pcm == self._mark).any()) else None

    def reset(self) -> None:
        """Nothing to forget."""


class FakeVoiceActivity(Fake):
    """Calls loud windows speech; the mark of the fake wake word is not."""

    def __init__(self, window: int = 320) -> None:
        super().__init__()
        self.window = window

    def probability(self, pcm: Pcm) -> float:
        """1 for a window with a loud sample, else 0."""
        loud = np.abs(pcm.astype(np.int32))
        return float(bool(((loud > LOUD) & (pcm != FakeWake.MARK)).any()))

    def reset(self) -> None:
        """Nothing to forget."""


class FakeEndOfTurn(Fake):
    """Gives the scripted probabilities, one a pause; the last one for ever."""

    def __init__(self, probabilities: Sequence[float] = (1.0,), *, cost: float = 0.0, spend: Spend = spend_real) -> None:
        super().__init__(spend)
        self._probabilities = list(probabilities)
        self._cost = cost

    def probability(self, pcm: Pcm) -> float:
        """The script's next."""
        self.spend(self._cost, Stop())
        return self._probabilities.pop(0) if len(self._probabilities) > 1 else self._probabilities[0]


class FakeRecogniser(Fake):
    """Gives the scripted texts, one an utterance; a partial shows as many words as the share of ``seconds`` that was heard.

    ``spoken`` has the language of each, in the same order; where it has none, an utterance is in the only language that is
    asked for. ``knows``: the languages that may be asked for, all of them if empty.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        spoken: Sequence[str] = (),
        knows: Sequence[str] = (),
        cost: float = 0.0,
        seconds: float = 1.0,
        spend: Spend = spend_real,
    ) -> None:
        super().__init__(spend)
        self.texts = list(texts)
        self.spoken = list(spoken)
        self.asked: list[tuple[str, ...]] = []
        """The languages that were asked for, each utterance."""
        self._knows = tuple(knows)
        self.cost = cost
        self.seconds = seconds

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins the script's next utterance. Raises LanguageMissing."""
        for tag in languages:
            if self._knows and tag not in self._knows:
                raise LanguageMissing(f"the fake knows no {tag!r}: run nearsight models pull faster-whisper-small")
        self.asked.append(tuple(languages))
        only = languages[0] if len(languages) == 1 else ""
        return _FakeStream(self, self.texts.pop(0) if self.texts else "", self.spoken.pop(0) if self.spoken else only)


class _FakeStream:
    def __init__(self, owner: FakeRecogniser, text: str, language: str) -> None:
        self._owner = owner
        self._text = text
        self._language = language
        self._loud = 0
        self._shown = 0

    def accept(self, pcm: Pcm) -> Transcript | None:
        self._loud += int((np.abs(pcm.astype(np.int32)) > LOUD / 10).sum())
        words = self._text.split()
        shown = min(len(words), int(len(words) * self._loud / (self._owner.seconds * SAMPLE_RATE)))
        if shown <= self._shown:
            return None
        self._shown = shown
        return Transcript(" ".join(words[:shown]), source="fake", language=self._language)

    def final(self, stop: Stop) -> Transcript:
        self._owner.spend(self._owner.cost, stop)
        text = self._text if self._loud else ""
        language = self._language if text else ""
        return Transcript(text, final=True, source="fake", confidence=1.0 if text else 0.0, language=language)

    def close(self) -> None:
        self._text = ""


class FakeLanguageModel(Fake):
    """Writes the scripted answers, a word a token."""

    def __init__(
        self, answers: Sequence[str], *, first_token: float = 0.0, per_token: float = 0.0, spend: Spend = spend_real
    ) -> None:
        super().__init__(spend)
        self.answers = list(answers)
        self.first_token = first_token
        self.per_token = per_token
        self.prompts: list[Prompt] = []
        self.tokens = 0
        """Tokens written in all, those that nobody waited for included."""

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        """Costs nothing and helps nothing."""

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        """Writes the script's next answer; the last one for ever."""
        self.prompts.append(prompt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for at, word in enumerate(answer.split()):
            self.spend(self.per_token if at else self.first_token, stop)
            if stop:
                return
            self.tokens += 1
            yield word if at == 0 else f" {word}"

    def count(self, text: str) -> int:
        """A token a word."""
        return len(text.split())


class FakeVoice(Fake):
    """Speaks a tone, ``per_word`` seconds a word, in chunks of 20 ms."""

    def __init__(
        self, *, first_audio: float = 0.0, cost_per_word: float = 0.0, per_word: float = 0.2, spend: Spend = spend_real
    ) -> None:
        """What it costs before the first chunk: ``first_audio``, and ``cost_per_word`` for a voice that makes all at once."""
        super().__init__(spend)
        self.first_audio = first_audio
        self.cost_per_word = cost_per_word
        self.per_word = per_word

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the tone, with a mark for each word."""
        size = round(self.per_word * SAMPLE_RATE / style.rate)
        words = text.split()
        marks = [WordMark(word, at * size, (at + 1) * size) for at, word in enumerate(words)]
        sound = tone(size * len(words) / SAMPLE_RATE, amplitude=round(8000 * min(style.volume, 2.0)))
        self.spend(self.first_audio + self.cost_per_word * len(words), stop)
        for start in range(0, len(sound), 320):
            if stop:
                return
            yield SpeechChunk(sound[start : start + 320], tuple(m for m in marks if start <= m.start < start + 320))
