"""What is remembered: the same as the reference reads, from a memory that holds nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.memory import Entry, MemoryBank, MemoryRules, Recalled, batches, together
from edge.tracks import Floats

EXACT = MemoryRules(prompted=None, anchor_every=None)


def entry(index: int) -> Entry:
    """What it holds tells its picture, so that it can be seen what was recalled."""
    return Entry(index, np.full((64, 2, 2), index, np.float32), np.full(256, index, np.float32))


def number(array: Floats) -> int:
    return int(array.flat[0])


class Everything:
    """Keeps all and reads as ``SAM2Base._prepare_memory_conditioned_features`` does, forwards, at stride 1."""

    def __init__(self) -> None:
        self.cond: dict[int, Entry] = {}
        self.others: dict[int, Entry] = {}

    def recall(self, frame_idx: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        num_maskmem, max_obj_ptrs = 7, 16
        maps = [(0, out.index) for out in self.cond.values()]
        for t_pos in range(1, num_maskmem):
            t_rel = num_maskmem - t_pos
            prev_frame_idx = frame_idx - 1 if t_rel == 1 else (frame_idx - 2) - (t_rel - 2)
            if (out := self.others.get(prev_frame_idx)) is not None:
                maps.append((t_rel, out.index))
        pointers = [(frame_idx - t, out.index) for t, out in self.cond.items()]
        for t_diff in range(1, max_obj_ptrs):
            if frame_idx - t_diff < 0:
                break
            if (out := self.others.get(frame_idx - t_diff)) is not None:
                pointers.append((t_diff, out.index))
        return maps, pointers


def read(recalled: Recalled) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    maps = [(slot, number(one)) for slot, one in zip(recalled.slots, recalled.maps, strict=True)]
    return maps, [(age, number(one)) for age, one in zip(recalled.ages, recalled.pointers, strict=True)]


steps = st.lists(st.sampled_from(["follow", "follow", "follow", "prompt", "correct", "leave out"]), max_size=80)


@given(steps)
def test_bounded_memory_recalls_what_unbounded_memory_recalls(steps: list[str]) -> None:
    bank, everything = MemoryBank(EXACT), Everything()
    for index, step in enumerate(["prompt", *steps]):
        bank.forget(index)
        if everything.cond:
            assert read(bank.recall(index)) == everything.recall(index)
        if step == "prompt":
            bank.prompt(entry(index))
            everything.cond[index] = entry(index)
        elif step in ("follow", "correct"):
            bank.keep(entry(index), 5.0, 1.0)
            everything.others[index] = entry(index)
        if step == "correct":  # the newest picture again: it reads what it read before, and is remembered anew
            assert read(bank.recall(index)) == everything.recall(index)
            bank.keep(entry(index), 5.0, 1.0)
        prompts = len(everything.cond)
        assert len(bank) <= prompts + 16 and bank.maps <= prompts + 7


@given(steps, st.integers(1, 5), st.integers(1, 20), st.integers(0, 2**20))
def test_no_stream_holds_more_than_the_rules_say(steps: list[str], most: int, every: int, sight: int) -> None:
    bank = MemoryBank(MemoryRules(prompted=most, anchor_every=every))
    bank.prompt(entry(0))
    for index, step in enumerate(steps, start=1):
        bank.forget(index)
        if step == "prompt":
            bank.prompt(entry(index))
        elif step != "leave out":
            bank.keep(entry(index), 5.0 if sight >> (index % 20) & 1 else -5.0, 1.0)
        recalled = bank.recall(index + 1)
        assert len(bank) <= most + 16 and bank.maps <= most + 7
        assert 1 <= recalled.slots.count(0) <= most
        assert len(recalled.maps) <= most + 6 and len(recalled.pointers) <= most + 15


def test_the_oldest_prompted_picture_makes_room() -> None:
    bank = MemoryBank(MemoryRules(prompted=2, anchor_every=None))
    for index in (0, 5, 9):
        bank.prompt(entry(index))
    assert read(bank.recall(10))[0] == [(0, 5), (0, 9)]


@pytest.mark.parametrize(("score", "iou", "anchored"), [(5.0, 0.9, True), (2.0, 0.9, False), (5.0, 0.5, False)])
def test_a_long_stream_is_anchored_anew_where_the_object_is_surely_seen(score: float, iou: float, anchored: bool) -> None:
    bank = MemoryBank(MemoryRules(prompted=1, anchor_every=30))
    bank.prompt(entry(0))
    for index in range(1, 100):
        bank.forget(index)
        bank.keep(entry(index), score, iou)
    maps, pointers = read(bank.recall(100))
    assert maps[0] == ((0, 90) if anchored else (0, 0))
    assert maps[1:] == [(back, 100 - back) for back in (6, 5, 4, 3, 2, 1)]
    assert pointers[0] == ((10, 90) if anchored else (100, 0))
    assert len(pointers) == (15 if anchored else 16)  # picture 90 is read once, as a prompted one


@pytest.mark.parametrize("wrong", [{"prompted": 0}, {"anchor_every": 0}])
def test_rules_that_leave_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="prompted|anchor_every"):
        MemoryRules(**wrong)


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 7))
def test_a_batch_holds_objects_that_remember_equally_much(followed: list[int], most: int) -> None:
    recalled = []
    for name, pictures in enumerate(followed):
        bank = MemoryBank(EXACT)
        bank.prompt(entry(0))
        for index in range(1, pictures):
            bank.keep(entry(index), 5.0, 1.0)
        recalled.append((name, bank.recall(pictures)))
    found = batches(recalled, most)
    assert sorted(name for batch in found for name, _ in batch) == list(range(len(followed)))
    for batch in found:
        assert len(batch) <= most and len({one.counts for _, one in batch}) == 1
        memories = together([one for _, one in batch])
        maps, pointers = batch[0][1].counts
        assert memories.slots.shape == (len(batch), maps) and memories.ages.shape == (len(batch), pointers)
