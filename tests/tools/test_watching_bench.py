from __future__ import annotations

from models.fastestdet import FastestDet
from tests.shared import shared
from tools.bench.watching import CASES, judged, still, watched


def test_minute_of_a_still_view_under_bad_light_says_nothing() -> None:
    figures = still(1 / 60)
    assert figures["pictures"] == 300 and not any(figures["reports"].values())


def test_dog_that_leaves_and_comes_back_is_told_once_each_within_a_second() -> None:
    cases = [case for case in CASES if case.video == "dog" and case.click is None]
    detector = FastestDet(shared("models/FastestDet.onnx"))
    detector.open()
    reports, _ = watched(cases, shared("video/dog.mp4"), detector, 8.0)
    detector.close()
    found = [judged(case, reports[case]) for case in cases]
    assert [(row["events"], row["found"], row["false"]) for row in found] == [(1, 1, 0)] * 2
