"""Text to a translation model's tokens and back, and what tells a translation that has gone astray.

SentencePiece (Apache-2.0) cuts text as the models' publishers do; a ``tokenizer.json`` of Hugging Face tokenizers stands in for
it. Putting pieces together again needs neither: a piece that begins a word begins with U+2581, bytes are written ``<0x41>``.
That way nothing is normalised twice, and what continues a given text is told as exactly what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from edge.errors import EngineMissing, ModelCorrupt

Splitter = Callable[[str], list[str]]
"""Cuts text into tokens."""

SPACE: Final = "▁"
_BYTES: Final = re.compile(r"(?:<0x[0-9A-F]{2}>)+")
_WORDS: Final = re.compile(r"\w+|[^\w\s]")
_ENDS: Final = ".!?…。！？"  # noqa: RUF001  # the punctuation of other scripts is meant
UNSPACED: Final = frozenset({"zh", "cmn", "yue", "ja", "th", "lo", "my", "km", "bo", "dz"})
"""Languages that put no blanks between words."""
_LONGEST_BLOCK: Final = 16
"""Tokens of the longest phrase whose repetition is looked for."""

_FEW: Final = 3
"""Tokens from which a text can be one-sided."""


def splitter(path: Path) -> Splitter:
    """Gives what cuts text as a ``.spm`` or ``.model`` file of SentencePiece, or a ``tokenizer.json``, says.

    Raises EngineMissing, ModelCorrupt.
    """
    return _fast(path) if path.suffix == ".json" else _sentence_piece(path)


def _sentence_piece(path: Path) -> Splitter:
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise EngineMissing("sentencepiece is not installed: run pip install 'sentencepiece>=0.2.1'") from error
    try:
        processor = SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ModelCorrupt(f"{path}: not a SentencePiece model") from error
    return lambda text: [str(piece) for piece in processor.encode(text, out_type=str)]


def _fast(path: Path) -> Splitter:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EngineMissing("tokenizers is not installed: run pip install tokenizers") from error
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise ModelCorrupt(f"{path}: not a tokenizer") from error
    return lambda text: [str(token) for token in tokenizer.encode(text, add_special_tokens=False).tokens]


def words_of(vocabulary: Collection[str]) -> Splitter:
    """Gives what cuts text into the words of a vocabulary and single signs; what it lacks is tried in lower case."""

    def cut(text: str) -> list[str]:
        return [word if word in vocabulary else word.lower() for word in _WORDS.findall(text)]

    return cut


def as_pieces(words: Sequence[str]) -> list[str]:
    """Gives whole words as pieces that ``joined`` puts together: a sign follows without a blank."""
    return [SPACE + word if word[:1].isalnum() else word for word in words]


def joined(tokens: Sequence[str]) -> str:
    """Puts pieces of words together; a text that begins with a new word begins with a blank."""
    text = "".join(tokens)
    if "<0x" in text:
        text = _BYTES.sub(
            lambda run: bytes.fromhex(run[0].replace("<0x", "").replace(">", "")).decode("utf-8", "replace"), text
        )
    return text.replace(SPACE, " ")


def continued(prefix: str, tokens: Sequence[str]) -> str:
    """Gives a text with the pieces that go on from it; it stands at the beginning as it is."""
    rest = joined(tokens)
    return prefix + (rest.lstrip(" ") if not prefix or prefix[-1].isspace() else rest)


def breaks_word(prefix: str, tokens: Sequence[str]) -> bool:
    """Whether the pieces go on with the last word of a text, which then was another word: ``Holanda`` of ``Hola``."""
    rest = joined(tokens)
    return bool(prefix and rest) and prefix[-1].isalnum() and rest[0].isalnum()


def unended(text: str, source: str) -> str:
    """Takes the full stop off the translation of a sentence that has not ended."""
    return text if source.rstrip().endswith(tuple(_ENDS)) else text.rstrip(_ENDS + " ")


def repeats(tokens: Sequence[str]) -> int:
    """Gives how often the phrase at the end of a text stands there in a row, at least 1; the phrase has at most 16 tokens.

    Of phrases of different lengths the one that is found most often counts.
    """
    most, size = 1, len(tokens)
    for block in range(1, min(_LONGEST_BLOCK, size // 2) + 1):
        times, at = 1, size - block
        while at >= block and tokens[at - block : at] == tokens[size - block :]:
            times, at = times + 1, at - block
        most = max(most, times)
    return most


def most_repeated(tokens: Sequence[str]) -> int:
    """Gives how often a phrase stands in a row anywhere in a text, at least 1."""
    return max((repeats(tokens[: end + 1]) for end in range(len(tokens))), default=1)


def one_sided(tokens: Sequence[str]) -> bool:
    """Whether half of a text, or more, is one token again and again."""
    return len(tokens) >= _FEW and max(tokens.count(token) for token in set(tokens)) * 2 >= len(tokens)
