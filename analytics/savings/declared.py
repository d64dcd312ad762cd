"""What the plant says of a site's retrofits."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from analytics.accounting.site_calendar import Period, local_date, month_after, month_start
from analytics.savings.programme import RetrofitKind

__all__ = ["Adjustment", "DeclaredRetrofit", "load_retrofits"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A non-routine adjustment over local days [first, after); after None: still."""

    code: str
    amount_per_month: Fraction
    first: dt.date
    after: dt.date | None

    def within(self, period: Period) -> Fraction:
        """Return what falls into a period: of each month by its days [energy unit]."""
        total = Fraction(0)
        high = period.after if self.after is None else min(self.after, period.after)
        day = max(self.first, period.first)
        while day < high:
            end = min(month_after(day), high)
            length = (month_after(day) - month_start(day)).days
            total += self.amount_per_month * Fraction((end - day).days, length)
            day = end
        return total


@dataclass(frozen=True, slots=True)
class DeclaredRetrofit:
    """A retrofit, see `enpilot.plant.savings.Retrofit`; days exclusive at their ends."""

    retrofit_id: int
    code: str
    kind: RetrofitKind
    baseline_id: int
    implementation_from: dt.date
    implementation_to: dt.date
    reporting_from: dt.date
    reporting_to: dt.date | None
    programme_id: int | None
    overlap_ids: tuple[int, ...]
    scheme_id: int | None
    adjustments: tuple[Adjustment, ...]


def load_retrofits(
    connection: psycopg.Connection[Any], site_id: int, zone: ZoneInfo
) -> list[DeclaredRetrofit]:
    """Load the retrofits that hold now for a site.

    Parameters
    ----------
    connection
        To the database.
    site_id, zone
        The site, and where its days begin.

    Returns
    -------
    list of DeclaredRetrofit
        In the order of their numbers, with their adjustments.
    """
    adjustments: dict[int, list[Adjustment]] = {}
    for retrofit_id, code, amount, since, until in connection.execute(
        "SELECT r.retrofit_id, a.code, r.amount_per_month, r.valid_from, r.valid_to"
        " FROM non_routine_adjustment a"
        " JOIN non_routine_adjustment_record r USING (non_routine_adjustment_id)"
        " WHERE a.site_id = %s AND r.superseded_commit_no IS NULL ORDER BY a.code",
        (site_id,),
    ):
        adjustments.setdefault(retrofit_id, []).append(
            Adjustment(
                code, Fraction(amount), local_date(since, zone),
                None if until is None else local_date(until, zone),
            )
        )  # fmt: skip
    return [
        DeclaredRetrofit(
            number, code, kind, baseline_id, begun, done, since, until, programme_id,
            tuple(overlaps), scheme_id, tuple(adjustments.get(number, ())),
        )
        for (number, code, kind, baseline_id, begun, done, since, until, programme_id, overlaps,
             scheme_id) in connection.execute(
            "SELECT t.retrofit_id, t.code, r.kind, r.baseline_id, r.implementation_from,"
            " r.implementation_to, r.reporting_from, r.reporting_to, r.programme_id,"
            " r.overlap_ids, r.scheme_id FROM retrofit t JOIN retrofit_record r USING (retrofit_id)"
            " WHERE t.site_id = %s AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL"
            " ORDER BY t.retrofit_id",
            (site_id,),
        ).fetchall()
    ]  # fmt: skip
