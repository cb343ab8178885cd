"""Measures whether nearsight answers from what it sees and does not invent: ``python -m tools.bench.grounding``.

Runs the skill ``ask`` with the real bundled model on the cases of ``grounding.toml``, whose pictures are given as their text,
and, for comparison, the bare model with the same prompt and all lines of the picture. Prints one line a reply (``--verbose``)
and then, for each kind of case and each half, how many replies were

- ``right``: an accepted answer stands in it;
- ``wrong``: the case has an answer, and the reply states another;
- ``refused``: the case has an answer, and the reply says that it does not know (what can be read follows, so ``helped``
  counts those in which the answer was read out all the same);
- ``invented``: the case has none, and the reply states one;
- ``declined``: the case has none, and the reply says so.

The model speaks for itself in the replies counted ``own``; the others are lines of the picture, read out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.errors import NoView
from edge.policy import prompts
from edge.ports import Stop
from edge.skills.ask import Ask
from edge.values import Box, Prompt, Reading, TextLine, VideoFrame
from models.catalog import Catalogue
from models.llama import LlamaCpp
from tests.skills.asking import FakeAsking

MODEL = "smollm2-135m-instruct"
_NOWHERE = Box(0, 0, 1, 1)


class Scene(FakeAsking):
    """An ``Asking`` whose picture is given as its text. ``lines`` None: there is no picture."""

    def __init__(self, transcript: str, lines: Sequence[str] | None, model: LlamaCpp) -> None:
        read = Reading(tuple(TextLine(line, _NOWHERE, 1.0) for line in lines)) if lines is not None else None
        super().__init__(transcript, text=read)
        self._model = model

    async def frame(self) -> VideoFrame:
        """Raises NoView: the scene has text, no pixels."""
        raise NoView("no picture")

    async def think(self, prompt: Prompt) -> AsyncIterator[str]:
        """Gives the model's answer; nothing else runs on this loop, so it may block it."""
        for piece in self._model.generate(prompt, Stop()):
            yield piece


def judge(reply: str, accepted: Sequence[str]) -> str:
    """Gives the verdict on a reply, as the module's docstring defines them."""
    text = " ".join(reply.lower().replace(",", "").split())
    stated = not text.startswith("i don't know") and "not sure" not in text
    if not accepted:
        return "invented" if stated else "declined"
    holds = any(re.search(rf"(?<![\w.]){re.escape(answer)}(?!\d)", text) for answer in accepted)
    if stated:
        return "right" if holds else "wrong"
    return "helped" if holds else "refused"


async def guarded(case: Mapping[str, Any], model: LlamaCpp) -> str:
    """Gives what the skill says."""
    scene = Scene(case["ask"], case.get("scene"), model)
    try:
        return " ".join([piece async for piece in Ask().answer(scene)])
    except NoView as error:
        return f"I don't know: {error.text}"


def bare(case: Mapping[str, Any], model: LlamaCpp) -> str:
    """Gives what the model says to the same prompt, with all lines and without a check."""
    lines = case.get("scene")
    prompt = prompts.about_view(case["ask"], lines, model.count) if lines else prompts.general(case["ask"])
    return "".join(model.generate(prompt, Stop())).strip()


def main() -> None:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--half", choices=("tuned", "held_out", "fresh"), default="", help="one half of the cases only")
    parser.add_argument("--kind", default="", help="one kind of case only")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    cases = tomllib.loads(Path(__file__).with_name("grounding.toml").read_text(encoding="utf-8"))
    model = LlamaCpp(Catalogue.load().path(MODEL), threads=options.threads)
    model.open()
    for kind, listed in cases.items():
        halves = {"fresh": listed} if kind.endswith("_fresh") else {"tuned": listed[::2], "held_out": listed[1::2]}
        for half, chosen in halves.items():
            if options.kind in ("", kind) and options.half in ("", half):
                measured = _measure(chosen, model, options.verbose)
                print(json.dumps({"kind": kind, "half": half, "cases": len(chosen), **measured}), flush=True)
    model.close()


def _measure(cases: Sequence[Mapping[str, Any]], model: LlamaCpp, verbose: bool) -> dict[str, Any]:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    seconds = []
    for case in cases:
        raw = bare(case, model)
        began = time.perf_counter()
        reply = asyncio.run(guarded(case, model))
        seconds.append(time.perf_counter() - began)
        before[judge(raw, case["answer"])] += 1
        verdict = judge(reply, case["answer"])
        after[verdict] += 1
        after["own"] += not reply.startswith(("It says", "I don't know"))
        if verbose:
            print(f"  {verdict:9} {case['ask']!r}: {reply!r}  (bare: {raw!r})")
    return {"bare": dict(before), "guarded": dict(after), "median_s": round(statistics.median(seconds), 2)}


if __name__ == "__main__":
    main()
