from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy import watch_words
from edge.policy.motion import Stir
from edge.policy.presence import Held, Places, Rest, covered
from edge.policy.watching import Fired, Look, Watch
from edge.tracks import Track, TrackState, Watched, WatchRule
from edge.values import Box, Detection, Mask

STEP_NS = 125_000_000
HOME = Box(200, 150, 300, 250)


def stir(moved: Box | None = None, *, steady: bool = True, level: float = 100.0, stirred_ns: int = 0) -> Stir:
    """Gives what motion would, for a picture of 640x360: something moves in a box of pixels."""
    blocks = np.zeros((11, 20), np.bool_)
    if moved is not None:
        blocks[int(moved.y0 / 360 * 11) : int(moved.y1 / 360 * 11), int(moved.x0 / 640 * 20) : int(moved.x1 / 640 * 20)] = True
    return Stir(blocks, blocks, np.full((11, 20), level, np.float32), np.full((11, 20), stirred_ns, np.int64), steady)


def track(
    t_ns: int, box: Box = HOME, state: TrackState = TrackState.FOLLOWED, *, sure: bool = True, area: float = 1.0
) -> Track:
    bits = np.zeros((360, 640), np.bool_)
    bits[int(box.y0) : int(box.y0 + area * box.height), int(box.x0) : int(box.x1)] = True
    mask = Mask(1, bits, 0.9) if state is TrackState.FOLLOWED else None
    return Track(1, "bag", state, box, (640, 360), t_ns, t_ns, mask, sure)


def looked(n: int, **fields: object) -> Look:
    values: dict[str, object] = {"t_ns": n * STEP_NS, "width": 640, "height": 360, "stir": stir(stirred_ns=n * STEP_NS)}
    return Look(**{**values, **fields})  # type: ignore[arg-type]  # scripted


def run(rule: WatchRule, looks: Iterable[Look]) -> list[tuple[float, Fired]]:
    watch = Watch(rule)
    return [(look.t_ns / 1e9, fired) for look in looks if (fired := watch.look(look)) is not None]


def things(rule: WatchRule, boxes: Callable[[int], Sequence[Box]], count: int, stirs: bool = True) -> list[tuple[float, Fired]]:
    return run(
        rule,
        (
            looked(
                n,
                detections=tuple(Detection(rule.label, box, 0.8) for box in boxes(n)),
                stir=stir(stirred_ns=n * STEP_NS if stirs else 0),
            )
            for n in range(count)
        ),
    )


def object_rule(what: Watched, **fields: object) -> WatchRule:
    return WatchRule(what, "my bag", 1, **fields)  # type: ignore[arg-type]  # scripted


# -- what a detector names ---------------------------------------------------------------------------------------------------


def test_person_that_comes_is_told_once() -> None:
    ((at, fired),) = things(WatchRule(Watched.APPEARS, "person"), lambda n: [HOME] if n >= 40 else [], 120)
    assert fired.text == "A person appeared." and fired.sure and fired.box == HOME
    assert fired.since_ns == 40 * STEP_NS and 0.3 <= at - 40 * 0.125 <= 1.0


def test_what_was_there_is_no_news() -> None:
    assert things(WatchRule(Watched.APPEARS, "person"), lambda n: [HOME], 80) == []


def test_one_picture_is_no_evidence() -> None:
    assert things(WatchRule(Watched.APPEARS, "person"), lambda n: [HOME] if n % 20 == 0 and n else [], 200) == []


def test_thing_that_the_detector_sees_only_sometimes_neither_leaves_nor_comes() -> None:
    chance = np.random.default_rng(3)
    seen = chance.random(2000) < 0.6
    for what in (Watched.LEAVES, Watched.APPEARS, Watched.COUNT):
        reports = things(
            WatchRule(what, "bottle", cooldown=0), lambda n: [HOME] if n < 20 or seen[n] else [], 2000, stirs=False
        )
        assert reports == []


def test_leaving_is_told_within_a_second() -> None:
    ((at, fired),) = things(WatchRule(Watched.LEAVES, "dog"), lambda n: [HOME] if n < 40 else [], 120)
    assert fired.text == "The dog is gone." and 0 < at - 40 * 0.125 <= 1.0


def test_leaving_without_a_stir_is_the_detectors_doing() -> None:
    assert things(WatchRule(Watched.LEAVES, "dog"), lambda n: [HOME] if n < 40 else [], 120, stirs=False) == []


def test_number_of_people() -> None:
    other = Box(450, 150, 550, 250)
    rule = WatchRule(Watched.COUNT, "person", cooldown=1.0)
    reports = things(rule, lambda n: [HOME] + [other] * (40 <= n < 80), 160)
    assert [fired.text for _, fired in reports] == ["There are two people now.", "There is one person now."]


def test_number_that_changed_during_the_cooldown_is_told_at_its_end() -> None:
    other = Box(450, 150, 550, 250)
    reports = things(WatchRule(Watched.COUNT, "person", cooldown=8.0), lambda n: [HOME] + [other] * (40 <= n < 50), 160)
    assert [fired.text for _, fired in reports] == ["There are two people now.", "There is one person now."]
    assert reports[1][0] - reports[0][0] >= 8.0


def test_zone_counts_only_what_has_its_middle_in_it() -> None:
    zone = Box(0.5, 0, 1, 1)
    rule = WatchRule(Watched.APPEARS, "person", zone=zone)
    walk = [Box(x, 100, x + 80, 300) for x in range(0, 540, 4)]
    reports = things(rule, lambda n: [walk[n]], len(walk))
    assert len(reports) == 1 and reports[0][1].box is not None and reports[0][1].box.centre[0] >= 320


def test_named_thing_moves_and_stops() -> None:
    def bus(n: int) -> list[Box]:
        x = 100 + 12 * min(max(n - 40, 0), 20)
        return [Box(x, 100, x + 150, 200)]

    ((moved, fired),) = things(WatchRule(Watched.MOVES, "bus"), bus, 120)
    assert fired.text == "The bus is moving." and 0 < moved - 5.0 <= 1.0
    ((stopped, fired),) = things(WatchRule(Watched.STOPS, "bus"), bus, 120)
    assert fired.text == "The bus has stopped." and 0 < stopped - 7.5 <= 1.0


def test_pictures_without_the_detector_change_nothing() -> None:
    watch = Watch(WatchRule(Watched.LEAVES, "dog"))
    for n in range(40):
        assert watch.look(looked(n, detections=(Detection("dog", HOME, 0.8),))) is None
    assert not any(watch.look(looked(n)) for n in range(40, 400))


# -- a followed thing --------------------------------------------------------------------------------------------------------


def test_followed_thing_that_is_lost_and_comes_back() -> None:
    looks = [
        looked(n, tracks=(track(n * STEP_NS, state=TrackState.LOST if 20 <= n < 60 else TrackState.FOLLOWED, sure=n < 60),))
        for n in range(100)
    ]
    ((_, gone),) = run(object_rule(Watched.LEAVES), looks)
    assert gone.text == "Your bag is gone." and gone.since_ns == 20 * STEP_NS
    ((_, back),) = run(object_rule(Watched.APPEARS), looks)
    assert back.text == "Your bag is back." and not back.sure


def test_moves_is_judged_against_the_room() -> None:
    def look(n: int, *, camera: bool) -> Look:
        x = 3.0 * min(max(n - 20, 0), 40)
        box = Box(HOME.x0 + x, HOME.y0, HOME.x1 + x, HOME.y1)
        return looked(n, tracks=(track(n * STEP_NS, box),), offset=(x, 0.0) if camera else (0.0, 0.0))

    assert run(object_rule(Watched.MOVES), (look(n, camera=True) for n in range(100))) == []
    ((_, fired),) = run(object_rule(Watched.MOVES), (look(n, camera=False) for n in range(100)))
    assert fired.text == "Your bag is moving."


def test_jitter_of_a_mask_is_no_motion() -> None:
    chance = np.random.default_rng(5)

    def jittered(n: int) -> Box:
        x0, y0, x1, y1 = chance.normal(0, 4, 4)
        return Box(HOME.x0 + x0, HOME.y0 + y0, HOME.x1 + x1, HOME.y1 + y1)

    looks = [looked(n, tracks=(track(n * STEP_NS, jittered(n)),)) for n in range(1000)]
    for what in (Watched.MOVES, Watched.STOPS, Watched.TOUCHED):
        assert run(object_rule(what), looks) == []


@pytest.mark.parametrize("hand", ["stirs", "covers", "moves", "takes"])
def test_touched(hand: str) -> None:
    def look(n: int) -> Look:
        on = 20 <= n < 60
        away = TrackState.LOST if hand == "takes" and on else TrackState.FOLLOWED
        box = Box(HOME.x0 + 60, HOME.y0, HOME.x1 + 60, HOME.y1) if hand == "moves" and n >= 20 else HOME
        one = track(n * STEP_NS, box, away, area=0.5 if hand == "covers" and on else 1.0)
        return looked(n, tracks=(one,), stir=stir(HOME if hand == "stirs" and on else None))

    reports = run(object_rule(Watched.TOUCHED), (look(n) for n in range(55)))
    texts = {
        "stirs": "Something touched your bag.",
        "covers": "Something touched your bag.",
        "moves": "Your bag was moved.",
        "takes": "Your bag was taken, or something is in front of it.",
    }
    assert [fired.text for _, fired in reports] == [texts[hand]]
    assert reports[0][1].sure is (hand != "stirs") and 0 < reports[0][0] - 20 * 0.125 <= 1.0


# -- motion and light --------------------------------------------------------------------------------------------------------


def test_motion_in_a_zone() -> None:
    rule = WatchRule(Watched.MOVES, zone=Box(0.25, 0.2, 0.75, 0.8))

    def look(n: int) -> Look:
        inside = HOME if 60 <= n < 70 else None
        return looked(n, stir=stir(inside or (Box(0, 0, 100, 360) if 20 <= n < 40 else None)))

    ((at, fired),) = run(rule, (look(n) for n in range(120)))
    assert fired.text == "Something is moving where I watch." and 0 < at - 7.5 < 1.0
    assert fired.box is not None and 150 < fired.box.centre[0] < 350


def test_motion_that_goes_on_is_one_event_and_its_end_another_rule() -> None:
    looks = [looked(n, stir=stir(HOME if 20 <= n < 300 else None)) for n in range(400)]
    assert len(run(WatchRule(Watched.MOVES, cooldown=1.0), looks)) == 1
    ((at, fired),) = run(WatchRule(Watched.STOPS, cooldown=1.0), looks)
    assert fired.text == "It has stopped moving." and at == pytest.approx(300 * 0.125 + 0.9, abs=0.3)


def test_light() -> None:
    looks = [looked(n, stir=stir(level=200.0 if 40 <= n < 80 else 60.0)) for n in range(160)]
    reports = run(WatchRule(Watched.LIGHT, cooldown=1.0), looks)
    assert [fired.text for _, fired in reports] == ["The light went on.", "The light went off."]


def test_cooldown_swallows_what_comes_meanwhile() -> None:
    looks = [looked(n, stir=stir(HOME if n % 40 < 10 and n >= 20 else None)) for n in range(240)]
    assert len(run(WatchRule(Watched.MOVES, cooldown=1000.0), looks)) == 1
    assert len(run(WatchRule(Watched.MOVES, cooldown=1.0), looks)) > 3


# -- the parts ---------------------------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 800_000_000))
def test_held_never_fires_on_a_miss_nor_too_early(hits: list[bool], hold_ns: int) -> None:
    held = Held(hold_ns)
    for n, hit in enumerate(hits):
        if held.look(n * STEP_NS, hit):
            assert hit and n * STEP_NS - held.since_ns >= hold_ns and hits[held.since_ns // STEP_NS]


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_rest_does_not_care_where(x: float, y: float) -> None:
    rest = Rest(300_000_000)
    changes = [
        rest.look(n * STEP_NS, Box(x + step, y, x + step + 50, y + 50))
        for n, step in enumerate([0.0] * 10 + [6.0 * k for k in range(20)] + [114.0] * 10)
    ]
    assert sum(changes) == 2 and not rest.moving


def test_places_are_bounded() -> None:
    places = Places(300_000_000)
    for n in range(30):
        found = [Detection("cup", Box(30.0 * k, 30.0 * n, 30.0 * k + 8, 30.0 * n + 8), 0.6) for k in range(40)]
        places.look(n * STEP_NS, found, lambda box: 0)
    assert len(places.all) <= 256


def test_share_of_a_box_that_is_covered() -> None:
    assert covered(Box(0, 0, 10, 10), Box(5, 0, 20, 10)) == pytest.approx(0.5)
    assert covered(Box(0, 0, 10, 10), Box(20, 20, 30, 30)) == 0


@pytest.mark.parametrize(
    ("label", "said"),
    [("my bag", "your bag"), ("the bus", "the bus"), ("bus", "the bus"), ("", "what you showed me"), ("this cup", "the cup")],
)
def test_whose(label: str, said: str) -> None:
    assert watch_words.whose(label) == said


def test_numbers_and_plurals() -> None:
    assert watch_words.came("apple", 1) == "An apple appeared."
    assert watch_words.came("person", 3) == "Three people appeared."
    assert watch_words.went("knife", 1, 2) == "A knife went away, two knives left."
    assert watch_words.counted("bus", 12) == "There are 12 buses now."
    assert watch_words.counted("person", 0) == "There are no people now."


def test_what_is_seen_faintly_goes_on_but_does_not_begin() -> None:
    def seen(scores: Sequence[float]) -> list[str]:
        looks = (
            looked(n, detections=(Detection("dog", HOME, score, score > 0.5),) if score else ())
            for n, score in enumerate(scores)
        )
        return [fired.text for _, fired in run(WatchRule(Watched.APPEARS, "dog", cooldown=0.0), looks)]

    before = [0.0] * 10
    assert len(seen(before + [0.6, 0.4, 0.35, 0.4, 0.4])) == 1
    assert seen(before + [0.4] * 20) == []


def test_a_shadow_alone_is_no_motion() -> None:
    def looks(plain: bool) -> Iterable[Look]:
        for n in range(20):
            seen = stir(HOME if n >= 10 else None, stirred_ns=n * STEP_NS)
            yield looked(n, stir=seen if plain else replace(seen, plain=np.zeros_like(seen.moved)))

    assert len(run(WatchRule(Watched.MOVES), looks(plain=True))) == 1
    assert run(WatchRule(Watched.MOVES), looks(plain=False)) == []


def test_a_lost_thing_has_been_gone_since_it_was_last_seen() -> None:
    def looks() -> Iterable[Look]:
        for n in range(20):
            lost = n >= 12
            one = track(n * STEP_NS, state=TrackState.LOST if lost else TrackState.FOLLOWED)
            yield looked(n, tracks=(replace(one, seen_ns=min(n, 8) * STEP_NS),))

    ((at, fired),) = run(WatchRule(Watched.LEAVES, "bag", 1), looks())
    assert at == 12 * STEP_NS / 1e9, "that it was lost has taken its time already"


def test_what_was_there_before_is_no_news_however_late_the_detector_finds_it() -> None:
    def looks(stirs: Callable[[int], int]) -> Iterable[Look]:
        for n in range(40):
            seen = (Detection("cup", HOME, 0.8),) if n >= 18 else ()  # 2.25 s after the watch began
            yield looked(n, detections=seen, stir=stir(stirred_ns=stirs(n), steady=n >= 8))

    rule = WatchRule(Watched.APPEARS, "cup")
    assert run(rule, looks(lambda n: min(n, 8) * STEP_NS)) == [], "nothing has stirred since the view was learnt"
    assert len(run(rule, looks(lambda n: min(n, 17) * STEP_NS))) == 1
