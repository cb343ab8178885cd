import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.normalise import plain, speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("NO PARKING", "No parking"),
        ("The sign says NO PARKING ANYTIME.", "The sign says no parking anytime."),
        ("EXIT B2", "EXIT B2"),
        ("IT IS OUT OF ORDER", "It is out of order"),
        ("MADE IN USA", "Made in USA"),
        ("DON'T WALK", "Don't walk"),
        ("A & B, R&D", "A & B, R&D"),
        ("→ Exit", "right, Exit"),
        ("Gates 1-5 ← Platform", "Gates 1 to 5, left, Platform"),
        ("Gate 4 -> Gate 5", "Gate 4, right, Gate 5"),
        ("8:30 am, 12:05, 9:00, 9:00 AM, 12:30:45", "8:30 am, 12 oh 5, 9 o'clock, 9 AM, 12:30:45"),
        ("$4.50 or €1, £3.00, $0.99, $1,250.50", "4 dollars 50 cents or 1 euro, 3 pounds, 99 cents, 1,250 dollars 50 cents"),
        (
            "5 km, 3kg, 20°C, 60 km/h, 1 ft, 1 hr",
            "5 kilometres, 3 kilograms, 20 degrees Celsius, 60 kilometres per hour, 1 foot, 1 hour",
        ),
        ("B12 m, 5 m², I am 5", "B12 m, 5 m², I am 5"),
        ("pull smolvlm2-500m, go 2-5 km", "pull smolvlm2-500m, go 2 to 5 kilometres"),
        ("50-60, 555-0100, 2026-11-03", "50 to 60, 555-0100, 2026-11-03"),
        ("See https://www.example.com/menu?x=1.", "See example dot com slash menu."),
        ("Mail info@example.org or visit example.com", "Mail info at example dot org or visit example dot com"),
        ("#5 of <6, ~7 x 2", "number 5 of less than 6, about 7 times 2"),
        ("**Bold**, _under_, `code`, foo_bar", "Bold, under, code, foo_bar"),
        ("# Title\n* one\n- two\n1. three", "Title one two 1. three"),
        ("[here](http://x.org/a) ![alt](b.png)", "here alt"),
        ("It’s “fine” 😀👍🏽 👨‍👩‍👧 1️⃣ ok", "It’s “fine” 1 ok"),
        ("a\x00b\x01c\u200bd\ud800e", "a b cd e"),
        ("", ""),
        ("😀", ""),
    ],
)
def test_spoken_form(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


def test_plain_leaves_every_language_its_words() -> None:
    assert plain("**Größe** 50 km – 第一句。\nпривет") == "Größe 50 km – 第一句。 привет"


PARTS = [
    "NO",
    "PARKING",
    "A",
    "IT'S",
    "$4.50",
    "5",
    "km",
    "12:05",
    "->",
    "**",
    "# ",
    "- ",
    "[x](y)",
    ".",
    ", ",
    "\n",
    " ",
    "50-60",
    "a.co",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=12).map("".join))
def test_once_is_enough_and_leaves_one_clean_line(text: str) -> None:
    once = speakable(text)
    assert speakable(once) == once
    assert once == " ".join(once.split())
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in once)


@given(st.lists(st.from_regex(r"[b-z][aeiou][a-z]{2,7}[,.?!]?|[A-Z][aeiou][a-z]{2,7}|\d{1,4}", fullmatch=True), max_size=12))
def test_ordinary_words_stay_as_they_are(words: list[str]) -> None:
    assert speakable(" ".join(words)) == " ".join(words)
