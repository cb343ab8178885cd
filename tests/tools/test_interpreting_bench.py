"""The bench of live translation joins what it should, and its rows hold the figures of the command."""

from __future__ import annotations

import numpy as np

from edge.cli.translated import Translation
from edge.translation import InterpretingChanged, SourceHeard, Translated
from tools.bench.interpreting import PAUSE, figures, joined, readers


def test_a_readers_utterances_are_in_the_order_of_the_book() -> None:
    files = ["Resemblyzer__7-1-0001.flac", "jfk.flac", "Resemblyzer__12-1-0000.flac", "Resemblyzer__7-1-0000.flac"]
    assert readers([{"file": f"speech/en/{file}"} for file in files]) == {
        "12": ["speech/en/Resemblyzer__12-1-0000.flac"],
        "7": ["speech/en/Resemblyzer__7-1-0000.flac", "speech/en/Resemblyzer__7-1-0001.flac"],
    }


def test_there_is_a_pause_after_each_utterance() -> None:
    loud = np.full(100, 9000, np.int16)
    sound = joined([loud, loud])
    assert len(sound) == 2 * (100 + PAUSE)
    assert np.array_equal(sound[100 + PAUSE :][:100], loud) and np.abs(sound[100 : 100 + PAUSE]).max() < 20


def test_readers_count_together() -> None:
    both = Translation("es")
    for text in ("uno dos", "tres"):
        both.take(InterpretingChanged(t_ns=0, on=True))
        both.take(SourceHeard(t_ns=10**9, sentence=1, speaker="", language="en", text="x", final=True, end_ms=900))
        both.take(
            Translated(t_ns=2 * 10**9, sentence=1, speaker="", language="es", text=text, final=True, record="tres", end_ms=900)
        )
    row = figures(both, seconds=4.0, spent_s=1.0)
    assert (row["sentences"], row["same"], row["rtf"]) == (2, 0.5, 0.25)
    assert row["lag_s"] is None
