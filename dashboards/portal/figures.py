"""Judged figures as analytics stored them: one struct, read by every page."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

__all__ = [
    "EnpiFigure",
    "Target",
    "enpi_figures",
    "latest_year_to_date",
    "targets",
    "year_to_dates",
]


class EnpiFigure(msgspec.Struct, frozen=True, kw_only=True):
    """An EnPI over one period; a withheld one has no intensity but says why."""

    period_kind: str
    period_from: dt.date
    period_to: dt.date  # exclusive
    energy: float | None  # [energy_unit]
    energy_unit: str
    energy_tce: float | None
    output: float | None  # [output_unit]
    output_unit: str
    intensity: float | None  # [energy_unit/output_unit]
    base_intensity: float | None
    target_intensity: float | None
    progress_ratio: float | None
    cumulative_progress: float | None
    status: str
    withheld_code: str | None
    provisional: bool
    within_uncertainty: bool | None
    coverage: float | None
    output_coverage: float | None
    reporting_completeness: float | None
    estimated_share: float | None
    synthetic_energy: bool
    synthetic_output: bool
    factor_verified: bool
    data_version: int
    volume_effect: float | None = None  # [energy_unit], against the same months of the base
    mix_effect: float | None = None
    efficiency_effect: float | None = None
    matched_share: float | None = None  # of the energy, where only matched days count
    previous_intensity: float | None = None  # of the same part of the year before
    original_target_intensity: float | None = None  # before the base was adjusted
    original_status: str | None = None

    @property
    def to_target(self) -> float | None:
        """Relative distance to the target, positive above it; None without either."""
        if self.intensity is None or not self.target_intensity:
            return None
        return self.intensity / self.target_intensity - 1.0

    def running(self, today: dt.date) -> bool:
        """Whether the day, month or year judged is not over yet: no light then, at most words."""
        if self.period_kind == "day":
            end = self.period_from + dt.timedelta(days=1)
        elif self.period_kind == "month":
            end = (self.period_from.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
        else:
            end = dt.date(self.period_from.year + 1, 1, 1)
        return end > today

    @property
    def last_day(self) -> dt.date:
        """The last day of the period."""
        return self.period_to - dt.timedelta(days=1)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an EnPI is judged against, and on whose word."""

    base_from: dt.date
    base_to: dt.date  # exclusive
    end_to: dt.date  # exclusive
    annual_rate: float | None
    end_value: float | None
    target_class: str
    authority: str
    document: str | None


_COLUMNS = ", ".join(EnpiFigure.__struct_fields__)


def enpi_figures(
    connection: psycopg.Connection[Any],
    enpi_id: int,
    kind: str,
    first: dt.date,
    end: dt.date,
) -> list[EnpiFigure]:
    """Return the figures of periods that begin in ``[first, end)``, in order."""
    return (
        connection.cursor(row_factory=class_row(EnpiFigure))
        .execute(
            f"SELECT {_COLUMNS} FROM enpi_period WHERE enpi_id = %s AND period_kind = %s"
            " AND period_from >= %s AND period_from < %s ORDER BY period_from, period_to",
            (enpi_id, kind, first, end),
        )
        .fetchall()
    )


def latest_year_to_date(
    connection: psycopg.Connection[Any], enpi_id: int, year: int, until: dt.date | None = None
) -> EnpiFigure | None:
    """Return the year to date that reaches furthest, at most to ``until`` (exclusive end)."""
    return (
        connection.cursor(row_factory=class_row(EnpiFigure))
        .execute(
            f"SELECT {_COLUMNS} FROM enpi_period WHERE enpi_id = %s"
            " AND period_kind = 'year_to_date' AND period_from = %s AND period_to <= %s"
            " ORDER BY period_to DESC LIMIT 1",
            (enpi_id, dt.date(year, 1, 1), until or dt.date(year + 1, 1, 1)),
        )
        .fetchone()
    )


def year_to_dates(connection: psycopg.Connection[Any], enpi_id: int, year: int) -> list[EnpiFigure]:
    """Return the year to the end of each month, and to the last day with figures, in order."""
    return (
        connection.cursor(row_factory=class_row(EnpiFigure))
        .execute(
            f"SELECT {_COLUMNS} FROM enpi_period WHERE enpi_id = %s"
            " AND period_kind = 'year_to_date' AND period_from = %s ORDER BY period_to",
            (enpi_id, dt.date(year, 1, 1)),
        )
        .fetchall()
    )


def targets(connection: psycopg.Connection[Any], enpi_id: int) -> list[Target]:
    """Return the current targets of an intensity, the most binding class first."""
    return (
        connection.cursor(row_factory=class_row(Target))
        .execute(
            "SELECT base_from, base_to, end_to, annual_rate::double precision AS annual_rate,"
            " end_value::double precision AS end_value, target_class, authority, document"
            " FROM target WHERE enpi_id = %s AND kind = 'intensity'"
            " AND superseded_commit_no IS NULL"
            " ORDER BY array_position(ARRAY['official', 'assigned', 'internal'], target_class)",
            (enpi_id,),
        )
        .fetchall()
    )
