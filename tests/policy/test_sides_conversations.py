"""Whole conversations, drawn at random: no sentence goes to the wrong side."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.policy.languages import same
from edge.policy.sides import Decision, Evidence, Sides
from edge.translation import Party
from tests.policy.test_sides import PARTNER, SAID, WEARER


@dataclass(frozen=True)
class Turn:
    party: Party
    language: str
    pushed: bool
    labelled: bool
    named: bool
    level_db: float | None
    cut: int
    """Words until the other breaks in; the utterance then has no end of its own."""
    laughs: bool


PAIRS = st.sampled_from([("en", "es"), ("es", "en"), ("fr", "de"), ("de", "ja"), ("ja", "en"), ("en-GB", "es-MX")])


TURNS = st.lists(
    st.tuples(st.sampled_from(Party), st.integers(0, 255), st.none() | st.floats(-60, 0), st.integers(1, 9)),
    min_size=1,
    max_size=9,
)


def conversation(pair: tuple[str, str], drawn: list[tuple[Party, int, float | None, int]]) -> tuple[str, str, list[Turn]]:
    """Two people, mostly each in their own language, with switches, interruptions, laughter and whatever is known of it."""
    turns = []
    for party, flags, level, cut in drawn:
        own, other = pair if party is WEARER else pair[::-1]
        language = other if flags % 4 == 3 else own
        turns.append(Turn(party, language, bool(flags & 4), bool(flags & 8), bool(flags & 16), level, cut, flags >> 5 == 7))
    return *pair, turns


def conversations() -> st.SearchStrategy[tuple[str, str, list[Turn]]]:
    return st.builds(conversation, PAIRS, TURNS)


def text_of(turn: Turn) -> list[str]:
    said = SAID[turn.language.partition("-")[0]]
    return ["ha", "ha"] if turn.laughs else said.split() if " " in said else [said[:4], said[4:]]


def run(sides: Sides, turn: Turn, *, told: bool) -> list[Decision]:
    """An utterance word by word; ``told``: the diariser's labels and the language are right and there."""
    words = text_of(turn)[: turn.cut]
    sides.begin()
    decisions = []
    for number in range(1, len(words) + 1):
        evidence = Evidence(
            language=turn.language if turn.named or told else "",
            level_db=turn.level_db,
            pushed=turn.party if turn.pushed else None,
            text=" ".join(words[:number]),
            final=number == len(words) and turn.cut > 3,
            label=turn.party.name if turn.labelled else "",
        )
        decisions.append(sides.decide(evidence))
    return decisions


def check_latched(decisions: list[Decision]) -> None:
    given = [decision for decision in decisions if decision.sure]
    assert len(set(given)) <= 1, "a decision flipped after something may have been given out"
    assert decisions[len(decisions) - len(given) :] == given


@settings(max_examples=500)
@given(conversations())
def test_no_sentence_goes_to_the_wrong_side_where_the_language_is_told(made: tuple[str, str, list[Turn]]) -> None:
    mine, theirs, turns = made
    sides = Sides(mine, theirs, both=True)
    for turn in turns:
        decisions = run(sides, turn, told=True)
        check_latched(decisions)
        for decision in decisions:
            if not decision.target:
                continue
            assert same(decision.source, turn.language), "in another language than it is in"
            assert same(decision.target, theirs if same(turn.language, mine) else mine), "to the wrong side"
            assert not same(decision.source, decision.target), "into its own language"
            assert not turn.laughs
            if turn.pushed:
                assert same(decision.target, theirs if turn.party is WEARER else mine), "to who speaks"


@settings(max_examples=500)
@given(conversations())
def test_the_listener_is_never_given_what_is_in_their_language(made: tuple[str, str, list[Turn]]) -> None:
    """With labels tied by the button, whichever language either of them speaks."""
    mine, theirs, turns = made
    sides = Sides(mine, theirs, both=True)
    for turn in (Turn(party, lang, True, True, True, None, 9, False) for party, lang in ((WEARER, mine), (PARTNER, theirs))):
        run(sides, turn, told=True)
    own = 0
    for turn in turns:
        # What is learnt can be unlearnt: here each speaks the other's language at most twice in a row.
        own = 0 if same(turn.language, mine if turn.party is WEARER else theirs) else own + 1
        turn = replace(turn, labelled=True, pushed=False)
        if own > 2:
            continue
        for decision in run(sides, turn, told=True):
            listener = theirs if turn.party is WEARER else mine
            assert decision.speaker is turn.party
            if decision.target:
                assert same(decision.target, listener)
                assert not same(turn.language, listener)


@settings(max_examples=150)
@given(conversations(), st.sampled_from(["en", "es", "de"]))
def test_one_way_everything_but_the_target_goes_into_it(made: tuple[str, str, list[Turn]], target: str) -> None:
    mine, theirs, turns = made
    sides = Sides(mine, both=False, target=target)
    for turn in turns:
        decisions = run(sides, turn, told=True)
        check_latched(decisions)
        for decision in decisions:
            assert decision.target == ("" if turn.laughs or same(turn.language, target) else target)


@settings(max_examples=150)
@given(conversations())
def test_an_open_pair_is_closed_once_and_for_a_language_that_was_spoken(made: tuple[str, str, list[Turn]]) -> None:
    mine, theirs, turns = made
    sides = Sides(mine, both=True)
    found = ""
    for turn in turns:
        decisions = run(sides, replace(turn, pushed=False), told=True)
        check_latched(decisions)
        assert found in ("", sides.theirs), "the partner's language changed"
        found = sides.theirs
        assert not found or same(found, theirs)
        for decision in decisions:
            assert not decision.target or not same(decision.source, decision.target)


@settings(max_examples=150)
@given(conversations())
def test_whatever_is_not_told_nothing_is_translated_into_the_language_it_is_in(made: tuple[str, str, list[Turn]]) -> None:
    """Languages that are left out are seen in the text; what is not seen there either is not given away by loudness alone."""
    mine, theirs, turns = made
    sides = Sides(mine, theirs, both=True)
    for turn in turns:
        decisions = run(sides, replace(turn, level_db=None, pushed=False, labelled=False), told=False)
        check_latched(decisions)
        for decision in decisions:
            assert not decision.target or same(decision.source, turn.language)


Step = tuple[str, str, float | None, Party | None, str, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["", "en", "es", "fr", "es-MX"]),
        st.sampled_from([*SAID.values(), "ha ha", "ndiyo kabisa rafiki"]),
        st.none() | st.floats(-60, 0),
        st.sampled_from([None, None, *Party]),
        st.sampled_from(["", "A", "B"]),
        st.sampled_from([1.0, 0.5, 0.05]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=6), st.sampled_from([("en", "es", ""), ("en", "", ""), ("en", "", "es"), ("en", "fr", "en")]))
def test_whatever_flips_a_decision_does_not(utterances: list[list[Step]], pair: tuple[str, str, str]) -> None:
    """A recogniser, a diariser and a hand on the button that all change their minds with every word."""
    mine, theirs, target = pair
    sides = Sides(mine, theirs, both=not target, target=target)
    for steps in utterances:
        sides.begin()
        decisions = []
        for number, (language, text, level, pushed, label, confidence) in enumerate(steps):
            evidence = Evidence(
                language,
                level,
                pushed,
                text,
                number == len(steps) - 1,
                label,
                confidence,
            )
            decisions.append(sides.decide(evidence))
        check_latched(decisions)
        assert decisions[-1].sure
        for decision in decisions:
            assert bool(decision.target) != bool(decision.why)
            assert not decision.target or not same(decision.source, decision.target)
            assert not target or decision.target in ("", target)
