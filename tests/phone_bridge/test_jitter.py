"""The jitter buffer, told its packets and its time: against a model for any network, and case by case for the rest."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, AudioChunk, Pcm
from phone_bridge.jitter import MAX_FILL_S, MAX_WAITING, JitterBuffer
from phone_bridge.opus import Decoder, Encoder

CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE
CONCEALED, RECOVERED = -1, 20_000
EPSILON = 1e-6


class Marks:
    """A decoder whose packets say what they are: each decodes to its own number; a copy adds RECOVERED to that number."""

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def decode(self, packet: bytes) -> Pcm:
        number, size, _ = read(packet)
        self.decoded.append(number)
        return np.full(size, number, np.int16)

    def conceal(self, samples: int) -> Pcm:
        return np.full(samples, CONCEALED, np.int16)

    def recover(self, next_packet: bytes, samples: int) -> Pcm:
        number, _, copy = read(next_packet)
        assert copy
        return np.full(samples, RECOVERED + number - 1, np.int16)

    def redundant(self, packet: bytes) -> bool:
        try:
            return read(packet)[2]
        except InputError:
            return False


def packet(number: int, size: int = CHUNK_SAMPLES, copy: bool = True) -> bytes:
    return b"%d %d %d" % (number, size, copy)


def read(payload: bytes) -> tuple[int, int, bool]:
    try:
        number, size, copy = map(int, payload.split())
    except ValueError as error:
        raise InputError("no packet") from error
    return number, size, bool(copy)


@dataclass(frozen=True)
class Sent:
    """A packet on its way: its numbers as the sender counts them, unwrapped, and when it arrives."""

    at: float
    sequence: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True)
class Out:
    """A chunk that left, and when."""

    at: float
    chunk: AudioChunk

    @property
    def mark(self) -> int:
        assert len(set(self.chunk.pcm.tolist())) == 1, self.chunk.pcm
        return int(self.chunk.pcm[0])


def run(buffer: JitterBuffer, arrivals: Iterable[Sent], until: float = 0.0) -> list[Out]:
    """Lets packets arrive, and calls ``late`` whenever ``due`` says so."""
    out: list[Out] = []
    ordered = sorted(arrivals, key=lambda sent: sent.at)
    for sent in [*ordered, None]:
        end = sent.at if sent is not None else until
        while (due := buffer.due()) is not None and due <= end:
            now = max(due, out[-1].at if out else due)
            out += [Out(now, chunk) for chunk in buffer.late(now)]
        if sent is not None:
            chunks = buffer.put(sent.sequence & 0xFFFF, sent.timestamp & 0xFFFFFFFF, sent.payload, sent.at)
            out += [Out(sent.at, chunk) for chunk in chunks]
    return out


def stream(
    count: int, delays: Sequence[float] | None = None, *, lost: Iterable[int] = (), sequence: int = 100, timestamp: int = 5000
) -> list[Sent]:
    """20 ms packets sent from time 10 on; packet n is sent when its last sample is there."""
    return [
        Sent(10 + n * CHUNK_S + (delays[n] if delays else 0.0), sequence + n, timestamp + 960 * n, packet(n))
        for n in range(count)
        if n not in set(lost)
    ]


def marks(out: Iterable[Out]) -> list[int]:
    return [item.mark for item in out]


def check_media_time(out: Sequence[Out]) -> None:
    assert {len(item.chunk.pcm) for item in out} <= {CHUNK_SAMPLES}
    assert [item.chunk.start for item in out] == [n * CHUNK_SAMPLES for n in range(len(out))]
    assert all(before.at <= after.at for before, after in zip(out, out[1:], strict=False))


@pytest.fixture
def buffer() -> JitterBuffer:
    return JitterBuffer(Marks())


networks = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.floats(0, 0.06), st.floats(0, 0.2)),
        st.booleans() | st.just(False),  # lost
        st.none() | st.floats(0, 0.15),  # comes again so much later
    ),
    min_size=2,
    max_size=80,
)


@settings(max_examples=400)
@given(networks, st.sampled_from([0.04, 0.1, 0.24]), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_any_network_gives_each_place_once_in_order_and_in_time(
    network: list[tuple[float, bool, float | None]], max_delay_s: float, sequence: int, timestamp: int
) -> None:
    arrivals, first_copies = [], {}
    for sent in stream(len(network), [delay for delay, _, _ in network], sequence=sequence, timestamp=timestamp):
        n = sent.sequence - sequence
        _, lost, again = network[n]
        if n and lost:
            continue
        first_copies[n] = sent.at
        arrivals.append(sent)
        if again is not None:
            arrivals.append(Sent(sent.at + again, sent.sequence, sent.timestamp, sent.payload))
    first = min(first_copies, key=lambda n: (first_copies[n], n))
    last = max(first_copies)
    buffer = JitterBuffer(Marks(), max_delay_s=max_delay_s)
    out = run(buffer, arrivals, until=10 + len(network) * CHUNK_S + 0.5)
    check_media_time(out)

    # Until the end of the stream each place holds its packet, its copy, or a concealment. The stream begins where its first
    # arrival says; after the last packet it goes on concealed, since nobody knows that it has ended.
    places = out[: last - first + 1]
    assert len(places) == last - first + 1
    assert all(item.mark == CONCEALED for item in out[len(places) :])
    for n, place in enumerate(places, start=first):
        assert place.mark in (n, CONCEALED, RECOVERED + n)
        # Nothing that had come by then was concealed, and what had not cannot be there.
        arrived = first_copies.get(n, float("inf"))
        assert (place.mark == n) == (arrived <= place.at) or abs(arrived - place.at) < EPSILON
        ways = [sent.at - (10 + (sent.sequence - sequence) * CHUNK_S) for sent in arrivals if sent.at <= place.at]
        # Where the way became longer than can be waited, the buffer may have followed it.
        way = min(ways) if max(ways) - min(ways) <= max_delay_s else max(ways)
        assert place.at <= 10 + n * CHUNK_S + way + max_delay_s + EPSILON
        # What was there, and all before it, is not held back.
        if all(m in first_copies for m in range(first, n + 1)):
            held = max(first_copies[m] for m in range(first, n + 1))
            assert place.at <= held + EPSILON

    counters = buffer.counters
    assert counters.received == len(arrivals)
    assert counters.duplicate == len(arrivals) - len(first_copies)
    assert counters.lost == counters.recovered + counters.concealed
    assert counters.lost == sum(place.mark != n for n, place in enumerate(places, start=first))
    assert counters.recovered == sum(place.mark >= RECOVERED for place in places)
    assert counters.late == sum(n < first or places[n - first].mark != n for n in first_copies)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF) | st.integers(0, 20),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 20_000),
            st.sampled_from([packet(1), packet(2, 40), packet(3, 1920, copy=False), b"", b"noise"]),
            st.floats(0, 3),
        ),
        max_size=60,
    )
)
def test_numbers_that_make_no_sense_break_nothing(packets: list[tuple[int, int, bytes, float]]) -> None:
    buffer, at, end = JitterBuffer(Marks()), 0.0, 0
    for sequence, timestamp, payload, pause in packets:
        for chunk in [*buffer.late(at), *buffer.put(sequence, timestamp, payload, at)]:
            assert len(chunk.pcm) == CHUNK_SAMPLES
            assert chunk.start >= end  # a gap there may be, a jump back never
            end = chunk.end
        at += pause
    assert buffer.position >= end  # after a gap that was left open, less than a chunk may have come
    assert buffer.counters.lost == buffer.counters.recovered + buffer.counters.concealed
    most = (at + 2 * MAX_FILL_S + len(packets) * 0.12) * SAMPLE_RATE + MAX_FILL_S * SAMPLE_RATE * len(packets)
    assert end <= most + CHUNK_SAMPLES


def test_nothing_is_held_while_nothing_is_missing(buffer: JitterBuffer) -> None:
    for sent in stream(50):
        [chunk] = buffer.put(sent.sequence, sent.timestamp, sent.payload, sent.at)
        assert chunk.pcm[0] == (sent.sequence - 100)


@pytest.mark.parametrize(("size", "per_packet"), [(40, 1 / 8), (160, 1 / 2), (640, 2), (960, 3), (1920, 6)])
def test_packets_of_other_lengths_make_the_same_chunks(buffer: JitterBuffer, size: int, per_packet: float) -> None:
    arrivals = [Sent(10 + n * size / SAMPLE_RATE, n, n * size * 3, packet(n, size)) for n in range(40) if n != 20]
    out = run(buffer, arrivals)
    check_media_time(out)
    assert len(out) == 40 * per_packet
    pcm = np.concatenate([item.chunk.pcm for item in out])
    expected = np.repeat([n if n != 20 else RECOVERED + 20 for n in range(40)], size)
    assert np.array_equal(pcm, expected)


@pytest.mark.parametrize("burst", [1, 2, 5])
def test_at_five_percent_loss_nothing_is_skipped(buffer: JitterBuffer, burst: int) -> None:
    chance = random.Random(1)
    count = 3000
    lost = {n + k for n in range(1, count - 10) if chance.random() < 0.05 / burst for k in range(burst)}
    out = run(buffer, stream(count, lost=lost))
    check_media_time(out)
    expected = [n if n not in lost else RECOVERED + n if n + 1 not in lost else CONCEALED for n in range(count)]
    assert marks(out) == expected
    counters = buffer.counters
    assert (counters.received, counters.lost, counters.late) == (count - len(lost), len(lost), 0)
    assert counters.recovered == sum(mark >= RECOVERED for mark in expected)
    # A hole costs no time on a steady line: the first packet after it shows that it is one.
    after = [next(m for m in range(n, count) if m not in lost) for n in range(count)]
    assert all(item.at <= 10 + min(after[n] * CHUNK_S, n * CHUNK_S + 0.24) + 0.001 for n, item in enumerate(out))


def test_a_packet_without_a_copy_has_its_forerunner_concealed(buffer: JitterBuffer) -> None:
    arrivals = stream(10, lost=[4])
    arrivals[4] = Sent(arrivals[4].at, arrivals[4].sequence, arrivals[4].timestamp, packet(5, copy=False))
    assert marks(run(buffer, arrivals)) == [0, 1, 2, 3, CONCEALED, *range(5, 10)]
    assert (buffer.counters.recovered, buffer.counters.concealed) == (0, 1)


def test_the_wait_follows_the_jitter(buffer: JitterBuffer) -> None:
    chance = random.Random(2)
    calm, wild = [0.0] * 500, [chance.uniform(0, 0.06) for _ in range(500)]
    arrivals = stream(1500, [*calm, *wild, *calm])
    run(buffer, arrivals[:500])
    assert buffer.delay_s < 0.001
    out = run(buffer, arrivals[500:1000])
    assert 0.05 < buffer.delay_s < 0.062
    # In the first moments of the jitter some are given up; then hardly any.
    assert sum(item.mark not in range(1500) for item in out[250:]) < 0.02 * 250
    run(buffer, arrivals[1000:])
    assert buffer.delay_s < 0.002


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_half_an_hour_of_drift_piles_up_no_delay(buffer: JitterBuffer, ppm: int) -> None:
    chance = random.Random(3)
    step = 3 * CHUNK_S  # packets of 60 ms, for the test's sake
    count = round(1800 / step)
    arrivals = [
        Sent(10 + (n + 1) * step * (1 + ppm / 1e6) + chance.uniform(0, 0.03), n, 2880 * n, packet(n % 9000, 960))
        for n in range(count)
        if chance.random() > 0.05
    ]
    out = run(buffer, arrivals)
    check_media_time(out)
    assert len(out) == 3 * count
    delays = [item.at - 10 - item.chunk.end / SAMPLE_RATE * (1 + ppm / 1e6) for item in out[2::3]]
    minute = round(60 / step)
    assert abs(np.median(delays[-minute:]) - np.median(delays[:minute])) < 0.005
    assert max(delays) < 0.245


def test_a_silent_sender_is_heard_as_silence_in_time(buffer: JitterBuffer) -> None:
    """A sender with DTX counts the packets that it sends and the time that passes."""
    before, after = stream(50), stream(40, sequence=150, timestamp=5000 + 960 * 100)
    late = [Sent(sent.at + 100 * CHUNK_S, sent.sequence, sent.timestamp, sent.payload) for sent in after]
    out = run(buffer, [*before, *late])
    check_media_time(out)
    assert len(out) == 140
    assert marks(out)[:50] == list(range(50)) and marks(out)[100:] == list(range(40))
    assert set(marks(out)[50:100]) == {CONCEALED, 0}
    assert buffer.counters.lost == buffer.counters.late == 0
    assert all(item.at <= 10 + n * CHUNK_S + 0.24 + EPSILON for n, item in enumerate(out))


def test_a_long_absence_is_left_open_in_the_media_time(buffer: JitterBuffer) -> None:
    before, after = stream(50), stream(40, sequence=150, timestamp=5000 + 48_000 * 600)
    out = run(buffer, [*before, *(Sent(sent.at + 600, sent.sequence, sent.timestamp, sent.payload) for sent in after)])
    concealed = [item for item in out if item.mark == CONCEALED]
    assert len(concealed) == round(MAX_FILL_S / CHUNK_S)
    assert [item.chunk.start for item in out[-40:]] == [600 * SAMPLE_RATE + n * CHUNK_SAMPLES for n in range(40)]
    assert buffer.due() is not None and buffer.counters.lost == 0


def test_a_sender_that_begins_anew_is_followed_from_its_second_packet(buffer: JitterBuffer) -> None:
    old = stream(50)
    new = [Sent(s.at + 1.2, s.sequence + 30_000, s.timestamp + 77_777_777, packet(1000 + n)) for n, s in enumerate(stream(30))]
    out = run(buffer, [*old, *new])
    assert [mark for mark in marks(out) if mark != CONCEALED] == [*range(50), *range(1000, 1030)]
    starts = [item.chunk.start for item in out]
    assert starts == sorted(set(starts))
    assert out[-1].chunk.end == round((1.2 + 30 * CHUNK_S) * SAMPLE_RATE)  # as the clock says
    assert buffer.counters.restarts == 1


def test_a_stray_packet_is_no_new_beginning(buffer: JitterBuffer) -> None:
    arrivals = stream(50)
    strays = [Sent(10.11 + n / 10, 40_000 + 2 * n, 9, packet(7777)) for n in range(5)]
    assert marks(run(buffer, [*arrivals, *strays])) == list(range(50))
    assert buffer.counters.restarts == 0


def test_a_stall_costs_what_is_beyond_the_longest_wait(buffer: JitterBuffer) -> None:
    """Packets 50 to 64 come together, 300 ms after the first of them should have."""
    delays = [0.0] * 50 + [0.299 - n * (CHUNK_S - 1e-5) for n in range(15)] + [0.0] * 50
    out = run(buffer, stream(115, delays))
    check_media_time(out)
    assert marks(out) == [*range(50), *[CONCEALED] * 3, *range(53, 115)]
    assert buffer.counters.late == buffer.counters.lost == 3


def test_a_way_that_became_longer_is_followed(buffer: JitterBuffer) -> None:
    out = run(buffer, stream(200, [0.0] * 100 + [0.5] * 100))
    check_media_time(out)
    heard = marks(out)
    assert heard[:100] == list(range(100)) and heard[125:] == list(range(125, 200))
    assert buffer.counters.late <= 25


def test_what_is_no_opus_is_concealed(buffer: JitterBuffer) -> None:
    arrivals = stream(20)
    for n in (5, 6, 12):
        arrivals[n] = Sent(arrivals[n].at, arrivals[n].sequence, arrivals[n].timestamp, b"" if n == 12 else b"noise")
    out = run(buffer, arrivals)
    check_media_time(out)
    assert [n for n, mark in enumerate(marks(out)) if mark == CONCEALED] == [5, 6, 12]
    assert (buffer.counters.lost, buffer.counters.concealed) == (3, 3)


def test_a_hole_with_too_much_behind_it_is_given_up(buffer: JitterBuffer) -> None:
    """A sender that floods cannot have more than so many packets kept for it."""
    run(buffer, stream(300))
    out = []
    for n in range(MAX_WAITING + 1):
        if n % 20 == 0:
            for _ in range(5):  # very late ones, which keep up the hope for the missing one
                buffer.put(395, 5000 + 960 * 295, packet(295), 16.1)
        out.append(buffer.put(401 + n, 5000 + 960 * 300, packet(n), 16.1))
    assert buffer.delay_s > 0.19
    assert [len(chunks) > 0 for chunks in out] == [*[False] * MAX_WAITING, True]


def test_a_new_connection_goes_on_in_media_time(buffer: JitterBuffer) -> None:
    run(buffer, stream(10))
    with pytest.raises(ValueError, match="given before"):
        buffer.rebase(9 * CHUNK_SAMPLES)
    buffer.rebase(5 * SAMPLE_RATE)
    assert buffer.due() is None and buffer.late(99.0) == [] and buffer.delay_s == 0
    out = run(buffer, stream(10, sequence=60_000, timestamp=3))
    assert [item.chunk.start for item in out] == [5 * SAMPLE_RATE + n * CHUNK_SAMPLES for n in range(10)]
    assert buffer.counters.received == 20


def test_real_opus_at_five_percent_loss_stays_speech() -> None:
    t = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    said = sum(np.sin(2 * np.pi * 150 * n * t + n) / n for n in range(1, 12)) * 3000 * (0.6 + 0.4 * np.sin(20 * t))
    chance = random.Random(5)
    with Encoder() as encoder, Decoder() as decoder, Decoder() as reference:
        payloads = [encoder.encode(said[at : at + CHUNK_SAMPLES].astype(np.int16)) for at in range(0, len(said), CHUNK_SAMPLES)]
        whole = np.concatenate([reference.decode(payload) for payload in payloads]).astype(np.float64)
        buffer = JitterBuffer(decoder)
        arrivals = [Sent(10 + n * CHUNK_S, n, 960 * n, payload) for n, payload in enumerate(payloads)]
        arrivals = [sent for sent in arrivals if sent.sequence == 499 or chance.random() > 0.05]
        out = run(buffer, arrivals)
    check_media_time(out)
    heard = np.concatenate([item.chunk.pcm for item in out]).astype(np.float64)
    counters = buffer.counters
    assert counters.lost == len(payloads) - len(arrivals) and counters.recovered > 0.5 * counters.lost
    error = heard - whole[: len(heard)]
    assert 10 * np.log10(np.sum(whole**2) / np.sum(error**2)) > 10  # dB
