"""The text in view, aloud.

Seeing AI has two modes for this, chosen by hand beforehand: Short Text speaks whatever comes into view, Document reads a page
from beginning to end. Hands-free there is nothing to choose with, so the length decides. Up to ``WHOLE`` words, some twenty
seconds of speech, are read at once: a sign, a label, a notice. Of more the wearer hears the beginning, which tells what it
is, how much more there is, and the words that bring the rest; a menu of four minutes that begins by itself is a nuisance in
a restaurant. Whoever asks for everything gets everything, and "stop" ends it; in the manner
``blind`` everything is always read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from edge.policy import layout
from edge.policy.layout import Block, Priced
from edge.policy.passages import STOPS, passages
from edge.skill import Act, Asking
from edge.values import Reading

WHOLE = 60
"""Words that are read at once."""
HEAD = 30
"""Words, about, of the beginning of a longer text."""
PRICES = 6
"""The most prices that are listed."""
CERTAIN = 0.9
"""A reader's score below which a blind wearer, who cannot look for himself, is told that a line may be wrong."""
NO_TEXT = "I see no text."
BLURRED = "The text is too blurred, hold still."


class ReadText:
    """Reads the picture's text: all of it, its beginning, or what was asked for."""

    name = "read_text"
    summary = "read text"
    phrases: Sequence[str] = (
        "what does (this | that | it | the) [sign | label | screen | menu | page | note | board | poster | letter] say",
        "what does it say [there | here | on it]",
        "[please] read [me] (this | that | it) [to me | aloud | out loud] [please]",
        "[please] read [me] (this | that | the) (sign | label | screen | menu | page | note | board | poster | letter | text)",
        "[please] read (everything | all of it | the rest | aloud | the whole page) [to me | aloud] [please]",
        "what is written (here | there | on it | on this | on that)",
        "how much (is it | is this | is that | does it cost | does this cost | does that cost)",
        "(what is | what's | read | tell me) the price [of this | of that | of it]",
        "(what is | what's | read | tell me) the (phone | telephone) number",
        "(what is | what's | read) the (expiry | best before | use by) date",
        "how much (is | are) the {item}",
        "how much (does | do) the {item} cost",
        "(what is | what's) the price of the {item}",
        "read [me] the {item}",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives what was asked for, a sentence at a time."""
        frame = await asking.frame()
        reading = await asking.reading()
        asked = asking.transcript.split()
        if wanted := _figures(asked, asking.slots.get("item", ""), reading):
            yield wanted
        elif reading.blurred:
            # Half-read lines are nonsense or, on a warning sign, worse.
            yield BLURRED
        elif not reading.lines:
            yield NO_TEXT
        elif missing := _missing(asked, asking.slots.get("item", "")):
            yield missing
        else:
            height, width = frame.pixels.shape[:2]
            found = _blocks(asked, asking.slots.get("item", ""), reading, width, height)
            sentences = speakable(found)
            blind = asking.manner == "blind"
            whole = blind or bool({"everything", "all", "rest", "aloud", "whole", "loud"} & set(asked))
            head = sentences if whole else beginning(sentences)
            for sentence in head:
                yield sentence + " "
            if blind and any(line.confidence < CERTAIN for block in found for line in block.lines):
                yield "I am not sure of every word."
            if left := sentences[len(head) :]:
                tens = max(1, round(_words(left) / 10))
                yield f"There is more, about {tens}0 words. Say, read everything, to hear it."
                await asking.sure()
                asking.act(Act.LISTEN_ON)


def speakable(blocks: Iterable[Block]) -> list[str]:
    """Gives the text as sentences."""
    return [sentence(passage.text) for passage in passages(blocks)]


def beginning(sentences: list[str]) -> list[str]:
    """Gives all sentences of a short text, and of a long one as many as make ``HEAD`` words, at least one."""
    if _words(sentences) <= WHOLE:
        return sentences
    words = 0
    head: list[str] = []
    for sentence in sentences:
        words += _words([sentence])
        if head and words > HEAD:
            break
        head.append(sentence)
    return head


def _words(sentences: Iterable[str]) -> int:
    # Chinese and Japanese put no spaces; two of their letters take about as long to say as an English word.
    return sum(max(len(word) // 2 if ord(word[0]) > 0x2E80 else 1, 1) for sentence in sentences for word in sentence.split())


def sentence(text: str) -> str:
    """Gives the text with a stop at its end."""
    return text if text.endswith((*STOPS, ":", ";")) else f"{text}."


def _figures(asked: Sequence[str], item: str, reading: Reading) -> str:
    """Gives the price, telephone number or date that was asked for, empty where none was or none is there.

    These are tried even when most of the picture is blurred: figures that were read with confidence are there.
    """
    words = set(asked)
    if _price_asked(words):
        return _prices(layout.prices(reading.lines), item)
    if words & {"phone", "telephone"}:
        return " ".join(f"{number}." for number in layout.phone_numbers(reading.lines))
    if "date" in words:
        return " ".join(f"{date}." for date in layout.dates(reading.lines))
    return ""


def _price_asked(words: set[str]) -> bool:
    return {"how", "much"} <= words or "price" in words


def _missing(asked: Sequence[str], item: str) -> str:
    """What to say when figures were asked for and text is there, but not they."""
    words = set(asked)
    if _price_asked(words):
        return f"I see no price for {item}." if item else "I see no price."
    if words & {"phone", "telephone"}:
        return "I see no telephone number."
    return "I see no date." if "date" in words else ""


def _prices(prices: Sequence[Priced], item: str) -> str:
    named = [price for price in prices if _mentions(price.name, item)] if item else list(prices)
    said = [f"{price.name} {price.amount}." if price.name else f"{price.amount}." for price in named[:PRICES]]
    if len(named) > PRICES:
        said.append(f"And {len(named) - PRICES} more prices.")
    return " ".join(said)


def _mentions(text: str, item: str) -> bool:
    words = text.lower().split()
    return all(any(word.startswith(part.rstrip("s")) for word in words) for part in item.lower().split())


def _blocks(asked: Sequence[str], item: str, reading: Reading, width: int, height: int) -> tuple[Block, ...]:
    """Gives the part of the text that was asked for, all of it where no part was or the part is not there."""
    blocks = layout.blocks(reading.lines)
    if item:
        return tuple(block for block in blocks if _mentions(block.text, item)) or blocks
    if "sign" in asked and (sign := layout.sign(reading.lines, width, height)) is not None:
        return (sign,)
    return blocks
