"""nearsight's own skills, one class a file, and those of other distributions.

A new file in this package is enough: the registry walks the package's modules. Another distribution names its class in the
entry point group ``nearsight.skills`` and needs nothing from nearsight but the contract. Complete, it is two files;
``pyproject.toml``::

    [project]
    name = "nearsight-dice"
    version = "1.0"
    [project.entry-points."nearsight.skills"]
    dice = "nearsight_dice:Dice"

and ``nearsight_dice.py``::

    import random
    from collections.abc import AsyncIterator, Sequence

    from edge.skill import Asking


    class Dice:
        name = "dice"
        summary = "roll a die"
        phrases: Sequence[str] = ("roll (a | the) (die | dice)", "roll a {sides} sided (die | dice)")
        urgent = False

        async def answer(self, asking: Asking) -> AsyncIterator[str]:
            sides = {"four": 4, "eight": 8, "twenty": 20}.get(asking.slots.get("sides", ""), 6)
            yield f"You rolled a {random.randint(1, sides)}."

A broken skill of nearsight's own is a failure of the build and raises. A broken foreign one is logged, with the name of the
distribution to complain to, and left out: a wearer's glasses do not fall silent because somebody's update did not load.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points

from edge.errors import ConfigError
from edge.policy import phrases
from edge.skill import Skill
from edge.tables import nearest

GROUP = "nearsight.skills"
"""The entry point group for skills of other distributions."""

_log = logging.getLogger(__name__)


def load(disabled: Sequence[str] = ()) -> tuple[Skill, ...]:
    """Gives every skill that is installed and not ``disabled``: nearsight's own by name, then the others by name.

    Raises ConfigError for a name in ``disabled`` that no skill has.
    """
    found = list(_own())
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        foreign = _foreign(entry, [skill.name for skill in found])
        if foreign is not None:
            found.append(foreign)
    names = [skill.name for skill in found]
    for name in disabled:
        if name not in names:
            raise ConfigError(f"skills.disabled: unknown skill {name!r}: {nearest(name, names)}")
    return tuple(skill for skill in found if skill.name not in disabled)


def check(skill: object, taken: Iterable[str] = ()) -> Skill:
    """Gives the skill back if it has the shape of ``edge.skill.Skill`` and a name that is not ``taken``.

    Raises ConfigError with the first thing that is wrong with it.
    """
    kind = type(skill).__name__
    name, summary = getattr(skill, "name", None), getattr(skill, "summary", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigError(f"{kind}.name must be an identifier, not {name!r}")
    if name in taken:
        raise ConfigError(f"{kind}.name {name!r} is taken by another skill")
    if not isinstance(summary, str) or not summary:
        raise ConfigError(f"{kind}.summary must be a text that says what the skill does")
    said = getattr(skill, "phrases", None)
    if not isinstance(said, Sequence) or isinstance(said, str) or not all(isinstance(phrase, str) for phrase in said):
        raise ConfigError(f"{kind}.phrases must be a sequence of texts")
    for phrase in said:
        phrases.parse(phrase)
    if not isinstance(getattr(skill, "urgent", None), bool):
        raise ConfigError(f"{kind}.urgent must be True or False")
    if not inspect.isasyncgenfunction(getattr(skill, "answer", None)):
        raise ConfigError(f"{kind}.answer must be an async generator: 'async def' with a 'yield' in it")
    checked: Skill = skill  # type: ignore[assignment]  # its shape has just been checked
    return checked


def _own() -> Iterator[Skill]:
    taken: list[str] = []
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")):
        for kind in vars(importlib.import_module(module)).values():
            if inspect.isclass(kind) and kind.__module__ == module and hasattr(kind, "phrases") and hasattr(kind, "answer"):
                skill = check(kind(), taken)
                taken.append(skill.name)
                yield skill


def _foreign(entry: EntryPoint, taken: Iterable[str]) -> Skill | None:
    try:
        return check(entry.load()(), taken)
    except Exception as error:  # Importing and constructing run a stranger's code, which may raise anything.
        owner = entry.dist.name if entry.dist else "an unknown distribution"
        _log.warning("skill %s of %s is left out: %s: %s", entry.name, owner, type(error).__name__, error)
        return None
