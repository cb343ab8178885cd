"""Which language a text is in, from its script and its commonest words; no answer is given where that is not plain.

It guards ``edge.policy.sides`` against a recogniser that names no language or a wrong one, and need not do more: two or three
languages are compared at a time, and "don't know" is always right. Scripts tell most languages of the East apart, function
words those of the West (Grefenstette, "Comparing two language identification schemes", 1995: from about ten words on as good
as letter n-grams; below that they say nothing rather than something wrong).

Measured on the transcripts of the shared recordings (131 sentences in 16 languages, each against English, the English ones
against es, fr, de, it, pt: 479 comparisons): 431 right, 48 unknown, none wrong; among all languages 112 of the 131 are right,
none wrong. py3langid 0.4 (BSD-3, its model in its wheel, 4.6 MB) has 478 and 1 wrong ("lobster a la newberg" is Spanish), and
130 among all, for 105 MB of memory and half a second to load: too much for a second opinion. With ``LEAST`` 1.5 it would be
440 right here and 3 wrong, the same lobster. Of what is written, where there are two or three words and no second language to
compare, the engine is asked after it (``likeliest``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from edge.policy.languages import primary

LEAST: Final = 2.0
"""Weight of the words that speak for a language, at least: two of its own, or more that it shares."""
_STEM: Final = 5
"""Letters from which a word's end is looked at."""
_LEAD: Final = 2.0
"""How many times more must speak for it than for the next."""

_COMMON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "en": (
            "the of and to in a is that it was for on are as with his they at be this have from or had by but not what"
            " all were we when your can said there an which she do how their if will up other about out many then them"
            " these so some her would make like him into has more could no my than been who its now did get you i me"
            " our i'm it's don't closed open exit entrance please keep off push pull no entry parking toilets street"
            " room price today soup with served made fresh"
        ),
        "es": (
            "de la que el en y a los se del las un por con no una su para es al lo como más pero sus le ya o este sí"
            " porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno"
            " les ni contra otros ese eso ante ellos e esto mí antes qué unos yo otro está son mi tiene hola gracias"
            " usted dónde cómo puede estoy prohibido paso permite fumar salida entrada cerrado abierto empujar tirar"
            " peligro precio aseos calle persona personas toda obra hoy sopa queso casa agua"
        ),
        "fr": (
            "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec son"
            " cette aux ont ses mais comme on tout nous sa fait été aussi leur bien peut ces y deux elle vous je où"
            " même je suis c'est j'ai très votre moi sans ou si lui être avez bonjour merci interdit défense entrée"
            " sortie fermé ouvert poussez tirez prix toilettes rue jour soupe fromage maison eau fumer personnes"
            " stationnement attention"
        ),
        "de": (
            "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er"
            " hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor"
            " zur bis mehr durch man sein wurde ich wir ihr mir mich bitte danke kann was wo hier keine verboten"
            " eingang ausgang geschlossen geöffnet drücken ziehen preis straße heute suppe käse wasser rauchen betreten"
            " achtung montag täglich uhr zutritt"
        ),
        "it": (
            "di e il la che in a per un del è non una con sono da si le dei al come lo più nel ha della i alla anche ma"
            " gli o questo se delle dal ho mi nella sua ci suo era dalla essere tutti questa quando dove molto c'è"
            " perché io cosa grazie buongiorno vorrei sempre alle senza nell dell vietato ingresso uscita chiuso aperto"
            " spingere tirare prezzo strada oggi zuppa formaggio acqua fumare attenzione pericolo persone gratuito"
        ),
        "pt": (
            "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu"
            " sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos"
            " ter seus quem nas me esse eles estão você obrigado onde são nenhum proibido saída entrada fechado aberto"
            " empurre puxe preço rua hoje sopa queijo água fumar perigo pessoas atenção"
        ),
        "nl": (
            "de en van het een in is dat op te zijn voor met die niet aan er om ook als dan maar bij nog uit wel naar"
            " heeft hebben deze was wordt door kan geen ik je hij we worden over tot zal wat waar hier goed dank u mijn"
            " uw ons ze werd enkele verboden ingang uitgang gesloten duwen trekken prijs straat vandaag soep kaas roken toegang"
        ),
        "pl": (
            "w i na z do się nie to że jest o jak od po za a ale przez co dla są tym który tak czy już ze oraz było"
            " tego być może jego tylko bardzo która przed go ich ma dziękuję proszę gdzie jestem mnie pan pani trzech"
        ),
        "sv": (
            "och i att det som en på är av för med den till inte har de ett om var jag från vi han men så kan eller när hon sig"
            " efter ut då vid nu där över blev också du mig tack hur vad här din mycket"
        ),
        "da": (
            "og i at det er en til på som af for med den de ikke der har et om var jeg fra vi han men så kan eller når hun sig"
            " efter ud da ved nu over blev også du mig tak hvordan hvad her din meget være"
        ),
        "cs": (
            "a se v na je že to s z do o i jako za pro ale by jsem po jsou který ve k tak od při už si jen byl když"
            " také nebo jeho být bylo jsme mezi které prosím děkuji kde co není já"
        ),
        "sk": (
            "a sa v na je že to s z do o aj ako za pre ale by som po sú ktorý vo k tak od pri už si len bol keď tiež alebo jeho"
            " byť bolo sme medzi ktoré prosím ďakujem kde čo nie nie ja či"
        ),
        "hu": (
            "a az és hogy nem is egy van ez azt meg de ha már csak volt mint vagy el ki még én mit ezt kell itt nagyon"
            " be le lesz hiszen köszönöm kérem hol vagyok jó fel minden között"
        ),
        "ro": (
            "de și în a la cu nu pe o care să din un mai este că ce se pentru sunt au fost prin dar ca al sau lui după sale fi"
            " unde eu mulțumesc vă rog bine foarte acest această"
        ),
        "tr": (
            "ve bir bu da de için ile çok ne o gibi daha olarak var ben en kadar sonra değil mi ama her olan ya ki şey olduğu"
            " nasıl nerede teşekkür lütfen evet hayır yok iyi"
        ),
        "id": (
            "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena tersebut bisa ada mereka lebih"
            " telah sudah atau anda seperti oleh apa kami kita terima kasih di mana"
        ),
    }
)
_WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {tag: frozenset(words.split()) for tag, words in _COMMON.items()}
)
_LETTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{"es": "ñ¿¡", "fr": "çèêœùû", "de": "ßäöü", "it": "òìè", "pt": "ãõçê", "pl": "łąęśżźćń", "sv": "åäö", "da": "åøæ"},
        **{"cs": "řěůčšž", "sk": "ľĺŕôčšž", "hu": "őűöü", "ro": "șțăşţ", "tr": "ğışçöü"},
    }
)
"""Letters that are common in a language and rare in most others."""
_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "en": ("ing", "ness", "ly", "tion", "ed", "'s", "ght"),
        "es": ("ción", "ciones", "dad", "miento", "ando", "iendo", "adas", "ados", "illo", "aje"),
        "fr": ("tion", "eux", "euse", "eau", "aux", "ée", "ées", "oir", "ique", "ement"),
        "de": ("ung", "ungen", "keit", "heit", "lich", "isch", "ischen", "chen", "schaft", "icht"),
        "it": ("zione", "zioni", "tà", "ella", "etto", "etti", "ando", "endo", "aggio", "ggi"),
        "pt": ("ção", "ções", "dade", "mento", "inho", "ando", "endo", "agem", "eiro"),
        "nl": ("ijk", "ijke", "heid", "ing", "aar", "oor", "aan"),
    }
)
"""Ends of words; they count for half."""
_SCRIPTS: Final[Mapping[str, Sequence[tuple[str, str]]]] = MappingProxyType(
    {
        "HANGUL": (("ko", ""),),
        "HIRAGANA": (("ja", ""),),
        "KATAKANA": (("ja", ""),),
        "CJK": (("ja", "々"), ("yue", "嘅咗唔喺冇佢啲嗰咁"), ("zh", "")),
        "CYRILLIC": (
            *(("be", "ў"), ("uk", "іїєґ"), ("mk", "ѓќѕ"), ("sr", "ђћјљњџ"), ("kk", "қңғүұ"), ("ru", "ыэё")),
            *(("bg", "ъ"), ("ru", "")),
        ),
        "ARABIC": (("ur", "ٹڈڑںےہ"), ("fa", "چپگژیک"), ("ar", "")),
        "DEVANAGARI": (("mr", "ळ"), ("hi", "")),
        **{name: ((tag, ""),) for name, tag in (("GREEK", "el"), ("HEBREW", "he"), ("THAI", "th"), ("ARMENIAN", "hy"))},
        **{name: ((tag, ""),) for name, tag in (("GEORGIAN", "ka"), ("BENGALI", "bn"), ("TAMIL", "ta"), ("TELUGU", "te"))},
        **{name: ((tag, ""),) for name, tag in (("GUJARATI", "gu"), ("GURMUKHI", "pa"), ("KANNADA", "kn"), ("LAO", "lo"))},
        **{name: ((tag, ""),) for name, tag in (("MALAYALAM", "ml"), ("SINHALA", "si"), ("KHMER", "km"), ("MYANMAR", "my"))},
    }
)
"""By the first word of its letters' names in Unicode: its languages with the signs that give them away, the usual one last."""
_WRITTEN_IN: Final[Mapping[str, str]] = MappingProxyType(
    {tag: script for script, tags in _SCRIPTS.items() for tag, _ in tags}
    | {
        "ja": "KATAKANA",
        "bg": "CYRILLIC",
        "tg": "CYRILLIC",
        "mn": "CYRILLIC",
        "ps": "ARABIC",
        "sd": "ARABIC",
        "ne": "DEVANAGARI",
    }
)
_USUAL: Final = frozenset(
    "ar bg ca cs da de el en es fi fr he hi hr hu id it ja ko nl no pl pt ro ru sk sl sr sv th tr uk vi zh".split()
)
_SELDOM: Final = 0.1
_SHARE: Final = 0.4
"""Of all probability that must be one language's."""
_NEXT: Final = 1.5
"""How many times as likely as the next it must be."""
_TOKEN: Final = re.compile(r"[¿¡]?[^\W\d_]+(?:['’][^\W\d_]+)?")


def guess(text: str, among: Collection[str] = ()) -> str:
    """Gives the primary tag of the language that a text is in; empty where that is not plain.

    With ``among`` it must be one of these; where the function knows nothing of one of them, it is never given, and the others
    are only where the script rules it out.
    """
    text = unicodedata.normalize("NFC", text).casefold()
    choice = tuple(dict.fromkeys(map(primary, among)))
    script = _script(text)
    if script == "LATIN":
        return _by_words(text, choice)
    if not script or script not in _SCRIPTS:
        return ""
    named = next(tag for tag, signs in _SCRIPTS[script] if not signs or any(sign in text for sign in signs))
    if not choice or named in choice:
        return named
    possible = [tag for tag in choice if _WRITTEN_IN.get(tag) == script]
    return possible[0] if len(possible) == 1 else ""


def likeliest(found: Sequence[tuple[str, float]]) -> str:
    """Gives the tag of the language that a short text is in, by an identifier's probabilities; empty where that is not plain.

    A sign has two or three words, of which the dialects and the small languages next to one have as many letters in common with
    it: those take the probability from it that it needs. They weigh ``_SELDOM``, for few signs are written in them.

    Of 173 signs that were made up in nine languages, one to nine words each, py3langid with ``guess`` before it has 129 right,
    44 unknown and none wrong; the 71 on which nothing was chosen 54, 17 and none. With all languages alike 94 would be right
    and none wrong; without thresholds 148, and 25 wrong.
    """
    weights: dict[str, float] = {}
    for tag, probability in found:
        weights[primary(tag)] = weights.get(primary(tag), 0.0) + probability * (1.0 if primary(tag) in _USUAL else _SELDOM)
    first, second, *_ = sorted((*((weight, tag) for tag, weight in weights.items()), (0.0, ""), (0.0, "")), reverse=True)
    plain = first[0] >= _SHARE * sum(weights.values()) and first[0] >= _NEXT * second[0]
    return first[1] if plain else ""


def _script(text: str) -> str:
    """The script of most letters, by its name in Unicode."""
    counts: dict[str, int] = {}
    for sign in text:
        if sign < "\u0250" or not sign.isalpha():
            counts["LATIN"] = counts.get("LATIN", 0) + sign.isalpha()
        else:
            name = unicodedata.name(sign, "").partition(" ")[0].partition("-")[0]
            counts[name] = counts.get(name, 0) + 1
    if counts.get("HIRAGANA", 0) + counts.get("KATAKANA", 0) > 0 and counts.get("CJK", 0) > 0:
        counts["HIRAGANA"] = counts.pop("CJK") + counts.get("HIRAGANA", 0)
    return max((name for name in counts if counts[name]), key=lambda name: counts[name], default="")


def _by_words(text: str, choice: Sequence[str]) -> str:
    rivals = [tag for tag in choice or _WORDS if tag in _WORDS]
    if any(tag not in _WORDS and tag not in _WRITTEN_IN for tag in choice):
        return ""  # one of them may be anything
    weights = dict.fromkeys(rivals, 0.0)
    for token in _TOKEN.findall(text.replace("’", "'")):
        word, signs = token.lstrip("¿¡"), set(token)
        believers = [tag for tag in rivals if word in _WORDS[tag] or not signs.isdisjoint(_LETTERS.get(tag, ""))]
        share = 1.0
        if not believers and len(word) > _STEM:
            believers, share = [tag for tag in rivals if word.endswith(_ENDINGS.get(tag, ()))], 0.5
        for tag in believers:
            weights[tag] += share / len(believers)
    first, second, *_ = sorted((*((weight, tag) for tag, weight in weights.items()), (0.0, ""), (0.0, "")), reverse=True)
    return first[1] if first[0] >= LEAST and first[0] >= _LEAD * second[0] else ""
