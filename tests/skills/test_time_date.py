"""The time is said in words, and can be understood back."""

from __future__ import annotations

from datetime import datetime

import pytest

from edge.skills.time_date import TimeDate, clock, number, ordinal, year
from tests.skills.asking import FakeAsking, said


def understood(words: str) -> int:
    """The minutes after twelve that a listener takes from a spoken time: an independent reading of English."""
    if words in ("noon", "midnight"):
        return 0
    values = {number(value): value for value in range(60)} | {"a quarter": 15, "half": 30}
    for side, sign in ((" past ", 1), (" to ", -1)):
        if side in words:
            minutes, hour = words.split(side)
            return (values[hour] % 12 * 60 + sign * values[minutes]) % 720
    hour, minutes = words.split(" ", 1)
    return values[hour] % 12 * 60 + (0 if minutes == "o'clock" else values[minutes.removeprefix("oh ")])


def test_every_minute_of_the_day_is_understood() -> None:
    wrong = [(h, m, clock(h, m)) for h in range(24) for m in range(60) if understood(clock(h, m)) != h % 12 * 60 + m]
    assert wrong == []


@pytest.mark.parametrize(
    ("hour", "minute", "words"),
    [
        (0, 0, "midnight"),
        (12, 0, "noon"),
        (16, 0, "four o'clock"),
        (16, 7, "four oh seven"),
        (16, 15, "a quarter past four"),
        (16, 20, "twenty past four"),
        (16, 23, "four twenty-three"),
        (16, 30, "half past four"),
        (23, 45, "a quarter to twelve"),
        (12, 55, "five to one"),
    ],
)
def test_the_time_is_told_as_people_tell_it(hour: int, minute: int, words: str) -> None:
    assert clock(hour, minute) == words


def test_ordinals() -> None:
    assert [ordinal(day) for day in range(1, 32)] == (
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth "
        "twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
    ).split()


def test_years() -> None:
    said = [year(value) for value in (2000, 2007, 2010, 2026, 2090)]
    assert said == ["two thousand", "two thousand and seven", "twenty ten", "twenty twenty-six", "twenty ninety"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what time is it", "It's twenty past four."),
        ("what is the time", "It's twenty past four."),
        ("what day is it", "It's Sunday, November twenty-second."),
        ("what is todays date", "It's Sunday, November twenty-second."),
        ("what month is it", "It's November."),
        ("what year is it", "It's twenty twenty-six."),
    ],
)
async def test_the_question_chooses(question: str, answer: str) -> None:
    assert await said(TimeDate(), FakeAsking(question, now=datetime(2026, 11, 22, 16, 20))) == answer
