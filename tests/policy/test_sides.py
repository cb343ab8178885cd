"""Who speaks, and which way it goes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.levels import GAP, Levels
from edge.policy.sides import ENOUGH, Decision, Evidence, Sides
from edge.translation import Party

WEARER, PARTNER = Party.WEARER, Party.PARTNER
SAID = {
    "en": "where is the nearest station please",
    "es": "la estación está al lado de la plaza",
    "fr": "la gare est à côté de la place",
    "de": "der Bahnhof ist gleich neben dem Platz",
    "ja": "駅は広場の隣にあります",
}


def heard(language: str, **more: object) -> Evidence:
    return replace(Evidence(language, text=SAID.get(language, "ndiyo kabisa rafiki yangu"), final=True), **more)  # type: ignore[arg-type]


def way(decision: Decision) -> tuple[Party | None, str, str, str]:
    return decision.speaker, decision.source, decision.target, decision.why


# -- which way -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (heard("en"), (WEARER, "en", "es", "")),
        (heard("es"), (PARTNER, "es", "en", "")),
        (heard("es-MX"), (PARTNER, "es", "en", "")),
        (heard("fr"), (None, "fr", "", "unknown_language")),
        (heard("sw"), (None, "sw", "", "unknown_language")),
        (heard("en", pushed=PARTNER), (PARTNER, "en", "", "same_language")),
        (heard("es", pushed=WEARER), (WEARER, "es", "", "same_language")),
        (heard("", text="ndiyo kabisa", pushed=PARTNER), (PARTNER, "es", "en", "")),
        (heard("", text=SAID["es"]), (PARTNER, "es", "en", "")),
        (heard("", text="ndiyo kabisa"), (None, "", "", "unknown_language")),
        (heard("en", text="ha ha ha"), (WEARER, "en", "", "no_words")),
        (heard("es", text="Señor García."), (PARTNER, "es", "", "no_words")),
        (heard("en", confidence=0.2, text="it did add us are out"), (None, "", "", "unknown_language")),
    ],
)
def test_a_conversation(evidence: Evidence, expected: tuple[Party | None, str, str, str]) -> None:
    decision = Sides("en", "es", both=True).decide(evidence)
    assert way(decision) == expected
    assert decision.sure


@pytest.mark.parametrize(
    ("mine", "theirs", "target", "evidence", "expected"),
    [
        ("en", "", "", heard("es"), (PARTNER, "es", "en", "")),
        ("en", "", "", heard("ja"), (PARTNER, "ja", "en", "")),
        ("en", "", "", heard("en"), (WEARER, "en", "", "same_language")),
        ("en", "", "es", heard("en"), (WEARER, "en", "es", "")),
        ("en", "", "es", heard("fr"), (None, "fr", "es", "")),
        ("en", "", "es", heard("es"), (None, "es", "", "same_language")),
        ("en", "", "es", heard(""), (None, "en", "es", "")),
        ("en", "fr", "en", heard("", text="ndiyo kabisa"), (None, "fr", "en", "")),
        ("en", "", "en", heard("", text="ndiyo kabisa"), (None, "", "", "unknown_language")),
        ("en", "fr", "en", heard("de"), (None, "de", "en", "")),
    ],
)
def test_one_way(mine: str, theirs: str, target: str, evidence: Evidence, expected: tuple[object, ...]) -> None:
    assert way(Sides(mine, theirs, both=False, target=target).decide(evidence)) == expected


def test_text_that_is_plainly_in_the_other_language_is_not_translated_into_it() -> None:
    """Of a recogniser that was wrong about the language; the same words go the other way instead, or nowhere."""
    assert way(Sides("en", "es", both=False, target="en").decide(heard("es", text=SAID["en"])))[2:] == ("", "same_language")
    assert Sides("en", "es", both=True).decide(heard("es", text=SAID["en"])).target == "es"


def test_who_hears_a_translation() -> None:
    sides = Sides("pt-BR", "es", both=True)
    assert (sides.listener("pt"), sides.listener("es")) == (WEARER, PARTNER)


# -- the partner's language is found ---------------------------------------------------------------------------------------


def test_the_first_other_language_that_is_heard_for_long_enough_is_the_partners() -> None:
    sides = Sides("en", both=True)
    assert way(sides.decide(heard("en"))) == (WEARER, "en", "", "unknown_language")
    sides.begin()
    assert way(sides.decide(heard("fr", text="bonjour"))) == (PARTNER, "fr", "en", "")
    assert sides.theirs == ""
    sides.begin()
    assert way(sides.decide(heard("es"))) == (PARTNER, "es", "en", "")
    assert sides.theirs == "es"
    sides.begin()
    assert way(sides.decide(heard("en"))) == (WEARER, "en", "es", "")
    sides.begin()
    assert sides.decide(heard("fr")).why == "unknown_language"


def test_one_foreign_word_many_times_does_not_outweigh_another_language() -> None:
    sides = Sides("en", both=True)
    for language in ("fr", "es") * 10:
        sides.begin()
        sides.decide(heard(language, text="bonjour señora" if language == "fr" else "buenos días"))
    assert sides.theirs == ""


def test_laughter_finds_no_language() -> None:
    sides = Sides("en", both=True)
    for _ in range(10):
        sides.begin()
        sides.decide(heard("cy", text="ha ha ha ha"))
    assert sides.theirs == ""


# -- when it is sure ---------------------------------------------------------------------------------------------------------


def grown(sides: Sides, text: str, **more: object) -> list[Decision]:
    """The decisions while an utterance grows word by word, the last at its end."""
    words = text.split()
    sides.begin()
    steps = [replace(Evidence(text=" ".join(words[:n])), **more) for n in range(1, len(words) + 1)]  # type: ignore[arg-type]
    return [sides.decide(step) for step in (*steps, replace(steps[-1], final=True))]


def test_a_decision_is_sure_after_two_words_that_agree() -> None:
    decisions = grown(Sides("en", "es", both=True), SAID["es"], language="es")
    assert [decision.sure for decision in decisions[:3]] == [False, True, True]
    assert len(set(decisions[1:])) == 1


def test_with_a_button_held_the_first_word_is_enough() -> None:
    assert grown(Sides("en", "es", both=True), SAID["es"], language="es", pushed=PARTNER)[0].sure


def test_what_is_passed_over_is_sure_at_the_end_alone() -> None:
    decisions = grown(Sides("en", "es", both=False, target="en"), SAID["en"], language="en")
    assert [decision.sure for decision in decisions] == [False] * (len(decisions) - 1) + [True]


def test_laughter_may_go_on_into_words() -> None:
    decisions = grown(Sides("en", "es", both=True), "ja ja ja no lo puedo creer", language="es")
    assert [decision.why for decision in decisions[:3]] == ["", "no_words", "no_words"]
    assert not decisions[0].sure
    assert decisions[-1].target == "en"


def test_what_was_sure_does_not_flip_when_the_language_does() -> None:
    sides = Sides("en", "es", both=True)
    grown(sides, "vamos a la plaza", language="es")
    assert sides.decide(heard("en")).target == "en"
    sides.begin()
    assert sides.decide(heard("en")).target == "es"


def test_before_the_partners_language_is_found_more_words_are_needed() -> None:
    decisions = grown(Sides("en", both=True), SAID["es"], language="es")
    assert [decision.sure for decision in decisions].index(True) == ENOUGH - 1


# -- labels ------------------------------------------------------------------------------------------------------------------


def test_a_label_is_tied_by_the_language_and_then_needs_none() -> None:
    sides = Sides("en", "es", both=True)
    for language, label in (("en", "A"), ("es", "B")) * 2:
        sides.begin()
        sides.decide(heard(language, label=label))
    sides.begin()
    assert way(sides.decide(heard("", text="ndiyo kabisa", label="B"))) == (PARTNER, "es", "en", "")
    sides.begin()
    assert way(sides.decide(heard("es", label="A"))) == (WEARER, "es", "", "same_language")


def test_a_label_is_tied_at_once_by_the_button() -> None:
    sides = Sides("en", "es", both=True)
    sides.decide(heard("es", label="B", pushed=PARTNER))
    sides.begin()
    assert sides.decide(heard("en", label="B")).why == "same_language"


def test_a_label_that_was_tied_wrongly_is_tied_anew() -> None:
    """The wearer began in Spanish: without this, none of his English would ever be translated."""
    sides = Sides("en", "es", both=True)
    targets = []
    for language in ["es", "es"] + ["en"] * 6:
        sides.begin()
        targets.append(sides.decide(heard(language, label="A")).target)
    assert targets == ["en", "en", "", "es", "es", "es", "es", "es"]


# -- loudness -----------------------------------------------------------------------------------------------------------------


def filled(*levels: tuple[float, Party | None]) -> Levels:
    all_of_them = Levels()
    for level, party in levels:
        all_of_them.add(level, party)
    return all_of_them


def test_loudness_tells_two_voices_apart_once_it_has_heard_both() -> None:
    levels = Levels()
    for level in (-20.0, -35.0, -21.0, -36.0, -19.0):
        assert levels.party(level) is None
        levels.add(level)
    levels.add(-34.0)
    assert [levels.party(level) for level in (-20.0, -28.0, -35.0)] == [WEARER, None, PARTNER]


def test_one_voice_alone_is_not_split_in_two() -> None:
    levels = filled(*((-25.0 + 0.8 * step, None) for step in range(-5, 6)))
    assert {levels.party(level) for level in (-30.0, -25.0, -20.0)} == {None}


def test_what_is_known_of_the_speakers_outweighs_the_clusters() -> None:
    """Here the partner shouts and the wearer mutters: loudness says nothing."""
    levels = filled(*((-20.0, PARTNER), (-35.0, WEARER)) * 4)
    assert levels.party(-20.0) is levels.party(-35.0) is None


def test_the_gap_has_hysteresis() -> None:
    levels = filled(*((-20.0, WEARER), (-20.0 - GAP, PARTNER)) * 4)
    assert levels.party(-20.0) is WEARER
    for _ in range(3):
        levels.add(-21.0 - GAP / 2, PARTNER)
    assert levels.party(-20.0) is WEARER
    fresh = filled(*levels._heard)
    assert fresh.party(-20.0) is None


def test_a_silent_level_is_no_level() -> None:
    levels = filled(*((-20.0, WEARER), (-40.0, PARTNER)) * 4, (float("-inf"), None))
    assert levels.party(float("-inf")) is None
    assert levels.party(-20.0) is WEARER


@given(st.lists(st.floats(-80, 0), max_size=60), st.floats(-80, 0))
def test_any_levels_are_taken_and_louder_is_never_farther(many: list[float], level: float) -> None:
    levels = filled(*((one, None) for one in many))
    order = [levels.party(one) for one in (level - 10, level, level + 10)]
    ranks = [{PARTNER: 0, None: 1, WEARER: 2}[party] for party in order]
    assert ranks == sorted(ranks)


def test_where_nobody_names_the_language_loudness_decides() -> None:
    sides = Sides("en", "es", both=True)
    for level in (-20.0, -35.0) * 3:
        sides.begin()
        assert sides.decide(heard("", text="ndiyo kabisa", level_db=level)).target == ""
    for level, target in ((-20.0, "es"), (-35.0, "en"), (-27.5, "")):
        sides.begin()
        assert sides.decide(heard("", text="ndiyo kabisa", level_db=level)).target == target
