"""A planted week: every hour is right, or says that it is an estimate.

A young counter is reset at a low reading and later climbs past its old value; another rolls over at
100,000; a third is not read for six hours while its load changes.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path

import pytest

from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute, local, rows
from tests.imported import apply_plant, import_counts

MINUTES = 7 * 24 * 60
START = local(2026, 3, 2)
TIMES = [START + i * dt.timedelta(minutes=1) for i in range(MINUTES + 1)]
RESET_AT = 2 * 1440 + 437  # counts since the start are then lower than the register will be again
GAP = range(4 * 1440 + 500, 4 * 1440 + 860)
POINTS = "".join(
    f"""
[[point]]
code = "{code}"
name = {{zh = "{code}", en = "{code}"}}
medium = "electricity"
role = "sub"
parent = "main"
commissioning = "accepted"
"""
    for code in ("young", "rolling", "unread")
)


def load(minute: int) -> int:
    """Counts in a minute: a day's shape, a working week, and steps."""
    hour, day = minute // 60 % 24, minute // 1440
    return (3 if day < 5 else 1) * (2 if 8 <= hour < 20 else 1) + (minute // 97) % 2


@pytest.fixture
def week(works: str, tmp_path: Path) -> str:
    apply_plant(works, tmp_path, WORKS + POINTS)
    counted = [0]
    for minute in range(MINUTES):
        counted.append(counted[-1] + load(minute))
    common = {"unit": "kWh", "register_scale": "1", "side": "primary", "raw_type": "uint32"}
    # The register shows 120 and falls to zero right after a reading; it passes its old value later.
    young = [c + 120 if i <= RESET_AT else c - counted[RESET_AT] for i, c in enumerate(counted)]
    assert young[-1] > young[RESET_AT] > young[RESET_AT + 1]
    import_counts(works, tmp_path, TIMES, young, period_s=60, point="young", modulus=None, **common)
    rolling = [(c + 90_000) % 100_000 for c in counted]
    assert min(rolling) < 90_000
    import_counts(
        works, tmp_path, TIMES, rolling, period_s=60, point="rolling", modulus="100000", **common
    )
    kept = [i for i in range(MINUTES + 1) if i not in GAP]
    import_counts(
        works, tmp_path, [TIMES[i] for i in kept], [counted[i] for i in kept], period_s=60,
        point="unread", modulus=None, **common,
    )  # fmt: skip
    compute(works)
    return works


def test_every_hour_is_right_or_marked(week: str) -> None:
    truth: dict[dt.datetime, int] = defaultdict(int)
    for minute in range(MINUTES):
        truth[START + minute // 60 * dt.timedelta(hours=1)] += load(minute)
    hours = rows(
        week,
        "SELECT p.code, date_bin('1 hour', ts, '2026-03-01Z'), sum(advance_micro) / 1e6,"
        " sum(estimated_micro) / 1e6 FROM interval_advance JOIN series USING (series_id)"
        " JOIN point p USING (point_id) GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert len(hours) == 3 * 7 * 24
    wrong = [(code, at) for code, at, amount, _ in hours if amount != truth[at]]
    marked = {(code, at) for code, at, _, estimated in hours if estimated > 0}
    assert set(wrong) <= marked
    # Only the hours of the gap are marked, and some of them are indeed wrong.
    first, last = TIMES[GAP[0] - 1], TIMES[GAP[-1] + 1]
    assert all(
        code == "unread" and first < at + dt.timedelta(hours=1) and at < last for code, at in marked
    )
    assert wrong
    assert len(marked) == 7
    for code in ("young", "rolling", "unread"):
        assert sum(amount for c, _, amount, _ in hours if c == code) == sum(truth.values())


def test_each_decision_is_a_finding(week: str) -> None:
    found = rows(
        week,
        "SELECT p.code, f.code, at_ts FROM finding f JOIN point p USING (point_id)"
        " WHERE withdrawn_version IS NULL ORDER BY 1",
    )
    assert [(p, code) for p, code, _ in found] == [("rolling", "rollover"), ("young", "reset")]
    assert found[1][2] == TIMES[RESET_AT + 1]
    assert rows(week, "SELECT count(*) FROM gap") == [(1,)]


def test_the_day_of_the_gap_is_exactly_known(week: str) -> None:
    found = rows(
        week,
        "SELECT coverage, estimated_share, distribution_coverage FROM energy_period"
        " JOIN point p USING (point_id) WHERE p.code = 'unread' AND period_kind = 'day'"
        " AND period_from = '2026-03-06'",
    )
    [(coverage, estimated, distribution)] = found
    assert coverage == 1.0
    assert 0.2 < estimated < 0.5
    assert distribution == pytest.approx(1 - 361 / 1440)
