"""What a Wyoming server has, and what of it is used: the first thing that an engine asks on a new connection."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from random import uniform
from typing import TYPE_CHECKING, Any, Final

from edge.errors import RemoteFailed, RemoteRefused
from edge.ports import Stop
from edge.values import SAMPLE_RATE, EngineInfo
from models.wyoming_wire import TICK_S, Connection, Place, need_wyoming

if TYPE_CHECKING:
    from wyoming.event import Event

log = logging.getLogger(__name__)

RETRIES: Final = 2
"""How often a request that was lost before anything came of it is made again."""
AHEAD: Final = 50
"""Pieces of sound that may wait for a server that does not take them: a second of what the ears hear."""
_MOST_NAMED: Final = 8
_CODE: Final = re.compile(r"[\w.:-]{1,40}")
_VERSION: Final = re.compile(r"_v\d[\w.]*$")


@dataclass(frozen=True, slots=True)
class Times:
    """How many seconds a server is waited for. All are below a lane's time limit, which would cost the engine."""

    connect_s: float = 2.0
    describe_s: float = 2.0
    """Until it has said what it has."""
    first_s: float = 10.0
    """Until the first sound of a reply."""
    idle_s: float = 5.0
    """Between two pieces of a reply, or without taking a piece of sound."""
    hold_s: float = 0.1
    """Before the server is told that the speech has ended: after that there is no more to be said, short of saying it all
    again, and most first hints of silence are the middle of a word."""
    answer_s: float = 15.0
    """From the end of the speech until the transcript."""


TIMES: Final = Times()


@dataclass(frozen=True, slots=True)
class Offer:
    """A model, a voice or a wake word of a server."""

    program: str
    first: bool
    """Whether its program is the first of its kind: the one that serves without being selected."""
    name: str
    languages: tuple[str, ...]
    installed: bool
    speakers: tuple[str, ...] = ()
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for, in the server's own words; empty where its own choice does."""

    program: str = ""
    name: str = ""
    language: str = ""
    words: tuple[tuple[str, str], ...] = ()
    """The server's names of wake words, each with ours."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the owner asked for."""

    kind: str
    """``asr``, ``tts`` or ``wake``, as Wyoming calls them."""
    model: str = ""
    """A program, a model or a voice by its name; empty takes the first that speaks ``language``."""
    language: str = ""
    """A BCP 47 tag."""
    speaker: str = ""
    words: tuple[str, ...] = ()


_NOUNS: Final = {"asr": "speech recogniser", "tts": "voice", "wake": "wake word"}


class Server:
    """A server as one engine knows it: where it is, and which of its offers is used."""

    def __init__(self, uri: str, wanted: Wanted, times: Times) -> None:
        """Raises ConfigError for a malformed ``uri``."""
        self.place = Place.of(uri)
        self.wanted = wanted
        self.times = times
        self._choice: Choice | None = None

    def open(self) -> None:
        """Looks whether it is there and has what is wanted; where not, that is logged. Raises EngineMissing."""
        need_wyoming()
        connection = self.meet()
        try:
            self.wait(connection, Stop())
        except RemoteFailed as error:
            log.warning("%s", error.text)
        finally:
            connection.close()

    def meet(self) -> Connection:
        """Begins a connection, and asks what there is where that is not known."""
        from wyoming.info import Describe

        connection = Connection(self.place, self.times.connect_s)
        if self._choice is None:
            connection.put(Describe().event())
        return connection

    def step(self, connection: Connection) -> Choice | None:
        """Pumps a connection; gives the choice once the server has said what it has.

        Raises RemoteFailed, and RemoteRefused where it has nothing that will do.
        """
        from wyoming.info import Info

        connection.pump()
        while self._choice is None and (event := connection.take()) is not None:
            if Info.is_type(event.type):
                self._choice = choose(_offers(event, self.wanted.kind, self.place), self.wanted, self.place)
        if self._choice is None and connection.age > self.times.connect_s + self.times.describe_s:
            raise RemoteFailed(f"{self.place.name} does not say what it has")
        return self._choice

    def wait(self, connection: Connection, stop: Stop) -> Choice | None:
        """Waits for the choice; None once ``stop`` is set."""
        while not stop:
            if (choice := self.step(connection)) is not None:
                return choice
            connection.rest(TICK_S)
        return None

    def forget(self) -> None:
        """Asks again what there is before the next request: something went wrong."""
        self._choice = None

    def check(self, event: Event) -> None:
        """Raises RemoteFailed for an ``error`` event: its code, not its text, which may quote what was said."""
        from wyoming.error import Error

        if Error.is_type(event.type):
            code = str(event.data.get("code") or "")
            told = f" ({code})" if _CODE.fullmatch(code) else ""
            raise RemoteFailed(f"{self.place.name} failed{told}; its own log says why")

    def program(self, choice: Choice) -> list[Event]:
        """What selects the program, where it must be selected."""
        from wyoming.info import SelectProgram

        return [SelectProgram(choice.program).event()] if choice.program else []


def engine_info(server: Server, model: str) -> EngineInfo:
    """What an engine says of itself."""
    try:
        installed = version("wyoming")
    except PackageNotFoundError:
        installed = "not installed"
    return EngineInfo("wyoming", installed, model, remote=server.place.name)


def sound_event(pcm: bytes, start: int) -> Event:
    """A piece of our own sound; ``start`` in samples."""
    from wyoming.audio import AudioChunk

    return AudioChunk(SAMPLE_RATE, 2, 1, pcm, timestamp=start * 1000 // SAMPLE_RATE).event()


def sound_begins() -> Event:
    """What comes before our own sound."""
    from wyoming.audio import AudioStart

    return AudioStart(SAMPLE_RATE, 2, 1, timestamp=0).event()


def backoff(tries: int) -> float:
    """Seconds before the next of so many tries: 0.1, 0.2, each with a quarter of jitter."""
    return 0.05 * (1 << tries) * uniform(0.75, 1.25)


def text_of(event: Event, place: Place) -> str:
    """Gives the text of an event. Raises RemoteFailed where it has none."""
    text = event.data.get("text")
    if not isinstance(text, str):
        raise RemoteFailed(f"{place.name} does not speak Wyoming: a {event.type[:40]!r} without a text")
    return text


def choose(offers: Sequence[Offer], wanted: Wanted, place: Place) -> Choice:
    """Gives what to ask for. Raises RemoteRefused, naming what there is."""
    noun = _NOUNS[wanted.kind]
    offers = [offer for offer in offers if offer.installed]
    if not offers:
        raise RemoteRefused(f"{place.name} has no {noun}: it serves something else")
    if wanted.kind == "wake":
        return _words(offers, wanted, place)
    named = [offer for offer in offers if wanted.model in ("", offer.name, offer.program)]
    if not named:
        raise RemoteRefused(f"{place.name} has no {noun} {wanted.model!r}; it has {_some(offer.name for offer in offers)}")
    speaking = [(offer, tag) for offer in named if (tag := _tag(wanted.language, offer.languages)) is not None]
    if not speaking:
        has = _some(tag for offer in named for tag in offer.languages)
        raise RemoteRefused(f"{place.name} has no {noun} for {wanted.language!r}; it has {has}")
    own = wanted.language.lower().replace("_", "-")
    offer, tag = next((pair for pair in speaking if pair[1].lower().replace("_", "-") == own), speaking[0])
    if wanted.speaker and wanted.speaker not in offer.speakers:
        raise RemoteRefused(
            f"{place.name}: the voice {offer.name!r} has no speaker {wanted.speaker!r}; it has {_some(offer.speakers)}"
        )
    # A server's own default is told by no name: a program that was selected, or the first, is asked without one.
    default = wanted.kind == "asr" and wanted.model in ("", offer.program) and offer == named[0]
    return Choice("" if offer.first else offer.program, "" if default else offer.name, tag)


def _words(offers: Sequence[Offer], wanted: Wanted, place: Place) -> Choice:
    found = []
    for word in wanted.words:
        offer = next((offer for offer in offers if plain(word) in (plain(offer.name), plain(offer.phrase))), None)
        if offer is None:
            raise RemoteRefused(f"{place.name} has no wake word {word!r}; it has {_some(offer.name for offer in offers)}")
        found.append((offer, word))
    programs = {offer.program for offer, _ in found}
    if len(programs) > 1:
        raise RemoteRefused(f"{place.name} has the wake words in several programs, {_some(sorted(programs))}: choose of one")
    first = found[0][0]
    return Choice("" if first.first else first.program, words=tuple((offer.name, word) for offer, word in found))


def plain(name: str) -> str:
    """A wake word's name as all spell it: ``Hey Jarvis`` and ``hey_jarvis_v0.1`` are ``hey_jarvis``."""
    return re.sub(r"[^a-z0-9]+", "_", _VERSION.sub("", name.lower())).strip("_")


def _tag(language: str, offered: Sequence[str]) -> str | None:
    """The server's own tag for a language; empty where it names none, None where it has others."""
    if not language or not offered:
        return ""
    tags = {tag.lower().replace("_", "-"): tag for tag in offered}
    own = language.lower().replace("_", "-")
    base = own.partition("-")[0]
    near = next((tag for key, tag in tags.items() if key.partition("-")[0] == base), None)
    return tags.get(own) or tags.get(base) or near


def _some(names: Any) -> str:
    """Names for a line of text: not all hundred of them, and nothing that ends the line."""
    known = list(dict.fromkeys(re.sub(r"\s+", " ", name)[:60] for name in names if name))
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return ", ".join(known[:_MOST_NAMED]) + more or "none"


def _offers(event: Event, kind: str, place: Place) -> list[Offer]:
    from wyoming.info import Info

    try:
        info = Info.from_event(event)
        programs: dict[str, list[Any]] = {"asr": [*info.asr], "tts": [*info.tts], "wake": [*info.wake]}
        return [
            _offer(program.name, at == 0, item)
            for at, program in enumerate(programs[kind])
            for item in (program.voices if kind == "tts" else program.models)
        ]
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError):  # its fields are what the server made them
        raise RemoteFailed(f"{place.name} does not speak Wyoming: it describes itself wrongly") from None


def _offer(program: str, first: bool, item: Any) -> Offer:
    """One row. Raises TypeError for what is no text."""
    speakers = tuple(speaker.name for speaker in getattr(item, "speakers", None) or ())
    phrase = getattr(item, "phrase", None) or ""
    languages = tuple(item.languages or ())
    for text in (program, item.name, phrase, *languages, *speakers):
        if not isinstance(text, str):
            raise TypeError(text)
    return Offer(program, first, item.name, languages, bool(item.installed), speakers, phrase)
