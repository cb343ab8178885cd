"""One connection: what strangers offer is answered or refused, and nothing is left behind in either case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSctpTransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, LinkError, UsageError
from phone_bridge import offers, peer, seams
from phone_bridge.control import Message, StillChunk, Tap
from phone_bridge.peer import Peer
from tests.phone_bridge.client import Client

pytestmark = pytest.mark.real_time


class Sink:
    """Keeps what a connection brings."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.messages: list[Message] = []
        self.packets = 0
        self.frames = 0

    def peer_connected(self, peer: Peer) -> None:
        self.events.append("connected")

    def peer_lost(self, peer: Peer, reason: str) -> None:
        self.events.append(reason)

    def peer_sound(self, peer: Peer, sequence: int, timestamp: int, payload: bytes) -> None:
        self.packets += 1

    def peer_picture(self, peer: Peer, frame: object) -> None:
        self.frames += 1

    def peer_message(self, peer: Peer, message: Message) -> None:
        self.messages.append(message)

    def peer_still(self, peer: Peer, chunk: StillChunk) -> None:
        self.events.append(f"still {chunk.index}")

    def peer_channel(self, peer: Peer) -> None:
        self.events.append("channel")


@asynccontextmanager
async def connection(client: Client, sink: Sink) -> AsyncIterator[Peer]:
    made: list[Peer] = []

    async def post(offer: str) -> str:
        answered, text = await Peer.answer(offer, sink, device="d1")
        made.append(answered)
        return text

    async with client:
        try:
            await client.connect(post)
            yield made[0]
        finally:
            for answered in made:
                await answered.close()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what a test waits for has no event
            await asyncio.sleep(0.01)


async def offer_of(client: Client) -> str:
    async with client:
        return await client.offer()


async def test_the_private_names_are_there() -> None:
    pc = RTCPeerConnection()
    audio, video = pc.addTransceiver("audio").receiver, pc.addTransceiver("video").receiver
    for receiver in (audio, video):
        assert hasattr(receiver, "_RTCRtpReceiver__jitter_buffer") and hasattr(receiver, "_RTCRtpReceiver__decoder_queue")
    ice = audio.transport.transport
    names = ("_connection", "_recv", "_send", "_monitor", "_RTCIceTransport__monitor_task", "_RTCIceTransport__start")
    assert all(hasattr(ice, name) for name in names) and hasattr(ice.iceGatherer, "_connection")
    assert hasattr(RTCDtlsTransport, "_send_rtp")
    for name in ("_get_inbound_stream", "_mark_received", "_receive_data_chunk", "_data_channel_receive"):
        assert hasattr(RTCSctpTransport, name)
    await pc.close()


async def test_an_offer_becomes_a_connection_both_ways() -> None:
    sink, client = Sink(), Client(fps=30)
    async with connection(client, sink) as answered:
        assert answered.connected and answered.returns_sound and answered.has_channel
        client.send("tap", name="tap")
        await until(lambda: sink.messages and sink.packets > 20 and sink.frames > 3)
        assert sink.messages == [Tap("tap")]
        await until(lambda: len(client.heard) > 20)
        assert answered.heard_at is not None and answered.heard_at == pytest.approx(asyncio.get_running_loop().time(), abs=1)
        assert answered.sent is not None and answered.sent.last is not None and answered.sent.at(answered.sent.last)
    assert sink.events == ["connected", "channel", "closed"]
    assert answered.closed and not answered.connected


async def test_a_client_that_only_sends_is_served() -> None:
    sink, client = Sink(), Client(listens=False, channel=False)
    async with connection(client, sink) as answered:
        assert not answered.returns_sound and not answered.has_channel and answered.sent is None
        await until(lambda: sink.packets > 20)
        answered.play(np.zeros(320, np.int16))
        assert answered.flush() == 0 and not answered.send({"v": 1, "type": "welcome"})
    assert client.heard == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "", "no sound"),
        (lambda text: "nonsense", "no sound"),
        (lambda text: text[: len(text) // 2] + "\r\nm=\r\n", "malformed"),
        (lambda text: text.replace("m=audio", "m=text"), "'text'"),
        (lambda text: text.replace("opus/48000/2", "speex/16000"), "Opus"),
        (lambda text: text.replace("a=ice-ufrag", "a=no-ufrag"), "ICE credentials"),
        (lambda text: text.replace("a=fingerprint", "a=no-print"), "fingerprint"),
        (lambda text: text.replace("a=setup:actpass", "a=x"), "DTLS"),
        (lambda text: text.replace("a=setup:actpass", "a=setup:nonsense"), "malformed"),
        (lambda text: text.replace("a=rtcp-mux", "a=x"), "malformed"),
        (lambda text: text.replace("a=sendrecv", "a=recvonly"), "no sound"),
        (lambda text: text.replace("a=sendrecv", "a=inactive"), "no sound"),
        (lambda text: text.replace("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0"), "bundle"),
        (lambda text: text.replace("a=mid:1", "a=mid:0"), "bundle"),
        (lambda text: text.replace("VP8/90000", "AV1/90000").replace("H264/90000", "H265/90000"), "no codec"),
        (lambda text: text + text[text.index("m=audio") : text.index("m=video")], "2 sections"),
        (lambda text: text.replace("a=candidate:", "a=candidate:x "), "malformed"),
        (lambda text: text.replace("typ host", "typ"), "malformed"),
        (lambda text: text + "a=x\r\n" * 20_000, "more than"),
    ],
)
async def test_an_offer_that_cannot_be_answered_is_refused(change: Callable[[str], str], why: str) -> None:
    text = change(await offer_of(Client()))
    with pytest.raises(InputError, match=why):
        await Peer.answer(text, Sink())


_lines = st.sampled_from(
    [
        *("v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0", "a=rtpmap:96 opus/48000/2", "a=ice-ufrag:abcd"),
        *("a=fingerprint:sha-256", "a=group:BUNDLE", "a=ssrc:1", "a=fmtp:97 x", "c=IN IP4", "a=extmap:1"),
    ]
)


@given(st.text(max_size=100) | st.lists(_lines, max_size=12).map("\r\n".join))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (offers.read_offer, offers.read_fragment):
        try:
            read(text)
        except InputError:
            pass


async def test_names_instead_of_addresses_cost_no_time() -> None:
    loop = asyncio.get_running_loop()
    async with Client() as client:
        text = await client.offer()
        lines = [
            line.replace(line.split()[4], f"{n}f0c1d2e-0000-4000-8000-000000000000.local")
            if line.startswith("a=cand")
            else line
            for n, line in enumerate(text.splitlines())
        ]
        began = loop.time()
        answered, answer = await Peer.answer("\r\n".join(lines) + "\r\n", Sink())
        assert loop.time() - began < 0.9
        await client.accept(answer)
        assert answered.connected
        await answered.close()


async def test_who_never_comes_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.3)
    sink, gone = Sink(), asyncio.Event()
    answered, _ = await Peer.answer(await offer_of(Client()), sink)
    answered.on_closed = lambda _: gone.set()
    async with asyncio.timeout(5):
        await gone.wait()
    assert sink.events == ["timeout"] and answered.closed
    await answered.close()
    with pytest.raises(LinkError):
        await answered.add_candidates("a=candidate:1 1 udp 1 192.0.2.1 9 typ host")


async def test_a_hundred_half_open_offers_leave_nothing() -> None:
    text = await offer_of(Client())
    before = len(asyncio.all_tasks())
    for _ in range(10):
        made = await asyncio.gather(*(Peer.answer(text, Sink()) for _ in range(10)))
        await asyncio.gather(*(answered.close() for answered, _ in made))
    assert len(asyncio.all_tasks()) == before


async def test_trickle_and_what_is_no_fragment() -> None:
    sink = Sink()
    async with Client() as client:
        text = await client.offer()
        bare = "".join(line + "\r\n" for line in text.splitlines() if not line.startswith("a=candidate"))
        username = next(line for line in text.splitlines() if line.startswith("a=ice-ufrag"))
        answered, answer = await Peer.answer(bare, sink)
        assert not answered.is_restart(username)
        candidates = [line for line in text.splitlines() if line.startswith("a=candidate")]
        await answered.add_candidates("\r\n".join([username, "a=mid:0", *candidates, "a=end-of-candidates"]))
        with pytest.raises(UsageError):
            await answered.add_candidates("a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901")
        for nonsense in ("", "nonsense", "a=candidate:1", "a=candidate:1 x udp 1 1.2.3.4 9 typ host", "a=x\n" * 100_000):
            with pytest.raises(InputError):
                await answered.add_candidates(nonsense)
        await client.accept(answer)
        await answered.close()


async def test_an_ice_restart_keeps_the_connection() -> None:
    sink, client = Sink(), Client()
    async with connection(client, sink) as answered:
        await until(lambda: sink.packets > 10 and len(client.heard) > 10)
        assert client.path is not None
        before = client.path._connection
        fresh = await client.path.prepare()
        fragment = offers.write_fragment(fresh, "0")
        assert answered.is_restart(fragment)
        theirs = offers.read_fragment(await answered.restart_ice(fragment))
        assert not answered.is_restart(fragment)  # it is under way
        assert theirs.username and theirs.password
        await client.path.restart(fresh, theirs.username, theirs.password, theirs.candidates)
        await until(lambda: client.path is not None and client.path._connection is not before)
        await until(lambda: before._closed)
        packets, heard = sink.packets, len(client.heard)
        client.send("tap", name="hold")
        await until(lambda: sink.packets > packets + 20 and len(client.heard) > heard + 20 and sink.messages)
        assert answered.connected
    assert sink.events == ["connected", "channel", "closed"]


async def test_an_ice_restart_that_fails_leaves_the_old_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seams, "RESTART_TIMEOUT_S", 0.5)
    sink, client = Sink(), Client()
    async with connection(client, sink) as answered:
        with pytest.raises(InputError):
            await answered.restart_ice("a=ice-ufrag:abcd")
        await answered.restart_ice("a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901")
        await asyncio.sleep(0.8)
        packets = sink.packets
        await until(lambda: sink.packets > packets + 10)
        await answered.restart_ice("a=ice-ufrag:efgh\r\na=ice-pwd:0123456789012345678901")
        # closed while it is under way
    assert sink.events[-1] == "closed"


async def test_what_cannot_be_read_is_answered_and_never_fatal() -> None:
    sink, client = Sink(), Client(video=False)
    async with connection(client, sink) as answered:
        client.send("dance")
        assert (await client.expect("unknown"))["of"] == "dance"
        for data in ("nonsense", b"\0\xff", "x" * 20_000):
            client.send_raw(data)
            assert (await client.expect("error"))["code"] in ("malformed", "too_long")
        assert client.channel is not None
        sctp = client.channel.transport
        with pytest.raises(ValueError, match="only supports"):
            client.send_raw("x" * 10_000_000)
        sctp._remote_max_message_size = 0  # a client that does not keep to what was announced
        client.send_raw("x" * 10_000_000)
        client.send("tap", name="tap")
        assert (await client.expect("error", 20))["code"] == "too_long"
        await until(lambda: sink.messages, 20)
        assert sink.messages == [Tap("tap")] and answered.connected
        sctp._data_channel_queue.append((client.channel, 51, b"\xff\xfe no UTF-8"))
        client.send("tap", name="hold")
        assert (await client.expect("error"))["code"] == "malformed"
        await until(lambda: len(sink.messages) == 2)
        assert answered.refused == 6


async def test_a_flood_ends_the_connection() -> None:
    sink, client = Sink(), Client(video=False)
    async with connection(client, sink):
        for _ in range(1500):
            client.send("ping", id=1)
        await until(lambda: "flooded" in sink.events, 10)


def packet(sequence: int, timestamp: int, data: bytes) -> RtpPacket:
    made = RtpPacket(payload_type=97, sequence_number=sequence, timestamp=timestamp)
    made._data = data  # type: ignore[attr-defined]
    return made


def vp8(width: int, height: int, *, key: bool) -> bytes:
    return bytes([0 if key else 1, 0, 0, 0x9D, 1, 0x2A]) + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"x"


async def test_pictures_that_must_not_be_decoded_are_left_out() -> None:
    certificate = RTCCertificate.generateCertificate()
    transport = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer(iceServers=[])), [certificate])
    tap = seams.PictureTap(RTCRtpReceiver("video", transport), {97: "video/VP8"})
    sequence = 0

    def show(width: int, height: int, *, key: bool) -> tuple[bool, bool]:
        """Gives whether a key frame was asked for, and whether the frame before was let through."""
        nonlocal sequence
        sequence += 1
        ask, frame = tap.add(packet(sequence, sequence * 3000, vp8(width, height, key=key)))
        return ask, frame is not None

    show(640, 480, key=True)
    assert show(640, 480, key=False) == (False, True)
    assert show(16_000, 16_000, key=True) == (False, True)
    assert show(640, 480, key=False) == (True, False)  # the absurd one is left out, and one that can be shown asked for
    assert show(640, 480, key=True) == (False, False)  # what referred to it neither
    assert show(640, 480, key=False) == (False, True)
    tap.paused = True
    assert show(640, 480, key=False) == (False, False)
    tap.paused = False
    assert (tap.absurd, tap.left_out) == (1, 3)


def test_key_frames_are_known() -> None:
    assert seams.key_frame_size(vp8(640, 480, key=True), "video/VP8") == (640, 480)
    assert seams.key_frame_size(vp8(640, 480, key=False), "video/VP8") is None
    assert seams.key_frame_size(b"\0\0\0\1\x67sps\0\0\1\x68pps\0\0\1\x65idr", "video/H264") == (0, 0)
    assert seams.key_frame_size(b"\0\0\0\1\x41slice", "video/H264") is None
    assert seams.key_frame_size(b"", "video/VP8") is None and seams.key_frame_size(b"", "video/H264") is None
