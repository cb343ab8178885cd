"""The time and the date, in words.

Figures are left to no voice: espeak-ng says "four zero five P M" for "4:05 PM" and "sixteen twenty" for "16:20", and neither
is how people tell the time. Words are read alike by every voice. Morning or afternoon is left out: the wearer knows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from edge.skill import Asking

_ONES = (
    "zero one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()


class TimeDate:
    """Tells the wearer's local time, day, month or year."""

    name = "time_date"
    summary = "tell the time and the date"
    phrases: Sequence[str] = (
        "(what is | what's | tell me | give me) the time [now | please]",
        "what time (is it | it is) [now | please]",
        "what (day | month | year) (is it | it is) [today | now]",
        "what day is today",
        "(what is | what's | tell me) (the date | today's date | the day) [today]",
        "what date is it [today]",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives one sentence; the question's own word chooses which."""
        now = asking.wall_time()
        asked = asking.transcript.split()
        if "time" in asked:
            yield f"It's {clock(now.hour, now.minute)}."
        elif "year" in asked:
            yield f"It's {year(now.year)}."
        elif "month" in asked:
            yield f"It's {_MONTHS[now.month - 1]}."
        else:
            yield f"It's {date(now)}."


def clock(hour: int, minute: int) -> str:
    """Gives a time of day as it is said: ``twenty past four``, ``four oh seven``, ``noon``."""
    if minute == 0:
        return {0: "midnight", 12: "noon"}.get(hour) or f"{_hour(hour)} o'clock"
    if minute == 30:
        return f"half past {_hour(hour)}"
    if minute % 5 == 0:
        there, side = (hour, "past") if minute < 30 else (hour + 1, "to")
        distance = minute if minute < 30 else 60 - minute
        return f"{'a quarter' if distance == 15 else number(distance)} {side} {_hour(there)}"
    return f"{_hour(hour)} {'oh ' if minute < 10 else ''}{number(minute)}"


def date(day: datetime) -> str:
    """Gives a day as it is said: ``Sunday, November twenty-second``."""
    return f"{_DAYS[day.weekday()]}, {_MONTHS[day.month - 1]} {ordinal(day.day)}"


def year(value: int) -> str:
    """Gives a year from 2000 to 2099 as it is said: ``twenty twenty-six``, ``two thousand and seven``."""
    rest = value - 2000
    if rest < 10:
        return "two thousand" + (f" and {number(rest)}" if rest else "")
    return f"twenty {number(rest)}"


def number(value: int) -> str:
    """Gives 0 to 99 in words."""
    if value < 20:
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")


def ordinal(value: int) -> str:
    """Gives 1 to 31 as an ordinal in words."""
    *tens, last = number(value).split("-")
    if last.endswith("y"):
        last = last[:-1] + "ie"
    return "-".join([*tens, _ORDINALS.get(last) or ("twelf" if last == "twelve" else last) + "th"])


def _hour(hour: int) -> str:
    return number((hour - 1) % 12 + 1)
