"""When a server that failed is asked again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.policy.breaker import Breaker, BreakerSettings, Circuit

SETTINGS = BreakerSettings(failures=2, rest=5, longest=120, refused=60)


def test_one_failure_is_forgiven_and_two_in_a_row_are_not() -> None:
    breaker = Breaker(SETTINGS)
    breaker.failed(0)
    assert breaker.state(0) is Circuit.CLOSED
    breaker.worked()
    breaker.failed(1)
    assert breaker.state(1) is Circuit.CLOSED, "what worked in between starts the count anew"
    breaker.failed(2)
    assert breaker.state(2) is breaker.state(6.9) is Circuit.OPEN
    assert breaker.state(7) is Circuit.TRIAL


def test_each_trial_that_fails_doubles_the_rest_and_one_that_works_ends_it() -> None:
    breaker, now = Breaker(SETTINGS), 0.0
    breaker.failed(now)
    for rest in (5, 10, 20, 40, 80, 120, 120):
        breaker.failed(now)
        assert breaker.state(now + rest - 0.01) is Circuit.OPEN and breaker.state(now + rest) is Circuit.TRIAL
        now += rest
    breaker.worked()
    assert breaker.state(now) is Circuit.CLOSED
    breaker.failed(now)
    breaker.failed(now)
    assert breaker.state(now + 5) is Circuit.TRIAL, "the rest is short again"


def test_a_refusal_and_a_wish_to_be_left_alone_open_it_at_once() -> None:
    refused, busy, long = Breaker(SETTINGS), Breaker(SETTINGS), Breaker(SETTINGS)
    refused.failed(0, refused=True)
    assert refused.state(59) is Circuit.OPEN and refused.state(60) is Circuit.TRIAL
    busy.failed(0, after=20)
    assert busy.state(19) is Circuit.OPEN and busy.state(20) is Circuit.TRIAL
    long.failed(0, after=1e9)
    assert long.state(120) is Circuit.TRIAL, "no server decides that it is never asked again"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30), st.booleans())))
def test_it_is_never_open_for_longer_than_its_longest_rest(script: list[tuple[bool, float, bool]]) -> None:
    breaker, now = Breaker(SETTINGS), 0.0
    for works, pause, refused in script:
        now += pause
        if breaker.state(now) is not Circuit.OPEN:
            breaker.worked() if works else breaker.failed(now, refused=refused)
        assert breaker.state(now + SETTINGS.longest) is not Circuit.OPEN
