"""One turn without a runtime: the ``Asking`` that every test of a skill uses.

It is scripted with plain values (what the camera sees, what the model answers, what was said before) and remembers what the
skill did. It holds the skill to the contract: whatever can be felt outside the turn (``act``, ``speak_as``, ``keep``,
``mean``, ``interpret``, ``overlay``, and of the eyes ``follow``, ``unfollow``, ``watch``,
``unwatch``) before ``sure()`` was awaited is an AssertionError, as is a second look that asks for what the turn never had.

    asking = FakeAsking("what time is it", now=datetime(2026, 11, 22, 16, 20))
    assert await said(TimeAndDate(), asking) == "It's twenty past four in the afternoon."
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from edge.errors import EngineMissing, NearsightError, NoView
from edge.policy.language_guess import guess
from edge.skill import Act, Asking, Eyes, Meant, Skill
from edge.tracks import SegmentPrompt, Track, TrackState, WatchRule
from edge.translation import Interpret, Rendered
from edge.values import (
    Box,
    Code,
    Detection,
    Exchange,
    Mask,
    Prompt,
    Reading,
    SceneFacts,
    TextLine,
    VideoFrame,
    VoiceStyle,
)

Thought = Sequence[str] | Callable[[Prompt], Iterable[str]]
"""What a model answers: the pieces, or a function from the prompt to them."""
Sighting = Sequence[Detection] | Callable[[VideoFrame], Sequence[Detection]]
"""What a detector finds: the same in every picture, or a function from the picture."""

NO_DETECTOR = "this profile has no detector: run nearsight models pull fastestdet"
NO_SEGMENTER = "this profile has no segmenter"
NO_VISION = "this profile has no vision model: run nearsight models pull qwen3-vl-2b-instruct"


@dataclass
class FakeEyes:
    """Scripted eyes. The first group of fields is what there is to see, the second what the skill did.

    A mask is the prompt's mask or box, filled, or a square of ``reach`` pixels about its first point.
    """

    seen: Sighting | None = ()
    """What the detector finds; None: there is no detector."""
    names: tuple[str, ...] = ("person", "bottle", "cup", "chair", "dog")
    """What the detector can name, beside what ``seen`` lists."""
    segments: bool = True
    """Whether there is a segmenter."""
    cut: Callable[[VideoFrame, SegmentPrompt], Mask] | None = None
    """What the segmenter makes of a prompt, where that is not the filled prompt."""
    reach: float = 10.0
    tracks: tuple[Track, ...] = ()
    watches: dict[int, WatchRule] = field(default_factory=dict)
    coming: Iterable[VideoFrame] = ()
    """The pictures that ``views`` gives."""
    failures: Mapping[str, NearsightError] = field(default_factory=dict)

    trace: list[str] = field(default_factory=list)
    prompts: list[SegmentPrompt] = field(default_factory=list)
    """What was cut out or followed."""
    is_sure: Callable[[], bool] = lambda: True

    def __post_init__(self) -> None:
        if self.seen is None:
            self.names = ()
        elif not callable(self.seen):
            self.names = tuple(dict.fromkeys((*self.names, *(one.label for one in self.seen))))

    async def things(self, frame: VideoFrame) -> tuple[Detection, ...]:
        self._called("things")
        if self.seen is None:
            raise EngineMissing(NO_DETECTOR)
        return tuple(self.seen(frame) if callable(self.seen) else self.seen)

    async def cut_out(self, frame: VideoFrame, prompt: SegmentPrompt) -> Mask:
        self._called("cut_out")
        return self._mask(frame, prompt, 0)

    async def follow(self, frame: VideoFrame, prompt: SegmentPrompt, label: str = "") -> Track:
        self._felt("follow")
        number = 1 + max((track.object_id for track in self.tracks), default=0)
        mask = self._mask(frame, prompt, number)
        assert mask.box is not None
        height, width = mask.bits.shape
        track = Track(number, label, TrackState.FOLLOWED, mask.box, (width, height), frame.t_ns, frame.t_ns, mask)
        self.tracks = (*self.tracks, track)
        return track

    def unfollow(self, object_id: int | None = None) -> int:
        self._felt("unfollow")
        kept = tuple(track for track in self.tracks if object_id not in (None, track.object_id))
        gone, self.tracks = len(self.tracks) - len(kept), kept
        return gone

    def watch(self, rule: WatchRule) -> int:
        self._felt("watch")
        number = 1 + max(self.watches, default=0)
        self.watches[number] = rule
        return number

    def unwatch(self, number: int | None = None) -> int:
        self._felt("unwatch")
        ended = [one for one in self.watches if number in (None, one)]
        for one in ended:
            del self.watches[one]
        return len(ended)

    async def views(self) -> AsyncIterator[VideoFrame]:
        self._called("views")
        for frame in self.coming:
            yield frame

    def _mask(self, frame: VideoFrame, prompt: SegmentPrompt, number: int) -> Mask:
        if not self.segments:
            raise EngineMissing(NO_SEGMENTER)
        height, width = frame.pixels.shape[:2]
        prompt.check(height, width)
        self.prompts.append(prompt)
        if self.cut is not None:
            return self.cut(frame, prompt)
        if prompt.mask is not None:
            return Mask(number, prompt.mask, 0.9)
        box = prompt.box or _about(*prompt.points[0], self.reach)
        bits = np.zeros((height, width), np.bool_)
        bits[max(0, round(box.y0)) : max(0, round(box.y1)), max(0, round(box.x0)) : max(0, round(box.x1))] = True
        return Mask(number, bits, 0.9)

    def _called(self, method: str) -> None:
        self.trace.append(method)
        if method in self.failures:
            raise self.failures[method]

    def _felt(self, method: str) -> None:
        assert self.is_sure(), f"{method}() can be felt outside the turn and came before sure()"
        self._called(method)


def _about(x: float, y: float, reach: float) -> Box:
    return Box(x - reach, y - reach, x + reach, y + reach)


@dataclass
class FakeAsking:
    """A scripted turn. The first group of fields is what the skill finds, the second what it did."""

    transcript: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    history: Sequence[Exchange] = ()
    style: VoiceStyle = field(default_factory=VoiceStyle)
    manner: str = "plain"
    skills: Sequence[Skill] = ()
    eyes: Eyes = field(default_factory=FakeEyes)
    """Usually a ``FakeEyes``, which is told when the turn is sure."""
    meant: Meant | None = None
    view: VideoFrame | None = None
    """The picture; None, and nothing below either, makes every look raise NoView."""
    text: Reading | None = None
    """The text in the picture."""
    text_before: Reading = field(default_factory=Reading)
    """The text in any other picture."""
    seen_codes: tuple[Code, ...] | None = None
    facts: SceneFacts | None = None
    thought: Thought = ()
    looked: Thought | None = None
    """What the vision model answers; None: there is none."""
    mine: str = "en"
    interpreting: Interpret | None = None
    translations: Sequence[Rendered] = ()
    languages: Mapping[str, str] = field(default_factory=dict)
    """The languages of texts; of what it lacks the commonest words tell."""
    translated: Mapping[str, str] | Callable[[str, str, str], str] = field(default_factory=dict)
    """What the translator makes of a text, or of text, target and source; what it lacks it gives back in angle brackets."""
    now: datetime = datetime(2026, 11, 22, 16, 20)
    recording: bool = True
    """Whether ``keep`` has a session bundle to keep pictures in."""
    failures: Mapping[str, NearsightError] = field(default_factory=dict)
    """Errors to raise, by the method's name: ``{"reading": EngineFailed("...")}``."""

    trace: list[str] = field(default_factory=list)
    """The methods that the skill called, in order; ``sure`` once it has been awaited."""
    acts: list[Act] = field(default_factory=list)
    styles: list[VoiceStyle] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    looks: list[tuple[Prompt, Box | None, Mapping[str, Any] | None]] = field(default_factory=list)
    """What the vision model was asked: prompt, box, schema."""
    asked_of_interpreter: list[Interpret | None] = field(default_factory=list)
    tongues: list[str] = field(default_factory=list)
    """The languages in which it was to be spoken."""
    translate_requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Text, target, source."""
    overlays: list[tuple[VideoFrame, str, list[tuple[TextLine, str]]]] = field(default_factory=list)
    kept: list[VideoFrame] = field(default_factory=list)
    pieces_taken: int = 0
    """How many pieces of a model's answer the skill took before it was content."""

    def __post_init__(self) -> None:
        if isinstance(self.eyes, FakeEyes):
            self.eyes.is_sure = lambda: "sure" in self.trace

    async def sure(self) -> None:
        self._called("sure")

    async def frame(self) -> VideoFrame:
        self._called("frame")
        return self._view()

    async def reading(self, frame: VideoFrame | None = None) -> Reading:
        self._called("reading")
        if frame is not None and frame is not self.view:
            return self.text_before
        self._view()
        return self.text or Reading()

    async def codes(self) -> tuple[Code, ...]:
        self._called("codes")
        self._view()
        return self.seen_codes or ()

    async def scene(self) -> SceneFacts:
        self._called("scene")
        self._view()
        return self.facts or SceneFacts(brightness=0.5)

    async def think(self, prompt: Prompt) -> AsyncIterator[str]:
        self._called("think")
        self.prompts.append(prompt)
        for piece in self.thought(prompt) if callable(self.thought) else self.thought:
            self.pieces_taken += 1
            yield piece

    async def look(self, prompt: Prompt, box: Box | None = None, schema: Mapping[str, Any] | None = None) -> AsyncIterator[str]:
        self._called("look")
        self._view()
        if self.looked is None:
            raise EngineMissing(NO_VISION)
        self.looks.append((prompt, box, schema))
        for piece in self.looked(prompt) if callable(self.looked) else self.looked:
            self.pieces_taken += 1
            yield piece

    def mean(self, meant: Meant) -> None:
        self._felt("mean")
        self.meant = meant

    def speak_as(self, style: VoiceStyle) -> None:
        self._felt("speak_as")
        self.style = style
        self.styles.append(style)

    async def keep(self, frame: VideoFrame) -> str:
        self._felt("keep")
        self.kept.append(frame)
        return f"frames/photo-{len(self.kept)}.jpg" if self.recording else ""

    def act(self, act: Act) -> None:
        self._felt("act")
        self.acts.append(act)

    def interpret(self, wanted: Interpret | None) -> None:
        self._felt("interpret")
        self.asked_of_interpreter.append(wanted)
        if wanted is None:
            self.interpreting = None
        else:
            target = "" if wanted.both else wanted.target or self.mine
            self.interpreting = Interpret(wanted.mine or self.mine, wanted.theirs, wanted.both, target)

    def speak_in(self, language: str) -> None:
        self._called("speak_in")
        self.tongues.append(language)

    async def translate(self, text: str, target: str, source: str = "") -> AsyncIterator[str]:
        self._called("translate")
        self.translate_requests.append((text, target, source))
        if callable(self.translated):
            given = self.translated(text, target, source)
        else:
            given = self.translated.get(text, f"<{text}>")
        for at, word in enumerate(given.split(" ")):
            yield f" {word}" if at else word

    def expect_translating(self) -> None:
        self._called("expect_translating")

    async def language_of(self, text: str) -> str:
        self._called("language_of")
        return self.languages.get(text, "") or guess(text)

    def overlay(self, frame: VideoFrame, language: str, lines: Sequence[tuple[TextLine, str]]) -> None:
        self._felt("overlay")
        self.overlays.append((frame, language, list(lines)))

    def wall_time(self) -> datetime:
        self._called("wall_time")
        return self.now

    def _called(self, method: str) -> None:
        self.trace.append(method)
        if method in self.failures:
            raise self.failures[method]

    def _felt(self, method: str) -> None:
        assert "sure" in self.trace, f"{method}() can be felt outside the turn and came before sure()"
        self._called(method)

    def _view(self) -> VideoFrame:
        if self.view is not None:
            return self.view
        if self.text is None and self.seen_codes is None and self.facts is None:
            raise NoView("the turn has no picture")
        return picture()


async def said(skill: Skill, asking: Asking) -> str:
    """Gives the whole answer of a skill as one text."""
    return "".join([piece async for piece in skill.answer(asking)])


def picture(index: int = 0) -> VideoFrame:
    """Gives a small grey frame."""
    return VideoFrame(np.full((48, 64, 3), 128, np.uint8), t_ns=index * 33_000_000, index=index)


def page(*lines: str, confidence: float = 0.95, height: float = 20.0) -> Reading:
    """Gives the reading of a picture with these lines, one below the other."""
    return Reading(
        tuple(
            TextLine(line, Box(0.0, at * 1.5 * height, 10.0 * len(line), at * 1.5 * height + height), confidence)
            for at, line in enumerate(lines)
        )
    )
