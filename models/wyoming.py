"""Recogniser and voice on a Wyoming server, such as those that Home Assistant uses (package ``wyoming``, MIT).

``tcp://HOST:PORT`` or ``unix:///PATH``. Each request has a connection of its own, on which the server is first asked what it
has, unless that is known. A server that is down when an engine is opened is no error: the first request finds out. Errors
name the server and never what was said; ``RemoteRefused`` says what the server has instead.

Wyoming tells no times of words and no confidence: a transcript has neither, and the places of a reply's words are estimates
(``models/wyoming_sound.py``). It knows no pace and no pitch: a voice speaks at its own, only the volume is the style's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from edge.errors import EngineFlooded, RemoteFailed
from edge.ports import RecogniserStream, Stop
from edge.values import SAMPLE_RATE, EngineInfo, Pcm, SpeechChunk, Transcript, VoiceStyle, samples
from models.utterance import MAX_TEXT, utterable
from models.wyoming_info import (
    AHEAD,
    RETRIES,
    TIMES,
    Choice,
    Server,
    Times,
    Wanted,
    backoff,
    engine_info,
    sound_begins,
    sound_event,
    text_of,
)
from models.wyoming_sound import PACE, Speech
from models.wyoming_wire import TICK_S, Connection, Lost

if TYPE_CHECKING:
    from wyoming.event import Event

LONGEST: Final = samples(600.0)
"""The longest utterance: all of it is kept, to be sent again."""
PIECE: Final = 2 * SAMPLE_RATE
"""Bytes of sound in one event at most: a second."""


# -- recogniser --------------------------------------------------------------------------------------------------------------


class WyomingRecogniser:
    """Implements ``edge.ports.Recogniser``. Sound is sent while it is spoken, so that the server can begin.

    There are partials only where the server streams its transcript. A transcript's confidence is 1 where there is text.
    ``phrases`` are not sent: a list of commands as context makes Whisper write commands that nobody gave.
    """

    def __init__(
        self, uri: str, *, model: str = "", language: str = "", names: Sequence[str] = (), times: Times = TIMES
    ) -> None:
        """``model`` is a model or a program of the server; ``names``, the wearer's own, are heard better where it can.

        Raises ConfigError for a malformed ``uri``.
        """
        self._server = Server(uri, Wanted("asr", model, language), times)
        self._uri = uri
        self._others: dict[str, Server] = {}  # the same one, asked for other languages
        self._names = tuple(names)
        self._streams: WeakSet[_Stream] = WeakSet()

    @property
    def info(self) -> EngineInfo:
        """Version of the package, the model asked for, the server."""
        return engine_info(self._server, self._server.wanted.model)

    def open(self) -> None:
        """Looks whether the server is there and has what is asked for; logs where not. Raises EngineMissing."""
        self._server.open()

    def close(self) -> None:
        """Gives up what is under way."""
        for stream in self._streams:
            stream.close()

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins an utterance. One of ``languages`` is asked for; which of several it is, the server is to find.

        Whether it has the language is known once it has answered: ``accept`` or ``final`` raises RemoteRefused.
        """
        server = self._server
        if languages and tuple(languages) != (server.wanted.language,):
            only = languages[0] if len(languages) == 1 else ""
            other = Server(self._uri, replace(server.wanted, language=only), server.times)
            server = self._others.setdefault(only, other)
        stream = _Stream(server, self._names)
        self._streams.add(stream)
        return stream


class _Stream:
    """One utterance. All of its sound is kept: a lost connection, or speech after ``final``, sends it once more."""

    def __init__(self, server: Server, names: tuple[str, ...]) -> None:
        self._server = server
        self._names = names
        self._sound = bytearray()
        self._connection: Connection | None = None
        self._put = 0  # bytes of sound given to the connection
        self._asked = self._ended = False
        self._tries = 0
        self._again_at = 0.0
        self._text = ""
        self._shown = ""
        self._answer: str | None = None
        self._language = server.wanted.language
        self._last: Transcript | None = None
        self._cuts = False  # the server ends utterances by itself: it gets the rest at the end, in one piece

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Takes the next sound, and never waits. Raises RemoteFailed once the connection was lost three times."""
        if not len(pcm):
            return None
        if len(self._sound) + 2 * len(pcm) > 2 * LONGEST:
            raise EngineFlooded(f"an utterance of more than {LONGEST // SAMPLE_RATE} s")
        self._sound += pcm.astype("<i2").tobytes()
        if self._answer is not None:
            self._hang_up()
            self._answer = self._last = None
            self._tries = 0
        if not self._cuts:
            self._advance()
            if self._answer is not None:
                self._cuts = True
        text = " ".join(self._text.split())
        if not text or text == self._shown:
            return None
        self._shown = text
        return Transcript(text, source="wyoming", language=self._language)

    def final(self, stop: Stop) -> Transcript:
        """Gives the server's transcript; ends early once ``stop`` is set, with what it had streamed. Raises RemoteFailed."""
        if not self._sound:
            return Transcript("", confidence=0.0, final=True, source="wyoming")
        times = self._server.times
        began = time.monotonic()
        while self._answer is None:
            if stop:
                if self._ended:
                    self._hang_up()
                return Transcript(" ".join(self._text.split()), confidence=0.0, final=True, source="wyoming")
            self._advance(ending=time.monotonic() >= began + times.hold_s)
            if self._answer is not None:
                break
            if time.monotonic() > began + times.answer_s:
                self._hang_up()
                self._server.forget()
                raise RemoteFailed(f"{self._server.place.name} gave no transcript in {times.answer_s:.0f} s")
            if self._connection is not None:
                self._connection.rest(TICK_S)
            else:
                stop.wait(TICK_S)
        self._hang_up()
        if self._last is None:
            text = " ".join(self._answer.split())
            confidence, language = (1.0, self._language) if text else (0.0, "")
            self._last = Transcript(text, confidence=confidence, final=True, source="wyoming", language=language)
        return self._last

    def close(self) -> None:
        """Hangs up."""
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._put = 0
        self._asked = self._ended = False
        self._text = ""

    def _advance(self, *, ending: bool = False) -> None:
        """Does what can be done without waiting; begins anew where the connection was lost."""
        if self._connection is None and time.monotonic() < self._again_at:
            return
        try:
            self._talk(ending)
        except Lost:
            self._hang_up()
            self._tries += 1
            if self._tries > RETRIES:
                self._tries = 0
                self._server.forget()
                raise
            self._again_at = time.monotonic() + backoff(self._tries)
        except RemoteFailed:
            self._hang_up()
            self._server.forget()
            raise

    def _talk(self, ending: bool) -> None:
        from wyoming.audio import AudioStop

        if self._connection is None:
            self._connection = self._server.meet()
        connection = self._connection
        choice = self._server.step(connection)
        if choice is None:
            return
        if not self._asked:
            self._asked = True
            connection.put(*self._server.program(choice), self._request(choice), sound_begins())
        while self._put < len(self._sound) and connection.waiting < AHEAD:
            piece = bytes(self._sound[self._put : self._put + PIECE])
            connection.put(sound_event(piece, self._put // 2))
            self._put += len(piece)
            connection.pump()
        if ending and not self._ended and self._put == len(self._sound):
            self._ended = True
            connection.put(AudioStop(len(self._sound) * 500 // SAMPLE_RATE).event())
        connection.pump()
        while self._answer is None and (event := connection.take()) is not None:
            self._hear(event)

    def _request(self, choice: Choice) -> Event:
        from wyoming.asr import Transcribe

        names = list(self._names) or None
        return Transcribe(name=choice.name or None, language=choice.language or None, transcript_names=names).event()

    def _hear(self, event: Event) -> None:
        from wyoming.asr import Transcript as Answer
        from wyoming.asr import TranscriptChunk, TranscriptStop

        self._server.check(event)
        if Answer.is_type(event.type):
            self._answer = text_of(event, self._server.place)
            told = event.data.get("language")
            self._language = told if isinstance(told, str) and told else self._language
        elif TranscriptChunk.is_type(event.type):
            self._text += text_of(event, self._server.place)
        elif TranscriptStop.is_type(event.type):
            self._answer = self._text
        if len(self._answer or self._text) > MAX_TEXT:
            raise RemoteFailed(f"{self._server.place.name} does not stop writing")


# -- voice -------------------------------------------------------------------------------------------------------------------


class WyomingVoice:
    """Implements ``edge.ports.Voice``. A reply that is given up ends with its connection."""

    def __init__(self, uri: str, *, model: str = "", language: str = "", speaker: str = "", times: Times = TIMES) -> None:
        """``model`` is a voice or a program of the server; ``speaker`` one of the voice's, where it has several.

        Raises ConfigError for a malformed ``uri``.
        """
        self._server = Server(uri, Wanted("tts", model, language, speaker), times)
        self._pace = PACE

    @property
    def info(self) -> EngineInfo:
        """Version of the package, the voice asked for, the server."""
        return engine_info(self._server, self._server.wanted.model)

    def open(self) -> None:
        """Looks whether the server is there and has what is asked for; logs where not. Raises EngineMissing."""
        self._server.open()

    def close(self) -> None:
        """Does nothing: no connection outlives its reply."""

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the speech of ``text``, leading and trailing silence trimmed, in chunks of at most 100 ms at 16 kHz.

        It gives nothing where there is nothing to say. Raises RemoteFailed, RemoteRefused.
        """
        text = utterable(text)
        if not text.strip():
            return
        given = False
        for tries in range(1, RETRIES + 2):
            try:
                with contextlib.closing(self._speak(text, style.volume, stop)) as chunks:
                    for chunk in chunks:
                        given = True
                        yield chunk
                return
            except Lost:
                self._server.forget()
                if given or tries > RETRIES:
                    raise
            except RemoteFailed:
                self._server.forget()
                raise
            if stop.wait(backoff(tries)):
                return

    def _speak(self, text: str, gain: float, stop: Stop) -> Generator[SpeechChunk, None, None]:
        connection = self._server.meet()
        try:
            choice = self._server.wait(connection, stop)
            if choice is not None:
                connection.put(*self._server.program(choice), self._request(text, choice))
                for chunk in self._chunks(connection, text, gain, stop):
                    if stop:
                        return
                    yield chunk
        finally:
            connection.close()

    def _request(self, text: str, choice: Choice) -> Event:
        from wyoming.tts import Synthesize, SynthesizeVoice

        voice = SynthesizeVoice(choice.name or None, choice.language or None, self._server.wanted.speaker or None)
        return Synthesize(text, voice if choice.name or choice.language else None).event()

    def _chunks(self, connection: Connection, text: str, gain: float, stop: Stop) -> Iterator[SpeechChunk]:
        from wyoming.audio import AudioChunk, AudioStart, AudioStop

        times = self._server.times
        deadline = time.monotonic() + times.first_s
        longest = 10 + 0.5 * len(text)
        speech: Speech | None = None
        while (event := connection.receive(stop, deadline)) is not None:
            self._server.check(event)
            if AudioStart.is_type(event.type) or AudioChunk.is_type(event.type):
                speech = speech or self._speech(event, text, gain)
                self._same_format(event, speech)
            if AudioChunk.is_type(event.type) and speech is not None and event.payload:
                yield from speech.add(event.payload)
                if speech.seconds > longest:
                    raise RemoteFailed(f"{self._server.place.name} does not stop speaking")
                deadline = time.monotonic() + times.idle_s
            elif time.monotonic() > deadline:  # it does answer, with what leads nowhere
                raise RemoteFailed(f"{self._server.place.name} gave no sound in time")
            elif AudioStop.is_type(event.type):
                if speech is not None:
                    yield from speech.finish()
                    self._pace = (self._pace + (speech.pace or self._pace)) / 2
                return

    def _speech(self, event: Event, text: str, gain: float) -> Speech:
        try:
            return Speech(text, *_format(event), gain, self._pace)
        except ValueError as error:
            raise RemoteFailed(f"{self._server.place.name} does not speak Wyoming: {error}") from None

    def _same_format(self, event: Event, speech: Speech) -> None:
        if _format(event) != speech.format:
            raise RemoteFailed(f"{self._server.place.name} changed the format of its sound in the middle")


def _format(event: Event) -> tuple[int, int, int]:
    rate, width, channels = (event.data.get(key, 0) for key in ("rate", "width", "channels"))
    return rate, width, channels
