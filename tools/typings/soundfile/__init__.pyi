from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

class SoundFileError(Exception): ...
class SoundFileRuntimeError(SoundFileError, RuntimeError): ...
class LibsndfileError(SoundFileRuntimeError): ...

class SoundFile:
    samplerate: int
    channels: int
    frames: int
    def __init__(
        self,
        file: str | PathLike[str],
        mode: str = "r",
        samplerate: int | None = None,
        channels: int | None = None,
        subtype: str | None = None,
        endian: str | None = None,
        format: str | None = None,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...
    def write(self, data: NDArray[Any]) -> None: ...
    def read(self, frames: int = -1, dtype: Literal["int16"] = "int16") -> NDArray[np.int16]: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...

class _SoundFileInfo:
    samplerate: int
    channels: int
    frames: int
    duration: float

def info(file: str | PathLike[str]) -> _SoundFileInfo: ...
def read(
    file: str | PathLike[str], frames: int = -1, start: int = 0, *, dtype: str = "float64"
) -> tuple[NDArray[Any], int]: ...
def write(
    file: str | PathLike[str], data: NDArray[Any], samplerate: int, subtype: str | None = None, format: str | None = None
) -> None: ...
