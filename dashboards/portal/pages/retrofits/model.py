"""Retrofits with what was promised and what is verified, and one of them in detail."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.site import Site

__all__ = [
    "Adjustment", "Model", "Programme", "Retrofit", "RetrofitsPage", "SavingPeriod", "SpanSaving",
    "load_retrofits",
]  # fmt: skip


class SpanSaving(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved over one span of reporting."""

    retrofit_id: int
    span: str
    period_from: dt.date | None
    period_to: dt.date | None
    months: float | None
    energy_unit: str | None
    adjusted_baseline: float | None
    actual: float | None
    adjustment: float | None
    saving: float | None
    uncertainty: float | None
    fractional_uncertainty: float | None
    confidence: float | None
    claim: str
    tce_per_year: float | None
    uncertainty_tce: float | None
    counted_tce: float | None
    factor_verified: bool | None
    provisional: bool
    synthetic: bool
    withheld_code: str | None


class Retrofit(msgspec.Struct, frozen=True, kw_only=True):
    """A project as the plant file says it."""

    retrofit_id: int
    code: str
    name_zh: str
    name_en: str
    kind: str
    ipmvp_option: str
    implementation_from: dt.date
    implementation_to: dt.date
    reporting_from: dt.date
    reporting_to: dt.date | None
    promised_tce_per_year: float | None
    cost_yuan: float | None
    programme_zh: str | None
    programme_en: str | None
    author: str
    reason: str
    spans: list[SpanSaving] = []

    def span(self, name: str) -> SpanSaving | None:
        """Return the saving of one span."""
        return next((s for s in self.spans if s.span == name), None)


class SavingPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """One day or month of the report."""

    period_from: dt.date
    period_to: dt.date
    energy_unit: str
    adjusted_baseline: float | None
    actual: float | None
    adjustment: float
    saving: float | None
    cumulative_saving: float | None
    withheld_code: str | None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The baseline model that says what would have been used."""

    form: str | None
    usability: str
    reasons: list[str]
    training_from: dt.date
    training_to: dt.date
    points: int | None
    r_squared: float | None
    cv_rmse: float | None
    f_p: float | None


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """A non-routine adjustment with its evidence."""

    amount_per_month: float
    why: str
    evidence: str
    since: dt.datetime
    until: dt.datetime | None
    author: str


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """The programme that projects count for."""

    name_zh: str
    name_en: str
    goal_projects: int | None
    goal_tce_per_year: float | None


class RetrofitsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    retrofits: list[Retrofit]
    chosen: Retrofit | None
    periods: list[SavingPeriod]
    model: Model | None
    adjustments: list[Adjustment]


def load_retrofits(
    connection: psycopg.Connection[Any], site: Site, code: str | None
) -> RetrofitsPage | None:
    """Read all projects, and the one whose code is given (by default the first) in detail."""
    retrofits = _retrofits(connection, site)
    chosen = next((r for r in retrofits if r.code == code), None)
    if code is not None and chosen is None:
        return None
    chosen = chosen or next(iter(retrofits), None)
    if chosen is None:
        return RetrofitsPage(site=site, retrofits=[], chosen=None, periods=[], model=None,
                             adjustments=[])  # fmt: skip
    return RetrofitsPage(
        site=site, retrofits=retrofits, chosen=chosen,
        periods=_periods(connection, chosen), model=_model(connection, chosen),
        adjustments=_adjustments(connection, chosen),
    )  # fmt: skip


def _retrofits(connection: psycopg.Connection[Any], site: Site) -> list[Retrofit]:
    rows = (
        connection.cursor(row_factory=class_row(Retrofit))
        .execute(
            "SELECT t.retrofit_id, t.code, r.name_zh, r.name_en, r.kind, r.ipmvp_option,"
            " r.implementation_from, r.implementation_to, r.reporting_from, r.reporting_to,"
            " r.promised_tce_per_year::double precision AS promised_tce_per_year,"
            " r.cost_yuan::double precision AS cost_yuan, p.name_zh AS programme_zh,"
            " p.name_en AS programme_en, r.author, r.reason"
            " FROM retrofit t JOIN LATERAL (SELECT * FROM retrofit_record r"
            "  WHERE r.retrofit_id = t.retrofit_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " LEFT JOIN LATERAL (SELECT * FROM programme_record p"
            "  WHERE p.programme_id = r.programme_id AND p.superseded_commit_no IS NULL"
            "  ORDER BY p.valid_from DESC LIMIT 1) p ON true"
            " WHERE t.site_id = %s ORDER BY r.reporting_from DESC, t.code",
            (site.site_id,),
        )
        .fetchall()
    )
    spans = (
        connection.cursor(row_factory=class_row(SpanSaving))
        .execute(
            "SELECT retrofit_id, span, period_from, period_to, months, energy_unit,"
            " adjusted_baseline, actual, adjustment, saving, uncertainty, fractional_uncertainty,"
            " confidence, claim, tce_per_year, uncertainty_tce, counted_tce, factor_verified,"
            " provisional, synthetic, withheld_code FROM saving_result WHERE site_id = %s"
            " ORDER BY array_position(ARRAY['reporting', 'first_12_months', 'persisting'], span)",
            (site.site_id,),
        )
        .fetchall()
    )
    return [
        msgspec.structs.replace(r, spans=[s for s in spans if s.retrofit_id == r.retrofit_id])
        for r in rows
    ]


def _periods(connection: psycopg.Connection[Any], retrofit: Retrofit) -> list[SavingPeriod]:
    return (
        connection.cursor(row_factory=class_row(SavingPeriod))
        .execute(
            "SELECT period_from, period_to, energy_unit, adjusted_baseline, actual, adjustment,"
            " saving, cumulative_saving, withheld_code FROM saving_period WHERE retrofit_id = %s"
            " ORDER BY period_from",
            (retrofit.retrofit_id,),
        )
        .fetchall()
    )


def _model(connection: psycopg.Connection[Any], retrofit: Retrofit) -> Model | None:
    return (
        connection.cursor(row_factory=class_row(Model))
        .execute(
            "SELECT m.form, m.usability, m.reasons, m.training_from, m.training_to, m.points,"
            " m.r_squared, m.cv_rmse, m.f_p FROM baseline_model m JOIN retrofit_record r"
            "  USING (baseline_id) WHERE r.retrofit_id = %s AND r.superseded_commit_no IS NULL"
            " AND m.superseded_version IS NULL ORDER BY m.version DESC LIMIT 1",
            (retrofit.retrofit_id,),
        )
        .fetchone()
    )


def _adjustments(connection: psycopg.Connection[Any], retrofit: Retrofit) -> list[Adjustment]:
    return (
        connection.cursor(row_factory=class_row(Adjustment))
        .execute(
            "SELECT amount_per_month::double precision AS amount_per_month, why, evidence,"
            ' valid_from AS since, valid_to AS "until", author'
            " FROM non_routine_adjustment_record WHERE retrofit_id = %s"
            " AND superseded_commit_no IS NULL ORDER BY valid_from",
            (retrofit.retrofit_id,),
        )
        .fetchall()
    )
