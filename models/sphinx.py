"""Speech recognition by PocketSphinx 5 with the US English model of its wheel (BSD): small, old, and always there.

Two searches hear the same sound while it is spoken: the general trigram model, and a grammar of the phrases that the wearer
may well say now. ``models/sphinx_grammar.py`` says which of the two answers.

What differs from plain ``Decoder()``, each for a reason that ``python -m tools.bench.wer`` measures:

- Cepstral mean. PocketSphinx's live mean is a constant until its first update, 8 s into an utterance or at its end; its batch
  mean needs the whole utterance. Here decoding begins 0.8 s late, with the mean of what was heard so far, and the mean is
  estimated again every second; that of the last utterance counts as one second of sound, for it was the same room.
  Whoever has a whole recording hands it over in one ``accept``: then the mean is that of the whole, and words are fewer wrong.
- All senones are scored in every frame (``compallsen``), not those of the active words only. Pruning then follows how well a
  path fits the sound, which costs nothing measurable and gains a little; the grammar's test needs it anyway.
- Segments. A segment's last words come from a search of its lattice, with the language model's weight 9.5 instead of 6.5: every
  fifth word of the running path is another one there. Where nothing said may be a command a segment ends with a pause of 0.3 s,
  not with the utterance: its words are settled so much sooner, and as many are wrong (60.3 % against 61.1 % in 30 recordings,
  most of them of LibriSpeech's harder half, 43.8 % against 43.1 % in 33 others).
- No second pass (``fwdflat``) in a conversation: it costs 40 ms and more a second of speech at the worst moment, after the last
  word, for a percent or two of the words. Recordings have it: ``models/sphinx_whole.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.errors import EngineMissing, LanguageMissing
from edge.ports import RecogniserStream, Stop
from edge.values import EngineInfo, Pcm, Transcript, Word, samples
from models.sphinx_grammar import Segment, Words, automaton, believe, spell_out
from models.sphinx_pass import FRAME, LEVEL, CepstralMean, Mean, Pass, as_text
from models.sphinx_whole import LANGUAGE, WholeStream

if TYPE_CHECKING:
    from pocketsphinx import Decoder

LEAD: Final = samples(0.8)
"""Sound heard before decoding begins."""
PARTIAL: Final = samples(0.1)
"""Sound between two looks at the best path: walking it back costs up to a millisecond."""
LONGEST: Final = samples(20.0)
"""A segment that grows longer is closed where it is: the lattice, and the time to search it, grow with it."""
PAUSE: Final = 30
"""Frames of silence that close a segment, too, where nothing said may be a command. Its words are settled then."""
COMMAND: Final = samples(8.0)
"""Longer utterances are no commands."""
SMALL: Final = samples(0.2)
"""Sound decoded between two looks at the stop flag."""


class PocketSphinx:
    """Recognises English. Implements ``edge.ports.Recogniser``; one stream at a time, a new one ends the last.

    A ``Transcript``'s confidence is, for the source ``general``, the mean posterior of its words in the lattice;
    for ``grammar``, 0.5 or more, by the likelihood ratio of both models.
    """

    def __init__(self, language: str = "en-us", grammar: bool = True, second_pass: bool = False) -> None:
        """Takes English, and hears it as Americans speak it; other languages need models that no wheel carries.

        ``grammar`` off leaves the general model alone. ``second_pass`` is for recordings, where nobody waits: an utterance is
        heard in one piece at its end and searched twice (``models/sphinx_whole.py``); there are no partials and no grammar.
        """
        _check(language)
        self._grammar = grammar
        self._second_pass = second_pass
        self._general: Decoder | None = None
        self._commands: Commands | None = None
        self._stream: _Stream | None = None
        self.mean: Mean | None = None
        """Cepstral mean of the last utterance."""

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence."""
        return EngineInfo("pocketsphinx", version("pocketsphinx"), "en-us", "BSD-2-Clause")

    def open(self) -> None:
        """Loads the models, about half a second. Raises EngineMissing where the package is not installed."""
        if self._general is not None:
            return
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise EngineMissing("speech recognition needs the package pocketsphinx: pip install pocketsphinx") from error
        if self._second_pass:
            self._general = Decoder(loglevel="FATAL", compallsen=True)
            return
        self._general = Decoder(loglevel="FATAL", fwdflat=False, compallsen=True)
        # A search that costs nothing, for the front end alone.
        self._general.add_keyphrase(LEVEL, "oh mighty computer")
        if self._grammar:
            # Silence must cost nothing here: a grammar's words are free, and would stretch over the pauses instead.
            self._commands = Commands(Decoder(loglevel="FATAL", lm=None, compallsen=True, silprob=1.0))

    def close(self) -> None:
        """Frees the models."""
        if self._stream is not None:
            self._stream.close()
        self._stream = self._general = self._commands = None

    def stream(self, *, phrases: Sequence[str] = (), languages: Sequence[str] = ()) -> RecogniserStream:
        """Begins an utterance. Phrases with slots, and words that the dictionary lacks, stay out of the command grammar.

        Raises LanguageMissing for all but English.
        """
        for tag in languages:
            _check(tag)
        if self._general is None:
            raise RuntimeError("PocketSphinx.stream before open()")
        if self._second_pass:
            return WholeStream(self._general)
        if self._stream is not None:
            self._stream.close()
        commands = self._commands
        if commands is not None and not commands.choose(tuple(phrases)):
            commands = None
        self._stream = _Stream(self, self._general, commands)
        return self._stream


class Commands:
    """The grammar's decoder and the grammar in it."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.sequences: frozenset[Words] = frozenset()
        self._phrases: tuple[str, ...] | None = None

    def choose(self, phrases: tuple[str, ...]) -> bool:
        """Makes ``phrases`` the grammar, unless they are it already; says whether anything can be said in it."""
        if phrases != self._phrases:
            spelt = {words for phrase in phrases for words in spell_out(phrase)}
            known = {word for word in {w for words in spelt for w in words} if self.phones(word)}
            self.sequences = frozenset(words for words in spelt if known.issuperset(words))
            if self.sequences:
                net = automaton(self.sequences)
                self.decoder.add_fsg(
                    "commands", self.decoder.create_fsg("commands", net.start, net.final, list(net.transitions))
                )
                self.decoder.activate_search("commands")
            self._phrases = phrases
        return bool(self.sequences)

    def phones(self, word: str) -> int:
        """Gives the number of phones in a word, 0 for one that the dictionary lacks."""
        return len((self.decoder.lookup_word(word) or "").split())


class _Stream:
    """One utterance: closed segments of general text, the segment that runs, and the grammar over all of it."""

    def __init__(self, engine: PocketSphinx, general: Decoder, commands: Commands | None) -> None:
        self._engine = engine
        self._mean = CepstralMean(general, engine.mean)
        self._general = Pass(general)
        self._commands = commands
        self._command: Pass | None = None
        self._waiting: list[Pcm] = []  # until there is enough of it to tell the mean
        self._sound: list[Pcm] = []  # all that was decoded, while it may be a command
        self._heard = 0
        self._decoded = 0
        self._shown_at = 0
        self._shown = "", 0
        self._closed: list[Segment] = []
        self._last: Transcript | None = None

    def accept(self, pcm: Pcm) -> Transcript | None:
        """Takes the next sound; gives a new partial, from the general model, when it has changed or more of it is settled.

        Words of the segment that runs have confidence 1: theirs comes from the lattice, when it is closed.
        """
        if not len(pcm):
            return None
        self._last = None
        self._heard += len(pcm)
        if self._mean.value is None:
            self._waiting.append(pcm)
            if self._heard >= LEAD:
                self._begin(Stop())
        else:
            self._decode(pcm)
        if self._heard - self._shown_at < PARTIAL:
            return None
        self._shown_at = self._heard
        path = self._general.path()
        if self._commands is None and _pause(path) >= PAUSE:
            self._close_segment()
            path = []
        words = _words(self._closed + path)
        settled = 0 if self._commands is not None else len(words) - len(_words(path))
        text = " ".join(word.text for word in words)
        if (text, settled) == self._shown:
            return None
        self._shown = text, settled
        return Transcript(text, words, _confidence(words), source="general", settled=settled, language=LANGUAGE)

    def final(self, stop: Stop) -> Transcript:
        """Gives the last word on all sound so far: the grammar's where it can be believed, else the general model's.

        A ``stop`` makes it give the general model's view of what was decoded by then.
        """
        if self._last is None:
            if self._mean.value is None and self._waiting:
                self._begin(stop)
            self._close_segment()
            self._last = self._command_heard(stop) or self._general_heard()
            self._shown = self._last.text, 0 if self._commands is not None else len(self._last.words)
        return self._last

    def close(self) -> None:
        """Gives the utterance up."""
        self._general.abandon()
        self._drop_command()
        self._waiting.clear()

    def _begin(self, stop: Stop) -> None:
        """Estimates the mean of the sound that waits, and decodes it."""
        sound = np.concatenate(self._waiting)
        self._waiting.clear()
        self._mean.begin(sound)
        self._mean.set()
        for at in range(0, len(sound), SMALL):
            if stop:
                return
            self._decode(sound[at : at + SMALL])

    def _decode(self, pcm: Pcm) -> None:
        self._decoded += len(pcm)
        self._general.feed(pcm)
        self._follow(pcm)
        if self._mean.heard(len(pcm)) and self._command is not None:
            self._copy_mean(self._command)
        if self._general.length >= LONGEST:
            self._close_segment()

    def _follow(self, pcm: Pcm) -> None:
        """Lets the grammar hear the sound, from its beginning again when the speaker had only paused."""
        if self._commands is None:
            return
        if self._decoded > COMMAND:
            self._drop_command()
            return
        self._sound.append(pcm)
        if self._command is None:
            self._command = Pass(self._commands.decoder)
            self._copy_mean(self._command)
            self._command.feed(np.concatenate(self._sound))
        else:
            self._command.feed(pcm)

    def _copy_mean(self, command: Pass) -> None:
        if self._mean.value is not None:
            command.decoder.set_cmn(as_text(self._mean.value))

    def _drop_command(self) -> None:
        if self._command is not None:
            self._command.abandon()
        self._commands = self._command = None
        self._sound.clear()

    def _close_segment(self) -> None:
        self._closed += self._general.finish()
        self._engine.mean = self._mean.value if self._mean.value is not None else self._engine.mean
        self._general = Pass(self._general.decoder, self._decoded)
        self._mean.set()

    def _command_heard(self, stop: Stop) -> Transcript | None:
        if self._commands is None or self._command is None or stop:
            return None
        path = self._command.finish()
        self._command = None  # more sound begins it anew
        trust = believe(path, self._closed, self._commands.sequences, self._commands.phones)
        return Transcript(_text(path), _words(path), trust, final=True, source="grammar", language=LANGUAGE) if trust else None

    def _general_heard(self) -> Transcript:
        words = _words(self._closed)
        return Transcript(_text(self._closed), words, _confidence(words), final=True, source="general", language=LANGUAGE)


def _check(tag: str) -> None:
    if tag.replace("_", "-").partition("-")[0].lower() != LANGUAGE:
        raise LanguageMissing(
            f"pocketsphinx has no model for {tag!r}, only for American English: run nearsight models pull faster-whisper-small "
            'and set recogniser.engine = "faster-whisper"'
        )


def _words(path: Sequence[Segment]) -> tuple[Word, ...]:
    return tuple(
        Word(segment.word, segment.start * FRAME, segment.end * FRAME, segment.confidence)
        for segment in path
        if not segment.filler
    )


def _confidence(words: Sequence[Word]) -> float:
    return sum(word.confidence for word in words) / len(words) if words else 0.0


def _pause(path: Sequence[Segment]) -> int:
    """Gives the frames of silence behind the last word; 0 where there is no word."""
    last = next((at for at, segment in enumerate(reversed(path)) if not segment.filler), 0)
    return path[-1].end - path[-last].start if last else 0


def _text(path: Sequence[Segment]) -> str:
    return " ".join(segment.word for segment in path if not segment.filler)
