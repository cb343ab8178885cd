"""Translation by CTranslate2: Opus-MT, M2M100, MADLAD-400, NLLB-200, and small models of plain words or letters.

What differs from a call of ``Translator.translate_batch``, each for a reason:

- the search is greedy: CTranslate2 tells of single steps only then, and a flag that is raised must end the work within one;
- a text that is given as the beginning is forced as tokens, but told as it was given: pieces that are put together again may
  differ from it in a blank or a form of Unicode. Where the model would go on with the last word of it ("Hola", "Holanda"),
  the likeliest of the first steps that do not is taken instead, or a blank;
- a translation that goes round in circles, or on and on, is tried once more with repetitions forbidden
  (``no_repeat_ngram_size``), and then given up: nothing is better than a loop that is read aloud;
- a sentence that has not ended gets no full stop, and few words more than it has.
"""

from __future__ import annotations

import atexit
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.errors import EngineFailed, LanguageMissing, NearsightError, NotAgreed, TooLarge
from edge.ports import Stop
from edge.translation import TranslateRequest
from edge.values import EngineInfo
from models.ct2 import choose, failures
from models.ct2_languages import find_code, primary
from models.ct2_pack import Family, Pack, read_pack
from models.ct2_words import (
    SPACE,
    UNSPACED,
    Splitter,
    as_pieces,
    breaks_word,
    continued,
    joined,
    most_repeated,
    one_sided,
    repeats,
    splitter,
    unended,
    words_of,
)

if TYPE_CHECKING:
    from ctranslate2 import GenerationStepResult, Translator

MANY: Final = "mul"
"""Stands for any language, as the source of a model of many."""
ALTERNATIVES: Final = 8
"""First steps that are tried where the likeliest would change a word that stands."""
_END: Final = "</s>"
_CONTROL: Final = ("<s>", _END, "<pad>", "<unk>", "<blank>")
_PER_TOKEN: Final = 3
_SPARE: Final = 12
"""A translation has at most three tokens for each of its source, and 12: a short word of one language may be many pieces in
another, twice as many tokens in a whole sentence are rare."""
_PER_TOKEN_OPEN: Final = 2
_SPARE_OPEN: Final = 8
"""The same for a sentence that has not ended."""
_CIRCLES: Final = 5
"""Times that a phrase may stand in a row, beside those that the source has it."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An open model."""

    pack: Pack
    model: Translator
    split: tuple[Splitter, Splitter]
    """What cuts source and target text into tokens."""
    silent: frozenset[str]
    """Tokens that are no text."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One text on its way through the network."""

    source: Sequence[str]
    opening: Sequence[str]
    """Tokens before the text itself: the target language's."""
    prefix: Sequence[str]
    longest: int
    """Tokens that may follow the prefix."""
    whole: bool

    @property
    def before(self) -> int:
        """Tokens that are given."""
        return len(self.opening) + len(self.prefix)


class Ct2Translator:
    """Implements ``edge.ports.Translator``. Two translations of one request are alike."""

    def __init__(
        self,
        folder: Path,
        *,
        pairs: Collection[tuple[str, str]] = (),
        device: str = "cpu",
        compute_type: str = "",
        threads: int = 0,
        non_commercial: bool = False,
        licence: str = "",
    ) -> None:
        """Takes a folder with ``model.bin`` in it; nothing is ever fetched.

        ``pairs``: source and target of a model whose vocabulary does not name languages (Opus-MT), where its folder's name
        does not tell them either; ``mul`` stands for any source. ``compute_type``: as CTranslate2 names them; empty for
        float16 on a GPU and int8 on a processor. ``threads``: 0 for CTranslate2's choice. ``non_commercial``: whether NLLB's
        licence, which forbids commercial use, is agreed to. ``licence``: as its source states it, where that is known.
        """
        self._folder = folder
        self._pairs = tuple((primary(source), primary(target)) for source, target in pairs)
        self._device = device
        self._compute_type = compute_type
        self._threads = threads
        self._non_commercial = non_commercial
        self._licence = licence
        self._pack: Pack | None = None
        self._loaded: _Loaded | None = None

    @property
    def info(self) -> EngineInfo:
        """Name, version, model and licence; once it is open, its family, and where and in which type it computes."""
        details, licence = {}, self._licence
        if self._loaded is not None:
            pack, model = self._loaded.pack, self._loaded.model
            details = {"family": pack.family.value, "device": model.device, "compute_type": model.compute_type}
            licence = licence or pack.family.licence
        try:
            number = version("ctranslate2")
        except PackageNotFoundError:
            number = ""
        return EngineInfo("ctranslate2", number, self._folder.name, licence, details)

    @property
    def forces(self) -> bool:
        """Always: a decoder goes on from whatever it is given."""
        return True

    def open(self) -> None:
        """Checks the files and loads them.

        Raises EngineMissing, ModelMissing, ModelCorrupt, NotAgreed, OutOfMemory, DeviceMissing, EngineFailed.
        """
        if self._loaded is not None:
            return
        pack = self._read()
        if refusal := self._refusal(pack):
            raise NotAgreed(refusal)
        if pack.splitters is not None:
            split = splitter(pack.splitters[0]), splitter(pack.splitters[1])
        else:
            split = words_of(frozenset(pack.source)), words_of(frozenset(pack.target))
        device, compute_type = choose(self._device, self._compute_type)
        from ctranslate2 import Translator

        with failures(self._folder.name):
            model = Translator(
                str(self._folder),
                device=device,
                compute_type=compute_type,
                inter_threads=1,
                intra_threads=self._threads,
            )
        self._loaded = _Loaded(pack, model, split, frozenset({*_CONTROL, pack.eos, *pack.codes.values()}))
        # Its worker keeps the last callback, and ends the process if it lets go of it once the interpreter is gone.
        atexit.register(self.close)

    def close(self) -> None:
        """Frees the model."""
        atexit.unregister(self.close)
        self._loaded = None

    def missing(self, source: str, target: str) -> str:
        """Says why it cannot translate between two languages; the files are read for that, where they were not yet."""
        if primary(source) == primary(target):
            return f"{source} and {target} are the same language"
        try:
            pack = self._read()
        except NearsightError as error:
            return error.text
        return self._refusal(pack) or self._lacks(pack, source, target)

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the translation in one piece, or nothing once ``stop`` is set; the flag is looked at with every token.

        Raises LanguageMissing, TooLarge; EngineFailed where nothing comes, or nothing but a loop; OutOfMemory.
        """
        if self._loaded is None:
            raise RuntimeError("Ct2Translator is not open")
        if why := self.missing(request.source, request.target):
            raise LanguageMissing(why)
        text = " ".join(request.text.split())
        if not any(letter.isalnum() for letter in text) or stop:
            return
        pack = self._loaded.pack
        with failures(self._folder.name):
            found = self._letters(text, request, stop) if pack.lettered else self._pieces(text, request, stop)
        if stop:
            return
        if not found.strip():
            raise EngineFailed(f"{self._folder.name}: nothing comes of {len(text.split())} words")
        if not request.whole:
            found = request.prefix + unended(found[len(request.prefix) :], text)
        if found.strip():
            yield found

    def _read(self) -> Pack:
        # Two threads may both read it: they find the same.
        if self._pack is None:
            self._pack = read_pack(self._folder)
        return self._pack

    def _refusal(self, pack: Pack) -> str:
        if pack.family is not Family.NLLB or self._non_commercial:
            return ""
        return (
            f"{self._folder.name}: its licence, {Family.NLLB.licence}, forbids commercial use: agree to it with "
            "translator.non_commercial = true"
        )

    def _lacks(self, pack: Pack, source: str, target: str) -> str:
        name, command = self._folder.name, f"run nearsight models pull --translate {primary(source)}-{primary(target)}"
        if pack.family in (Family.MARIAN, Family.PLAIN):
            pairs = self._pairs or pack.pairs
            if not pairs:
                return f"{name}: nothing tells its languages: give its folder a name that ends like opus-mt-es-en"
            if any(one in (MANY, primary(source)) and other == primary(target) for one, other in pairs):
                return "" if not pack.codes or find_code(target, pack.codes) else f"{name} does not write {target}: {command}"
            return f"{name} translates {', '.join('-'.join(pair) for pair in pairs)}, not {source}-{target}: {command}"
        for tag in (source, target):
            if not find_code(tag, pack.codes):
                return f"{name} does not know {tag}: {command}"
        return ""

    def _pieces(self, text: str, request: TranslateRequest, stop: Stop) -> str:
        """Translates a text whole."""
        pack, cut = self._opened().pack, self._opened().split
        source, opening = self._framed(pack, request, cut[0](text))
        prefix = cut[1](request.prefix.strip()) if request.prefix.strip() else []
        task = _Task(source, opening, prefix, _longest(len(source), request.whole), request.whole)
        found = self._told(self._run(task, stop))
        if breaks_word(request.prefix, found) and primary(request.target) not in UNSPACED and not stop:
            found = self._around(task, request.prefix, stop)
        return continued(request.prefix, found)

    def _framed(self, pack: Pack, request: TranslateRequest, text: list[str]) -> tuple[list[str], list[str]]:
        """Gives the source with the tokens that its family has around it, and those that the target begins with."""
        target = pack.codes.get(find_code(request.target, pack.codes), "")
        end = [pack.eos] if pack.eos else []
        if pack.family in (Family.M2M100, Family.NLLB):
            return [pack.codes[find_code(request.source, pack.codes)], *text, *end], [target]
        if pack.family is Family.MADLAD:
            text = [token for token in text if token not in pack.codes.values()]  # what was said is no command
        return [*([target] if target else []), *text, *end], []

    def _told(self, tokens: Sequence[str]) -> list[str]:
        """Gives the tokens that are text, as pieces of words."""
        loaded = self._opened()
        text = [token for token in tokens if token not in loaded.silent]
        return as_pieces(text) if loaded.pack.splitters is None else text

    def _letters(self, text: str, request: TranslateRequest, stop: Stop) -> str:
        """Translates word by word; what the model has no letters for stays as it is."""
        pack, silent = self._opened().pack, self._opened().silent
        known, given = frozenset(pack.source), request.prefix.split()
        standing = len(given) - (1 if given and not request.prefix[-1].isspace() else 0)
        words = []
        for at, word in enumerate(text.split()):
            if at < standing or stop:
                continue
            start = given[at] if at < len(given) else ""
            core = [letter for letter in word if letter in known]
            if not core:
                words.append(start or word)
                continue
            after = word[len(word.rstrip("".join(set(word) - known))) :]
            task = _Task(core, (), list(start), _longest(len(core), request.whole), request.whole)
            words.append(
                start
                + "".join(token for token in self._run(task, stop) if token not in silent)
                + ("" if start.endswith(after) else after)
            )
        stem = request.prefix if len(given) == standing else request.prefix[: len(request.prefix) - len(given[-1])]
        return stem + " ".join(words)

    def _run(self, task: _Task, stop: Stop) -> list[str]:
        """Gives the tokens that follow the prefix; those of a second attempt where the first one goes astray."""
        longest = self._opened().pack.longest
        if max(len(task.source), task.before + 1) >= longest:
            raise TooLarge(f"{self._folder.name}: a text of {len(task.source)} tokens; it takes fewer than {longest}")
        allowed = _CIRCLES + 2 * (most_repeated(list(task.source)) - 1)
        for strict in ({}, {"no_repeat_ngram_size": 3, "repetition_penalty": 1.2}):
            circling = False
            tokens: list[str] = []

            def seen(step: GenerationStepResult, tokens: list[str] = tokens) -> bool:
                nonlocal circling
                tokens.append(step.token)
                circling = circling or repeats(tokens) > allowed
                return bool(stop) or circling

            found = self._decoded(task, 1, callback=seen, **strict)[0]
            ended = bool(found) and found[-1] == (self._opened().pack.eos or _END)
            if stop or (not circling and (ended or not task.whole) and not (strict and one_sided(tokens))):
                return found
        raise EngineFailed(f"{self._folder.name}: goes round in circles, or does not end")

    def _around(self, task: _Task, prefix: str, stop: Stop) -> list[str]:
        """Gives the likeliest tokens that leave the last word of the prefix as it is, or what follows a blank."""
        options = self._decoded(task, ALTERNATIVES, callback=lambda step: bool(stop), return_alternatives=True)
        for found in options:
            tokens = self._told(found)
            if not breaks_word(prefix, tokens) and repeats(tokens) <= _CIRCLES:
                return tokens
        if SPACE not in self._opened().pack.target or stop:
            return []
        return [SPACE + joined(self._told(self._run(replace(task, prefix=[*task.prefix, SPACE]), stop))).lstrip(" ")]

    def _decoded(self, task: _Task, hypotheses: int, **options: Any) -> list[list[str]]:
        given, pack = [*task.opening, *task.prefix], self._opened().pack
        # A word that a model of words lacks stays as it is; a model of pieces has letters for it.
        options["replace_unknowns" if pack.splitters is None else "disable_unk"] = True
        result = self._opened().model.translate_batch(
            [list(task.source)],
            target_prefix=[given] if given else None,
            beam_size=1,
            num_hypotheses=hypotheses,
            max_input_length=0,
            min_decoding_length=0,
            max_decoding_length=min(task.before + task.longest, pack.longest - 1),
            return_end_token=True,
            **options,
        )
        return [hypothesis[task.before :] for hypothesis in result[0].hypotheses]

    def _opened(self) -> _Loaded:
        if self._loaded is None:
            raise RuntimeError("Ct2Translator is not open")
        return self._loaded


def _longest(size: int, whole: bool) -> int:
    return _PER_TOKEN * size + _SPARE if whole else _PER_TOKEN_OPEN * size + _SPARE_OPEN
