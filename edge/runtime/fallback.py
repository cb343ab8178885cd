"""An engine elsewhere with one here behind it: whoever asks the port does not see which of the two answers.

A ``RemoteFailed`` before the remote engine gave anything makes the local one answer instead. A breaker
(``edge/policy/breaker.py``) keeps a server that is down from costing every question its timeouts. Each wrapper belongs to a
lane, so it is used by one thread at a time.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import numpy as np

from edge.errors import EngineError, LanguageMissing, ModelError, RemoteFailed, RemoteRefused, RemoteRejected
from edge.policy.breaker import Breaker, Circuit
from edge.ports import Engine, LanguageModel, Recogniser, RecogniserStream, Stop, Translator, VisionLanguage, Voice, WakeWord
from edge.translation import TranslateRequest
from edge.values import EngineInfo, Pcm, Pixels, Prompt, SpeechChunk, Transcript, VoiceStyle, samples

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")

KEPT: Final = samples(60.0)
"""How much of an utterance is kept for the local recogniser: turn-taking ends it far earlier."""


class Away:
    """An engine that may send what it is given to a server."""

    @property
    def server(self) -> str:
        """``HOST:PORT`` that is sent to now; empty while it stays in this process."""
        raise NotImplementedError


class Fallback(Away, Generic[E]):
    """Two engines of a port. ``local`` is None where there is none; ``clock`` counts seconds."""

    def __init__(
        self, remote: E, local: E | None, breaker: Breaker | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remote = remote
        self._local = local
        self._breaker = breaker or Breaker()
        self._clock = clock
        self._address = remote.info.remote

    @property
    def server(self) -> str:
        """``HOST:PORT`` that is sent to now; empty while the local engine answers."""
        resting = self._local is not None and self._breaker.state(self._clock()) is not Circuit.CLOSED
        return "" if resting else self._address

    @property
    def info(self) -> EngineInfo:
        """The remote engine, with the local one's name beside it; ``remote`` is empty while the local one answers."""
        found = self._remote.info
        if self._local is None:
            return found
        details = {**found.details, "fallback": self._local.info.name}
        return dataclasses.replace(found, details=details, remote=self.server)

    def open(self) -> None:
        """Opens both. A local engine that cannot be opened is told in the log and done without."""
        if self._local is not None:
            try:
                self._local.open()
            except (EngineError, ModelError) as error:
                log.warning("the engine behind %s is not there: %s", self._remote.info.name, error.text)
                self._local.close()
                self._local = None
        self._remote.open()

    def close(self) -> None:
        """Closes both."""
        self._remote.close()
        if self._local is not None:
            self._local.close()

    def _asks(self) -> bool:
        """Whether the remote engine is asked now. Raises RemoteFailed where it rests and nobody stands behind it."""
        if self._breaker.state(self._clock()) is not Circuit.OPEN:
            return True
        if self._local is None:
            raise RemoteFailed(f"{self._address} failed a moment ago and is left alone for now")
        return False

    def _failed(self, error: RemoteFailed, stop: Stop | None = None) -> E:
        """Counts a failure and gives the local engine; raises the error where there is none, or nobody waits any more."""
        if stop:
            raise error
        log.warning("%s", error.text)
        if not isinstance(error, RemoteRejected):  # which says nothing of the next request
            self._breaker.failed(self._clock(), refused=isinstance(error, RemoteRefused), after=error.after)
        if self._local is None:
            raise error
        return self._local

    def _one(self, ask: Callable[[E], T], stop: Stop | None = None) -> T:
        """Gives what one call of either engine gives."""
        if self._asks():
            try:
                found = ask(self._remote)
            except RemoteFailed as error:
                return ask(self._failed(error, stop))
            if not stop:
                self._breaker.worked()
            return found
        assert self._local is not None
        return ask(self._local)

    def _each(self, ask: Callable[[E], Iterator[T]], stop: Stop, *, anew: bool = False) -> Iterator[T]:
        """Gives what either engine gives. ``anew``: the local one begins again where the remote one broke off."""
        if not self._asks():
            assert self._local is not None
            yield from ask(self._local)
            return
        given = False
        try:
            for item in ask(self._remote):
                given = True
                yield item
        except RemoteFailed as error:
            local = self._failed(error, stop)
            if given and not anew:
                raise
            yield from ask(local)
            return
        if not stop:
            self._breaker.worked()


class FallbackLanguageModel(Fallback[LanguageModel]):
    """A language model elsewhere. An answer that broke off is not begun again: its beginning has been heard."""

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        """Prepares the engine that would answer now. A failure counts and is not told: nobody waits for this."""
        try:
            self._one(lambda model: model.prefill(prompt, stop), stop)
        except RemoteFailed as error:
            log.info("%s", error.text)

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        """Gives pieces of the answer."""
        return self._each(lambda model: model.generate(prompt, stop), stop)

    def count(self, text: str) -> int:
        """Gives the number of tokens: the remote engine's count needs no server."""
        return self._remote.count(text)


class FallbackVision(Fallback[VisionLanguage]):
    """A vision-language model elsewhere."""

    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        """Prepares the engine that would answer now."""
        try:
            self._one(lambda model: model.prepare(pixels, stop), stop)
        except RemoteFailed as error:
            log.info("%s", error.text)

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Gives pieces of the answer."""
        return self._each(lambda model: model.answer(pictures, prompt, stop, schema), stop)


class FallbackTranslator(Fallback[Translator]):
    """A translator elsewhere. A sentence that broke off is translated again, whole."""

    @property
    def forces(self) -> bool:
        """Whether both do: which of them answers is known afterwards."""
        return self._remote.forces and (self._local is None or self._local.forces)

    def missing(self, source: str, target: str) -> str:
        """What the remote engine lacks; the local one may have fewer languages."""
        return self._remote.missing(source, target)

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation."""
        return self._each(lambda engine: engine.translate(request, stop), stop)


class FallbackVoice(Fallback[Voice]):
    """A voice elsewhere. A sentence that broke off is said again, whole, by the local voice: half of one says nothing."""

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the speech of ``text``."""
        return self._each(lambda voice: voice.synthesize(text, style, stop), stop, anew=True)


class FallbackWake(Fallback[WakeWord]):
    """A wake word elsewhere. The local engine hears everything too: there is no saying when it must take over."""

    def detect(self, pcm: Pcm) -> str | None:
        """Gives the name of a wake word that has just ended."""
        here = self._local.detect(pcm) if self._local is not None else None
        if not self._asks():
            return here
        try:
            found = self._remote.detect(pcm)
        except RemoteFailed as error:
            self._failed(error)
            return here
        self._breaker.worked()
        return found

    def reset(self) -> None:
        """Forgets the sound so far."""
        for engine in (self._remote, self._local):
            if engine is not None:
                engine.reset()


@dataclasses.dataclass(frozen=True, slots=True)
class _Wanted:
    """What an utterance was begun with."""

    phrases: Sequence[str]
    languages: Sequence[str]

    def stream(self, engine: Recogniser) -> RecogniserStream:
        return engine.stream(phrases=self.phrases, languages=self.languages)


class FallbackRecogniser(Fallback[Recogniser]):
    """A recogniser elsewhere. What was said is kept until the final, so that the local one can hear all of it."""

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins an utterance. Raises LanguageMissing where the engine that is asked now knows none of ``languages``."""
        return _FallbackStream(self, _Wanted(phrases, languages))

    def begin(self, wanted: _Wanted) -> tuple[RecogniserStream, bool]:
        """Gives a stream of the engine that is asked now, and whether it is the remote one."""
        if self._asks():
            try:
                return wanted.stream(self._remote), True
            except RemoteFailed as error:
                return self.take_over(error, wanted), False
        assert self._local is not None
        return wanted.stream(self._local), False

    def take_over(self, error: RemoteFailed, wanted: _Wanted, stop: Stop | None = None) -> RecogniserStream:
        """Gives a stream of the local engine. Raises the error where there is none, or where it has not the language."""
        local = self._failed(error, stop)
        try:
            return wanted.stream(local)
        except LanguageMissing:
            raise error from None

    def worked(self) -> None:
        """The remote engine gave a final."""
        self._breaker.worked()


class _FallbackStream:
    """One utterance, with the remote engine until it fails."""

    def __init__(self, owner: FallbackRecogniser, wanted: _Wanted) -> None:
        self._owner = owner
        self._wanted = wanted
        self._kept: list[Pcm] = []
        self._length = 0
        self._stream, self._away = owner.begin(wanted)

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Takes the next sound; gives a new partial when it has changed."""
        if self._away and self._length < KEPT:
            self._kept.append(pcm)
            self._length += len(pcm)
        try:
            return self._stream.accept(pcm)
        except RemoteFailed as error:
            if not self._away:
                raise
            return self._turn_to_local(error)

    def final(self, stop: Stop) -> Transcript:
        """Gives the last word on all sound so far."""
        try:
            found = self._stream.final(stop)
        except RemoteFailed as error:
            if not self._away:
                raise
            self._turn_to_local(error, stop)
            return self._stream.final(stop)
        if self._away and not stop:
            self._owner.worked()
        return found

    def close(self) -> None:
        """Gives the utterance up."""
        self._stream.close()
        self._kept.clear()

    def _turn_to_local(self, error: RemoteFailed, stop: Stop | None = None) -> Transcript | None:
        """Hands everything said so far to the local engine; gives its partial."""
        fresh = self._owner.take_over(error, self._wanted, stop)
        self._stream.close()
        self._stream, self._away = fresh, False
        sound = np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)
        self._kept.clear()
        return fresh.accept(sound) if len(sound) else None


def server_of(engine: object) -> str:
    """Gives the ``HOST:PORT`` that an engine sends to now, empty for one of this process. Costs nothing, unlike ``info``."""
    return engine.server if isinstance(engine, Away) else ""
