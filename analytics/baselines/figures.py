"""Expected energy of a site's baselines, period by period, with CUSUM and shifts (D11).

Only what a change touches is read anew; the sums that follow it are cheap. A model that failed its
tests expects nothing: its periods are withheld and say so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from analytics.accounting.site_calendar import Period, days_of, months_of
from analytics.accounting.site_facts import SiteFacts
from analytics.baselines.cusum import cusum, find_shifts
from analytics.baselines.declared import DeclaredBaseline, load_baselines
from analytics.baselines.stored import StoredModel, TrainingPeriod, fit_if_changed
from analytics.baselines.values import PeriodEnergy, VariableReader, complete, period_energies

__all__ = ["PeriodCode", "TouchedDays", "forget_baseline_figures", "write_baseline_figures"]


class PeriodCode:
    """Why a period has no difference from what was expected."""

    ENERGY_MISSING: Final = "energy_missing"
    VARIABLE_MISSING: Final = "variable_missing"
    MODEL_UNUSABLE: Final = "model_unusable"
    NO_MODEL: Final = "no_model"


class TouchedDays(Protocol):
    """Local days [since, until) that a change touches; see `analytics.enpis.figures.Span`."""

    @property
    def since(self) -> dt.date: ...  # noqa: D102 - said above
    @property
    def until(self) -> dt.date: ...  # noqa: D102 - said above
    @property
    def complete_until(self) -> dt.date:
        """The first local day that is not complete yet."""
        ...


@dataclass(slots=True)
class _Row:
    """One period on its way into ``baseline_period``."""

    period: Period
    training: bool
    energy: PeriodEnergy | None
    variables: dict[str, float | None]
    synthetic: bool
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    difference: float | None = None
    cusum: float | None = None
    shift: bool = False
    level: float | None = None
    outside: tuple[str, ...] = ()
    withheld: str | None = None

    def values(self) -> tuple[object, ...]:
        actual = None if self.energy is None else self.energy.energy
        tce = None if self.energy is None else self.energy.tce
        return (
            self.period.first, self.period.after, self.training, actual, tce, self.expected,
            self.lower, self.upper, self.difference, self.cusum, self.shift, self.level,
            self.variables, list(self.outside), self.synthetic, self.withheld,
        )  # fmt: skip


_COLUMNS: Final = (
    "period_from", "period_to", "training", "actual", "energy_tce", "expected", "lower", "upper",
    "difference", "cusum", "shift", "level", "variables", "outside_range", "synthetic",
    "withheld_code",
)  # fmt: skip


def write_baseline_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: TouchedDays, version: int
) -> int:
    """Write expected energy of every baseline of a site where a change touches it.

    Parameters
    ----------
    connection
        Inside the site's transaction, after its energy and EnPI figures were written.
    facts
        Of the site.
    span
        Days that are touched, and how far the site's days are complete.
    version
        Data version that changed rows name.

    Returns
    -------
    int
        Rows that changed; a model that was fitted anew is one of them.
    """
    return sum(
        _write(connection, facts, baseline, span, version)
        for baseline in load_baselines(connection, facts.site_id)
    )


def forget_baseline_figures(
    connection: psycopg.Connection[Any], site_id: int, version: int
) -> None:
    """Take back the figures of a site that has no data any more; its models stay as history.

    Parameters
    ----------
    connection
        Inside the site's transaction.
    site_id
        The site.
    version
        Data version from which its models do not count.
    """
    connection.execute("DELETE FROM baseline_period WHERE site_id = %s", (site_id,))
    connection.execute(
        "UPDATE baseline_model SET superseded_version = %s WHERE site_id = %s"
        " AND superseded_version IS NULL",
        (version, site_id),
    )


def _write(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    baseline: DeclaredBaseline,
    span: TouchedDays,
    version: int,
) -> int:
    make = months_of if baseline.period_kind == "month" else days_of
    window = list(make(baseline.training_from, baseline.training_to))
    periods = [
        p
        for p in make(baseline.training_from, max(span.complete_until, baseline.training_from))
        if p.after <= span.complete_until
    ]
    stored = _stored(connection, baseline)
    rows = _rows(connection, facts, baseline, span, periods, stored)
    by_first = {r.period.first: r for r in rows}
    training = [_training(by_first.get(p.first), p, baseline) for p in window]
    before = connection.execute(
        "SELECT model_id FROM baseline_model WHERE baseline_id = %s AND superseded_version IS NULL",
        (baseline.baseline_id,),
    ).fetchone()
    model = fit_if_changed(
        connection, facts.site_id, baseline, training,
        whole=baseline.training_to <= span.complete_until, version=version,
    )  # fmt: skip
    _expect(rows, model)
    _follow(rows, model)
    fitted = before is None or before[0] != model.model_id
    return fitted + _keep(connection, facts, baseline, rows, stored, model, version)


def _training(row: _Row | None, period: Period, baseline: DeclaredBaseline) -> TrainingPeriod:
    if row is None:
        return TrainingPeriod(period.first, None, dict.fromkeys(baseline.codes), False)
    energy = None if row.energy is None else row.energy.energy
    return TrainingPeriod(period.first, energy, row.variables, row.synthetic)


def _stored(
    connection: psycopg.Connection[Any], baseline: DeclaredBaseline
) -> dict[dt.date, tuple[Any, ...]]:
    """Return the rows that are there, with the number of their model before their columns."""
    return {
        row[1]: row
        for row in connection.execute(
            f"SELECT model_id, {', '.join(_COLUMNS)} FROM baseline_period WHERE baseline_id = %s"
            " AND period_kind = %s",
            (baseline.baseline_id, baseline.period_kind),
        )
    }


def _rows(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    baseline: DeclaredBaseline,
    span: TouchedDays,
    periods: Sequence[Period],
    stored: dict[dt.date, tuple[Any, ...]],
) -> list[_Row]:
    touched = [
        p
        for p in periods
        if p.overlaps(span.since, span.until)
        or p.first not in stored
        or set(_of(stored[p.first], "variables")) != set(baseline.codes)
    ]
    energies = period_energies(connection, baseline, touched)
    reader = VariableReader(connection, facts.zone)
    again = {p.first for p in touched}
    rows = []
    for p in periods:
        training = baseline.training_from <= p.first < baseline.training_to
        if p.first in again:
            values, synthetic = reader.values(baseline.variables, p)
            energy = energies.get(p.first)
            synthetic |= energy is not None and energy.synthetic
            rows.append(_Row(p, training, energy, values, synthetic))
        else:
            held = stored[p.first]
            actual, made_up = _of(held, "actual"), _of(held, "synthetic")
            energy = (
                None if actual is None else PeriodEnergy(actual, _of(held, "energy_tce"), made_up)
            )
            rows.append(_Row(p, training, energy, dict(_of(held, "variables")), made_up))
    return rows


def _of(row: tuple[Any, ...], column: str) -> Any:
    return row[1 + _COLUMNS.index(column)]


def _expect(rows: Sequence[_Row], stored: StoredModel) -> None:
    """Set what the model expects, and the difference where both are known."""
    model = stored.predicts
    for row in rows:
        if model is None:
            row.withheld = (
                PeriodCode.MODEL_UNUSABLE if stored.fault is None else PeriodCode.NO_MODEL
            )
            continue
        if not complete(row.variables, model.form.variables):
            row.withheld = PeriodCode.VARIABLE_MISSING
            continue
        x = model.rows({c: np.array([row.variables[c]], float) for c in model.form.variables})
        predicted = model.regression.predict(x[0].tolist())
        row.expected, row.lower, row.upper = predicted.expected, predicted.lower, predicted.upper
        row.outside = predicted.outside
        if row.energy is None:
            row.withheld = PeriodCode.ENERGY_MISSING
        else:
            row.difference = row.energy.energy - predicted.expected


def _follow(rows: Sequence[_Row], stored: StoredModel) -> None:
    """Add up the differences since training, and cut them where performance changed."""
    model = stored.predicts
    if model is None:
        return
    after = [r for r in rows if r.difference is not None and not r.training]
    sums = cusum(np.array([r.difference for r in after]), np.zeros(len(after)))
    for row, total in zip(after, sums.tolist(), strict=True):
        row.cusum = total
    known = [r for r in rows if r.difference is not None]
    segments = find_shifts(
        np.array([r.difference for r in known]), model.regression.s,
        model.regression.degrees_of_freedom, autocorrelation=model.regression.autocorrelation,
    )  # fmt: skip
    for number, segment in enumerate(segments):
        known[segment.first].shift = number > 0
        for row in known[segment.first : segment.after]:
            row.level = segment.level


def _keep(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    baseline: DeclaredBaseline,
    rows: Sequence[_Row],
    stored: dict[dt.date, tuple[Any, ...]],
    model: StoredModel,
    version: int,
) -> int:
    gone = stored.keys() - {r.period.first for r in rows}
    connection.execute(
        "DELETE FROM baseline_period WHERE baseline_id = %s"
        " AND (period_kind <> %s OR period_from = ANY(%s))",
        (baseline.baseline_id, baseline.period_kind, list(gone)),
    )
    changed = [r for r in rows if stored.get(r.period.first) != (model.model_id, *r.values())]
    names = (
        "site_id", "baseline_id", "model_id", "period_kind", "energy_unit", *_COLUMNS,
        "data_version",
    )  # fmt: skip
    updates = ", ".join(
        f"{n} = excluded.{n}" for n in names if n not in ("site_id", "baseline_id", "period_kind")
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO baseline_period ({', '.join(names)})"
            f" VALUES ({', '.join(['%s'] * len(names))})"
            " ON CONFLICT (baseline_id, period_kind, period_from) DO UPDATE SET"
            f" {updates}, computed_at = now()",
            [
                (
                    facts.site_id, baseline.baseline_id, model.model_id, baseline.period_kind,
                    baseline.energy_unit,
                    *(Jsonb(v) if isinstance(v, dict) else v for v in r.values()), version,
                )
                for r in changed
            ],
        )  # fmt: skip
    return len(changed)
