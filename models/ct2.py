"""CTranslate2's model files and devices: what its engines share.

A model is a folder with ``model.bin`` and JSON or text files beside it. The header of ``model.bin`` (specification, revision,
then every variable with its name, shape and bytes) is walked before the library loads it: a file that was cut, or that belongs
to another architecture, is then one clear line that names it.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from edge.errors import DeviceMissing, EngineFailed, EngineMissing, ModelCorrupt, ModelMissing, OutOfMemory, UsageError
from edge.tables import nearest

TYPES: Final = ("int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32")
"""What CTranslate2 can compute in; which of them, the device tells."""
_OLDEST: Final = 2
"""The first binary version that names its specification."""
_ALIASED: Final = 3
"""The first with aliases."""
_SIZED: Final = 4
"""The first in which a variable tells its bytes; before it, how many numbers of how many bytes."""


@dataclass(frozen=True, slots=True)
class Header:
    """What ``model.bin`` says of itself."""

    specification: str
    """``WhisperSpec``, ``TransformerSpec`` ..."""
    variables: Mapping[str, tuple[int, ...]]
    """Shapes, by names such as ``encoder/layer_0/ffn/linear_0/weight``."""
    integers: Mapping[str, int]
    """Values of the scalars that are integers, such as ``decoder/num_heads``; those of other scalars mean nothing."""

    def layers(self, part: str) -> int:
        """Gives the number of layers of ``encoder`` or ``decoder``."""
        found = (re.match(rf"{part}/layer_(\d+)/", name) for name in self.variables)
        return len({match[1] for match in found if match})


def read_header(path: Path, *specifications: str) -> Header:
    """Reads the header of a ``model.bin`` that must be of one of these specifications; no weights are read.

    Raises ModelMissing, ModelCorrupt.
    """
    try:
        with path.open("rb") as file:
            return _walk(file, path, specifications)
    except FileNotFoundError as error:
        raise ModelMissing(f"{path} is not there: run nearsight models list") from error
    except OSError as error:
        raise EngineFailed(f"{path}: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError) as error:
        raise ModelCorrupt(f"{path}: not a whole CTranslate2 model") from error


def _walk(file: IO[bytes], path: Path, specifications: Sequence[str]) -> Header:
    size = os.fstat(file.fileno()).st_size
    version = _number(file, "I")
    if not 1 <= version < 256:
        raise ModelCorrupt(f"{path}: not a CTranslate2 model")
    found = _string(file)
    if found not in specifications:
        raise ModelCorrupt(f"{path}: a model of {found!r}, not of {specifications[0]}")
    if version < _OLDEST:
        raise ModelCorrupt(f"{path}: binary version {version} is too old: convert it again")
    _number(file, "I")  # the specification's revision, which the library checks
    variables: dict[str, tuple[int, ...]] = {}
    integers: dict[str, int] = {}
    for _ in range(_number(file, "I")):
        name = _string(file)
        variables[name] = tuple(_number(file, "I") for _ in range(_number(file, "B")))
        kind = _number(file, "B")  # its type, or the bytes of one number
        length = _number(file, "I") * (kind if version < _SIZED else 1)
        if variables[name]:
            file.seek(length, os.SEEK_CUR)
        else:
            integers[name] = int.from_bytes(file.read(min(length, 8)), "little", signed=True)
        if file.tell() > size:
            raise EOFError
    for _ in range(_number(file, "I") if version >= _ALIASED else 0):  # aliases, with the variables that they stand for
        alias, name = _string(file), _string(file)
        variables[alias] = variables.get(name, ())
        integers[alias] = integers.get(name, 0)
    return Header(found, variables, integers)


def _number(file: IO[bytes], kind: str) -> int:
    packed = file.read(struct.calcsize(kind))
    if len(packed) < struct.calcsize(kind):
        raise EOFError
    return int(struct.unpack("<" + kind, packed)[0])


def _string(file: IO[bytes]) -> str:
    size = _number(file, "H")
    text = file.read(size)
    if len(text) < size:
        raise EOFError
    return text.rstrip(b"\0").decode("utf-8")


@contextmanager
def failures(model: str) -> Iterator[None]:
    """Gives CTranslate2's exceptions the house's faces. Raises OutOfMemory, DeviceMissing, EngineFailed."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"{model}: the memory is full") from error
    except (RuntimeError, ValueError) as error:
        text = str(error).partition("\n")[0]
        lower = text.lower()
        if "out of memory" in lower or "cublas_status_alloc_failed" in lower or "bad_alloc" in lower:
            raise OutOfMemory(f"{model}: the GPU's memory is full") from error
        if "cuda" in lower or "cublas" in lower or "cudnn" in lower:
            raise DeviceMissing(f"{model}: no GPU that CTranslate2 can use: {text}") from error
        raise EngineFailed(f"{model}: {text}") from error


def read_json(path: Path) -> Any:
    """Gives what a JSON file holds. Raises ModelMissing, ModelCorrupt, EngineFailed."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise ModelCorrupt(f"{path}: not JSON: {error}") from error


def read_text(path: Path) -> str:
    """Gives a text file of a model. Raises ModelMissing, ModelCorrupt, EngineFailed."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ModelMissing(f"{path} is not there: run nearsight models list") from error
    except UnicodeDecodeError as error:
        raise ModelCorrupt(f"{path}: not UTF-8 text") from error
    except OSError as error:
        raise EngineFailed(f"{path}: {error.strerror or error}") from error


def choose(device: str, compute_type: str) -> tuple[str, str]:
    """Gives the device and the type to compute in.

    ``auto`` takes a GPU where there is one. Without a type it is ``float16`` on a GPU, ``int8`` on a processor, or the nearest
    that the hardware has. Raises UsageError, EngineMissing, DeviceMissing, EngineFailed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # see models/llama_core.py; read once, when the library loads
    try:
        import ctranslate2
    except ImportError as error:
        raise EngineMissing("CTranslate2 is not installed: run pip install ctranslate2") from error
    with failures("CTranslate2"):
        found = ctranslate2.get_cuda_device_count()
    if device == "auto":
        device = "cuda" if found else "cpu"
    if device == "cuda" and not found:
        raise DeviceMissing("no GPU that CTranslate2 can use: this package was built without CUDA, or there is no driver")
    with failures("CTranslate2"):
        known = ctranslate2.get_supported_compute_types(device)
    return device, _type(compute_type, device == "cuda", known)


def _type(wanted: str, on_gpu: bool, known: Collection[str]) -> str:
    """A profile's ``int8_float16`` may end on a processor, or a ``float16`` on a card that is too old for it."""
    if wanted and wanted not in TYPES:
        raise UsageError(f"CTranslate2 does not compute in {wanted!r}: {nearest(wanted, TYPES)}")
    wanted = wanted or ("float16" if on_gpu else "int8")
    smaller = ("int8", "int8_float32") if wanted.startswith("int8") else ()
    return next((each for each in (wanted, *smaller) if each in known), "float32")
