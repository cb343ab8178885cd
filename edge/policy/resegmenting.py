"""Which part of a long translation belongs to which sentence of a reference.

A translator of running speech cuts sentences where it pleases. To measure it sentence by sentence, its words are dealt out to
the reference's sentences in order, by an alignment of all of its words with all of theirs:

- ``by_edits``: least edits in all, as mWERSegmenter does (Matusov et al. 2005, "Evaluating machine translation output with
  automatic sentence segmentation"), which StreamLAAL (arXiv 2406.03049) is defined with. Where several cuts need as few edits,
  ours gives words that match nothing to the sentence before them; mWERSegmenter's own choice is not documented.
- ``by_likeness``: most likeness in all, words being alike by the letters that they share, as SoftSegmenter does (arXiv
  2509.17349), which LongYAAL is defined with. It is OmniSTEval 0.1.10's, compared in the tests, with words as they are, cut at
  white space (there they can also be cut by the tokenizer of Moses). One edge differs: a mark before all words of the
  reference, or a word before a mark, is given to the first sentence; there it is lost.

Both take time and memory in proportion to words times words: two hours of speech (20,000 words) take 400 MB for their trace.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Words = Sequence[str]

_PAIR, _SKIP_REFERENCE, _SKIP_WORD = range(3)
_MARKS: Final = frozenset(".!?,;:-()。！？，；：—（）ー")


def by_edits(words: Words, references: Sequence[Words]) -> tuple[range, ...]:
    """Gives for each reference sentence the places of the words that belong to it."""
    flat = [word for sentence in references for word in sentence]
    known = {word: number for number, word in enumerate(dict.fromkeys([*flat, *words]))}
    ours = np.array([known[word] for word in words], np.int32)
    places = np.arange(len(words) + 1, dtype=np.int32)
    row = places
    trace = np.full((len(flat) + 1, len(words) + 1), _SKIP_WORD, np.uint8)
    for at, word in enumerate(flat, 1):
        pair = row[:-1] + (ours != known[word])
        skip = row + 1
        best = skip.copy()
        np.minimum(best[1:], pair, out=best[1:])
        # A row's skipped words cost 1 each: a running minimum of what is left when the place is taken off.
        after = np.minimum.accumulate(best - places) + places
        trace[at][after == skip] = _SKIP_REFERENCE
        trace[at][1:][after[1:] == pair] = _PAIR
        row = after
    return _ranges(_before(_path(trace), _owners(references)), len(references))


def by_likeness(words: Words, references: Sequence[Words], *, characters: bool = False) -> tuple[range, ...]:
    """Gives for each reference sentence the places of the words that belong to it.

    ``characters`` says that the units are characters, which are alike or are not.
    """
    ours, theirs = [_plain(word) for word in words], [_plain(word) for sentence in references for word in sentence]
    alike = _exactly if characters else _likeness
    kinds = {word: number for number, word in enumerate(dict.fromkeys(ours))}
    column = np.array([kinds[word] for word in ours], np.intp)
    row = np.zeros(len(ours) + 1)
    trace = np.full((len(theirs) + 1, len(ours) + 1), _SKIP_WORD, np.uint8)
    trace[:, 0] = _SKIP_REFERENCE
    for at, word in enumerate(theirs, 1):
        scores = np.array([alike(word, kind) for kind in kinds])
        best = row.copy()
        pair = row[:-1] + (scores[column] if len(ours) else np.zeros(0))
        np.maximum(best[1:], pair, out=best[1:])
        after = np.maximum.accumulate(best)
        trace[at][after == row] = _SKIP_REFERENCE
        trace[at][1:][after[1:] == pair] = _PAIR
        row = after
    path = _path(trace)
    return _ranges(_nearer(path, ours, theirs, _owners(references), alike), len(references))


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).lower()


def _exactly(one: str, other: str) -> float:
    return -np.inf if (one in _MARKS) != (other in _MARKS) else float(one == other)


def _likeness(one: str, other: str) -> float:
    """The share of letters that two words have in common (Jaccard); a mark is never like a word."""
    if (one in _MARKS) != (other in _MARKS):
        return -np.inf
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 0.0


def _owners(references: Sequence[Words]) -> list[int]:
    return [at for at, sentence in enumerate(references) for _ in sentence]


def _path(trace: NDArray[np.uint8]) -> list[tuple[int | None, int | None]]:
    """Gives the steps of the alignment: places in the reference and in the words, None where one of them is skipped."""
    theirs, ours = trace.shape[0] - 1, trace.shape[1] - 1
    steps: list[tuple[int | None, int | None]] = []
    while theirs or ours:
        step = trace[theirs, ours] if theirs and ours else _SKIP_REFERENCE if theirs else _SKIP_WORD
        theirs -= step != _SKIP_WORD
        ours -= step != _SKIP_REFERENCE
        steps.append((None if step == _SKIP_WORD else theirs, None if step == _SKIP_REFERENCE else ours))
    return steps[::-1]


def _before(path: Sequence[tuple[int | None, int | None]], owners: Sequence[int]) -> list[int]:
    """Gives each word's sentence; a word that matches nothing belongs to the sentence before it."""
    sentence, found = 0, []
    for theirs, ours in path:
        sentence = sentence if theirs is None else owners[theirs]
        if ours is not None:
            found.append(sentence)
    return found


def _nearer(
    path: Sequence[tuple[int | None, int | None]],
    words: Words,
    theirs: Words,
    owners: Sequence[int],
    alike: Callable[[str, str], float],
) -> list[int]:
    """Gives each word's sentence.

    Words between two that have a place go with the first of these, until one is more like the second: it and all after it go
    with that.
    """
    found: list[int] = []
    last: int | None = None
    following = _following(path)
    ahead = False
    for (reference, ours), after in zip(path, following, strict=True):
        if reference is not None:
            last, ahead = reference, False
        if ours is None:
            continue
        if reference is None and not ahead:
            ahead = last is None or (after is not None and alike(words[ours], theirs[after]) > alike(words[ours], theirs[last]))
        owner = after if ahead and after is not None else last
        found.append(owners[owner] if owner is not None else 0)
    return found


def _following(path: Sequence[tuple[int | None, int | None]]) -> list[int | None]:
    """Gives for each step the next place in the reference, its own included."""
    following: list[int | None] = []
    ahead: int | None = None
    for reference, _ in reversed(path):
        ahead = reference if reference is not None else ahead
        following.append(ahead)
    return following[::-1]


def _ranges(sentences: Sequence[int], count: int) -> tuple[range, ...]:
    """Gives the places of each sentence's words, which lie together: sentences never fall."""
    cuts = np.searchsorted(np.asarray(sentences, np.intp), np.arange(count + 1))
    cuts[-1:] = len(sentences)
    return tuple(range(int(a), int(b)) for a, b in pairwise(cuts))
