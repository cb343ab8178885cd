"""Private mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from edge.skill import Act, Asking


class Mute:
    """Switches microphone and camera off, both whichever was named, until a tap: half a privacy is none.

    It is said aloud first, so that the people around hear it too.
    """

    name = "mute"
    summary = "go private"
    phrases: Sequence[str] = (
        "mute [yourself | the microphone | everything]",
        "(go | be) private",
        "[go to | start | turn on | switch on] (private | privacy) mode",
        "stop (listening | recording) [to me | me]",
        "stop watching (me | everything)",
        "(turn | switch) off [the] (camera | microphone | camera and microphone | microphone and camera)",
        "(turn | switch) [the] (camera | microphone | camera and microphone | microphone and camera) off",
        "(do not | don't) (listen | look | watch)",
    )
    urgent = False

    async def answer(self, asking: Asking) -> AsyncIterator[str]:
        """Gives the announcement; the session switches off once it has been spoken."""
        await asking.sure()
        yield "Microphone and camera are off. Tap to switch them on again."
        asking.act(Act.MUTE)
