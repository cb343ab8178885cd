"""Cuts an answer, while it is being written, into pieces to speak.

Waiting for the end of a sentence costs more than synthesising it, so the first piece may be a clause. Later pieces are whole
sentences: they are cut while earlier ones are played.

The package sentence-stream does the same job, and cuts only once it has seen how the next sentence begins: one token more,
which on a small board is a tenth of a second of silence before every first sentence. Here white space after an end mark is
enough, and for the first piece not even that is awaited where the mark is almost certainly the end: after a word of two or
more letters that is no known abbreviation, with no bracket or quotation open and no talk of web sites: GPT-2's tokenizer, and
SmolLM2's, cut "example.com" into "example", ".", "com". The price is that a domain which nothing announces, in the first
sentence, is spoken with a pause at its dot.

Where it is not certain whether a sentence ends (an initial, "etc."), it goes on: two sentences spoken as one piece sound right,
a sentence torn in two does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from edge.policy.normalise import speakable

MAX_PIECE = 240
"""Characters of the answer in one piece, before it is normalised."""
MIN_CLAUSE_WORDS = 4
"""Words that make a first piece out of a clause; fewer, and the pause after it is longer than the clause."""

_CANDIDATE = re.compile(r"[.!?…؟।。！？｡\n,;:，；：、–—-]")
_END = frozenset(".!?…؟।")
_WIDE_END = frozenset("。！？｡")
_CLAUSE = frozenset(",;:")
_WIDE_CLAUSE = frozenset("，；：")
_DASH = frozenset("–—-")
_LEFT_OVER = " \t\r\n”»)]}」』）》】"
"""What may still come after a piece was cut at its end mark, and is not spoken."""
_CLOSERS = frozenset("'\")]}’”»」』）》】*_`")

_NEVER_LAST = frozenset("dr mr mrs ms prof st mt rev hon gen capt sgt lt col sen gov vs e.g i.e cf approx".split())
"""Abbreviations that something follows."""
_BEFORE_NUMBER = frozenset("no nos fig p pp vol ch art sec tel".split())
"""Words that are abbreviations only where a number follows."""
_MAYBE_LAST = frozenset("etc inc ltd co corp jr sr ave rd blvd ft dept est al".split())
"""Abbreviations that end a sentence where a capital follows; so do all that have dots inside (p.m., U.S.)."""
_WEB_TALK = re.compile(r"\b(?:visit|go to|web|website|site|online|page|link|url|domain|e-?mail|address)\b|@|www", re.IGNORECASE)
_PLAIN_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")


class _Verdict(Enum):
    CUT = "cut"
    GO_ON = "go_on"
    WAIT = "wait"


class Sentences:
    """Takes text as it comes and gives pieces as they are complete, markdown and emoji taken out.

    The answer's text is the pieces joined with single spaces.
    """

    def __init__(self, normalise: Callable[[str], str] = speakable) -> None:
        """``normalise`` makes a piece speakable: ``normalise.speakable`` for English, ``normalise.plain`` for the rest."""
        self._normalise = normalise
        self._text = ""
        self._seen = 0  # up to here no piece ends
        self._first = True

    def push(self, delta: str) -> list[str]:
        """Takes the next text; gives the pieces that it completes."""
        if not self._text:
            delta = delta.lstrip(_LEFT_OVER)
        self._text += delta
        pieces: list[str] = []
        while (end := self._find()) is not None:
            self._take(end, pieces)
        return pieces

    def finish(self) -> list[str]:
        """Gives the rest, and begins anew."""
        pieces: list[str] = []
        self._take(len(self._text), pieces)
        self._first = True
        return pieces

    def _take(self, end: int, pieces: list[str]) -> None:
        piece = self._normalise(self._text[:end])
        self._text = self._text[end:].lstrip()
        self._seen = 0
        if any(character.isalnum() for character in piece):
            pieces.append(piece)
            self._first = False

    def _find(self) -> int | None:
        """Gives where the first piece of the text ends, None where that cannot be said yet."""
        while match := _CANDIDATE.search(self._text, self._seen, MAX_PIECE):
            at = match.start()
            end = self._after(at)
            verdict = self._judge(at, end)
            if verdict is _Verdict.CUT:
                return min(end, MAX_PIECE)
            if verdict is _Verdict.WAIT and len(self._text) <= MAX_PIECE:
                return None
            self._seen = end
        return self._cut_long() if len(self._text) > MAX_PIECE else None

    def _after(self, at: int) -> int:
        """One past the mark, the marks that repeat it, and the quotes and brackets that close behind it."""
        end = at + 1
        if self._text[at] in _END or self._text[at] in _WIDE_END:
            while end < len(self._text) and (self._text[end] in _END or self._text[end] in _WIDE_END):
                end += 1
            while end < len(self._text) and self._text[end] in _CLOSERS:
                end += 1
        return end

    def _judge(self, at: int, end: int) -> _Verdict:
        mark = self._text[at]
        if mark == "\n" or mark in _WIDE_END:
            return _Verdict.CUT
        if mark in _END:
            return self._judge_end(at, end)
        if not self._first or len(self._text[:at].split()) < MIN_CLAUSE_WORDS:
            return self._judge_wide_clause(mark, at)
        if mark in _WIDE_CLAUSE:
            return _Verdict.CUT
        if end == len(self._text):
            eager = mark in _CLAUSE and self._text[at - 1].isalpha() and not self._text[:at].endswith(("http", "https"))
            return _Verdict.CUT if eager else _Verdict.WAIT
        spaced = self._text[end].isspace() and (mark not in _DASH or mark == "—" or self._text[at - 1].isspace())
        return _Verdict.CUT if spaced else _Verdict.GO_ON

    def _judge_wide_clause(self, mark: str, at: int) -> _Verdict:
        # Chinese and Japanese have no spaces to count words by: eight characters are about four words.
        return _Verdict.CUT if self._first and mark in _WIDE_CLAUSE and at >= 2 * MIN_CLAUSE_WORDS else _Verdict.GO_ON

    def _judge_end(self, at: int, end: int) -> _Verdict:
        before = self._text[:at]
        words = before.split()
        word = words[-1].lstrip("'\"([{‘“«*_`") if words and not before[-1].isspace() else ""
        if end == len(self._text):
            return _Verdict.CUT if self._first and self._surely_ends(word, at, end) else _Verdict.WAIT
        if not self._text[end].isspace():
            return _Verdict.GO_ON  # 4.50, example.com, ?x=1
        if self._text[at] in "!?؟।":
            return _Verdict.CUT
        following = self._text[end:].lstrip()[:1]
        if self._text.startswith(("..", "…"), at):
            return _on_next(following, lambda: not following.islower())
        return _judge_stop(word.lower(), word, words[:-1], following)

    def _surely_ends(self, word: str, at: int, end: int) -> bool:
        marks = self._text[at:end]
        text = self._text[:end]
        if text.count('"') % 2 or text.count("(") > text.count(")") or text.count("“") > text.count("”"):
            return False
        known = word.lower() in _NEVER_LAST | _BEFORE_NUMBER | _MAYBE_LAST
        if marks[0] == ".":
            return marks[1:2] != "." and bool(_PLAIN_WORD.fullmatch(word)) and not known and not _WEB_TALK.search(text)
        return marks[0] in "!?؟।" and not re.search(r"[./]", word)

    def _cut_long(self) -> int:
        """Where a piece without an end is cut: after a clause in its second half, else between words, else anywhere."""
        window = self._text[: MAX_PIECE + 1]
        clauses = [match.end() for match in re.finditer(r"[,;:，；：、–—](?=\s)|[，；：、]", window)]
        if clauses and clauses[-1] > MAX_PIECE // 2:
            return clauses[-1]
        space = max((match.start() for match in re.finditer(r"\s", window)), default=0)
        return space or MAX_PIECE


def _on_next(following: str, ends: Callable[[], bool]) -> _Verdict:
    if not following:
        return _Verdict.WAIT
    return _Verdict.CUT if ends() else _Verdict.GO_ON


def _judge_stop(lower: str, word: str, earlier: list[str], following: str) -> _Verdict:
    """Judges a full stop with white space behind it."""
    if lower in _NEVER_LAST or (word.isdecimal() and not earlier):  # "Dr. Smith", "1. Go left"
        return _Verdict.GO_ON
    if lower in _BEFORE_NUMBER:
        return _on_next(following, lambda: not following.isdigit())
    if lower in _MAYBE_LAST or _DOTTED.fullmatch(word):
        return _on_next(following, following.isupper)
    if len(word) == 1 and word.isupper():  # "J. R. Hartley"; "gate B." is torn from nothing by waiting
        return _Verdict.GO_ON
    return _Verdict.CUT
