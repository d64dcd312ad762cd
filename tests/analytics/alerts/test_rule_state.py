"""The state machine alone: when a rule fires and resolves, whatever is seen."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts import Observation, RuleState, State, Threshold, Transition, advance
from analytics.alerts.rule_state import acknowledged

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LIMIT = 500.0


def threshold(held_min: int = 0, comparison: Any = "above", **other: Any) -> Threshold:
    return Threshold(comparison, LIMIT, 20.0, held_min * MINUTE, **other)


def follow(
    rule: Threshold, seen: list[Observation]
) -> tuple[list[RuleState], list[Transition | None]]:
    held = RuleState(State.OK, START)
    states, changes = [], []
    for observation in seen:
        held, change = advance(rule, held, observation)
        states.append(held)
        changes.append(change)
    return states, changes


def walk(rule: Threshold, values: list[float | None]) -> tuple[list[str], list[str]]:
    """Feed a value a minute; return the states, and what people were told."""
    states, changes = follow(
        rule, [Observation(START + n * MINUTE, value) for n, value in enumerate(values)]
    )
    return [s.state.value for s in states], [c.after.value for c in changes if c is not None]


@pytest.mark.parametrize(
    ("rule", "values", "states", "told"),
    [
        pytest.param(
            threshold(), [490, 510, 520, 495, 485, 480, 470],
            ["ok", "firing", "firing", "firing", "firing", "resolved", "resolved"],
            ["firing", "resolved"], id="behind the hysteresis it is over",
        ),
        pytest.param(
            threshold(held_min=2), [510, 510, 490, 510, 510, 510],
            ["pending", "pending", "ok", "pending", "pending", "firing"],
            ["firing"], id="a short breach tells nobody",
        ),
        pytest.param(
            threshold(), [501, 499] * 20, ["firing"] * 40, ["firing"],
            id="a value that trembles on the line",
        ),
        pytest.param(
            threshold(comparison="below"), [510, 490, 515, 520],
            ["ok", "firing", "firing", "resolved"], ["firing", "resolved"], id="below",
        ),
        pytest.param(
            threshold(held_min=2), [510, None, 510], ["pending", "pending", "firing"], ["firing"],
            id="what is not known decides nothing",
        ),
    ],
)  # fmt: skip
def test_states(
    rule: Threshold, values: list[float | None], states: list[str], told: list[str]
) -> None:
    assert walk(rule, values) == (states, told)


def test_one_that_flaps_resolves_after_it_was_calm() -> None:
    rule = threshold(flaps=3, calm=10 * MINUTE)
    states, told = walk(rule, [510, 400] * 6 + [400] * 12)
    assert told == ["firing", "resolved"] * 3
    assert states[4:21] == ["firing"] * 17
    assert states[21:] == ["resolved"] * 3


def test_while_muted_nothing_begins_and_what_fires_goes_on() -> None:
    rule = threshold(held_min=1)
    seen = [
        Observation(START, 510), Observation(START + MINUTE, 510, muted=True),
        Observation(START + 2 * MINUTE, 510), Observation(START + 3 * MINUTE, 510),
        Observation(START + 4 * MINUTE, 510, muted=True),
        Observation(START + 5 * MINUTE, 400, muted=True),
    ]  # fmt: skip
    states, _ = follow(rule, seen)
    assert [s.state.value for s in states] == [
        "pending", "ok", "pending", "firing", "firing", "resolved",
    ]  # fmt: skip


def test_only_what_fires_is_taken_and_it_resolves_like_the_rest() -> None:
    rule = threshold()
    held, _ = advance(rule, RuleState(State.OK, START), Observation(START, 510))
    taken = acknowledged(held, START + MINUTE)
    after, change = advance(rule, taken, Observation(START + 2 * MINUTE, 400))
    assert (taken.state, after.state) == (State.ACKNOWLEDGED, State.RESOLVED)
    assert change is not None
    assert change.before is State.ACKNOWLEDGED
    with pytest.raises(ValueError, match="resolved, not firing"):
        acknowledged(after, START + 3 * MINUTE)


@st.composite
def histories(draw: st.DrawFn, *, may_go: bool) -> list[Observation]:
    at, seen = START, []
    for _ in range(draw(st.integers(1, 40))):
        at += dt.timedelta(seconds=draw(st.integers(1, 400)))
        value = draw(st.sampled_from([None, 400.0, 480.0, 490.0, 500.0, 501.0, 700.0]))
        gone = may_go and draw(st.integers(0, 9)) == 0
        seen.append(Observation(at, value, muted=draw(st.integers(0, 9)) == 0, gone=gone))
    return seen


rules = st.builds(
    threshold,
    st.integers(0, 10),
    flaps=st.integers(1, 4),
    calm=st.integers(0, 30).map(MINUTE.__mul__),
)


@given(rules, histories(may_go=True))
def test_between_two_firings_it_resolves(rule: Threshold, seen: list[Observation]) -> None:
    _, changes = follow(rule, seen)
    told = [c.after for c in changes if c is not None]
    assert told == list(
        itertools.islice(itertools.cycle([State.FIRING, State.RESOLVED]), len(told))
    )


@given(rules, histories(may_go=False))
def test_within_its_calm_it_fires_no_more_often_than_its_flaps(
    rule: Threshold, seen: list[Observation]
) -> None:
    _, changes = follow(rule, seen)
    fired = [c.at for c in changes if c is not None and c.after is State.FIRING]
    for at in fired:
        assert sum(at - rule.calm < other <= at for other in fired) <= max(rule.flaps, 1)


@given(rules, histories(may_go=True))
def test_it_fires_only_after_a_whole_time_beyond(rule: Threshold, seen: list[Observation]) -> None:
    _, changes = follow(rule, seen)
    for n, change in enumerate(changes):
        if change is None or change.after is not State.FIRING:
            continue
        beyond = list(
            itertools.takewhile(
                lambda o: not o.gone and not o.muted and (o.value is None or o.value > LIMIT),
                reversed(seen[: n + 1]),
            )
        )
        known = [o.at for o in beyond if o.value is not None]
        assert change.at - min(known) >= rule.held_for
