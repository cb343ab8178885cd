"""What a turn needs of its session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from edge.errors import NearsightError
from edge.runtime.engines import Engines
from edge.runtime.interpreting import Interpreting
from edge.runtime.sight import Sight
from edge.runtime.speaker import Speaker
from edge.skill import Act, Eyes, Meant, Skill
from edge.values import Exchange, TextLine, VideoFrame, VoiceStyle

if TYPE_CHECKING:
    from edge.runtime.turn import Turn


class Host(Protocol):
    """What a turn needs of its session."""

    engines: Engines
    sight: Sight
    speaker: Speaker
    skills: Sequence[Skill]
    style: VoiceStyle
    manner: str
    meant: Meant | None
    """What the last question about a thing meant."""
    speech_bound: int
    """Samples of speech that may wait unplayed."""

    @property
    def eyes(self) -> Eyes:
        """What the session sees beyond one picture."""

    @property
    def history(self) -> Sequence[Exchange]:
        """Earlier exchanges."""

    def failed(self, error: NearsightError) -> None:
        """Logs and tells an error."""

    def spoke(self, turn: Turn, text: str) -> None:
        """A sentence of a confirmed turn goes to the loudspeaker."""

    def reply_began(self, turn: Turn) -> None:
        """The first sample of the reply leaves the speaker."""

    def act(self, turn: Turn, act: Act) -> None:
        """A skill asks something of the session."""

    def restyle(self, style: VoiceStyle) -> None:
        """Changes how the assistant speaks."""

    async def keep(self, frame: VideoFrame) -> str:
        """Keeps a picture; gives its name in the bundle."""

    def wall_time(self) -> datetime:
        """Local time."""

    @property
    def interpreting(self) -> Interpreting:
        """What translates speech as it is spoken."""

    def overlay(self, frame: VideoFrame, language: str, lines: Sequence[tuple[TextLine, str]]) -> None:
        """Shows translated text where it stands."""
