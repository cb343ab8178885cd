"""The bundled recogniser can hear every phrase: a word outside its dictionary can never be recognised."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from edge.policy.phrases import commands, parse
from edge.policy.router import Router
from edge.skill import Skill
from edge.skills import load


@cache
def dictionary() -> frozenset[str]:
    """Gives the words of CMUdict as pocketsphinx's en-US model carries it."""
    pocketsphinx = pytest.importorskip("pocketsphinx", reason="THE BUNDLED RECOGNISER IS MISSING: pip install pocketsphinx")
    lines = Path(pocketsphinx.get_model_path("en-us"), "cmudict-en-us.dict").read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines)


@pytest.mark.parametrize("skill", load(), ids=lambda skill: skill.name)
def test_every_word_is_in_the_dictionary(skill: Skill) -> None:
    words = {word for phrase in skill.phrases for way in parse(phrase).ways for word in way if not word.startswith("{")}
    assert words <= dictionary(), f"the recogniser can never hear: {', '.join(sorted(words - dictionary()))}"


def test_every_command_reaches_its_own_skill() -> None:
    """No two skills claim the same words: the second would never be reached."""
    router = Router(load())
    for skill in load():
        stolen = [
            (said, route.skill.name)
            for said in commands(skill.phrases)
            if (route := router.route(said)).skill.name != skill.name
        ]
        assert stolen == [], skill.name
