"""Savings of a site's retrofits: period by period, over their windows, counted once (F40)."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import psycopg

from analytics.accounting.site_calendar import (
    Period,
    days_of,
    midnight,
    months_of,
    years_later,
)
from analytics.accounting.site_facts import SiteFacts
from analytics.baselines.declared import DeclaredBaseline, load_baselines
from analytics.baselines.figures import PeriodCode, TouchedDays
from analytics.baselines.stored import StoredModel, current_model
from analytics.errors import FactorError, SavingError
from analytics.savings.avoided import ClaimCode, Saving, avoided_energy, check_windows
from analytics.savings.declared import DeclaredRetrofit, load_retrofits
from analytics.savings.programme import (
    CountedSaving,
    VerifiedSaving,
    count_once,
    overlap_groups,
)
from analytics.savings.standard_coal import TcePerUnit, tce_per_unit

__all__ = ["SPANS", "forget_saving_figures", "write_saving_figures"]

SPANS: Final = ("reporting", "first_12_months", "persisting")
_FACTOR_MISSING: Final = "factor_missing"
_DAYS_OF_MONTH: Final = 365.25 / 12


@dataclass(frozen=True, slots=True)
class _Expected:
    """A period of a baseline as it is stored."""

    actual: float | None
    variables: Mapping[str, float | None]
    difference: float | None
    expected: float | None
    withheld: str | None
    synthetic: bool


@dataclass(slots=True)
class _Baseline:
    """A baseline with its model and its periods."""

    declared: DeclaredBaseline
    model: StoredModel | None
    periods: dict[dt.date, _Expected]

    def calendar(self, since: dt.date, until: dt.date) -> list[Period]:
        """Return the whole periods in [since, until)."""
        make = months_of if self.declared.period_kind == "month" else days_of
        return [p for p in make(since, until) if since <= p.first and p.after <= until]

    def months(self, periods: Sequence[Period]) -> float:
        """Return how many months some periods are."""
        if self.declared.period_kind == "month":
            return float(len(periods))
        return len(periods) / _DAYS_OF_MONTH


@dataclass(slots=True)
class _Result:
    """One span of a retrofit on its way into ``saving_result``."""

    retrofit: DeclaredRetrofit
    span: str
    baseline: _Baseline
    periods: Sequence[Period]
    saving: Saving | None = None
    claim: ClaimCode = ClaimCode.NOTHING_REPORTED
    tce: TcePerUnit | None = None
    withheld: str | None = None
    counted: CountedSaving | None = field(default=None)

    @property
    def months(self) -> float:
        return self.baseline.months(self.periods)

    def per_year(self, energy: float) -> float | None:
        """Return an energy of the span as tce a year."""
        if self.tce is None or self.months <= 0:
            return None
        return energy * float(self.tce.value) * 12 / self.months

    def verified(self) -> VerifiedSaving | None:
        """Return the saving of the span a year; None where there is none in tce."""
        if self.saving is None:
            return None
        amount, error = self.per_year(self.saving.saving), self.per_year(self.saving.uncertainty)
        if amount is None or error is None:
            return None
        return VerifiedSaving(
            self.retrofit.code, self.retrofit.kind, amount, error,
            self.claim is ClaimCode.CLAIMABLE,
        )  # fmt: skip


def write_saving_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: TouchedDays, version: int
) -> int:
    """Write what every retrofit of a site saved.

    Parameters
    ----------
    connection
        Inside the site's transaction, after its baselines' figures were written.
    facts
        Of the site.
    span
        How far the site's days are complete.
    version
        Data version that the rows name.

    Returns
    -------
    int
        Rows that changed.
    """
    retrofits = load_retrofits(connection, facts.site_id, facts.zone)
    for table in ("saving_period", "saving_result"):
        connection.execute(
            f"DELETE FROM {table} WHERE site_id = %s AND NOT retrofit_id = ANY(%s)",
            (facts.site_id, [r.retrofit_id for r in retrofits]),
        )
    if not retrofits:
        return 0
    declared = {b.baseline_id: b for b in load_baselines(connection, facts.site_id)}
    needed = {r.baseline_id for r in retrofits} | {
        b.baseline_id for b in declared.values() if b.whole_site
    }
    known = {number: _load(connection, declared[number]) for number in needed if number in declared}
    results: list[_Result] = []
    rows = 0
    for retrofit in retrofits:
        baseline = known.get(retrofit.baseline_id)
        if baseline is None:
            continue  # its baseline has ended
        until = min(retrofit.reporting_to or dt.date.max, span.complete_until)
        reported = baseline.calendar(retrofit.reporting_from, until)
        rows += _write_periods(connection, facts, retrofit, baseline, reported, version)
        results += _results(connection, facts, retrofit, baseline, reported)
    _count(results, known, connection, facts)
    return rows + _write_results(connection, facts, results, version)


def forget_saving_figures(connection: psycopg.Connection[Any], site_id: int) -> None:
    """Delete the savings of a site that has no data any more.

    Parameters
    ----------
    connection
        Inside the site's transaction.
    site_id
        The site.
    """
    for table in ("saving_period", "saving_result"):
        connection.execute(f"DELETE FROM {table} WHERE site_id = %s", (site_id,))


def _window(first: dt.date, after: dt.date) -> tuple[int, int]:
    return first.toordinal(), after.toordinal()


def _load(connection: psycopg.Connection[Any], declared: DeclaredBaseline) -> _Baseline:
    return _Baseline(
        declared,
        current_model(connection, declared.baseline_id),
        {
            first: _Expected(*rest)
            for first, *rest in connection.execute(
                "SELECT period_from, actual, variables, difference, expected, withheld_code,"
                " synthetic FROM baseline_period WHERE baseline_id = %s AND period_kind = %s"
                " ORDER BY period_from",
                (declared.baseline_id, declared.period_kind),
            )
        },
    )


def _write_periods(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    retrofit: DeclaredRetrofit,
    baseline: _Baseline,
    periods: Sequence[Period],
    version: int,
) -> int:
    connection.execute(
        "DELETE FROM saving_period WHERE retrofit_id = %s AND (period_kind <> %s"
        " OR NOT period_from = ANY(%s))",
        (retrofit.retrofit_id, baseline.declared.period_kind, [p.first for p in periods]),
    )
    rows, total = [], 0.0
    for p in periods:
        e = baseline.periods.get(p.first)
        adjustment = float(sum(a.within(p) for a in retrofit.adjustments))
        saved = None if e is None or e.difference is None else adjustment - e.difference
        total += saved or 0.0
        withheld = None if saved is not None else PeriodCode.NO_MODEL if e is None else e.withheld
        rows.append(
            (
                facts.site_id, retrofit.retrofit_id, baseline.declared.period_kind, p.first,
                p.after, baseline.declared.energy_unit, None if e is None else e.expected,
                None if e is None else e.actual, adjustment, saved,
                None if saved is None else total, withheld, version,
            )
        )  # fmt: skip
    return _upsert(
        connection, "saving_period",
        ("site_id", "retrofit_id", "period_kind", "period_from", "period_to", "energy_unit",
         "adjusted_baseline", "actual", "adjustment", "saving", "cumulative_saving",
         "withheld_code", "data_version"),
        ("retrofit_id", "period_kind", "period_from"), rows,
    )  # fmt: skip


def _results(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    retrofit: DeclaredRetrofit,
    baseline: _Baseline,
    reported: Sequence[Period],
) -> list[_Result]:
    year_on = years_later(retrofit.reporting_from, 1)
    first = [p for p in reported if p.after <= year_on]
    spans = {"reporting": list(reported), "first_12_months": first}
    # The last twelve months, once none of them is one of the first twelve.
    if reported and reported[-1].after >= years_later(year_on, 1):
        since = years_later(reported[-1].after, -1)
        spans["persisting"] = [p for p in reported if p.first >= since]
    tce: TcePerUnit | None = None
    missing = None
    overlap = _windows_overlap(retrofit, baseline.declared)
    try:
        at = midnight(retrofit.reporting_from, facts.zone)
        tce = tce_per_unit(connection, baseline.declared, retrofit.scheme_id, at)
    except FactorError:
        missing = _FACTOR_MISSING
    results = []
    for span, periods in spans.items():
        result = _Result(retrofit, span, baseline, periods, tce=tce, withheld=missing)
        if overlap:
            result.claim, result.withheld = ClaimCode.WINDOWS_OVERLAP, ClaimCode.WINDOWS_OVERLAP
        else:
            _judge(result)
        results.append(result)
    return results


def _windows_overlap(retrofit: DeclaredRetrofit, baseline: DeclaredBaseline) -> bool:
    """Whether windows overlap after all: two plant files may have said one each."""
    try:
        check_windows(
            _window(baseline.training_from, baseline.training_to),
            _window(retrofit.implementation_from, retrofit.implementation_to),
            _window(retrofit.reporting_from, retrofit.reporting_to or dt.date.max),
        )
    except SavingError:
        return True
    return False


def _judge(result: _Result) -> None:
    saving, claim = _avoided(
        result.baseline, result.periods,
        lambda p: float(sum(a.within(p) for a in result.retrofit.adjustments)),
    )  # fmt: skip
    result.saving, result.claim = saving, claim
    if saving is None:
        result.withheld = claim.value


def _avoided(
    baseline: _Baseline, periods: Sequence[Period], adjustment: Callable[[Period], float]
) -> tuple[Saving | None, ClaimCode]:
    """Return what the periods saved; None where no model or nothing comparable is there."""
    model = None if baseline.model is None else baseline.model.predicts
    if model is None:
        return None, ClaimCode.MODEL_UNUSABLE
    compared = [
        (p, e)
        for p in periods
        if (e := baseline.periods.get(p.first)) is not None and e.difference is not None
    ]
    if not compared:
        return None, ClaimCode.NOTHING_REPORTED
    columns = {
        code: np.array([e.variables[code] for _, e in compared], dtype=np.float64)
        for code in model.form.variables
    }
    saving = avoided_energy(
        model.regression,
        model.rows(columns),
        np.array([e.actual for _, e in compared], dtype=np.float64),
        adjustments=[adjustment(p) for p, _ in compared],
        expected_periods=len(periods),
    )
    return saving, saving.claim


def _count(
    results: Sequence[_Result],
    known: Mapping[int, _Baseline],
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
) -> None:
    """Let overlapping retrofits count up to what the site saved in the same periods."""
    for span in SPANS:
        here = {r.retrofit.retrofit_id: r for r in results if r.span == span}
        overlaps = {
            str(n): [str(o) for o in r.retrofit.overlap_ids if o in here] for n, r in here.items()
        }
        for group in overlap_groups(overlaps):
            members = [(r, v) for n in group if (v := (r := here[int(n)]).verified()) is not None]
            if not members:
                continue
            site, error = None, 0.0
            if len(members) > 1:
                site, error = _site_saving([r for r, _ in members], known, connection, facts)
            for (result, _), counted in zip(
                members, count_once([v for _, v in members], site, error), strict=True
            ):
                result.counted = counted


def _site_saving(
    members: Sequence[_Result],
    known: Mapping[int, _Baseline],
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
) -> tuple[float | None, float]:
    """Return what the whole site saved a year while all of the members reported [tce/a]."""
    whole = next((b for b in known.values() if b.declared.whole_site), None)
    if whole is None or any(not m.periods for m in members):
        return None, 0.0
    since = max(m.periods[0].first for m in members)
    until = min(m.periods[-1].after for m in members)
    periods = whole.calendar(since, until)
    adjustments = {a.code: a for m in members for a in m.retrofit.adjustments}
    saving, _ = _avoided(
        whole, periods, lambda p: float(sum(a.within(p) for a in adjustments.values()))
    )
    if saving is None:
        return None, 0.0
    scheme = next((m.retrofit.scheme_id for m in members if m.retrofit.scheme_id), None)
    try:
        tce = tce_per_unit(connection, whole.declared, scheme, midnight(since, facts.zone))
    except FactorError:
        return None, 0.0
    per_year = float(tce.value) * 12 / whole.months(periods)
    return saving.saving * per_year, saving.uncertainty * per_year


_RESULT: Final = (
    "site_id", "retrofit_id", "span", "kind", "programme_id", "model_id", "period_from",
    "period_to", "months", "energy_unit", "adjusted_baseline", "actual", "adjustment", "saving",
    "uncertainty", "fractional_uncertainty", "confidence", "claim", "tce_per_unit",
    "factor_verified", "tce_per_year", "uncertainty_tce", "counted_tce", "unallocated_tce",
    "provisional", "synthetic", "withheld_code", "data_version",
)  # fmt: skip


def _write_results(
    connection: psycopg.Connection[Any], facts: SiteFacts, results: Sequence[_Result], version: int
) -> int:
    kept = {(r.retrofit.retrofit_id, r.span) for r in results}
    for number, span in connection.execute(
        "SELECT retrofit_id, span FROM saving_result WHERE site_id = %s", (facts.site_id,)
    ).fetchall():
        if (number, span) not in kept:
            connection.execute(
                "DELETE FROM saving_result WHERE retrofit_id = %s AND span = %s", (number, span)
            )
    return _upsert(
        connection, "saving_result", _RESULT, ("retrofit_id", "span"),
        [_result_row(facts, r, version) for r in results],
    )  # fmt: skip


def _result_row(facts: SiteFacts, r: _Result, version: int) -> tuple[object, ...]:
    s, v, c = r.saving, r.verified(), r.counted
    held = [e for p in r.periods if (e := r.baseline.periods.get(p.first)) is not None]
    model = r.baseline.model
    return (
        facts.site_id, r.retrofit.retrofit_id, r.span, r.retrofit.kind, r.retrofit.programme_id,
        None if model is None else model.model_id,
        r.periods[0].first if r.periods else None, r.periods[-1].after if r.periods else None,
        r.months, r.baseline.declared.energy_unit,
        *((None,) * 7 if s is None else (
            s.adjusted_baseline, s.actual, s.adjustment, s.saving, s.uncertainty,
            s.fractional_uncertainty, s.confidence,
        )),
        r.claim.value, None if r.tce is None else float(r.tce.value),
        None if r.tce is None else r.tce.verified, None if v is None else v.tce_per_year,
        None if v is None else v.uncertainty_tce, None if c is None else c.counted_tce,
        None if c is None else c.unallocated_tce,
        # A part of a year stands for all of it only for the time being.
        not math.isclose(r.months, 12, abs_tol=0.1) and r.months < 12,
        any(e.synthetic for e in held), r.withheld, version,
    )  # fmt: skip


def _upsert(
    connection: psycopg.Connection[Any],
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> int:
    """Write rows; those that say the same as before stay as they are, data version and all."""
    said = [c for c in columns if c not in key and c != "data_version"]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} AS held ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))})"
            f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET"
            f" {', '.join(f'{c} = excluded.{c}' for c in (*said, 'data_version'))},"
            " computed_at = now()"
            f" WHERE ({', '.join(f'held.{c}' for c in said)}) IS DISTINCT FROM"
            f" ({', '.join(f'excluded.{c}' for c in said)})",
            rows,
        )
        return max(0, cursor.rowcount)
