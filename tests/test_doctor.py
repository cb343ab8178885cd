"""The doctor: fake installations on disk instead of mocks, and this machine, which has what the tests need."""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from pathlib import Path

import pytest

from edge.config import Config, EngineConfig, LanguageModelConfig, RecogniserConfig, TranslatorConfig
from edge.doctor import ModelStatus, disk, examine, gpu, model, server
from edge.doctor_packages import PACKAGES, Check, cuda_build, engine_package, onnx_runtime, program

WHISPER, LLAMA = "ctranslate2.libs/libctranslate2-a7.so.4", "llama_cpp/lib/libggml-cuda.so"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
LIBRARY = "onnxruntime/capi/onnxruntime_pybind11_state.so"


class Site:
    """A folder that packages are installed into, the way pip does: the files, and a record of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def path(self) -> list[str]:
        return [str(self.folder)]

    def install(self, name: str, version: str, files: dict[str, bytes]) -> None:
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        rows = []
        for file, content in files.items():
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            rows.append(f"{file},sha256={digest},{len(content)}\n")
        (info / "RECORD").write_text("".join(rows), encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_one_onnxruntime_that_runs(site: Site) -> None:
    site.install("onnxruntime", "1.31.1", {LIBRARY: b"for any processor"})
    check = onnx_runtime(False, site.path, lambda: [CPU])
    assert check.ok and check.detail == "onnxruntime 1.31.1 runs on CPU"


def test_no_onnxruntime(site: Site) -> None:
    check = onnx_runtime(False, site.path, lambda: [])
    assert not check.ok and check.mend == "pip install onnxruntime"


@pytest.mark.parametrize("same_size", [False, True])
@pytest.mark.parametrize(("last", "able", "ok"), [("onnxruntime-gpu", [CUDA, CPU], True), ("onnxruntime", [CPU], False)])
def test_the_last_of_two_builds_wins(site: Site, last: str, able: list[str], ok: bool, same_size: bool) -> None:
    contents = {"onnxruntime": b"cpu", "onnxruntime-gpu": b"gpu" if same_size else b"with kernels"}
    for name in sorted(contents, key=lambda name: name == last):
        site.install(name, "1.31.1", {LIBRARY: contents[name]})
    check = onnx_runtime(True, site.path, lambda: able)
    assert check.ok is ok
    lost = next(name for name in contents if name != last)
    assert check.detail.startswith(f"{last} 1.31.1 runs on ") and check.detail.endswith(f"; overwritten: {lost}")
    assert check.mend == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu==1.31.1"


def test_two_versions_in_one_folder_are_a_mixture(site: Site) -> None:
    site.install("onnxruntime", "1.31.1", {LIBRARY: b"cpu"})
    site.install("onnxruntime-gpu", "1.30.0", {LIBRARY: b"with kernels"})
    check = onnx_runtime(False, site.path, lambda: [CPU])
    assert not check.ok and "the library is that of onnxruntime-gpu" in check.detail


def test_a_library_of_neither_build(site: Site) -> None:
    site.install("onnxruntime", "1.31.1", {LIBRARY: b"cpu"})
    (site.folder / LIBRARY).write_bytes(b"half a libr")
    assert not onnx_runtime(False, site.path, lambda: [CPU]).ok


def test_a_library_that_does_not_load(site: Site) -> None:
    def fails() -> list[str]:
        raise ImportError("GLIBC_2.99 not found")

    site.install("onnxruntime", "1.31.1", {LIBRARY: b"cpu"})
    check = onnx_runtime(False, site.path, fails)
    assert not check.ok and "GLIBC_2.99" in check.detail and check.mend


def test_an_engine_whose_package_is_not_installed(site: Site) -> None:
    check = engine_package("engine wake", "pymicro-wakeword", site.path)
    assert check == Check(
        "engine wake", False, "pymicro-wakeword: pymicro-wakeword is not installed", "pip install pymicro-wakeword"
    )


def test_an_engine_that_nobody_knows() -> None:
    assert not engine_package("engine wake", "ears of bats").ok


def test_a_package_without_its_model(site: Site) -> None:
    site.install("faster-whisper", "1.2.1", {"faster_whisper/__init__.py": b""})
    check = engine_package("engine voice_activity", "silero", site.path)
    assert not check.ok and "lacks" in check.detail and "--force-reinstall" in check.mend


def test_a_native_library_that_does_not_load(site: Site) -> None:
    site.install("llama-cpp-python", "0.3.36", {"llama_cpp/lib/libllama.so": b"not an ELF file"})
    check = engine_package("engine language_model", "llama-cpp", site.path)
    assert not check.ok and "does not load" in check.detail and "--no-binary llama-cpp-python" in check.mend


@pytest.mark.parametrize("engine", [name for name in PACKAGES if name != "piper"])
def test_every_engine_of_the_bundled_profile_is_found_here(engine: str) -> None:
    assert engine_package("engine", engine).ok


@pytest.mark.parametrize(("state", "ok"), [("installed", True), ("added", True), ("missing", False), ("corrupt", False)])
def test_a_model(state: str, ok: bool) -> None:
    check = model(ModelStatus("smollm2", state, 98.4))
    assert check.ok is ok and check.mend == "nearsight models pull smollm2"


def test_a_cache_that_is_not_yet_made(tmp_path: Path) -> None:
    assert disk(tmp_path / "not" / "yet" / "made").detail == f"{disk(tmp_path).detail}/not/yet/made"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole search path for programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(0o755)


def test_a_program(programs: Path) -> None:
    missing = program("apertium", needed=False)
    assert not missing.ok and not missing.needed and missing.mend.startswith("apt-get install apertium")
    script(programs / "apertium", "")
    assert program("apertium").ok


@pytest.mark.skipif(Path("/etc/nv_tegra_release").exists(), reason="A JETSON: its own release file is asked first")
def test_a_graphics_card(programs: Path) -> None:
    assert gpu(False) == Check("gpu", False, "none found", "install NVIDIA's driver, or use device = cpu", needed=False)
    script(programs / "nvidia-smi", "echo 'NVIDIA GeForce RTX 4090, 24564 MiB, 570.86'")
    assert gpu(True).ok and "RTX 4090" in gpu(True).detail
    script(programs / "nvidia-smi", "exit 9")
    assert not gpu(True).ok and gpu(True).needed


def test_a_whole_examination_names_what_the_configuration_needs(tmp_path: Path) -> None:
    config = Config(
        language_model=LanguageModelConfig(engine="llama-cpp", device="cuda"), translator=TranslatorConfig(engine="apertium")
    )
    began = time.perf_counter()
    checks = {check.name: check for check in examine(config, tmp_path, [ModelStatus("smollm2", "missing", 98.4)], "")}
    assert time.perf_counter() - began < 10  # two seconds on a quiet machine
    assert {
        "python",
        "cpu",
        "memory",
        "disk",
        "gpu",
        "onnxruntime",
        "engine language_model",
        "engine translator",
    } <= checks.keys()
    assert "engine wake" not in checks
    assert checks["gpu"].needed and checks["program apertium"].needed and not checks["model smollm2"].ok
    assert checks["python"].as_json().keys() == {"check", "ok", "detail", "mend", "needed"}


def test_packages_that_know_no_gpu_are_told_with_what_that_costs(site: Site) -> None:
    site.install("ctranslate2", "4.8.5", {WHISPER: b"\x7fELF only a processor"})
    site.install("llama-cpp-python", "0.3.36", {"llama_cpp/lib/libllama.so": b"\x7fELF"})
    whisper, llama = cuda_build("faster-whisper", site.path), cuda_build("llama-cpp", site.path)
    assert not whisper.ok and not whisper.needed
    assert whisper.detail == "ctranslate2 4.8.5 is built without CUDA: speech is recognised by the processor"
    assert "WITH_CUDA=ON" in whisper.mend and "GGML_CUDA=on" in llama.mend
    assert not llama.ok and "answers are written by the processor" in llama.detail


def test_packages_that_know_one_are_told_too(site: Site) -> None:
    site.install("ctranslate2", "4.8.5", {WHISPER: b"\x7fELF..libcublas.so.12.."})
    site.install("llama-cpp-python", "0.3.36", {LLAMA: b"\x7fELF"})
    assert [cuda_build(name, site.path).ok for name in ("faster-whisper", "llama-cpp")] == [True, True]


def test_what_is_not_installed_knows_none(site: Site) -> None:
    assert cuda_build("llama-cpp", site.path).detail.startswith("not installed: answers")


def test_only_a_profile_that_wants_a_gpu_hears_of_it() -> None:
    def checked(config: Config) -> set[str]:
        return {check.name for check in examine(config, Path.cwd(), [], "opus")}

    whisper = RecogniserConfig(engine="faster-whisper", device="auto")
    assert "cuda ctranslate2" in checked(Config(recogniser=whisper))
    assert "cuda llama-cpp-python" in checked(Config(language_model=LanguageModelConfig(engine="llama-cpp", gpu_layers=9)))
    assert not any(name.startswith("cuda") for name in checked(Config()))


def test_a_server_is_probed_and_asked_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        there = server("engine recogniser", EngineConfig(engine="wyoming", url=f"tcp://127.0.0.1:{port}"))
        assert there.ok and there.detail == f"wyoming at 127.0.0.1:{port} answers"
    gone = server("engine recogniser", EngineConfig(engine="openai", url=f"http://me:secret@127.0.0.1:{port}/v1"))
    assert not gone.ok and "refused" in gone.detail and "secret" not in gone.detail
    assert gone.mend == "start it, or mend recogniser.url; until then the profile bundled takes over"


def test_a_server_needs_its_package(site: Site) -> None:
    check = server("engine voice", EngineConfig(engine="wyoming", url="tcp://127.0.0.1:1"), site.path)
    assert not check.ok and check.mend == "pip install wyoming"
