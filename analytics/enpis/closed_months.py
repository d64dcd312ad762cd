"""What closed months signed, for the longer periods that hold them (F13)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = ["ClosedMonth", "closed_months"]


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """Energy and output of an EnPI's closed month [units of the EnPI]."""

    energy: float
    energy_tce: float | None
    output: float


def closed_months(
    connection: psycopg.Connection[Any], site_id: int
) -> dict[tuple[int, dt.date], ClosedMonth]:
    """Return what closed months signed of each EnPI.

    Parameters
    ----------
    connection
        In the site's transaction.
    site_id
        The site.

    Returns
    -------
    dict
        By EnPI and first day; months whose intensity was withheld are left out.
    """
    return {
        (enpi_id, first): ClosedMonth(energy, tce, output)
        for enpi_id, first, energy, tce, output in connection.execute(
            "SELECT (content->>'enpi_id')::int, (content->>'period_from')::date,"
            " (content->>'energy')::float8, (content->>'energy_tce')::float8,"
            " (content->>'output')::float8 FROM closed_content WHERE site_id = %s"
            " AND period_kind = 'month' AND kind = 'enpi_period'"
            " AND content->>'period_kind' = 'month' AND content->>'intensity' IS NOT NULL",
            (site_id,),
        )
    }
