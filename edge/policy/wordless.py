"""Utterances with nothing to translate: laughter, fillers, a name alone, and what is understood everywhere.

Meta's glasses are known for translating laughter; a recogniser writes it as words ("ha ha ha"), and so it does with coughs and
hesitation. A name is the same word in the other language, so is "okay": spoken once more it only gets in the way. What can be
a word of the language stays: "no", "si", "ja", "da", "va bene". Names are known by a title before them or by a short list of
common ones; a name that is neither is translated, and comes out as itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge.policy.languages import primary

_MARKS: Final = re.compile(r"<[^>]*>|\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|\+\+\S*?\+\+|[♪♫]")
"""What recognisers write for sounds that are not words: ``[laughter]``, ``(applause)``, ``*sighs*``, ``++breath++``."""
_LAUGH: Final = re.compile(
    r"(?:b?w?a?(?:ha){2,}h?|a?(?:ha){2,}h?|(?:he){2,}h?|(?:hi){2,}|(?:ho){2,}|ha|hah|heh|lol|хаха|хехе)+"
)
_LAUGHS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "es": re.compile(r"a?(?:ja|je|ji){2,}"),
        "pt": re.compile(r"(?:k{3,}|(?:rs){2,})"),
        "ko": re.compile(r"[ㅋㅎ]{2,}|하하+|호호+"),
        "ja": re.compile(r"w{2,}|(?:は|ハ){2,}|(?:ふ|フ){2,}"),
        "zh": re.compile(r"哈{2,}|呵{2,}|嘿{2,}"),
        "ru": re.compile(r"(?:ха|хе|хи){2,}"),
        "th": re.compile(r"5{3,}"),
    }
)
_FILLERS: Final = re.compile(
    r"u+h+|u+m+|e+r+m*|e+h+m*|a+h+m*|a+h+a+|h+m+|m+|mm+h*m*|m+h+m*|hu+h|u+h ?hu+h|o+h+|ooh|oops|ouch|phew|psst|shh+|whoa|wow"
    r"|ugh|yay|euh+|heu|ähm*|öhm*|hä|tja|ehm+|boh|mah|pff+|este+h|ну|э+|эм+|м+|あの+|え+と*|えー*|うーん|ん+|嗯+|呃+|啊+|哦+|음+|어+|아+"
)
_EVERYWHERE: Final = frozenset("ok okay okey oké okej ок окей オーケー オッケー 오케이".split())
_TITLES: Final = frozenset(
    "mr mrs ms miss sir madam dr doctor professor prof señor señora señorita sr sra don doña monsieur madame mademoiselle herr"
    " frau signor signora signore senhor senhora pan pani".split()
)
_NAMES: Final = frozenset(
    "ahmed alex alexander ali alice amélie ana andrea andreas andrew anna anne antonio barbara ben carla carlos carmen"
    " caroline charlotte chiara chris christine clara claudia daniel david diego elena elisabeth emily emma erik eva"
    " fatima felix fernando francesca francesco françois george giovanni giulia giuseppe hannah hans helen ivan jack"
    " jacques james jan javier jean jennifer john johann jorge josé joseph juan julia julie karl kate klaus laura linda"
    " lisa louis lucas lucia luis luca maria marie mario martin mary matteo michael michel miguel mohammed monika"
    " nicolas olga pablo patricia paul paula pedro peter petra philippe pierre robert roberto sara sarah simon sofia"
    " sophie stefan stephen susan thomas tom ursula william wolfgang".split()
)


def wordless(text: str, language: str = "") -> bool:
    """Says whether nothing in a text is worth translating; an empty one is so."""
    plain = unicodedata.normalize("NFC", _MARKS.sub(" ", text)).casefold().replace("-", " ")
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)?", plain)
    if not any(word not in _EVERYWHERE and not _sound(word, language) for word in words):
        return True
    # "ja ja" is laughter in Spanish alone, and there only where it is repeated.
    if (laugh := _LAUGHS.get(primary(language))) is not None and laugh.fullmatch("".join(words)):
        return True
    return _name(words)


def _sound(word: str, language: str) -> bool:
    if word == "er" and primary(language) in ("de", "da", "sv", "no", "nl", "tr"):  # "he", "is", "there"
        return False
    if word == "mah" and primary(language) != "it":
        return False
    return bool(_LAUGH.fullmatch(word) or _FILLERS.fullmatch(word))


def _name(words: list[str]) -> bool:
    titled = 2 <= len(words) <= 3 and words[0] in _TITLES
    return titled or (1 <= len(words) <= 2 and all(word in _NAMES for word in words))
