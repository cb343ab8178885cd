"""The voice Piper: networks of the VITS kind (Kim et al., 2021) that speak some forty-five languages, faster than real time.

piper-tts (GPL-3.0-or-later) is never loaded here: ``models.piper_worker`` speaks in a process of its own and hands over raw
sound, so a crash in it costs one sentence. Piper makes a whole sentence at a time; what is heard first is therefore kept short
(``models.piper_text.parts``), and the rest is made while it plays.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, NearsightError
from edge.ports import Stop
from edge.values import EngineInfo, SpeechChunk, VoiceStyle
from models.piper_file import VoiceFile, read_voice
from models.piper_text import parts
from models.utterance import Utterance, utterable
from models.worker import Worker

_AUDIBLE: Final = 104.0
"""int16 amplitude from which sound counts as audible: -50 dB of full scale. A vocoder's silence is a faint noise."""
_PITCHES: Final = (0.7, 1.4)
_REFUSALS: Final[Mapping[str, type[NearsightError]]] = MappingProxyType({"missing": EngineMissing, "corrupt": ModelCorrupt})


class Piper:
    """A ``Voice``.

    Volume is a linear gain, bent above 0.8 of full scale. Piper has no pitch: another pitch is made by speaking slower or
    faster and playing the sound faster or slower, from 0.7 to 1.4, and the timbre moves with it. The sound has noise in it: the
    same text is a little different each time, but the same texts in the same order are the same in every process.

    Word marks are exact to the phoneme where the voice tells how long each lasts (``info.details["word_times"]`` is
    ``aligned``); else they are ``estimated`` from the number of phonemes in each word. Which voices tell depends on the package
    ``onnx`` alone: with it, all do whose network has the usual shape.
    """

    def __init__(
        self,
        model: Path,
        config: Path | None = None,
        *,
        speaker: int | str | None = None,
        device: str = "cpu",
        threads: int = 0,
        time_limit: float = 20.0,
    ) -> None:
        """Takes a voice's two files.

        Args:
            model: ``NAME.onnx``.
            config: ``NAME.onnx.json``; None takes the one beside ``model``.
            speaker: A number or a name, for voices with several; None takes the voice's own.
            device: ``cpu``, ``cuda``, or ``auto`` for the better one that is there.
            threads: 0 takes one for each core.
            time_limit: Seconds that the process may take to load or to make one sentence, before it is replaced.
        """
        self._model = model
        self._config = config
        self._wanted = speaker
        self._device = device
        self._threads = threads
        self._limit = time_limit
        self._worker: Worker | None = None
        self._voice: VoiceFile | None = None
        self._speaker: int | None = None
        self._told: Mapping[str, Any] = {}

    def open(self) -> None:
        """Starts the process and loads the voice.

        Raises:
            EngineMissing: piper-tts is not installed, or onnxruntime has no CUDA where ``device`` asks for it.
            ModelMissing: A file is not there.
            ModelCorrupt: A file is not what it should be.
            UsageError: The voice has no such speaker, or needs phonemes that are not supported.
            EngineFailed, EngineHung: The process did not start.
        """
        if self._worker:
            return
        if not _version():
            raise EngineMissing("the voice Piper is not installed: pip install 'nearsight[piper]'")
        voice = read_voice(self._model, self._config)
        speaker = voice.speaker(self._wanted)
        arguments = [str(voice.model.resolve()), str(voice.config.resolve()), self._device, str(self._threads)]
        worker = Worker("models.piper_worker", arguments, time_limit=self._limit)
        told = worker.start()
        if "refused" in told:
            worker.close()
            raise _REFUSALS.get(told["kind"], EngineFailed)(f"{voice.model.name}: {told['refused']}")
        self._worker, self._voice, self._speaker, self._told = worker, voice, speaker, told

    def close(self) -> None:
        """Ends the process."""
        worker, self._worker = self._worker, None
        if worker:
            worker.close()

    @property
    def info(self) -> EngineInfo:
        """Name, version and licence; how words are timed and where the network runs, once it is open."""
        details = {"process": "its own", "voice licence": "in its MODEL_CARD"}
        if self._voice and self._told:
            details |= {
                "language": self._voice.language,
                "rate": str(self._voice.rate),
                "speaker": "its own" if self._speaker is None else str(self._speaker),
                "device": self._told["device"],
                "word_times": "aligned" if self._told["aligned"] else "estimated",
            }
        name = self._model.name.removesuffix(".onnx")
        return EngineInfo("piper", _version() or "not installed", name, "GPL-3.0-or-later", MappingProxyType(details))

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the speech of ``text``, leading and trailing silence trimmed, in chunks of at most 100 ms at 16 kHz.

        The first comes when the first clause or sentence is made. Nothing in the text is markup. It gives nothing where there
        is nothing to say. Raises EngineFailed, EngineHung; the next call has a fresh process.
        """
        if not self._worker or not self._voice:
            raise EngineFailed("the voice Piper is not open")
        text = utterable(text)
        if not text.strip():
            return
        pitch = min(max(style.pitch, _PITCHES[0]), _PITCHES[1])
        stretch = pitch / min(max(style.rate, 0.5), 2.5)
        request = {"op": "speak", "parts": parts(text), "stretch": stretch, "speaker": self._speaker}
        utterance = Utterance(text, self._voice.rate * pitch, style.volume, _AUDIBLE)
        for chunk in self._chunks(self._worker, utterance, request, text, stop):
            if stop:
                return
            yield chunk

    def _chunks(
        self, worker: Worker, utterance: Utterance, request: Mapping[str, Any], text: str, stop: Stop
    ) -> Iterator[SpeechChunk]:
        with contextlib.closing(worker.request(request, text.encode(), stop)) as frames:
            for frame in frames:
                yield from utterance.add(np.frombuffer(frame.body, np.int16), frame.header["words"])
                if frame.header["said"] is not None:
                    yield from utterance.pause(frame.header["said"])
        if not stop:
            yield from utterance.finish()


def _version() -> str:
    # not find_spec: another package of PyPI is called piper, too
    try:
        return importlib.metadata.version("piper-tts")
    except importlib.metadata.PackageNotFoundError:
        return ""
