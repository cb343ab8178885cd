"""The names of languages: what people call them, what engines call them, and which of these mean the same.

Tags are BCP 47 (RFC 5646): a language by its shortest code, ISO 639-1 where there is one, then perhaps a script or a region.
Two tags are compared by the language alone: whoever speaks ``pt-PT`` understands ``pt-BR``. The table holds what Whisper,
M2M100 and Apertium know between them; engines that use three letters (ISO 639-3) find them in it too.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

CLOSE: Final = 0.8
"""Likeness (difflib's ratio) from which a misspelt or misheard name is taken for a language's: "spannish", "portugese"."""
_AHEAD: Final = 0.06
"""How much less like the next language's name must be: "norvenian" is as near to Slovenian as to Norwegian."""
_LIKELY: Final = 0.55
"""Likeness from which a language is worth asking back about."""
_LEAST: Final = 5
"""Letters of a name that may be misspelt: of shorter ones most are other words ("lay" is not Lao, "this" is not Thai)."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language, or one region's or script's form of it."""

    tag: str
    three: str
    """ISO 639-3."""
    name: str
    """English."""
    own: str
    """What its speakers call it."""
    others: tuple[str, ...] = ()
    """What else it is called in English."""


_TABLE: Final = """
af|afr|Afrikaans|Afrikaans
am|amh|Amharic|አማርኛ
an|arg|Aragonese|aragonés
ar|ara|Arabic|العربية|modern standard arabic
as|asm|Assamese|অসমীয়া
ast|ast|Asturian|asturianu
az|aze|Azerbaijani|azərbaycanca|azeri
ba|bak|Bashkir|башҡортса
be|bel|Belarusian|беларуская|belorussian,byelorussian
bg|bul|Bulgarian|български
bn|ben|Bengali|বাংলা|bangla
bo|bod|Tibetan|བོད་སྐད
br|bre|Breton|brezhoneg
bs|bos|Bosnian|bosanski
ca|cat|Catalan|català|valencian
ceb|ceb|Cebuano|Sinugbuanon
cs|ces|Czech|čeština
cy|cym|Welsh|Cymraeg
da|dan|Danish|dansk
de|deu|German|Deutsch|high german
el|ell|Greek|ελληνικά|modern greek
en|eng|English|English
eo|epo|Esperanto|Esperanto
es|spa|Spanish|español|castilian,castellano
et|est|Estonian|eesti
eu|eus|Basque|euskara
fa|fas|Persian|فارسی|farsi,dari
fi|fin|Finnish|suomi
fo|fao|Faroese|føroyskt
fr|fra|French|français
frp|frp|Franco-Provençal|arpitan
fy|fry|Frisian|Frysk|west frisian
ga|gle|Irish|Gaeilge|irish gaelic
gd|gla|Scottish Gaelic|Gàidhlig|gaelic,scots gaelic
gl|glg|Galician|galego
gu|guj|Gujarati|ગુજરાતી
ha|hau|Hausa|Hausa
haw|haw|Hawaiian|ʻŌlelo Hawaiʻi
he|heb|Hebrew|עברית|modern hebrew
hi|hin|Hindi|हिन्दी
hr|hrv|Croatian|hrvatski|croat
ht|hat|Haitian Creole|kreyòl ayisyen|haitian,creole
hu|hun|Hungarian|magyar
hy|hye|Armenian|հայերեն
id|ind|Indonesian|bahasa Indonesia
ig|ibo|Igbo|Igbo
is|isl|Icelandic|íslenska
it|ita|Italian|italiano
ja|jpn|Japanese|日本語
jv|jav|Javanese|basa Jawa
ka|kat|Georgian|ქართული
kk|kaz|Kazakh|қазақша
km|khm|Khmer|ខ្មែរ|cambodian
kn|kan|Kannada|ಕನ್ನಡ
ko|kor|Korean|한국어
ku|kur|Kurdish|kurdî|kurmanji
ky|kir|Kyrgyz|кыргызча|kirghiz
la|lat|Latin|Latina
lb|ltz|Luxembourgish|Lëtzebuergesch
lg|lug|Ganda|Luganda
ln|lin|Lingala|lingála
lo|lao|Lao|ລາວ|laotian
lt|lit|Lithuanian|lietuvių
lv|lav|Latvian|latviešu
mg|mlg|Malagasy|Malagasy
mi|mri|Maori|te reo Māori|te reo
mk|mkd|Macedonian|македонски
ml|mal|Malayalam|മലയാളം
mn|mon|Mongolian|монгол
mr|mar|Marathi|मराठी
ms|msa|Malay|bahasa Melayu|malaysian
mt|mlt|Maltese|Malti
my|mya|Burmese|မြန်မာဘာသာ|myanmar
nb|nob|Bokmål|bokmål|norwegian bokmal
ne|nep|Nepali|नेपाली
nl|nld|Dutch|Nederlands|flemish
nn|nno|Nynorsk|nynorsk|norwegian nynorsk
no|nor|Norwegian|norsk
oc|oci|Occitan|occitan
or|ori|Odia|ଓଡ଼ିଆ|oriya
pa|pan|Punjabi|ਪੰਜਾਬੀ|panjabi
pl|pol|Polish|polski
ps|pus|Pashto|پښتو|pushto
pt|por|Portuguese|português
ro|ron|Romanian|română|moldovan,moldavian,rumanian
ru|rus|Russian|русский
sa|san|Sanskrit|संस्कृतम्
sc|srd|Sardinian|sardu
sd|snd|Sindhi|سنڌي
sh|hbs|Serbo-Croatian|srpskohrvatski
si|sin|Sinhala|සිංහල|sinhalese,singhalese
sk|slk|Slovak|slovenčina|slovakian
sl|slv|Slovenian|slovenščina|slovene
sn|sna|Shona|chiShona
so|som|Somali|Soomaali
sq|sqi|Albanian|shqip
sr|srp|Serbian|српски|srpski
su|sun|Sundanese|basa Sunda
sv|swe|Swedish|svenska
sw|swa|Swahili|Kiswahili
szl|szl|Silesian|ślōnski
ta|tam|Tamil|தமிழ்
te|tel|Telugu|తెలుగు
tg|tgk|Tajik|тоҷикӣ
th|tha|Thai|ไทย|siamese
tk|tuk|Turkmen|türkmençe
tl|tgl|Filipino|Filipino|tagalog,pilipino
tr|tur|Turkish|Türkçe
tt|tat|Tatar|татарча
uk|ukr|Ukrainian|українська
ur|urd|Urdu|اردو
uz|uzb|Uzbek|oʻzbekcha
vi|vie|Vietnamese|tiếng Việt
wo|wol|Wolof|Wolof
xh|xho|Xhosa|isiXhosa
yi|yid|Yiddish|ייִדיש
yo|yor|Yoruba|Yorùbá
yue|yue|Cantonese|粵語
zh|zho|Chinese|中文|mandarin,mandarin chinese,standard chinese,putonghua
zu|zul|Zulu|isiZulu
en-AU|eng|Australian English|Australian English
en-GB|eng|British English|British English
en-US|eng|American English|American English
es-419|spa|Latin American Spanish|español latinoamericano
es-ES|spa|European Spanish|español de España|castilian spanish
es-MX|spa|Mexican Spanish|español de México
fr-CA|fra|Canadian French|français canadien|quebec french
de-AT|deu|Austrian German|österreichisches Deutsch
de-CH|deu|Swiss German|Schweizerdeutsch
nl-BE|nld|Belgian Dutch|Vlaams
pt-BR|por|Brazilian Portuguese|português do Brasil|brazilian
pt-PT|por|European Portuguese|português europeu
zh-Hans|zho|Simplified Chinese|简体中文
zh-Hant|zho|Traditional Chinese|繁體中文
"""
_OLD: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{"cmn": "zh", "fil": "tl", "in": "id", "iw": "he", "ji": "yi", "jw": "jv", "mo": "ro", "zsm": "ms", "zlm": "ms"},
        **{"arb": "ar", "ekk": "et", "kmr": "ku", "lvs": "lv", "npi": "ne", "ory": "or", "pes": "fa", "plt": "mg", "swh": "sw"},
        **{"alb": "sq", "arm": "hy", "baq": "eu", "bur": "my", "chi": "zh", "cze": "cs", "dut": "nl", "fre": "fr", "geo": "ka"},
        **{"ger": "de", "gre": "el", "ice": "is", "mac": "mk", "mao": "mi", "may": "ms", "per": "fa", "rum": "ro", "slo": "sk"},
        **{"tib": "bo", "wel": "cy"},
    }
)
"""Codes that were given up, one-to-one members of macrolanguages, and the bibliographic codes of ISO 639-2."""
_WITHIN: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"no": frozenset({"nb", "nn"}), "sh": frozenset({"bs", "hr", "sr"})}
)
"""Macrolanguages whose name engines use for any of their members."""

_LANGUAGES: Final[Mapping[str, Language]] = MappingProxyType(
    {
        row[0].casefold(): Language(row[0], row[1], row[2], row[3], tuple(row[4].split(",")) if len(row) > 4 else ())
        for row in (line.split("|") for line in _TABLE.strip().splitlines())
    }
)
_TWO: Final = MappingProxyType({one.three: one.tag for one in reversed(tuple(_LANGUAGES.values())) if "-" not in one.tag})
_TAG: Final = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)


def tag_of(text: str) -> str:
    """Gives the tag of a language by its name (English or its own), its code or its tag; empty where none is meant.

    A name may be misspelt a little. "Mandarin" is ``zh``, "Brazilian Portuguese" ``pt-BR``, ``eng`` is ``en``.
    """
    if (named := heard_as(text)) and _folded(text) in _NAMES:
        return named
    code = text.strip()
    if _TAG.fullmatch(code) and primary(code) in _LANGUAGES:
        return _written(code)
    return named


def heard_as(text: str) -> str:
    """Gives the tag of a language by its name alone; empty where none is meant.

    For what was spoken: there "it", "my" and "no" are words, not Italian, Burmese and Norwegian.
    """
    name = _bare(_folded(text))
    if name in _NAMES:
        return _NAMES[name]
    (first, likeness), (_, second) = _ranked(name)
    close = len(name) >= _LEAST and likeness >= CLOSE and likeness - second >= _AHEAD
    return first if close else ""


def suggested(text: str) -> str:
    """Gives the English name of the language that a text may have meant; empty where none is anything like it."""
    (first, likeness), _ = _ranked(_bare(_folded(text)))
    return name_of(first) if likeness >= _LIKELY else ""


def name_of(tag: str) -> str:
    """Gives a language's English name, with its region where that has a name of its own; the tag itself where unknown."""
    found = _found(tag)
    return found.name if found is not None else tag


def own_name_of(tag: str) -> str:
    """Gives what a language's speakers call it; the tag itself where unknown."""
    found = _found(tag)
    return found.own if found is not None else tag


def primary(tag: str) -> str:
    """Gives the language of a tag by its shortest code, without script and region: ``pt`` of ``pt_BR``, ``en`` of ``eng``."""
    code: str = re.split("[-_]", tag.strip().casefold(), maxsplit=1)[0]
    code = _OLD.get(code, code)
    return _TWO.get(code, code)


def three_letters(tag: str) -> str:
    """Gives a language's ISO 639-3 code, as Apertium names it; empty where unknown."""
    found = _LANGUAGES.get(primary(tag))
    return found.three if found is not None else ""


def same(one: str, other: str) -> bool:
    """Says whether two tags are of one language. Empty ones are of none."""
    left, right = primary(one), primary(other)
    if not left or not right:
        return False
    return left == right or left in _WITHIN.get(right, ()) or right in _WITHIN.get(left, ())


def known() -> tuple[Language, ...]:
    """Gives all of them, regional forms last."""
    return tuple(_LANGUAGES.values())


def _found(tag: str) -> Language | None:
    return _LANGUAGES.get(_written(tag).casefold()) or _LANGUAGES.get(primary(tag))


def _written(tag: str) -> str:
    """The tag as RFC 5646 (2.1.1) writes it: ``pt-BR``, ``zh-Hant``."""
    parts = re.split("[-_]", tag.strip())[1:]
    return "-".join([primary(tag), *(part.title() if len(part) == 4 else part.upper() for part in parts)])


def _folded(text: str) -> str:
    """The words of a name in lower case, without marks over letters and without punctuation."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.sub(r"[^\w\s]|_", " ", "".join(sign for sign in letters if not unicodedata.combining(sign))).split())


def _bare(name: str) -> str:
    return re.sub(r"^the (?=.)|(?<=.) (?:language|please)$", "", name)


def _ranked(name: str) -> tuple[tuple[str, float], tuple[str, float]]:
    """The two languages whose names are most like a text."""
    best: dict[str, float] = {"": 0.0, " ": 0.0}
    matcher = difflib.SequenceMatcher(b=name, autojunk=False)
    for other, tag in _NAMES.items():
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() > _LIKELY / 2 and matcher.quick_ratio() > _LIKELY / 2:
            best[tag] = max(best.get(tag, 0.0), matcher.ratio())
    first, second, *_ = sorted(best.items(), key=lambda one: -one[1])
    return first, second


_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        _folded(name): language.tag
        for language in reversed(tuple(_LANGUAGES.values()))
        for name in (*language.others, language.own, language.name)
    }
)
