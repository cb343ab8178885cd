"""When what happened in a turn."""

from __future__ import annotations

from dataclasses import dataclass

from edge.values import TurnTimings


@dataclass
class Marks:
    """Loop times of what happens in a turn."""

    spoken: float
    """When the last sample of the question was spoken."""
    endpoint: float | None = None
    asr_final: float | None = None
    first_token: float | None = None
    first_sentence: float | None = None
    first_audio: float | None = None
    audible: float | None = None

    def timings(self) -> TurnTimings:
        """Milliseconds from the last sample of speech."""

        def since(mark: float | None) -> float | None:
            return None if mark is None else (mark - self.spoken) * 1000.0

        return TurnTimings(
            endpoint=since(self.endpoint),
            asr_final=since(self.asr_final),
            first_token=since(self.first_token),
            first_sentence=since(self.first_sentence),
            first_audio=since(self.first_audio),
            voice_to_voice=since(self.audible),
        )
