"""Glasses of our own profile (``firmware_stubs/PROFILE.md``) behind the adapters' interface.

The glasses say what they have, and do nothing that was not asked for: the microphone runs from ``attach`` to ``privacy``, a
photo is taken by ``snap``. While either is on they hear a Clock request every half a second; without one they switch off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import ClassVar

from edge.errors import InputError
from edge.events import Event
from edge.values import Pcm
from phone_bridge.ble_adapters import Capabilities, Gatt, Sink, Unsuitable
from phone_bridge.ble_profile_events import NAMES, Answers, Events
from phone_bridge.ble_profile_photo import PhotoPace, PhotoTaker
from phone_bridge.ble_profile_requests import RequestRefused, Requests, status_name
from phone_bridge.ble_profile_speaker import FIRST_DELAY_S, SpeakerStream
from phone_bridge.ble_sound import OpusFrames
from phone_bridge.wire import control
from phone_bridge.wire.audio import AudioFrame, AudioReceiver
from phone_bridge.wire.capabilities import Capabilities as Descriptor
from phone_bridge.wire.capabilities import CodecOffer, decode_capabilities
from phone_bridge.wire.clock import ClockFilter
from phone_bridge.wire.codec import decode_report
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.profile import (
    AUDIO_FRAME_US,
    CAPABILITIES_UUID,
    CONTROL_UUID,
    EVENTS_UUID,
    KEEPALIVE_MS,
    MAJOR,
    MICROPHONE_UUID,
    MINOR,
    PHOTO_UUID,
    SERVICE_UUID,
    SPEAKER_UUID,
    Codec,
    Doing,
    Feature,
    LinkMode,
    Status,
)

logger = logging.getLogger(__name__)

KBPS = 32
KBPS_NARROW = 16
"""At MTU 23 to 60, where headers cost as much as sound (PROFILE.md, section 11)."""
NARROW = 60
MAX_CONCEAL = 50
"""Missing frames that are hidden; more are left open in the media time."""
RETRY_S = 2.0
"""How often the microphone is asked for, while it is wanted and off."""
EXCHANGES = 2
"""Of clocks, before the first sound."""


class ProfileAdapter:
    """Our own profile behind the adapters' interface."""

    name: ClassVar[str] = "nearsight"
    service: ClassVar[str] = SERVICE_UUID
    characteristics: ClassVar[Mapping[str, tuple[str, ...]]] = {
        SERVICE_UUID: (CAPABILITIES_UUID, CONTROL_UUID, EVENTS_UUID, MICROPHONE_UUID, PHOTO_UUID, SPEAKER_UUID)
    }
    names: ClassVar[tuple[str, ...]] = ()
    particular: ClassVar[bool] = True

    def __init__(self) -> None:
        self.private = False
        self.clock = ClockFilter()
        """Of the glasses, kept from connection to connection while they do not start anew."""
        self._boot: int | None = None
        self._gatt: Gatt | None = None
        self._sink: Sink | None = None
        self._requests: Requests | None = None
        self._speaker: SpeakerStream | None = None
        self._photo: PhotoTaker | None = None
        self._descriptor = Descriptor("", "", 0)
        self._narrow = False
        self._receiver: AudioReceiver | None = None
        self._decoder: OpusFrames | None = None
        self._starting_at = float("-inf")
        self._to_stop = self._stopping = self._stating = False
        self._end_us: int | None = None  # device time one past the last frame, low 32 bits
        self._delay_s = FIRST_DELAY_S
        self._unheard = 0
        names = "frames", "lost_frames", "no_codec", "malformed", "unknown", "strayed_sound", "stops", "refused", "unanswered"
        self._counts = dict.fromkeys((*names, *NAMES), 0)
        self._pace = PhotoPace()
        self._photos: dict[str, int] = {}
        self._speech: dict[str, int] = {}

    @property
    def play_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, as the glasses last showed."""
        return self._speaker.delay_s if self._speaker is not None else self._delay_s if self._has(Feature.SPEAKER) else 0.0

    # The connection.

    async def attach(self, gatt: Gatt, sink: Sink) -> Capabilities:
        """Subscribes to everything, opens the session, switches the microphone on. Raises LinkError, Unsuitable."""
        missing = [uuid for uuid in (CAPABILITIES_UUID, CONTROL_UUID, EVENTS_UUID) if not gatt.has(uuid)]
        if missing:
            raise Unsuitable(f"these glasses have the nearsight service without {', '.join(missing)}")
        self._descriptor = described(await gatt.read(CAPABILITIES_UUID))
        requests = self._requests = Requests(gatt)
        self._gatt, self._sink = gatt, sink
        self._receiver, self._unheard = None, 0
        self._to_stop = self._stopping = self._stating = False  # a new link begins with everything off
        self._photo = PhotoTaker(gatt, requests, sink, self._descriptor, self._loop_time, self._photos, self._pace)
        answers = Answers(self._ask_state, self._start_microphone, self._went_off, self._changed)
        events = Events(sink, answers, self._counts)
        handlers = {
            CONTROL_UUID: requests.replied,
            MICROPHONE_UUID: self._sound,
            SPEAKER_UUID: self._reported,
            PHOTO_UUID: self._photo.notified,
            EVENTS_UUID: events.notified,
        }
        for uuid, handler in handlers.items():
            if gatt.has(uuid):
                await gatt.subscribe(uuid, handler)
        hello = await self._hello(requests)
        if hello.boot != self._boot:
            self._boot = hello.boot
            self.clock.reset()
        self._narrow = hello.mtu < NARROW
        for _ in range(EXCHANGES):
            await self._exchange(requests)
        self._stated(await requests.ask(control.State, control.StateReply))
        if self._has(Feature.SPEAKER):
            kbps = self._kbps(self._descriptor.down)
            self._speaker = SpeakerStream(
                gatt, requests, mtu=hello.mtu, kbps=kbps, heard_at=self._loop_time, delay=self._delay_s, counts=self._speech
            )
        requests.send(lambda number: control.Link(number, LinkMode.AUDIO))
        self._start_microphone()
        return Capabilities(
            model=self._descriptor.model,
            microphone=self._has(Feature.MICROPHONE),
            camera=self._has(Feature.CAMERA),
            speaker=self._has(Feature.SPEAKER),
            button=self._has(Feature.BUTTON | Feature.TAP),
            battery=True,
            codec="Opus",
        )

    def detach(self) -> None:
        """Forgets the connection, and the photo that was on its way."""
        requests, self._requests = self._requests, None
        speaker, self._speaker = self._speaker, None
        photo, self._photo = self._photo, None
        if photo is not None:
            photo.close()
        if requests is not None:
            self._counts["unanswered"] += requests.unanswered
            self._counts["malformed"] += requests.malformed
            requests.close()
        if speaker is not None:
            self._delay_s = speaker.delay_s
            self._unheard = speaker.close()
        self._gatt = self._sink = None
        self._stop_hearing()

    async def ping(self) -> bool:
        """Exchanges clocks."""
        if self._requests is None:
            return False
        await self._exchange(self._requests)
        return True

    async def rouse(self) -> None:
        """Writes the subscription to the sound again, and asks for the microphone."""
        if self._gatt is not None and self._gatt.has(MICROPHONE_UUID) and not self.private:
            await self._gatt.unsubscribe(MICROPHONE_UUID)
            await self._gatt.subscribe(MICROPHONE_UUID, self._sound)

    def tick(self, at: float) -> None:
        """Keeps the glasses awake, gives up what is overdue, asks again for a microphone that went off."""
        requests, photo = self._requests, self._photo
        if requests is None or photo is None:
            return
        requests.tick(at)
        photo.tick()
        if at - self._starting_at >= RETRY_S:
            self._start_microphone()
        if self._to_stop and not self._stopping:
            self._stop_microphone(requests)
        if (self._receiver is not None or photo.busy) and at - requests.written_at >= KEEPALIVE_MS / 1000 - 0.01:
            self._send_clock(requests)

    # What the session asks.

    def play(self, pcm: Pcm) -> None:
        """Sends the next 20 ms, where there is a loudspeaker."""
        if self._speaker is not None:
            self._speaker.play(pcm)

    def flush(self) -> int:
        """Silences the glasses; gives the samples that nobody hears, also what went down as the last connection ended."""
        unheard, self._unheard = self._unheard, 0
        return self._speaker.flush() if self._speaker is not None else unheard

    def snap(self) -> None:
        """Asks for one photo, unless one is on its way."""
        if self._photo is not None and self._has(Feature.CAMERA) and not self.private:
            self._photo.take()

    def privacy(self, on: bool) -> None:
        """Switches the microphone off, or on again, and gives up the photo."""
        if on == self.private:
            return
        self.private = on
        self._to_stop = on
        if self._requests is None or self._photo is None:
            return
        if on:
            self._photo.cancel()
            self._stop_hearing()
            self._stop_microphone(self._requests)
        else:
            self._start_microphone()

    def tell(self, event: Event) -> None:
        """Nothing: they show nothing but their light, which is not ours to switch."""

    def counters(self) -> Mapping[str, int]:
        """Gives what came, what was lost, and what was not understood."""
        clock = self.clock
        round_trip = {"round_trip_us": clock.round_trip_us} if clock.ready else {}
        return {**self._counts, **self._photos, **self._speech, **round_trip}

    # Requests.

    async def _hello(self, requests: Requests) -> control.HelloReply:
        try:
            return await requests.ask(lambda number: control.Hello(number, MAJOR, MINOR), control.HelloReply)
        except RequestRefused as refused:
            raise Unsuitable(f"these glasses refuse version {MAJOR}.{MINOR}: {status_name(refused.status)}") from refused

    async def _exchange(self, requests: Requests) -> None:
        made = _ClockRequest()
        reply = await requests.ask(made, control.ClockReply)
        self._clocked(made.t1, reply)

    def _send_clock(self, requests: Requests) -> None:
        made = _ClockRequest()
        requests.send(made, lambda reply: self._clocked(made.t1, reply))

    def _clocked(self, t1: int, reply: control.ReplyMessage | None) -> None:
        if isinstance(reply, control.ClockReply) and reply.t1 == t1 & 0xFFFFFFFF:
            self.clock.take(t1, reply.t2, reply.t2 + reply.held, _now_us())

    def _start_microphone(self) -> None:
        requests = self._requests
        if requests is None or self.private or self._receiver is not None or not self._has(Feature.MICROPHONE):
            return
        self._starting_at = asyncio.get_running_loop().time()
        requests.send(
            lambda number: control.MicrophoneStart(number, Codec.OPUS, self._kbps(self._descriptor.up)), self._started
        )

    def _started(self, reply: control.ReplyMessage | None) -> None:
        if isinstance(reply, control.MicrophoneStartReply) and not self.private:
            self._stop_hearing()
            self._receiver, self._decoder = AudioReceiver(reply.stream), OpusFrames()
        elif isinstance(reply, control.Refused):
            self._counts["refused"] += 1
            logger.info("%s: no microphone: %s", self.name, status_name(reply.status))
            if reply.status == Status.BUSY and self._requests is not None:
                self._requests.send(control.MicrophoneStop)  # its stream's number was lost with a reply: begin anew

    def _stop_microphone(self, requests: Requests) -> None:
        """Asks until it is said to be off: privacy is not to hang on one reply."""
        self._stopping = requests.send(control.MicrophoneStop, self._stopped)

    def _stopped(self, reply: control.ReplyMessage | None) -> None:
        self._stopping = False
        if isinstance(reply, control.MicrophoneStopReply):
            self._to_stop = False

    def _stop_hearing(self) -> None:
        decoder, self._decoder, self._receiver, self._end_us = self._decoder, None, None, None
        if decoder is not None:
            decoder.close()

    # What the glasses bring.

    def _sound(self, value: bytes) -> None:
        receiver, sink = self._receiver, self._sink
        if receiver is None or sink is None:
            self._counts["strayed_sound"] += 1
            return
        try:
            frame = receiver.take(value)
        except Malformed:
            self._counts["malformed"] += 1
            return
        if frame is not None and not self.private:
            self._hear(frame, sink)

    def _hear(self, frame: AudioFrame, sink: Sink) -> None:
        decoder = self._decoder
        if decoder is None:
            return
        if frame.lost:
            self._counts["lost_frames"] += frame.lost
            if frame.lost <= MAX_CONCEAL:
                sink.heard(decoder.conceal(frame.lost))
            else:
                sink.gap()
        elif self._end_us is not None and 2 * AUDIO_FRAME_US < (frame.time - self._end_us) & 0xFFFFFFFF < 0x80000000:
            sink.quiet(asyncio.get_running_loop().time() - AUDIO_FRAME_US / 1e6)  # the microphone slept
        self._end_us = (frame.time + AUDIO_FRAME_US) & 0xFFFFFFFF
        self._counts["frames"] += 1
        try:
            sink.heard(decoder.decode(frame.data))
        except InputError:
            self._counts["no_codec"] += 1
            sink.heard(decoder.conceal(1))

    def _reported(self, value: bytes) -> None:
        try:
            report = decode_report(value)
        except Malformed as error:
            self._not_read(error)
            return
        if self._speaker is not None:
            self._speaker.reported(report)

    def _went_off(self, cause: int) -> None:
        if self._receiver is not None:
            self._counts["stops"] += 1
            logger.info("%s: the microphone went off, cause %d", self.name, cause)
            self._stop_hearing()

    def _ask_state(self) -> None:
        if self._requests is not None and not self._stating:
            self._stating = self._requests.send(control.State, self._stated)

    def _changed(self) -> None:
        if self._gatt is not None:
            self._gatt.later(self._read_again)

    def _stated(self, reply: control.ReplyMessage | None) -> None:
        self._stating = False
        if isinstance(reply, control.StateReply) and self._sink is not None:
            self._sink.powered(reply.battery / 100, bool(reply.doing & Doing.CHARGING))

    async def _read_again(self) -> None:
        if self._gatt is not None:
            self._descriptor = described(await self._gatt.read(CAPABILITIES_UUID))
            if self._photo is not None:
                self._photo.descriptor = self._descriptor

    def _not_read(self, error: Malformed) -> None:
        self._counts["unknown" if error.unknown else "malformed"] += 1

    def _has(self, features: Feature) -> bool:
        return bool(self._descriptor.features & features)

    def _kbps(self, offers: tuple[CodecOffer, ...]) -> int:
        most = max((offer.kbps for offer in offers if offer.codec == Codec.OPUS), default=KBPS)
        return max(6, min(KBPS_NARROW if self._narrow else KBPS, most))

    def _loop_time(self, low_us: int) -> float | None:
        """Gives the loop time at which the device clock shows these low 32 bits."""
        return self.clock.host_time(self.clock.unwrapped(low_us)) / 1e6 if self.clock.ready else None


class _ClockRequest:
    """Makes a Clock request, and knows when it was written."""

    t1 = 0

    def __call__(self, number: int) -> control.Clock:
        self.t1 = _now_us()
        return control.Clock(number, self.t1 & 0xFFFFFFFF)


def described(value: bytes) -> Descriptor:
    """Gives the descriptor. Raises Unsuitable where it is none, or of a version that is not ours."""
    try:
        found = decode_capabilities(value)
    except Malformed as error:
        raise Unsuitable(f"these glasses describe themselves in a way that nearsight does not understand: {error}") from error
    if found.features & Feature.MICROPHONE and not any(offer.codec == Codec.OPUS for offer in found.up):
        raise Unsuitable(f"the microphone of {found.model} offers no Opus")
    return found


def _now_us() -> int:
    return round(asyncio.get_running_loop().time() * 1e6)
