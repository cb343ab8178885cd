"""The binding of libopus, against speech, against other senders' packets, and against noise."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from edge.errors import EngineFailed, EngineMissing, InputError
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm
from phone_bridge import opus
from phone_bridge.opus import Decoder, Encoder, has_copy


@pytest.fixture
def encoder() -> Iterator[Encoder]:
    with Encoder() as encoder:
        yield encoder


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


def voice(seconds: float = 2.0) -> Pcm:
    """A buzz of 120 Hz through three formants, louder and softer four times a second: near enough to speech for a codec."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * (120 * t + 8 * np.sin(2 * np.pi * 0.7 * t))
    loud = {
        n: sum(np.exp(-(((120 * n - f) / w) ** 2)) for f, w in ((500, 150), (1500, 250), (2500, 300))) for n in range(1, 30)
    }
    sound = sum(gain * np.sin(n * phase) for n, gain in loud.items()) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    pcm: Pcm = (sound / np.max(np.abs(sound)) * 9000).astype(np.int16)
    return pcm


def chunks(pcm: Pcm) -> list[Pcm]:
    return [pcm[at : at + CHUNK_SAMPLES] for at in range(0, len(pcm) - CHUNK_SAMPLES + 1, CHUNK_SAMPLES)]


def likeness(heard: Pcm, said: Pcm) -> float:
    """The greatest correlation over the codec's delay, which is a few milliseconds."""
    length = min(len(heard), len(said)) - 400
    return max(float(np.corrcoef(heard[lag : lag + length], said[:length])[0, 1]) for lag in range(400))


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))


def others(frame_ms: float, layout: str, pcm: Pcm, **options: str) -> list[bytes]:
    """Packets as another sender makes them: 48 kHz, this frame duration."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format, codec.time_base = 48_000, layout, "s16", Fraction(1, 48_000)
    codec.options = {"application": "voip", "frame_duration": f"{frame_ms:g}", **options}
    codec.open()
    wide = np.repeat(pcm, 3)
    if layout == "stereo":
        wide = np.repeat(wide, 2)
    size, packets = round(48 * frame_ms) * (2 if layout == "stereo" else 1), []
    for at in range(0, len(wide) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(wide[None, at : at + size], "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def test_chunks_of_60_ms(decoder: Decoder) -> None:
    said = voice()
    with Encoder(32_000, 0, 960) as encoder:
        packets = [encoder.encode(said[at : at + 960]) for at in range(0, len(said) - 959, 960)]
        with pytest.raises(ValueError, match="a chunk is 960 int16 samples"):
            encoder.encode(said[:320])
    assert {decoder.duration(packet) for packet in packets} == {960} and not any(map(has_copy, packets))
    assert likeness(np.concatenate([decoder.decode(packet) for packet in packets]), said) > 0.9


def test_a_voice_survives_the_round_trip(encoder: Encoder, decoder: Decoder) -> None:
    said = voice()
    packets = [encoder.encode(chunk) for chunk in chunks(said)]
    heard = [decoder.decode(packet) for packet in packets]
    assert {len(pcm) for pcm in heard} == {CHUNK_SAMPLES}
    assert likeness(np.concatenate(heard), said) > 0.9
    assert sum(map(len, packets)) * 8 / 2.0 < 40_000  # bits a second, of 32,000 asked for


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("frame_ms", [2.5, 5.0, 10.0, 20.0, 40.0, 60.0])
def test_other_senders_packets_are_understood(decoder: Decoder, frame_ms: float, layout: str) -> None:
    said = voice(1.2)
    packets = others(frame_ms, layout, said)
    assert {decoder.duration(packet) for packet in packets} == {round(frame_ms * 16)}
    assert likeness(np.concatenate([decoder.decode(packet) for packet in packets]), said) > 0.9


def test_concealment_carries_on_and_fades(encoder: Encoder, decoder: Decoder) -> None:
    for chunk in chunks(voice(0.5)):
        last = decoder.decode(encoder.encode(chunk))
    concealed = decoder.conceal(10 * CHUNK_SAMPLES)
    assert len(concealed) == 10 * CHUNK_SAMPLES
    assert rms(concealed[:CHUNK_SAMPLES]) > 0.3 * rms(last)
    assert rms(concealed[-CHUNK_SAMPLES:]) < 0.1 * rms(last)


@pytest.mark.parametrize("samples", [0, 1, 39, 40, 41, 320, 333, 960, 5000])
def test_any_number_of_samples_can_be_concealed(encoder: Encoder, decoder: Decoder, samples: int) -> None:
    assert len(decoder.conceal(samples)) == samples  # also before the first packet
    decoder.decode(encoder.encode(voice(0.02)))
    assert len(decoder.conceal(samples)) == samples


def test_the_copy_in_the_next_packet_is_nearer_than_concealment(encoder: Encoder) -> None:
    said = voice()
    packets = [encoder.encode(chunk) for chunk in chunks(said)]
    with Decoder() as whole, Decoder() as recovering, Decoder() as concealing:
        true = [whole.decode(packet) for packet in packets]
        errors = np.zeros(2)
        repaired = 0
        for n, packet in enumerate(packets[:-1]):
            if n % 5 == 4 and has_copy(packets[n + 1]):
                repaired += 1
                for which, pcm in enumerate(
                    (recovering.recover(packets[n + 1], CHUNK_SAMPLES), concealing.conceal(CHUNK_SAMPLES))
                ):
                    errors[which] += np.sum((pcm.astype(float) - true[n]) ** 2)
            else:
                recovering.decode(packet)
                concealing.decode(packet)
    assert repaired > 10
    assert errors[0] < 0.5 * errors[1]


def test_copies_are_told_as_libopus_tells_them(encoder: Encoder) -> None:
    library = ctypes.CDLL(opus.available())
    if not hasattr(library, "opus_packet_has_lbrr"):
        pytest.skip("LIBOPUS BELOW 1.5: it cannot say whether a packet carries a copy")
    lbrr = {"fec": "1", "packet_loss": "20", "b": "24000"}
    packets = [encoder.encode(chunk) for chunk in chunks(voice())]
    for frame_ms in (10, 20, 40, 60):
        for layout in ("mono", "stereo"):
            packets += others(frame_ms, layout, voice(1.0), **lbrr) + others(frame_ms, layout, voice(0.4), b="96000")
    rng = np.random.default_rng(3)
    packets += [rng.bytes(int(rng.integers(2, 200))) for _ in range(2000)]
    said = [library.opus_packet_has_lbrr(packet, len(packet)) for packet in packets]
    assert [has_copy(packet) for packet in packets] == [answer == 1 for answer in said]
    assert 100 < said.count(1) < len(said) - 100


def test_without_expected_loss_there_is_no_copy() -> None:
    with Encoder(loss_percent=0) as encoder:
        packets = [encoder.encode(chunk) for chunk in chunks(voice())]
        assert not any(map(has_copy, packets))
        encoder.expect_loss(20)
        assert any(has_copy(encoder.encode(chunk)) for chunk in chunks(voice()))


def test_noise_is_an_error_or_sound_and_the_decoder_goes_on(encoder: Encoder, decoder: Decoder) -> None:
    rng = np.random.default_rng(7)
    refused = 0
    for size in [0, 1, 2, 3, 1500, 1501, 60_000, *map(int, rng.integers(0, 400, 2000))]:
        for work in (decoder.decode, lambda packet: decoder.recover(packet, CHUNK_SAMPLES)):
            try:
                assert len(work(rng.bytes(size))) <= opus.MAX_PACKET_SAMPLES
            except InputError:
                refused += 1
    assert refused > 500
    said = voice(1.0)
    assert likeness(np.concatenate([decoder.decode(encoder.encode(chunk)) for chunk in chunks(said)]), said) > 0.9


def test_chunks_of_another_size_or_type_are_refused(encoder: Encoder) -> None:
    wrongs: list[Any] = [np.zeros(319, np.int16), np.zeros((2, 320), np.int16), np.zeros(320, np.float32)]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="a chunk is 320"):
            encoder.encode(wrong)
    backwards = voice(0.02)[::-1]  # a view that does not lie in one piece
    assert encoder.encode(backwards)


def test_settings_that_libopus_refuses_are_errors() -> None:
    with pytest.raises(EngineFailed, match="101"):
        Encoder(loss_percent=101)


def test_a_closed_one_may_be_closed_again_and_not_used() -> None:
    encoder, decoder = Encoder(), Decoder()
    packet = encoder.encode(np.zeros(CHUNK_SAMPLES, np.int16))
    for _ in range(2):
        encoder.close()
        decoder.close()
    with pytest.raises(ValueError, match="closed"):
        encoder.encode(np.zeros(CHUNK_SAMPLES, np.int16))
    with pytest.raises(ValueError, match="closed"):
        decoder.decode(packet)


def test_nothing_leaks() -> None:
    def use() -> None:
        for _ in range(300):  # an encoder and a decoder have about 50 kB together
            Encoder().encode(np.zeros(CHUNK_SAMPLES, np.int16))
            Decoder().conceal(CHUNK_SAMPLES)
        gc.collect()

    use()
    before = psutil.Process().memory_info().rss
    for _ in range(3):
        use()
    assert psutil.Process().memory_info().rss - before < 10e6


def test_without_libopus_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opus, "find_spec", lambda name: None)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    opus.available.cache_clear()
    opus._library.cache_clear()
    try:
        assert opus.available() is None
        with pytest.raises(EngineMissing, match="libopus"):
            Encoder()
    finally:
        opus.available.cache_clear()
        opus._library.cache_clear()


def test_the_library_is_pyavs_own() -> None:
    """Two copies of libopus in one process would do, but one that is known to be there is better."""
    spec = importlib.util.find_spec("av")
    assert spec is not None and spec.origin is not None
    path = opus.available()
    if path is None or "site-packages" not in path:
        pytest.skip("PYAV WAS NOT INSTALLED FROM ITS WHEEL: the system's libopus is used")
    assert Path(spec.origin).parents[1] in Path(path).parents
    assert opus.version().startswith("libopus")
