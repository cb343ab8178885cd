"""Opus (RFC 6716) between glasses and the runtime: 16 kHz mono in, 16 kHz mono out, losses repaired.

A thin binding of libopus. aiortc's own decoder gives 48 kHz stereo and lets losses be; libopus resamples and mixes down inside
the codec, where it costs nothing, and repairs a lost packet from the copy that the next one carries (in-band FEC, RFC 6716
section 2.1.7), or hides it by carrying on the sound before it (PLC). PyAV's wheel brings libopus along; where it was built
against the system's, that one is taken.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import numpy as np

from edge.errors import EngineFailed, EngineMissing, InputError
from edge.values import CHUNK_SAMPLES, SAMPLE_RATE, Pcm

MAX_PACKET_BYTES = 1500
"""More does not come in one datagram; libopus itself never writes more than 1275 bytes for a frame."""
MAX_PACKET_SAMPLES = SAMPLE_RATE * 120 // 1000
"""The longest packet that RFC 6716 allows (section 3.2.5)."""
PLC_STEP = SAMPLE_RATE * 25 // 10_000
"""libopus conceals in steps of 2.5 ms."""
COMPLEXITY = 5
"""0 to 10. At 16 kHz mono 5 is where more costs time and brings nothing that a recogniser would notice."""

# opus_defines.h
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001


@cache
def available() -> str | None:
    """Gives the path of the libopus that is used, None where there is none."""
    spec = find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        # auditwheel (Linux), delvewheel (Windows) and delocate (macOS) each have their own place for libraries.
        for folder, pattern in ((package.parent / "av.libs", "*opus-*"), (package / ".dylibs", "libopus.*")):
            for path in sorted(folder.glob(pattern)):
                return str(path)
    return ctypes.util.find_library("opus")


def version() -> str:
    """Gives libopus's name and version. Raises EngineMissing."""
    return str(_library().opus_get_version_string().decode("ascii", "replace"))


@cache
def _library() -> ctypes.CDLL:
    path = available()
    if path is None:
        raise EngineMissing("no libopus: install the Debian package libopus0, or PyAV from its wheel")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise EngineMissing(f"libopus at {path} cannot be loaded: {error}") from error
    pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    for name, result, arguments in (
        ("opus_get_version_string", ctypes.c_char_p, []),
        ("opus_strerror", ctypes.c_char_p, [number]),
        ("opus_encoder_create", pointer, [size, number, number, ctypes.POINTER(number)]),
        ("opus_encoder_destroy", None, [pointer]),
        ("opus_encoder_ctl", number, [pointer, number]),  # its values come after, as C's variadic arguments
        ("opus_encode", size, [pointer, pointer, number, pointer, size]),
        ("opus_decoder_create", pointer, [size, number, ctypes.POINTER(number)]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_decode", number, [pointer, ctypes.c_char_p, size, pointer, number, number]),
        ("opus_packet_get_nb_samples", number, [ctypes.c_char_p, size, size]),
        ("opus_packet_parse", number, [ctypes.c_char_p, size, pointer, pointer, pointer, pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _reason(code: int) -> str:
    return str(_library().opus_strerror(code).decode("ascii", "replace"))


class Encoder:
    """Turns chunks of 20 ms into packets, each with a coarse copy of the one before it.

    Raises EngineMissing without libopus. ``bitrate`` is in bits a second; ``loss_percent`` is what the network is expected to
    lose, by which libopus weighs the copy against the sound itself (at 0 it leaves the copy out). ``samples`` is the length of
    a chunk; RFC 6716 section 2.1.4 allows 2.5, 5, 10, 20, 40 and 60 ms.
    """

    def __init__(self, bitrate: int = 32_000, loss_percent: int = 5, samples: int = CHUNK_SAMPLES) -> None:
        self._library = _library()
        self._samples = samples
        error = ctypes.c_int()
        self._state: int | None = self._library.opus_encoder_create(SAMPLE_RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        if self._state is None:
            raise EngineFailed(f"libopus makes no encoder: {_reason(error.value)}")
        self._out = (ctypes.c_ubyte * MAX_PACKET_BYTES)()
        try:
            self._set(_SET_BITRATE, bitrate)
            self._set(_SET_COMPLEXITY, COMPLEXITY)
            self._set(_SET_SIGNAL, _SIGNAL_VOICE)  # or it may choose CELT, which carries no copy
            self._set(_SET_INBAND_FEC, 1)
            self._set(_SET_PACKET_LOSS_PERC, loss_percent)
        except EngineFailed:
            self.close()
            raise

    def expect_loss(self, percent: int) -> None:
        """Takes what the network is expected to lose from now on, 0 to 100."""
        self._set(_SET_PACKET_LOSS_PERC, percent)

    def encode(self, pcm: Pcm) -> bytes:
        """Gives the packet of the next chunk.

        Raises ValueError for any other number of samples.
        """
        if pcm.shape != (self._samples,) or pcm.dtype != np.int16:
            raise ValueError(f"a chunk is {self._samples} int16 samples, not {pcm.shape} of {pcm.dtype}")
        sound = np.ascontiguousarray(pcm)
        out = ctypes.addressof(self._out)
        size = self._library.opus_encode(self._open(), sound.ctypes.data, self._samples, out, MAX_PACKET_BYTES)
        if size < 0:
            raise EngineFailed(f"libopus does not encode: {_reason(size)}")
        return ctypes.string_at(self._out, size)

    def close(self) -> None:
        """Frees the encoder; a second call changes nothing."""
        state, self._state = self._state, None
        if state is not None:
            self._library.opus_encoder_destroy(state)

    def _set(self, request: int, value: int) -> None:
        code = self._library.opus_encoder_ctl(self._open(), request, ctypes.c_int32(value))
        if code < 0:
            raise EngineFailed(f"libopus does not take {value} for request {request}: {_reason(code)}")

    def _open(self) -> int:
        if self._state is None:
            raise ValueError("the encoder is closed")
        return self._state

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None:  # a state that nobody closed would leak its C memory
            self.close()


class Decoder:
    """Turns packets of one stream, of 2.5 to 120 ms, mono or stereo, into 16 kHz mono. Raises EngineMissing."""

    def __init__(self) -> None:
        self._library = _library()
        error = ctypes.c_int()
        self._state: int | None = self._library.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        if self._state is None:
            raise EngineFailed(f"libopus makes no decoder: {_reason(error.value)}")

    def decode(self, packet: bytes) -> Pcm:
        """Gives the sound of the next packet.

        Raises InputError where the packet is no Opus; the decoder stays usable, and ``conceal`` fills the hole.
        """
        return self._decode(packet, self.duration(packet), fec=False)

    def conceal(self, samples: int) -> Pcm:
        """Gives ``samples`` that carry on the sound so far and fade within about 100 ms: the packet is lost."""
        parts = []
        while samples > 0:
            step = min(samples, CHUNK_SAMPLES)
            parts.append(self._decode(None, -(-step // PLC_STEP) * PLC_STEP, fec=False)[:step])
            samples -= step
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def recover(self, next_packet: bytes, samples: int) -> Pcm:
        """Gives the ``samples`` before ``next_packet`` from the copy in it, concealed where it has none.

        ``next_packet`` is decoded afterwards as usual. Raises InputError.
        """
        self.duration(next_packet)
        whole = min(-(-samples // PLC_STEP) * PLC_STEP, MAX_PACKET_SAMPLES)
        return self._decode(next_packet, whole, fec=True)[whole - samples :]

    def duration(self, packet: bytes) -> int:
        """Gives the samples in a packet. Raises InputError where it is no Opus."""
        count = int(self._library.opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE))
        if not packet or len(packet) > MAX_PACKET_BYTES or not 0 < count <= MAX_PACKET_SAMPLES:
            raise InputError(f"{len(packet)} bytes that are no Opus packet")
        return count

    def redundant(self, packet: bytes) -> bool:
        """Says whether a packet carries a copy of the one before it (LBRR, RFC 6716 section 4.2.5)."""
        return has_copy(packet)

    def close(self) -> None:
        """Frees the decoder; a second call changes nothing."""
        state, self._state = self._state, None
        if state is not None:
            self._library.opus_decoder_destroy(state)

    def _decode(self, packet: bytes | None, samples: int, *, fec: bool) -> Pcm:
        if self._state is None:
            raise ValueError("the decoder is closed")
        out = np.empty(samples, np.int16)
        size = len(packet) if packet is not None else 0
        count = self._library.opus_decode(self._state, packet, size, out.ctypes.data, samples, int(fec))
        if count < 0:
            raise InputError(f"{size} bytes that are no Opus packet: {_reason(count)}")
        return out[:count]

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_state", None) is not None:
            self.close()


def has_copy(packet: bytes) -> bool:
    """Says whether a packet carries a copy of the one before it.

    The copy is announced by the bit after the voice-activity flags of the first SILK frame (RFC 6716 section 4.2.3): the range
    decoder's first bits of probability one half lie plainly at the top of the byte. libopus has this function only since 1.5.
    """
    if len(packet) < 2 or packet[0] & 0x80:  # configurations 16 to 31 are CELT alone
        return False
    sizes = (ctypes.c_int16 * 48)()
    start = ctypes.c_int()
    count = _library().opus_packet_parse(packet, len(packet), None, None, ctypes.addressof(sizes), ctypes.addressof(start))
    if count <= 0 or sizes[0] == 0:
        return False
    configuration = packet[0] >> 3
    # SILK 10, 20, 40, 60 ms for configurations 0 to 11 (one SILK frame each 20 ms); hybrid 10 or 20 ms for 12 to 15.
    frames = (1, 1, 2, 3)[configuration & 3] if configuration < 12 else 1
    first = packet[start.value]
    stereo = bool(packet[0] & 0x04)
    return bool(first >> (7 - frames) & 1) or (stereo and bool(first >> (6 - 2 * frames) & 1))
