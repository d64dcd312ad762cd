"""Decide about what later data would make of signed figures (F13, F20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from analytics.closing.closing import Period, reopen
from analytics.errors import ClosingError

__all__ = ["Difference", "decide", "pending_differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A closed figure and what it would be now.

    Attributes
    ----------
    difference_id, closing_id
        Its number, and that of the closing.
    figure
        Table and key, for people.
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
        In the order in which they were found.
    """
    names = _names(connection, site_id)
    return [
        Difference(
            number, closing, _figure(kind, key, names),
            {
                name: (closed.get(name), None if computed is None else computed.get(name))
                for name in sorted(closed)
                if computed is None or computed.get(name) != closed[name]
            },
            causes,
        )
        for number, closing, kind, key, closed, computed, causes in connection.execute(
            "SELECT difference_id, closing_id, kind, figure_key, closed, computed, causes"
            " FROM pending_difference WHERE site_id = %s AND state = 'pending'"
            " ORDER BY difference_id",
            (site_id,),
        )
    ]  # fmt: skip


def _names(connection: psycopg.Connection[Any], site_id: int) -> dict[tuple[str, int], str]:
    return {
        (f"{kind}_id", number): code
        for kind in ("enpi", "point", "scheme")
        for number, code in connection.execute(
            f"SELECT {kind}_id, code FROM {kind} WHERE site_id = %s", (site_id,)
        )
    }


def _figure(kind: str, key: dict[str, Any], names: dict[tuple[str, int], str]) -> str:
    """Name a figure as people do: its table, what it is of, its period."""
    said = [names.get((name, value), str(value)) for name, value in key.items()
            if name.endswith("_id")]  # fmt: skip
    period = f"{key['period_kind']} from {key['period_from']}"
    other = [
        str(value)
        for name, value in sorted(key.items())
        if value and not name.endswith("_id") and not name.startswith("period_")
    ]
    return " ".join([kind.removesuffix("_period"), *said, *other, period])


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
