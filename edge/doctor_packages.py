"""What the Python environment has for the engines: packages, their native libraries, and what those can run on."""

from __future__ import annotations

import base64
import ctypes
import dataclasses
import hashlib
import mmap
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path, PurePath
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    mend: str = ""
    """What to do about it; empty where there is nothing to do."""
    needed: bool = True
    """Whether the profile needs it: what it does not need may be missing."""

    def as_json(self) -> dict[str, Any]:
        """The check as the object of its JSON line."""
        return {"check": self.name, **{key: value for key, value in dataclasses.asdict(self).items() if key != "name"}}


@dataclass(frozen=True, slots=True)
class Package:
    """What an engine needs from the Python environment."""

    names: tuple[str, ...]
    """The distributions that can carry it; the first is the one to install."""
    file: str = ""
    """A file that must lie in it, as a pattern over its path."""
    load: bool = False
    """Whether that file is a native library that may be loaded here."""


PACKAGES: dict[str, Package] = {
    "pymicro-wakeword": Package(("pymicro-wakeword",), "pymicro_wakeword/models/*.tflite"),
    "webrtc-aec3": Package(("pywebrtc-audio",)),
    "classical": Package(("opencv-python-headless", "opencv-python")),
    "fastestdet": Package(("onnxruntime", "onnxruntime-gpu")),
    "sam2-onnx": Package(("onnxruntime", "onnxruntime-gpu")),
    "sam2-torch": Package(("sam2",)),
    "silero": Package(("faster-whisper",), "faster_whisper/assets/silero_vad*.onnx"),
    "smart-turn": Package(("onnxruntime", "onnxruntime-gpu")),
    "pocketsphinx": Package(("pocketsphinx",), "pocketsphinx/model/en-us/en-us.lm.bin"),
    "faster-whisper": Package(("faster-whisper",)),
    "ctranslate2": Package(("ctranslate2",)),
    "llama-cpp": Package(("llama-cpp-python",), "llama_cpp/lib/libllama.so", load=True),
    "py3langid": Package(("py3langid",), "py3langid/data/model.npz.xz"),
    "rapidocr": Package(("rapidocr",), "rapidocr/models/*.onnx"),
    "opencv": Package(("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")),
    # Its library is GPL-3 and belongs in a process of its own: it is looked for here, not loaded.
    "espeak-ng": Package(("espeakng-loader",), "espeakng_loader/libespeak-ng.so"),
    "piper": Package(("piper-tts",)),
}
"""By the engine's name in the configuration."""


@dataclass(frozen=True, slots=True)
class CudaBuild:
    """How a package that was built for a GPU is told from one that was not, without loading either."""

    package: str
    library: str
    """The file that tells, as a pattern over its path."""
    mark: bytes
    """What stands in that file of such a build; empty where the file itself is the sign."""
    cost: str
    """What goes without."""
    mend: str


CUDA_BUILDS: dict[str, CudaBuild] = {
    "faster-whisper": CudaBuild(
        "ctranslate2",
        "ctranslate2*/*ctranslate2*.so*",
        b"libcublas",
        "speech is recognised by the processor",
        "build CTranslate2 with -DWITH_CUDA=ON -DWITH_CUDNN=ON: the index's wheel for aarch64 has no CUDA; see the README",
    ),
    "llama-cpp": CudaBuild(
        "llama-cpp-python",
        "llama_cpp/lib/libggml-cuda.so*",
        b"",
        "answers are written by the processor, in its memory",
        'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-deps --no-binary llama-cpp-python llama-cpp-python',
    ),
}
"""By the engine's name in the configuration; onnxruntime has a check of its own."""


PROGRAMS = {"apertium": ("apertium", "apertium apertium-eng-spa")}
"""Engines that are programs of the system: the program, and the Debian packages that bring it."""


ONNX_BUILDS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-rocm")


_ONNX_LIBRARY = "onnxruntime/capi/onnxruntime_pybind11_state*.so"


def onnx_runtime(cuda: bool, path: Sequence[str] | None = None, providers: Callable[[], list[str]] | None = None) -> Check:
    """Says which onnxruntime is really there: its builds install the same files, so the last one wins.

    The build whose record has the library's size (and, where two agree, its hash) is the one that is there.

    Args:
        cuda: Whether the configuration asks for a GPU.
        path: Where to look for packages; the interpreter's own path by default.
        providers: Asks the library what it can run on; imports it by default.
    """
    name = "onnxruntime"
    builds = installed(ONNX_BUILDS, path)
    if not builds:
        return Check(name, False, "not installed", "pip install onnxruntime")
    wanted = "onnxruntime-gpu" if cuda else "onnxruntime"
    mend = f"pip uninstall -y {' '.join(build.name for build in builds)} && pip install {wanted}=={builds[0].version}"
    listed = " and ".join(f"{build.name} {build.version}" for build in builds)
    there = [build.name for build in builds if _is_as_recorded(build, _ONNX_LIBRARY, hashed=len(builds) > 1)]
    if not there:
        return Check(name, False, f"{listed} recorded, but the library is neither's", mend)
    if len({build.version for build in builds}) > 1:
        return Check(name, False, f"{listed} share one folder; the library is that of {there[0]}", mend)
    try:
        able = (providers or _providers)()
    except (ImportError, OSError) as error:
        return Check(name, False, f"{there[0]} does not load: {error}", mend)
    short = ", ".join(provider.removesuffix("ExecutionProvider") for provider in able)
    lost = [build.name for build in builds if build.name != there[0]]
    detail = f"{there[0]} {builds[0].version} runs on {short}" + (f"; overwritten: {', '.join(lost)}" if lost else "")
    return Check(name, not cuda or "CUDAExecutionProvider" in able, detail, mend)


def cuda_build(engine: str, path: Sequence[str] | None = None) -> Check:
    """Says whether an engine's package can use a GPU at all, and what it costs where it cannot. Nothing is loaded."""
    build = CUDA_BUILDS[engine]
    found = installed((build.package,), path)
    name = f"cuda {build.package}"
    if not found:
        return Check(name, False, f"not installed: {build.cost}", build.mend, needed=False)
    files = (Path(str(file.locate())) for file in _matching(found[0], build.library))
    able = any(not build.mark or _holds(file, build.mark) for file in files if file.is_file())
    version = f"{build.package} {found[0].version}"
    detail = f"{version} is built with CUDA" if able else f"{version} is built without CUDA: {build.cost}"
    return Check(name, able, detail, build.mend, needed=False)


def _holds(file: Path, mark: bytes) -> bool:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(mark) >= 0


def engine_package(name: str, engine: str, path: Sequence[str] | None = None) -> Check:
    """Checks that an engine's package is installed, has its files, and that its native library loads where that is cheap."""
    if engine in PROGRAMS:
        return dataclasses.replace(program(engine), name=name)
    package = PACKAGES.get(engine)
    if package is None:
        return Check(name, False, f"no engine {engine!r}", "run nearsight config check")
    found = installed(package.names, path)
    if not found:
        return Check(name, False, f"{engine}: {package.names[0]} is not installed", f"pip install {package.names[0]}")
    first, detail = found[0], " and ".join(f"{each.name} {each.version}" for each in found)
    mend = f"pip install --force-reinstall --no-deps {first.name}=={first.version}"
    files = [Path(str(file.locate())) for file in _matching(first, package.file)] if package.file else []
    if package.file and not any(file.is_file() for file in files):
        return Check(name, False, f"{engine}: {detail} lacks {package.file}", mend)
    if package.load:
        try:
            ctypes.CDLL(str(files[0]))
        except OSError as error:
            return Check(name, False, f"{engine}: {detail} does not load: {error}", f"{mend} --no-binary {first.name}")
    return Check(name, True, f"{engine}: {detail}")


def program(engine: str, needed: bool = True) -> Check:
    """Checks an engine that is a program of the system."""
    command, debian = PROGRAMS[engine]
    found = shutil.which(command)
    return Check(f"program {command}", found is not None, found or "not installed", f"apt-get install {debian}", needed)


def installed(names: Sequence[str], path: Sequence[str] | None) -> list[Distribution]:
    """Gives the distributions that are there, one of each name; ``path`` is where to look, None for everywhere."""
    where = list(sys.path if path is None else path)
    return [found for name in names for found in list(distributions(name=name, path=where))[:1]]


def _matching(distribution: Distribution, pattern: str) -> Iterator[PackagePath]:
    return (file for file in distribution.files or () if PurePath(file).match(pattern))


def _is_as_recorded(distribution: Distribution, pattern: str, *, hashed: bool) -> bool:
    """Says whether a file is the one that this distribution installed: by its size, and by its hash where asked for."""
    for file in _matching(distribution, pattern):
        path = Path(str(file.locate()))
        if not path.is_file() or path.stat().st_size != file.size:
            continue
        if not hashed or file.hash is None:
            return True
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, file.hash.mode).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value:
            return True
    return False


def _providers() -> list[str]:
    import onnxruntime

    return onnxruntime.get_available_providers()
