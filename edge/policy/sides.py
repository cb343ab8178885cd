"""Whose words are heard, and into which language they go.

**Who speaks.** Push-to-talk wins. Else a diariser's label, once it is tied to one of the two. Else the language, where the
recogniser names it. Else the loudness (``edge.policy.levels``). Else nobody can tell.

**Which way.** Into the language of whoever does not speak. What is in that language already is passed over, whoever says it:
a sentence is never "translated" into its own language. A third language is passed over in a pair that is fixed; while the
partner's language is still to be found, everything foreign goes into the wearer's, and the first one that is heard for long
enough is the partner's from then on. One way, everything goes into the target but what is in it.

**When.** What is translated aloud cannot be taken back, so a decision is provisional until it is ``sure``, and then it is the
utterance's: a sentence that goes on in another language stays with the one that it began in. What is passed over is only sure
at the end, because "ha ha" may go on. A recogniser that knows one language writes words of it for speech in any other:
where it does not believe itself (``Evidence.confidence``), nothing is translated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from edge.policy.language_guess import guess
from edge.policy.languages import primary, same
from edge.policy.levels import Levels
from edge.policy.phrasing import words_in
from edge.policy.wordless import wordless
from edge.translation import Party

DOUBTED: Final = 0.4
"""The recogniser's confidence below which, in a conversation, its words and its language are not believed.

PocketSphinx's English model gives 27 recordings in other languages 0.15 to 0.64, 20 of them less than this, and 14 English ones
0.45 to 0.99 (a single one 0.05). For Whisper it is the mean log probability at which its own decoder gives up (-1.0).
"""
HOPELESS: Final = 0.1
"""The same one way, where noise is likelier than a language that nobody asked for."""
STEADY: Final = 2
"""Decisions in a row that must agree before the utterance's end, where only the language speaks for them."""
_BY_LEVEL: Final = 3
"""The same where only the loudness does."""
_BEGUN: Final = 2
"""Words that must have been heard before that."""
ENOUGH: Final = 6
"""Words of a language until it is the partner's."""
_TIE: Final = 2
"""By how many utterances a label must lean to one party to be tied to it; a push of the button counts for as many."""
_FIRM: Final = 6
"""The most that it can lean: what was learnt wrongly can be unlearnt."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an utterance so far."""

    language: str = ""
    """As the recogniser names it, a BCP 47 tag; that of one that knows only one; empty where it does not tell."""
    level_db: float | None = None
    """Of its speech, to any fixed reference."""
    pushed: Party | None = None
    """Who holds a button down to speak."""
    text: str = ""
    final: bool = False
    label: str = ""
    """A diariser's name for the speaker: "A", "SPEAKER_01"."""
    confidence: float = 1.0
    """0 to 1, the recogniser's."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who speaks, and which way it goes."""

    speaker: Party | None
    source: str
    """The language that is spoken; empty where unknown."""
    target: str
    """Empty: it is passed over."""
    why: str = ""
    """Why it is passed over: ``same_language``, ``no_words``, ``unknown_language``."""
    sure: bool = False
    """Whether it will not change any more in this utterance."""


class Sides:
    """Decides for one conversation. ``begin`` before each utterance, ``decide`` with all that is known of it as it grows."""

    def __init__(self, mine: str, theirs: str = "", *, both: bool, target: str = "") -> None:
        """``mine`` is the wearer's language. ``both``: a conversation; else one way into ``target`` (empty: ``mine``)."""
        self.mine = mine
        self.theirs = theirs
        """The partner's language; empty until it is found."""
        self.both = both
        self.target = "" if both else target or mine
        self._levels = Levels()
        self._leaning: dict[str, int] = {}  # by label: above 0 to the wearer
        self._heard: dict[str, int] = {}  # words by foreign language, while the partner's is to be found
        self.begin()

    def begin(self) -> None:
        """A new utterance begins."""
        self._given: Decision | None = None
        self._last: Decision | None = None
        self._agreed = 0

    def listener(self, target: str) -> Party:
        """Gives who is to hear a translation into this language."""
        return Party.WEARER if same(target, self.mine) else Party.PARTNER

    def decide(self, evidence: Evidence) -> Decision:
        """Gives what is to become of the utterance, as far as can be said by now."""
        if self._given is not None:
            return self._given
        language = self._language(evidence)
        speaker, by_level = self._speaker(evidence, language)
        decision = self._way(evidence, language, speaker)
        self._agreed = self._agreed + 1 if decision == self._last else 1
        self._last = decision
        if not (evidence.final or self._surely(evidence, decision, by_level=by_level)):
            return decision
        self._given = replace(decision, sure=True)
        self._learn(evidence, language, speaker=None if by_level else speaker)
        return self._given

    # -- who -----------------------------------------------------------------------------------------------------------------

    def _language(self, evidence: Evidence) -> str:
        """What is spoken: the text's own language where it is plainly the other one, else the recogniser's word."""
        if self._doubted(evidence):
            return ""
        pair = [tag for tag in (self.mine, self.theirs, self.target) if tag]
        heard = next((tag for tag in pair if same(tag, evidence.language)), evidence.language)
        if heard and heard not in pair:
            return heard
        written = guess(evidence.text, pair) if len(set(map(primary, pair))) > 1 else ""
        return next((tag for tag in pair if same(tag, written)), heard)

    def _doubted(self, evidence: Evidence) -> bool:
        """Whether the words may be of another language than the recogniser knows; who pushes a button has said which."""
        return evidence.pushed is None and evidence.confidence < (DOUBTED if self.both else HOPELESS)

    def _speaker(self, evidence: Evidence, language: str) -> tuple[Party | None, bool]:
        """Who speaks, and whether only the loudness says so."""
        leaning = self._leaning.get(evidence.label, 0) if evidence.label else 0
        if evidence.pushed is not None:
            return evidence.pushed, False
        if abs(leaning) >= _TIE:
            return (Party.WEARER if leaning > 0 else Party.PARTNER), False
        if (party := self._speaks(language)) is not None:
            return party, False
        if evidence.level_db is None:
            return None, False
        return self._levels.party(evidence.level_db), True

    def _speaks(self, language: str) -> Party | None:
        """Whose language it is."""
        if not language:
            return None
        if same(language, self.mine):
            return Party.WEARER
        found_out = same(language, self.theirs) or (not self.theirs and same(self.target or self.mine, self.mine))
        return Party.PARTNER if found_out else None

    # -- which way -------------------------------------------------------------------------------------------------------------

    def _way(self, evidence: Evidence, language: str, speaker: Party | None) -> Decision:
        source = language or self._supposed(evidence, speaker)
        if wordless(evidence.text, source):
            return Decision(speaker, source, "", "no_words")
        third = self.both and bool(self.theirs) and not same(source, self.mine) and not same(source, self.theirs)
        target = self.target or self._across(source, speaker)
        if not source or not target or third:
            return Decision(speaker, source, "", "unknown_language")
        if same(source, target):
            return Decision(speaker, source, "", "same_language")
        return Decision(speaker, source, target)

    def _supposed(self, evidence: Evidence, speaker: Party | None) -> str:
        """The language where nobody names it: the speaker's own; one way, that of the two which is not the target."""
        if self._doubted(evidence):
            return ""
        if speaker is not None:
            return self.mine if speaker is Party.WEARER else self.theirs
        foreign = [tag for tag in (self.theirs, self.mine) if tag and not same(tag, self.target)]
        return foreign[0] if foreign and not self.both else ""

    def _across(self, source: str, speaker: Party | None) -> str:
        """In a conversation: the listener's language."""
        if speaker is None:
            speaker = Party.WEARER if same(source, self.mine) else Party.PARTNER
        return self.theirs if speaker is Party.WEARER else self.mine

    # -- when ------------------------------------------------------------------------------------------------------------------

    def _surely(self, evidence: Evidence, decision: Decision, *, by_level: bool) -> bool:
        """Whether it can be acted upon before the utterance has ended."""
        if not decision.target:
            return False
        words = words_in(evidence.text)
        if self.both and not self.theirs:
            return words >= ENOUGH and self._agreed >= STEADY
        told = same(evidence.language, decision.source)
        if evidence.pushed is not None and (told or not evidence.language):
            return True
        return words >= _BEGUN and self._agreed >= (_BY_LEVEL if by_level or not told else STEADY)

    # -- what is learnt --------------------------------------------------------------------------------------------------------

    def _learn(self, evidence: Evidence, language: str, speaker: Party | None) -> None:
        """Keeps what an utterance tells of the next ones."""
        if evidence.level_db is not None and words_in(evidence.text):
            self._levels.add(evidence.level_db, speaker)
        if self.both and evidence.label and self.theirs:
            own = self._speaks(language)
            by = _FIRM if evidence.pushed is not None else 1
            if (party := evidence.pushed or own) is not None and not wordless(evidence.text, language):
                leaning = self._leaning.get(evidence.label, 0) + (by if party is Party.WEARER else -by)
                self._leaning[evidence.label] = max(-_FIRM, min(_FIRM, leaning))
        if self.both and not self.theirs and language and not same(language, self.mine):
            self._find(language, evidence.text)

    def _find(self, language: str, text: str) -> None:
        """Counts a foreign language's words; the first that has enough of them, and most, is the partner's."""
        if wordless(text, language):
            return
        self._heard[language] = self._heard.get(language, 0) + words_in(text)
        others = sum(self._heard.values()) - self._heard[language]
        if self._heard[language] >= ENOUGH and self._heard[language] >= 2 * others:
            self.theirs = language
            self._heard.clear()
