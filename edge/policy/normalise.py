"""What text must become to be spoken well by any voice.

It is done before the answer's text is fixed: ``edge.policy.sentences`` cuts a piece, brings it through ``speakable``, and the
result *is* the answer, on the event line, in the history, and in the voice's word marks. So nothing has to be mapped back,
and the words reported as heard are words of the answer.

Voices read numbers, ordinals, percent signs and most abbreviations themselves. What is here is what espeak-ng 1.52 gets wrong
by its own phonemes (``espeak-ng -q -x``): 9:00 ("nine zero zero"), 12:05 ("twelve zero five"), $4.50 ("dollar four point five
zero"), 50-60 ("fifty dash sixty"), km, km/h, mph, hrs, °C, #5 ("hash five"), 5 x 3 ("five ex three"), < (nothing), ->
(nothing), https:// (every letter), IT and US in capitals (letters), "*" ("asterisk").
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u2028\u2029\ufeff\ud800-\udfff]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\U000e0000-\U000e007f]")
_EMOJI = re.compile(
    r"[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff\u20e3]"  # pictures, dingbats, shapes, keycaps
)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_LINK_REST = re.compile(r"\]\([^)\s]*\)")  # of a link whose text a sentence cut in two
_LINE_START = re.compile(r"^[ \t]*(?:(?:#{1,6}|[-*+•‣◦▪]|>)[ \t]+)+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$|```\w*", re.MULTILINE)
_TIMES_STAR = re.compile(r"(?<=\d) ?\* ?(?=\d)")
_MARKS = re.compile(r"[*`|]+|~~|(?<![\w/])_+(?=\w)|(?<=\w)_+(?![\w/])")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r"\s+([,.;:!?])(?=\s|$)")


def plain(text: str) -> str:
    """Takes markdown, emoji, control characters and doubled white space out; right for every language."""
    while (cleaner := _cleaned(text)) != text:  # what is taken out may have hidden a mark at a line's start
        text = cleaner
    return text


def _cleaned(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    text = _RULE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    text = _LINK_REST.sub("", text)
    text = _LINE_START.sub("", text)
    text = _CONTROLS.sub(" ", text)
    text = _TIMES_STAR.sub(" × ", text)
    text = _MARKS.sub("", _EMOJI.sub(" ", text))
    return _SPACE_BEFORE.sub(r"\1", _SPACES.sub(" ", text)).strip()


def speakable(text: str) -> str:
    """Gives English text as it is to be spoken, on one line. Doing it twice changes nothing more."""
    while (spoken := _spoken(text)) != text:  # "€$4.50": one rule may uncover work for another
        text = spoken
    return text


def _spoken(text: str) -> str:
    text = _arrows(text)  # before markdown takes "->" for a bullet, and dingbats for emoji
    text = plain(text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _SPACES.sub(" ", _CAPITALS.sub(_lower, text)).strip()


_ARROWS = {
    "→": "right",
    "➔": "right",
    "➜": "right",
    "➡": "right",
    "⇒": "right",
    "←": "left",
    "⬅": "left",
    "⇐": "left",
    "↑": "straight on",
    "⬆": "straight on",
    "↓": "down",
    "⬇": "down",
    "↗": "ahead to the right",
    "↖": "ahead to the left",
    "->": "right",
    "-->": "right",
    "=>": "right",
    "<-": "left",
    "<--": "left",
}
_ARROW = re.compile("|".join(sorted(map(re.escape, _ARROWS), key=len, reverse=True)))


def _arrows(text: str) -> str:
    """On a sign an arrow is a direction: "Toilets →" is "Toilets, right"."""

    def name(match: re.Match[str]) -> str:
        before = text[: match.start()].rstrip(" ")
        after = text[match.end() :].lstrip(" \ufe0e\ufe0f")
        left = "" if not before or not before[-1].isalnum() else ","
        right = "" if not after or not after[0].isalnum() else ","
        return f"{left} {_ARROWS[match.group()]}{right} "

    return _ARROW.sub(name, text)


def _address(match: re.Match[str]) -> str:
    """A web or mail address as people say it: "example dot com slash menu". What follows "?" or "#" is left out."""
    address = re.split(r"[?#]", match.group(1), maxsplit=1)[0].rstrip("/")
    for sign, word in ((".", "dot"), ("/", "slash"), ("@", "at"), ("-", "dash"), ("_", "underscore")):
        address = address.replace(sign, f" {word} ")
    return address


_TOP = "(?:com|org|net|edu|gov|info|io|app|dev|co|uk|de|fr|es|it|nl|eu|us|ca|au|jp|cn|in|ch|at)"
_WEB = re.compile(r"(?:https?://(?:www\.)?|\bwww\.)([^\s<>\"')\]]*[\w/])")
_MAIL = re.compile(r"(?<![\w.])([\w.+-]+@[\w-]+(?:\.[\w-]+)+)\b")
_BARE = re.compile(rf"(?<![\w.])([a-z0-9-]+(?:\.[a-z0-9-]+)*\.{_TOP}(?![\w-])(?:/[\w./-]*\w)?)")


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = match.groups()
    if minute != "0":
        return f"{hour} oh {minute}"
    return hour if half else f"{hour} o'clock"


def _money(match: re.Match[str]) -> str:
    sign, whole, part = match.group(1), match.group(2), match.group(3)
    one, many, cent, cents = _MONEY[sign]
    big = f"{whole} {one if whole == '1' else many}"
    if not part or part == "00":
        return big
    small = f"{int(part)} {cent if part == '01' else cents}"
    return small if whole == "0" else f"{big} {small}"


_MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
}

_UNITS = {
    "km/h": "kilometres per hour",
    "kph": "kilometres per hour",
    "mph": "miles per hour",
    "km": "kilometres",
    "cm": "centimetres",
    "mm": "millimetres",
    "m": "metres",
    "ft": "feet",
    "kg": "kilograms",
    "g": "grams",
    "mg": "milligrams",
    "lb": "pounds",
    "lbs": "pounds",
    "oz": "ounces",
    "l": "litres",
    "L": "litres",
    "ml": "millilitres",
    "mL": "millilitres",
    "min": "minutes",
    "mins": "minutes",
    "hr": "hours",
    "hrs": "hours",
    "°C": "degrees Celsius",
    "°F": "degrees Fahrenheit",
    "kW": "kilowatts",
    "kWh": "kilowatt hours",
    "MB": "megabytes",
    "GB": "gigabytes",
}
_UNIT = re.compile(
    r"(?<![\w.,])(?<![A-Za-z]\d-)(\d+(?:[.,]\d+)*) ?("
    + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    + r")(?![\w/°²³])"
)


def _unit(match: re.Match[str]) -> str:
    number, words = match.group(1), _UNITS[match.group(2)]
    if number == "1":
        words = "foot" if words == "feet" else re.sub(r"s\b", "", words, count=1)
    return f"{number} {words}"


_Replace = str | Callable[[re.Match[str]], str]
_RULES: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    (_WEB, _address),
    (_MAIL, _address),
    (_BARE, _address),
    (re.compile(r"([$€£])(\d+(?:,\d{3})*)(?:\.(\d\d))?(?![\d.,]*\d)"), _money),
    (re.compile(r"(?<![\d:.])([01]?\d|2[0-4]):0(\d)(?![\d:])(?=(\s?[ap]\.?m\b)?)", re.IGNORECASE), _clock),
    (re.compile(r"(?<![\w.,/-])(\d{1,3}) ?[-–] ?(\d{1,3})(?![\d/-])"), r"\1 to \2"),
    (_UNIT, _unit),
    (re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)"), " times "),
    (re.compile(r"(?<![\w&])#\s?(?=\d)"), "number "),
    (re.compile(r"(?<![<\w])<\s?(?=\d)"), "less than "),
    (re.compile(r"(?<![>\w])>\s?(?=\d)"), "more than "),
    (re.compile(r"(?<!\w)~\s?(?=\d)"), "about "),
    (re.compile(r"\bvs\.?(?=\s)"), "versus"),
)

# Two words of capitals or more in a row are how signs are written. A word alone may be an acronym; a word with a digit in it
# is a name (gate B2), and so is a single letter.
_CAPITALS = re.compile(r"\b[A-Z]{2,}(?:['’][A-Z]+)?(?:[ ,&-]+(?:[A-Z]{2,}(?:['’][A-Z]+)?|[AI](?=[ ]+[A-Z]{2})))+\b(?!\d)")
_KEPT = frozenset(
    "AM PM USA UK EU UN NATO NASA ATM WC TV GPS VIP PIN ID DNA CD DVD QR USB LED PC BBC CNN FBI KFC BMW DHL UPS".split()
)


def _lower(match: re.Match[str]) -> str:
    first, *rest = re.split(r"([ ,&-]+)", match.group())
    start = match.string[: match.start()].rstrip()
    sentence = not start or start[-1] in ".!?:;\n"
    head = first if first in _KEPT else first.capitalize() if sentence else first.lower()
    return head + "".join(word if word in _KEPT or word == "I" else word.lower() for word in rest)
