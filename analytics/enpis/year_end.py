"""How the running year of each EnPI will end, and what the rest of it may take (F8, F37).

The rest is expected by a usable baseline of the EnPI, at the output that is planned for it: what
last year's other months made, times how this year's output compares so far. Without a baseline it
is last year's other months, times how this year's energy compares. The whole year's target decides,
so a year without a complete base has no forecast, and says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg

from analytics.accounting.enpi_facts import Enpi
from analytics.accounting.site_calendar import Period, years_later
from analytics.accounting.site_facts import SiteFacts
from analytics.baselines.declared import DeclaredBaseline, load_baselines
from analytics.baselines.forecast import (
    RestOfYear,
    YearEnd,
    forecast_year_end,
    rest_by_baseline,
    rest_by_last_year,
)
from analytics.baselines.stored import current_model
from analytics.baselines.values import VariableReader, complete
from analytics.enpis.enpi import annual_rate
from analytics.enpis.targets import target_intensity
from analytics.errors import BaselineError, ModelFault

__all__ = ["MonthFigure", "expected_rest", "write_year_ends"]

_NO_BASE: Final = "no_base"


@dataclass(frozen=True, slots=True)
class MonthFigure:
    """Energy and output of a finished month, both known."""

    first: dt.date
    after: dt.date
    energy: float
    output: float
    synthetic: bool


def expected_rest(
    this_year: Sequence[MonthFigure], last_year: Sequence[MonthFigure]
) -> tuple[RestOfYear, float]:
    """Expect the rest of a year from the year before.

    Parameters
    ----------
    this_year
        Finished months since the year began, without a gap; two at least.
    last_year
        All twelve months of the year before.

    Returns
    -------
    RestOfYear, float
        The energy of the rest [energy unit], and the output taken as planned for it [output unit].

    Raises
    ------
    BaselineError
        If months are missing, or last year made nothing to compare with.

    Notes
    -----
    F8, F37. Energy as in `analytics.baselines.forecast.rest_by_last_year`.
    """
    done = len(this_year)
    if done < 2 or len(last_year) != 12:
        raise BaselineError(
            ModelFault.TOO_FEW_POINTS,
            f"{done} finished months and {len(last_year)} of the year before: a trend needs two"
            " months and a whole year",
        )
    before, after = last_year[:done], last_year[done:]
    rest = rest_by_last_year(
        np.array([m.energy for m in this_year]),
        np.array([m.energy for m in before]),
        np.array([m.energy for m in after]),
    )
    return rest, _planned(this_year, before, after)


def _planned(
    this_year: Sequence[MonthFigure],
    before: Sequence[MonthFigure],
    after: Sequence[MonthFigure],
) -> float:
    made = sum(m.output for m in before)
    if made <= 0:
        raise BaselineError(ModelFault.CONSTANT_VARIABLE, "last year's same months made nothing")
    return sum(m.output for m in after) * sum(m.output for m in this_year) / made


def write_year_ends(
    connection: psycopg.Connection[Any], facts: SiteFacts, until: dt.date, version: int
) -> int:
    """Write how the running year of every EnPI with a target will end.

    Parameters
    ----------
    connection
        In the site's transaction, after its EnPIs and baselines were written.
    facts
        Of the site.
    until
        The first local day that is not complete yet.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    connection.execute("DELETE FROM enpi_year_end WHERE site_id = %s", (facts.site_id,))
    baselines = {
        b.enpi_id: b
        for b in load_baselines(connection, facts.site_id)
        if b.enpi_id is not None and b.period_kind == "month"
    }
    rows = []
    for enpi in facts.enpis:
        if enpi.target is None or enpi.kind == "mixed":
            continue
        row = _row(connection, facts, enpi, baselines.get(enpi.enpi_id), until)
        if row is not None:
            rows.append((facts.site_id, enpi.enpi_id, *row, version))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO enpi_year_end (site_id, enpi_id, year_from, year_to, through, energy,"
            " energy_lower, energy_upper, intensity, intensity_lower, intensity_upper,"
            " target_intensity, probability, required_intensity, required_change, required_code,"
            " method, synthetic, withheld_code, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s)",
            rows,
        )
    return len(rows)


def _row(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    enpi: Enpi,
    baseline: DeclaredBaseline | None,
    until: dt.date,
) -> tuple[object, ...] | None:
    year = enpi.calendar.year_start(until - dt.timedelta(days=1))
    after = years_later(year, 1)
    months = _months(connection, enpi, years_later(year, -1), min(after, until))
    this_year = _unbroken([m for m in months if m.first >= year], year)
    last_year = [m for m in months if m.first < year]
    assert enpi.target is not None  # asked only where there is one
    years = enpi.target.years_after_base(year)
    if not this_year or years < 1 or year >= enpi.target.end_to:
        return None
    through = this_year[-1].after
    head = (year, after, through)
    target = _target_of_year(connection, enpi, year, years)
    if target is None:
        return (*head, *[None] * 11, None, any(m.synthetic for m in this_year), _NO_BASE)
    try:
        rest, planned = expected_rest(this_year, last_year)
        by_model = (
            None if baseline is None
            else _by_baseline(connection, facts, baseline, this_year, last_year)
        )  # fmt: skip
        end = forecast_year_end(
            sum(m.energy for m in this_year),
            rest if by_model is None else by_model,
            target,
            output_to_date=sum(m.output for m in this_year),
            output_rest=planned,
        )
    except BaselineError as error:
        fake = any(m.synthetic for m in this_year)
        return (*head, *[None] * 6, target, *[None] * 5, fake, error.fault.value)
    return (*head, *_said(end, target), any(m.synthetic for m in months), None)


def _said(end: YearEnd, target: float) -> tuple[object, ...]:
    return (
        end.energy, end.lower, end.upper, end.intensity, end.intensity_lower, end.intensity_upper,
        target, end.probability, end.required, end.required_change, end.required_code.value,
        end.method.value,
    )  # fmt: skip


def _months(
    connection: psycopg.Connection[Any], enpi: Enpi, since: dt.date, until: dt.date
) -> list[MonthFigure]:
    return [
        MonthFigure(*row)
        for row in connection.execute(
            "SELECT period_from, period_to, energy, output, synthetic_energy OR synthetic_output"
            " FROM enpi_period WHERE enpi_id = %s AND period_kind = 'month' AND period_from >= %s"
            " AND period_to <= %s AND intensity IS NOT NULL"
            " AND period_to = (period_from + interval '1 month')::date ORDER BY period_from",
            (enpi.enpi_id, since, until),
        )
    ]


def _unbroken(months: Sequence[MonthFigure], since: dt.date) -> list[MonthFigure]:
    """Return the months from the year's beginning up to the first that is missing."""
    found, reached = [], since
    for month in months:
        if month.first != reached:
            break
        found.append(month)
        reached = month.after
    return found


def _target_of_year(
    connection: psycopg.Connection[Any], enpi: Enpi, year: dt.date, years: int
) -> float | None:
    target = enpi.target
    assert target is not None
    row = connection.execute(
        "SELECT intensity FROM enpi_period WHERE enpi_id = %s AND period_kind = 'rolling_12'"
        " AND period_from = %s AND period_to = %s",
        (enpi.enpi_id, target.base_from, target.base_to),
    ).fetchone()
    base = None if row is None else row[0]
    rate = annual_rate(target, base)
    if base is None or rate is None:
        return None
    for adjustment in enpi.adjustments:
        if adjustment.counts(enpi.calendar.begins(year)):
            base *= adjustment.factor
    return target_intensity(base, rate, years)


def _by_baseline(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    baseline: DeclaredBaseline,
    this_year: Sequence[MonthFigure],
    last_year: Sequence[MonthFigure],
) -> RestOfYear | None:
    """Expect the rest by a model that may predict; None if there is none, or a variable misses."""
    stored = current_model(connection, baseline.baseline_id)
    model = None if stored is None else stored.predicts
    if model is None:
        return None
    before, after = last_year[: len(this_year)], last_year[len(this_year) :]
    made = sum(m.output for m in before)
    scale = sum(m.output for m in this_year) / made
    reader = VariableReader(connection, facts.zone)
    found: dict[str, list[float]] = {code: [] for code in baseline.codes}
    for month in after:
        values, _ = reader.values(baseline.variables, Period(month.first, month.after, "month"))
        if not complete(values, baseline.codes):
            return None
        for variable in baseline.variables:
            value = values[variable.code]
            assert value is not None  # complete
            found[variable.code].append(value * scale if variable.source == "output" else value)
    columns: Mapping[str, Any] = {code: np.array(column) for code, column in found.items()}
    return rest_by_baseline(model.regression, model.rows(columns))
