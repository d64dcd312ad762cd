"""A baseline as a table for people: the model, its tests, and its periods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from analytics.errors import NoSuchBaselineError

__all__ = ["baseline_lines"]


def baseline_lines(
    connection: psycopg.Connection[Any], code: str, site: str | None = None
) -> Iterator[str]:
    """Yield the lines that `enpilot analyze baseline` prints.

    Parameters
    ----------
    connection
        To the database.
    code, site
        Of the baseline; the site may be left out where only one has such a baseline.

    Yields
    ------
    str
        A line.

    Raises
    ------
    NoSuchBaselineError
        If there is no such baseline, several sites have one, or nothing was computed yet.
    """
    row = connection.execute(
        "SELECT b.baseline_id, s.code FROM baseline b JOIN site s USING (site_id)"
        " WHERE b.code = %s AND (%s::text IS NULL OR s.code = %s)",
        (code, site, site),
    ).fetchall()
    if len(row) != 1:
        raise NoSuchBaselineError(
            f"{len(row) or 'no'} baselines {code!r}"
            + (": say which `--site`" if row else ": declare it in the plant file")
        )
    number, site = row[0]
    yield from _model_lines(connection, number, f"{site}/{code}")
    yield ""
    yield from _period_lines(connection, number)


def _model_lines(connection: psycopg.Connection[Any], number: int, name: str) -> Iterator[str]:
    row = connection.execute(
        "SELECT version, usability, reasons, fault_sentence, form, points, parameters, r_squared,"
        " adjusted_r_squared, f, f_p, s, cv_rmse, cv_rmse_left_out, durbin_watson, energy_unit,"
        " coefficients, tests, tried, missing, outliers, synthetic, training_from,"
        " training_to - 1 FROM baseline_model WHERE baseline_id = %s"
        " AND superseded_version IS NULL",
        (number,),
    ).fetchone()
    if row is None:
        raise NoSuchBaselineError(f"{name} was not computed yet: `enpilot analyze run --once`")
    (version, usability, reasons, sentence, form, n, p, r2, adjusted, f, f_p, s, cv, cv_out,
     watson, unit, coefficients, tests, tried, missing, outliers, synthetic, since,
     until) = row  # fmt: skip
    yield f"{name}  model {version}  {usability}" + (f": {', '.join(reasons)}" if reasons else "")
    yield f"training {since} to {until}" + ("  contains synthetic data" if synthetic else "")
    if missing:
        yield f"  without {len(missing)} periods: {', '.join(map(str, missing))}"
    if coefficients is None:
        yield f"  {sentence}"
        return
    yield f"{unit} = {form}   n {n}, parameters {p}, tried {len(tried)}"
    yield (
        f"R² {r2:.4f}  adjusted {adjusted:.4f}  F {f:.1f} (p {f_p:.2g})  s {s:,.4g} {unit}"
        f"  CV(RMSE) {cv:.2%}, left out {cv_out:.2%}  Durbin-Watson {watson:.2f}"
    )
    yield f"  {'':24} {'coefficient':>14} {'error':>12} {'t':>8} {'p':>9}"
    for c in coefficients:
        yield (
            f"  {c['name']:24} {c['value']:14.6g} {c['standard_error']:12.4g} {c['t']:8.2f}"
            f" {c['p']:9.2g}"
        )
    for t in tests:
        mark = "passed" if t["passed"] else f"FAILED, {t['fails_to']}"
        about = f" of {t['about']}" if t["about"] else ""
        yield f"  {t['code'] + about:40} {t['value']:10.4g}  limit {t['limit']:<8g} {mark}"
    if outliers:
        yield f"  outliers: {', '.join(map(str, outliers))}"


def _period_lines(connection: psycopg.Connection[Any], number: int) -> Iterator[str]:
    yield (
        f"{'period':12} {'actual':>12} {'expected':>12} {'95 %':>25} {'difference':>12}"
        f" {'CUSUM':>12}"
    )
    for (
        first,
        training,
        actual,
        expected,
        lower,
        upper,
        difference,
        total,
        shift,
        outside,
        why,
    ) in connection.execute(
        "SELECT period_from, training, actual, expected, lower, upper, difference, cusum,"
        " shift, outside_range, withheld_code FROM baseline_period WHERE baseline_id = %s"
        " ORDER BY period_from",
        (number,),
    ):
        interval = "—" if lower is None else f"{lower:,.2f} .. {upper:,.2f}"
        notes = [
            *(["training"] if training else []),
            *(["performance changed"] if shift else []),
            *([f"outside of training: {', '.join(outside)}"] if outside else []),
            *([why] if why else []),
        ]
        yield (
            f"{first!s:12} {_number(actual):>12} {_number(expected):>12} {interval:>25}"
            f" {_number(difference):>12} {_number(total):>12}  {'; '.join(notes)}"
        ).rstrip()


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.2f}"
