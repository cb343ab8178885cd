"""The child process of the voice espeak-ng: ``python -m models.espeak_worker``, started by ``models.espeak``.

It alone loads the library of the wheel ``espeakng-loader`` (GPL-3.0-or-later). Requests and answers, in the frames of
``models.pipe``::

    child  -> {"op": "hello", "version", "rate", "voices": [[identifier, language tag, ...], ...]}
    parent -> {"op": "speak", "voice", "wpm", "pitch", "range"} + UTF-8 text
    child  -> {"op": "audio", "words": [[sample, character], ...]} + int16 sound, mono, ``rate`` Hz

``sample`` counts from the utterance's first sample, ``character`` from 0 in the text. C names and numbers are those of
``speak_lib.h``, espeak-ng 1.52.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

from models.pipe import Parent

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth returns when the last callback has
_BUFFER_MS = 40
_DONT_EXIT = 0x8000  # report missing data files instead of calling exit()
_CHARS_UTF8 = 1  # without espeakSSML (0x10) and espeakPHONEMES (0x100): "<", "&" and "[[" are text
_POS_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_LIST_TERMINATED, _EVENT_WORD = 0, 1

_SPOKEN, _CRASHED, _ALONE = range(3)
"""How a fork ends: its text is dealt with, Python raised, the parent is gone."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),  # what audio_position is computed from: exact
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # (priority byte, text, NUL) repeated, then NUL
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class _Library:
    """espeak-ng through ctypes. Raises OSError, RuntimeError."""

    def __init__(self, parent: Parent) -> None:
        import espeakng_loader

        self._parent = parent
        self._broken: OSError | None = None
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_Info.restype = ctypes.c_char_p
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._lib.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        data = espeakng_loader.get_data_path().encode()
        self.rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, _DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError(f"espeak_Initialize gave {self.rate}")
        self.version: str = self._lib.espeak_Info(None).decode()
        self._callback = _Callback(self._deliver)
        self._lib.espeak_SetSynthCallback(self._callback)

    def voices(self) -> list[list[str]]:
        """Gives for each voice its identifier and the language tags it serves."""
        found: list[list[str]] = []
        for entry in self._lib.espeak_ListVoices(None):
            if not entry:
                break
            voice = entry.contents
            identifier = voice.identifier.decode()
            if not identifier.startswith("mb/"):  # MBROLA's voices need files that the wheel lacks
                found.append([identifier, *_tags(voice.languages)])
        return found

    def speak(self, header: Mapping[str, Any], text: bytes) -> None:
        """Sends the speech of one text to the parent. Raises RuntimeError, OSError."""
        if self._lib.espeak_SetVoiceByName(header["voice"].encode()) != 0:
            raise RuntimeError(f"no voice {header['voice']!r}")
        self._lib.espeak_SetParameter(_RATE, header["wpm"], 0)
        self._lib.espeak_SetParameter(_PITCH, header["pitch"], 0)
        self._lib.espeak_SetParameter(_RANGE, header["range"], 0)
        status = self._lib.espeak_Synth(text, len(text) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if self._broken:
            raise self._broken
        if status != 0:
            raise RuntimeError(f"espeak_Synth gave {status}")

    def _deliver(self, wave: int | None, count: int, events: Any) -> int:
        words = []
        at = 0
        while (event := events[at]).type != _EVENT_LIST_TERMINATED:
            if event.type == _EVENT_WORD:
                words.append([event.sample, event.text_position - 1])
            at += 1
        if self._parent.cancelled():
            return 1
        try:
            if wave or words:
                self._parent.send({"op": "audio", "words": words}, ctypes.string_at(wave, 2 * count) if wave else b"")
        except OSError as error:  # an exception cannot cross the C stack
            self._broken = error
            return 1
        return 0


def _tags(address: int) -> list[str]:
    found = []
    while ctypes.string_at(address, 1) != b"\0":
        tag = ctypes.string_at(address + 1)
        found.append(tag.decode())
        address += len(tag) + 2
    return found


def _answer(library: _Library, parent: Parent) -> int:
    """Speaks one text and gives the status to end with."""
    request = parent.receive()
    if request is None:
        return _ALONE
    try:
        try:
            library.speak(request.header, request.body)
        except RuntimeError as error:
            parent.send({"op": "error", "text": str(error)})
        else:
            parent.send({"op": "end"})
    except BrokenPipeError:
        return _ALONE
    return _SPOKEN


def main() -> int:
    """Serves until the parent goes away, each text in a fork of this process that waits for it and ends with it.

    espeak-ng's flutter and noise go on from one utterance to the next and cannot be reset, so the same text would be some ten
    samples longer or shorter each time, and no session could be replayed. A fork starts from the same state every time, and
    what crashes in it leaves this process as it was. It is made before its text comes, so that it costs no latency.
    """
    parent = Parent()
    try:
        library = _Library(parent)
    except (ImportError, OSError, RuntimeError) as error:
        parent.send({"op": "error", "text": str(error)})
        return 1
    parent.send({"op": "hello", "version": library.version, "rate": library.rate, "voices": library.voices()})
    while True:
        child = os.fork()
        if child == 0:
            os._exit(_answer(library, parent))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == _ALONE:
            return 0
        if status != _SPOKEN:
            parent.send({"op": "error", "text": f"espeak-ng ended with status {status}"})


if __name__ == "__main__":
    sys.exit(main())
