"""What the house promises of its files: names, sizes, documents that tell the truth, a help text that costs nothing."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from edge import __version__
from edge.cli.main import app
from tests.layers import OWNERS
from tools.tasks import TASKS

ROOT = Path(__file__).parents[1]
TEXT = {".py", ".pyi", ".c", ".h", ".md", ".toml", ".txt", ".sh", ".html", ".js", ".css", ".json", ".cfg", ".ini", ""}

MAX_LINES = 400
LONGER: dict[str, str] = {
    "edge/config.py": "every setting there is, side by side",
    "edge/ports.py": "what every engine and link promises, side by side",
    "edge/runtime/session.py": "the one owner of a turn: in two files its state would have two owners",
}
"""Files that may be longer, each with a reason that a reader would accept."""

# Written in pieces, so that this file does not carry what it forbids.
REGISTRIES = ("pypi", "pythonhosted", "npmjs", "deb.debian", "security.debian")
HOSTS = r"\b(?:" + "|".join(map(re.escape, REGISTRIES)) + r")\.(?:org|com)"
PLACES = "/(?:" + "|".join(("work", "root", "home", "tmp")) + r")/\w"
FORBIDDEN = re.compile(f"{HOSTS}|(?<![\\w.}}*])(?:{PLACES})")

PUBLIC = {
    "edge.channel": "Channel ChannelClosed Overflow",
    "edge.clock": "MEMORY_S MediaClock",
    "edge.config": (
        "AnswersConfig Config EchoConfig EngineConfig LanguageModelConfig RecogniserConfig RecordingConfig SegmenterConfig "
        "ServeConfig SightConfig SkillsConfig SpeakerConfig TranslatorConfig TurnsConfig VisionConfig VoiceConfig WakeConfig "
        "WatchConfig parse"
    ),
    "edge.decoding": "DecodeRequest Decoded Segment",
    "edge.errors": (
        "ConfigError DeviceMissing EngineError EngineFailed EngineFlooded EngineHung EngineMissing FetchFailed InputError "
        "LanguageMissing LinkError ModelCorrupt ModelError ModelMissing NearsightError NoView NotAgreed NotAudio NotPicture "
        "OutOfMemory RemoteFailed RemoteRefused RemoteRejected StorageError TooLarge UsageError"
    ),
    "edge.events": (
        "BargedIn CodesSeen EndpointReached Event Failed FinalHeard FrameChosen LinkChanged MaskSeen Notice PartialHeard "
        "PhotoTaken RemoteChanged ReplyPaused ReplyResumed SessionEnded SessionStarted Speaking StateChanged TextSeen "
        "ThingsSeen TrackChanged TurnEnded WatchFired Woke as_ms earlier final_heard link_changed word_rows"
    ),
    "edge.ports": (
        "Aside ClipWriter CodeReader Detector EchoCanceller EndOfTurn Engine LanguageModel Link MaskNetwork Notifier "
        "Recogniser RecogniserStream SceneMeter Segmenter SpeechDecoder Spotter Station Stop TextLanguage TextReader "
        "Translator VisionLanguage Voice VoiceActivity WakeWord"
    ),
    "edge.skill": "Act Asking Eyes Meant Skill",
    "edge.tables": "as_table build merge nearest read_toml",
    "edge.tracks": "Candidates Cues Floats Memories SegmentPrompt Track TrackState View WatchRule Watched",
    "edge.translation": (
        "Ask Interpret InterpretingChanged Party PassedOver Progress Rendered SourceHeard TextTranslated TranslateRequest "
        "Translated TranslationSpoken text_translated"
    ),
    "edge.values": (
        "AudioChunk Box CHUNK_SAMPLES Code Condition Detection EngineInfo Exchange Mask Message NS_PER_SAMPLE Pcm Pixels "
        "Prompt Reading SAMPLE_RATE SceneFacts SpeechChunk TextLine Transcript TurnTimings VideoFrame VoiceStyle Word "
        "WordMark samples"
    ),
}
"""What skills, engines and links outside this repository may rely on. A name that goes is a line in the changelog."""


def files() -> list[Path]:
    """Every text file of the checkout that git tracks or would track."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("NOT A GIT CHECKOUT: nothing tells the house's files from others")
    paths = [Path(name) for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT and (ROOT / path).is_file()]


def code_of(document: str) -> Iterator[str]:
    """The lines of the indented and fenced blocks, and the inline pieces, of a Markdown text."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    for block in fenced:
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", document, flags=re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_no_file_names_a_registry_or_a_place_of_one_machine() -> None:
    found = [
        f"{path}:{number}: {match[0]}"
        for path in files()
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if (match := FORBIDDEN.search(line))
    ]
    assert found == []


@pytest.mark.parametrize("line", ["see pypi" + ".org/project", "cd /ho" + "me/ada/x", "open('/tm" + "p/x')"])
def test_what_is_forbidden_would_be_found(line: str) -> None:
    assert FORBIDDEN.search(line)


def test_files_stay_short() -> None:
    python = [path.as_posix() for path in files() if path.suffix == ".py"]
    long = {path for path in python if len((ROOT / path).read_text(encoding="utf-8").splitlines()) > MAX_LINES}
    assert long == LONGER.keys()
    assert all(LONGER.values())


@pytest.mark.parametrize("module", PUBLIC)
def test_the_contract_keeps_its_names(module: str) -> None:
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    assert sorted(name for name in names if not name.startswith("_") and name != "T") == PUBLIC[module].split()


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(__version__)}\]", changelog, re.MULTILINE)


def test_every_command_of_the_readme_exists(readme: str) -> None:
    commands = [shlex.split(part) for line in code_of(readme) for part in line.split("&&") if "nearsight " in f"{part} "]
    named = [words[words.index("nearsight") + 1 :] for words in commands if "nearsight" in words]
    assert len(named) > 10
    for words in named:
        _is_a_command(words)


def _is_a_command(words: list[str]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
        if word.startswith("-"):
            assert word in options, f"nearsight {' '.join(words)}: no option {word}"
        elif hasattr(command, "commands"):
            assert word in command.commands, f"nearsight {' '.join(words)}: no command {word}"
            command = command.commands[word]


def test_every_command_that_exists_is_in_the_readme(readme: str) -> None:
    commands = getattr(typer.main.get_command(app), "commands")  # noqa: B009 - typer gives the base class
    missing = [name for name in commands if f"nearsight {name}" not in readme]
    assert missing == []


def test_the_readme_names_files_and_tasks_that_are_there(readme: str) -> None:
    code = list(code_of(readme))
    words = {word for line in code for word in line.split()}
    paths = {word for word in words if re.fullmatch(r"(?:edge|models|phone_bridge|tools|tests)/[\w./]+", word)}
    assert paths and [path for path in paths if not (ROOT / path).exists()] == []
    tasks = {task for line in code for task in re.findall(r"tools\.tasks ([\w|]+)", line)}
    assert tasks and {task for alternatives in tasks for task in alternatives.split("|")} <= TASKS.keys()


def test_ci_runs_what_the_readme_says(readme: str) -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, test = re.findall(r"^```bash\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)[:2]
    for command in (install.strip().split(" && ")[0], test.strip()):
        assert f"step {command}\n" in script


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import json, sys\nfrom edge.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\nprint('\\n' + json.dumps(list(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}
    assert {"typer", "edge"} <= loaded
    assert loaded & (set(OWNERS) | {"numpy", "asyncio", "soundfile", "soxr", "models", "phone_bridge"}) == set()
