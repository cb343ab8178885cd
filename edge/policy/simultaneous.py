"""Translates speech while it is spoken: committed source words in, a target out that is never taken back.

The source is divided into sentences (``edge.policy.clauses``), and each is translated by itself, again and again as it grows.
What stands of its translation is told by one of three policies:

- ``agreement``: what two translations in a row say alike, but for the last words (LocalAgreement-2, Liu et al.,
  arXiv 2005.11185; SimulStreaming's second stage). The last ``HOLD`` words of an unfinished sentence are held back besides
  (Arivazhagan et al.'s mask-k, arXiv 1912.03393), since two that agree may both be wrong where the languages' orders differ:
  "the white" is "el blanco" until "house" is heard;
- ``clause``: the translation of the source up to its last finished clause. For engines that finish what is unfinished, and
  for languages that say the verb or the "not" last;
- ``sentence``: that of whole sentences.

Whatever stands ends where it may be cut (``edge.policy.safe_cut``). When the sentence is over, all of it is translated once
more: what follows what stands is spoken, and the whole is kept for the record. A translation that contradicts what stands is
laid along it and only what comes after is taken (``edge.policy.target_words.continues``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edge.policy.clauses import clause_end, divide, marked
from edge.policy.languages import primary
from edge.policy.safe_cut import safe, weighty
from edge.policy.settling import joined, unspaced
from edge.policy.target_words import continues, same_words, text_of, unfinished, words_of
from edge.policy.translation_guards import fault
from edge.translation import Ask, Progress
from edge.values import Word

Policy = Literal["agreement", "clause", "sentence"]

HOLD: Final = 3
"""Words of an unfinished sentence's translation that are held back, by agreement alone.

Measured with Debian's apertium-eng-spa, en to es on 92 sentences of read speech (16 words on the mean, lower-case, no marks),
60 of conversation, and 40 es to en; 0.36 s a word, each committed 1.0 s late, an ask for each:

    held   spoken text equals the record    LAAL, s
    0      74 %   85 %   88 %               2.1   2.3   1.9
    1      75     87     88                 2.2   2.3   1.9
    2      96     92     95                 2.4   2.6   2.2
    3      99    100    100                 2.7   2.9   2.5
    4      99    100    100                 3.1   3.3   2.8
    3, and 2 where the guesses agree (``ahead``; 15 % of them wrong, and all of them):
           97    100    100                 2.4   2.6   2.2
           93     92     98                 2.4   2.6   2.2

``clause``: 95, 98, 100 % at 5.4, 4.5, 4.7 s; ``sentence``: 100 % at 7.0, 5.7, 5.2 s.
"""
HOLD_VERBS: Final = 5
"""The same from languages that say the verb last."""
HOLD_MOST: Final = 9
STEP: Final = 2
"""How many more are held back after a sentence whose translation contradicted what stood; one less after each other."""
DENSE: Final = 2
"""How many times as many signs are held back of scripts without blanks."""
FEWEST: Final = 2
"""Source words below which nothing is asked: nothing could stand, and most engines invent."""
TRIES: Final = 2
"""Bad translations of a whole sentence after which what stands is all that is told of it."""
RECORDS: Final = 2
"""Sentences whose translation is spoken and that wait for another one, for the record, while later ones are spoken."""
CORRECTION: Final = "—"
"""Stands between what was spoken and the whole translation, where a number or a "not" came too late to be put right."""
VERB_LAST: Final = frozenset("de nl af fy lb ja ko tr az kk uz hi ur bn mr ta te kn ml si fa eu la hu mn my".split())
"""Languages that say the verb last, or the "not": "ich kenne diesen Mann nicht"."""


def suited(source: str) -> Policy:
    """Gives the policy for ``auto``: agreement, but for languages that may deny at the end all that they said."""
    return "clause" if primary(source) in VERB_LAST else "agreement"


@dataclass(slots=True, eq=False)
class _Sentence:
    """One sentence on its way."""

    number: int
    words: tuple[Word, ...] = ()
    tail: tuple[Word, ...] = ()
    spoken: tuple[str, ...] = ()
    """What stands of its translation."""
    guess: tuple[str, ...] = ()
    """What follows that in the newest translation of its words."""
    shown: tuple[str, ...] = ()
    """The same, or what follows in the translation of what is only guessed, too."""
    looked: tuple[Word, ...] = ()
    """Its words and the guesses behind them that were asked for last."""
    told: bool = False
    """Whether the whole translation stands."""
    asked: int = 0
    """How many of its words were in the newest ask that was answered, well or badly."""
    tries: int = 0
    """Bad answers for all of it."""
    contradicted: bool = False
    """Whether a translation did not begin with what stood."""
    start: int = 0
    covered: int = 0

    def heard(self, words: tuple[Word, ...], tail: tuple[Word, ...]) -> bool:
        """Takes its words and what may follow them; says whether that is anything new."""
        new = self.words != words or self.tail != tail
        self.words, self.tail = words, tail
        if words or tail:
            self.start = (*words, *tail)[0].start
        return new

    def ask(self, words: tuple[Word, ...], prefix: str, *, whole: bool) -> Ask:
        """Asks for some of its words."""
        return Ask(self.number, joined(words), prefix, whole, words)

    def told_of(self, added: tuple[str, ...] = (), *, final: bool = False, record: str = "") -> Progress:
        """How far it has come, with words that stand from now on."""
        before = text_of(self.spoken)
        self.spoken += added
        text = text_of(self.spoken)
        return Progress(
            sentence=self.number,
            source=joined(self.words),
            source_tail=joined(self.tail),
            text=text,
            tail=text_of(self.shown),
            added=text[len(before) :].lstrip(),
            final=final,
            start=self.start,
            end=self.words[-1].end if self.words else self.start,
            covered=self.covered if self.spoken else self.start,
            record=record,
            words=self.words,
        )


class Simultaneous:
    """Translates one speaker's words in one direction. The caller brings each ask to the engine, and its answer back.

    An ask that is not answered because its work was given up is told by ``failed``: no other is given before.
    """

    def __init__(
        self,
        source: str,
        target: str,
        *,
        policy: Policy = "agreement",
        forces: bool = False,
        ahead: bool = False,
        first: int = 0,
    ) -> None:
        """Begins with sentence ``first``.

        ``forces``: the engine's own (``edge.ports.Translator``). ``ahead``: whether what is only guessed of the source may be
        translated, too, to see sooner what stands: for engines so quick that they may be asked twice for each word.
        """
        self._source, self._target = primary(source), primary(target)
        self._policy, self._forces, self._ahead = policy, forces, ahead and policy == "agreement"
        self._hold = self._base = HOLD_VERBS if self._source in VERB_LAST else HOLD
        self._over: list[_Sentence] = []
        self._open = _Sentence(first)
        self._words: tuple[Word, ...] = ()  # of the open sentence, and those that may be of the next
        self._seen = 0  # words of this utterance
        self._punctuated = False
        self._flight: Ask | None = None
        self._looking = False  # whether guesses are translated, too

    def hear(self, committed: Sequence[Word], tail: Sequence[Word] = (), *, ended: bool = False) -> tuple[Progress, ...]:
        """Takes all words of the utterance so far, and the newest guess at what follows them.

        ``ended``: the utterance is over, and the next call begins another.
        """
        new = tuple(committed[self._seen :])
        self._seen = 0 if ended else self._seen + len(new)
        self._words += new
        self._punctuated = self._punctuated or marked(new)
        division = divide(self._words, self._source, punctuated=self._punctuated, ended=ended)
        progress: list[Progress] = []
        start = 0
        for end in division.ends:
            progress += self._close(self._words[start:end])
            start = end
        self._words, sure = self._words[start:], division.sure - start
        if self._open.heard(self._words[:sure], () if ended else (*self._words[sure:], *tail)):
            progress.append(self._open.told_of())
        return tuple(progress)

    def ask(self) -> Ask | None:
        """Gives what is to be translated next; None while nothing is new, or an ask is neither answered nor failed."""
        if self._flight is not None:
            return None
        self._looking = False
        told = [sentence for sentence in self._over if sentence.told]
        untold = [sentence for sentence in self._over if not sentence.told]
        count = self._wanted()
        if told and (len(told) > RECORDS or not (untold or count)):
            self._flight = told[0].ask(told[0].words, "", whole=True)
        elif untold:
            prefix = "" if untold[0].tries else self._prefix(untold[0])
            self._flight = untold[0].ask(untold[0].words, prefix, whole=True)
        elif count:
            self._flight = self._open.ask(self._open.words[:count], self._prefix(self._open), whole=False)
        elif self._may_look():
            self._looking = True
            self._open.looked = self._open.words + self._open.tail
            self._flight = self._open.ask(self._open.looked, self._prefix(self._open), whole=False)
        return self._flight

    def answer(self, ask: Ask, text: str) -> tuple[Progress, ...]:
        """Takes the translation of what ``ask`` gave."""
        sentence = self._landed(ask)
        if sentence is None:
            return ()
        bad = fault(words_of(ask.text), words_of(text))
        if ask.whole:
            return self._without(sentence, TRIES) if bad else self._finish(sentence, ask.prefix, words_of(text))
        if bad:
            return ()
        heard = unfinished(words_of(text))
        return self._confirm(sentence, heard) if self._looking else self._grow(sentence, heard)

    def failed(self, ask: Ask) -> tuple[Progress, ...]:
        """Takes that there is no translation of what ``ask`` gave: words that come later may have more luck."""
        sentence = self._landed(ask)
        return self._without(sentence, 1) if sentence is not None and ask.whole else ()

    def _wanted(self) -> int:
        """How many words of the open sentence are to be translated now."""
        if self._policy == "sentence":
            return 0
        count = len(self._open.words)
        if self._policy == "clause":
            count = min(count, clause_end(self._words, self._source))
        return count if count > self._open.asked and count >= FEWEST else 0

    def _prefix(self, sentence: _Sentence) -> str:
        return text_of(sentence.spoken) if self._forces else ""

    def _landed(self, ask: Ask) -> _Sentence | None:
        """The sentence of the ask that was on its way; None for any other ask."""
        if ask is not self._flight:
            return None
        self._flight = None
        sentence = next(sentence for sentence in (*self._over, self._open) if sentence.number == ask.sentence)
        if not self._looking:
            sentence.asked = len(ask.words)
        return sentence

    def _close(self, words: tuple[Word, ...]) -> tuple[Progress, ...]:
        """Takes that the open sentence is over."""
        sentence, self._open = self._open, _Sentence(self._open.number + 1)
        self._over.append(sentence)
        return (sentence.told_of(),) if sentence.heard(words, ()) else ()

    def _may_look(self) -> bool:
        """Whether the words that are only guessed may tell how much of the newest translation stands."""
        sentence = self._open
        gain = self._ahead and len(sentence.guess) >= self._hold and sentence.asked == len(sentence.words)
        return gain and bool(sentence.tail) and sentence.looked != sentence.words + sentence.tail

    def _grow(self, sentence: _Sentence, heard: tuple[str, ...]) -> tuple[Progress, ...]:
        """Takes a translation of an unfinished sentence."""
        if same_words(sentence.spoken, heard) < len(sentence.spoken):
            sentence.contradicted = True
        new = heard[continues(sentence.spoken, heard) :]
        before, sentence.guess = sentence.guess, new
        return self._stand(sentence, len(new) if self._policy == "clause" else same_words(new, before), self._hold, new)

    def _confirm(self, sentence: _Sentence, heard: tuple[str, ...]) -> tuple[Progress, ...]:
        """Takes a translation of an unfinished sentence and of the guesses behind: one word less need be held back."""
        new = heard[continues(sentence.spoken, heard) :]
        return self._stand(sentence, same_words(new, sentence.guess), self._hold - 1, new)

    def _stand(self, sentence: _Sentence, count: int, hold: int, shown: tuple[str, ...]) -> tuple[Progress, ...]:
        """Lets the first words of the newest translation stand, but for the last, and those that need what follows."""
        guess = sentence.guess
        if self._policy == "agreement":
            count = min(count, len(guess) - hold * (DENSE if guess and unspaced(guess[-1][0]) else 1))
        stood = len(sentence.spoken)
        count = max(0, safe((*sentence.spoken, *guess), stood + max(count, 0), self._target) - stood)
        if not count and shown == sentence.shown:
            return ()
        sentence.guess, sentence.shown = guess[count:], shown[count:]
        if count:
            sentence.covered = sentence.words[sentence.asked - 1].end
        return (sentence.told_of(guess[:count]),)

    def _finish(self, sentence: _Sentence, prefix: str, heard: tuple[str, ...]) -> tuple[Progress, ...]:
        """Takes the translation of a whole sentence. One that was made to begin with what stood is none for the record."""
        new: tuple[str, ...] = ()
        if not sentence.told:
            sentence.contradicted = sentence.contradicted or same_words(sentence.spoken, heard) < len(sentence.spoken)
            new = heard[continues(sentence.spoken, heard) :]
            if weighty((*sentence.spoken, *new), self._target) != weighty(heard, self._target):
                new = (CORRECTION, *heard)
            sentence.told, sentence.shown, sentence.covered = True, (), sentence.words[-1].end
        if prefix:
            return (sentence.told_of(new),)
        self._drop(sentence)
        return (sentence.told_of(new, final=True, record=text_of(heard)),)

    def _without(self, sentence: _Sentence, tries: int) -> tuple[Progress, ...]:
        """Takes that all of a sentence was not translated; after so many times, what stands is all there will be."""
        sentence.tries += 1
        if not sentence.told and sentence.tries < tries:
            return ()
        sentence.shown = ()
        self._drop(sentence)
        return (sentence.told_of(final=True, record=text_of(sentence.spoken) if sentence.told else ""),)

    def _drop(self, sentence: _Sentence) -> None:
        """Forgets a sentence that is done, and learns from it how many words are to be held back."""
        self._over.remove(sentence)
        if sentence.contradicted:
            self._hold = min(self._hold + STEP, HOLD_MOST)
        else:
            self._hold = max(self._hold - 1, self._base)
