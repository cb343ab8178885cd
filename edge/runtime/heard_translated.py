"""The translator behind a recogniser that writes English of whatever it hears (Whisper's task ``translate``)."""

from __future__ import annotations

from collections.abc import Iterator

from edge.policy.languages import name_of, primary, same
from edge.ports import Stop
from edge.translation import TranslateRequest
from edge.values import EngineInfo


class HeardTranslated:
    """Implements ``edge.ports.Translator``: it gives back what it is given, for that is the translation already."""

    forces = False

    def __init__(self, model: str) -> None:
        """``model`` is the recogniser's, for those who ask what runs."""
        self._model = model

    @property
    def info(self) -> EngineInfo:
        """Whisper's own task."""
        return EngineInfo("whisper", "", self._model, "MIT", {"task": "translate"})

    def open(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free."""

    def missing(self, source: str, target: str) -> str:
        """Whisper was taught to write English alone."""
        if same(source, target):
            return f"{source} and {target} are the same language"
        if primary(target) == "en":
            return ""
        command = f"nearsight models pull --translate {primary(source)}-{primary(target)}"
        return f"Whisper translates into English alone, not into {name_of(target)}: run {command}, and take another translator"

    def translate(self, request: TranslateRequest, stop: Stop) -> Iterator[str]:
        """Gives the text."""
        if request.text:
            yield request.text
