"""Main meters against their sub-meters, and what virtual points add up to (F2, F4, F24).

Consumption = import - export + generation, so a remainder may be negative where a falling register
may not. Sub-meters that count more than their main meter, beyond what the accuracy classes allow,
are a finding; a sub-meter that was not read is named instead.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

import psycopg

from analytics.accounting.energy_parts import MeteredPoint
from analytics.accounting.site_calendar import Period, SiteCalendar, midnight
from analytics.accounting.site_facts import SiteFacts
from analytics.accounting.withheld import WithheldCode
from analytics.intervals.finding_rows import FindingRow, keep_findings
from analytics.intervals.sums import SummedSeries
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["Balance", "PartSum", "balance", "sum_parts", "write_balance_figures"]

Intervals: TypeAlias = Callable[[int], SummedSeries | None]
_CODE: Final = "balance_off"
# Where a meter's class is not known: what a class 5 meter, the worst that is used, may be off.
_UNKNOWN_CLASS: Final = 0.05
_SITE: Final = 0
# Below this coverage a register was not read around an end of the period.
_COMPLETE: Final = 0.95


@dataclass(frozen=True, slots=True)
class PartSum:
    """A point, or a sum of points, over a window.

    Attributes
    ----------
    amount
        Signed; None if nothing is known [unit of the quantity].
    error
        The most that its meters may be off together, by squares of their classes' limits [unit].
    estimated_share, coverage
        0 .. 1; of a sum of parts the least coverage.
    received, expected
        Values received and expected.
    simulated
        Some of it is.
    anything
        Whether something of a part is known, although perhaps not of all.
    """

    amount: Fraction | None
    error: float
    estimated_share: float
    coverage: float
    received: float
    expected: float
    simulated: bool
    anything: bool = True


@dataclass(frozen=True, slots=True)
class Balance:
    """A main meter against its sub-meters.

    Attributes
    ----------
    main, children
        [unit]; None if not known.
    tolerance
        What their classes allow [unit].
    incomplete
        Codes of points whose registers do not bracket the window.
    status
        "closed" within the tolerance, "remainder" if something is not metered below, "off" if the
        sub-meters count more than their main meter, "incomplete".
    """

    main: float | None
    children: float | None
    tolerance: float | None
    incomplete: tuple[str, ...]
    status: Literal["closed", "remainder", "off", "incomplete"]


def sum_parts(
    parts: Sequence[MeteredPoint], intervals: Intervals, since: dt.datetime, until: dt.datetime
) -> PartSum:
    """Add up points over a window, each as long as it counts.

    Parameters
    ----------
    parts
        With their signs or coefficients; one medium.
    intervals
        Gives the intervals of a series.
    since, until
        On the 15-minute grid.

    Returns
    -------
    PartSum
        None as its amount if a part that counts then is not known.
    """
    amount, squares, weight, estimated = Fraction(0), 0.0, 0.0, 0.0
    coverage, received, expected = 1.0, 0.0, 0.0
    simulated = False
    known = missing = False
    for part in parts:
        low = max(since, part.valid_from)
        high = until if part.valid_to is None else min(until, part.valid_to)
        if low >= high:
            continue
        rows = intervals(part.series_id)
        summed = None if rows is None else rows.over(low, high)
        if summed is None or summed.amount is None:
            missing = True
            continue
        known = True
        signed = Fraction(part.sign) * summed.amount
        size = abs(float(signed))
        share = part.relative_uncertainty
        squares += ((_UNKNOWN_CLASS if share is None else share) * size) ** 2
        amount += signed
        weight += size
        estimated += summed.estimated_share * size
        coverage = min(coverage, summed.coverage)
        received += summed.received
        expected += summed.expected
        simulated |= summed.simulated
    if missing or not known:
        return PartSum(None, 0.0, 0.0, 0.0, received, expected, simulated, known)
    share_estimated = estimated / weight if weight else 0.0
    return PartSum(
        amount, math.sqrt(squares), share_estimated, coverage, received, expected, simulated
    )


def balance(main: Mapping[str, PartSum], children: Mapping[str, PartSum], limit: float) -> Balance:
    """Hold sub-meters against their main meters.

    Parameters
    ----------
    main, children
        What each point did, by its code.
    limit
        Coverage below which a point is incomplete; 0 .. 1.

    Returns
    -------
    Balance
        With the squares of the classes' limits of error added.

    Notes
    -----
    F24, F31. The class is the limit of a meter's error (GB/T 17215); limits of independent meters
    are combined by squares.
    """
    incomplete = tuple(
        sorted(
            code
            for code, part in (*main.items(), *children.items())
            if part.amount is None or part.coverage < limit
        )
    )
    sums = [
        None
        if any(p.amount is None for p in side.values())
        else float(sum((p.amount for p in side.values() if p.amount is not None), Fraction(0)))
        for side in (main, children)
    ]
    if incomplete or sums[0] is None or sums[1] is None:
        return Balance(sums[0], sums[1], None, incomplete, "incomplete")
    tolerance = math.sqrt(sum(p.error**2 for p in (*main.values(), *children.values())))
    remainder = sums[0] - sums[1]
    if remainder < -tolerance:
        return Balance(sums[0], sums[1], tolerance, (), "off")
    status: Literal["remainder", "closed"] = "remainder" if remainder > tolerance else "closed"
    return Balance(sums[0], sums[1], tolerance, (), status)


@dataclass(frozen=True, slots=True)
class _Child:
    """A point below another, as long as it is."""

    code: str
    medium: str
    parent_id: int
    role: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None


def write_balance_figures(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    intervals: Intervals,
    since: dt.date,
    until: dt.date,
    version: int,
) -> int:
    """Write virtual points and balances of the finished days and the months of a span.

    Parameters
    ----------
    connection
        In the site's transaction.
    facts
        Of the site.
    intervals
        Reaching over the months that the span touches.
    since, until
        Civil days [since, until), finished ones.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    if since >= until:
        return 0
    civil = SiteCalendar(facts.zone)
    months = [m.cut(until) for m in civil.months(since, until)]
    periods = [*civil.days(since, until), *months]
    rows = _write_virtual(connection, facts, intervals, periods, version)
    children = _children(connection, facts.site_id)
    if not children:
        return rows
    ids = dict(
        connection.execute(
            "SELECT code, point_id FROM point WHERE site_id = %s", (facts.site_id,)
        ).fetchall()
    )
    codes = {number: code for code, number in ids.items()}
    found: list[FindingRow] = []
    written: list[tuple[object, ...]] = []
    for period in periods:
        low, high = midnight(period.first, facts.zone), midnight(period.after, facts.zone)
        held = [
            c for c in children if c.valid_from < high and (c.valid_to is None or low < c.valid_to)
        ]
        for (medium, parent_id), below in _groups(facts, held, ids).items():
            unit = QUANTITIES[energy_quantity(medium)].unit
            main = (
                _boundary(facts, medium) if parent_id == _SITE
                else {codes[parent_id]: facts.metered.get(codes[parent_id], ())}
            )  # fmt: skip
            above = {c: sum_parts(p, intervals, low, high) for c, p in main.items()}
            under = {c: sum_parts(facts.metered.get(c, ()), intervals, low, high) for c in below}
            if not any(p.anything for p in (*above.values(), *under.values())):
                continue
            done = balance(above, under, _COMPLETE)
            remainder = (
                None if done.main is None or done.children is None else done.main - done.children
            )
            written.append(
                (
                    facts.site_id, medium, parent_id, period.kind, period.first, period.after,
                    done.main, done.children, remainder, done.tolerance, unit,
                    list(done.incomplete), done.status, version,
                )
            )  # fmt: skip
            if done.status == "off" and period.kind == "day":
                evidence = {
                    "medium": medium, "unit": unit, "main": done.main, "children": done.children,
                    "tolerance": done.tolerance, "points": sorted(below),
                }  # fmt: skip
                found.append(
                    FindingRow(
                        _CODE, low, high, "warning", evidence, parent_id or None, None, medium
                    )
                )
    _write_balances(connection, facts.site_id, periods, written)
    span = (midnight(since, facts.zone), midnight(until, facts.zone))
    keep_findings(connection, facts.site_id, [_CODE], span, found, version)
    return rows + len(written)


def _children(connection: psycopg.Connection[Any], site_id: int) -> list[_Child]:
    return [
        _Child(*row)
        for row in connection.execute(
            "SELECT p.code, p.medium, r.parent_point_id, r.role, r.valid_from, r.valid_to"
            " FROM point p JOIN point_record r USING (point_id) WHERE p.site_id = %s"
            " AND r.superseded_commit_no IS NULL AND r.parent_point_id IS NOT NULL"
            " AND r.role IN ('sub', 'generation') AND r.commissioning = 'accepted'"
            " ORDER BY p.code, r.valid_from",
            (site_id,),
        )
    ]


def _groups(
    facts: SiteFacts, children: Iterable[_Child], ids: Mapping[str, int]
) -> dict[tuple[str, int], list[str]]:
    """Return the codes below each parent, and below the boundary as a whole."""
    boundary = {ids[p.code] for p in facts.points}
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for child in children:
        if child.role != "sub":
            continue  # own generation feeds in: it is on the main side
        parents = [child.parent_id]
        if child.parent_id in boundary:
            parents.append(_SITE)
        for parent_id in parents:
            below = groups[child.medium, parent_id]
            if child.code not in below:
                below.append(child.code)
    return groups


def _boundary(facts: SiteFacts, medium: str) -> dict[str, list[MeteredPoint]]:
    found: dict[str, list[MeteredPoint]] = defaultdict(list)
    for point in facts.points:
        if point.medium == medium:
            found[point.code].append(point)
    return found


def _write_balances(
    connection: psycopg.Connection[Any],
    site_id: int,
    periods: Sequence[Period],
    rows: Sequence[tuple[object, ...]],
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM balance_period WHERE site_id = %s AND period_kind = %s"
            " AND period_from = %s",
            [(site_id, p.kind, p.first) for p in periods],
        )
        cursor.executemany(
            "INSERT INTO balance_period (site_id, medium, parent_point_id, period_kind,"
            " period_from, period_to, main, children, remainder, tolerance, unit, incomplete,"
            " status, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )


def _write_virtual(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    intervals: Intervals,
    periods: Sequence[Period],
    version: int,
) -> int:
    rows: list[tuple[object, ...]] = []
    for virtual in facts.virtual:
        parts = facts.metered.get(virtual.code, ())
        for period in periods:
            low, high = midnight(period.first, facts.zone), midnight(period.after, facts.zone)
            done = sum_parts(parts, intervals, low, high)
            if not done.anything:
                continue
            missing = WithheldCode.ENERGY_MISSING if done.amount is None else None
            rows.append(
                (
                    facts.site_id, virtual.virtual_point_id, period.kind, period.first,
                    period.after, None if done.amount is None else float(done.amount),
                    QUANTITIES[energy_quantity(virtual.medium)].unit, done.estimated_share,
                    done.coverage,
                    min(1.0, done.received / done.expected) if done.expected else None,
                    done.simulated, missing, version,
                )
            )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM virtual_point_period WHERE site_id = %s AND period_kind = %s"
            " AND period_from = %s",
            [(facts.site_id, p.kind, p.first) for p in periods],
        )
        cursor.executemany(
            "INSERT INTO virtual_point_period (site_id, virtual_point_id, period_kind, period_from,"
            " period_to, amount, unit, estimated_share, coverage, reporting_completeness,"
            " simulated, withheld_code, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
    return len(rows)
