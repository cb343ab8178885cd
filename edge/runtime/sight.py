"""What the camera saw, and what was made of it.

Frames are ranked as they come; the question's end picks the sharpest around it. Reading a picture takes a third of a second
and more, so it begins at the wake word, on the best frame so far, and is done anew while the wearer speaks when a clearly
sharper frame has come or the read one is about to leave the window: by the question's end the text is there, or nearly.

Everything made of a picture is made once, in a task of its own that callers share. A caller that is cancelled (barge-in)
leaves the work to the others and to the next question; it is given up when the engine is needed for another picture.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import numpy as np

from edge.config import SightConfig
from edge.errors import EngineError, EngineMissing, NoView
from edge.events import CodesSeen, Event, FrameChosen, TextSeen
from edge.policy.frames import CLEARLY, Ranked, Ring, sharpness
from edge.policy.layout import arrange
from edge.ports import CodeReader, Engine, SceneMeter, Stop, TextReader, VisionLanguage
from edge.runtime.lane import Lane
from edge.values import Code, EngineInfo, Pixels, Reading, SceneFacts, VideoFrame

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")

KEPT = 8
"""Of how many pictures the results are remembered."""
AHEAD_NS = 10_000_000_000
"""How long after ``prefetch`` pictures are read ahead: nobody asks for longer."""


class Sight:
    """The camera's memory and the engines that look at it. A lane that is None makes its question raise EngineMissing."""

    def __init__(
        self,
        config: SightConfig,
        reader: Lane[TextReader] | None,
        codes: Lane[CodeReader] | None,
        scene: Lane[SceneMeter] | None,
        vision: Lane[VisionLanguage] | None = None,
        *,
        emit: Callable[[Event], None],
        taken: Callable[[VideoFrame], None] = lambda frame: None,
    ) -> None:
        """``taken`` is told of every picture, scaled."""
        self._window_ns = round(config.window * 1e9)
        self._max_side = config.max_side
        self._ring = Ring(round(config.ring * 1e9))
        self._emit = emit
        self._scaling: Lane[_Scaler] = Lane("frames", _Scaler)
        self._readings = _Once("text reader", reader, lambda engine, frame, stop: arrange(engine.read(frame, stop)))
        self._codes = _Once("code reader", codes, lambda engine, frame, stop: engine.scan(frame))
        self._facts = _Once("scene meter", scene, lambda engine, frame, stop: engine.measure(frame))
        self._prepared = _Once("vision model", vision, lambda engine, frame, stop: engine.prepare(frame.pixels, stop))
        self._taken = taken
        self._source: Pixels | None = None
        self._last: tuple[Pixels, float] | None = None
        self._ahead_until_ns: int | None = None
        self._asked_ns = 0
        self._told: set[type[Event]] = set()
        self._begun = asyncio.Event()
        self._arrived = asyncio.Event()
        self.patience_s = 0.0
        """How long a question waits for a picture where there is none: a photo over Bluetooth takes seconds."""
        self.chosen: VideoFrame | None = None
        """The picture that the last question was about."""
        self.chosen_reading: Reading | None = None
        """The text in it, where it was asked for."""
        self.chosen_codes: tuple[Code, ...] = ()
        """The codes in it, where they were asked for."""

    async def run(self, camera: AsyncIterable[VideoFrame]) -> None:
        """Takes pictures until the camera ends or the task is cancelled; then gives up all work in hand."""
        try:
            async for frame in camera:
                await self._take(frame)
        finally:
            self._begun.set()
            self._arrived.set()
            self._ahead_until_ns = None
            for once in (self._readings, self._codes, self._facts, self._prepared):
                await once.close()
            await self._scaling.close()

    async def seen(self) -> None:
        """Waits until the first picture has come, or none can come any more."""
        await self._begun.wait()

    def prefetch(self, at_ns: int) -> None:
        """Begins to read ahead: a question is coming. Costs nothing where the text of the picture is known."""
        self._ahead_until_ns = at_ns + AHEAD_NS
        self._read_ahead(at_ns)

    def relax(self) -> None:
        """Ends the reading ahead: no question came. A reading that nobody waits for is given up."""
        self._ahead_until_ns = None
        self._readings.give_up()
        self._prepared.give_up()

    async def choose(self, at_ns: int) -> VideoFrame:
        """Gives the picture that a question ending at ``at_ns`` is about, and ends the reading ahead. Raises NoView."""
        chosen = self._pick(at_ns)
        if chosen is None and self.patience_s:
            chosen = await self._late(at_ns)
        if chosen is None:
            raise NoView("no picture has come from the camera in time for this question")
        self._ahead_until_ns = None
        self._asked_ns = at_ns
        self._told.clear()
        self.chosen, self.chosen_reading, self.chosen_codes = chosen.frame, None, ()
        age_ms = round((at_ns - chosen.frame.t_ns) / 1e6, 1)
        self._emit(FrameChosen(t_ns=at_ns, index=chosen.frame.index, age_ms=age_ms, sharpness=round(chosen.sharpness, 1)))
        return chosen.frame

    def _pick(self, at_ns: int) -> Ranked | None:
        chosen = self._ring.choose(at_ns, self._window_ns, self._readings.has)
        if chosen is not None and not self._readings.has(chosen.frame):
            chosen = self._ring.choose(at_ns, self._window_ns, self._readings.knows)
        return chosen

    async def _late(self, at_ns: int) -> Ranked | None:
        """Waits for the picture that was asked for when the wearer called, as long as the camera may take."""
        self._arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience_s):
                await self._arrived.wait()
        return self._pick(at_ns)

    async def reading(self, frame: VideoFrame) -> Reading:
        """Gives the text in a picture, in reading order. Raises EngineMissing and what engines raise."""
        reading = await self._readings.get(frame)
        if self.chosen is not None and frame.pixels is self.chosen.pixels:
            self.chosen_reading = reading
        if self._first(TextSeen):
            lines = tuple(line.text for line in reading.lines)
            self._emit(TextSeen(t_ns=self._asked_ns, lines=lines, blurred=reading.blurred))
        return reading

    async def codes(self, frame: VideoFrame) -> tuple[Code, ...]:
        """Gives the codes in a picture. Raises EngineMissing and what engines raise."""
        codes = await self._codes.get(frame)
        if self.chosen is not None and frame.pixels is self.chosen.pixels:
            self.chosen_codes = codes
        if self._first(CodesSeen):
            self._emit(CodesSeen(t_ns=self._asked_ns, codes=tuple(code.data for code in codes)))
        return codes

    async def facts(self, frame: VideoFrame) -> SceneFacts:
        """Gives the brightness and the colours of a picture. Raises EngineMissing and what engines raise."""
        return await self._facts.get(frame)

    async def _take(self, frame: VideoFrame) -> None:
        # A still picture served as a camera is one array again and again: it is scaled, ranked and read once.
        if self._last is None or frame.pixels is not self._source:
            pixels = frame.pixels
            if max(pixels.shape[:2]) > self._max_side:
                try:
                    pixels = await self._scaling.call(lambda scaler, stop: scaler.scale(frame.pixels, self._max_side))
                except EngineError as error:
                    log.warning("frame %d cannot be scaled: %s", frame.index, error.text)
                    return
            self._source, self._last = frame.pixels, (pixels, sharpness(pixels))
        pixels, sharp = self._last
        taken = VideoFrame(pixels, frame.t_ns, frame.index)
        self._ring.add(taken, sharp, self._readings.knows)
        self._begun.set()
        self._arrived.set()
        self._taken(taken)
        self._read_ahead(frame.t_ns)

    def _read_ahead(self, now_ns: int) -> None:
        if self._ahead_until_ns is None or now_ns > self._ahead_until_ns or not self._readings.idle:
            return
        # Of the nearer half only, or the frame would leave the window as soon as it has been read.
        best = self._ring.choose(now_ns, self._window_ns // 2)
        if best is not None and not self._would_do(best, now_ns):
            self._readings.begin(best.frame)
            if self._prepared.idle:
                self._prepared.begin(best.frame)

    def _would_do(self, best: Ranked, now_ns: int) -> bool:
        """Whether some picture of the window has been read that is not clearly less sharp than the best."""
        read = self._ring.choose(now_ns, self._window_ns, self._readings.has)
        if read is None or not self._readings.has(read.frame):
            return False
        return now_ns - read.frame.t_ns <= self._window_ns and read.sharpness * CLEARLY >= best.sharpness

    def _first(self, event: type[Event]) -> bool:
        """Whether an event has yet to be told of the chosen picture."""
        new = event not in self._told
        self._told.add(event)
        return new


class _Once(Generic[E, T]):
    """Results by picture (the identity of its pixels), each made once and shared."""

    def __init__(self, name: str, lane: Lane[E] | None, make: Callable[[E, VideoFrame, Stop], T]) -> None:
        self._name = name
        self._lane = lane
        self._make = make
        # The pixels are kept beside the task: an identity is only theirs while they live.
        self._work: OrderedDict[int, tuple[Pixels, asyncio.Task[T]]] = OrderedDict()
        self._waiting: Counter[int] = Counter()

    @property
    def idle(self) -> bool:
        """Whether the engine is there and has nothing in hand."""
        return self._lane is not None and not self._lane.busy and all(task.done() for _, task in self._work.values())

    def knows(self, frame: VideoFrame) -> bool:
        """Whether the result is there or on its way."""
        return id(frame.pixels) in self._work

    def has(self, frame: VideoFrame) -> bool:
        """Whether the result is there."""
        return self.knows(frame) and self._work[id(frame.pixels)][1].done()

    async def get(self, frame: VideoFrame) -> T:
        """Gives the result; what is under way for other pictures and waited for by nobody makes room."""
        key = id(frame.pixels)
        self._waiting[key] += 1
        try:
            self.give_up()
            task = self.begin(frame)
            # A cancelled caller leaves the task to the others. The task itself is cancelled only when sight ends.
            await asyncio.wait([task])
            if task.cancelled():
                raise NoView("the camera was switched off")
            return task.result()
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
            if self._waiting:
                self.give_up()

    def begin(self, frame: VideoFrame) -> asyncio.Task[T]:
        """Gives the task that makes the result; begins it where there is none. Raises EngineMissing."""
        if self._lane is None:
            raise EngineMissing(f"this profile has no {self._name}")
        key = id(frame.pixels)
        if key not in self._work:
            task = asyncio.create_task(self._run(self._lane, frame), name=f"sight: {self._name}")
            task.add_done_callback(lambda done: self._done(key, done))
            self._work[key] = (frame.pixels, task)
            for old in [old for old in self._work if old != key and old not in self._waiting][: len(self._work) - KEPT]:
                self._drop(old)
        self._work.move_to_end(key)
        return self._work[key][1]

    def give_up(self) -> None:
        """Cancels what nobody waits for."""
        for key in [key for key, (_, task) in self._work.items() if not task.done() and key not in self._waiting]:
            self._drop(key)

    async def close(self) -> None:
        """Cancels all work and waits for its tasks."""
        tasks = [task for _, task in self._work.values()]
        for key in list(self._work):
            self._drop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, lane: Lane[E], frame: VideoFrame) -> T:
        return await lane.call(lambda engine, stop: self._make(engine, frame, stop))

    def _drop(self, key: int) -> None:
        self._work.pop(key)[1].cancel()

    def _done(self, key: int, task: asyncio.Task[T]) -> None:
        # A failure is not remembered: the next question tries again. Reading ahead, nobody hears of it.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("%s failed: %s", self._name, error)
            if key in self._work and self._work[key][1] is task:
                del self._work[key]


class _Scaler:
    """Makes pictures smaller, on a lane: 20 ms for twelve megapixels would hold the loop up."""

    info = EngineInfo("scaler", "1")

    def open(self) -> None:
        """Imports OpenCV."""
        import cv2  # noqa: F401 -- its import takes 0.1 s, which belongs to this thread

    def close(self) -> None:
        """Nothing to free."""

    def scale(self, pixels: Pixels, max_side: int) -> Pixels:
        """Gives the picture with its longer side at ``max_side``, each pixel the mean of those it stands for."""
        import cv2

        height, width = pixels.shape[:2]
        scale = max_side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
