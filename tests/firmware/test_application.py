"""The C application of the glasses, driven by the Python codec over a pipe. Time is what the test says it is."""

from __future__ import annotations

import random
import struct

import pytest

from phone_bridge.wire import control as c
from phone_bridge.wire import messages as m
from phone_bridge.wire.audio import AudioReceiver, AudioSender
from phone_bridge.wire.clock import ClockFilter
from phone_bridge.wire.codec import encode
from phone_bridge.wire.photo import Photo, PhotoReceiver, PhotoState
from phone_bridge.wire.profile import Action, Cause, Codec, Doing, Gesture, SpeakerState, Status
from phone_bridge.wire.speaker import Credits
from tests.firmware.pipe import CONTROL, EVENTS, PHOTO, SPEAKER, Glasses

MTUS = (23, 100, 185, 247, 517)
MICROPHONE = c.MicrophoneStart(1, Codec.OPUS, 32)
EACCES, EPERM, EBADMSG = 13, 1, 74


def picture(size: int) -> bytes:
    return bytes((i * 7 + i // 251) & 0xFF for i in range(size))


def refusal(reply: c.ReplyMessage) -> int:
    assert isinstance(reply, c.Refused)
    return reply.status


def receive(glasses: Glasses, number: int, *, drop: float = 0.0, mtu: int = 247) -> PhotoReceiver:
    """Takes a photo as a host does: a receipt for what asks for one, a poll every 10 ms."""
    chance = random.Random(mtu)
    receiver, now = PhotoReceiver(number, 0), 0
    while receiver.state in (PhotoState.WAITING, PhotoState.MOVING):
        assert now < 60_000
        glasses.wait(10)
        now += 10
        while glasses.photo:
            message = glasses.photo.pop(0)
            if chance.random() >= drop:
                for answer in receiver.take(message, now):
                    glasses.receipt(answer)
        for answer in receiver.poll(now):
            glasses.receipt(answer)
        if now % 500 == 0:
            glasses.ask(c.Clock(7, now))
    return receiver


def test_nothing_works_before_the_link_is_encrypted(glasses: Glasses) -> None:
    glasses.do("C", struct.pack("<H", 247))
    for to in (CONTROL, SPEAKER, PHOTO):
        assert glasses.write(to, encode(c.Hello(1, 1, 0))) == EACCES
    assert glasses.describe() is None
    glasses.do("B", bytes((0, Action.CLICK)))
    assert not glasses.events and not glasses.parts


def test_nothing_works_before_hello(glasses: Glasses) -> None:
    glasses.connect(hello=False)
    assert refusal(glasses.ask(MICROPHONE)) == Status.NO_SESSION
    assert refusal(glasses.ask(c.TakePhoto(2, 0, 80))) == Status.NO_SESSION
    assert refusal(glasses.ask(c.Hello(3, 2, 0))) == Status.VERSION
    assert not glasses.capturing
    assert glasses.ask(c.Hello(4, 1, 9)) == c.HelloReply(4, 1, 0, 247, 0x5EED5EED)


def test_the_descriptor_says_what_is_there(glasses: Glasses) -> None:
    glasses.connect()
    found = glasses.describe()
    assert found is not None and found.model == "Pipe" and found.sizes == ((640, 480), (1600, 1200))
    assert found.photo_max == 1_048_560 and found.up[0].rate_hz == 16000


@pytest.mark.parametrize("mtu", MTUS)
def test_the_microphone_is_heard_at_every_mtu(glasses: Glasses, mtu: int) -> None:
    glasses.connect(mtu)
    reply = glasses.ask(MICROPHONE)
    assert isinstance(reply, c.MicrophoneStartReply) and glasses.on == {"light": 1, "microphone": 1}
    glasses.wait(1000)
    receiver = AudioReceiver(reply.stream)
    frames = [frame for value in glasses.audio if (frame := receiver.take(value))]
    assert [frame.data for frame in frames] == [bytes((n,)) * 80 for n in range(50)]
    assert {b.time - a.time for a, b in zip(frames, frames[1:], strict=False)} == {20_000}
    assert receiver.lost == 0 and glasses.longest <= mtu - 3
    glasses.ask(c.MicrophoneStop(2))
    assert glasses.on == {"light": 0, "microphone": 0}
    assert glasses.causes == [Cause.REQUEST, Cause.REQUEST]


def test_packets_that_find_no_room_are_counted_by_both_ends(glasses: Glasses) -> None:
    glasses.connect(23)
    reply = glasses.ask(MICROPHONE)
    assert isinstance(reply, c.MicrophoneStartReply)
    glasses.wait(200)
    glasses.do("F", struct.pack("<H", 1))
    glasses.wait(200)
    glasses.do("F", struct.pack("<H", 20))
    glasses.wait(200)
    receiver = AudioReceiver(reply.stream)
    whole = [frame for value in glasses.audio if (frame := receiver.take(value))]
    assert len(whole) + receiver.lost == 30 and receiver.lost == 10
    state = glasses.ask(c.State(3))
    assert isinstance(state, c.StateReply) and state.audio_dropped == 10 * 5


@pytest.mark.parametrize("how", ["link lost", "host silent", "taken off", "light", "hot", "bye"])
def test_capture_ends(glasses: Glasses, how: str) -> None:
    glasses.connect()
    glasses.ask(MICROPHONE)
    glasses.ask(c.TakePhoto(2, 0, 80))
    assert glasses.on["microphone"] and glasses.on["camera"] and glasses.on["light"]
    match how:
        case "link lost":
            glasses.do("D")
        case "host silent":
            glasses.wait(1990)
            assert glasses.on["microphone"]
            glasses.wait(20)
            assert glasses.causes[-1] == Cause.HOST_SILENT
        case "taken off":
            glasses.do("O", b"\0")
            assert glasses.causes[-1] == Cause.NOT_WORN
            assert refusal(glasses.ask(MICROPHONE)) == Status.NOT_WORN
        case "light":
            glasses.on["light"] = 1  # the lamp breaks unseen by its driver; the next look at it ends capture
            glasses.do("L", b"\0")
            glasses.wait(10)
            assert glasses.causes[-1] == Cause.LIGHT
            assert refusal(glasses.ask(c.TakePhoto(9, 0, 80))) == Status.PRIVACY
        case "hot":
            glasses.do("H", b"\1")
            assert refusal(glasses.ask(MICROPHONE)) == Status.THERMAL
        case "bye":
            assert isinstance(glasses.ask(c.Bye(9)), c.ByeReply)
            assert glasses.on["closed"]
    assert not glasses.capturing


def test_a_host_that_asks_for_the_clock_keeps_the_microphone(glasses: Glasses) -> None:
    glasses.connect()
    glasses.ask(MICROPHONE)
    clock = ClockFilter()
    for n in range(20):
        reply = glasses.ask(c.Clock(n, n * 500_000))
        assert isinstance(reply, c.ClockReply)
        assert clock.take(reply.t1 + 7_000_000, reply.t2, reply.t2 + reply.held, reply.t1 + 7_000_000)
        glasses.wait(500)
    assert glasses.capturing and clock.offset_us == -7_000_000


def test_malformed_writes_do_not_keep_the_microphone(glasses: Glasses) -> None:
    glasses.connect()
    glasses.ask(MICROPHONE)
    for _ in range(25):
        assert glasses.raw(b"\x02\x01\x00\x04") == [c.Refused(1, 2, Status.BAD_ARGUMENT)]
        glasses.wait(100)
    assert not glasses.capturing


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("drop", [0.0, 0.05, 0.3])
def test_a_photo_arrives_whole(glasses: Glasses, mtu: int, drop: float) -> None:
    size = 12_000 if mtu == 23 else 40_000
    glasses.do("X", struct.pack("<I", size))
    glasses.do("F", struct.pack("<H", 30 if mtu == 23 else 8))
    glasses.connect(mtu)
    reply = glasses.ask(c.TakePhoto(2, 1, 80))
    assert isinstance(reply, c.TakePhotoReply)
    receiver = receive(glasses, reply.object, drop=drop, mtu=mtu)
    assert receiver.photo == Photo(picture(size), 1, receiver.photo.taken if receiver.photo else 0)
    assert glasses.on == {"light": 0, "camera": 0, "released": 1} and glasses.longest <= mtu - 3
    assert glasses.causes == [Cause.REQUEST, Cause.FINISHED]
    assert receiver.repeated == 0


def test_audio_goes_before_a_photo(glasses: Glasses) -> None:
    glasses.do("X", struct.pack("<I", 60_000))
    glasses.connect()
    microphone, photo = glasses.ask(MICROPHONE), glasses.ask(c.TakePhoto(2, 1, 80))
    assert isinstance(microphone, c.MicrophoneStartReply) and isinstance(photo, c.TakePhotoReply)
    assert receive(glasses, photo.object).photo is not None
    audio = AudioReceiver(microphone.stream)
    assert len([1 for value in glasses.audio if audio.take(value)]) > 30 and audio.lost == 0


def test_sound_never_waits_behind_more_than_one_chunk(glasses: Glasses) -> None:
    """With a deep stack, at the largest MTU: what a real link drains is only known by what is sent."""
    glasses.do("X", struct.pack("<I", 60_000))
    glasses.do("F", struct.pack("<H", 20))
    glasses.connect(517)
    sent = {}
    for number, microphone in enumerate((False, True)):
        if microphone:
            assert isinstance(glasses.ask(MICROPHONE), c.MicrophoneStartReply)
        reply = glasses.ask(c.TakePhoto(20 + number, 1, 80))
        assert isinstance(reply, c.TakePhotoReply)
        receiver = PhotoReceiver(reply.object, 0)
        sent[microphone] = [0]
        for now in range(0, 8000, 10):
            glasses.wait(10)
            came, glasses.photo[:] = list(glasses.photo), []
            chunks = [message for message in came if isinstance(message, m.PhotoChunk)]
            assert all(len(chunk.data) <= 240 for chunk in chunks)
            sent[microphone].append(len(chunks))
            for answer in (answer for message in came for answer in receiver.take(message, now)):
                glasses.receipt(answer)
            if now % 500 == 0:
                glasses.ask(c.Clock(7, now))
        assert receiver.state is PhotoState.WHOLE
    assert max(sent[False]) > 10 and max(sent[True]) == 1


def test_one_photo_at_a_time(glasses: Glasses) -> None:
    glasses.connect()
    first = glasses.ask(c.TakePhoto(1, 0, 80))
    assert isinstance(first, c.TakePhotoReply)
    assert refusal(glasses.ask(c.TakePhoto(2, 0, 80))) == Status.CAMERA_BUSY
    glasses.wait(100)
    assert refusal(glasses.ask(c.TakePhoto(3, 0, 80))) == Status.CAMERA_BUSY
    glasses.receipt(m.PhotoDone(first.object, Status.CANCELLED))
    assert isinstance(second := glasses.ask(c.TakePhoto(4, 0, 80)), c.TakePhotoReply)
    assert second.object != first.object
    assert refusal(glasses.ask(c.TakePhoto(5, 2, 80))) == Status.BAD_ARGUMENT  # no such size


def test_a_photo_that_nobody_acknowledges_is_given_up(glasses: Glasses) -> None:
    glasses.connect()
    reply = glasses.ask(c.TakePhoto(1, 0, 80))
    assert isinstance(reply, c.TakePhotoReply)
    glasses.wait(2500)
    heads = [message for message in glasses.photo if isinstance(message, m.PhotoHead)]
    assert 8 <= len(heads) <= 11 and glasses.photo[-1] == m.PhotoAbort(reply.object, Status.TIMEOUT)
    assert isinstance(glasses.ask(c.TakePhoto(2, 0, 80)), c.TakePhotoReply)


def test_a_photo_cancelled_before_it_is_taken(glasses: Glasses) -> None:
    glasses.connect()
    reply = glasses.ask(c.TakePhoto(1, 0, 80))
    assert isinstance(reply, c.TakePhotoReply) and glasses.capturing
    glasses.receipt(m.PhotoDone(reply.object, Status.CANCELLED))
    assert not glasses.capturing
    glasses.wait(1000)
    assert glasses.photo == []


def test_a_camera_that_fails(glasses: Glasses) -> None:
    glasses.do("X", struct.pack("<I", 0))
    glasses.connect()
    reply = glasses.ask(c.TakePhoto(1, 0, 80))
    assert isinstance(reply, c.TakePhotoReply)
    assert receive(glasses, reply.object).failure == Status.FAILED
    assert not glasses.capturing and any(isinstance(event, m.Fault) for event in glasses.events)


def test_a_critical_battery_refuses_photos_and_not_words(glasses: Glasses) -> None:
    glasses.connect()
    glasses.do("A", struct.pack("<BBH", 9, 0, 3500))
    assert [type(event) for event in glasses.events] == [m.Battery, m.Fault]
    assert refusal(glasses.ask(c.TakePhoto(1, 0, 80))) == Status.LOW_BATTERY
    assert isinstance(glasses.ask(MICROPHONE), c.MicrophoneStartReply)
    glasses.do("A", struct.pack("<BBH", 9, 1, 3600))
    assert isinstance(glasses.ask(c.TakePhoto(2, 0, 80)), c.TakePhotoReply)


def test_speech_is_played_within_its_credits(glasses: Glasses) -> None:
    glasses.connect()
    reply = glasses.ask(c.SpeakerOpen(1, 4, Codec.OPUS))
    assert isinstance(reply, c.SpeakerOpenReply)
    credits, sender = Credits(reply.granted), AudioSender(4)
    frames, sent = [bytes((n % 256,)) * 100 for n in range(150)], 0
    for _ in range(400):
        for report in glasses.reports:
            credits.grant(report.granted)
        glasses.reports[:-1] = []
        while sent < len(frames) and credits.spend(100):
            for value in sender.packets(frames[sent], sent * 20_000, 247):
                assert glasses.write(SPEAKER, value) == 0
            sent += 1
        if sent == len(frames):
            glasses.ask(c.SpeakerClose(2, 4)) if not glasses.reports[-1].state == SpeakerState.DRAINED else None
        glasses.wait(20)
        if glasses.reports[-1].state == SpeakerState.DRAINED:
            break
    last = glasses.reports[-1]
    assert glasses.played == frames and (last.lost, last.underruns, last.played) == (0, 0, 150 * 20_000)


def test_a_flush_is_immediate_and_says_what_was_heard(glasses: Glasses) -> None:
    glasses.connect()
    glasses.ask(c.SpeakerOpen(1, 4, Codec.OPUS))
    sender = AudioSender(4)
    values = [value for n in range(20) for value in sender.packets(bytes(100), n * 20_000, 247)]
    for value in values[:15]:
        glasses.write(SPEAKER, value)
    glasses.wait(101)
    played = len(glasses.played)
    reply = glasses.ask(c.SpeakerFlush(2, 4))
    assert reply == c.SpeakerFlushReply(2, 4, (played - 1) * 20_000)
    assert glasses.parts[-1] == ("silence", 1)
    for value in values[15:]:  # still on their way when the host flushed
        assert glasses.write(SPEAKER, value) == 0
    glasses.wait(500)
    assert len(glasses.played) == played and glasses.reports[-1].state == SpeakerState.FLUSHED
    assert refusal(glasses.ask(c.SpeakerFlush(3, 9))) == Status.BAD_ARGUMENT


def test_a_host_beyond_its_credits_loses_frames_and_nothing_else(glasses: Glasses) -> None:
    glasses.connect()
    glasses.ask(c.SpeakerOpen(1, 4, Codec.OPUS))
    sender = AudioSender(4)
    for n in range(100):
        for value in sender.packets(bytes((n,)) * 100, n * 20_000, 247):
            glasses.write(SPEAKER, value)
    room = 4096 // 108
    assert glasses.reports[-1].lost == 100 - room
    glasses.wait(2000)
    assert len(glasses.played) == room


def test_events_are_numbered_and_chosen(glasses: Glasses) -> None:
    glasses.connect()
    glasses.do("B", bytes((0, Action.LONG)))
    glasses.do("P", bytes((2,)))
    glasses.do("G", bytes((Gesture.NOD, 90)))
    glasses.do("O", bytes((0,)))
    assert [type(event) for event in glasses.events] == [m.Button, m.Tap, m.HeadGesture, m.Wear]
    assert [event.seq for event in glasses.events] == [0, 1, 2, 3]
    glasses.ask(c.Listen(1, 0))
    glasses.do("P", bytes((1,)))
    assert len(glasses.events) == 4
    state = glasses.ask(c.State(2))
    assert isinstance(state, c.StateReply) and state.doing == 0 and state.events_dropped == 0
    glasses.do("O", bytes((1,)))
    state = glasses.ask(c.State(3))
    assert isinstance(state, c.StateReply) and state.doing == Doing.WORN


def test_what_is_malformed_is_refused_and_counted(glasses: Glasses) -> None:
    glasses.connect()
    assert glasses.raw(b"\x7e\x05\x00\x00") == [c.Refused(5, 0x7E, Status.UNSUPPORTED)]
    assert glasses.raw(b"\x01") == [] and glasses.raw(b"\x81\x05\x00\x00") == []
    assert glasses.write(PHOTO, b"\x11\x07") == EBADMSG and glasses.write(SPEAKER, b"") == 0
    assert glasses.write(EVENTS, b"\x01") == EPERM
    glasses.ask(c.SpeakerOpen(1, 4, Codec.OPUS))
    assert glasses.write(SPEAKER, b"\0\0\0") == EBADMSG
    state = glasses.ask(c.State(2))
    assert isinstance(state, c.StateReply) and state.malformed == 5


def test_a_new_link_begins_anew(glasses: Glasses) -> None:
    glasses.connect()
    first = glasses.ask(MICROPHONE)
    glasses.do("D")
    glasses.wait(100)
    glasses.audio.clear()
    glasses.connect(185)
    glasses.wait(100)
    assert glasses.audio == [] and not glasses.capturing
    second = glasses.ask(MICROPHONE)
    assert isinstance(first, c.MicrophoneStartReply) and isinstance(second, c.MicrophoneStartReply)
    assert second.stream != first.stream
    glasses.wait(20)
    assert AudioReceiver(second.stream).take(glasses.audio[0]) is not None


def test_whatever_is_written_never_captures_without_light(glasses: Glasses) -> None:
    chance = random.Random(6)
    glasses.connect()
    for _ in range(1500):
        to = chance.choice((CONTROL, CONTROL, CONTROL, PHOTO, SPEAKER))
        value = bytes((chance.randrange(1, 15), chance.randrange(256), 0, 2, 1, chance.randrange(1, 100)))
        glasses.write(to, value[: chance.choice((4, 5, 6))] if chance.random() < 0.3 else value)
        if chance.random() < 0.1:
            glasses.do(chance.choice("TTTTODCSL"), struct.pack("<I", chance.randrange(200_000)))
    glasses.do("D")
    assert not glasses.capturing
