"""``enpilot close``: sign months and years, and decide about what later data would change."""

from __future__ import annotations

import datetime as dt
import getpass
from typing import Annotated, Any

import cyclopts
import psycopg

from analytics.closing import closing
from analytics.closing.checks import Check
from analytics.closing.differences import decide, pending_differences
from analytics.errors import ClosingError
from analytics.printed import parse_month, table_lines
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["app"]

app = cyclopts.App(name="close", help="Sign months and years; what comes later waits.")

_By = Annotated[str | None, cyclopts.Parameter(help="Who does it; the operating system's user.")]
_Month = Annotated[str | None, cyclopts.Parameter(help="Such as 2026-03.")]
_Year = Annotated[int | None, cyclopts.Parameter(help="Such as 2026, instead of a month.")]


@app.command
def prepare(
    site: str,
    *,
    month: _Month = None,
    year: _Year = None,
    reason: str = "complete",
    accept: list[int] | None = None,
    by: _By = None,
) -> None:
    """Check a period and fix its figures for somebody else to approve.

    Parameters
    ----------
    site
        Code of the site.
    month, year
        One of them.
    reason
        Anything that should be known.
    accept
        Numbers of faults that do not stand against closing.
    by
        Who prepares.
    """
    with _connected() as connection:
        period = _period(connection, site, month, year)
        checks = closing.prepare(connection, period, _author(by), reason, accept or ())
    for line in _check_lines(checks):
        print(line)
    if any(c.level == "block" for c in checks):
        raise ClosingError("not prepared: see what is marked block")
    print(f"prepared: `enpilot close approve {site}` by another person signs it")


@app.command
def approve(
    site: str, *, month: _Month = None, year: _Year = None, reason: str = "", by: _By = None
) -> None:
    """Sign what was prepared.

    Parameters
    ----------
    site
        Code of the site.
    month, year
        One of them.
    reason
        Anything that should be known.
    by
        Who signs.
    """
    with _connected() as connection:
        version = closing.approve(
            connection, _period(connection, site, month, year), _author(by), reason
        )
    print(f"closed, version {version}")


@app.command
def withdraw(
    site: str, *, reason: str, month: _Month = None, year: _Year = None, by: _By = None
) -> None:
    """Take a preparation back.

    Parameters
    ----------
    site
        Code of the site.
    reason
        Why.
    month, year
        One of them.
    by
        Who does it.
    """
    with _connected() as connection:
        closing.withdraw(connection, _period(connection, site, month, year), _author(by), reason)


@app.command
def reopen(
    site: str, *, reason: str, month: _Month = None, year: _Year = None, by: _By = None
) -> None:
    """Open a closed period again.

    Parameters
    ----------
    site
        Code of the site.
    reason
        Why.
    month, year
        One of them.
    by
        Who does it.
    """
    with _connected() as connection:
        closing.reopen(connection, _period(connection, site, month, year), _author(by), reason)


@app.command
def status(site: str) -> None:
    """Print what was done about each period, and whether the record is whole.

    Parameters
    ----------
    site
        Code of the site.
    """
    with _connected() as connection:
        number = _site(connection, site)
        rows = connection.execute(
            "SELECT kind, period_from, period_to, version, action, author, self_approved,"
            " recorded_at FROM period_closing WHERE site_id = %s ORDER BY closing_id",
            (number,),
        ).fetchall()
        broken = closing.broken_links(connection, number)
        waiting = len(pending_differences(connection, number))
    table = [("period", "", "version", "step", "by", "")]
    table += [
        (f"{kind} {first}", f"to {after - dt.timedelta(days=1)}", str(version), action,
         author + (", alone" if alone else ""), f"{at:%Y-%m-%d %H:%M}")
        for kind, first, after, version, action, author, alone, at in rows
    ]  # fmt: skip
    for line in table_lines(table):
        print(line)
    print(f"{waiting} differences wait")
    if broken:
        raise ClosingError(f"the record was changed: steps {', '.join(map(str, broken))}")


@app.command
def differences(site: str) -> None:
    """Print what later data would make of signed figures.

    Parameters
    ----------
    site
        Code of the site.
    """
    with _connected() as connection:
        found = pending_differences(connection, _site(connection, site))
    for d in found:
        causes = ", ".join(f"{count} {name}" for name, count in d.causes.items()) or "a base"
        print(f"{d.difference_id}  {d.figure}  because of {causes}")
        for name, (closed, computed) in d.fields.items():
            print(f"    {name}: {_short(closed)} → {_short(computed)}")
    if not found:
        print("nothing waits")


@app.command
def accept(number: int, *, reason: str, by: _By = None) -> None:
    """Let a difference count: its period is open again, to be prepared and approved anew.

    Parameters
    ----------
    number
        Of the difference.
    reason
        Why.
    by
        Who decides.
    """
    with _connected() as connection:
        row = connection.execute(
            "SELECT s.code, p.kind, p.period_to FROM pending_difference d"
            " JOIN period_closing p USING (closing_id) JOIN site s ON s.site_id = d.site_id"
            " WHERE d.difference_id = %s",
            (number,),
        ).fetchone()
        if row is None:
            raise ClosingError(f"there is no difference {number}")
        site, kind, after = row
        period = closing.period_of(connection, site, kind, after - dt.timedelta(days=1))
        decide(connection, number, "accepted", _author(by), reason, period)


@app.command
def refuse(number: int, *, reason: str, by: _By = None) -> None:
    """Keep the signed figure.

    Parameters
    ----------
    number
        Of the difference.
    reason
        Why.
    by
        Who decides.
    """
    with _connected() as connection:
        decide(connection, number, "refused", _author(by), reason)


def _short(value: object) -> str:
    """Write what a figure's field holds; six digits tell a difference apart for people."""
    if value is None:
        return "—"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _connected() -> psycopg.Connection[Any]:
    return connect(database_url(), "close", autocommit=True)


def _author(by: str | None) -> str:
    return by or getpass.getuser()


def _site(connection: psycopg.Connection[Any], code: str) -> int:
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (code,)).fetchone()
    if row is None:
        raise ClosingError(f"no site {code!r}: see `enpilot import plant`")
    return int(row[0])


def _period(
    connection: psycopg.Connection[Any], site: str, month: str | None, year: int | None
) -> closing.Period:
    if (month is None) == (year is None):
        raise ConfigurationError("give either --month 2026-03 or --year 2026")
    if month is not None:
        return closing.period_of(connection, site, "month", parse_month(month))
    return closing.period_of(connection, site, "year", dt.date(year or 1, 6, 1))


def _check_lines(checks: list[Check]) -> list[str]:
    rows = [(c.level, c.code, c.about, "" if c.value is None else f"{c.value:.1%}") for c in checks]
    return table_lines(rows, right=(3,)) or ["nothing to say"]
