"""Single words, spotted in running sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge.errors import UsageError
from edge.ports import Spotter
from edge.values import Pcm
from models.spotter import SphinxSpotter
from tests.models.sounds import flite, hiss


@pytest.fixture(scope="module")
def spotter() -> Iterator[SphinxSpotter]:
    made = SphinxSpotter(("stop",))
    made.open()
    yield made
    made.close()


def heard(spotter: Spotter, pcm: Pcm) -> str | None:
    """What is spotted in a sound with silence around it."""
    quiet = hiss(0.3)
    return spotter.spot(np.concatenate([quiet, pcm, quiet]))


@pytest.mark.parametrize("voice", ["slt", "rms", "kal16", "awb"])
def test_stop_is_heard_whether_american_or_scottish(spotter: SphinxSpotter, voice: str) -> None:
    assert heard(spotter, flite("stop", voice)) == "stop"


@pytest.mark.parametrize("text", ["yes", "no", "okay", "hello", "can you read it", "where is the door"])
def test_other_words_are_not(spotter: SphinxSpotter, text: str) -> None:
    assert heard(spotter, flite(text, "slt")) is None


def test_each_utterance_stands_alone(spotter: SphinxSpotter) -> None:
    assert spotter.spot(np.zeros(0, np.int16)) is None
    assert heard(spotter, flite("stop", "rms")) == "stop"
    assert spotter.spot(hiss(1.0)) is None
    assert heard(spotter, flite("stop", "rms")) == "stop"


def test_a_word_that_nobody_can_pronounce_is_refused() -> None:
    with pytest.raises(UsageError, match="xyzzyx"):
        SphinxSpotter(("xyzzyx",)).open()
