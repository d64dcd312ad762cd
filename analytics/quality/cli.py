"""``enpilot analyze quality``: how good the data of a month are."""

from __future__ import annotations

import datetime as dt
from typing import Any

from analytics.accounting.site_calendar import Period, local_date, month_after
from analytics.accounting.site_facts import load_site_facts
from analytics.errors import NoSuchSiteError
from analytics.printed import parse_month, table_lines
from analytics.quality.criteria import Criterion, Outcome, QualityIndex
from analytics.quality.figures import MonthQuality, month_quality
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["quality", "quality_text"]


def quality(site: str, *, month: str) -> None:
    """Print how good a month's data are, criterion by criterion, of the site and of each point.

    Parameters
    ----------
    site
        Code of the site.
    month
        Such as 2025-03; of the running one what is finished.

    Raises
    ------
    NoSuchSiteError
        If there is no such site.
    ConfigurationError
        If nothing of the month is computed yet.
    """
    first = parse_month(month)
    with connect(database_url(), "analyze", autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT s.site_id, c.data_through FROM site s LEFT JOIN computation c USING (site_id)"
            " WHERE s.code = %s",
            (site,),
        ).fetchone()
        if row is None:
            raise NoSuchSiteError(f"no site {site!r}: see `enpilot import plant`")
        facts = load_site_facts(connection, row[0])
        whole = Period(first, month_after(first), "month")
        through = first if row[1] is None else local_date(row[1], facts.zone)
        if through <= first:
            raise ConfigurationError(
                f"no day of {month} is computed of {site!r}: `enpilot analyze run --once`"
            )
        found = month_quality(connection, facts, whole.cut(through))
    for line in quality_text(site, found):
        print(line)


def quality_text(site: str, found: MonthQuality) -> list[str]:
    """Return the quality of a month as lines of text.

    Parameters
    ----------
    site
        Its code.
    found
        The month.

    Returns
    -------
    list of str
        A table with a column for each criterion of the site, then one line a point.
    """
    last = found.month.after - dt.timedelta(days=1)
    lines = [
        f"{site}  {found.month.first} to {last}"
        + ("  contains simulated readings" if found.simulated else "")
    ]
    rows = [("criterion", "limit", "of the site", "weight", "")]
    for c in found.site.criteria:
        sign = "≥" if c.rule.kind == "at_least" else "≤"
        limit = f"{sign} {_number(c.rule.limit, c.rule.unit)}"
        rows.append((c.rule.code, limit, _value(c), f"{c.rule.weight:g}", c.outcome))
    lines += table_lines(rows, right=(2, 3))
    lines += ["", f"index {_index(found.site)}"]
    for f in found.fitting:
        asked = "not known" if f.required is None else f"{f.required:.0%}"
        lines.append(
            f"fitting rate {f.medium} level {f.level}: {f.rate:.0%} ({f.fitted} of {f.wanted}),"
            f" required {asked} (GB 17167-{found.edition}, not verified)"
        )
    head = ("point", "index", "known", "failed", "not known")
    points = [
        (
            code,
            "—" if q.index is None else f"{q.index:.0%}",
            f"{q.known_share:.0%}",
            ", ".join(f"{c.rule.code} {_value(c)}" for c in q.criteria
                      if c.outcome is Outcome.FAILED),
            ", ".join(q.codes(Outcome.NOT_KNOWN)),
        )
        for code, q in sorted(found.points.items())
    ]  # fmt: skip
    return [*lines, "", *table_lines([head, *points], right=(1, 2))]


def _index(q: QualityIndex) -> str:
    missing = q.codes(Outcome.NOT_KNOWN)
    said = "withheld" if q.index is None else f"{q.index:.0%}"
    return f"{said}, of {q.known_share:.0%} that is known" + (
        f"; not known: {', '.join(missing)}" if missing else ""
    )


def _value(c: Criterion) -> str:
    return "—" if c.value is None else _number(c.value, c.rule.unit)


def _number(value: float, unit: str) -> str:
    return f"{value:.4g}" + ("" if unit == "1" else f" {unit}")
