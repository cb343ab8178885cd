"""Which profile a machine gets, what its models take, and what steps in when that is too much."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Config, EngineConfig, LanguageModelConfig, RecogniserConfig, VisionConfig, parse
from models.budget import RUNTIME_MB, budget, degrade, overdrawn
from models.catalog import Catalogue
from models.machine import Machine, _largest, _memory, this_machine
from models.profiles import choose, load_profile

ENTRIES = Catalogue.load().entries
BUNDLED = parse(load_profile("bundled"))
ALL = frozenset({"faster_whisper", "llama_cpp", "onnxruntime", "piper"})
LAPTOP = Machine(16_000, 12_000, cores=8, packages=ALL)
ORIN_NANO = Machine(7_600, 6_500, "Orin Nano", 7_600, 6_500, True, 6, ALL)


@pytest.mark.parametrize(
    ("machine", "profile", "why"),
    [
        (LAPTOP, "phone", "16.0 GB of memory, 8 cores, no GPU"),
        (replace(LAPTOP, packages=ALL - {"piper"}), "bundled", "enough for phone, but piper-tts are not installed"),
        (replace(LAPTOP, memory_mb=3_900), "bundled", "phone asks for 4.5 GB and 4 cores"),
        (replace(LAPTOP, cores=2), "bundled", "phone asks for 4.5 GB and 4 cores"),
        (ORIN_NANO, "jetson-orin-nano", "7.6 GB of memory, 6 cores, Orin Nano"),
        (replace(ORIN_NANO, memory_mb=15_600, gpu_mb=15_600), "jetson-orin-nano", "Orin Nano"),
        (replace(ORIN_NANO, memory_mb=63_000, gpu_mb=63_000), "desktop-gpu", "Orin"),
        (replace(LAPTOP, gpu="RTX 4060", gpu_mb=8_585), "jetson-orin-nano", "RTX 4060 with 8.6 GB"),
        (replace(LAPTOP, gpu="RTX 4090", gpu_mb=25_700), "desktop-gpu", "RTX 4090 with 25.7 GB"),
        (replace(LAPTOP, gpu="GT 710", gpu_mb=2_100), "phone", "GT 710 with 2.1 GB"),
    ],
)
def test_the_profile_is_chosen_and_explained_in_one_line(machine: Machine, profile: str, why: str) -> None:
    name, text = choose(machine)
    assert name == profile and why in text and "\n" not in text


def test_a_machine_is_read_from_what_the_kernel_and_the_driver_say() -> None:
    meminfo = "MemTotal:       8000000 kB\nMemFree: 1 kB\nMemAvailable:   6000000 kB\nHugePages_Total:       0\n"
    assert _memory(meminfo, "max\n", "5") == (8192.0, 6144.0)
    assert _memory(meminfo, "2000000000\n", "500000000\n") == (2000.0, 1500.0)
    assert _memory("", "", "")[1] > 1e6, "where nothing is known nothing is refused"
    lines = ["NVIDIA T400, 2048, 1000", "NVIDIA RTX 4090, 24564, 20000", "[N/A], [N/A], [N/A]", ""]
    name, total, free = _largest(lines)
    assert name == "NVIDIA RTX 4090" and round(total) == 25757 and round(free) == 20972
    assert _largest([]) == ("", 0.0, 0.0)
    here = this_machine(gpu=False)
    assert here.memory_mb >= here.free_mb > 0 and here.cores >= 1 and not here.gpu


def test_the_budget_adds_up_and_says_what_does_not_fit() -> None:
    shares = budget(BUNDLED, ENTRIES)
    assert [(one.port, one.model) for one in shares][0] == ("language_model", "smollm2-135m-instruct")
    need = sum(one.megabytes for one in shares) + RUNTIME_MB
    assert 800 < need < 1100, "the bundled profile stays below 1 GiB"
    assert overdrawn(shares, replace(LAPTOP, free_mb=need + 1)) == ""
    text = overdrawn(shares, replace(LAPTOP, free_mb=need - 1))
    assert "are needed and" in text and "smollm2-135m-instruct 190 MB" in text and "\n" not in text
    assert not budget(BUNDLED, ENTRIES, only=("voice",))


def test_a_gpu_holds_a_model_twice_and_a_processor_once() -> None:
    both = replace(
        Config(),
        language_model=LanguageModelConfig("llama-cpp", "qwen3-vl-4b-instruct", "auto"),
        vision_language=VisionConfig("llama-cpp", "qwen3-vl-4b-instruct", "auto"),
    )
    shares = budget(both, ENTRIES)
    size = shares[0].megabytes
    assert len(shares) == 2 and not shares[0].measured and 3_000 < size < 4_000
    assert overdrawn(shares, replace(LAPTOP, free_mb=size + RUNTIME_MB + 1)) == ""
    assert overdrawn(shares, replace(ORIN_NANO, free_mb=size + RUNTIME_MB + 1))
    card = replace(LAPTOP, gpu="RTX", gpu_mb=9e3, gpu_free_mb=2 * size + 1, free_mb=RUNTIME_MB)
    assert overdrawn(shares, card) == ""
    assert "MB of memory of RTX are needed" in overdrawn(shares, replace(card, gpu_free_mb=size))


def test_out_of_memory_leads_down_to_the_bundled_engine_and_each_step_is_told() -> None:
    config = replace(BUNDLED, recogniser=RecogniserConfig("faster-whisper", "faster-whisper-large-v3-turbo", "cuda"))
    told = []
    while step := degrade(config, "recogniser", ENTRIES, ("faster-whisper-small",), BUNDLED):
        config, line = step
        told.append(line.partition("going on with ")[2])
    assert told == [
        "faster-whisper-large-v3-turbo in int8",
        "faster-whisper-small",
        "faster-whisper-small on the processor",
        "pocketsphinx",
    ]
    assert config == BUNDLED


def test_what_bundled_lacks_is_switched_off_at_the_end() -> None:
    config = replace(BUNDLED, vision_language=VisionConfig("llama-cpp", "smolvlm2-500m"))
    step = degrade(config, "vision_language", ENTRIES, (), BUNDLED)
    assert step is not None and step[0].vision_language.engine == "none"
    assert step[1] == "vision_language: out of memory with smolvlm2-500m; going on with nothing: this is off now"
    assert degrade(step[0], "vision_language", ENTRIES, (), BUNDLED) is None


@given(
    here=st.frozensets(st.sampled_from(sorted(ENTRIES))),
    name=st.sampled_from(["phone", "jetson-orin-nano", "desktop-gpu", "bundled"]),
    port=st.sampled_from(["recogniser", "language_model", "vision_language", "segmenter", "voice", "detector", "translator"]),
)
def test_every_way_down_ends_at_bundled_and_touches_nothing_else(here: frozenset[str], name: str, port: str) -> None:
    config = start = parse(load_profile(name))
    steps = 0
    while step := degrade(config, port, ENTRIES, here, BUNDLED):
        config, line = step
        steps += 1
        engine: EngineConfig = getattr(config, port)
        assert line.startswith(f"{port}: out of memory") and steps < 12
        assert engine.model in {*here, getattr(start, port).model, getattr(BUNDLED, port).model}
    assert getattr(config, port) == getattr(BUNDLED, port)
    assert replace(config, **{port: getattr(start, port)}) == start
