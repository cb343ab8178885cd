"""What a detector says of a followed thing that has a name: whether the track still is on it.

A segmenter that slips off its object on to the ground soon finds that the ground looks as it did. The detector does not
follow, and so cannot slip. Where it saw the thing on the track, and now sees it beside the track and nothing of the name on it,
the track has gone wrong; it says nothing of that where it has seen two of the name at once, for which is which only the
segmenter knows. Where it saw the thing on the track and now does not, for longer than chance allows, and the segmenter doubts
as well, it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edge.policy.presence import CHANCE, GONE_NS, MOST, Held, covered
from edge.values import Box, Detection

AGREED = 2
"""The detector must have seen the thing on its track so often before it is heard: else its name means something else."""
STRAYED_NS = 200_000_000
"""How long it must see the thing elsewhere."""
ON = 0.25
"""The share of a box, of the smaller of two, from which what is detected is on the track."""
ALONE_NS = 5_000_000_000
"""How long after two of the name were seen the detector does not tell which is which."""
DOUBT = 0.85
"""Score of the segmenter below which it doubts: of what it sees well it is surer."""


class Witness:
    """The detector's word on one followed thing."""

    def __init__(self) -> None:
        self._agreed = 0
        self._hits = 0
        self._looks = 0
        self._missed = 0
        self.seen_ns = 0
        """Media time at which the detector last saw it on its track."""
        self._stray = Held(STRAYED_NS)
        self._several_ns: int | None = None

    def look(self, t_ns: int, box: Box, score: float, found: Sequence[Detection]) -> Detection | Literal["gone"] | None:
        """Takes a track's box and score, and what has the thing's name in the picture.

        Gives the thing where the track has left it, "gone" where it is no longer there, and None where nothing is wrong.
        """
        sure = [one for one in found if one.sure]
        if len(sure) > 1:
            self._several_ns = t_ns
        here = any(_on(one.box, box) for one in found)
        self._agreed += any(_on(one.box, box) for one in sure)
        if here:
            self._hits, self._looks, self._missed, self.seen_ns = self._hits + 1, self._looks + 1 + self._missed, 0, t_ns
            self._stray.reset()
            return None
        self._missed += 1
        if self._agreed < AGREED:
            return None
        alone = self._several_ns is None or t_ns - self._several_ns >= ALONE_NS
        if self._stray.look(t_ns, alone and len(sure) == 1):
            return sure[0]
        rate = min((self._hits + 1) / (self._looks + 2), MOST)
        chance = (1 - rate) ** self._missed < CHANCE and t_ns - self.seen_ns >= GONE_NS
        return "gone" if chance and score < DOUBT else None


def _on(one: Box, other: Box) -> bool:
    return max(covered(one, other), covered(other, one)) >= ON
