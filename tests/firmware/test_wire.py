"""The Python codec alone: every message, losses in audio, photos over a link that loses, credits, clocks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone_bridge.wire.audio import AudioFrame, AudioReceiver, AudioSender
from phone_bridge.wire.capabilities import decode_capabilities, encode_capabilities
from phone_bridge.wire.clock import ClockFilter
from phone_bridge.wire.codec import capacity, decode, decode_photo, decode_receipt, encode
from phone_bridge.wire.layout import Layout, Malformed
from phone_bridge.wire.layouts import LAYOUTS
from phone_bridge.wire.messages import PhotoAck, PhotoChunk, PhotoDone, PhotoHead
from phone_bridge.wire.photo import PhotoReceiver, PhotoSender, PhotoState
from phone_bridge.wire.profile import PHOTO_WINDOW, Channel, Status
from phone_bridge.wire.speaker import Credits, SpeakerBuffer
from tools.profile_vectors import DESCRIPTORS, MTUS, sample

FRAMES = st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=12)


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.message.__name__)
def test_every_message_fits_every_mtu_and_comes_back(layout: Layout, mtu: int) -> None:
    for tenths in range(0, 11, 5):
        message = sample(layout, tenths)
        value = encode(message)
        assert len(value) <= capacity(mtu)
        assert decode(layout.channel, value) == message


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.message.__name__)
def test_a_message_cut_off_or_followed_by_bytes_is_malformed(layout: Layout) -> None:
    value = encode(sample(layout, 0))
    for wrong in [value[:n] for n in range(len(value))] + ([] if layout.tail == ("data", (1, 508)) else [value + b"\0"]):
        with pytest.raises(Malformed):
            decode(layout.channel, wrong)


@given(st.sampled_from(Channel), st.binary(max_size=40))
def test_what_decodes_encodes_to_the_same_bytes(channel: Channel, value: bytes) -> None:
    try:
        message = decode(channel, value)
    except Malformed:
        return
    assert encode(message) == value


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_descriptor_comes_back_and_unknown_tags_are_passed_over(name: str) -> None:
    value = encode_capabilities(DESCRIPTORS[name])
    assert decode_capabilities(value) == DESCRIPTORS[name]
    longer = value + b"\xee\2ab"
    longer = longer[:2] + (len(longer) - 4).to_bytes(2, "little") + longer[4:]
    assert decode_capabilities(longer) == DESCRIPTORS[name]


def test_a_camera_without_a_light_is_no_descriptor() -> None:
    value = bytearray(encode_capabilities(DESCRIPTORS["whole"]))
    value[value.index(b"\4\4") + 2] &= 0x7F
    with pytest.raises(Malformed, match="light"):
        decode_capabilities(bytes(value))


@given(FRAMES, st.lists(st.sampled_from(MTUS), min_size=1), st.integers(0, 2**40))
def test_audio_comes_back_though_the_mtu_changes(frames: list[bytes], mtus: list[int], start: int) -> None:
    sender, receiver = AudioSender(9), AudioReceiver(9)
    for n, frame in enumerate(frames):
        time, mtu = start + n * 20_000, mtus[n % len(mtus)]
        values = sender.packets(frame, time, mtu, speech=bool(n % 2))
        assert max(map(len, values)) <= mtu - 3
        found = [receiver.take(value) for value in values]
        assert found == [None] * (len(values) - 1) + [AudioFrame(frame, time & 0xFFFFFFFF, bool(n % 2), 0)]


@given(st.integers(0, 2**32), st.sampled_from(MTUS), st.floats(0, 0.5))
def test_lost_packets_lose_their_frames_and_no_others(seed: int, mtu: int, drop: float) -> None:
    chance, sender, receiver = random.Random(seed), AudioSender(0), AudioReceiver(0)
    whole, heard = [], []
    for n in range(30):
        values = sender.packets(bytes((n,)) * 90, n * 20_000, mtu)
        kept = [value for value in values if n == 0 or chance.random() >= drop]
        whole += [n] if len(kept) == len(values) else []
        heard += [found for value in kept if (found := receiver.take(value))]
    assert [found.data for found in heard] == [bytes((n,)) * 90 for n in whole]
    assert [found.lost for found in heard[1:]] == [b - a - 1 for a, b in zip(whole, whole[1:], strict=False)]
    assert receiver.lost == sum(found.lost for found in heard)


def test_silence_is_no_loss_and_a_gap_in_it_is_one() -> None:
    sender, receiver = AudioSender(0), AudioReceiver(0)
    (first,), (second,) = sender.packets(b"a", 0, 247), sender.packets(b"b", 30_000_000, 247)
    (_,), (fourth,) = sender.packets(b"c", 30_020_000, 247), sender.packets(b"d", 90_000_000, 247)
    found = [receiver.take(value) for value in (first, second, fourth)]
    assert [frame.lost for frame in found if frame] == [0, 0, 1]


def test_sequences_wrap_and_what_comes_twice_is_dropped() -> None:
    sender, receiver = AudioSender(0), AudioReceiver(0)
    for n in range(70_000):
        (value,) = sender.packets(b"x", n * 20_000, 247)
        assert receiver.take(value) is not None
    assert receiver.take(value) is None and receiver.late == 1 and receiver.lost == 0


def exchange(size: int, mtu: int, drop: float, seed: int, delay: int = 3) -> tuple[PhotoSender, PhotoReceiver, bytes]:
    """One photo over a link that delays by ``delay`` ticks of 10 ms and drops both ways, at the source."""
    chance = random.Random(seed)
    data = chance.randbytes(size)
    sender = PhotoSender.of(3, data, mtu=mtu, orientation=2, taken=5, now_ms=0)
    receiver = PhotoReceiver(3, 0)
    ways: tuple[list[list[bytes]], list[list[bytes]]] = ([[]] * delay, [[]] * delay)
    for now in range(0, 100_000, 10):
        up, down = ways[0].pop(0), ways[1].pop(0)
        answers = [answer for value in up for answer in receiver.take(decode_photo(value), now)]
        answers += receiver.poll(now)
        for value in down:
            sender.take(decode_receipt(value), now)
        sent = [message for _ in range(8) if (message := sender.next(now))]
        ways[0].append([encode(message) for message in sent if chance.random() >= drop])
        ways[1].append([encode(answer) for answer in answers if chance.random() >= drop])
        states = {sender.state, receiver.state}
        if not states & {PhotoState.WAITING, PhotoState.MOVING}:
            break
    return sender, receiver, data


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("drop", [0.0, 0.05, 0.3])
def test_a_photo_is_whole_over_a_link_that_loses(mtu: int, drop: float) -> None:
    sender, receiver, data = exchange(30_000 if mtu > 23 else 6_000, mtu, drop, seed=mtu)
    assert receiver.photo is not None and receiver.photo.data == data and sender.state is PhotoState.WHOLE
    chunks = -(-len(data) // sender.head.chunk)
    assert sender.resent <= chunks * drop * 2.5 and receiver.repeated <= chunks * drop


@given(st.integers(1, 3000), st.sampled_from(MTUS), st.floats(0, 0.9), st.integers(0, 999))
def test_a_photo_is_whole_or_nothing(size: int, mtu: int, drop: float, seed: int) -> None:
    sender, receiver, data = exchange(size, mtu, drop, seed)
    assert receiver.state in (PhotoState.WHOLE, PhotoState.FAILED)
    assert (receiver.photo is None) == (receiver.state is PhotoState.FAILED)
    if receiver.photo is not None:
        assert receiver.photo.data == data
    assert sender.state in (PhotoState.WHOLE, PhotoState.FAILED)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (PhotoChunk(1, 0, b"x" * 15), Status.BAD_ARGUMENT),
        (PhotoChunk(1, 2, b"x" * 16), Status.BAD_ARGUMENT),
        (PhotoChunk(1, 60_000, b"x" * 16), Status.BAD_ARGUMENT),
        (PhotoHead(1, 1, 0, 16, 41, 0, 0), Status.BAD_ARGUMENT),
    ],
)
def test_a_chunk_that_does_not_fit_ends_the_photo(message: PhotoChunk | PhotoHead, status: Status) -> None:
    receiver = PhotoReceiver(1, 0)
    receiver.take(PhotoHead(1, 1, 0, 16, 40, 0, 0), 0)
    assert receiver.take(message, 0) == (PhotoDone(1, status),)
    assert receiver.failure == status and receiver.photo is None


def test_wrong_bytes_are_found_by_the_crc() -> None:
    receiver = PhotoReceiver(1, 0)
    receiver.take(PhotoHead(1, 1, 0, 16, 10, 12345, 0), 0)
    assert receiver.take(PhotoChunk(1, 0, bytes(10)), 0) == (PhotoDone(1, Status.BAD_CRC),)


def test_a_photo_longer_than_the_host_wants_is_refused_at_its_head() -> None:
    assert PhotoReceiver(1, 0, longest=100).take(PhotoHead(1, 1, 0, 16, 101, 0, 0), 0) == (PhotoDone(1, Status.BAD_ARGUMENT),)


def test_the_receiver_gives_up_when_the_glasses_are_silent() -> None:
    receiver = PhotoReceiver(1, 1000)
    assert receiver.poll(5999) == () and receiver.poll(6000) == (PhotoDone(1, Status.TIMEOUT),)
    receiver = PhotoReceiver(1, 0)
    receiver.take(PhotoHead(1, 1, 0, 16, 40, 0, 0), 100)
    assert receiver.poll(2099) == () and receiver.poll(2100) == (PhotoDone(1, Status.TIMEOUT),)


@given(st.integers(0, 0xFFFF), st.binary(min_size=16, max_size=16))
def test_no_acknowledgement_makes_the_sender_leave_its_window(base: int, bitmap: bytes) -> None:
    sender = PhotoSender.of(1, bytes(16 * 500), mtu=23, orientation=0, taken=0, now_ms=0)
    sender.next(0)
    sender.take(PhotoAck(1, 0, bytes(16)), 0)
    sent = [message for _ in range(200) if isinstance(message := sender.next(0), PhotoChunk)]
    assert [chunk.index for chunk in sent] == list(range(PHOTO_WINDOW))
    sender.take(PhotoAck(1, base, bitmap), 0)
    more = [message for _ in range(400) if isinstance(message := sender.next(0), PhotoChunk)]
    assert all(chunk.index < base + PHOTO_WINDOW for chunk in more)
    assert not more or base <= PHOTO_WINDOW


def test_credits_are_totals() -> None:
    credits = Credits(100)
    assert credits.spend(42) and credits.left == 50 and not credits.spend(43)
    credits.grant(150)
    credits.grant(120)
    assert credits.left == 100


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(0, 2**32 - 1))
def test_a_host_within_its_credits_loses_nothing(sizes: list[int], seed: int) -> None:
    chance = random.Random(seed)
    buffer, sender, credits = SpeakerBuffer(1, 1000), AudioSender(1), Credits(1000)
    waiting, now = [bytes((size % 256,)) * size for size in sizes], 0
    wanted = list(waiting)
    played: list[bytes] = []
    while len(played) < len(wanted):
        now += 20
        while waiting and credits.spend(len(waiting[0])):
            for value in sender.packets(waiting.pop(0), 0, chance.choice(MTUS)):
                buffer.take(value)
        if not waiting:
            buffer.close()
        if frame := buffer.play(now * 1000):
            played.append(frame)
        if report := buffer.report(now):
            credits.grant(report.granted)
        assert now < 100_000
    assert played == wanted and buffer.lost == 0


def test_the_clock_is_right_to_half_the_shortest_round_trip_and_follows_a_drift() -> None:
    chance, clock = random.Random(4), ClockFilter()
    ppm, ahead = 40e-6, 123_456_789

    def device(host: float) -> int:
        return round(host * (1 + ppm) + ahead)

    for second in range(180):
        t1 = second * 1_000_000
        up, down = (5_000 + chance.expovariate(1 / 10_000) for _ in range(2))
        assert clock.take(t1, device(t1 + up), device(t1 + up) + 200, round(t1 + up + 200 + down))
    now = 180_000_000
    assert abs(clock.host_time(device(now)) - now) <= clock.round_trip_us / 2
    assert abs(clock.drift - ppm) < 15e-6
    assert clock.unwrapped(device(now) & 0xFFFFFFFF) == device(now)


def test_a_clock_that_contradicts_itself_is_not_taken() -> None:
    clock = ClockFilter()
    assert not clock.take(10, 0, 5, 9) and not clock.take(10, 5, 4, 20) and not clock.take(10, 0, 11, 20)
    assert not clock.ready
    with pytest.raises(ValueError):
        clock.unwrapped(0)
