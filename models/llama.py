"""Language models in GGUF on llama.cpp, by the C interface that llama-cpp-python carries.

Its C interface, not its ``Llama`` class, because three things matter here that the class does not give. Prompts are evaluated
in chunks with the stop flag looked at in between (the class evaluates a prompt in one go, and an interrupted wearer waits).
``prefill`` and ``generate`` share their tokens. And text of the world is never parsed for special tokens (``llama_core``).

The cache of keys and values keeps the prompt of the last call; the next one evaluates only what differs. Chunks begin at
fixed positions (multiples of ``CHUNK``), and a chunk is reused whole or not at all, so that the same prompt gives the same
bits whatever was asked before and wherever a prefill was cut: sums of floats depend on how a batch is cut. The price is at
most ``CHUNK - 1`` tokens evaluated again; the gain is that a replay says what the recording said.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.errors import EngineFailed
from edge.ports import Stop
from edge.values import EngineInfo, Prompt
from models.llama_core import Core, CoreSettings, Cutter, Sampler, check_magic, engine_info, usual_threads

CHUNK = 16
"""Tokens evaluated between two looks at the stop flag: about 0.1 s on two busy cores with 135 M parameters. Chunks of 32 are
no faster there and double the wait."""


class LlamaCpp:
    """A language model from a GGUF file.

    One context, one caller at a time: its lane. Given twice the same prompt it gives twice the same answer, at any
    temperature, on the same machine with the same number of threads.
    """

    def __init__(self, path: Path, *, n_ctx: int = 2048, threads: int = 0, gpu_layers: int = 0, licence: str = "") -> None:
        """Takes the settings only; ``threads`` 0 takes the machine's cores, four at most."""
        self._path = path
        self._n_ctx = n_ctx
        self._threads = usual_threads(threads)
        self._gpu_layers = gpu_layers
        self._licence = licence
        self._core: Core | None = None
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
        check_magic(self._path)
        self._core = Core(self._path, CoreSettings(self._n_ctx, CHUNK, self._threads, self._gpu_layers))
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
        details = {"n_ctx": str(self._n_ctx), "threads": str(self._threads), "gpu_layers": str(self._gpu_layers)}
        return engine_info(self._path.name, self._licence, details)

    def count(self, text: str) -> int:
        """Gives the number of tokens in ``text``."""
        return len(self._open().tokenize(text, special=False))

    def prefill(self, prompt: Prompt, stop: Stop) -> None:
        """Reads the prompt into the cache, or as much of it as ``stop`` lets through."""
        self._evaluate(self._encode(prompt), stop)

    def generate(self, prompt: Prompt, stop: Stop) -> Iterator[str]:
        """Gives pieces of text as they come, at most ``prompt.max_tokens`` tokens; ends early once ``stop`` is set.

        Where the prompt's last message is the assistant's, they go on from it; blanks at its end are not counted as written.
        Raises EngineFailed when the prompt leaves no room for an answer.
        """
        core = self._open()
        tokens = self._encode(prompt)
        if not self._evaluate(tokens, stop):
            return
        text = codecs.getincrementaldecoder("utf-8")("replace")
        cutter = Cutter(prompt.stop)
        sampler = Sampler(prompt.temperature)
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

    def _open(self) -> Core:
        if self._core is None:
            raise EngineFailed("the language model is not open")
        return self._core

    def _encode(self, prompt: Prompt) -> list[int]:
        """Gives the prompt's tokens: the template's markup with its special tokens, the contents without.

        A last message of the assistant is the beginning of the answer.
        """
        core = self._open()
        # The template is rendered around placeholders and cut there, so that it cannot be spoken by what it carries.
        contents = [message.text.strip() for message in prompt.messages]
        begun = contents.pop() if prompt.messages and prompt.messages[-1].role == "assistant" else ""
        roles = [message.role for message in prompt.messages[: len(contents)]]
        tokens = core.opening()
        for markup, content in zip(core.render(self._template, roles), [*contents, begun], strict=True):
            tokens += core.tokenize(markup, special=True) + core.tokenize(content, special=False)
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


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    number = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        number += 1
    return number
