"""A scripted translator with a declared cost, and a scripted identifier of languages, for tests and benches."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum

from edge.errors import LanguageMissing, NearsightError
from edge.ports import Stop
from edge.translation import TranslateRequest
from models.ct2_languages import primary
from models.fakes import Fake, Spend, spend_real

Table = Mapping[str, str] | Callable[[TranslateRequest], str]

_WORD = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)


class Slip(Enum):
    """What can go wrong with one translation, beside an error that is raised."""

    NONE = "none"
    NOTHING = "nothing"
    """It gives nothing."""
    LOOP = "loop"
    """It gives its last word again and again, ``FakeTranslator.LOOP`` times or until it is stopped."""
    HANG = "hang"
    """It gives nothing, and ends only when it is stopped."""


class FakeTranslator(Fake):
    """Translates word by word. Implements ``edge.ports.Translator``.

    ``table`` has whole sentences, single words in lower case, or both; a word that it lacks stays as it is, and a word that it
    has keeps its punctuation and its capital. A function may stand in its place. Without ``pairs`` it knows every pair of two
    languages. With ``forces`` it goes on after as many words as the prefix has. ``slips`` are taken one a translation; after
    them all goes well. It costs ``cost`` seconds a translation and ``per_word`` a word.
    """

    LOOP = 10_000

    def __init__(
        self,
        table: Table | None = None,
        pairs: Collection[tuple[str, str]] = (),
        *,
        forces: bool = False,
        slips: Sequence[Slip | NearsightError] = (),
        cost: float = 0.0,
        per_word: float = 0.0,
        spend: Spend = spend_real,
    ) -> None:
        super().__init__(spend)
        self.table: Table = {} if table is None else table
        self.slips = list(slips)
        self.asked: list[TranslateRequest] = []
        """What it was asked, each translation."""
        self._pairs = frozenset((primary(source), primary(target)) for source, target in pairs)
        self._forces = forces
        self._cost = cost
        self._per_word = per_word

    @property
    def forces(self) -> bool:
        """As it was made."""
        return self._forces

    def missing(self, source: str, target: str) -> str:
        """Names the pair that it does not know, and a command as a real one does."""
        pair = primary(source), primary(target)
        if pair[0] == pair[1]:
            return f"{source} and {target} are the same language"
        if self._pairs and pair not in self._pairs:
            return f"no translator from {source} to {target}: run nearsight models pull --translate {pair[0]}-{pair[1]}"
        return ""

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation, a word a piece; ends early once ``stop`` is set.

        Raises LanguageMissing, and what is scripted.
        """
        self.asked.append(request)
        why = self.missing(request.source, request.target)
        if why:
            raise LanguageMissing(why)
        slip = self.slips.pop(0) if self.slips else Slip.NONE
        self.spend(self._cost, stop)
        if isinstance(slip, NearsightError):
            raise slip
        while slip is Slip.HANG and not stop.wait(0.01):
            pass
        words = [] if slip in (Slip.NOTHING, Slip.HANG) else self._translated(request).split()
        prefix = request.prefix if self._forces else ""
        if prefix and words and not stop:
            yield prefix
            words = words[len(prefix.split()) :]
        if slip is Slip.LOOP:
            words += words[-1:] * self.LOOP
        for at, word in enumerate(words):
            self.spend(self._per_word, stop)
            if stop:
                return
            yield word if at == 0 and (not prefix or prefix[-1].isspace()) else f" {word}"

    def _translated(self, request: TranslateRequest) -> str:
        if not isinstance(self.table, Mapping):
            return self.table(request)
        whole = self.table.get(request.text.strip())
        return whole if whole is not None else " ".join(_word(word, self.table) for word in request.text.split())


class FakeTextLanguage(Fake):
    """Says what is scripted. Implements ``edge.ports.TextLanguage``.

    ``table`` has the languages with their probabilities by the text; of every other text it knows nothing.
    """

    def __init__(
        self,
        table: Mapping[str, Mapping[str, float]] | None = None,
        *,
        failure: NearsightError | None = None,
        cost: float = 0.0,
        spend: Spend = spend_real,
    ) -> None:
        """``failure`` is raised by every call; a call costs ``cost`` seconds."""
        super().__init__(spend)
        self.asked: list[str] = []
        self._table = {} if table is None else table
        self._failure = failure
        self._cost = cost

    def identify(self, text: str) -> tuple[tuple[str, float], ...]:
        """Gives what the table has, likeliest first. Raises what is scripted."""
        self.asked.append(text)
        self.spend(self._cost, Stop())
        if self._failure is not None:
            raise self._failure
        return tuple(sorted(self._table.get(text, {}).items(), key=lambda found: -found[1]))


def _word(word: str, table: Mapping[str, str]) -> str:
    match = _WORD.fullmatch(word)
    before, core, after = match.groups() if match else ("", word, "")
    found = table.get(core, table.get(core.lower(), core))
    return before + (found[:1].upper() + found[1:] if core[:1].isupper() else found) + after
