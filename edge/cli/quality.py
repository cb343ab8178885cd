"""BLEU and chrF by sacrebleu (Post 2018, arXiv 1804.08771), so that figures compare with published ones.

It comes with ``pip install 'nearsight[metrics]'``; nothing else here needs it. The tokenizer is sacrebleu's own, 13a; for
languages without spaces between words one that needs no dictionary: ``zh`` for Chinese, single characters for others.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from edge.errors import EngineMissing
from edge.policy.languages import primary
from edge.policy.lateness import UNSPACED


def available() -> bool:
    """Says whether sacrebleu is installed."""
    return importlib.util.find_spec("sacrebleu") is not None


def require() -> None:
    """Raises EngineMissing, with what adds it, where sacrebleu is not installed."""
    if not available():
        raise EngineMissing("sacrebleu is not installed, a reference needs it: pip install 'nearsight[metrics]'")


def tokenizer(language: str) -> str:
    """Gives sacrebleu's name of the tokenizer for a language."""
    if primary(language) in ("zh", "yue"):
        return "zh"
    return "char" if primary(language) in UNSPACED else "13a"


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float | None:
    """Gives the corpus BLEU, 0 to 100, of sentences and as many references; None without any. Raises EngineMissing."""
    require()
    from sacrebleu.metrics.bleu import BLEU

    if not references:
        return None
    return float(BLEU(tokenize=tokenizer(language)).corpus_score(list(hypotheses), [list(references)]).score)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float | None:
    """Gives the corpus chrF2, 0 to 100; None without any references. Raises EngineMissing."""
    require()
    from sacrebleu.metrics.chrf import CHRF

    if not references:
        return None
    return float(CHRF().corpus_score(list(hypotheses), [list(references)]).score)
