"""Decide about what later data would make of signed figures (F13, F20)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

from analytics.closing.closing import Period, reopen
from analytics.errors import ClosingError
from analytics.signed import FIGURES

__all__ = ["Difference", "decide", "pending_differences"]

_SAID_APART: Final = ("enpi_id", "point_id", "scheme_id", "period_kind", "period_from", "period_to")


@dataclass(frozen=True, slots=True)
class Difference:
    """A closed figure and what it would be now.

    Attributes
    ----------
    difference_id, closing_id
        Its number, and that of the closing.
    figure
        What it is of and of which period, for people.
    fields
        Each field that differs, with closed and new content.
    causes
        What became known since.
    """

    difference_id: int
    closing_id: int
    figure: str
    fields: dict[str, tuple[Any, Any]]
    causes: dict[str, int]


def pending_differences(connection: psycopg.Connection[Any], site_id: int) -> list[Difference]:
    """Return what waits for a decision at a site.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.

    Returns
    -------
    list of Difference
        The longest periods first, then by period.
    """
    return [
        Difference(
            number, closing, _named(kind, key, code),
            {
                name: (closed.get(name), None if computed is None else computed.get(name))
                for name in sorted(closed)
                if computed is None or computed.get(name) != closed[name]
            },
            causes,
        )
        for number, closing, kind, key, closed, computed, causes, code in connection.execute(
            "SELECT difference_id, closing_id, kind, figure_key, closed, computed, causes,"
            " coalesce(e.code, p.code, s.code) FROM pending_difference d"
            " LEFT JOIN enpi e ON e.enpi_id = (figure_key ->> 'enpi_id')::integer"
            " LEFT JOIN point p ON p.point_id = (figure_key ->> 'point_id')::integer"
            " LEFT JOIN scheme s ON s.scheme_id = (figure_key ->> 'scheme_id')::integer"
            " WHERE d.site_id = %s AND state = 'pending' ORDER BY array_position("
            "ARRAY['year_to_date', 'rolling_12', 'quarter', 'month'],"
            " figure_key ->> 'period_kind'), figure_key ->> 'period_from', difference_id",
            (site_id,),
        )
    ]  # fmt: skip


def _named(kind: str, key: Mapping[str, Any], code: str) -> str:
    table = "" if kind == "enpi_period" else kind.removesuffix("_period").replace("_", " ")
    rest = [str(key[k]) for k in FIGURES[kind] if k not in _SAID_APART and key[k]]
    period = f"{key['period_kind']} {key['period_from']}"
    if key.get("period_to") is not None and key["period_kind"] not in ("day", "shift"):
        last = dt.date.fromisoformat(key["period_to"]) - dt.timedelta(days=1)
        period += f" to {last}"
    return " ".join(filter(None, [table, code, *rest, period]))


def decide(
    connection: psycopg.Connection[Any],
    difference_id: int,
    decision: Literal["accepted", "refused"],
    author: str,
    reason: str,
    period: Period | None = None,
) -> None:
    """Accept a difference, which reopens its period, or refuse it.

    Parameters
    ----------
    connection
        Not inside a transaction.
    difference_id
        Its number.
    decision
        "accepted" opens the period again: it is prepared and approved anew, by two people.
        "refused" keeps the signed figure; other data may make another difference.
    author, reason
        Who decides, and why.
    period
        Of the difference, where it is accepted.

    Raises
    ------
    ClosingError
        If nothing of that number waits, or no reason is given.
    """
    if not reason.strip():
        raise ClosingError("a decision needs a reason")
    with connection.transaction():
        row = connection.execute(
            "UPDATE pending_difference SET state = %s, decided_by = %s, reason = %s,"
            " decided_at = now() WHERE difference_id = %s AND state = 'pending' RETURNING 1",
            (decision, author, reason, difference_id),
        ).fetchone()
        if row is None:
            raise ClosingError(f"no difference {difference_id} waits: `enpilot close differences`")
        if decision == "accepted":
            assert period is not None
            reopen(connection, period, author, f"difference {difference_id} accepted: {reason}")
