"""llama.cpp's model and context, by the C interface that llama-cpp-python carries: what text and vision engines share.

Text of the world is never parsed for special tokens: a chat template is rendered around placeholders and cut there, the markup
is tokenised with its special tokens, the contents without. A sign that reads ``<|im_end|>`` stays a text of ten characters.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, ModelMissing
from edge.values import EngineInfo

log = logging.getLogger(__name__)

REPEAT_WINDOW = 32
REPEAT_PENALTY = 1.1
"""Divides the score of a token that the answer already holds. The prompt's tokens are not penalised: they are what a
grounded answer is made of."""
_LOG_ERROR = 4
_SEED = 0


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """How a model is loaded."""

    n_ctx: int
    batch: int
    """Tokens evaluated by one call."""
    threads: int
    gpu_layers: int = 0


def usual_threads(threads: int) -> int:
    """Gives ``threads``, or for 0 the machine's cores, four at most."""
    return threads or min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def engine_info(model: str, licence: str, details: dict[str, str]) -> EngineInfo:
    """Gives what ``doctor`` prints of an engine on llama.cpp."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("llama-cpp-python")
    except PackageNotFoundError:
        number = ""
    return EngineInfo("llama-cpp", number, model, licence, details)


def check_magic(path: Path) -> None:
    """Raises ModelMissing where there is no such file, ModelCorrupt where it is not GGUF."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        raise ModelMissing(f"{path.name} is not installed: run nearsight models list") from error
    except OSError as error:
        raise EngineFailed(f"{path}: {error.strerror or error}") from error
    if magic != b"GGUF":
        raise ModelCorrupt(f"{path}: not a GGUF file")


class _Complaints(threading.local):
    """The error lines of the calls that this thread makes of llama.cpp, whose log is one for the whole process."""

    def __init__(self) -> None:
        self.lines: list[str] = []


_complaints = _Complaints()


def _note(level: int, text: bytes, _: Any) -> None:
    line = text.decode("utf-8", "replace").strip().partition("\n")[0]
    if level == _LOG_ERROR and line:
        _complaints.lines.append(line)
        log.debug("llama.cpp: %s", line)


_logger: Any = None
"""llama.cpp keeps a pointer to it for ever, whichever engine is closed meanwhile."""


def logger() -> Any:
    """Gives the callback for llama.cpp's log and its libraries': errors tell why a load failed, nothing reaches the console."""
    global _logger
    if _logger is None:
        _logger = load_library().llama_log_callback(_note)
    return _logger


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Collects what llama.cpp complains of meanwhile, in this thread; see ``reason``."""
    _complaints.lines = []
    yield _complaints.lines


def reason(complaints: Sequence[str]) -> str:
    """Gives the first complaint, without the name of the function that made it: those that follow are its consequences."""
    line = complaints[0] if complaints else "llama.cpp gives no reason"
    return line.partition(": ")[2] or line


def load_library() -> Any:
    """Loads llama.cpp. Raises EngineMissing."""
    # libgomp's threads spin at each of the ~1,000 barriers of a decode. With another process on the cores that made
    # one token take 0.1-0.4 s instead of 0.02 s here; asleep they cost nothing measurable. Read once, when libgomp loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        from llama_cpp import llama_cpp as lib
    except ImportError as error:
        raise EngineMissing("llama-cpp-python is not installed: run pip install llama-cpp-python") from error
    return lib


class Core:
    """A model and one context of it, and the few calls that are made of them."""

    def __init__(self, path: Path, settings: CoreSettings) -> None:
        """Loads. Raises EngineMissing, and EngineFailed with llama.cpp's reason."""
        self.lib = lib = load_library()
        self.stack = contextlib.ExitStack()
        """What is freed with it, the latest first."""
        lib.llama_log_set(logger(), ctypes.c_void_p(0))
        try:
            self._load(path, settings)
        except BaseException:
            self.stack.close()
            raise

    def _load(self, path: Path, settings: CoreSettings) -> None:
        lib = self.lib
        shape = lib.llama_model_default_params()
        shape.n_gpu_layers = settings.gpu_layers
        with listening() as complaints:
            self.model = lib.llama_model_load_from_file(os.fsencode(path), shape)
            if not self.model:
                raise EngineFailed(f"{path.name} cannot be loaded: {reason(complaints)}")
            self.stack.callback(lib.llama_model_free, self.model)
            wanted = lib.llama_context_default_params()
            wanted.n_ctx = settings.n_ctx
            wanted.n_batch = wanted.n_ubatch = settings.batch
            wanted.n_threads = wanted.n_threads_batch = settings.threads
            self.context = lib.llama_init_from_model(self.model, wanted)
            if not self.context:
                raise EngineFailed(f"{path.name}: no context of {settings.n_ctx} tokens: {reason(complaints)}")
            self.stack.callback(lib.llama_free, self.context)
        self._memory = lib.llama_get_memory(self.context)
        self.vocabulary = lib.llama_model_get_vocab(self.model)
        self.size = lib.llama_vocab_n_tokens(self.vocabulary)

    def close(self) -> None:
        """Frees everything."""
        self.stack.close()

    def template(self) -> bytes:
        """Gives the chat template of the file, or ChatML where it has none."""
        return self.lib.llama_model_chat_template(self.model, None) or b"chatml"

    def render(self, template: bytes, roles: Sequence[str]) -> list[str]:
        """Gives the markup before, between and after the contents of messages of these roles, the answer's opening included."""
        lib = self.lib
        marks = [f"\u27e8{at}\u27e9" for at in range(len(roles))]
        pairs = [(role.encode(), mark.encode()) for role, mark in zip(roles, marks, strict=True)]
        chat = (lib.llama_chat_message * len(roles))(*(lib.llama_chat_message(role, mark) for role, mark in pairs))
        room = 4096 + 256 * len(roles)
        buffer = ctypes.create_string_buffer(room)
        size = lib.llama_chat_apply_template(template, chat, len(roles), True, buffer, room)
        if not 0 < size <= room:
            raise EngineFailed("the model's chat template is not one that llama.cpp knows")
        text = buffer.raw[:size].decode("utf-8")
        markup = []
        for mark in marks:
            before, _, text = text.partition(mark)
            markup.append(before)
        return [*markup, text]

    def opening(self) -> list[int]:
        """Gives the token that every prompt begins with, where the model wants one."""
        wants = self.lib.llama_vocab_get_add_bos(self.vocabulary)
        return [self.lib.llama_vocab_bos(self.vocabulary)] if wants else []

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Gives the tokens; only with ``special`` do ``<|im_start|>`` and its like become one."""
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8
        out = (self.lib.llama_token * room)()
        number = self.lib.llama_tokenize(self.vocabulary, raw, len(raw), out, room, False, special)
        if number < 0:
            raise EngineFailed(f"a text of {len(raw)} bytes makes {-number} tokens")
        return list(out[:number])

    def piece(self, token: int) -> bytes:
        """Gives the bytes of a token, which may be part of a character; none for a special one."""
        buffer = ctypes.create_string_buffer(256)
        size = self.lib.llama_token_to_piece(self.vocabulary, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(size, 0)]

    def ends(self, token: int) -> bool:
        """Says whether a token ends the answer."""
        return bool(self.lib.llama_vocab_is_eog(self.vocabulary, token))

    def decode(self, tokens: Sequence[int], position: int | None = None) -> None:
        """Evaluates tokens at the end of the cache; the scores after the last one can then be read.

        ``position`` is that of the first; without it they follow the last one, which is wrong behind a picture whose positions
        have two dimensions.
        """
        lib, number = self.lib, len(tokens)
        kept = (lib.llama_token * number)(*tokens)
        batch = lib.llama_batch_get_one(kept, number)
        if position is not None:
            batch.pos = (lib.llama_pos * number)(*range(position, position + number))
        with listening() as complaints:
            status = lib.llama_decode(self.context, batch)
        if status != 0:
            raise EngineFailed(f"llama_decode gives {status}: {reason(complaints)}")

    def scores(self) -> NDArray[np.float32]:
        """Gives the scores after the last token, shape (vocabulary,): a copy."""
        pointer = self.lib.llama_get_logits_ith(self.context, -1)
        return np.array(np.ctypeslib.as_array(pointer, shape=(self.size,)))

    def truncate(self, position: int) -> None:
        """Drops everything in the cache from a position on. Raises EngineFailed where this model's cache cannot be cut."""
        if not self.lib.llama_memory_seq_rm(self._memory, 0, position, -1):
            raise EngineFailed("this model's cache cannot be cut")


class Sampler:
    """Chooses the next token: the best at temperature 0, else one drawn from the softmax, with a fixed seed."""

    def __init__(self, temperature: float, *, penalty: float = REPEAT_PENALTY) -> None:
        self._temperature = temperature
        self._penalty = penalty
        self._random = np.random.default_rng(_SEED)

    def choose(self, scores: NDArray[np.float32], answer: Sequence[int]) -> int:
        """Takes the scores, shape (vocabulary,), which it may change."""
        seen = list(set(answer[-REPEAT_WINDOW:]))
        if seen:
            old = scores[seen]
            scores[seen] = np.where(old > 0, old / self._penalty, old * self._penalty)
        if self._temperature <= 0:
            return int(scores.argmax())
        weights = np.exp((scores - scores.max()) / self._temperature, dtype=np.float64)
        return int(self._random.choice(len(weights), p=weights / weights.sum()))


class Cutter:
    """Ends a text before the first of the stop strings, which may come in pieces."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.done = False

    def add(self, text: str) -> str:
        """Takes more text; gives what can no longer be part of a stop string."""
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.done = True
            safe = self._held[: min(found)]
            self._held = ""
            return safe
        hold = max(
            (size for stop in self._stops for size in range(1, len(stop)) if self._held.endswith(stop[:size])), default=0
        )
        safe = self._held[: len(self._held) - hold]
        self._held = self._held[len(self._held) - hold :]
        return safe

    def rest(self) -> str:
        """Gives what was held back, once no more comes."""
        held, self._held = self._held, ""
        return held
