"""What ``phone_bridge/wyoming_server.py`` serves, and how it describes that to its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from edge.values import EngineInfo, Pcm, Transcript

if TYPE_CHECKING:
    from wyoming.event import Event

NAME: Final = "nearsight"


class Engines(Protocol):
    """What is served. An empty port is None, or no words."""

    @property
    def version(self) -> str:
        """Of nearsight."""

    @property
    def recogniser(self) -> EngineInfo | None:
        """Who hears."""

    @property
    def hears(self) -> tuple[str, ...]:
        """The languages that it recognises, as BCP 47 tags, its own first."""

    @property
    def voice(self) -> EngineInfo | None:
        """Who speaks."""

    @property
    def speaks(self) -> tuple[str, ...]:
        """The languages of the voice."""

    @property
    def words(self) -> tuple[str, ...]:
        """The wake words that can be listened for."""

    def transcribe(self, sound: AsyncIterator[Pcm]) -> AsyncIterator[Transcript]:
        """Gives partials while the sound comes, and one final transcript after its end. Raises NearsightError."""

    def speak(self, text: AsyncIterator[str]) -> AsyncIterator[Pcm]:
        """Gives the speech of a text that comes in pieces, any of them. Raises NearsightError."""

    def detect(self, sound: AsyncIterator[Pcm], words: tuple[str, ...]) -> AsyncIterator[tuple[str, int]]:
        """Gives each word that is heard, with the number of samples until then. Raises NearsightError."""


def describe(engines: Engines) -> Event:
    """What is served, as Wyoming tells it."""
    from wyoming.info import AsrModel, AsrProgram, Attribution, Info, TtsProgram, TtsVoice, WakeModel, WakeProgram

    def whole(info: EngineInfo | None = None) -> dict[str, Any]:
        name = NAME if info is None else info.name
        return {
            "attribution": Attribution(name, ""),
            "installed": True,
            "description": NAME if info is None else " ".join(part for part in (info.name, info.model, info.licence) if part),
            "version": engines.version if info is None else info.version,
        }

    answer = Info()
    if (ears := engines.recogniser) is not None:
        model = AsrModel(name=ears.model or ears.name, languages=list(engines.hears), **whole(ears))
        answer.asr.append(AsrProgram(name=NAME, models=[model], supports_transcript_streaming=True, **whole()))
    if (voice := engines.voice) is not None:
        speaker = TtsVoice(name=voice.model or voice.name, languages=list(engines.speaks), **whole(voice))
        answer.tts.append(TtsProgram(name=NAME, voices=[speaker], supports_synthesize_streaming=True, **whole()))
    if engines.words:
        models = [WakeModel(name=word, phrase=word.replace("_", " "), languages=["en"], **whole()) for word in engines.words]
        answer.wake.append(WakeProgram(name=NAME, models=models, **whole()))
    return answer.event()
