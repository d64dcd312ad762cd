"""``enpilot analyze totals``: what was metered, invoiced and declared of a month, as tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from analytics.accounting.site_facts import load_site_facts
from analytics.printed import parse_month, printed, table_lines
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["totals", "totals_lines"]


def totals(site: str, *, month: str) -> None:
    """Print what was metered, invoiced and declared of each medium, side by side.

    Parameters
    ----------
    site
        Its code.
    month
        Such as 2026-03.

    Raises
    ------
    ConfigurationError
        If there is no such site.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        for line in totals_lines(connection, site, month):
            print(line)


def totals_lines(connection: psycopg.Connection[Any], site: str, month: str) -> list[str]:
    """Return what `totals` prints.

    Parameters
    ----------
    connection
        To the platform's database.
    site, month
        See `totals`.

    Returns
    -------
    list of str
        The totals of the month and of the papers that touch it, then the EnPIs by declared totals.

    Raises
    ------
    ConfigurationError
        If there is no such site.
    """
    named = parse_month(month)
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise ConfigurationError(f"no site {site!r}: see `enpilot import plant`")
    site_id = row[0]
    calendar = load_site_facts(connection, site_id).calendars["civil"]
    around = calendar.months(named - dt.timedelta(days=31), named + dt.timedelta(days=62))
    period = next(
        m
        for m in around
        if calendar.month_number(m.first) == named.month and m.after > named
    )  # fmt: skip
    span = (site_id, period.first, period.after)
    return [*_totals(connection, span), *_enpis(connection, span)]


def _totals(connection: psycopg.Connection[Any], span: tuple[int, dt.date, dt.date]) -> list[str]:
    site_id, first, after = span
    found = connection.execute(
        "SELECT medium, period_from, period_to - 1, unit, metered, metered_bought, invoiced,"
        " declared, declared_tce, invoiced_share, declared_share, declared_invoiced_share, most,"
        " invoices_missing, synthetic FROM reconciliation_period WHERE site_id = %s"
        " AND period_from < %s AND period_to > %s ORDER BY medium, period_from, period_to",
        (site_id, after, first),
    ).fetchall()
    if not found:
        return ["nothing is computed yet"]
    rows = [
        ("medium", "from", "to", "unit", "metered", "of it bought", "invoiced", "declared", "tce",
         "invoiced − bought", "declared − metered", "declared − invoiced", "note")
    ]  # fmt: skip
    for (
        medium, since, last, unit, metered, bought, invoiced, declared, tce, of_invoice,
        of_declared, of_papers, most, missing, synthetic,
    ) in found:  # fmt: skip
        said = [] if most is None else [f"most: {most.replace('_', ' and ')}"]
        said += [f"no invoice of {account}" for account in missing]
        said += ["synthetic"] if synthetic else []
        rows.append(
            (
                medium, str(since), str(last), unit, printed(metered, 1), printed(bought, 1),
                printed(invoiced, 1), printed(declared, 1), printed(tce), _share(of_invoice),
                _share(of_declared), _share(of_papers), "; ".join(said),
            )
        )  # fmt: skip
    return table_lines(rows, right=range(4, 12))


def _enpis(connection: psycopg.Connection[Any], span: tuple[int, dt.date, dt.date]) -> list[str]:
    site_id, _, after = span
    found = connection.execute(
        "SELECT e.code, d.period_kind, d.energy, m.energy, d.energy_unit, d.output, d.output_unit,"
        " d.intensity, m.intensity, d.target_intensity, d.progress_ratio, d.status,"
        " coalesce(m.withheld_code, m.status) FROM declared_enpi_period d JOIN enpi e"
        " USING (enpi_id) LEFT JOIN enpi_period m ON m.enpi_id = d.enpi_id"
        " AND m.period_kind = d.period_kind AND m.period_from = d.period_from"
        " AND m.period_to = d.period_to AND m.shift = '' WHERE d.site_id = %s"
        " AND d.period_to = %s ORDER BY e.code, d.period_kind",
        (site_id, after),
    ).fetchall()
    if not found:
        return []
    rows = [
        ("EnPI", "period", "energy declared", "metered", "unit", "output", "unit",
         "by declared", "by metered", "target", "progress", "official", "internal")
    ]  # fmt: skip
    rows += [
        (
            code, kind, printed(energy, 1), printed(metered, 1), unit, printed(output, 1), made,
            printed(intensity), printed(own), printed(target), printed(progress, 2), status,
            internal or "—",
        )
        for code, kind, energy, metered, unit, output, made, intensity, own, target, progress,
        status, internal in found
    ]  # fmt: skip
    return ["", *table_lines(rows, right=(2, 3, 5, 7, 8, 9, 10))]


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:+.1%}"
