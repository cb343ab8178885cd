"""Single words, spotted in running sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge.errors import UsageError
from edge.ports import WakeWord
from edge.values import Pcm, samples
from models.spotter import SphinxSpotter
from tests.models.sounds import flite


@pytest.fixture(scope="module")
def spotter() -> Iterator[SphinxSpotter]:
    made = SphinxSpotter(("stop",))
    made.open()
    yield made
    made.close()


def heard(spotter: WakeWord, pcm: Pcm) -> list[str]:
    """What is spotted in a sound with silence around it, 20 ms at a time."""
    quiet = np.zeros(samples(0.5), np.int16)
    sound = np.concatenate([quiet, pcm, quiet])
    spotter.reset()
    found = (spotter.detect(sound[at : at + 320]) for at in range(0, len(sound), 320))
    return [word for word in found if word is not None]


@pytest.mark.parametrize("voice", ["slt", "rms", "kal16"])
def test_stop_is_heard(spotter: SphinxSpotter, voice: str) -> None:
    assert heard(spotter, flite("stop", voice)) == ["stop"]


@pytest.mark.parametrize(
    "text", ["what time is it", "can you read it again", "where is the door", "the menu lists tomato soup for four dollars"]
)
def test_other_words_are_not(spotter: SphinxSpotter, text: str) -> None:
    assert heard(spotter, flite(text, "slt")) == []


def test_an_hour_of_sound_is_not_remembered(spotter: SphinxSpotter) -> None:
    spotter.reset()
    for _ in range(25):
        assert spotter.detect(np.zeros(samples(1.0), np.int16)) is None
    assert heard(spotter, flite("stop", "rms")) == ["stop"]


def test_a_word_that_nobody_can_pronounce_is_refused() -> None:
    with pytest.raises(UsageError, match="xyzzyx"):
        SphinxSpotter(("xyzzyx",)).open()
