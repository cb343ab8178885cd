"""Events whose recording begins in the middle of a session."""

from __future__ import annotations

import pytest

from edge.events import Event, FinalHeard, WatchFired, earlier
from edge.translation import SourceHeard, Translated, TranslationSpoken

WORDS = ({"text": "hello", "start_ms": 2000.0, "end_ms": 2400.0},)
EARLIER = [{"text": "hello", "start_ms": 1000.0, "end_ms": 1400.0}]
SPOKEN = {"sentence": 1, "language": "es", "text": "hola"}


@pytest.mark.parametrize(
    ("event", "moved"),
    [
        (
            FinalHeard(t_ns=3_000_000_000, text="hello", confidence=1.0, source="general", words=WORDS),
            {"words": EARLIER},
        ),
        (
            SourceHeard(t_ns=3_000_000_000, speaker="", start_ms=2000.0, end_ms=2400.0, heard_ms=2900.0, words=WORDS, **SPOKEN),  # type: ignore[arg-type]
            {
                "start_ms": 1000.0,
                "end_ms": 1400.0,
                "heard_ms": 1900.0,
                "words": [{"text": "hello", "start_ms": 1000.0, "end_ms": 1400.0}],
            },
        ),
        (
            Translated(t_ns=3_000_000_000, speaker="", start_ms=2000.0, end_ms=2400.0, lag_ms=600.0, **SPOKEN),  # type: ignore[arg-type]
            {"start_ms": 1000.0, "end_ms": 1400.0, "lag_ms": 600.0},
        ),
        (
            TranslationSpoken(t_ns=3_000_000_000, to="wearer", start_ms=3100.0, lag_ms=700.0, **SPOKEN),  # type: ignore[arg-type]
            {"start_ms": 2100.0, "lag_ms": 700.0},
        ),
        (WatchFired(t_ns=3_000_000_000, watch=1, words="watch my bag", text="Your bag moved."), {"words": "watch my bag"}),
    ],
    ids=lambda value: value.event if isinstance(value, Event) else "",
)
def test_media_times_count_from_the_recordings_beginning_and_durations_stay(event: Event, moved: dict[str, object]) -> None:
    line = earlier(event, 1_000_000_000).as_json()
    assert {key: line[key] for key in ("t_ms", *moved)} == {"t_ms": 2000.0, **moved}
