"""``enpilot analyze balance`` and ``energy``: where a month's energy came from and went."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import psycopg

from analytics.printed import parse_month, printed, table_lines
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["balance", "balance_lines", "energy", "energy_lines"]

_KG_PER_T: Final = 1000.0


def balance(site: str, *, month: str) -> None:
    """Print main meters against their sub-meters, and virtual points, in a month.

    Parameters
    ----------
    site
        Code of the site.
    month
        Such as 2026-03.
    """
    _print(balance_lines, site, month)


def energy(site: str, *, month: str) -> None:
    """Print a month's energy by carrier, its carbon, and the products and areas that had it.

    Parameters
    ----------
    site
        Code of the site.
    month
        Such as 2026-03.
    """
    _print(energy_lines, site, month)


def _print(
    lines: Callable[[psycopg.Connection[Any], int, dt.date], list[str]], site: str, month: str
) -> None:
    first = parse_month(month)
    with connect(database_url(), "analyze", autocommit=True) as connection:
        found = lines(connection, _site_id(connection, site), first)
    if not found:
        raise ConfigurationError(
            f"nothing is computed of {site} in {month}: has `enpilot analyze run` got there?"
        )
    for line in found:
        print(line)


def _site_id(connection: psycopg.Connection[Any], site: str) -> int:
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise ConfigurationError(f"no site {site!r}: see `enpilot import plant`")
    return int(row[0])


def balance_lines(connection: psycopg.Connection[Any], site_id: int, first: dt.date) -> list[str]:
    """Return the balances and virtual points of a month as lines.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.
    first
        A day in the month.

    Returns
    -------
    list of str
        Empty if nothing is computed.
    """
    rows = [
        [
            medium, main or "(site)", printed(total, 1), printed(below, 1), printed(rest, 1),
            printed(tolerance, 1), unit, status, ", ".join(incomplete),
        ]
        for medium, main, total, below, rest, tolerance, unit, status, incomplete in (
            connection.execute(
                "SELECT b.medium, p.code, main, children, remainder, tolerance, unit, status,"
                " incomplete FROM balance_period b LEFT JOIN point p"
                " ON p.point_id = b.parent_point_id WHERE b.site_id = %s"
                " AND period_kind = 'month' AND period_from <= %s AND period_to > %s"
                " ORDER BY 1, b.parent_point_id",
                (site_id, first, first),
            )
        )
    ]  # fmt: skip
    found = []
    if rows:
        head = ["medium", "main meter", "main", "below it", "remainder", "tolerance", "unit",
                "status", "not read"]  # fmt: skip
        found = table_lines([head, *rows], right=(2, 3, 4, 5))
    virtual = [
        [code, printed(amount, 1), unit, withheld or ""]
        for code, amount, unit, withheld in connection.execute(
            "SELECT code, amount, unit, withheld_code FROM virtual_point_period"
            " JOIN virtual_point USING (virtual_point_id, site_id) WHERE site_id = %s"
            " AND period_kind = 'month' AND period_from <= %s AND period_to > %s ORDER BY 1",
            (site_id, first, first),
        )
    ]
    if virtual:
        found += [*([""] if found else []), *table_lines(
            [["virtual point", "amount", "unit", "withheld"], *virtual], right=(1,)
        )]  # fmt: skip
    return found


def energy_lines(connection: psycopg.Connection[Any], site_id: int, first: dt.date) -> list[str]:
    """Return carriers, carbon, products and areas of a month as lines, scheme by scheme.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.
    first
        A day in the month.

    Returns
    -------
    list of str
        Empty if nothing is computed.
    """
    found: list[str] = []
    for scheme_id, code, unit, total in connection.execute(
        "SELECT scheme_id, s.code, max(energy_unit), sum(energy) FROM scheme_energy_period"
        " JOIN scheme s USING (scheme_id) WHERE s.site_id = %s AND period_kind = 'month'"
        " AND period_from <= %s AND period_to > %s GROUP BY 1, 2 ORDER BY 2",
        (site_id, first, first),
    ).fetchall():
        found += [""] if found else []
        found.append(f"scheme {code}: {printed(total, 1)} {unit}")
        when = {"scheme": scheme_id, "first": first}
        found += _carriers(connection, when)
        found += _carbon(connection, when)
        found += _parts(connection, when)
    return found


def _carriers(connection: psycopg.Connection[Any], when: dict[str, Any]) -> list[str]:
    rows = [
        [
            carrier, part, printed(quantity, 1), unit or "", printed(factor, 4), basis or "",
            printed(amount, 1), _percent(share), _percent(estimated), _percent(coverage),
            "yes" if verified else "no", withheld or "",
        ]
        for (
            carrier, part, quantity, unit, factor, basis, amount, share, estimated, coverage,
            verified, withheld,
        ) in connection.execute(
            "SELECT carrier, part, quantity, quantity_unit, factor, basis, energy, share,"
            " estimated_share, coverage, factor_verified, withheld_code FROM scheme_energy_period"
            " WHERE scheme_id = %(scheme)s AND period_kind = 'month'"
            " AND period_from <= %(first)s AND period_to > %(first)s ORDER BY 1, 2",
            when,
        )
    ]  # fmt: skip
    head = ["carrier", "part", "quantity", "unit", "factor", "basis", "energy", "share",
            "estimated", "coverage", "verified", "withheld"]  # fmt: skip
    return table_lines([head, *rows], right=(2, 4, 6, 7, 8, 9))


def _carbon(connection: psycopg.Connection[Any], when: dict[str, Any]) -> list[str]:
    rows = [
        [
            carrier, printed(None if kg is None else kg / _KG_PER_T), printed(factor, 4),
            f"kgCO2/{per}" if per else "", region, "" if year is None else str(year),
            withheld or "",
        ]
        for carrier, kg, factor, per, region, year, withheld in connection.execute(
            "SELECT carrier, carbon_kg, factor, factor_unit, region, data_year, withheld_code"
            " FROM carbon_period WHERE scheme_id = %(scheme)s AND period_kind = 'month'"
            " AND period_from <= %(first)s AND period_to > %(first)s ORDER BY 1",
            when,
        )
    ]  # fmt: skip
    if not rows:
        return []
    head = ["carbon of", "tCO2", "factor", "unit", "grid", "data of", "withheld"]
    return ["", *table_lines([head, *rows], right=(1, 2))]


def _parts(connection: psycopg.Connection[Any], when: dict[str, Any]) -> list[str]:
    rows = [
        [
            part, code, printed(direct, 1), printed(media, 1), printed(allocated, 1),
            printed(amount, 1), printed(output, 1), unit or "",
            printed(amount / output) if amount is not None and output else "—", withheld or "",
        ]
        for part, code, direct, media, allocated, amount, output, unit, withheld in (
            connection.execute(
                "SELECT part, code, direct, media, allocated, energy, output, output_unit,"
                " withheld_code FROM product_energy_period WHERE scheme_id = %(scheme)s"
                " AND period_kind = 'month' AND period_from <= %(first)s"
                " AND period_to > %(first)s ORDER BY array_position(ARRAY['product', 'ancillary',"
                " 'loss', 'unallocated', 'unmetered'], part), code",
                when,
            )
        )
    ]  # fmt: skip
    if not rows:
        return []
    head = ["part", "of", "direct", "media", "allocated", "energy", "output", "unit", "per unit",
            "withheld"]  # fmt: skip
    return ["", *table_lines([head, *rows], right=(2, 3, 4, 5, 6, 8))]


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"
