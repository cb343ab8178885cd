"""What keeps a speech model from telling what nobody said.

Whisper large-v3 writes text for 40 % of recordings without speech (arXiv 2501.11378). The guards stand in the order of what
they are worth, as the field found it; the first three are asked before the model is, the others look at what it said:

1. ``VoiceGate``: at least 0.25 s of speech in the buffer, or no decode (``worth_decoding``);
2. a floor of level under that speech (``worth_decoding``);
3. no prompt from before a long silence (``Guards.forget_s``: a run of speech ends there): the model would go on with it;
4. a segment that the model itself doubts twice, by its no-speech probability *and* its log-probability, is dropped: the
   first alone drops real speech over noise;
5. loops are folded into one round, in whatever language;
6. more words than anybody says in that much speech: all of them are dropped;
7. words in the padding or where nobody spoke are dropped;
8. sentences that models learnt from subtitles and nobody says to glasses are dropped.

All of it is pure. Spans of speech are pairs of samples from the start of the buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edge.decoding import Decoded, Segment
from edge.policy.echo import level_db
from edge.policy.settling import joined, normal, unspaced
from edge.values import SAMPLE_RATE, Pcm, Word, samples

Span = tuple[int, int]
"""First sample of speech and one past its last."""

ENTER: Final = 0.5
LEAVE: Final = 0.35
"""Silero's own thresholds: speech begins at the one and ends below the other."""
SLACK: Final = 3
"""Words that may be said in no time: short speech makes bad statistics."""
FEW: Final = samples(0.25)
"""Window of the level: a short word in a long pause is as loud as it is."""

INVENTED: Final = (
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "please subscribe to my channel",
    "please like and subscribe",
    "dont forget to like and subscribe",
    "subtitles by the amara.org community",
    "untertitel der amara.org community",
    "untertitel von stephanie geiges",
    "untertitel im auftrag des zdf für funk 2017",
    "untertitelung des zdf 2020",
    "vielen dank fürs zuschauen",
    "sous titres réalisés par la communauté damara.org",
    "sous titrage st 501",
    "merci davoir regardé cette vidéo",
    "subtítulos realizados por la comunidad de amara.org",
    "gracias por ver el video",
    "legendas pela comunidade amara.org",
    "sottotitoli creati dalla comunità amara.org",
    "sottotitoli e revisione a cura di qtss",
    "ondertitels ingediend door de amara.org gemeenschap",
    "napisy stworzone przez społeczność amara.org",
    "субтитры сделал dimatorzok",
    "редактор субтитров а семкин корректор а егорова",
    "altyazı mk",
    "ご視聴ありがとうございました",
    "請不吝點贊訂閱轉發打賞支持明鏡與點點欄目",
    "字幕由amara.org社區提供",
    "시청해주셔서 감사합니다",
)
"""What Whisper writes for silence, of subtitles that it was trained on. Only what no wearer says: "thank you" is not here."""


@dataclass(frozen=True, slots=True)
class Guards:
    """How strict the guards are."""

    speech_s: float = 0.25
    """Seconds of speech below which nothing is decoded."""
    level_db: float = -40.0
    """RMS of the loudest quarter of a second of the speech, dB of full scale."""
    forget_s: float = 5.0
    """Seconds of silence after which what was said before is no prompt."""
    no_speech: float = 0.6
    log_probability: float = -1.0
    words_per_s: float = 7.0
    """Twice that in scripts without blanks, where a word is a syllable or two."""
    margin_s: float = 0.3
    """How far from speech the place of a word may be: Whisper's word times are that rough."""
    phrases: tuple[str, ...] = INVENTED


class VoiceGate:
    """Keeps the spans of speech that voice activity found. All samples count from the stream's start."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._voiced = False

    def window(self, probability: float, start: int, end: int) -> bool:
        """Takes the next window of voice activity; says whether it is speech."""
        self._voiced = probability >= (LEAVE if self._voiced else ENTER)
        if self._voiced:
            if self.spans and self.spans[-1][1] == start:
                start = self.spans.pop()[0]
            self.spans.append((start, end))
        return self._voiced

    def between(self, start: int, end: int) -> tuple[Span, ...]:
        """Gives the spans in a buffer, counted from its start."""
        return tuple((max(a, start) - start, min(b, end) - start) for a, b in self.spans if a < end and b > start)

    def forget(self, before: int) -> None:
        """Drops the spans that ended before a sample."""
        self.spans = [span for span in self.spans if span[1] > before]


def length(spans: Sequence[Span]) -> int:
    """Gives the samples of speech."""
    return sum(end - start for start, end in spans)


def worth_decoding(pcm: Pcm, spans: Sequence[Span], guards: Guards) -> bool:
    """Says whether a buffer holds enough speech, and loud enough."""
    if length(spans) < samples(guards.speech_s):
        return False
    pieces = ((at, min(at + FEW, end)) for start, end in spans for at in range(start, end, FEW))
    return any(level_db(pcm[start:end]) >= guards.level_db for start, end in pieces)


def believed(decoded: Decoded, spans: Sequence[Span], size: int, guards: Guards) -> Decoded:
    """Gives what can be believed of a decode of ``size`` samples; ``spans`` are where somebody spoke in them."""
    decoded = without_doubted(decoded, guards)
    decoded = without_loops(decoded)
    decoded = without_torrent(decoded, spans, guards)
    decoded = within_voice(decoded, spans, size, guards)
    return without_phrases(decoded, guards)


def without_doubted(decoded: Decoded, guards: Guards) -> Decoded:
    """Drops segments in which the model itself heard hardly any speech and of which it is unsure."""
    kept = (
        segment
        for segment in decoded.segments
        if not (segment.no_speech > guards.no_speech and segment.log_probability < guards.log_probability)
    )
    return replace(decoded, segments=tuple(kept))


def without_loops(decoded: Decoded) -> Decoded:
    """Leaves one round of each loop: a word 8 times, 2 to 8 words 3 times in a row, or 4 times in half of the text."""
    kept = frozenset(unlooped([normal(word.text) for word in decoded.words]))
    return _keep(decoded, lambda index, word: index in kept)


def unlooped(words: Sequence[str]) -> list[int]:
    """Gives the indices of the words that stand outside the repetitions of a loop (WhisperLiveKit's three rules)."""
    kept: list[int] = []
    at = 0
    while at < len(words):
        size, rounds = _loop(words, at)
        kept += range(at, at + size)
        at += size * rounds
    end = _scattered_loop([words[index] for index in kept])
    return kept if end is None else kept[:end]


def _loop(words: Sequence[str], at: int) -> tuple[int, int]:
    for size in range(1, 9):
        gram = words[at : at + size]
        if size > 1 and len(set(gram)) == 1:
            continue  # one word, again and again: it has its own measure
        rounds = 1
        while words[at + rounds * size : at + (rounds + 1) * size] == gram:
            rounds += 1
        if rounds >= (8 if size == 1 else 3):
            return size, rounds
    return 1, 1


def _scattered_loop(words: Sequence[str]) -> int | None:
    """Gives where the second round begins of words that come 4 times and make up 55 % of the text."""
    for size in range(2, min(8, len(words) // 4) + 1):
        places: dict[tuple[str, ...], list[int]] = {}
        for at in range(len(words) - size + 1):
            found = places.setdefault(tuple(words[at : at + size]), [])
            if not found or at - found[-1] >= size:
                found.append(at)
        for gram, found in places.items():
            if len(set(gram)) > 1 and len(found) >= 4 and size * len(found) >= 0.55 * len(words):
                return found[1]
    return None


def without_torrent(decoded: Decoded, spans: Sequence[Span], guards: Guards) -> Decoded:
    """Drops everything where it is more than can be said in that much speech."""
    words = decoded.words
    dense = sum(bool(word.text) and unspaced(word.text[0]) for word in words) > len(words) / 2
    rate = guards.words_per_s * (2 if dense else 1)
    return replace(decoded, segments=()) if len(words) > SLACK + rate * length(spans) / SAMPLE_RATE else decoded


def within_voice(decoded: Decoded, spans: Sequence[Span], size: int, guards: Guards) -> Decoded:
    """Drops words that begin behind the sound or touch no speech; one that ends behind it ends with it."""
    margin = samples(guards.margin_s)
    wide = [(start - margin, end + margin) for start, end in spans]

    def spoken(index: int, word: Word) -> bool:
        return word.start < size and any(word.start < end and word.end > start for start, end in wide)

    return _within(_keep(decoded, spoken), size)


def without_phrases(decoded: Decoded, guards: Guards) -> Decoded:
    """Drops segments that are one of the phrases and nothing else."""
    invented = {normal(phrase) for phrase in guards.phrases}
    kept = (segment for segment in decoded.segments if normal(joined(segment.words)) not in invented)
    return replace(decoded, segments=tuple(kept))


def _within(decoded: Decoded, size: int) -> Decoded:
    segments = (
        replace(segment, words=tuple(replace(word, end=min(word.end, size)) for word in segment.words))
        for segment in decoded.segments
    )
    return replace(decoded, segments=tuple(segments))


def _keep(decoded: Decoded, wanted: Callable[[int, Word], bool]) -> Decoded:
    segments: list[Segment] = []
    index = 0
    for segment in decoded.segments:
        words = tuple(word for place, word in enumerate(segment.words, index) if wanted(place, word))
        index += len(segment.words)
        if words or not segment.words:
            segments.append(segment if len(words) == len(segment.words) else replace(segment, words=words))
    return replace(decoded, segments=tuple(segments))
