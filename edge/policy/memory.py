"""What a SAM 2.1 stream remembers of one object, and what of it a picture is told.

SAM 2 (Ravi et al., 2024) attends to memory maps and to object pointers of earlier pictures. Its predictor keeps all of them for
ever; ``SAM2Base._prepare_memory_conditioned_features`` reads few: of the prompted pictures everything, of the others the maps
of the last 6 and the pointers of the last 15. So what lies further back is dropped here and nothing changes: the predictor
without its older entries gives the same masks to the last bit (``tests/models/test_sam2_parity.py``).

Prompted pictures are read for ever, and so are bounded by a rule of ours, which does change the masks: a declared number
stays. On a long stream a picture in which the object is surely seen becomes one of them now and then, as if it were prompted
anew, because the age of a prompted picture is an input of the network, and it never saw ages beyond a few dozen in training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edge.tracks import Floats, Memories

MAPS = 6
"""How many pictures back a map is read (``num_maskmem`` - 1)."""
POINTERS = 15
"""How many pictures back a pointer is read (``max_obj_ptrs_in_encoder`` - 1)."""


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """How long a stream may get. With both None the masks are those of the reference predictor."""

    prompted: int | None = 4
    """How many prompted pictures are remembered; of more, the oldest goes."""
    anchor_every: int | None = 300
    """After so many pictures the current one counts as prompted, if the object is surely seen in it."""
    anchor_score: float = 3.0
    """Object score logit that "surely" takes; 3 is 95 %."""
    anchor_iou: float = 0.8
    """How good the network must think its mask."""

    def __post_init__(self) -> None:
        if self.prompted is not None and self.prompted < 1:
            raise ValueError("without a prompted picture there is nothing to follow")
        if self.anchor_every is not None and self.anchor_every < 1:
            raise ValueError("anchor_every counts pictures: 1 or more, or None")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one picture left behind."""

    index: int
    """Counts the pictures of the stream."""
    map: Floats
    """(64, f, f)."""
    pointer: Floats
    """(256,)."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What of one object a picture is told. Prompted pictures stand first, the newest picture last among the maps."""

    maps: tuple[Floats, ...]
    slots: tuple[int, ...]
    """Of each map: 0 prompted, else how many pictures ago, 1 to 6."""
    pointers: tuple[Floats, ...]
    ages: tuple[int, ...]
    """Of each pointer: how many pictures ago."""

    @property
    def counts(self) -> tuple[int, int]:
        """Maps and pointers. What agrees in them fits into one batch."""
        return len(self.maps), len(self.pointers)


class MemoryBank:
    """The memory of one object."""

    def __init__(self, rules: MemoryRules) -> None:
        self._rules = rules
        self._prompted: dict[int, Entry] = {}
        self._maps: dict[int, Floats] = {}
        self._pointers: dict[int, Floats] = {}

    def __len__(self) -> int:
        """How many pictures something is remembered of."""
        return len(self._prompted) + len(self._pointers)

    @property
    def maps(self) -> int:
        """How many maps are held: they are what takes memory."""
        return len(self._prompted) + len(self._maps)

    def prompt(self, entry: Entry) -> None:
        """Remembers a picture in which the object was pointed out."""
        self._maps.pop(entry.index, None)
        self._pointers.pop(entry.index, None)
        self._prompted[entry.index] = entry
        if self._rules.prompted is not None and len(self._prompted) > self._rules.prompted:
            del self._prompted[min(self._prompted)]

    def keep(self, entry: Entry, score: float, iou: float) -> None:
        """Remembers a picture in which the object was followed.

        ``score`` is its score logit and ``iou`` the network's opinion of the mask: they decide whether it becomes an anchor.
        """
        rules = self._rules
        due = rules.anchor_every is not None and entry.index - max(self._prompted) >= rules.anchor_every
        if due and score >= rules.anchor_score and iou >= rules.anchor_iou:
            self.prompt(entry)
        else:
            self._maps[entry.index], self._pointers[entry.index] = entry.map, entry.pointer

    def prompted(self, index: int) -> bool:
        """Whether the picture counts as prompted."""
        return index in self._prompted

    def forget(self, index: int) -> None:
        """Drops what no picture from ``index`` on can read."""
        for kept, reach in ((self._maps, MAPS), (self._pointers, POINTERS)):
            for old in [then for then in kept if then < index - reach]:
                del kept[old]

    def recall(self, index: int) -> Recalled:
        """Gives what the picture ``index`` is told: everything of the prompted pictures, and of the others what is near."""
        prompted = self._prompted.values()
        near = [back for back in range(MAPS, 0, -1) if index - back in self._maps]
        ages = [age for age in range(1, POINTERS + 1) if index - age in self._pointers]
        return Recalled(
            (*(entry.map for entry in prompted), *(self._maps[index - back] for back in near)),
            (*(0 for _ in prompted), *near),
            (*(entry.pointer for entry in prompted), *(self._pointers[index - age] for age in ages)),
            (*(index - entry.index for entry in prompted), *ages),
        )


def batches(recalled: Iterable[tuple[int, Recalled]], most: int) -> list[list[tuple[int, Recalled]]]:
    """Sorts objects, each an id with its memories, into batches of at most ``most`` that have equally much to remember."""
    alike: dict[tuple[int, int], list[tuple[int, Recalled]]] = {}
    for item in recalled:
        alike.setdefault(item[1].counts, []).append(item)
    return [group[start : start + most] for group in alike.values() for start in range(0, len(group), most)]


def together(batch: Iterable[Recalled]) -> Memories:
    """Puts the memories of objects that have equally much to remember side by side."""
    batch = list(batch)
    return Memories(
        [one.maps for one in batch],
        np.array([one.slots for one in batch], np.int64),
        [one.pointers for one in batch],
        np.array([one.ages for one in batch], np.float32),
    )
