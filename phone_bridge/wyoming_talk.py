"""One client of ``phone_bridge/wyoming_server.py``: its events, and the work for each of its requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge.channel import Channel, ChannelClosed
from edge.errors import NearsightError, TooLarge, UsageError
from edge.values import SAMPLE_RATE, Pcm
from phone_bridge.wyoming_offer import NAME, Engines, describe
from phone_bridge.wyoming_sound import Bad, Converter

if TYPE_CHECKING:
    from wyoming.event import Event

log = logging.getLogger(__name__)

MAX_DATA: Final = 1 << 20
"""Bytes of an event's data, and of its payload: 30 s of our own sound."""
MAX_TEXT: Final = 20_000
"""Characters of one reply."""
LONGEST_S: Final = 120.0
"""Seconds of one utterance."""
IDLE_S: Final = 30.0
"""Seconds that a client may be silent in the middle of a request."""
UNUSED_S: Final = 300.0
"""Seconds that a connection may be kept without any request."""
SEND_S: Final = 10.0
"""Seconds that a client may take to read what it is sent."""
LINGER_S: Final = 0.3
_WAITING: Final = 64
"""Pieces of sound or of text between a client and an engine; then the client is not read any more."""


class _Reader:
    """A stream that refuses to gather more than ``MAX_DATA`` bytes at a time, and knows whether it ended between events."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.ended = False

    async def readline(self) -> bytes:
        line = await self._reader.readline()  # at most 64 KiB, by asyncio's own limit
        self.ended = not line
        return line

    async def discard(self) -> int:
        return len(await self._reader.read(1 << 16))

    async def readexactly(self, size: int) -> bytes:
        if size > MAX_DATA:
            raise Bad(f"an event of more than {MAX_DATA} bytes")
        return await self._reader.readexactly(size)


class Talk:
    """One client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, engines: Engines, *, busy: bool = False
    ) -> None:
        self._reader = _Reader(reader)
        self._writer = writer
        self._engines = engines
        self._busy = busy
        self._request: str = ""
        self._words: tuple[str, ...] = ()
        self._work: asyncio.Task[None] | None = None
        self._sound: Channel[Pcm] | None = None
        self._convert: Converter | None = None
        self._text: Channel[str] | None = None
        self._characters = 0
        self._handlers: Mapping[str, Callable[[Event], Awaitable[None]]] = {
            "describe": self._describe,
            "ping": self._ping,
            "select-program": self._select,
            "transcribe": self._ask,
            "detect": self._ask,
            "audio-start": self._begin_sound,
            "audio-chunk": self._hear,
            "audio-stop": self._end_sound,
            "synthesize": self._synthesize,
            "synthesize-start": self._begin_text,
            "synthesize-chunk": self._say,
            "synthesize-stop": self._end_text,
        }

    async def run(self) -> None:
        """Serves until the client goes away, or does what it must not."""
        try:
            if self._busy:
                raise Bad("as many clients as can be are served already")
            while (event := await self._read()) is not None:
                await self._handle(event)
        except NearsightError as error:
            with contextlib.suppress(OSError, TimeoutError):
                await self._fail(error)
                await self._linger()
        except (OSError, TimeoutError, ChannelClosed):
            log.info("a Wyoming client went away")
        finally:
            await self._end_work()
            self._writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(self._writer.wait_closed(), 1.0)

    async def _linger(self) -> None:
        """Reads on for a moment: to close a socket with something unread resets it, and the error would be lost."""
        await self._end_work()
        if self._writer.can_write_eof():
            self._writer.write_eof()
        async with asyncio.timeout(LINGER_S):
            while await self._reader.discard():
                pass

    async def _end_work(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait([work])

    # -- events in and out -----------------------------------------------------------------------------------------------

    async def _read(self) -> Event | None:
        """The next event; None once the client has hung up."""
        from wyoming.event import async_read_event

        limit = UNUSED_S if self._sound is None and self._text is None else IDLE_S
        try:
            event = await asyncio.wait_for(async_read_event(self._reader), limit)  # type: ignore[arg-type]  # what it uses
        except TimeoutError:
            raise Bad(f"nothing came for {limit:.0f} s") from None
        except asyncio.IncompleteReadError:
            return None
        except (AttributeError, KeyError, TypeError, RecursionError):  # JSON, and no event
            event = None
        if event is None and not self._reader.ended:
            raise Bad("this is no Wyoming event")
        if event is not None and not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise Bad("this is no Wyoming event")
        return event

    async def _write(self, *events: Event) -> None:
        from wyoming.event import async_write_event

        async with asyncio.timeout(SEND_S):
            for event in events:
                await async_write_event(event, self._writer)

    async def _fail(self, error: NearsightError) -> None:
        from wyoming.error import Error

        await self._write(Error(error.text, error.code).event())

    # -- requests --------------------------------------------------------------------------------------------------------

    async def _handle(self, event: Event) -> None:
        handle = self._handlers.get(event.type)
        if handle is None:
            log.debug("a Wyoming event of no concern here")
        else:
            await handle(event)

    async def _describe(self, event: Event) -> None:
        await self._write(describe(self._engines))

    async def _ping(self, event: Event) -> None:
        from wyoming.ping import Pong

        text = event.data.get("text")
        await self._write(Pong(text if isinstance(text, str) else None).event())

    async def _select(self, event: Event) -> None:
        if event.data.get("name") != NAME:
            raise Bad(f"there is one program, {NAME}")

    async def _ask(self, event: Event) -> None:
        await self._finished()
        self._request = event.type
        if event.type == "transcribe":
            if self._engines.recogniser is None:
                raise UsageError("no recogniser is served here")
            _check_language(self._engines.hears, event.data.get("language"))
            return
        known = self._engines.words
        names = event.data.get("names") or list(known)
        if not known or not isinstance(names, list) or not set(map(str, names)) <= set(known):
            raise UsageError(f"the wake words here are: {', '.join(known) or 'none'}")
        self._words = tuple(map(str, names))

    async def _begin_sound(self, event: Event) -> None:
        await self._finished()
        if not self._request:
            raise Bad("sound without transcribe or detect before it")
        self._convert = Converter(event.data)
        self._sound = sound = Channel[Pcm]("wyoming sound", _WAITING)
        work = self._transcribe if self._request == "transcribe" else self._detect
        self._work = asyncio.create_task(self._served(work, sound))

    async def _hear(self, event: Event) -> None:
        if self._sound is None or self._convert is None:
            if self._request:  # what still came after the answer to it
                return
            raise Bad("sound before audio-start")
        pcm = self._convert.add(event.data, event.payload or b"")
        if self._request == "transcribe" and self._convert.seconds > LONGEST_S:
            raise TooLarge(f"an utterance of more than {LONGEST_S:.0f} s")
        await self._hand_over(self._sound, pcm)

    async def _end_sound(self, event: Event) -> None:
        if self._sound is not None and self._convert is not None:
            last = self._convert.finish()
            if len(last) and not self._sound.closed and len(self._sound) < _WAITING:
                self._sound.send_nowait(last)
            self._sound.close()
        self._sound = None
        self._request = ""

    async def _synthesize(self, event: Event) -> None:
        if self._text is None:  # in a stream it repeats what has come in pieces
            await self._begin_text(event)
            await self._say(event)
            await self._end_text(event)

    async def _begin_text(self, event: Event) -> None:
        await self._finished()
        if self._engines.voice is None:
            raise UsageError("no voice is served here")
        self._characters = 0
        voice = event.data.get("voice")
        _check_language(self._engines.speaks, voice.get("language") if isinstance(voice, dict) else None)
        self._text = text = Channel[str]("wyoming text", _WAITING)
        work = self._speak_stream if event.type == "synthesize-start" else self._speak
        self._work = asyncio.create_task(self._served(work, text))

    async def _say(self, event: Event) -> None:
        text = event.data.get("text")
        if not isinstance(text, str) or self._text is None:
            raise Bad(f"{event.type} without a text, or out of place")
        self._characters += len(text)
        if self._characters > MAX_TEXT:
            raise TooLarge(f"a text of more than {MAX_TEXT} characters")
        await self._hand_over(self._text, text)

    async def _end_text(self, event: Event) -> None:
        if self._text is not None:
            self._text.close()
        self._text = None

    async def _hand_over(self, channel: Channel[Any], item: Any) -> None:
        """Waits while the engine is behind; whatever comes after its end is passed over."""
        work = self._work
        if work is None or work.done() or channel.send_nowait(item):
            return
        sending = asyncio.create_task(channel.send(item))
        try:
            await asyncio.wait([sending, work], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled():
                sending.exception()  # the channel was closed meanwhile: nobody wants the rest

    async def _finished(self) -> None:
        """Waits for the request before: one at a time."""
        for open_now in (self._sound, self._text):
            if open_now is not None:
                open_now.close()
        self._sound = self._text = None
        if self._work is not None:
            await asyncio.wait([self._work])
            self._work = None

    # -- work: a task for each request -----------------------------------------------------------------------------------

    async def _served(self, work: Callable[[Channel[Any]], Awaitable[None]], channel: Channel[Any]) -> None:
        """What goes wrong in a request is told; the connection stays."""
        try:
            await work(channel)
        except NearsightError as error:
            log.warning("a Wyoming request failed: %s: %s", error.code, error.text)
            with contextlib.suppress(OSError, TimeoutError):
                await self._fail(error)
        except (OSError, TimeoutError):
            self._writer.close()  # it went away, or does not read: the next read ends the connection

    async def _transcribe(self, sound: Channel[Pcm]) -> None:
        """Streams the words that stand for good, then the whole transcript."""
        from wyoming.asr import Transcript as Answer
        from wyoming.asr import TranscriptChunk, TranscriptStart, TranscriptStop

        language = next(iter(self._engines.hears), None)
        await self._write(TranscriptStart(language=language).event())
        told = ""
        text = ""
        async with contextlib.aclosing(_closing(self._engines.transcribe(_together(sound)))) as transcripts:
            async for transcript in transcripts:
                settled = " ".join(word.text for word in transcript.words[: transcript.settled])
                text = transcript.text
                new = text if transcript.final else settled
                if len(new) > len(told) and new.startswith(told):
                    await self._write(TranscriptChunk(new[len(told) :]).event())
                    told = new
        await self._write(Answer(text, language=language).event(), TranscriptStop().event())

    async def _speak(self, text: Channel[str]) -> None:
        from wyoming.audio import AudioChunk, AudioStart, AudioStop

        await self._write(AudioStart(SAMPLE_RATE, 2, 1, timestamp=0).event())
        at = 0
        async with contextlib.aclosing(_closing(self._engines.speak(text))) as chunks:
            async for pcm in chunks:
                sound = AudioChunk(SAMPLE_RATE, 2, 1, pcm.astype("<i2").tobytes(), timestamp=at * 1000 // SAMPLE_RATE)
                await self._write(sound.event())
                at += len(pcm)
        await self._write(AudioStop(at * 1000 // SAMPLE_RATE).event())

    async def _speak_stream(self, text: Channel[str]) -> None:
        from wyoming.tts import SynthesizeStopped

        await self._speak(text)
        await self._write(SynthesizeStopped().event())

    async def _detect(self, sound: Channel[Pcm]) -> None:
        from wyoming.wake import Detection, NotDetected

        found = False
        async with contextlib.aclosing(_closing(self._engines.detect(_together(sound), self._words))) as words:
            async for word, at in words:
                found = True
                await self._write(Detection(word, timestamp=at * 1000 // SAMPLE_RATE).event())
        if not found:
            await self._write(NotDetected().event())


async def _together(sound: Channel[Pcm]) -> AsyncIterator[Pcm]:
    """Gives all sound that waits in one piece: an engine that is behind pays for the hop to its thread once."""
    async for pcm in sound:
        yield np.concatenate([pcm, *sound.flush()])


async def _closing(source: AsyncIterator[Any]) -> Any:
    """The same as a generator, which closes the source with it."""
    try:
        async for item in source:
            yield item
    finally:
        close: Callable[[], Any] | None = getattr(source, "aclose", None)
        if close is not None:
            await close()


def _check_language(offered: Sequence[str], language: Any) -> None:
    """Raises UsageError where a language is asked for that is not served; a tag's first part decides."""
    if not language or not offered:
        return
    base = str(language).lower().replace("_", "-").partition("-")[0]
    if base not in {tag.lower().partition("-")[0] for tag in offered}:
        raise UsageError(f"the languages here are: {', '.join(offered)}")
