"""``enpilot analyze enpi`` and ``output``: what stands behind a verdict, as tables."""

from __future__ import annotations

from typing import Any, Literal

import psycopg

from analytics.accounting.output_stages import output_stages
from analytics.accounting.site_calendar import month_after
from analytics.accounting.site_facts import load_site_facts
from analytics.printed import parse_month, printed, table_lines
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["enpi", "enpi_lines", "output", "output_lines"]

Kind = Literal["day", "shift", "week", "month", "quarter", "year_to_date", "rolling_12"]


def enpi(site: str, code: str, *, kind: Kind = "month", last: int = 24) -> None:
    """Print an EnPI period by period, and how its year will end.

    Parameters
    ----------
    site, code
        Of the EnPI.
    kind
        Of the periods.
    last
        How many of the latest ones.

    Raises
    ------
    ConfigurationError
        If the site has no such EnPI.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        for line in enpi_lines(connection, site, code, kind, last):
            print(line)


def enpi_lines(
    connection: psycopg.Connection[Any], site: str, code: str, kind: Kind, last: int
) -> list[str]:
    """Return what `enpi` prints.

    Parameters
    ----------
    connection
        To the platform's database.
    site, code, kind, last
        See `enpi`.

    Returns
    -------
    list of str
        A table, then the year's end.

    Raises
    ------
    ConfigurationError
        If the site has no such EnPI.
    """
    row = connection.execute(
        "SELECT e.enpi_id FROM enpi e JOIN site s USING (site_id)"
        " WHERE s.code = %s AND e.code = %s",
        (site, code),
    ).fetchone()
    if row is None:
        raise ConfigurationError(f"site {site!r} has no EnPI {code!r}: see `enpilot import plant`")
    found = connection.execute(
        "SELECT period_from, period_to - 1, shift, energy, energy_unit, output, output_unit,"
        " intensity, target_intensity, progress_ratio, coalesce(withheld_code, status), coverage,"
        " estimated_share, volume_effect, mix_effect, efficiency_effect, matched_share,"
        " original_status FROM enpi_period WHERE enpi_id = %s AND period_kind = %s"
        " ORDER BY period_from DESC, period_to DESC, shift DESC LIMIT %s",
        (row[0], kind, last),
    ).fetchall()
    if not found:
        return ["nothing is computed yet"]
    unit, made = found[0][4], found[0][6]
    rows = [
        ("from", "to", "shift", f"energy [{unit}]", f"output [{made}]", f"[{unit}/{made}]",
         "target", "progress", "verdict", "coverage", "estimated", "volume", "mix", "efficiency")
    ]  # fmt: skip
    for (
        first, final, shift, energy, _, output, _, intensity, target, progress, status, coverage,
        estimated, volume, mix, efficiency, matched, original,
    ) in reversed(found):  # fmt: skip
        said = status if matched is None else f"{status}, matched days {matched:.1%}"
        said = said if original is None else f"{said}, before adjustment {original}"
        rows.append(
            (
                str(first), str(final), shift, printed(energy, 1), printed(output, 1),
                printed(intensity), printed(target), printed(progress, 2), said,
                printed(coverage), printed(estimated), printed(volume, 1), printed(mix, 1),
                printed(efficiency, 1),
            )
        )  # fmt: skip
    return [
        *table_lines(rows, right=(3, 4, 5, 6, 7, 9, 10, 11, 12, 13)),
        *_year_end(connection, row[0], f"{unit}/{made}"),
    ]


def _year_end(connection: psycopg.Connection[Any], enpi_id: int, unit: str) -> list[str]:
    row = connection.execute(
        "SELECT year_from, through, intensity, intensity_lower, intensity_upper, target_intensity,"
        " probability, required_intensity, required_code, method, withheld_code"
        " FROM enpi_year_end WHERE enpi_id = %s ORDER BY year_from DESC LIMIT 1",
        (enpi_id,),
    ).fetchone()
    if row is None:
        return []
    first, through, intensity, low, high, target, odds, required, code, method, withheld = row
    head = f"year from {first}, known up to {through}:"
    if withheld is not None:
        return [f"{head} no forecast ({withheld})"]
    rest = "" if required is None else f", the rest may take {printed(required)} ({code})"
    interval = f"[{printed(low)} .. {printed(high)}]"
    said = f"will end at {printed(intensity)} {interval} {unit} by {method}"
    return [f"{head} {said}, target {printed(target)}, probability {odds:.0%}{rest}"]


def output(site: str, product: str, *, month: str) -> None:
    """Print the output of a product stage by stage.

    Parameters
    ----------
    site, product
        Their codes.
    month
        Such as 2026-03.

    Raises
    ------
    ConfigurationError
        If there is no such site or product.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        for line in output_lines(connection, site, product, month):
            print(line)


def output_lines(
    connection: psycopg.Connection[Any], site: str, product: str, month: str
) -> list[str]:
    """Return what `output` prints.

    Parameters
    ----------
    connection
        To the platform's database.
    site, product, month
        See `output`.

    Returns
    -------
    list of str
        A line a stage.

    Raises
    ------
    ConfigurationError
        If there is no such site or product.
    """
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise ConfigurationError(f"no site {site!r}: see `enpilot import plant`")
    first = parse_month(month)
    stages = output_stages(
        connection, load_site_facts(connection, row[0]), product, first, month_after(first)
    )
    if not stages:
        raise ConfigurationError(f"site {site!r} makes no {product!r}")
    rows = [("stage", "good", "scrap", "rework", "coverage", "not yet at the next stage")]
    rows += [
        (s.stage, printed(s.good), printed(s.scrap), printed(s.rework), printed(s.coverage),
         printed(s.to_next))
        for s in stages
    ]  # fmt: skip
    return table_lines(rows, right=(1, 2, 3, 4, 5))
