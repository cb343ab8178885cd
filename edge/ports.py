"""What the runtime asks of engines and of links.

Engines are blocking and know no asyncio: a lane calls them in its own thread and iterates their generators there. They are
constructed cheaply, load in ``open()``, and free everything in ``close()``; both may be called twice. What can take long
takes a ``Stop`` and looks at it as often as the library underneath allows. Engines raise errors from ``edge.errors``;
whatever else they raise becomes an ``EngineFailed`` at the lane.

Links are asynchronous: they are devices.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from weakref import WeakSet

from edge.decoding import Decoded, DecodeRequest
from edge.events import Event
from edge.tracks import Candidates, Cues, Floats, Memories, SegmentPrompt, View
from edge.translation import TranslateRequest
from edge.values import (
    AudioChunk,
    Code,
    Condition,
    Detection,
    EngineInfo,
    Mask,
    Pcm,
    Pixels,
    Prompt,
    Reading,
    SceneFacts,
    SpeechChunk,
    Transcript,
    VideoFrame,
    VoiceStyle,
)


class Stop:
    """A flag that asks an engine to give up. Safe from any thread; once set it stays set.

    A ``child`` is set with its parent, and may be set alone: a turn's flag ends all its work, a job's flag only the job.
    """

    __slots__ = ("__weakref__", "_children", "_event")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._children: WeakSet[Stop] = WeakSet()

    def child(self) -> Stop:
        """Makes a flag that is set with this one. Children are made, and their parent is set, in one thread."""
        child = Stop()
        self._children.add(child)
        if self:
            child.set()
        return child

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """Asks to stop."""
        self._event.set()
        for child in tuple(self._children):
            child.set()

    def wait(self, seconds: float) -> bool:
        """Waits until the flag is set, at most ``seconds``; says whether it is."""
        return self._event.wait(seconds)


class Engine(Protocol):
    """What every engine has."""

    def open(self) -> None:
        """Loads models and takes memory. Raises EngineMissing, ModelMissing, ModelCorrupt."""

    def close(self) -> None:
        """Frees everything."""

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence, for ``doctor`` and the session bundle."""


class WakeWord(Engine, Protocol):
    """Finds a wake word in running sound."""

    def detect(self, pcm: Pcm) -> str | None:
        """Takes the next sound, any length; gives the name of a wake word that has just ended, or None."""

    def reset(self) -> None:
        """Forgets the sound so far."""


class Spotter(Engine, Protocol):
    """Finds the single words that end a reply."""

    def spot(self, pcm: Pcm) -> str | None:
        """Takes an utterance whole, with the silence after it; gives the word that stands in it, or None."""


class VoiceActivity(Engine, Protocol):
    """Tells speech from the rest."""

    window: int
    """Samples it judges at a time."""

    def probability(self, pcm: Pcm) -> float:
        """Takes the next ``window`` samples; gives the probability, 0 to 1, that somebody speaks in them."""

    def reset(self) -> None:
        """Forgets the sound so far."""


class EchoCanceller(Engine, Protocol):
    """Takes the loudspeaker's sound out of the microphone's."""

    def cancel(self, near: Pcm, far: Pcm) -> Pcm:
        """Takes the next sound of the microphone and what the loudspeaker played meanwhile; gives it without the echo.

        All three have the same length, a multiple of 160 samples.
        """

    def moved(self) -> None:
        """Tells that the loudspeaker begins anew: the path is the same, but for some milliseconds of delay."""

    def reset(self) -> None:
        """Forgets the sound so far and the path from loudspeaker to microphone."""


class EndOfTurn(Engine, Protocol):
    """Tells a pause from an end."""

    def probability(self, pcm: Pcm) -> float:
        """Takes the sound of the turn so far (its last 8 s matter); gives the probability that the speaker has finished."""


class RecogniserStream(Protocol):
    """One utterance being recognised. It belongs to the lane that made it."""

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Takes the next sound; gives a new partial when it has changed, else None.

        Word times count from the stream's start.
        """

    def final(self, stop: Stop) -> Transcript:
        """Gives the last word on all sound so far. More ``accept`` may follow: the speaker had only paused."""

    def close(self) -> None:
        """Gives the utterance up."""


class Recogniser(Engine, Protocol):
    """Turns speech into text."""

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins an utterance. ``phrases`` are what the wearer may well say now (commands, words in view).

        ``languages`` (BCP 47 tags) are those that it may be in; without them it is in the engine's own. Raises LanguageMissing.
        """


class SpeechDecoder(Engine, Protocol):
    """Turns a whole buffer of speech into timed words, anew with every call."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The BCP 47 tags that it knows."""

    def decode(self, pcm: Pcm, request: DecodeRequest, stop: Stop) -> Decoded:
        """Gives what was said in at most 30 s; ends early, with what there is, once ``stop`` is set."""

    def attend(self, pcm: Pcm, decoded: Decoded, stop: Stop) -> tuple[int, ...]:
        """Gives for each word the last sample that the model looked at when it wrote it (AlignAtt, from cross-attention)."""

    def identify(self, pcm: Pcm, stop: Stop) -> tuple[tuple[str, float], ...]:
        """Gives languages with their probabilities, likeliest first."""


class LanguageModel(Engine, Protocol):
    """Writes answers."""

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        """Reads the prompt into the model's cache, so that ``generate`` for the same prompt, or a longer one, starts sooner."""

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        """Gives pieces of text as they come; ends early, without an error, once ``stop`` is set."""

    def count(self, text: str) -> int:
        """Gives the number of tokens in ``text``."""


class Voice(Engine, Protocol):
    """Speaks."""

    def synthesize(self, text: str, style: VoiceStyle, stop: Stop) -> Iterator[SpeechChunk]:
        """Gives the speech of ``text``, leading and trailing silence trimmed, in chunks of at most 100 ms."""


class TextReader(Engine, Protocol):
    """Reads the text in a picture."""

    def read(self, frame: VideoFrame, stop: Stop) -> Reading:
        """Gives the lines in reading order."""


class CodeReader(Engine, Protocol):
    """Reads QR and bar codes."""

    def scan(self, frame: VideoFrame) -> tuple[Code, ...]:
        """Gives the codes, left to right, top to bottom."""


class SceneMeter(Engine, Protocol):
    """Says what can be said of a picture without a model of it."""

    def measure(self, frame: VideoFrame) -> SceneFacts:
        """Gives brightness and dominant colours."""


class VisionLanguage(Engine, Protocol):
    """Answers questions about pictures."""

    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        """Begins to look at a picture, so that an ``answer`` about it starts sooner."""

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Gives pieces of text as they come; with a JSON schema, the text of one value that obeys it.

        What is said of a picture comes from its pixels: text that stands in it is data.
        """


class Detector(Engine, Protocol):
    """Finds things it has names for."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every name that it knows."""

    def detect(self, frame: VideoFrame) -> tuple[Detection, ...]:
        """Gives the objects, surest first; those that are not ``sure`` too."""


class Segmenter(Engine, Protocol):
    """Cuts out and follows objects in a stream of pictures, all of one size.

    Pictures are given in the order of their time; a picture is known by the identity of its pixels. Any picture may be left
    out. A picture of another size ends what was followed: ``add`` and ``track`` raise InputError, after which it is empty.
    """

    @property
    def objects(self) -> tuple[int, ...]:
        """The ids of everything followed, in the order in which it was added."""

    def add(self, frame: VideoFrame, prompt: SegmentPrompt, object_id: int) -> Mask:
        """Begins to follow what is meant, or corrects it where the id is followed already. Raises InputError.

        The picture may be any recent one: where it is not the newest one tracked, the other objects are not looked for in it.
        """

    def track(self, frame: VideoFrame, stop: Stop) -> tuple[Mask, ...]:
        """Gives the masks of everything followed in a picture, by ``objects``; an empty one, its score low, for what is hidden.

        Ends early with no masks once ``stop`` is set.
        """

    def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        """Gives the mask (id 0) of what is meant in one picture, of any time and size; what is followed stays as it is.

        Raises InputError.
        """

    def remove(self, object_id: int) -> None:
        """Stops following one object; one that is not followed is passed over."""

    def reset(self) -> None:
        """Forgets everything."""


class MaskNetwork(Engine, Protocol):
    """The parts of a SAM 2.1 network, each a function: what is remembered is its user's affair."""

    @property
    def size(self) -> int:
        """The side of its square input, in pixels."""

    def encode(self, pixels: Pixels) -> View:
        """Gives a picture's features; it is stretched to the square and normalised as in training."""

    def recall(self, view: View, memories: Memories | None) -> Any:
        """Gives the features as n objects see them, (n, 256, f, f): after memory attention, or without any memory (n = 1)."""

    def decode(self, view: View, seen: Any, cues: Cues) -> Candidates:
        """Gives the masks of n objects, ``seen`` being theirs from ``recall``."""

    def memorise(self, view: View, masks: Floats, scores: Floats) -> Floats:
        """Gives the memory maps (n, 64, f, f) of masks (n, 1, size, size), each value 0 to 1, whose score logits are (n,)."""


class ClipWriter(Engine, Protocol):
    """Keeps the last seconds of pictures, encoded, and writes clips of them."""

    def add(self, frame: VideoFrame) -> None:
        """Encodes the next picture into the ring and into every clip that is open. Raises StorageError for a clip's file."""

    def begin(self, path: Path, since_ns: int) -> int:
        """Opens a clip that starts with the last key frame at or before ``since_ns``, or the oldest there is.

        Gives the media time of its first picture. Raises StorageError.
        """

    def finish(self, path: Path) -> None:
        """Ends a clip: from then on its file plays from the first picture. Raises StorageError; the file is then gone."""

    def sheet(self, path: Path, pictures: Sequence[VideoFrame]) -> None:
        """Writes a contact sheet of the pictures as JPEG. Raises StorageError."""


class Translator(Engine, Protocol):
    """Turns text of one language into another."""

    @property
    def forces(self) -> bool:
        """Whether it continues a translation that is given as ``TranslateRequest.prefix``."""

    def missing(self, source: str, target: str) -> str:
        """Says in one line why it cannot translate between two languages, and which command helps; empty where it can.

        It may be asked before ``open``, from any thread.
        """

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation as it comes, the prefix of the request included where it continues one.

        Raises LanguageMissing. It gives nothing where there is nothing to translate.
        """


class TextLanguage(Engine, Protocol):
    """Tells which language a text is written in."""

    def identify(self, text: str) -> tuple[tuple[str, float], ...]:
        """Gives languages (BCP 47, without script or region) with their probabilities, likeliest first.

        Nothing where the text has no letters.
        """


class Notifier(Protocol):
    """Tells the world outside what a watch saw."""

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Sends one message, within its time limit. Raises LinkError."""

    async def close(self) -> None:
        """Disconnects."""


class Aside(Protocol):
    """A loudspeaker that is turned to whom the wearer talks with: another device's, or the phone's beside the glasses'."""

    @property
    def present(self) -> bool:
        """Whether anybody can be reached by it now."""

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, as far as the link knows."""

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms. Never waits; while nobody is present it is lost."""

    def flush(self) -> int:
        """Drops what ``play`` took and nobody can have heard yet; gives the number of samples dropped."""


@runtime_checkable
class Link(Protocol):
    """A pair of glasses: microphone, camera, loudspeaker, touch.

    ``microphone``, ``camera``, ``taps`` and ``conditions`` may each be iterated once. When the microphone ends, the session
    ends. Glasses that are out of reach for a while may leave a gap in the microphone's media time, never a jump back.
    """

    uri: str
    """As the wearer named it."""

    @property
    def sink_delay_s(self) -> float:
        """Seconds from ``play`` until the sound can be heard, as far as the link knows."""

    @property
    def captured(self) -> bool:
        """Whether the link writes down what it carries."""

    @property
    def aside(self) -> Aside | None:
        """A loudspeaker turned to whom the wearer talks with; None where there is none. It may come and go."""

    async def open(self) -> None:
        """Connects. Raises LinkError or InputError."""

    async def close(self) -> None:
        """Disconnects and finishes what it writes."""

    def microphone(self) -> AsyncIterator[AudioChunk]:
        """Gives the sound in chunks of 320 samples, each as soon as its last sample was captured."""

    def camera(self) -> AsyncIterator[VideoFrame]:
        """Gives the pictures as they come."""

    def taps(self) -> AsyncIterator[str]:
        """Gives ``tap``, ``double_tap``, ``hold`` or ``release`` as they come.

        A page that shows a translated conversation also gives ``speak:wearer`` or ``speak:partner`` when one of the two
        presses a button to talk, ``speak:end`` when it is let go, and ``ask:WORDS`` for what its other buttons ask.
        """

    def conditions(self) -> AsyncIterator[Condition]:
        """Gives how the glasses are, at once where that is known and then whenever it changes."""

    def play(self, pcm: Pcm) -> None:
        """Takes the next 20 ms for the loudspeaker. Never waits: the speaker queue paces."""

    def flush(self) -> int:
        """Drops what ``play`` took and nobody can have heard yet; gives the number of samples dropped."""

    def privacy(self, on: bool) -> None:
        """Switches microphone and camera off (or on again) at the source, as far as the link can."""

    def snap(self) -> None:
        """Asks for one picture at the camera's best; where the link can, it comes through ``camera`` like any other."""

    def tell(self, event: Event) -> None:
        """Takes what the session tells, for captions and lights. Never waits."""


@runtime_checkable
class Station(Protocol):
    """A place where glasses come and go.

    Each wearer who arrives is a ``Link``, and stays that one link while out of reach for a short time or on another device.
    """

    uri: str
    """As the owner named it."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate that it shows, to compare with a browser's warning; empty without encryption."""

    async def open(self) -> None:
        """Begins to receive. Raises LinkError where it cannot."""

    async def close(self) -> None:
        """Sends everybody away and ends ``arrivals``."""

    def invite(self, role: str, wearer: str) -> str:
        """Gives an address that lets one device in, once: as ``owner``, who may see everything, or as ``wearer``."""

    def arrivals(self) -> AsyncIterator[Link]:
        """Gives the wearers as they arrive. Whoever takes a link opens it, and closes it to send its wearer away."""
