"""What a decision about a correction would change, computed and rolled back (F20)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import psycopg

from analytics.engine import recompute_site
from analytics.errors import NoSuchCorrectionError
from analytics.intervals.recompute import recompute_point
from enpilot.database import data_version

__all__ = ["Change", "preview"]

_Key = tuple[str, str, str, dt.date]


@dataclass(frozen=True, slots=True)
class Change:
    """One figure before and after; None where there is none, or it is withheld.

    Attributes
    ----------
    what
        Point with quantity and channel, or the EnPI.
    unit
        Of both numbers.
    period_kind, period_from
        "day", "month" or "year_to_date", and its first day.
    before, after
        The figures [unit].
    verdict_before, verdict_after
        Of an EnPI; empty for an amount.
    """

    what: str
    unit: str
    period_kind: str
    period_from: dt.date
    before: float | None
    after: float | None
    verdict_before: str
    verdict_after: str


def preview(connection: psycopg.Connection[Any], correction_id: int) -> list[Change]:
    """Compute the site's figures with a proposal in force, or without one that is, and roll back.

    Parameters
    ----------
    connection
        Not inside a transaction. What else is dirty at the point is computed first, so that only
        the correction makes the difference.
    correction_id
        The proposal, or the correction in force.

    Returns
    -------
    list of Change
        By what changes, in order; none if nothing would.

    Raises
    ------
    NoSuchCorrectionError
        If there is no such correction, or it was rejected or revoked.
    """
    row = connection.execute(
        "SELECT state, site_id, point_id FROM correction_state WHERE correction_id = %s",
        (correction_id,),
    ).fetchone()
    if row is None or row[0] not in ("proposed", "in_force"):
        raise NoSuchCorrectionError(
            f"correction {correction_id} is neither proposed nor in force: `enpilot correct list`"
        )
    state, site_id, point_id = row
    decide = "put_correction_in_force" if state == "proposed" else "take_correction_out"
    version = data_version(connection)
    with connection.transaction(force_rollback=True):
        recompute_point(connection, point_id, version)
        recompute_site(connection, site_id, version)
        before = _figures(connection, site_id)
        connection.execute(f"SELECT {decide}(%s, %s)", (correction_id, version))
        recompute_point(connection, point_id, version)
        recompute_site(connection, site_id, version)
        after = _figures(connection, site_id)
    nothing = (None, "")
    return [
        Change(*key, *(_pair(before.get(key, nothing), after.get(key, nothing))))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _pair(
    before: tuple[float | None, str], after: tuple[float | None, str]
) -> tuple[float | None, float | None, str, str]:
    return before[0], after[0], before[1], after[1]


def _figures(
    connection: psycopg.Connection[Any], site_id: int
) -> dict[_Key, tuple[float | None, str]]:
    amounts = {
        (what, unit, kind, first): (amount, "")
        for what, unit, kind, first, amount in connection.execute(
            "SELECT concat_ws(' ', p.code, e.quantity, e.channel), e.unit, e.period_kind,"
            " e.period_from, e.amount FROM energy_period e JOIN point p USING (point_id)"
            " WHERE e.site_id = %s",
            (site_id,),
        )
    }
    judged = {
        (what, unit, f"{kind} {shift}".strip() + f" to {until}", first): (shown[0], shown[1])
        for what, unit, kind, shift, until, first, *shown in connection.execute(
            "SELECT e.code, f.energy_unit || '/' || f.output_unit, f.period_kind,"
            " f.shift, f.period_to - 1, f.period_from, f.intensity,"
            " coalesce(f.withheld_code, f.status)"
            " FROM enpi_period f JOIN enpi e USING (enpi_id) WHERE f.site_id = %s",
            (site_id,),
        )
    }
    return amounts | judged
