"""A sentence without what it can do without: for an interpreter who is far behind.

What goes, in this order: brackets and what stands between dashes, words that only fill a pause, words said twice, and
subordinate clauses that add to the main one without limiting it ("which was built in the war", "because he was tired",
"although it rains"). Conditions and times ("if", "unless", "until", "before") stay: they limit. So does every number, name and
negation, and with them the clause that they stand in. In German every noun looks like a name, and clauses that limit have
commas too: only reasons go there, and only those without a noun.

It works on words and commas and knows no grammar, so it only does what is safe without: a clause goes where commas show
both its ends, and the result is compared with the text (``_kept``) before it is given. The rest is the text as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge.policy.languages import primary


@dataclass(frozen=True, slots=True)
class _Rules:
    """One language's words, in lower case; alternatives of a pattern where bars divide them."""

    openers: str
    """Fillers at the start, before a comma; elsewhere they are words of their own ("left, well, right")."""
    fillers: str
    """Fillers between commas, or behind the last one. Not at the start, where "of course" is an answer."""
    relatives: str
    """Begin a clause between commas that only adds; empty where a comma is no sign of that (German)."""
    reasons: str
    """Begin a clause of reason or concession at the end."""
    fronted: str
    """Begin one at the start too; "as", "como" and "da" also begin other things."""
    limits: str
    """Words that are never lost: negation, exceptions, conditions, contrast."""
    numbers: str
    """Numbers in words."""
    twice: str
    """Words that may rightly stand twice in a row."""


_RULES: Final[Mapping[str, _Rules]] = MappingProxyType(
    {
        "en": _Rules(
            "well|so|um|uh|er|you know|i mean|you see|actually|basically|honestly|to be honest|by the way|let me see",
            "um|uh|er|you know|i mean|you see|of course|actually|basically|honestly|to be honest|as i said|so to speak"
            "|by the way|in fact|as you know|sort of|kind of",
            "which|who|whose|whom|where",
            "which|because|since|as|although|though|even though|whereas",
            "because|since|although|though|even though|whereas",
            "not no never none nobody nothing nowhere neither nor cannot without unless except only hardly barely"
            " scarcely but if until till before after unlike instead yes",
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
            " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half"
            " quarter dozen first second third fourth fifth once twice both all every",
            "had that is do very",
        ),
        "es": _Rules(
            "bueno|pues|o sea|eh|mira|verás|en realidad|la verdad|por cierto|digamos",
            "o sea|eh|sabes|como sabes|por supuesto|en realidad|la verdad|por cierto|digamos|de hecho|como dije",
            "que|quien|quienes|el cual|la cual|los cuales|las cuales|donde",
            "lo que|lo cual|porque|ya que|puesto que|aunque|mientras que",
            "ya que|puesto que|aunque",
            "no ni nunca jamás nadie nada ninguno ninguna ningún tampoco sin salvo excepto sino solo sólo solamente"
            " apenas pero si hasta antes después cuando menos sí",
            "cero un uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince veinte"
            " treinta cuarenta cincuenta sesenta setenta ochenta noventa cien ciento mil millón millones medio media"
            " primero primera segundo segunda tercero tercera ambos todos todas todo toda",
            "",
        ),
        "fr": _Rules(
            "bon|bien|eh bien|alors|euh|ben|enfin|voilà|tu sais|vous savez|en fait|à vrai dire|d'ailleurs|disons|du coup",
            "euh|tu sais|vous savez|bien sûr|en fait|à vrai dire|d'ailleurs|disons|comme je l'ai dit",
            "qui|dont|où|lequel|laquelle|lesquels|lesquelles",
            "ce qui|parce que|parce qu|puisque|puisqu|car|bien que|bien qu|quoique|tandis que|alors que",
            "parce que|parce qu|puisque|puisqu|bien que|bien qu|quoique",
            "ne n non pas jamais personne rien aucun aucune ni sans sauf excepté seulement guère plus mais si jusque"
            " jusqu avant après quand point oui",
            "zéro un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt"
            " trente quarante cinquante soixante cent cents mille million millions demi demie premier première deuxième"
            " second seconde troisième tous toutes tout toute",
            "nous vous",
        ),
        "de": _Rules(
            "also|na ja|naja|tja|äh|ähm|nun|weißt du|wissen sie|wie gesagt|ehrlich gesagt|übrigens|im grunde",
            "äh|ähm|weißt du|wissen sie|wie gesagt|natürlich|ehrlich gesagt|übrigens|sozusagen",
            "",
            "weil|denn|obwohl|obgleich",
            "weil|obwohl|obgleich",
            "nicht nie niemals niemand nichts nirgends kein keine keinen keinem keiner keines ohne außer sondern nur"
            " kaum aber wenn falls bis bevor nachdem weder noch statt nein ja doch",
            "null ein eine einen einem einer eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn"
            " vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig"
            " achtzig neunzig hundert tausend million millionen halb halbe erste ersten zweite zweiten dritte dritten"
            " beide alle alles jede jeder jedes",
            "die der das den sie ihr wir",
        ),
        "it": _Rules(
            "beh|allora|dunque|insomma|ehm|sai|sapete|in realtà|a dire il vero|a proposito|diciamo",
            "insomma|ehm|sai|sapete|come sai|naturalmente|in realtà|a dire il vero|per così dire|a proposito|diciamo"
            "|come ho detto",
            "che|cui|il quale|la quale|i quali|le quali|dove",
            "il che|perché|poiché|siccome|dato che|visto che|anche se|benché|sebbene|mentre",
            "poiché|siccome|dato che|visto che|anche se|benché|sebbene",
            "non no né mai nessuno nessuna nessun niente nulla senza tranne eccetto solo soltanto solamente appena ma"
            " bensì se finché fino prima dopo quando neanche nemmeno sì",
            "zero un uno una due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici"
            " quindici venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento mille mila milione"
            " milioni mezzo mezza primo prima secondo seconda terzo terza entrambi tutti tutte tutto tutta",
            "piano",
        ),
        "pt": _Rules(
            "bem|bom|então|pois|ou seja|hum|na verdade|aliás|digamos",
            "ou seja|hum|sabe|como sabe|claro|na verdade|por assim dizer|aliás|digamos|de fato|de facto|como eu disse",
            "que|quem|cujo|cuja|o qual|a qual|os quais|as quais|onde",
            "o que|porque|já que|visto que|embora|apesar de que",
            "já que|visto que|embora|apesar de que",
            "não nem nunca jamais ninguém nada nenhum nenhuma tampouco sem salvo exceto senão só somente apenas mas se"
            " até antes depois quando sim",
            "zero um uma dois duas três quatro cinco seis sete oito nove dez onze doze treze catorze quatorze quinze"
            " vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem cento mil milhão milhões meio meia"
            " primeiro primeira segundo segunda terceiro terceira ambos todos todas tudo todo toda",
            "",
        ),
    }
)
_COORDINATES: Final = re.compile(r"(?:and|or|y|e|o|u|et|ou|und|oder|ed|od)\b", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"[^.!?…]*(?:[.!?…]+(?!\s|$)[^.!?…]*)*(?:[.!?…]+[\"'”»)]*\s*|$)")
_BRACKETS: Final = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|(?<=\s)[–—][^–—,.;:!?]*[–—](?=\s))")
_WORD: Final = re.compile(r"[^\W\d_]+|\d+(?:[.,:]\d+)*")
_TWICE: Final = re.compile(r"\b([^\W\d_]+)((?:,? +\1\b)+)", re.IGNORECASE)
_LEAST: Final = 2
"""Words of a main clause: "please" is none."""
_MARKS: Final = " \t\n¿¡\"'“«(–—-"


def shorten(text: str, language: str) -> str:
    """Gives the main clauses of sentences in en, es, fr, de, it or pt; any other text as it is.

    Never longer, and with every number, name and negation of the text, in their order.
    """
    rules = _RULES.get(primary(language))
    if rules is None:
        return text
    german = primary(language) == "de"
    return "".join(_sentence(sentence, rules, german=german) for sentence in _SENTENCE.findall(text)).rstrip() or text


def _sentence(sentence: str, rules: _Rules, *, german: bool) -> str:
    """Each step stands by itself: one that would lose what must be kept is not taken."""
    short = sentence
    for step in (_unbracketed, _unfilled, _once, _main):
        next_one = step(short, rules)
        if (
            next_one != short
            and next_one.strip(_MARKS + ".,;:!?…")
            and _kept(next_one, rules, german) == _kept(short, rules, german)
        ):
            short = next_one
    short = _capital(short, sentence)
    return short if len(short) < len(sentence) else sentence


def _kept(text: str, rules: _Rules, german: bool) -> Sequence[str]:
    """What must not be lost: numbers, limits, and words with a capital that do not begin the sentence."""
    limits = {*rules.limits.split(), *rules.numbers.split()}
    names: list[str] = []
    for match in _WORD.finditer(text):
        word, lower = match.group(), match.group().casefold()
        inside = bool(text[: match.start()].strip(_MARKS))
        contracted = lower == "t" and text[: match.start()].endswith(("n'", "n’"))
        named = inside and word[0].isupper() and (german or lower != "i")
        if lower[0].isdigit() or lower in limits or contracted or named or text[match.end() : match.end() + 1] == "%":
            names.append(lower)
    return names


def _unbracketed(sentence: str, rules: _Rules) -> str:
    return _BRACKETS.sub("", sentence)


def _unfilled(sentence: str, rules: _Rules) -> str:
    sentence = re.sub(rf"^([\s¿¡]*)(?:(?:{rules.openers}),\s*)+", r"\1", sentence, flags=re.IGNORECASE)
    # One aside leaves no comma behind ("the train, of course, is late"); in a list one is needed.
    left = "" if sentence.count(",") == 2 else ","
    sentence = re.sub(rf",\s*(?:{rules.fillers}),", left, sentence, flags=re.IGNORECASE)
    return re.sub(rf",\s*(?:{rules.fillers})(?=\s*[.!…]*\s*$)", "", sentence, flags=re.IGNORECASE)


def _once(sentence: str, rules: _Rules) -> str:
    """Words that were said twice in hesitation; numbers, limits and what may rightly stand twice are left."""
    legal = {*rules.twice.split(), *rules.limits.split(), *rules.numbers.split()}
    return _TWICE.sub(lambda match: match.group() if match.group(1).casefold() in legal else match.group(1), sentence)


def _main(sentence: str, rules: _Rules) -> str:
    """Without a clause that only adds, where commas show both its ends."""
    body = sentence.rstrip()
    ending = body[len(body.rstrip(".!?…\"'”»")) :]
    parts = body.removesuffix(ending).split(",")
    reasons = [_begins(part, rules.reasons) for part in parts]
    asked = "?" in ending  # "tell me, which is it?"
    if len(parts) == 2 and _begins(parts[0], rules.fronted) and not reasons[1]:
        kept = parts[1:]
    elif len(parts) == 3 and _begins(parts[1], rules.relatives) and not _COORDINATES.match(parts[2].lstrip()):
        kept = [parts[0] + parts[2]]
    elif len(parts) >= 2 and reasons[-1] and not any(reasons[:-1]) and not asked:
        kept = parts[:-1]
    else:
        return sentence
    if len(_WORD.findall(",".join(kept))) < _LEAST:
        return sentence
    opening = "".join(sign for sign in ("¿", "¡") if sign in sentence and sign not in "".join(kept))
    return opening + ",".join(kept).strip() + ending + sentence[len(body) :]


def _begins(part: str, words: str) -> bool:
    return bool(words) and re.match(rf"[\s¿¡]*(?:{words})\b", part, re.IGNORECASE) is not None


def _capital(short: str, sentence: str) -> str:
    """The first letter is a capital where the sentence's was."""
    before, after = short.lstrip(_MARKS)[:1], sentence.lstrip(_MARKS)[:1]
    if not before.islower() or not after.isupper():
        return short
    at = len(short) - len(short.lstrip(_MARKS))
    return short[:at] + before.upper() + short[at + 1 :]
