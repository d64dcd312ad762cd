"""Meters that stand still, fall silent, drift, or contradict their own power."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np

from analytics.waste.found import Waste, WasteKind
from analytics.waste.job import Job
from analytics.waste.meter_checks import robust_trend, stuck_runs
from analytics.waste.quarter_hours import (
    QUARTERS_A_DAY,
    QUARTERS_AN_HOUR,
    QuarterHours,
    runs_of,
)

__all__ = ["find_doubtful_meters"]

_DRIFT: Final = 0.02
_POWER_DIFFERS: Final = 0.03
_FEWEST_POWER_DAYS: Final = 7
_SILENT: Final = dt.timedelta(hours=24)
_SILENT_PERIODS: Final = 4
# A witness says that energy flows where it is at least half of what usually flows.
_FLOWS: Final = 0.5
_STILL_QUARTERS: Final = 24
_OFF_SHARE: Final = 0.02


def find_doubtful_meters(job: Job, point_id: int) -> Iterator[Waste]:
    """Find what contradicts the meter of a point.

    Parameters
    ----------
    job
        Loads and facts of a site.
    point_id
        One of the job's points.

    Yields
    ------
    Waste
        With what the meter told wrongly as its amount, as far as a witness says (F31, F33).
    """
    yield from _stuck(job, point_id)
    yield from _silent(job, point_id)
    yield from _drifting(job, point_id)
    yield from _energy_and_power(job, point_id)


def _stuck(job: Job, point_id: int) -> Iterator[Waste]:
    used, quarters = job.load(point_id), job.quarters
    still = used.known & (used.amount == 0.0) & job.judged
    moving = used.amount[used.known & (used.amount > 0)]
    if not len(moving) or not runs_of(still, _STILL_QUARTERS):
        return
    least = _FLOWS * float(np.median(moving))
    first = int(np.flatnonzero(job.judged)[0])
    own = QuarterHours(used.amount, used.known & job.judged)
    power = job.loads.power(point_id, quarters.instant(first), quarters.instant(len(still)))
    for name, witness in (("power", power), ("main_meter", _rest_of_parent(job, point_id))):
        if witness is None:
            continue
        runs = stuck_runs(own, witness, least)
        for run in runs:
            by_quarter = np.zeros(len(used.amount))
            span = slice(run.first, run.after)
            flows = witness.known[span] & (witness.amount[span] >= least)
            by_quarter[span] = np.where(flows, witness.amount[span], 0.0)
            yield job.waste(
                WasteKind.METER_STUCK, point_id, by_quarter,
                {"witness": name, "hours": (run.after - run.first) / QUARTERS_AN_HOUR},
                run=(run.first, run.after),
            )  # fmt: skip
        if runs:
            return


def _rest_of_parent(job: Job, point_id: int) -> QuarterHours | None:
    """Return what a point's main meter counts beyond its siblings and its usual remainder."""
    parent_id = job.declared.place[point_id].parent_id
    if parent_id is None or parent_id not in job.declared.place:
        return None
    parent = job.loads.of(parent_id)
    if parent is None:
        return None
    used = job.load(point_id)
    rest, known = parent.amount.copy(), parent.known.copy()
    for sibling in job.declared.children(parent_id):
        if sibling.point_id == point_id:
            continue
        other = job.loads.of(sibling.point_id)
        if other is None:
            return None
        rest -= other.amount
        known &= other.known
    # What is never sub-metered is no witness: only what exceeds it while the meter moved.
    usual = (rest - used.amount)[known & used.known & (used.amount > 0)]
    if not len(usual):
        return None
    return QuarterHours(np.maximum(rest - float(np.median(usual)), 0.0), known)


def _silent(job: Job, point_id: int) -> Iterator[Waste]:
    quarters = job.quarters
    until = quarters.instant(len(quarters.day))
    series = job.loads.series_of(point_id)
    if not series:
        return
    last = min(dt.datetime.fromtimestamp(s.last_us / 1e6, dt.UTC) for s in series)
    periods = [e.period_s for s in series for e in s.scales.values() if e.period_s is not None]
    if not periods:
        return  # nobody said how often it should speak
    limit = max(_SILENT, dt.timedelta(seconds=_SILENT_PERIODS * periods[-1]))
    if until - last < limit:
        return
    first = max(0, int((last - quarters.since).total_seconds() // 900))
    yield job.waste(
        WasteKind.METER_SILENT, point_id, None,
        {"last_reading": last.isoformat(), "period_s": periods[-1]}, run=(first, len(quarters.day)),
    )  # fmt: skip


def _drifting(job: Job, point_id: int) -> Iterator[Waste]:
    """Find a trend in what a main meter counts and its sub-meters do not."""
    children = job.declared.children(point_id)
    used = job.load(point_id)
    below = [job.loads.of(c.point_id) for c in children]
    if not children or any(b is None for b in below):
        return
    above, known = used.day_sums(job.quarters)
    under = np.zeros(len(above))
    for child in below:
        assert child is not None
        sums, whole = child.day_sums(job.quarters)
        under += sums
        known = known & whole
    # Days on which nearly nothing flows have no meaningful share.
    days = np.flatnonzero(known & (above > _OFF_SHARE * max(float(above.max()), 1e-12)))
    if not len(days):
        return
    share = (above[days] - under[days]) / above[days]
    trend = robust_trend(days, share, [job.quarters.kinds[d] for d in days.tolist()])
    if trend is None or not trend.is_significant or abs(trend.change) < _DRIFT:
        return
    recent = used.known & job.judged
    evidence = {
        "change": trend.change, "p": trend.p, "days": trend.days,
        "remainder": float(np.median(share[-7:])),
        "points": [c.code for c in children],
    }  # fmt: skip
    by_quarter = np.where(recent, used.amount * abs(trend.change), 0.0)
    yield job.waste(
        WasteKind.METER_DRIFTING, point_id, by_quarter, evidence, subject="remainder", known=recent
    )


def _energy_and_power(job: Job, point_id: int) -> Iterator[Waste]:
    """Compare a counter with the integral of its own power, by whole days."""
    if point_id not in job.declared.power:
        return
    used, quarters = job.load(point_id), job.quarters
    first = int(np.flatnonzero(job.judged)[0])
    power = job.loads.integrated(point_id) or job.loads.power(
        point_id, quarters.instant(first), quarters.instant(len(quarters.day))
    )
    if power is None:
        return
    both = used.known & power.known & job.judged
    counted, integral = float(used.amount[both].sum()), float(power.amount[both].sum())
    if both.sum() < _FEWEST_POWER_DAYS * QUARTERS_A_DAY or integral <= 0:
        return
    known = QuarterHours(np.where(both, used.amount, 0.0), both)
    by_day, _ = known.day_sums(quarters)
    integrals, _ = QuarterHours(np.where(both, power.amount, 0.0), both).day_sums(quarters)
    ratio = counted / integral
    # One day of a fault bends the sum, and not the median of the days.
    typical = float(np.median((by_day / np.where(integrals > 0, integrals, 1.0))[integrals > 0]))
    if min(abs(ratio - 1), abs(typical - 1)) < _POWER_DIFFERS:
        return
    evidence = {"ratio": ratio, "median_of_days": typical, "counted": counted, "integral": integral}
    by_quarter = np.where(both, np.abs(power.amount - used.amount), 0.0)
    by_quarter *= abs(integral - counted) / max(float(by_quarter.sum()), 1e-12)
    yield job.waste(WasteKind.ENERGY_AND_POWER_DIFFER, point_id, by_quarter, evidence, known=both)
