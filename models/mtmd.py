"""Pictures on their way into a llama.cpp context, by the C interface of its library libmtmd.

A projector cuts a picture into parts: tiles that become embeddings, and between them tokens of the model's own (row breaks,
"a picture begins here"). Embeddings are kept by their picture, so that it is encoded once however often it is asked about.
The library's own text path, with its media marker, is not used: no text can open a place for a picture.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineFailed, EngineMissing, ModelCorrupt
from edge.ports import Stop
from edge.values import Pixels
from models.llama_core import Core, CoreSettings, check_magic, listening, logger, reason

STEP = 64
"""Embeddings evaluated between two looks at the stop flag; on a GPU, where a batch costs its launch, ``GPU_STEP``."""
GPU_STEP = 256
_NODES = 64
"""Nodes of the encoder's graph between two looks: a layer has about thirty."""
_IMAGE = 1


@dataclass(slots=True)
class Part:
    """A run of the model's tokens, or a tile of the picture."""

    size: int
    """Cells that it takes in the context."""
    span: int
    """Positions that it takes; fewer than cells where positions have two dimensions."""
    tokens: tuple[int, ...] = ()
    chunk: Any = None
    embedding: NDArray[np.float32] | None = None
    """Shape (size, width of the model's input), once the tile was encoded."""


@dataclass(slots=True)
class Picture:
    """A picture as the projector cut it; its parts may have been encoded or not."""

    parts: list[Part] = field(default_factory=list)
    chunks: Any = None

    @property
    def encoded(self) -> bool:
        """Whether every tile has its embedding."""
        return all(part.embedding is not None for part in self.parts if part.chunk is not None)


class Projector:
    """The part of a vision-language model that turns pictures into embeddings. It lives and dies with its ``Core``."""

    def __init__(self, core: Core, path: Path, settings: CoreSettings, picture_tokens: int) -> None:
        """Loads. A picture gets ``picture_tokens`` at most, as far as the model leaves a choice.

        Raises:
            ModelMissing, ModelCorrupt: There is no such file; it is no projector, or another model's.
            EngineMissing: llama-cpp-python is too old.
            EngineFailed: libmtmd refuses it; the text has its reason.
        """
        check_magic(path)
        try:
            from llama_cpp import mtmd_cpp as lib
        except ImportError as error:
            raise EngineMissing("llama-cpp-python has no libmtmd: run pip install 'llama-cpp-python>=0.3.36'") from error
        if not hasattr(lib, "mtmd_tokenize_from_parts"):
            raise EngineMissing("llama-cpp-python is too old for pictures: run pip install 'llama-cpp-python>=0.3.36'")
        self._lib: Any = lib
        self._core = core
        self._batch = settings.batch
        self._step = GPU_STEP if settings.gpu_layers else STEP
        self._stop = Stop()
        self._nodes = 0
        # The library keeps pointers to both.
        self._observe = core.lib.ggml_backend_sched_eval_callback(self._may_go_on)
        self._decoded = lib.mtmd_helper_post_decode_callback(lambda _batch, _data: int(bool(self._stop)))
        lib.mtmd_log_set(logger(), ctypes.c_void_p(0))
        lib.mtmd_helper_log_set(logger(), ctypes.c_void_p(0))
        self._context = self._load(path, settings, picture_tokens)
        core.stack.callback(lib.mtmd_free, self._context)
        if not lib.mtmd_support_vision(self._context):
            raise ModelCorrupt(f"{path.name} is no projector for pictures")
        self._width = core.lib.llama_model_n_embd_inp(core.model)

    def _load(self, path: Path, settings: CoreSettings, picture_tokens: int) -> Any:
        wanted = self._lib.mtmd_context_params_default()
        wanted.use_gpu = settings.gpu_layers != 0
        wanted.print_timings = False
        wanted.n_threads = settings.threads
        wanted.image_min_tokens, wanted.image_max_tokens = 1, picture_tokens
        # A first encoding at load is left to the first ``prepare``: with several engines to load, it delays them all.
        wanted.warmup = False
        wanted.cb_eval = self._observe
        with listening() as complaints:
            context = self._lib.mtmd_init_from_file(os.fsencode(path), self._core.model, wanted)
        if context:
            return context
        said = " ".join(complaints)
        if "mismatch" in said:
            raise ModelCorrupt(f"{path.name} belongs to another model: {reason(complaints)}")
        if "alloc" in said:
            raise EngineFailed(f"{path.name} cannot be loaded: {reason(complaints)}")
        raise ModelCorrupt(f"{path.name} is no projector that llama.cpp knows: {reason(complaints)}")

    def _may_go_on(self, _node: Any, ask: bool, _data: Any) -> bool:
        # Asked of each node whether its end is of interest, and called again at the ends of those that were. Interest in all
        # of them would evaluate the graph node by node.
        if not ask:
            return not self._stop
        self._nodes += 1
        return self._nodes % _NODES == 0 or bool(self._stop)

    def cut(self, pixels: Pixels) -> Picture:
        """Cuts a picture into parts, none of them encoded yet. Give it back with ``release``. Raises EngineFailed."""
        lib = self._lib
        rgb = np.ascontiguousarray(pixels[..., ::-1])
        height, width = rgb.shape[:2]
        bitmap = lib.mtmd_bitmap_init(width, height, rgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
        chunks = lib.mtmd_input_chunks_init()
        part = lib.mtmd_input_part()
        part.bitmap = bitmap
        parts = (ctypes.POINTER(lib.mtmd_input_part) * 1)(ctypes.pointer(part))
        with listening() as complaints:
            status = lib.mtmd_tokenize_from_parts(self._context, chunks, parts, 1, False)
        lib.mtmd_bitmap_free(bitmap)
        if status != 0:
            lib.mtmd_input_chunks_free(chunks)
            raise EngineFailed(f"a picture of {width}x{height} cannot be cut: {reason(complaints)}")
        numbers = range(lib.mtmd_input_chunks_size(chunks))
        picture = Picture([self._part(lib.mtmd_input_chunks_get(chunks, at)) for at in numbers], chunks)
        if any(min(part.tokens, default=0) < 0 for part in picture.parts):
            self.release(picture)
            raise ModelCorrupt("the text model lacks tokens that the projector puts around pictures: two different models")
        return picture

    def _part(self, chunk: Any) -> Part:
        lib = self._lib
        size, span = lib.mtmd_input_chunk_get_n_tokens(chunk), lib.mtmd_input_chunk_get_n_pos(chunk)
        if lib.mtmd_input_chunk_get_type(chunk) == _IMAGE:
            return Part(size, span, chunk=chunk)
        number = ctypes.c_size_t()
        tokens = lib.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(number))
        return Part(size, span, tuple(tokens[: number.value]))

    def release(self, picture: Picture) -> None:
        """Frees a picture, which must not be used again."""
        self._lib.mtmd_input_chunks_free(picture.chunks)
        picture.parts, picture.chunks = [], None

    def encode(self, picture: Picture, stop: Stop) -> bool:
        """Encodes what is not encoded yet; False once ``stop`` is set, and then the tiles that are done stay done."""
        self._stop, self._nodes = stop, 0
        for part in picture.parts:
            if part.chunk is None or part.embedding is not None:
                continue
            if stop:
                return False
            with listening() as complaints:
                status = self._lib.mtmd_encode_chunk(self._context, part.chunk)
            if stop:
                return False  # the graph may have been left half-way: what it gave is not read
            if status != 0:
                raise EngineFailed(f"a picture cannot be encoded: {reason(complaints)}")
            given = self._lib.mtmd_get_output_embd(self._context)
            part.embedding = np.array(np.ctypeslib.as_array(given, shape=(part.size, self._width)))
        return not stop

    def decode(self, part: Part, position: int, stop: Stop) -> bool:
        """Evaluates an encoded tile at a position; False once ``stop`` is set. Raises EngineFailed."""
        assert part.embedding is not None
        lib, step = self._lib, self._step
        if lib.mtmd_decode_use_non_causal(self._context, part.chunk):
            # Its embeddings see one another, so they are one batch; llama.cpp ends the process where that is too large.
            if part.size > self._batch:
                raise EngineFailed(f"a picture of {part.size} tokens does not fit a batch of {self._batch}")
            step = self._batch
        self._stop = stop
        embedding = part.embedding.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        after = self._core.lib.llama_pos()
        context, core = self._context, self._core.context
        with listening() as complaints:
            status = lib.mtmd_helper_decode_image_chunk(
                context, core, part.chunk, embedding, position, 0, step, ctypes.byref(after), self._decoded, None
            )
        if stop:
            return False
        if status != 0:
            raise EngineFailed(f"a picture cannot be evaluated: {reason(complaints)}")
        return True
