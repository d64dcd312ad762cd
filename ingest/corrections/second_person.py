"""Whether somebody else than the proposer has to approve, and why (F20)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import psycopg

from enpilot.quantities import unit_ratio
from ingest.imports.closed import closed_periods

if TYPE_CHECKING:
    from ingest.corrections.proposal import SeriesAtSite

__all__ = ["SHARE_OF_MONTH", "why_second_person"]

# Above this share of the point's month a correction is not one person's matter (F20).
SHARE_OF_MONTH: Final = Decimal("0.005")
_MICRO: Final = 1_000_000


def why_second_person(
    connection: psycopg.Connection[Any],
    series: SeriesAtSite,
    kind: str,
    since: dt.datetime,
    until: dt.datetime | None,
    detail: Mapping[str, Any],
) -> list[str]:
    """Return codes of the reasons; none if one person may decide.

    Returns
    -------
    list of str
        "closed_period": it changes what signed figures were computed of. "boundary_point": the
        point counts towards the plant's total. "factor": all numbers of the
        span are multiplied anew. "share_of_month": more than 0.5 % of the point's month, or a month
        of which nothing is known yet.
    """
    reasons = []
    if closed_periods(connection, series.site_id, series.zone, [(since, until)]):
        reasons.append("closed_period")
    if _is_boundary(connection, series.point_id, since, until):
        reasons.append("boundary_point")
    if kind == "meaning":
        reasons.append("factor")
    elif _touches_much(connection, series, kind, (since, until or since), detail):
        reasons.append("share_of_month")
    return reasons


def _is_boundary(
    connection: psycopg.Connection[Any],
    point_id: int,
    since: dt.datetime,
    until: dt.datetime | None,
) -> bool:
    row = connection.execute(
        "SELECT 1 FROM point_record WHERE point_id = %s AND superseded_commit_no IS NULL"
        " AND role IN ('boundary', 'generation')"
        " AND tstzrange(valid_from, valid_to) && tstzrange(%s, %s) LIMIT 1",
        (point_id, since, until),
    ).fetchone()
    return row is not None


def _touches_much(
    connection: psycopg.Connection[Any],
    series: SeriesAtSite,
    kind: str,
    span: tuple[dt.datetime, dt.datetime],
    detail: Mapping[str, Any],
) -> bool:
    counted = connection.execute(
        "SELECT 1 FROM series_epoch WHERE series_id = %s AND superseded_commit_no IS NULL"
        " AND counter_kind IS NOT NULL LIMIT 1",
        (series.series_id,),
    ).fetchone()
    if counted is None:
        return False  # a level adds nothing up
    month = (
        span[0].astimezone(series.zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    )
    following = (month + dt.timedelta(days=32)).replace(day=1)
    whole = _energy(connection, series, month, max(following, span[1]))
    inside = _energy(connection, series, *span)
    if kind == "substitute":
        stated = Decimal(detail["amount"]) * _exact(series.quantity, detail["unit"])
        moved = abs(stated - inside)
    elif kind == "replace":
        moved = _jump(connection, series, span[0], detail)
    else:
        moved = abs(inside)
    return whole <= 0 or moved > whole * SHARE_OF_MONTH


def _energy(
    connection: psycopg.Connection[Any],
    series: SeriesAtSite,
    since: dt.datetime,
    until: dt.datetime,
) -> Decimal:
    """Return what the intervals that touch a span add up to [the quantity's own unit]."""
    rows = connection.execute(
        "SELECT sum(a.advance_micro) * e.scale / %s, e.unit FROM interval_advance a"
        " JOIN series_epoch e USING (epoch_id)"
        " WHERE a.series_id = %s AND a.ts > %s - interval '15 minutes' AND a.ts < %s"
        " GROUP BY e.epoch_id",
        (_MICRO, series.series_id, since, until),
    ).fetchall()
    return sum((amount * _exact(series.quantity, unit) for amount, unit in rows), Decimal(0))


def _jump(
    connection: psycopg.Connection[Any],
    series: SeriesAtSite,
    at: dt.datetime,
    detail: Mapping[str, Any],
) -> Decimal:
    row = connection.execute(
        "SELECT abs(coalesce(r.raw_int::numeric, r.raw_real::numeric, 0) - %s::numeric)"
        " * abs(e.scale), e.unit FROM reading r JOIN series_epoch e USING (series_id)"
        " WHERE r.series_id = %s AND r.ts = %s AND r.batch = %s"
        " AND e.superseded_commit_no IS NULL AND e.valid_from <= r.ts"
        " AND (e.valid_to IS NULL OR r.ts < e.valid_to)",
        (
            str(detail.get("raw_int", detail.get("raw_real"))), series.series_id, at,
            detail["batch"],
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        return Decimal("Infinity")  # without a meaning nobody knows how much it is
    return Decimal(row[0]) * _exact(series.quantity, row[1])


def _exact(quantity: str, unit: str) -> Decimal:
    ratio = unit_ratio(quantity, unit)
    return Decimal(ratio.numerator) / Decimal(ratio.denominator)
