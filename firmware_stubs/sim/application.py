"""The glasses' side of the profile without a radio, in Python: what ``src/app.c`` is in C.

It reads no clock and starts nothing: its owner hands it what was written, calls ``frame``, ``play`` and ``poll`` when they are
due, and gives it a ``Stack`` to notify by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import or_

from firmware_stubs.sim.parts import Body, Refusal, Stack
from phone_bridge.wire import control, messages
from phone_bridge.wire.audio import AudioSender
from phone_bridge.wire.capabilities import Capabilities
from phone_bridge.wire.codec import REPLY, decode_receipt, decode_request, encode
from phone_bridge.wire.layout import Malformed
from phone_bridge.wire.photo import PhotoSender, PhotoState
from phone_bridge.wire.profile import (
    AUDIO_FRAME_US,
    BATTERY_CRITICAL,
    BATTERY_LOW,
    CAPTURE_MS,
    CONTROL_UUID,
    EVENTS_UUID,
    HOST_SILENCE_MS,
    MAJOR,
    MICROPHONE_UUID,
    MINOR,
    PHOTO_UUID,
    SPEAKER_UUID,
    Cause,
    Codec,
    Doing,
    EventMask,
    SpeakerState,
    Status,
)
from phone_bridge.wire.speaker import SpeakerBuffer

_OPEN, _MOVING = (SpeakerState.WAITING, SpeakerState.PLAYING), (PhotoState.WAITING, PhotoState.MOVING)
_LOW = 0xFFFFFFFF
LINK_COUNTS = ("audio_dropped", "events_dropped", "malformed")
"""What is counted anew on each link."""


class Application:
    """One pair of glasses; ``connected`` and ``disconnected`` tell it of its links."""

    def __init__(
        self,
        stack: Stack,
        capabilities: Capabilities,
        now_us: Callable[[], int],
        photograph: Callable[[int, int], None],
        boot: int,
    ) -> None:
        """``photograph`` takes the place of a size and a quality, and has ``shot`` called with the JPEG later."""
        self.body = Body()
        self.capabilities = capabilities
        self.session = False
        self.doing_now = Doing(0)
        self.speaker: SpeakerBuffer | None = None
        self.photo: PhotoSender | None = None
        self.counts = dict.fromkeys((*LINK_COUNTS, "photos"), 0)
        self.silenced: Callable[[], None] = lambda: None
        """Called when the loudspeaker is to be silent at once."""
        self.next_object = 0
        self._stack = stack
        self._now_us = now_us
        self._photograph = photograph
        self._boot = boot
        self._audio: AudioSender | None = None
        self._stream = 0
        self._mask = 0xFFFF
        self._event_seq = 0
        self._request_ms = 0
        self._camera_ms = 0
        self._low_told = False

    @property
    def microphone(self) -> bool:
        """Whether it has power."""
        return bool(self.doing_now & Doing.MICROPHONE)

    @property
    def camera(self) -> bool:
        """Whether it has power."""
        return bool(self.doing_now & Doing.CAMERA)

    @property
    def sending(self) -> bool:
        """Whether a photo is on its way."""
        return self.photo is not None and self.photo.state in _MOVING

    @property
    def doing(self) -> Doing:
        """All that goes on."""
        speaking = self.speaker is not None and self.speaker.state in _OPEN
        flags = {Doing.WORN: self.body.worn, Doing.CHARGING: self.body.charging, Doing.SPEAKER: speaking}
        parts = (flag for flag, on in {**flags, Doing.SENDING: self.sending}.items() if on)
        return reduce(or_, parts, self.doing_now)

    @property
    def _now_ms(self) -> int:
        return self._now_us() // 1000 & _LOW

    # The link.

    def connected(self) -> None:
        """A new link."""
        self.disconnected()
        self.counts |= dict.fromkeys(LINK_COUNTS, 0)

    def disconnected(self) -> None:
        """The link went: everything off."""
        self.session = False
        self.photo = None
        self._capture(Doing.MICROPHONE | Doing.CAMERA, Cause.LINK_LOST)
        self.speaker = None
        self.silenced()

    # What is written.

    def request(self, value: bytes) -> None:
        """Takes a request and answers it."""
        came = self._now_us()
        try:
            request = decode_request(value)
        except Malformed as error:
            self._count("malformed")
            if len(value) >= 2 and 0 < value[0] < REPLY:
                self._refuse(value, Status.UNSUPPORTED if error.unknown else Status.BAD_ARGUMENT)
            return
        self._request_ms = self._now_ms
        if not self.session and not isinstance(request, control.Hello):
            self._refuse(value, Status.NO_SESSION)
            return
        try:
            reply = self._answer(request, came)
        except Refusal as refusal:
            self._refuse(value, refusal.status)
            return
        self._stack.notify(CONTROL_UUID, encode(reply))
        self._report()
        if isinstance(request, control.Bye):
            self.session = False
            self._stack.close()

    def receipt(self, value: bytes) -> None:
        """Takes an acknowledgement of a photo."""
        try:
            message = decode_receipt(value)
        except Malformed:
            self._count("malformed")
            return
        if self.camera and isinstance(message, messages.PhotoDone) and message.object == self.next_object:
            self._capture(Doing.CAMERA, Cause.REQUEST)
        elif self.photo is not None:
            self.photo.take(message, self._now_ms)

    def sound(self, value: bytes) -> None:
        """Takes an audio packet down."""
        if (speaker := self.speaker) is not None:
            before = speaker.malformed
            speaker.take(value)
            if speaker.malformed != before:
                self._count("malformed")
            self._report()

    # What the hardware brings.

    def frame(self, frame: bytes, speech: bool = False) -> None:
        """Sends a codec frame of the microphone, whose last sample has just been heard."""
        if self._audio is None or not self.microphone or not self.session:
            return
        for packet in self._audio.packets(frame, self._now_us() - AUDIO_FRAME_US, self._stack.mtu, speech=speech):
            if not self._stack.notify(MICROPHONE_UUID, packet):
                self._count("audio_dropped")

    def shot(self, jpeg: bytes, orientation: int) -> None:
        """Takes the picture that was asked for; an empty one is a camera that failed."""
        if not self.camera:
            return
        taken, number, mtu, now = self._now_us(), self.next_object, self._stack.mtu, self._now_ms
        try:
            self.photo = PhotoSender.of(number, jpeg, mtu=mtu, orientation=orientation, taken=taken, now_ms=now)
        except Malformed:
            self._give_up(Status.FAILED)
            self._capture(Doing.CAMERA, Cause.FAILED)
            self.event(lambda seq, time: messages.Fault(seq, time, Status.FAILED))
            return
        self.counts["photos"] += 1
        self._capture(Doing.CAMERA, Cause.FINISHED)

    def play(self) -> bytes | None:
        """Gives the frame that the loudspeaker plays for the next 20 ms; None for silence."""
        if self.speaker is None:
            return None
        frame = self.speaker.play(self._now_us())
        self._report()
        return frame

    def event(self, make: Callable[[int, int], messages.EventMessage], mask: EventMask | None = None) -> None:
        """Notifies an event, where the host wants it."""
        if not self.session or (mask is not None and not self._mask & mask):
            return
        message = make(self._event_seq, self._now_us() & _LOW)
        self._event_seq = (self._event_seq + 1) & 0xFFFF
        if not self._stack.notify(EVENTS_UUID, encode(message)):
            self._count("events_dropped")

    def wear(self, worn: bool) -> None:
        """Is put on or taken off."""
        if worn == self.body.worn:
            return
        self.body.worn = worn
        self.event(lambda seq, time: messages.Wear(seq, time, int(worn)), EventMask.WEAR)
        if not worn:
            self._stop(Cause.NOT_WORN, Status.NOT_WORN)

    def battery(self, percent: int, charging: bool) -> None:
        """Takes the battery's level."""
        if (percent, charging) != (self.body.percent, self.body.charging):
            self.body = replace(self.body, percent=percent, charging=charging)
            millivolts = 3300 + 9 * percent
            self.event(lambda seq, time: messages.Battery(seq, time, percent, int(charging), millivolts), EventMask.BATTERY)
        if percent >= BATTERY_LOW or charging:
            self._low_told = False
        elif not self._low_told:
            self._low_told = True
            self.event(lambda seq, time: messages.Fault(seq, time, Status.LOW_BATTERY))
        if percent < BATTERY_CRITICAL and not charging and self.camera:
            self._give_up(Status.LOW_BATTERY)
            self._capture(Doing.CAMERA, Cause.LOW_BATTERY)

    def heat(self, hot: bool) -> None:
        """Is too hot, or no longer."""
        before, self.body.hot = self.body.hot, hot
        if hot and not before:
            self.event(lambda seq, time: messages.Fault(seq, time, Status.THERMAL))
            self._stop(Cause.FAILED, Status.THERMAL)

    def poll(self) -> None:
        """Guards privacy, reports the speaker; called every 20 ms."""
        self._report()
        if not self.microphone and not self.camera:
            return
        if (self._now_ms - self._request_ms) & _LOW >= HOST_SILENCE_MS:
            self._stop(Cause.HOST_SILENT, Status.TIMEOUT)
        elif not self.body.lamp:
            self._stop(Cause.LIGHT, Status.PRIVACY)
            self.event(lambda seq, time: messages.Fault(seq, time, Status.PRIVACY))
        elif self.camera and (self._now_ms - self._camera_ms) & _LOW >= CAPTURE_MS:
            self._give_up(Status.FAILED)
            self._capture(Doing.CAMERA, Cause.FAILED)

    def next_photo(self) -> bytes | None:
        """Gives the photo message to send now, where there is one and a slot for it."""
        if self.photo is None or not self.session or not self._stack.photo_may():
            return None
        message = self.photo.next(self._now_ms)
        return encode(message) if message is not None else None

    # Inside.

    def _answer(self, request: control.RequestMessage, came: int) -> control.ReplyMessage:
        number = request.request
        match request:
            case control.Hello():
                return self._hello(request)
            case control.Clock(t1=t1):
                return control.ClockReply(number, t1, came, self._now_us() - came)
            case control.MicrophoneStart():
                return control.MicrophoneStartReply(number, self._start(request))
            case control.MicrophoneStop():
                self._capture(Doing.MICROPHONE, Cause.REQUEST)
                return control.MicrophoneStopReply(number)
            case control.TakePhoto():
                return control.TakePhotoReply(number, self._take(request))
            case control.Listen(mask=mask):
                self._mask = mask
                return control.ListenReply(number)
            case control.State():
                return self._state(number)
            case control.Link():
                return control.LinkReply(number)
            case control.Bye():
                self._stop(Cause.REQUEST, Status.CANCELLED)
                return control.ByeReply(number)
            case _:
                return self._loudspeaker(request)

    def _loudspeaker(self, request: control.RequestMessage) -> control.ReplyMessage:
        number = request.request
        if not self.capabilities.speaker_room:
            raise Refusal(Status.UNSUPPORTED)
        speaker = self.speaker
        match request:
            case control.Volume():
                return control.VolumeReply(number)
            case control.SpeakerOpen(stream=stream, codec=Codec.OPUS):
                self.silenced()
                self.speaker = SpeakerBuffer(stream, self.capabilities.speaker_room)
                return control.SpeakerOpenReply(number, stream, self.speaker.granted)
            case control.SpeakerOpen():
                raise Refusal(Status.UNSUPPORTED)
            case control.SpeakerClose(stream=stream) if speaker and speaker.stream == stream and speaker.state in _OPEN:
                speaker.close()
                return control.SpeakerCloseReply(number, stream)
            case control.SpeakerFlush(stream=stream) if speaker is not None and speaker.stream == stream:
                played = speaker.flush(self._now_us())
                self.silenced()
                return control.SpeakerFlushReply(number, stream, played)
        raise Refusal(Status.BAD_ARGUMENT)

    def _hello(self, request: control.Hello) -> control.HelloReply:
        if request.major != MAJOR:
            raise Refusal(Status.VERSION)
        if not self.session:
            self.session, self._event_seq, self._mask = True, 0, 0xFFFF
        return control.HelloReply(request.request, MAJOR, MINOR, self._stack.mtu, self._boot)

    def _state(self, number: int) -> control.StateReply:
        lost = min(self.speaker.lost, 0xFFFF) if self.speaker is not None else 0
        audio, events, malformed = (self.counts[name] for name in LINK_COUNTS)
        return control.StateReply(number, self.doing, self.body.percent, audio, events, lost, malformed)

    def _may_capture(self, has: bool) -> None:
        if not has:
            raise Refusal(Status.UNSUPPORTED)
        if self.body.hot:
            raise Refusal(Status.THERMAL)
        if not self.body.worn:
            raise Refusal(Status.NOT_WORN)

    def _light(self, part: Doing) -> None:
        if not self.body.lamp:
            self._capture(Doing.MICROPHONE | Doing.CAMERA, Cause.LIGHT)
            raise Refusal(Status.PRIVACY)
        self.doing_now |= Doing.LIGHT | part
        self._tell(Cause.REQUEST)

    def _start(self, request: control.MicrophoneStart) -> int:
        self._may_capture(bool(self.capabilities.up))
        if self.microphone:
            raise Refusal(Status.BUSY)
        if request.codec != Codec.OPUS:
            raise Refusal(Status.UNSUPPORTED)
        self._stream = (self._stream + 1) & 0xFF
        self._audio = AudioSender(self._stream)
        self._light(Doing.MICROPHONE)
        return self._stream

    def _take(self, request: control.TakePhoto) -> int:
        self._may_capture(bool(self.capabilities.sizes))
        if request.size >= len(self.capabilities.sizes):
            raise Refusal(Status.BAD_ARGUMENT)
        if self.camera or self.sending:
            raise Refusal(Status.CAMERA_BUSY)
        if self.body.percent < BATTERY_CRITICAL and not self.body.charging:
            raise Refusal(Status.LOW_BATTERY)
        self.next_object = self.next_object % 255 + 1
        self._camera_ms = self._now_ms
        self._light(Doing.CAMERA)
        self._photograph(request.size, request.quality)
        return self.next_object

    def _stop(self, cause: Cause, status: Status) -> None:
        if self.camera or (cause is Cause.REQUEST and self.sending):
            self._give_up(status)
        self._capture(Doing.MICROPHONE | Doing.CAMERA, cause)

    def _give_up(self, status: Status) -> None:
        self.photo = None
        self._stack.notify(PHOTO_UUID, encode(messages.PhotoAbort(self.next_object, status)))

    def _capture(self, off: Doing, cause: Cause) -> None:
        """Takes power from parts; the light goes last."""
        doing = self.doing_now & ~off
        if not doing & (Doing.MICROPHONE | Doing.CAMERA):
            doing = Doing(0)
        if doing != self.doing_now:
            self.doing_now = doing
            self._tell(cause)

    def _tell(self, cause: Cause) -> None:
        self.event(lambda seq, time: messages.Capture(seq, time, self.doing, cause))

    def _report(self) -> None:
        if self.speaker is not None and self.session and (report := self.speaker.report(self._now_ms)) is not None:
            self._stack.notify(SPEAKER_UUID, encode(report))

    def _refuse(self, value: bytes, status: Status) -> None:
        self._stack.notify(CONTROL_UUID, encode(control.Refused(value[1], value[0], status)))

    def _count(self, name: str) -> None:
        self.counts[name] = min(self.counts[name] + 1, 0xFFFF)
