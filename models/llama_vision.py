"""Vision-language models in GGUF on llama.cpp: a text model and its projector, apart from the instance that answers text.

The C interface again, not llama-cpp-python's chat handlers, for what these do not give: they encode every picture anew with
every call, evaluate a prompt in one go, fetch pictures by address, and find the place of a picture by a marker that any text
may hold. Here only pixels come in. A picture is known by its content; the newest ``KEPT`` stay encoded, and the context keeps
what the next prompt begins with, so a second question about the same picture costs its own words. Text, tiles and pictures
are evaluated in pieces whose borders do not depend on what was asked before: the same question about the same picture gives
the same bits.

Llama 3.2 Vision (``mllama``) is not supported by llama.cpp, which closed the request as not planned.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import EngineFailed, ModelMissing, NotPicture
from edge.ports import Stop
from edge.values import EngineInfo, Message, Pixels, Prompt
from models.llama_core import Core, CoreSettings, Cutter, Sampler, check_magic, engine_info, usual_threads
from models.llama_grammar import Grammar
from models.mtmd import Part, Picture, Projector

log = logging.getLogger(__name__)

KEPT = 2
"""Pictures that stay encoded: the view, and the part of it that was meant."""
CHUNK = 32
"""Tokens of text evaluated between two looks at the stop flag."""
BATCH = 1024
"""Embeddings that llama.cpp can evaluate at once: a whole picture where its embeddings see one another (Gemma 3: 256)."""
SLIM = 16
"""Pictures longer than this many times their width are padded: scaled to a projector's grid, a side of them would vanish."""
GROWTH = 512_000_000
"""Bytes by which the calls may grow the process before the model is loaded anew: some builds of llama.cpp keep memory with
each new picture (llama.cpp#27725: 8 GB to 15 GB in a day on an Orin NX)."""
SETTLING = 4
"""Calls whose growth does not count: buffers are taken at first use."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is evaluated in one go."""

    key: object
    """Equal for pieces that leave the context equal."""
    part: Part


@dataclass(frozen=True, slots=True)
class _Held:
    """A piece that the context holds, and where it ends there."""

    key: object
    position: int


class LlamaVision:
    """A vision-language model from two GGUF files.

    One context, one caller at a time: its lane. An interrupted call keeps what it had finished.
    """

    def __init__(
        self,
        model: Path,
        projector: Path,
        *,
        n_ctx: int = 4096,
        threads: int = 0,
        gpu_layers: int = 0,
        max_side: int = 768,
        picture_tokens: int = 512,
        opening: Sequence[Message] = (),
        licence: str = "",
        max_growth: int = GROWTH,
    ) -> None:
        """Takes the settings only; ``threads`` 0 takes the machine's cores, four at most.

        Pictures with a side longer than ``max_side`` are scaled down, and one may cost ``picture_tokens``: that binds models
        like SmolVLM, which cut every picture, however small, into tiles. With ``opening``, what prompts begin with,
        ``prepare`` brings the picture behind it into the context.
        """
        self._model = model
        self._projector_path = projector
        self._settings = CoreSettings(n_ctx, min(BATCH, n_ctx), usual_threads(threads), gpu_layers)
        self._max_side = max_side
        self._picture_tokens = picture_tokens
        self._opening = tuple(opening)
        self._licence = licence
        self._core: Core | None = None
        self._projector: Projector | None = None
        self._pictures: dict[str, Picture] = {}
        """By the hash of their pixels, the one used last at the end."""
        self._held: list[_Held] = []
        self._max_growth = max_growth
        self._growth = 0
        self._calls = 0

    def open(self) -> None:
        """Loads both files.

        Raises:
            EngineMissing: llama-cpp-python is not installed, or too old.
            ModelMissing: There is no such file.
            ModelCorrupt: It is not a GGUF file, or the two do not belong together.
            EngineFailed: llama.cpp refuses it; the text has its reason.
        """
        if self._core is not None:
            return
        for path in (self._model, self._projector_path):
            _check_installed(path)
        try:
            core = Core(self._model, self._settings)
        except EngineFailed as error:
            if "mllama" not in error.text:
                raise
            raise EngineFailed(
                f"{self._model.name}: Llama 3.2 Vision is not supported by llama.cpp; use Qwen3-VL: "
                "nearsight models pull qwen3-vl-4b-instruct"
            ) from error
        try:
            self._projector = Projector(core, self._projector_path, self._settings, self._picture_tokens)
        except BaseException:
            core.close()
            raise
        self._core = core

    def close(self) -> None:
        """Frees both, and every picture."""
        self._forget_pictures(0)
        self._held.clear()
        self._growth = self._calls = 0
        if self._core is not None:
            self._core.close()
            self._core = self._projector = None

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        chosen = self._settings
        details = {"n_ctx": str(chosen.n_ctx), "threads": str(chosen.threads), "gpu_layers": str(chosen.gpu_layers)}
        details |= {"projector": self._projector_path.name, "max_side": str(self._max_side)}
        return engine_info(self._model.name, self._licence, details)

    def prepare(self, pixels: Pixels, stop: Stop) -> None:
        """Encodes a picture, and reads it into the context where the opening is known. Raises NotPicture, EngineFailed."""
        self._renew_if_grown()
        with self._counted():
            digest, picture = self._picture(pixels)
            if self._opened()[1].encode(picture, stop) and self._opening:
                head = self._text((*self._opening, Message("user", "")), [(digest, picture)], head=True)
                self._check_room(head)
                self._evaluate(head, stop, scored=False)

    def answer(
        self, pictures: Sequence[Pixels], prompt: Prompt, stop: Stop, schema: Mapping[str, Any] | None = None
    ) -> Iterator[str]:
        """Gives pieces of text as they come, at most ``prompt.max_tokens`` tokens; ends early once ``stop`` is set.

        The pictures come before the text of the last message. With a JSON schema, one value that obeys it.

        Raises:
            NotPicture: Not pixels of shape (height, width, 3).
            EngineFailed: No room for an answer, or a JSON value that did not end within ``prompt.max_tokens``.
        """
        self._renew_if_grown()
        with self._counted(), contextlib.ExitStack() as stack:
            core, projector = self._opened()
            shown = [self._picture(pixels) for pixels in pictures]
            pieces = self._text(prompt.messages, shown)
            room = self._check_room(pieces)
            grammar = stack.enter_context(contextlib.closing(Grammar(core, schema))) if schema is not None else None
            if all(projector.encode(picture, stop) for _, picture in shown) and self._evaluate(pieces, stop):
                yield from self._write(prompt, min(room, prompt.max_tokens), stop, grammar)

    def _write(self, prompt: Prompt, most: int, stop: Stop, grammar: Grammar | None) -> Iterator[str]:
        core = self._opened()[0]
        text = codecs.getincrementaldecoder("utf-8")("replace")
        cutter = Cutter(prompt.stop)
        sampler = Sampler(prompt.temperature)
        answer: list[int] = []
        position = self._held[-1].position
        for at in range(most):
            scores = core.scores()
            token = sampler.choose(scores, answer) if grammar is None else grammar.choose(scores)
            if core.ends(token):
                break
            answer.append(token)
            if piece := cutter.add(text.decode(core.piece(token))):
                yield piece
            if cutter.done or stop:
                return
            if at + 1 < most:
                core.decode([token], position + at)
            if stop:
                return
        else:
            if grammar is not None:
                raise EngineFailed(f"the JSON answer did not end within {most} tokens")
        if piece := cutter.add(text.decode(b"", final=True)) + cutter.rest():
            yield piece

    def _opened(self) -> tuple[Core, Projector]:
        if self._core is None or self._projector is None:
            raise EngineFailed("the vision model is not open")
        return self._core, self._projector

    def _picture(self, pixels: Pixels) -> tuple[str, Picture]:
        """Gives a picture by its content, cut but perhaps not encoded, and its hash."""
        projector = self._opened()[1]
        fitted = _fitted(pixels, self._max_side)
        digest = hashlib.blake2b(fitted.tobytes(), salt=str(fitted.shape[0]).encode()).hexdigest()
        picture = self._pictures.pop(digest, None)
        if picture is None:
            picture = projector.cut(fitted)
        self._pictures[digest] = picture
        return digest, picture

    def _forget_pictures(self, kept: int) -> None:
        while len(self._pictures) > kept:
            picture = self._pictures.pop(next(iter(self._pictures)))
            self._opened()[1].release(picture)

    def _text(self, messages: Sequence[Message], shown: Sequence[tuple[str, Picture]], *, head: bool = False) -> list[_Piece]:
        """Gives what is evaluated, in order; for ``head`` only up to the pictures, before the last user message's text."""
        core = self._opened()[0]
        roles = [message.role for message in messages]
        place = max((at for at, role in enumerate(roles) if role == "user"), default=-1)
        if place < 0:
            raise EngineFailed("a prompt for the vision model needs a user's message")
        pieces = _of_tokens(core.opening())
        for at, markup in enumerate(core.render(core.template(), roles)):
            pieces += _of_tokens(core.tokenize(markup, special=True))
            if at == place:
                pieces += [_Piece((digest, n), part) for digest, one in shown for n, part in enumerate(one.parts)]
                if head:
                    return pieces
            if at < len(roles):
                pieces += _of_tokens(core.tokenize(messages[at].text.strip(), special=False))
        return pieces

    def _check_room(self, pieces: Sequence[_Piece]) -> int:
        size, n_ctx = sum(piece.part.size for piece in pieces), self._settings.n_ctx
        if size >= n_ctx:
            raise EngineFailed(f"pictures and prompt of {size} tokens do not fit a context of {n_ctx}")
        return n_ctx - size

    def _evaluate(self, pieces: Sequence[_Piece], stop: Stop, *, scored: bool = True) -> bool:
        """Brings the context to hold exactly these pieces; False when ``stop`` was set before the end."""
        core, projector = self._opened()
        common = 0
        for held, piece in zip(self._held, pieces, strict=False):
            if held.key != piece.key:
                break
            common += 1
        # The last piece is evaluated again even where it is there: its scores are needed.
        self._cut(min(common, len(pieces) - 1) if scored else common)
        for piece in pieces[len(self._held) :]:
            position = self._held[-1].position if self._held else 0
            if piece.part.chunk is not None:
                if stop or not projector.decode(piece.part, position, stop):
                    return False
            for at in range(0, len(piece.part.tokens), CHUNK):
                if stop:
                    return False
                core.decode(piece.part.tokens[at : at + CHUNK], position + at)
            self._held.append(_Held(piece.key, position + piece.part.span))
        return not stop

    def _cut(self, keep: int) -> None:
        """Drops all but the first ``keep`` pieces, and whatever an answer or an interrupted call left behind them."""
        core = self._opened()[0]
        del self._held[keep:]
        try:
            core.truncate(self._held[-1].position if self._held else 0)
        except EngineFailed:
            # The state of a recurrent model (Qwen3.5) has no past to go back to.
            self._held.clear()
            core.truncate(0)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """One call: afterwards the oldest pictures are forgotten, and what it left of memory is counted."""
        before = _resident()
        try:
            yield
        finally:
            self._forget_pictures(KEPT)
            self._calls += 1
            if self._calls > SETTLING:
                self._growth += _resident() - before

    def _renew_if_grown(self) -> None:
        if self._growth > self._max_growth:
            log.warning("the vision model's calls have grown the process by %d MB: it is loaded anew", self._growth // 10**6)
            self.close()
            self.open()


def _resident() -> int:
    """Gives the resident memory of this process, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _check_installed(path: Path) -> None:
    try:
        check_magic(path)
    except ModelMissing as error:
        raise ModelMissing(f"{path.name} is not installed: run nearsight models pull {path.parent.name}") from error


def _of_tokens(tokens: Sequence[int]) -> list[_Piece]:
    kept = tuple(tokens)
    return [_Piece(kept, Part(len(kept), len(kept), kept))] if kept else []


def _fitted(pixels: Pixels, max_side: int) -> Pixels:
    """Gives a picture no larger than ``max_side``, and not slimmer than a projector can take."""
    import cv2

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise NotPicture("a picture for the vision model is an array of uint8, shape (height, width, 3)")
    height, width = pixels.shape[:2]
    down, right = max(0, -(-width // SLIM) - height), max(0, -(-height // SLIM) - width)
    if down or right:
        pixels = np.pad(pixels, ((0, down), (0, right), (0, 0)))
    scale = max_side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
