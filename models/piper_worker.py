"""The child process of the voice Piper: ``python -m models.piper_worker MODEL CONFIG DEVICE THREADS``.

``models.piper`` starts it. It alone imports ``piper`` (piper-tts, GPL-3.0-or-later, with espeak-ng inside). Requests and
answers, in the frames of ``models.pipe``::

    child  -> {"op": "hello", "version", "aligned", "device"}                  or {"op": "hello", "refused", "kind"}
    parent -> {"op": "speak", "parts": [[start, end], ...], "stretch", "speaker"} + UTF-8 text
    child  -> {"op": "audio", "words": [[sample, character], ...], "said"} + int16 sound, mono, at the voice's rate

A part is one or more sentences, or a clause; Piper makes one run of sound a sentence. ``sample`` counts from the run's first
sample, ``character`` from 0 in the text; ``said`` is null but in the
last frame of a run, where it is the character up to which the text has been spoken. ``stretch`` multiplies the voice's own
length of phonemes.

A network that is running looks at no pipe. So while it runs, a thread does, and onnxruntime is told to give the run up: a reply
that was cut off does not delay the next one by the rest of its sentence.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from models.pipe import Parent
from models.piper_text import shares, word_starts
from models.utterance import WORD

if TYPE_CHECKING:
    import onnxruntime
    from piper import PiperVoice

_PEAK: Final = 0.75
"""What each run is scaled to. Piper scales to 1, where resampling would clip and a gain has no room."""
_FAINT: Final = 1e-3
"""Peak below which a run is left as it is: scaling would make a hiss of it."""
_HEARD: Final = 0.01
"""Relative to the peak: where the words of a run begin and end, for voices that do not tell their places."""
_SLICE: Final = 8192
"""Samples in one frame."""
_LOOK: Final = 0.01
"""Seconds between two looks at the pipe while the network runs."""


class Refused(Exception):
    """The voice cannot be loaded. ``kind`` is ``missing`` (a package), ``corrupt`` (a file) or ``failed``."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Cancelled(Exception):
    """The parent wants no more of this text, or is gone."""


class Network:
    """An onnxruntime session that a cancelled request ends in the middle of a run."""

    def __init__(self, session: onnxruntime.InferenceSession, parent: Parent) -> None:
        self._session = session
        self._parent = parent

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Runs the network as Piper wants it. Raises Cancelled, RuntimeError."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.log_severity_level = 4  # that a run was given up is no error
        done = threading.Event()
        cancelled = False

        def watch() -> None:
            nonlocal cancelled
            while not done.wait(_LOOK):
                if self._parent.cancelled():
                    cancelled = options.terminate = True
                    return

        watcher = threading.Thread(target=watch, name="cancel")
        watcher.start()
        try:
            return self._session.run(names, feeds, options)
        except Exception as error:  # onnxruntime's errors have no base of their own
            done.set()
            watcher.join()
            if cancelled:
                raise Cancelled from error
            raise RuntimeError(_line(error)) from error
        finally:
            done.set()
            watcher.join()


class Speaker:
    """One voice, loaded and warm."""

    def __init__(self, model: Path, config: Path, device: str, threads: int, parent: Parent) -> None:
        """Raises Refused."""
        self._parent = parent
        try:
            import onnxruntime
            from piper import PiperConfig, PiperVoice
            from piper.const import BOS, PAD
        except ImportError as error:
            raise Refused("missing", f"Piper cannot be imported ({error}): pip install 'nearsight[piper]'") from error

        logging.getLogger("piper").setLevel(logging.ERROR)  # it warns of phonemes, which are speech
        onnxruntime.set_seed(0)  # a voice's noise is the same in every process that speaks the same texts
        self._bos, self._pad = BOS, PAD
        session, self.device = _open(model, device, threads)
        self.voice: PiperVoice = PiperVoice(
            session=Network(session, parent), config=PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
        )
        _check(session, self.voice.config.num_speakers)
        self.aligned = self._warm_up() is not None

    def _warm_up(self) -> NDArray[np.int64] | None:
        """Runs the network on the phoneme with the highest number: a voice with another table fails here, not in a sentence."""
        highest = max(self.voice.config.phoneme_id_map, key=lambda phoneme: max(self.voice.config.phoneme_id_map[phoneme]))
        try:
            self.voice.phonemize("a")
            return self._sound([highest], 1.0, None)[1]
        except (RuntimeError, ValueError) as error:
            raise Refused("corrupt", f"it cannot speak: {_line(error)}") from error

    def speak(self, text: str, parts: Sequence[tuple[int, int]], stretch: float, speaker: int | None) -> None:
        """Sends the speech of one text to the parent. Raises Cancelled, OSError, RuntimeError, ValueError."""
        for start, end in parts:
            torn = start > 0 and not text[start - 1].isspace()  # a word longer than a part has one mark, in its first
            self._speak_part(text[start:end], start, torn, stretch, speaker)

    def _speak_part(self, part: str, offset: int, torn: bool, stretch: float, speaker: int | None) -> None:
        sentences = self._phonemes(part)
        words = list(WORD.finditer(part))
        # between two sentences a space, so that no word reaches over the gap
        spoken = [phoneme for sentence in sentences for phoneme in (*sentence, " ")]
        starts = word_starts([list(itertools.chain(*self._phonemes(word.group()))) for word in words], spoken)
        begins = [
            (at, offset + word.start())
            for word, at in zip(words, starts, strict=True)
            if at is not None and not (torn and word.start() == 0)
        ]
        first = 0
        for sentence in sentences:
            if self._parent.cancelled():
                raise Cancelled
            last = first + len(sentence)
            said = min((character for at, character in begins if at >= last), default=offset + len(part))
            if sentence:
                sound, lengths = self._sound(sentence, stretch, speaker)
                places = self._places(sentence, sound, lengths)
                marks = [(int(places[at - first]), character) for at, character in begins if first <= at < last]
                if marks and not offset and not first:
                    marks[0] = (0, marks[0][1])  # the first word of all begins where the sound does
                self._send(sound, marks, said)
            first = last + 1

    def _phonemes(self, text: str) -> list[list[str]]:
        # "[[" would begin phonemes, which no text of an answer holds; a bracket is as silent as another
        return self.voice.phonemize(text.replace("[", "(").replace("]", ")"))

    def _send(self, sound: NDArray[np.float32], words: Sequence[tuple[int, int]], said: int) -> None:
        peak = float(np.abs(sound).max(initial=0.0))
        scaled = sound * (_PEAK / peak) if peak > _FAINT else sound
        pcm = np.rint(scaled * 32767).astype(np.int16)
        for at in range(0, max(len(pcm), 1), _SLICE):
            piece = pcm[at : at + _SLICE]
            last = at + _SLICE >= len(pcm)
            here = [word for word in words if at <= word[0] and (last or word[0] < at + _SLICE)]
            self._parent.send({"op": "audio", "words": here, "said": said if last else None}, piece.tobytes())

    def _sound(
        self, phonemes: list[str], stretch: float, speaker: int | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Gives the sound of a sentence, and the samples of each id where the voice tells. Raises RuntimeError."""
        from piper import SynthesisConfig

        ids = self.voice.phonemes_to_ids(phonemes)
        style = SynthesisConfig(speaker_id=speaker, length_scale=self.voice.config.length_scale * stretch)
        made = self.voice.phoneme_ids_to_audio(ids, style, include_alignments=True)
        sound, lengths = made if isinstance(made, tuple) else (made, None)
        sound = np.atleast_1d(sound)
        if sound.ndim != 1 or not np.isfinite(sound).all():
            raise RuntimeError("the network gives no sound")
        if lengths is not None and np.shape(lengths) != (len(ids),):
            lengths = None
        return sound.astype(np.float32), lengths

    def _places(
        self, phonemes: list[str], sound: NDArray[np.float32], lengths: NDArray[np.int64] | None
    ) -> NDArray[np.float64]:
        """Gives the sample at which each phoneme begins."""
        if lengths is not None:
            ids = self.voice.config.phoneme_id_map
            counts = [len(ids[p]) + len(ids[self._pad]) if p in ids else 0 for p in (self._bos, *phonemes)]
            ends = np.concatenate([[0.0], np.cumsum(lengths)])
            starts: NDArray[np.float64] = np.clip(ends[np.cumsum(counts)[:-1]], 0, max(len(sound) - 1, 0))
            return starts
        loud = np.flatnonzero(np.abs(sound) >= _HEARD * np.abs(sound).max(initial=0.0))
        begin, end = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(sound))
        share = shares(phonemes)
        # the pause of the last full stop lies behind the sound that is heard
        heard = share[: len(share) - (1 if len(share) > 1 and phonemes[-1] in ".!?" else 0)].sum() or 1.0
        return begin + (end - begin) * np.minimum(np.concatenate([[0.0], np.cumsum(share)[:-1]]) / heard, 1.0)


def _open(model: Path, device: str, threads: int) -> tuple[onnxruntime.InferenceSession, str]:
    """Gives the network with its lengths of phonemes among its outputs, where ``onnx`` is there to do that. Raises Refused."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other engines want these cores
    cuda = device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise Refused("missing", "this onnxruntime has no CUDA: pip install 'nearsight[gpu]', or set device = \"cpu\"")
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if cuda:
        # as Piper does: the exhaustive search of the default takes seconds for every new length of sentence
        providers.insert(0, ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}))
    try:
        session = onnxruntime.InferenceSession(_with_lengths(model), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise Refused("corrupt", f"onnxruntime cannot load it: {_line(error)}") from error
    return session, "cuda" if cuda else "cpu"


def _with_lengths(model: Path) -> str | bytes:
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf carries no types
        from piper.patch_voice_with_alignment import add_alignment_output
    except ImportError:
        return str(model)
    try:
        graph = onnx.load(str(model))
        add_alignment_output(graph)
        patched: bytes = graph.SerializeToString()
        return patched
    except DecodeError as error:
        raise Refused("corrupt", "it is no ONNX model, or a part of one") from error
    except ValueError:  # it has no such tensor, or gives it already
        return str(model)


def _check(session: onnxruntime.InferenceSession, speakers: int) -> None:
    """Raises Refused where the network is not that of a Piper voice with so many speakers."""
    inputs = {value.name: value.type for value in session.get_inputs()}
    wanted = {"input": "tensor(int64)", "input_lengths": "tensor(int64)", "scales": "tensor(float)"}
    if speakers > 1:
        wanted["sid"] = "tensor(int64)"
    if inputs != wanted:
        raise Refused("corrupt", f"its network takes {', '.join(inputs) or 'nothing'}, where Piper gives {', '.join(wanted)}")
    if session.get_outputs()[0].type != "tensor(float)":
        raise Refused("corrupt", f"its network gives {session.get_outputs()[0].type}, and no sound")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _serve(parent: Parent, speaker: Speaker) -> None:
    while (request := parent.receive()) is not None:
        header = request.header
        try:
            speaker.speak(request.body.decode(), header["parts"], header["stretch"], header["speaker"])
        except Cancelled:
            parent.send({"op": "end"})
        except (RuntimeError, ValueError, LookupError) as error:
            parent.send({"op": "error", "text": _line(error)})
        else:
            parent.send({"op": "end"})


def main() -> int:
    """Serves until the parent goes away."""
    parent = Parent()
    model, config, device, threads = sys.argv[1:]
    try:
        speaker = Speaker(Path(model), Path(config), device, int(threads), parent)
    except Refused as error:
        parent.send({"op": "hello", "refused": str(error), "kind": error.kind})
        return 1
    except Cancelled:
        return 1
    version = importlib.metadata.version("piper-tts")
    parent.send({"op": "hello", "version": version, "aligned": speaker.aligned, "device": speaker.device})
    try:
        _serve(parent, speaker)
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
