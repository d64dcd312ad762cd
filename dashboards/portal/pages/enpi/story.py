"""Why the year went as it did, and how it will end: forecast, baseline, what happened when."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.figures import EnpiFigure
from dashboards.portal.site import Indicator, Site

__all__ = [
    "Baseline",
    "BaselineMonth",
    "Event",
    "MeterDay",
    "YearEnd",
    "load_baseline",
    "load_events",
    "load_meters",
    "load_year_end",
]


class YearEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How the year will end, with an interval of 80 %; withheld with its reason."""

    through: dt.date  # finished months are known before this day
    energy: float | None
    intensity: float | None
    intensity_lower: float | None
    intensity_upper: float | None
    target_intensity: float | None
    probability: float | None  # that the year ends at or below its target
    required_intensity: float | None  # of the rest of the year, to end on the target
    required_change: float | None
    required_code: str | None
    synthetic: bool
    withheld_code: str | None


class BaselineMonth(msgspec.Struct, frozen=True, kw_only=True):
    """Expected energy of a month beside the actual [energy_unit of the baseline]."""

    month: dt.date
    training: bool
    actual: float | None
    expected: float | None
    lower: float | None  # of 95 %
    upper: float | None
    difference: float | None
    cusum: float | None
    shift: bool  # performance changed with this month
    level: float | None  # mean difference since the last shift
    withheld_code: str | None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The model of what energy should have been, and its months from training to now."""

    baseline_id: int
    code: str
    name_zh: str
    name_en: str
    version: int
    usability: str
    reasons: list[str]
    form: str | None
    points: int | None
    r_squared: float | None
    cv_rmse: float | None
    f_p: float | None
    training_from: dt.date
    training_to: dt.date
    energy_unit: str
    synthetic: bool
    months: list[BaselineMonth] = []

    @property
    def usable(self) -> bool:
        """Whether anything may be expected of it."""
        return self.usability != "unusable"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that moved the year, or keeps a month out of it."""

    kind: Literal["shift", "withheld", "retrofit", "mix"]
    at: dt.date
    severity: str  # fault, warning, note, good
    name_zh: str = ""
    name_en: str = ""
    reason: str | None = None
    amount: float | None = None  # [energy unit]
    uncertainty: float | None = None
    unit: str = ""


class MeterDay(msgspec.Struct, frozen=True, kw_only=True):
    """What one meter said of a day."""

    point: str
    name_zh: str
    name_en: str
    role: str
    medium: str
    series_id: int | None
    quantity: str
    amount: float | None
    unit: str
    coverage: float | None
    reporting_completeness: float | None
    estimated_share: float | None
    simulated: bool
    withheld_code: str | None


def load_year_end(connection: psycopg.Connection[Any], enpi_id: int, year: int) -> YearEnd | None:
    """Return the forecast of a year's end, None if there is none."""
    columns = ", ".join(YearEnd.__struct_fields__)
    return (
        connection.cursor(row_factory=class_row(YearEnd))
        .execute(
            f"SELECT {columns} FROM enpi_year_end WHERE enpi_id = %s"
            " AND year_from >= %s AND year_from < %s",
            (enpi_id, dt.date(year, 1, 1), dt.date(year + 1, 1, 1)),
        )
        .fetchone()
    )


def load_baseline(
    connection: psycopg.Connection[Any], indicator: Indicator, year: int
) -> Baseline | None:
    """Return the baseline of an EnPI with its months up to the end of a year, None without one."""
    found = (
        connection.cursor(row_factory=class_row(Baseline))
        .execute(
            "SELECT b.baseline_id, b.code, r.name_zh, r.name_en, m.version, m.usability, m.reasons,"
            " m.form, m.points, m.r_squared, m.cv_rmse, m.f_p, m.training_from, m.training_to,"
            " m.energy_unit, m.synthetic FROM baseline b"
            " JOIN baseline_record r ON r.baseline_id = b.baseline_id"
            "  AND r.superseded_commit_no IS NULL"
            " JOIN baseline_model m ON m.baseline_id = b.baseline_id"
            "  AND m.superseded_version IS NULL"
            " WHERE r.enpi_id = %s AND m.period_kind = 'month'"
            " ORDER BY array_position(ARRAY['usable', 'weak', 'unusable'], m.usability),"
            " b.baseline_id LIMIT 1",
            (indicator.enpi_id,),
        )
        .fetchone()
    )
    if found is None:
        return None
    months = (
        connection.cursor(row_factory=class_row(BaselineMonth))
        .execute(
            "SELECT period_from AS month, training, actual, expected, lower, upper, difference,"
            " cusum, shift, level, withheld_code FROM baseline_period"
            " WHERE baseline_id = %s AND period_kind = 'month' AND period_from < %s"
            " ORDER BY period_from",
            (found.baseline_id, dt.date(year + 1, 1, 1)),
        )
        .fetchall()
    )
    return msgspec.structs.replace(found, months=months)


def load_events(
    connection: psycopg.Connection[Any],
    site: Site,
    year: int,
    months: list[EnpiFigure],
    baseline: Baseline | None,
) -> list[Event]:
    """Return what moved the year, in the order it happened."""
    events = [
        Event(kind="withheld", at=m.period_from, severity="note", reason=m.withheld_code)
        for m in months
        if m.status == "withheld"
    ]
    if baseline is not None:
        events += [
            Event(
                kind="shift", at=m.month, amount=m.level, unit=baseline.energy_unit,
                severity="good" if (m.level or 0.0) < 0 else "fault",
            )
            for m in baseline.months
            if m.shift and m.month.year == year
        ]  # fmt: skip
    events += [
        Event(
            kind="retrofit", at=at, severity="good" if claim == "claimable" else "note",
            name_zh=zh, name_en=en, amount=None if saved is None else -saved,
            uncertainty=uncertainty, unit=unit or "", reason=withheld,
        )
        for at, zh, en, saved, uncertainty, unit, claim, withheld in connection.execute(
            "SELECT r.reporting_from, r.name_zh, r.name_en, s.saving, s.uncertainty,"
            " s.energy_unit, s.claim, s.withheld_code FROM retrofit t"
            " JOIN retrofit_record r ON r.retrofit_id = t.retrofit_id"
            "  AND r.superseded_commit_no IS NULL"
            " LEFT JOIN saving_result s ON s.retrofit_id = t.retrofit_id AND s.span = 'reporting'"
            " WHERE t.site_id = %s AND r.reporting_from >= %s AND r.reporting_from < %s",
            (site.site_id, dt.date(year, 1, 1), dt.date(year + 1, 1, 1)),
        ).fetchall()
    ]  # fmt: skip
    return sorted(events, key=lambda event: event.at)


def load_meters(connection: psycopg.Connection[Any], site: Site, day: dt.date) -> list[MeterDay]:
    """Return what each meter said of a day, the site's boundary first."""
    return (
        connection.cursor(row_factory=class_row(MeterDay))
        .execute(
            "SELECT p.code AS point, r.name_zh, r.name_en, r.role, p.medium, s.series_id,"
            " e.quantity, e.amount, e.unit, e.coverage, e.reporting_completeness,"
            " e.estimated_share, e.simulated, e.withheld_code"
            " FROM energy_period e JOIN point p USING (point_id)"
            " LEFT JOIN series s ON s.point_id = e.point_id AND s.quantity = e.quantity"
            "  AND s.channel = e.channel"
            " JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = p.point_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from <= %(end)s DESC,"
            "  r.valid_from DESC LIMIT 1) r ON true"
            " WHERE e.site_id = %(site)s AND e.period_kind = 'day' AND e.period_from = %(day)s"
            " AND e.channel = 'total' ORDER BY r.role <> 'boundary', p.medium, p.code",
            {"site": site.site_id, "day": day, "end": site.midnight(day)},
        )
        .fetchall()
    )
