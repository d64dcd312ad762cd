"""The compiled accounting against the plain one, and the invariants, on thousands of histories."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from analytics.counters.account import CounterKind, CounterRules, FindingKind, Replacement, account
from tests.analytics import reference_counter as reference

MINUTE = 60_000_000
START = 1_760_000_400_000_000

histories = settings(
    max_examples=int(os.environ.get("ENPILOT_TEST_HISTORIES", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@st.composite
def times(draw, *, least=1, most=40):
    """Mostly minutes apart, sometimes an hour or a day, sometimes exactly on the grid."""
    steps = draw(
        st.lists(
            st.one_of(
                st.just(MINUTE),
                st.just(15 * MINUTE),
                st.integers(1, 5 * MINUTE),
                st.integers(1, 90 * MINUTE),
                st.integers(1, 4000 * MINUTE),
            ),
            min_size=least - 1,
            max_size=most - 1,
        )
    )
    first = START + draw(st.sampled_from([0, 1, 7 * MINUTE, -1]))
    return (first + np.cumsum([0, *steps], dtype=np.int64)).astype(np.int64)


@st.composite
def levels(draw, t):
    """An honest register disturbed by everything a register is disturbed by."""
    rate = draw(st.sampled_from([0, 1, 17_000, 400_000]))
    level = draw(st.sampled_from([0, 3_000_000, 99_990_000_000, 2**61]))
    out = []
    for k in range(len(t)):
        if k:
            level += draw(st.integers(0, 2)) * rate * int(t[k] - t[k - 1]) // 1_000_000 + draw(
                st.sampled_from([0, 0, 0, 1, 999_999, 1_000_000])
            )
        event = draw(st.sampled_from(["no"] * 8 + ["zero", "spike", "reset", "jump", "stutter"]))
        seen = level
        if event == "zero":
            seen = draw(st.sampled_from([0, 1, 1_000_000]))
        elif event == "spike":
            seen = level + draw(st.sampled_from([5_000_000_000, 429_496_728_000_000]))
        elif event == "reset":
            seen = level = draw(st.sampled_from([0, 1_000_000, level // 3, level % 1000]))
        elif event == "jump":
            level += 5_000_000_000
            seen = level
        elif event == "stutter":
            seen = max(0, level - draw(st.sampled_from([1, 10_000, 1_000_000])))
        out.append(seen)
    return np.array(out, dtype=np.int64)


@st.composite
def rules(draw):
    return CounterRules(
        gap_s=draw(st.sampled_from([90, 900, 3600])),
        kind=draw(st.sampled_from([CounterKind.LIFETIME] * 4 + [CounterKind.PERIODIC])),
        modulus_micro=draw(st.sampled_from([0, 0, 100_000_000_000, 2**32 * 1_000_000])),
        rated_micro_per_s=draw(st.sampled_from([0, 40_000, 1_000_000])),
        resolution_micro=draw(st.sampled_from([0, 1_000, 1_000_000])),
        glitch_s=draw(st.sampled_from([3600, 7 * 86_400])),
        zero_micro=draw(st.sampled_from([0, 0, -5_000_000])),
    )


def plain(r: CounterRules) -> reference.Rules:
    return reference.Rules(
        gap_us=r.gap_s * 1_000_000,
        resettable=r.kind is not CounterKind.LIFETIME,
        modulus=r.modulus_micro,
        zero=r.zero_micro,
        rated=r.rated_micro_per_s,
        resolution=r.resolution_micro,
        glitch_us=r.glitch_s * 1_000_000,
    )


@st.composite
def replacements(draw, t, v):
    if len(t) < 2 or not draw(st.booleans()):
        return []
    out = {}
    for _ in range(draw(st.integers(1, 2))):
        k = draw(st.integers(1, len(t) - 1))
        at = draw(st.sampled_from([int(t[k]), int(t[k]) - 1, int(t[k - 1] + t[k]) // 2]))
        closing = draw(st.sampled_from([None, int(v[k - 1]), int(v[k - 1]) + 1_000_000]))
        opening = draw(st.sampled_from([None, 0, int(v[k])]))
        out[at] = Replacement(at, closing, opening)
    return [out[at] for at in sorted(out)]


@st.composite
def windows(draw, t):
    low = START + draw(st.integers(-20, 60)) * draw(st.sampled_from([1, MINUTE, 15 * MINUTE]))
    return low, low + draw(st.integers(0, 100)) * draw(st.sampled_from([1, MINUTE, 15 * MINUTE]))


def rows_of(a):
    return {
        s: (adv, est, meas, n)
        for s, adv, est, meas, n in zip(
            a.start_us.tolist(), a.advance_micro.tolist(), a.estimated_micro.tolist(),
            a.measured_us.tolist(), a.readings.tolist(), strict=True,
        )
    }  # fmt: skip


@histories
@given(st.data())
def test_the_compiled_accounting_is_the_plain_one(data) -> None:
    t = data.draw(times())
    v = data.draw(levels(t))
    r = data.draw(rules())
    changes = data.draw(replacements(t, v))
    window = data.draw(st.one_of(st.none(), windows(t)))
    got = account(t, v, r, window=window, replacements=changes)
    want = reference.account(
        t.tolist(), v.tolist(), plain(r), window,
        [(c.time_us, c.closing_micro, c.opening_micro) for c in changes],
    )  # fmt: skip
    indices = {int(x): k for k, x in enumerate(t)}
    findings = [
        (
            f.kind.value, f.first, f.last, indices[f.before_us],
            None if f.after_us is None else indices[f.after_us], f.advance_micro, f.pending,
        )
        for f in got.findings
    ]  # fmt: skip
    assert findings == want.findings
    assert rows_of(got) == want.intervals
    assert [(g.from_us, g.to_us, g.advance_micro) for g in got.gaps] == want.gaps
    assert got.silent_resets == want.silent


@histories
@given(st.data())
def test_intervals_add_up_to_the_register_of_each_segment(data) -> None:
    t = data.draw(times())
    v = data.draw(levels(t))
    r = data.draw(rules())
    got = account(t, v, r)
    believed = reference.account(t.tolist(), v.tolist(), plain(r)).believed
    starts = [k for k, b in enumerate(believed) if k == 0 or b.how in reference.NEW_SEGMENT]
    total = 0
    for a, b in zip(starts, [*starts[1:], len(believed)], strict=True):
        total += believed[b - 1].v - believed[a].v
        if believed[a].how == "silent":
            total += believed[a].v - r.zero_micro
    booked = {FindingKind.RESET, FindingKind.ROLLOVER}
    total += sum(f.advance_micro for f in got.findings if f.kind in booked)
    assume(total < 2**63)  # a register near the end of the grid that is reset each minute: no meter
    assert int(got.advance_micro.sum()) == total
    assert (got.advance_micro >= 0).all()
    assert (got.estimated_micro >= 0).all()
    assert (got.estimated_micro <= got.advance_micro).all()
    assert (got.measured_us <= 900_000_000).all()


@histories
@given(st.data())
def test_a_window_cut_in_two_gives_the_same_intervals(data) -> None:
    t = data.draw(times(least=2))
    v = data.draw(levels(t))
    r = data.draw(rules())
    low, high = int(t[0]) - 1, int(t[-1]) + 1
    cut = data.draw(st.integers(low, high))
    on_grid = data.draw(st.booleans())
    if on_grid:
        cut = min(max(cut // 900_000_000 * 900_000_000, low), high)
    whole = account(t, v, r, window=(low, high))
    a = account(t, v, r, window=(low, cut))
    b = account(t, v, r, window=(cut, high))
    parts = rows_of(a)
    for start, row in rows_of(b).items():
        parts[start] = tuple(x + y for x, y in zip(parts.get(start, (0,) * 4), row, strict=True))
    expected = rows_of(whole)
    if not on_grid or cut in (low, high):
        # A gap that this cut splits is a guess in both halves, and a reading exactly on the cut may
        # begin a half that has no advance and hence no row; advance and time always add up.
        parts = {s: (x[0], x[2]) for s, x in parts.items()}
        expected = {s: (x[0], x[2]) for s, x in expected.items()}
    assert parts == expected
    assert a.findings + b.findings == whole.findings
    assert a.silent_resets + b.silent_resets == whole.silent_resets


@histories
@given(st.data())
def test_readings_on_the_line_change_no_sum(data) -> None:
    t = data.draw(times(least=2))
    steps = data.draw(st.lists(st.integers(0, 10**12), min_size=len(t) - 1, max_size=len(t) - 1))
    spans = np.diff(t)
    # Advances that are whole at every second part of the step.
    parts = data.draw(st.integers(2, 5))
    advances = [s * parts for s in steps]
    v = np.cumsum([0, *advances], dtype=np.int64)
    extra_t, extra_v = [], []
    for k, span in enumerate(spans.tolist()):
        if span % parts == 0:
            extra_t.append(int(t[k]) + span // parts)
            extra_v.append(int(v[k]) + steps[k])
    assume(extra_t)
    order = np.argsort(np.concatenate([t, np.array(extra_t, dtype=np.int64)]), kind="stable")
    more_t = np.concatenate([t, np.array(extra_t, dtype=np.int64)])[order]
    more_v = np.concatenate([v, np.array(extra_v, dtype=np.int64)])[order]
    r = CounterRules(gap_s=900)
    few, more = account(t, v, r), account(more_t, more_v, r)
    assert few.start_us.tolist() == more.start_us.tolist()
    assert few.advance_micro.tolist() == more.advance_micro.tolist()


@histories
@given(st.data())
def test_a_run_may_start_where_the_last_one_had_decided(data) -> None:
    t = data.draw(times(least=3, most=60))
    v = data.draw(levels(t))
    r = data.draw(rules())
    known = data.draw(st.integers(1, len(t) - 1))
    early = account(t[:known], v[:known], r)
    assume(not early.context_short)
    resume = early.resume_us
    assert resume is not None
    first = int(np.searchsorted(t, resume))
    assert int(t[first]) == resume
    later = account(t[first:], v[first:], r, window=(resume, int(t[-1]) + 1))
    assume(not later.context_short)
    whole = account(t, v, r)
    assert rows_of(account(t, v, r, window=(resume, int(t[-1]) + 1))) == rows_of(later)
    before = (int(t[0]), resume)
    assert rows_of(account(t[:known], v[:known], r, window=before)) == rows_of(
        account(t, v, r, window=before)
    )
    assert whole.first_us == early.first_us
