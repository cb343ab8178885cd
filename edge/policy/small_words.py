"""The words that a translation may not be cut behind, and those that begin a clause, in the languages we know them of.

Six languages, those that smart glasses are sold with: English, Spanish, French, German, Italian, Portuguese. Elsewhere the
rules of ``edge.policy.safe_cut`` that need no words still hold (digits, capitals), and clauses end at commas and pauses.

All words are as ``edge.policy.settling.normal`` leaves them: without case and punctuation ("don't" is ``dont``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class SmallWords:
    """What is known of one language."""

    dangling: frozenset[str]
    """Articles, prepositions, possessives, conjunctions, auxiliaries, clitics: what they belong to comes after them."""
    negations: frozenset[str]
    """Turn what follows into its opposite."""
    titles: frozenset[str]
    """Begin a name, also where a recogniser writes no capitals."""
    numbers: re.Pattern[str]
    """Matches a word that is a number or a part of one."""
    links: frozenset[str]
    """Stand inside a number or right after it: "point", "por ciento"."""
    starters: frozenset[str]
    """Begin a clause whatever follows."""
    joiners: frozenset[str]
    """Begin a clause where one of ``subjects`` follows; else they may join two nouns."""
    subjects: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _numbers(*parts: str) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(sorted(" ".join(parts).split(), key=len, reverse=True)) + ")+")


NOTHING: Final = SmallWords(*(frozenset[str](),) * 3, re.compile(r"(?!)"), *(frozenset[str](),) * 4)
"""What is known of every other language."""

_EN: Final = SmallWords(
    dangling=_words(
        "a an the my your his her its our their this that these those some any each every no another such very too more "
        "most of to in on at by for with from into onto over under about between through during without within against "
        "among towards upon across behind beside beyond near than as like and or but nor if because although though "
        "while when where which who whom whose that so is am are was were be been being have has had having do does did "
        "can could will would shall should may might must im youre hes shes theyre ive youve weve theyve ill youll "
        "theyll youd"
    ),
    negations=_words(
        "not no never neither nor without hardly cannot dont doesnt didnt cant couldnt wont wouldnt shouldnt isnt arent "
        "wasnt werent havent hasnt hadnt mustnt aint"
    ),
    titles=_words("mr mister mrs missis ms miss dr doctor saint st san santa prof professor sir lady lord king queen new los"),
    numbers=_numbers(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
        "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand",
        "thousands million millions billion billions dozen",
    ),
    links=_words("point and percent per oclock am pm"),
    starters=_words("because although though while when if unless until whereas but which who whom whose"),
    joiners=_words("and or so that as than since before after then for nor yet where"),
    subjects=_words(
        "i you he she it we they there then what im youre hes shes its were theyre ive youve weve theyve ill youll"
    ),
)

_ES: Final = SmallWords(
    dangling=_words(
        "el la los las lo un una unos unas al del mi mis tu tus su sus nuestro nuestra nuestros nuestras este esta "
        "estos estas ese esa esos esas aquel aquella cada otro otra otros otras algún alguna ningún ninguna muy tan más "
        "menos gran buen mal primer tercer de a en con por para sin sobre entre desde hasta hacia según durante contra "
        "tras bajo ante y e o u ni pero sino que si porque aunque mientras cuando donde como cual cuyo cuya quien me te "
        "se le les nos os he has ha hemos han había habías habíamos habían haya hayan hubiera hubieran habrá habría es "
        "soy eres son está están estoy"
    ),
    negations=_words("no ni nunca jamás tampoco sin"),
    titles=_words("señor señora señorita sr sra srta don doña doctor doctora dr dra san santa santo nueva los"),
    numbers=_numbers(
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieci dieciséis",
        "veinte veinti veintiún veintiuno veintidós veintitrés veintiséis treinta cuarenta cincuenta sesenta setenta",
        "ochenta noventa cien ciento cientos cientas doscientos doscientas trescientos trescientas quinientos",
        "quinientas setecientos novecientos cuatrocientos seiscientos ochocientos mil miles millón millones",
    ),
    links=_words("y coma punto por ciento"),
    starters=_words("porque aunque mientras cuando si pero sino quien quienes pues donde"),
    joiners=_words("y e o u que como ni"),
    subjects=_words("yo tú usted él ella nosotros ellos ellas ustedes no se me te le nos ya luego entonces también hay"),
)

_FR: Final = SmallWords(
    dangling=_words(
        "le la les un une des du de d l au aux mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs ce cet "
        "cette ces chaque quelque quelques plusieurs aucun aucune autre autres très trop plus moins à en dans sur sous "
        "avec sans pour par chez vers entre contre depuis pendant jusque et ou mais ni que qu qui dont où si quand "
        "comme lorsque parce puisque je tu il elle on nous vous ils elles me te se lui y suis es est sommes êtes sont "
        "ai as a avons avez ont avait avaient était étaient sera seront sera être avoir"
    ),
    negations=_words("ne n non sans ni jamais"),
    titles=_words("monsieur madame mademoiselle m mme mlle docteur dr saint sainte la le"),
    numbers=_numbers(
        "zéro un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt vingts",
        "trente quarante cinquante soixante septante huitante nonante cent cents mille million millions milliard",
        "milliards et",
    ),
    links=_words("et virgule pour cent heures"),
    starters=_words("parce puisque quoique mais lorsque quand si dont où donc car qui"),
    joiners=_words("et ou que comme"),
    subjects=_words("je tu il elle on nous vous ils elles ce cest jai puis alors ça"),
)

_DE: Final = SmallWords(
    dangling=_words(
        "der die das den dem des ein eine einen einem einer eines mein meine meinen meinem meiner dein deine sein seine "
        "seinen seinem seiner ihr ihre ihren ihrem ihrer unser unsere euer eure dieser diese dieses diesen diesem jeder "
        "jede jedes jeden jedem welche welcher welches sehr zu mehr in im ins an am auf aus bei beim mit nach von vom "
        "vor zum zur über unter durch für gegen ohne um bis seit während wegen zwischen hinter neben und oder aber "
        "sondern denn dass daß weil wenn als ob obwohl damit wie ist bin bist sind war waren wird werden wurde wurden "
        "hat habe hast haben hatte hatten kann können muss müssen soll sollen will wollen darf dürfen"
    ),
    negations=_words("nicht kein keine keinen keinem keiner keines nie niemals ohne weder noch"),
    titles=_words("herr herrn frau doktor dr professor prof sankt st von van zu bad neu"),
    numbers=_numbers(
        "null ein eins eine zwei zwo drei vier fünf sechs sech sieben sieb acht neun zehn elf zwölf und zwanzig dreißig",
        "zig hundert tausend million millionen milliarde milliarden",
    ),
    links=_words("komma und prozent uhr"),
    starters=_words("weil obwohl während wenn dass daß damit sobald bevor nachdem aber sondern denn ob"),
    joiners=_words("und oder als"),
    subjects=_words("ich du er sie es wir ihr man dann da das"),
)

_IT: Final = SmallWords(
    dangling=_words(
        "il lo la i gli le l un uno una al allo alla ai agli alle del dello della dei degli delle dal dallo dalla dai "
        "nel nello nella nei negli nelle sul sullo sulla sui sulle mio mia miei mie tuo tua suo sua suoi sue nostro "
        "nostra vostro vostra loro questo questa questi queste quel quello quella quei quelle ogni altro altra molto "
        "più meno di a da in con su per tra fra e ed o ma né che se perché quando mentre come dove cui mi ti si ci vi "
        "ne ho hai ha abbiamo avete hanno aveva avevano sono sei è siamo siete era erano"
    ),
    negations=_words("non né mai senza nemmeno neanche nessun nessuno nessuna"),
    titles=_words("signor signora signorina sig dottor dottoressa dott san santo santa sant don professor"),
    numbers=_numbers(
        "zero uno un due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici",
        "diciassette diciotto diciannove venti vent trenta trent quaranta quarant cinquanta cinquant sessanta sessant",
        "settanta settant ottanta ottant novanta novant cento cent mille mila milione milioni miliardo miliardi",
    ),
    links=_words("e virgola per cento"),
    starters=_words("perché sebbene mentre quando se ma però dove quindi poiché"),
    joiners=_words("e o che come"),
    subjects=_words("io tu lui lei noi voi loro poi non si mi cè"),
)

_PT: Final = SmallWords(
    dangling=_words(
        "o a os as um uma uns umas ao à aos às do da dos das no na nos nas num numa pelo pela pelos pelas meu minha "
        "meus minhas teu tua seu sua seus suas nosso nossa este esta estes estas esse essa aquele aquela cada outro "
        "outra outros outras muito tão mais menos de em com por para sem sobre entre desde até contra e ou mas nem que "
        "se porque quando enquanto como onde me te lhe lhes nos tenho tem temos têm tinha tinham sou é somos são está "
        "estão estou era eram foi foram"
    ),
    negations=_words("não nunca nem jamais sem tampouco"),
    titles=_words("senhor senhora sr sra dona dom doutor doutora dr dra são santo santa nova"),
    numbers=_numbers(
        "zero um uma dois duas três quatro cinco seis sete oito nove dez onze doze treze catorze quatorze quinze",
        "dezesseis dezasseis dezessete dezassete dezoito dezenove dezanove vinte trinta quarenta cinquenta sessenta",
        "setenta oitenta noventa cem cento duzentos duzentas trezentos trezentas quatrocentos quinhentos seiscentos",
        "setecentos oitocentos novecentos mil milhão milhões",
    ),
    links=_words("e vírgula ponto por cento"),
    starters=_words("porque embora enquanto quando mas onde porém pois"),
    joiners=_words("e ou que se como"),
    subjects=_words("eu tu você ele ela nós vocês eles elas não depois então já"),
)

KNOWN: Final[Mapping[str, SmallWords]] = MappingProxyType(
    {"en": _EN, "es": _ES, "fr": _FR, "de": _DE, "it": _IT, "pt": _PT},
)
"""By the language's own part of its tag."""


def small_words(primary: str) -> SmallWords:
    """Gives what is known of a language: of none at all, nothing."""
    return KNOWN.get(primary, NOTHING)
