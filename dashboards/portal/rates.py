"""What counters advanced by, cut into equal steps of time: the curve behind every load chart.

Charts add advances as they were counted and multiply by the scale once (D18).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from dashboards.portal.points import Point
from enpilot.quantities import unit_ratio

__all__ = ["QUARTER_S", "Curve", "amounts_at", "load_curve"]

QUARTER_S = 900
_HALF = 0.5  # a step more than half guessed is drawn as guessed


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts of successive steps from ``begin``; None where a meter is missing."""

    begin: dt.datetime
    step_s: int
    unit: str  # of the amounts
    amounts: list[float | None]
    estimated: list[bool]
    simulated: bool

    @property
    def rates(self) -> list[float | None]:
        """Amounts an hour: of electricity the mean power [kW]."""
        factor = 3600.0 / self.step_s
        return [None if a is None else a * factor for a in self.amounts]

    @property
    def total(self) -> float:
        """The sum of what is known."""
        return sum(a for a in self.amounts if a is not None)

    @property
    def known(self) -> int:
        """How many steps are known."""
        return sum(a is not None for a in self.amounts)


def load_curve(
    connection: psycopg.Connection[Any],
    points: Sequence[Point],
    begin: dt.datetime,
    end: dt.datetime,
    *,
    step_s: int = QUARTER_S,
    known_to: dt.datetime | None = None,
) -> Curve:
    """Add the counters of points, of one quantity, by steps of [begin, end).

    A step in which one of the meters has no interval is None: a part shown as the sum would read
    as a dip. Steps are true time, so a day on which clocks change has more or fewer of them.

    Parameters
    ----------
    points
        Of one quantity.
    step_s
        A multiple of 900 [s].
    known_to
        Up to when figures contain readings; a step that ends later is still being filled.
    """
    count = max(0, -(-int((end - begin).total_seconds()) // step_s))
    amounts: list[float | None] = [None] * count
    guessed = [False] * count
    series = [p.series_id for p in points if p.series_id is not None]
    quantity = points[0].quantity if points else "active_energy"
    unit = points[0].unit if points else "kWh"
    simulated = False
    if not series:
        return Curve(begin=begin, step_s=step_s, unit=unit, amounts=amounts, estimated=guessed,
                     simulated=False)  # fmt: skip
    whole = len(series) * step_s // QUARTER_S
    values = {"begin": begin, "end": end, "step": step_s, "series": series}
    split = connection.execute(
        "SELECT count(*) > count(DISTINCT series_id) FROM current_epoch"
        " WHERE series_id = ANY(%(series)s) AND valid_from < %(end)s"
        " AND (valid_to IS NULL OR valid_to > %(begin)s)",
        values,
    ).fetchone()
    # Only an interval in which the meaning changes has two rows; telling them apart is a sort.
    if split == (True,):
        sums_of, counted, by = "sum(a.{} * e.scale)", "count(DISTINCT (a.series_id, a.ts))", ""
    else:
        sums_of, counted, by = "sum(a.{}) * e.scale", "count(*)", ", e.scale"
    rows = connection.execute(
        "SELECT floor(date_part('epoch', a.ts - %(begin)s) / %(step)s)::integer, e.unit,"
        f" ({sums_of.format('advance_micro')} / 1e6)::double precision,"
        f" ({sums_of.format('estimated_micro')} / 1e6)::double precision,"
        f" {counted}, bool_or(a.simulated)"
        " FROM visible_interval_advance a JOIN current_epoch e USING (epoch_id)"
        " WHERE a.ts >= %(begin)s AND a.ts < %(end)s AND a.series_id = ANY(%(series)s)"
        f" GROUP BY 1, 2{by}".encode(),
        values,
        binary=True,  # some ten thousand rows: read as numbers, not as text
    ).fetchall()
    present = [0] * count
    sums = [0.0] * count
    estimates = [0.0] * count
    ratios = {shown: float(unit_ratio(quantity, shown)) for shown in {row[1] for row in rows}}
    for index, shown, advance, estimate, intervals, from_simulator in rows:
        sums[index] += advance * ratios[shown]
        estimates[index] += abs(estimate) * ratios[shown]
        present[index] += intervals
        simulated = simulated or bool(from_simulator)
    finished = count
    if known_to is not None:
        finished = int((known_to - begin).total_seconds() // step_s)
    for index, intervals in enumerate(present):
        if intervals >= whole and index < finished:
            amounts[index] = sums[index]
            guessed[index] = estimates[index] > _HALF * abs(sums[index])
    return Curve(begin=begin, step_s=step_s, unit=unit, amounts=amounts, estimated=guessed,
                 simulated=simulated)  # fmt: skip


def amounts_at(
    connection: psycopg.Connection[Any], points: Sequence[Point], starts: Sequence[dt.datetime]
) -> dict[tuple[int, dt.datetime], float]:
    """Return what each point did in some quarter hours, by its id and their begin.

    What is not known is left out. One statement, however many points there are.
    """
    by_series = {p.series_id: p for p in points if p.series_id is not None}
    amounts: dict[tuple[int, dt.datetime], float] = {}
    for series_id, ts, shown, advance in connection.execute(
        "SELECT a.series_id, a.ts, e.unit, sum(a.advance_micro * e.scale) / 1e6"
        " FROM visible_interval_advance a JOIN current_epoch e USING (epoch_id)"
        " WHERE a.series_id = ANY(%s) AND a.ts = ANY(%s) GROUP BY 1, 2, 3",
        (list(by_series), list(starts)),
    ):
        point = by_series[series_id]
        amount = float(advance) * float(unit_ratio(point.quantity, shown))
        key = (point.point_id, ts)
        amounts[key] = amounts.get(key, 0.0) + amount
    return amounts
