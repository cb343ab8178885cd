"""What a question is about, which lines answer it, and which sentences they bear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.grounding import (
    Shape,
    agree,
    content_words,
    evidence,
    figures_borne,
    knowable,
    supported,
    understand,
    visible,
)

MENU = ("COFFEE 2.50", "TEA 2.20", "HOT CHOC0LATE 3.10")
BAKERY = ("BAKERY", "Open 8 am to 5 pm", "Closed on Sunday")
DENTIST = ("Dr. Anna Weber", "Dentist", "2nd floor", "Tel. 030 5550 172")


@pytest.mark.parametrize(
    ("question", "shape"),
    [
        ("how much is the tea", Shape.PRICE),
        ("when does it open", Shape.TIME),
        ("how often does the ferry leave", Shape.FREQUENCY),
        ("what is the phone number", Shape.PHONE),
        ("who invented the telephone", Shape.PERSON),
        ("how far is the lake", Shape.DISTANCE),
        ("where does this train go", Shape.PLACE),
    ],
)
def test_the_shape_of_the_answer_is_understood(question: str, shape: Shape) -> None:
    assert understand(question).shape is shape


@pytest.mark.parametrize(
    ("question", "lines", "chosen"),
    [
        ("how much is the tea", MENU, ("TEA 2.20",)),
        ("how much is the hot chocolate", MENU, ("HOT CHOC0LATE 3.10",)),
        ("on which day is it closed", BAKERY, ("Closed on Sunday",)),
        ("on which floor is the dentist", DENTIST, ("Dentist", "2nd floor")),
        ("how much is the ticket for children", ("Adults 12 euros", "Children 5 euros"), ("Children 5 euros",)),
        ("how much is the soup", ("SOUP", "4.50 €", "BREAD", "1.00 €"), ("SOUP", "4.50 €")),
    ],
)
def test_the_lines_that_answer_are_chosen(question: str, lines: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    found = evidence(understand(question), lines)
    assert found.answerable and found.lines == chosen


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("how much is the lemonade", MENU),
        ("when do you close", MENU),
        ("what is the phone number", BAKERY),
        ("who is the manager", BAKERY),
        ("how old is she", DENTIST),
        ("when does the museum close", ()),
    ],
)
def test_what_no_line_answers_is_known_to_be_unanswerable(question: str, lines: tuple[str, ...]) -> None:
    assert not evidence(understand(question), lines).answerable


@pytest.mark.parametrize(
    ("said", "question", "lines", "kept"),
    [
        ("The tea is 2.20.", "how much is the tea", ("TEA 2.20",), "The tea is 2.20."),
        ("The tea is 3.80.", "how much is the tea", ("TEA 2.20",), ""),
        ("It opens at eight am.", "when does the bakery open", BAKERY[:2], "It opens at eight am."),
        (
            "The bakery is open 8 am to 5 pm, but not in Italy.",
            "when does it open",
            BAKERY[:2],
            "The bakery is open 8 am to 5 pm.",
        ),
        ("Yes, they take checks.", "do they take checks", ("No personal check accepted.",), ""),
        ("No personal checks.", "do they take checks", ("No personal check accepted.",), "No personal checks."),
        ("The train goes to London.", "where does this train go", ("Train to Leeds",), ""),
        ("The train goes to Leeds.", "where does this train go", ("Train to Leeds",), "The train goes to Leeds."),
        ("This train goes.", "where does this train go", ("Train to Leeds",), ""),
        ("", "how much is the tea", MENU, ""),
    ],
)
def test_only_what_the_evidence_bears_is_said(said: str, question: str, lines: tuple[str, ...], kept: str) -> None:
    assert supported(said, understand(question), lines) == kept


@pytest.mark.parametrize(
    ("question", "can"),
    [
        ("what is the capital of france", True),
        ("who wrote hamlet", True),
        ("what is the weather in munich", False),
        ("what did i have for breakfast", False),
        ("how much is the lemonade", False),
        ("is swimming allowed", False),
        ("where are the toilets", False),
        ("what is it", False),
    ],
)
def test_what_a_model_cannot_know_is_not_asked_of_it(question: str, can: bool) -> None:
    assert knowable(understand(question)) is can


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("The capital of France is Paris.", "Paris is its capital.", True),
        ("The capital of France is Paris.", "It is Lyon.", False),
        ("The capital of France is France.", "The capital of France is France.", False),
        ("France has 3 capitals.", "France has three capitals.", True),
        ("France has 3 capitals.", "France has 4 capitals.", False),
        ("It was in 1945.", "It was in 1945.", False),
    ],
)
def test_agreement_is_about_what_is_new(first: str, second: str, same: bool) -> None:
    assert agree(first, second, understand("what is the capital of france")) is same


def test_content() -> None:
    assert content_words("what is it") == () and content_words("") == ()
    assert content_words("what is the time") == ("time",)


LINE = st.text(max_size=40)


@given(LINE, st.lists(LINE, max_size=6), LINE)
def test_any_text_goes_through_and_nothing_foreign_comes_out(asked: str, lines: list[str], said: str) -> None:
    question = understand(asked)
    found = evidence(question, lines)
    assert set(found.lines) <= set(lines) and len(found.lines) <= 3
    kept = supported(said, question, lines)
    assert kept == "" or said.strip().startswith(kept.rstrip(".!? "))
    assert not agree(said, said, understand(said)), "a sentence that repeats the question says nothing new"


@given(st.integers(2, 10**6), st.integers(2, 10**6))
def test_a_number_that_is_not_there_is_never_said(there: int, said: int) -> None:
    kept = supported(f"The bill is {said} euros.", understand("how much is the bill"), [f"Bill {there} euros"])
    assert bool(kept) is (there == said)


@pytest.mark.parametrize(
    ("asked", "eyes"),
    [
        ("what is the man holding", True),
        ("is there a dog", True),
        ("what is on the left", True),
        ("what is the capital of france", False),
        ("when does the shop open", False),
        ("how much is the tea", False),
    ],
)
def test_what_only_eyes_tell_is_known_by_its_words(asked: str, eyes: bool) -> None:
    assert visible(understand(asked)) is eyes


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_figure_that_was_not_read_is_not_borne(there: int, said: int) -> None:
    borne = figures_borne(f"I see {said} of them.", understand("how many are there"), [f"Total {there}"])
    assert borne is (said <= 20 or said == there)
