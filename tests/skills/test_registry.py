"""Skills are found by registration: nearsight's own by their files, the others by their entry points."""

from __future__ import annotations

import inspect
import logging
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import edge.skills
from edge.errors import ConfigError
from edge.policy.router import Router
from edge.skills import check, load
from tests.skills.asking import FakeAsking, said

OWN = {"help", "manner", "mute", "photo", "repeat", "stop", "time_date"}


def install(folder: Path, module: str, code: str, entries: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a distribution of one module, as pip would leave it."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[nearsight.skills]", *lines, ""]))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)


def test_own_skills_are_found_each_once() -> None:
    names = [skill.name for skill in load()]
    assert set(names) >= OWN
    assert len(set(names)) == len(names)


def test_a_disabled_skill_is_left_out() -> None:
    assert {skill.name for skill in load()} - {skill.name for skill in load(("photo",))} == {"photo"}


def test_an_unknown_disabled_name_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown skill 'foto': did you mean 'photo'"):
        load(("foto",))


async def test_the_documented_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, code = map(textwrap.dedent, re.findall(r"::\n\n((?:    .*\n|\n)+)", inspect.getdoc(edge.skills) or ""))
    entries = tomllib.loads(project)["project"]["entry-points"]["nearsight.skills"]
    install(tmp_path, "nearsight_dice", code, entries, monkeypatch)
    skills = load()
    assert skills[-1].name == "dice"
    route = Router(skills).route("roll a twenty sided die please")
    assert (route.skill.name, route.slots) == ("dice", {"sides": "twenty"})
    rolled = {await said(skills[-1], FakeAsking(route.text, slots=route.slots)) for _ in range(300)}
    assert "You rolled a 20." in rolled
    assert len(rolled) <= 20


GOOD = """
class Good:
    name = "good"
    summary = "be good"
    phrases = ("be good",)
    urgent = False

    async def answer(self, asking):
        yield "Yes."
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("def Good(:", "SyntaxError"),
        ("Bad = 1", "AttributeError"),
        ("Good = 1", "TypeError"),
        (GOOD + "    def __init__(self): raise OSError('disk')", "OSError: disk"),
        (GOOD.replace('name = "good"', 'name = "stop"'), "'stop' is taken"),
        (GOOD.replace('name = "good"', 'name = "be good"'), "must be an identifier"),
        (GOOD.replace('summary = "be good"', "summary = None"), "summary must be"),
        (GOOD.replace('("be good",)', '"be good"'), "must be a sequence of texts"),
        (GOOD.replace('("be good",)', '("be (good",)'), "not closed"),
        (GOOD.replace("urgent = False", "urgent = 'no'"), "must be True or False"),
        (GOOD.replace("yield", "return"), "must be an async generator"),
        (GOOD.replace("async def answer", "async def reply"), "must be an async generator"),
    ],
)
def test_a_broken_foreign_skill_is_logged_and_left_out(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = [skill.name for skill in load()]
    install(tmp_path, "nearsight_broken", code, {"good": "nearsight_broken:Good"}, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert [skill.name for skill in load()] == before
    (message,) = caplog.messages
    assert message.startswith("skill good of nearsight-broken is left out: ")
    assert why in message


def test_a_foreign_skill_can_be_disabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "nearsight_good", GOOD, {"good": "nearsight_good:Good"}, monkeypatch)
    assert load()[-1].name == "good"
    assert "good" not in {skill.name for skill in load(("good",))}


def test_check_gives_the_skill_back() -> None:
    skill = load()[0]
    assert check(skill) is skill


def test_importing_the_skills_is_light() -> None:
    """Finding the skills must load no engine: ``nearsight --help`` has half a second for everything."""
    heavy = "onnxruntime cv2 llama_cpp pocketsphinx faster_whisper rapidocr av".split()
    code = f"import sys, edge.skills; edge.skills.load(); print(*[name for name in {heavy} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert found.stdout.split() == []
