"""``enpilot analyze waste`` and ``decide-waste``: what a site wastes, and what becomes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import cyclopts
import psycopg

from analytics.accounting.site_facts import load_site_facts
from analytics.errors import NoSuchSiteError
from analytics.printed import table_lines
from analytics.waste.found import METER_KINDS, PricedWaste
from analytics.waste.stored import Decision, FoundWaste, decide, look_for_waste
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["decide_waste", "waste", "waste_text"]


def waste(
    site: str,
    *,
    since: Annotated[dt.date, cyclopts.Parameter(name="--from")],
    until: Annotated[dt.date, cyclopts.Parameter(name="--to")],
) -> None:
    """Look for waste in finished days of a site and print it, the dearest first; nothing is kept.

    Parameters
    ----------
    site
        Code of the site.
    since, until
        Local days [from, to); four weeks or more for most detectors.

    Raises
    ------
    NoSuchSiteError
        If there is no such site.
    ConfigurationError
        If the days are none.
    """
    if since >= until:
        raise ConfigurationError(f"--from {since} is not before --to {until}")
    with connect(database_url(), "analyze", autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT site_id FROM site WHERE code = %s", (site,)
        ).fetchone()
        if row is None:
            raise NoSuchSiteError(f"no site {site!r}: see `enpilot import plant`")
        site_id = int(row[0])
        found = look_for_waste(connection, load_site_facts(connection, site_id), since, until)
        points: list[tuple[Any, ...]] = connection.execute(
            "SELECT point_id, code FROM point WHERE site_id = %s", (site_id,)
        ).fetchall()
        decided = _decided(connection, site_id)
    for line in waste_text(found, dict(points), decided):
        print(line)


def decide_waste(number: int, state: Decision, *, author: str, reason: str) -> None:
    """Say what becomes of waste that was found; the earlier decision stays in the record.

    Parameters
    ----------
    number
        As `enpilot analyze waste` prints it.
    state
        What becomes of it.
    author, reason
        Who says so, and why.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        decide(connection, number, state, author, reason)
    print(f"waste {number}: {state}")


_Key = tuple[str, int, str]


def _decided(connection: psycopg.Connection[Any], site_id: int) -> dict[_Key, tuple[int, str]]:
    """Return number and state of what is kept of a site, the latest of each kind and place."""
    return {
        (kind, point_id, subject): (number, state)
        for kind, point_id, subject, number, state in connection.execute(
            "SELECT kind, point_id, subject, w.waste_id, coalesce(d.state, 'open')"
            " FROM waste_finding w LEFT JOIN waste_decision d ON d.waste_id = w.waste_id"
            " AND d.superseded_commit_no IS NULL WHERE w.site_id = %s"
            " AND w.withdrawn_version IS NULL ORDER BY w.measured_from, w.waste_id",
            (site_id,),
        )
    }


def waste_text(
    found: FoundWaste, codes: Mapping[int, str], decided: Mapping[_Key, tuple[int, str]]
) -> list[str]:
    """Return what was found as lines of text.

    Parameters
    ----------
    found
        Ranked.
    codes
        Of the points by number.
    decided
        Number and state of what is kept, by kind, point and subject.

    Returns
    -------
    list of str
        A table of waste, one of meters in doubt, one of base loads.
    """
    lines = [f"waste {found.since} to {found.until - dt.timedelta(days=1)}"]
    for title, of_meters in (("", False), ("meters in doubt", True)):
        rows = [
            _cells(one, codes, decided)
            for one in found.ranked
            if (one.waste.kind in METER_KINDS) == of_meters
        ]
        if rows:
            head = ("", "what", "where", "measured", "", "tce", "yuan", "yuan a year", "over", "")
            lines += ["", title] if title else [""]
            lines += table_lines([head, *rows], right=(0, 3, 5, 6, 7))
    if not found.ranked:
        lines.append("nothing found")
    if found.base_loads:
        loads = [
            (
                codes[r.point_id], r.hours, f"{r.load.rate:,.1f}", f"{r.unit}/h",
                f"{r.load.low:,.1f} to {r.load.high:,.1f}",
                "—" if r.load.share is None else f"{r.load.share:.0%}",
                "—" if r.rise is None else f"{r.rise.rate:+,.1f}", f"{r.load.days} d",
            )
            for r in found.base_loads
        ]  # fmt: skip
        top = ("base load", "hours", "rate", "", "quartiles", "share", "against last year", "over")
        lines += ["", *table_lines([top, *loads], right=(2, 5, 6, 7))]
    if any(one.waste.simulated for one in found.ranked) or any(
        r.simulated for r in found.base_loads
    ):
        lines += ["", "contains simulated readings"]
    lines += ["", "The same energy may be found more than once: lines are not added up."]
    return lines


def _cells(
    one: PricedWaste, codes: Mapping[int, str], decided: Mapping[_Key, tuple[int, str]]
) -> tuple[str, ...]:
    w = one.waste
    number, state = decided.get((w.kind, w.point_id, w.subject), (None, ""))
    amount = f"({w.withheld})" if w.amount is None else f"{w.amount:,.0f}"
    over = f"{w.days:.0f} days" if w.standing else f"{w.since:%m-%d %H:%M}Z, {w.days * 24:.0f} h"
    year = one.a_year(one.yuan.value)
    return (
        "" if number is None else str(number),
        w.kind.replace("_", " ") + (f" {w.subject}" if w.subject else ""),
        codes[w.point_id],
        amount,
        w.unit,
        f"({one.tce.withheld})" if one.tce.value is None else f"{one.tce.value:,.3f}",
        f"({one.yuan.withheld})" if one.yuan.value is None else f"{one.yuan.value:,.0f}",
        "once" if year is None and not w.standing else "—" if year is None else f"{year:,.0f}",
        over,
        state,
    )
