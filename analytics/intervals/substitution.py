"""What a person says a span took, in place of what its registers say (F20)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final

import psycopg

from analytics.counters.levels import MICRO
from enpilot.quantities import unit_ratio

__all__ = ["Substitution", "allot", "load_substitutions", "substitute"]

_GRID: Final = dt.timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Substitution:
    """A span on the 15-minute grid and what it took.

    Attributes
    ----------
    since, until
        The span, its end excluded.
    amount
        What it took in all [the quantity's own unit].
    shape
        "even", or "registers": in the proportions of what the registers say.
    """

    since: dt.datetime
    until: dt.datetime
    amount: Fraction
    shape: str


@dataclass(frozen=True, slots=True)
class _EpochSpan:
    epoch_id: int
    own_units_per_count: Fraction
    valid_from: dt.datetime
    valid_to: dt.datetime | None


def load_substitutions(
    connection: psycopg.Connection[Any],
    series_id: int,
    quantity: str,
    since: dt.datetime,
    until: dt.datetime,
) -> list[Substitution]:
    """Return what is substituted in a series and touches [since, until], in order of time.

    Parameters
    ----------
    connection
        As a role that may read the plant.
    series_id, quantity
        The series and what it measures.
    since, until
        Both included.

    Returns
    -------
    list of Substitution
        Amounts in the quantity's own unit.
    """
    return [
        Substitution(low, high, Fraction(amount) * unit_ratio(quantity, unit), shape)
        for low, high, amount, unit, shape in connection.execute(
            "SELECT from_ts, to_ts, amount, unit, shape FROM energy_substitution"
            " WHERE series_id = %s AND superseded_commit_no IS NULL"
            " AND from_ts <= %s AND to_ts > %s ORDER BY from_ts",
            (series_id, until, since),
        )
    ]


def allot(amount: Fraction, weights: Sequence[int]) -> list[Fraction]:
    """Share an amount out by weights; what all weights share equally if they are zero.

    Parameters
    ----------
    amount
        Shared out whole: the parts add up to it exactly.
    weights
        One a part, of any sign; at least one.

    Returns
    -------
    list of Fraction
        One a weight [unit of the amount].
    """
    if sum(weights) == 0:
        weights = [1] * len(weights)
    whole = sum(weights)
    return [amount * weight / whole for weight in weights]


def substitute(
    connection: psycopg.Connection[Any],
    series_id: int,
    quantity: str,
    substitution: Substitution,
    version: int,
) -> None:
    """Put what a person said in place of the interval rows of a span; all of it is estimated.

    Rows of intervals without a meaning are not written: their part of the amount is withheld.

    Parameters
    ----------
    connection
        Inside the transaction that has just written the registers' rows of the whole span.
    series_id, quantity
        The series, and what it reads.
    substitution
        The amount and how it is shared out.
    version
        Data version that the rows will name.
    """
    taken = {
        ts: (advance, readings)
        for ts, advance, readings in connection.execute(
            "WITH gone AS (DELETE FROM interval_advance WHERE series_id = %s AND ts >= %s"
            " AND ts < %s RETURNING ts, advance_micro, readings)"
            " SELECT ts, sum(advance_micro)::bigint, sum(readings)::int FROM gone GROUP BY ts",
            (series_id, substitution.since, substitution.until),
        )
    }
    connection.execute(
        "DELETE FROM gap WHERE series_id = %s AND from_ts >= %s AND to_ts <= %s",
        (series_id, substitution.since, substitution.until),
    )
    count = (substitution.until - substitution.since) // _GRID
    starts = [substitution.since + i * _GRID for i in range(count)]
    said = [taken.get(ts, (0, 0))[0] for ts in starts]
    parts = allot(substitution.amount, said if substitution.shape == "registers" else [1] * count)
    for epoch in _epochs(connection, series_id, quantity):
        inside = [
            i
            for i, ts in enumerate(starts)
            if epoch.valid_from <= ts and (epoch.valid_to is None or ts < epoch.valid_to)
        ]
        # Rounded where they end, not each by itself, so that no millionth is lost or found.
        ends = [
            round(total / epoch.own_units_per_count * MICRO)
            for total in accumulate((parts[i] for i in inside), initial=Fraction(0))
        ]
        rows = [
            (
                series_id, starts[i], epoch.epoch_id, ends[k + 1] - ends[k],
                abs(ends[k + 1] - ends[k]), taken.get(starts[i], (0, 0))[1], version,
            )
            for k, i in enumerate(inside)
        ]  # fmt: skip
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO interval_advance (series_id, ts, epoch_id, advance_micro,"
                " estimated_micro, measured_s, readings, simulated, data_version)"
                " VALUES (%s, %s, %s, %s, %s, 0, %s, false, %s)",
                rows,
            )


def _epochs(connection: psycopg.Connection[Any], series_id: int, quantity: str) -> list[_EpochSpan]:
    return [
        _EpochSpan(number, Fraction(scale) * unit_ratio(quantity, unit), since, until)
        for number, scale, unit, since, until in connection.execute(
            "SELECT epoch_id, scale, unit, valid_from, valid_to FROM series_epoch"
            " WHERE series_id = %s AND superseded_commit_no IS NULL"
            " AND counter_kind IS NOT NULL ORDER BY valid_from",
            (series_id,),
        )
    ]
