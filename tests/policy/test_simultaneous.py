"""A thousand random scripts over scripted engines: no word lost, doubled, or spoken before it was committed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from edge.policy.settling import normal
from edge.policy.simultaneous import TRIES, Policy, Simultaneous
from edge.translation import Ask, Progress
from edge.values import Word, samples

SCRIPTS = {"agreement": 100, "ahead": 40, "clause": 20, "sentence": 10}
"""Of each of the ten engines."""
VOCABULARY = (
    "no yes we saw the old house and he said that it was not far but nobody knew because three hundred people of new york "
    "came twenty five minutes later which is why i do not like it when mister smith comes so they went to a doctor"
).split()
TARGET = "eo"
"""A language without a list of small words, so that every cut is safe but for those in numbers."""


class Lost(Exception):
    """The engine raises."""


Engine = Callable[[Ask], str]


def plain(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return " ".join(words)


def reordering(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return " ".join(word for at in range(0, len(words), 3) for word in reversed(words[at : at + 3]))


def flipping(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return " ".join(words if call % 2 else [f"y{word[1:]}" for word in words])


def looping(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return " ".join(words) + " and on and on" * 4 if rng.random() < 0.5 else " ".join(words)


def endless(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return "and on " * 60


def silent(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return "" if rng.random() < 0.5 else " ".join(words)


def mute(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return ""


def forced(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    kept = ask.prefix.split()
    return " ".join([*kept, *(f"y{word[1:]}" if call % 2 else word for word in words[len(kept) :])])


def early(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    return " ".join(words) if ask.whole else " ".join([*words, f"xend{call % 5}", "xamen."])


def failing(words: list[str], ask: Ask, call: int, rng: random.Random) -> str:
    if rng.random() < 0.3:
        raise Lost
    return " ".join(words)


VICES = (plain, reordering, flipping, looping, endless, silent, mute, forced, early, failing)
ENGINES = tuple(vice.__name__ for vice in VICES)


def engine_of(name: str, rng: random.Random) -> Engine:
    """Gives an engine that puts a sign before each source word, with a vice of its own."""
    vice = VICES[ENGINES.index(name)]
    calls = itertools.count()
    return lambda ask: vice([f"x{word}" for word in ask.text.split()], ask, next(calls), rng)


@dataclass
class Run:
    """A policy and its engine, and all that came of a script."""

    simultaneous: Simultaneous
    engine: Engine
    words: list[Word] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    """For each progress, how many words had been committed by then."""
    asks: int = 0
    flight: Ask | None = None

    def take(self, progress: Sequence[Progress]) -> None:
        self.progress += progress
        self.heard += [len(self.words)] * len(progress)

    def launch(self) -> None:
        ask = self.simultaneous.ask()
        assert ask is None or self.flight is None, "two asks at a time"
        self.flight = self.flight or ask
        self.asks += ask is not None

    def land(self) -> None:
        if self.flight is None:
            return
        try:
            self.take(self.simultaneous.answer(self.flight, self.engine(self.flight)))
        except Lost:
            self.take(self.simultaneous.failed(self.flight))
        self.flight = None


def script(rng: random.Random) -> list[list[Word]]:
    """Utterances of words with random times; now and then one that is punctuated, and pauses within."""
    at = 0
    utterances = []
    for _ in range(rng.randint(1, 3)):
        words = []
        marks = rng.random() < 0.3
        for _ in range(rng.randint(1, 45)):
            text = rng.choice(VOCABULARY)
            if marks and rng.random() < 0.15:
                text += rng.choice([".", ",", "?"])
            at += samples(rng.choice([0.0, 0.05, 0.1, 0.3] if rng.random() < 0.95 else [0.8, 2.5]))
            end = at + samples(rng.uniform(0.1, 0.6))
            words.append(Word(text, at, end))
            at = end
        utterances.append(words)
        at += samples(1.0)
    return utterances


def drive(run: Run, utterances: Sequence[Sequence[Word]], rng: random.Random) -> None:
    """Commits words in random pieces; answers come some commits late."""
    for words in utterances:
        done = 0
        ended = False
        while not ended:
            step = rng.choice([0, 1, 1, 1, 2, 3, 8])
            run.words += words[done : done + step]
            ended = done == len(words)  # the end comes by itself, or with the last words
            done = min(len(words), done + step)
            ended = ended or (done == len(words) and rng.random() < 0.7)
            guess = () if ended else guessed(words[done : done + 2], rng)
            run.take(run.simultaneous.hear(words[:done], guess, ended=ended))
            run.launch()
            if rng.random() < 0.7:
                run.land()
    run.launch()
    while run.flight is not None:
        run.land()
        run.launch()
        assert run.asks < 1000, "asks for ever"


def guessed(words: Sequence[Word], rng: random.Random) -> list[Word]:
    """Words as they are guessed before they are committed, some of them others."""
    return [word if rng.random() < 0.7 else Word(rng.choice(VOCABULARY), word.start, word.end) for word in words]


def check(run: Run) -> dict[int, Progress]:
    """Checks what must hold with any engine; gives the last of each sentence."""
    last: dict[int, Progress] = {}
    for progress, heard in zip(run.progress, run.heard, strict=True):
        before = last.get(progress.sentence)
        if before is not None:
            assert not before.final, "told of after its end"
            assert progress.text.startswith(before.text), "taken back"
            assert progress.source.startswith(before.source), "source taken back"
            assert progress.covered >= before.covered or not before.text
            assert progress.start == before.start or not before.source
        assert progress.text == f"{before.text if before else ''} {progress.added}".strip(), "added is not what is new"
        assert not progress.words or progress.covered <= run.words[heard - 1].end, "covers what nobody has said yet"
        last[progress.sentence] = progress
    assert all(progress.final for progress in last.values() if progress.words), "a sentence without an end"
    whole = {number: progress for number, progress in last.items() if progress.words}
    assert list(whole) == list(range(len(whole))), "numbers are not consecutive"
    assert [word for progress in whole.values() for word in progress.words] == run.words, "source words lost or doubled"
    return whole


def spoken_in_time(run: Run) -> None:
    """Each word of a text stands for a word in its place of the source, committed by then."""
    for progress in run.progress:
        source = [normal(word) for word in progress.source.split()]
        said = [normal(word)[1:] for word in progress.text.split()]
        assert said == source[: len(said)], "lost, doubled, or spoken before it was committed"


def alike(one: str, other: str) -> bool:
    """Whether two texts are the same words."""
    return [normal(word) for word in one.split()] == [normal(word) for word in other.split()]


@pytest.mark.parametrize("how", SCRIPTS)
@pytest.mark.parametrize("name", ENGINES)
def test_random_scripts(name: str, how: str) -> None:
    policy: Policy = "clause" if how == "clause" else "sentence" if how == "sentence" else "agreement"
    # What an engine writes on by itself, and what it puts elsewhere later, only agreement and waiting keep out of the text.
    steady = policy != "clause" or name not in ("early", "reordering")
    for seed in range(SCRIPTS[how]):
        rng = random.Random(f"{name}{how}{seed}")
        simultaneous = Simultaneous("en", TARGET, policy=policy, forces=name == "forced", ahead=how == "ahead")
        run = Run(simultaneous, engine_of(name, rng))
        drive(run, script(rng), rng)
        last = check(run)
        most = len(run.words) * (2 if how == "ahead" else 1) + (TRIES + 1) * len(last)
        assert run.asks <= most, "asks that bring nothing"
        if name != "reordering" and steady:
            spoken_in_time(run)
        if name in ("plain", "flipping", "forced", "early") and steady:
            assert all(len(progress.text.split()) == len(progress.words) for progress in last.values()), "not all is spoken"
        if name in ("plain", "reordering", "early") and steady:
            assert all(alike(progress.text, progress.record) for progress in last.values())
        if name in ("endless", "mute"):
            assert all(not progress.text and not progress.record for progress in last.values())
        if name in ("looping", "silent", "failing"):
            assert all(not progress.record or alike(progress.text, progress.record) for progress in last.values())
