"""Language models in GGUF on llama.cpp, by the C interface that llama-cpp-python carries.

Its C interface, not its ``Llama`` class, because three things matter here that the class does not give. Prompts are evaluated
in chunks with the stop flag looked at in between (the class evaluates a prompt in one go, and an interrupted wearer waits).
``prefill`` and ``generate`` share their tokens. And text of the world is never parsed for special tokens: a sign that reads
``<|im_end|>`` stays a text of ten characters.

The cache of keys and values keeps the prompt of the last call; the next one evaluates only what differs. Chunks begin at
fixed positions (multiples of ``CHUNK``), and a chunk is reused whole or not at all, so that the same prompt gives the same
bits whatever was asked before and wherever a prefill was cut: sums of floats depend on how a batch is cut. The price is at
most ``CHUNK - 1`` tokens evaluated again; the gain is that a replay says what the recording said.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt, ModelMissing
from edge.ports import Stop
from edge.values import EngineInfo, Prompt

log = logging.getLogger(__name__)

CHUNK = 16
"""Tokens evaluated between two looks at the stop flag: about 0.1 s on two busy cores with 135 M parameters. Chunks of 32 are
no faster there and double the wait."""
REPEAT_WINDOW = 32
REPEAT_PENALTY = 1.1
"""Divides the score of a token that the answer already holds. The prompt's tokens are not penalised: they are what a
grounded answer is made of."""
_LOG_ERROR = 3
_SEED = 0


class LlamaCpp:
    """A language model from a GGUF file.

    One context, one caller at a time: its lane. Given twice the same prompt it gives twice the same answer, at any
    temperature, on the same machine with the same number of threads.
    """

    def __init__(self, path: Path, *, n_ctx: int = 2048, threads: int = 0, gpu_layers: int = 0, licence: str = "") -> None:
        """Takes the settings only; ``threads`` 0 takes the machine's cores, four at most."""
        self._path = path
        self._n_ctx = n_ctx
        self._threads = threads or min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        self._gpu_layers = gpu_layers
        self._licence = licence
        self._core: _Core | None = None
        self._template = b""
        self._tokens: list[int] = []
        """What the cache holds, in order."""
        self._settled = 0
        """How many of them were evaluated in chunks that begin at multiples of CHUNK."""
        self._scored = False
        """Whether the scores after the last token are still there to be read."""

    def open(self) -> None:
        """Loads the model.

        Raises:
            EngineMissing: llama-cpp-python is not installed.
            ModelMissing: There is no such file.
            ModelCorrupt: It is not a GGUF file.
            EngineFailed: llama.cpp refuses it; the text has its reason.
        """
        if self._core is not None:
            return
        _check_magic(self._path)
        self._core = _Core(self._path, self._n_ctx, self._threads, self._gpu_layers)
        self._template = self._core.template()
        self._tokens, self._settled, self._scored = [], 0, False

    def close(self) -> None:
        """Frees the model and its cache."""
        if self._core is not None:
            self._core.close()
            self._core = None

    @property
    def info(self) -> EngineInfo:
        """What ``doctor`` prints."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("llama-cpp-python")
        except PackageNotFoundError:
            number = ""
        details = {"n_ctx": str(self._n_ctx), "threads": str(self._threads), "gpu_layers": str(self._gpu_layers)}
        return EngineInfo("llama-cpp", number, self._path.name, self._licence, details)

    def count(self, text: str) -> int:
        """Gives the number of tokens in ``text``."""
        return len(self._open().tokenize(text, special=False))

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        """Reads the prompt into the cache, or as much of it as ``stop`` lets through."""
        self._evaluate(self._encode(prompt), stop)

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        """Gives pieces of text as they come, at most ``prompt.max_tokens`` tokens; ends early once ``stop`` is set.

        Raises EngineFailed when the prompt leaves no room for an answer.
        """
        core = self._open()
        tokens = self._encode(prompt)
        if not self._evaluate(tokens, stop):
            return
        text = codecs.getincrementaldecoder("utf-8")("replace")
        cutter = _Cutter(prompt.stop)
        sampler = _Sampler(prompt.temperature)
        answer: list[int] = []
        for _ in range(min(prompt.max_tokens, self._n_ctx - len(tokens))):
            token = sampler.choose(core.scores(), answer)
            if core.ends(token):
                break
            answer.append(token)
            if piece := cutter.add(text.decode(core.piece(token))):
                yield piece
            if cutter.done or stop:
                return
            if len(answer) < prompt.max_tokens and len(self._tokens) < self._n_ctx:
                self._decode([token])
            if stop:
                return
        if piece := cutter.add(text.decode(b"", final=True)) + cutter.rest():
            yield piece

    def _open(self) -> _Core:
        if self._core is None:
            raise EngineFailed("the language model is not open")
        return self._core

    def _encode(self, prompt: Prompt) -> list[int]:
        """Gives the prompt's tokens: the template's markup with its special tokens, the contents without."""
        core = self._open()
        # The template is rendered around placeholders and cut there, so that it cannot be spoken by what it carries.
        roles = [message.role for message in prompt.messages]
        tokens = core.opening()
        for at, markup in enumerate(core.render(self._template, roles)):
            tokens += core.tokenize(markup, special=True)
            if at < len(roles):
                tokens += core.tokenize(prompt.messages[at].text.strip(), special=False)
        if len(tokens) >= self._n_ctx:
            raise EngineFailed(f"a prompt of {len(tokens)} tokens does not fit a context of {self._n_ctx}")
        return tokens

    def _evaluate(self, tokens: list[int], stop: Stop) -> bool:
        """Brings the cache to hold exactly ``tokens``; False when ``stop`` was set before the end."""
        common = _common(self._tokens, tokens)
        if common == len(tokens) == len(self._tokens) and self._scored:
            return not stop
        # The last chunk is evaluated again even where it is all there: its scores are needed.
        keep = min(common, self._settled, len(tokens) - 1) // CHUNK * CHUNK
        self._truncate(keep)
        for at in range(keep, len(tokens), CHUNK):
            if stop:
                return False
            self._decode(tokens[at : at + CHUNK])
            self._settled = len(self._tokens)
        return not stop

    def _decode(self, tokens: Sequence[int]) -> None:
        self._scored = False
        before = len(self._tokens)
        try:
            self._open().decode(tokens)
        except EngineFailed:
            # What llama.cpp evaluated before it failed stays in its memory; ours and its must agree.
            self._truncate(before // CHUNK * CHUNK)
            raise
        self._tokens.extend(tokens)
        self._scored = True

    def _truncate(self, length: int) -> None:
        self._open().truncate(length)
        del self._tokens[length:]
        self._settled = min(self._settled, length)
        self._scored = False


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        raise ModelMissing(f"{path.name} is not installed: run nearsight models list") from error
    except OSError as error:
        raise EngineFailed(f"{path}: {error.strerror or error}") from error
    if magic != b"GGUF":
        raise ModelCorrupt(f"{path}: not a GGUF file")


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    number = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        number += 1
    return number


class _Sampler:
    """Chooses the next token: the best at temperature 0, else one drawn from the softmax, with a fixed seed."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._random = np.random.default_rng(_SEED)

    def choose(self, scores: NDArray[np.float32], answer: Sequence[int]) -> int:
        """Takes the scores, shape (vocabulary,), which it may change."""
        seen = list(set(answer[-REPEAT_WINDOW:]))
        if seen:
            old = scores[seen]
            scores[seen] = np.where(old > 0, old / REPEAT_PENALTY, old * REPEAT_PENALTY)
        if self._temperature <= 0:
            return int(scores.argmax())
        weights = np.exp((scores - scores.max()) / self._temperature, dtype=np.float64)
        return int(self._random.choice(len(weights), p=weights / weights.sum()))


class _Cutter:
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


class _Core:
    """llama.cpp's model and context, and the few calls that are made of them."""

    def __init__(self, path: Path, n_ctx: int, threads: int, gpu_layers: int) -> None:
        # libgomp's threads spin at each of the ~1,000 barriers of a decode. With another process on the cores that made
        # one token take 0.1-0.4 s instead of 0.02 s here; asleep they cost nothing measurable. Read once, when libgomp loads.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        try:
            from llama_cpp import llama_cpp as lib
        except ImportError as error:
            raise EngineMissing("llama-cpp-python is not installed: run pip install llama-cpp-python") from error
        self._lib = lib
        self._stack = contextlib.ExitStack()
        self._complaints: list[str] = []
        self._logger = lib.llama_log_callback(self._note)
        lib.llama_log_set(self._logger, ctypes.c_void_p(0))
        try:
            self._load(path, n_ctx, threads, gpu_layers)
        except BaseException:
            self._stack.close()
            raise

    def _load(self, path: Path, n_ctx: int, threads: int, gpu_layers: int) -> None:
        lib = self._lib
        shape = lib.llama_model_default_params()
        shape.n_gpu_layers = gpu_layers
        model = lib.llama_model_load_from_file(os.fsencode(path), shape)
        if not model:
            raise EngineFailed(f"{path.name} cannot be loaded: {self._complaint()}")
        self._stack.callback(lib.llama_model_free, model)
        settings = lib.llama_context_default_params()
        settings.n_ctx = n_ctx
        settings.n_batch = settings.n_ubatch = CHUNK
        settings.n_threads = settings.n_threads_batch = threads
        context = lib.llama_init_from_model(model, settings)
        if not context:
            raise EngineFailed(f"{path.name}: no context of {n_ctx} tokens: {self._complaint()}")
        self._stack.callback(lib.llama_free, context)
        self._model, self._context = model, context
        self._memory = lib.llama_get_memory(context)
        self._vocabulary = lib.llama_model_get_vocab(model)
        self._size = lib.llama_vocab_n_tokens(self._vocabulary)

    def close(self) -> None:
        self._stack.close()

    def _note(self, level: int, text: bytes, _: Any) -> None:
        # Called by llama.cpp for each line of its log. Errors tell why a load failed; the rest is for developers.
        line = text.decode("utf-8", "replace").strip()
        if level == _LOG_ERROR and line:
            self._complaints.append(line)
            log.debug("llama.cpp: %s", line)

    def _complaint(self) -> str:
        line = self._complaints[0] if self._complaints else "llama.cpp gives no reason"
        return line.partition(": ")[2] or line

    def template(self) -> bytes:
        """Gives the chat template of the file, or ChatML where it has none."""
        return self._lib.llama_model_chat_template(self._model, None) or b"chatml"

    def render(self, template: bytes, roles: Sequence[str]) -> list[str]:
        """Gives the markup before, between and after the contents of messages of these roles, the answer's opening included."""
        lib = self._lib
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
        wants = self._lib.llama_vocab_get_add_bos(self._vocabulary)
        return [self._lib.llama_vocab_bos(self._vocabulary)] if wants else []

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Gives the tokens; only with ``special`` do ``<|im_start|>`` and its like become one."""
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8
        out = (self._lib.llama_token * room)()
        number = self._lib.llama_tokenize(self._vocabulary, raw, len(raw), out, room, False, special)
        if number < 0:
            raise EngineFailed(f"a text of {len(raw)} bytes makes {-number} tokens")
        return list(out[:number])

    def piece(self, token: int) -> bytes:
        """Gives the bytes of a token, which may be part of a character; none for a special one."""
        buffer = ctypes.create_string_buffer(256)
        size = self._lib.llama_token_to_piece(self._vocabulary, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(size, 0)]

    def ends(self, token: int) -> bool:
        """Says whether a token ends the answer."""
        return self._lib.llama_vocab_is_eog(self._vocabulary, token)

    def decode(self, tokens: Sequence[int]) -> None:
        """Evaluates tokens at the end of the cache; the scores after the last one can then be read."""
        batch = (self._lib.llama_token * len(tokens))(*tokens)
        status = self._lib.llama_decode(self._context, self._lib.llama_batch_get_one(batch, len(tokens)))
        if status != 0:
            raise EngineFailed(f"llama_decode gives {status}: {self._complaint()}")

    def scores(self) -> NDArray[np.float32]:
        """Gives the scores after the last token, shape (vocabulary,): a copy."""
        pointer = self._lib.llama_get_logits_ith(self._context, -1)
        return np.array(np.ctypeslib.as_array(pointer, shape=(self._size,)))

    def truncate(self, length: int) -> None:
        """Drops all tokens of the cache from position ``length`` on."""
        if not self._lib.llama_memory_seq_rm(self._memory, 0, length, -1):
            raise EngineFailed("this model's cache cannot be cut")
