"""``enpilot analyze bill``, ``demand`` and ``invoice``: what people compare with paper."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from analytics.accounting.site_calendar import local_date, midnight
from analytics.cost.account_bill import AccountBill, account_intervals, bill_of, billing_of
from analytics.cost.cost_facts import (
    CostFacts,
    UtilityAccount,
    contracts_within,
    load_cost_facts,
)
from analytics.cost.demand import DemandForecast, forecast_demand
from analytics.cost.demand_days import contract_minutes
from analytics.cost.invoice import ComparedLine, compare_invoice, load_invoices
from analytics.intervals.readings import microseconds
from analytics.printed import parse_month, table_lines
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError

__all__ = ["bill", "bill_text", "comparison_text", "demand", "forecast_text", "invoice"]

_HOUR: Final = dt.timedelta(hours=1)
_MINUTE: Final = dt.timedelta(minutes=1)
_LATE: Final = dt.timedelta(minutes=30)  # then "running" is no word for the window any more


def bill(account: str, *, month: str, site: str | None = None) -> None:
    """Print the bill of an account, line by line, for the billing period that begins in a month.

    Parameters
    ----------
    account
        Code of the account.
    month
        Such as 2025-03.
    site
        Code of the site, where several have an account of this code.

    Raises
    ------
    ConfigurationError
        If there is no such account, month or site, or nothing is computed yet.
    """
    first = parse_month(month)
    with connect(database_url(), "analyze", autocommit=True) as connection:
        costs, found, through = _account(connection, account, site)
        since, until = billing_of(found, first)
        if since < first:
            since, until = billing_of(found, until)
        intervals = account_intervals(
            connection, midnight(since, costs.zone), midnight(until, costs.zone)
        )
        computed = bill_of(connection, costs, found, since, until, through, intervals)
    if computed is None:
        raise ConfigurationError(f"account {account!r} does not exist in {month}")
    for line in bill_text(found.code, computed):
        print(line)


def bill_text(account: str, computed: AccountBill) -> list[str]:
    """Return a bill as lines of text.

    Parameters
    ----------
    account
        Its code.
    computed
        The bill.

    Returns
    -------
    list of str
        A table, then what the figures rest on.
    """
    paper = computed.bill
    running = ", still running" if computed.provisional else ""
    lines = [f"{account}  {computed.since} to {computed.until - dt.timedelta(days=1)}{running}"]
    rows = [("", "quantity", "unit", "price", "yuan", "")]
    for line in paper.lines:
        percent = line.kind == "power_factor"
        price = f"{float(line.price_yuan * 100):.2f} %" if percent else _exact(line.price_yuan, 6)
        rows.append(
            (
                f"{line.kind} {line.code}", _exact(line.quantity), line.unit, price,
                f"{line.amount_yuan:,}" if line.amount_yuan is not None else f"({line.withheld})",
                line.note,
            )
        )  # fmt: skip
    total = f"({paper.withheld})" if paper.total_yuan is None else f"{paper.total_yuan:,}"
    rows.append(("total", _exact(paper.metered_kwh), "kWh", "", total, ""))
    lines += table_lines(rows, right=(1, 3, 4))
    if paper.power_factor is not None:
        lines.append(f"power factor {float(paper.power_factor):.2f}")
    if computed.computed_demand_kw is not None:
        lines.append(
            f"highest demand computed from readings {computed.computed_demand_kw:,.1f} kW, by the "
            f"registers {_bounds(computed)}"
        )
    lines.append(
        f"covered by registers {paper.coverage:.1%}, estimated {paper.estimated_share:.1%}, "
        f"tariff {'verified' if paper.tariff_verified else 'not verified'}"
        + (", partly simulated" if computed.simulated else "")
    )
    return lines


def _bounds(computed: AccountBill) -> str:
    if computed.least_kw is None or computed.most_kw is None:
        return "not bounded"
    return f"{computed.least_kw:,.1f} to {computed.most_kw:,.1f} kW"


def demand(account: str, *, site: str | None = None, limit: float | None = None) -> None:
    """Show the running demand window and where it will end, and the highest of recent days.

    Parameters
    ----------
    account
        Code of the account.
    site
        Code of the site, where several have an account of this code.
    limit
        Demand not to be exceeded [kW]; the contracted one if it is left out.

    Raises
    ------
    ConfigurationError
        If there is no such account or site, or nothing is computed yet.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        costs, found, through = _account(connection, account, site)
        today = local_date(through, costs.zone)
        contracts = contracts_within(found, today, today + dt.timedelta(days=1))
        if not contracts:
            raise ConfigurationError(f"account {account!r} does not exist on {today}")
        terms = contracts[-1].account
        contracted = terms.contract_demand_kw
        allowed = limit if limit is not None or contracted is None else float(contracted)
        now = through - (through - midnight(today, costs.zone)) % _MINUTE
        if not contracts[-1].meters.tells_demand:
            raise ConfigurationError(
                f"account {account!r}: some point has neither a counter nor a gauge of power"
            )
        minutes = contract_minutes(connection, contracts[-1], now - _HOUR, now)
        forecast = forecast_demand(
            minutes, microseconds(now), window_s=terms.demand_window_s,
            clock_offset_s=terms.demand_clock_offset_s, limit_kw=allowed,
        )  # fmt: skip
        days: list[tuple[Any, ...]] = connection.execute(
            "SELECT day, demand_kw, at_ts, least_kw, most_kw, windows_left_out FROM demand_day"
            " WHERE account_id = %s ORDER BY day DESC LIMIT 31",
            (found.account_id,),
        ).fetchall()
    late = dt.datetime.now(dt.UTC) - through
    if late > _LATE:
        print(f"readings end {through.astimezone(costs.zone):%Y-%m-%d %H:%M}: this is not now")
    for line in forecast_text(forecast, costs.zone):
        print(line)
    rows = [("day", "kW", "window ended", "at least", "at most", "left out")]
    rows += [
        (
            str(day), _number(kw), "" if at is None else f"{at.astimezone(costs.zone):%H:%M}",
            _number(least), _number(most), str(left_out) if left_out else "",
        )
        for day, kw, at, least, most, left_out in days
    ]  # fmt: skip
    for line in table_lines(rows, right=(1, 3, 4, 5)):
        print(line)


def forecast_text(forecast: DemandForecast | None, zone: ZoneInfo) -> list[str]:
    """Return a forecast as lines of text.

    Parameters
    ----------
    forecast
        Of the running window.
    zone
        Of the site.

    Returns
    -------
    list of str
        One line without a forecast, up to three with one.
    """
    if forecast is None:
        return ["running window: not wholly measured, no forecast"]
    began, ends = (f"{at.astimezone(zone):%H:%M}" for at in (forecast.began, forecast.ends))
    left = f"{forecast.minutes_left:.0f} min left"
    span = f"{forecast.low_kw:,.1f} to {forecast.high_kw:,.1f} kW"
    lines = [
        f"running window {began} to {ends}, {left}: {forecast.so_far_kw:,.1f} kW so far",
        f"likely end {forecast.likely_kw:,.1f} kW, {span} by the last minutes' least and most",
    ]
    if forecast.limit_kw is not None and forecast.allowed_kw is not None:
        if forecast.allowed_kw < 0:
            lines.append(f"limit {forecast.limit_kw:,.1f} kW: exceeded already")
        else:
            lines.append(
                f"limit {forecast.limit_kw:,.1f} kW: up to {forecast.allowed_kw:,.1f} kW from now "
                f"on keep it{', the present load does not' if forecast.will_exceed else ''}"
            )
    return lines


def invoice(number: str, *, site: str | None = None) -> None:
    """Print an invoice beside the same bill computed from tariff and registers.

    Parameters
    ----------
    number
        As printed on it.
    site
        Code of the site, where several have an invoice of this number.

    Raises
    ------
    ConfigurationError
        If there is no such invoice, or its days cannot be computed.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        for costs in _sites(connection, site):
            for found in load_invoices(connection, costs, number=number):
                through = _through(connection, costs.site_id)
                comparison = compare_invoice(connection, costs, found, through)
                if comparison is None:
                    raise ConfigurationError(
                        f"invoice {number!r}: account {found.account!r} or its tariff does not "
                        "exist on these days, or they are not read to their end yet"
                    )
                print(f"invoice {number}, account {found.account}")
                for line in comparison_text(comparison.lines):
                    print(line)
                return
    raise ConfigurationError(f"no invoice {number!r}: `enpilot import invoice FILE` brings it in")


def comparison_text(compared: Sequence[ComparedLine]) -> list[str]:
    """Return compared lines as a table.

    Parameters
    ----------
    compared
        See `compared_lines`.

    Returns
    -------
    list of str
        What differs is marked.
    """
    rows = [("", "", "unit", "invoiced", "computed", "difference", "")]
    rows += [
        (
            line.kind, line.code, line.unit, _exact(line.invoiced), _exact(line.computed),
            _exact(line.difference), "differs" if line.differs else "",
        )
        for line in compared
    ]  # fmt: skip
    return table_lines(rows, right=(3, 4, 5))


def _sites(connection: psycopg.Connection[Any], site: str | None) -> list[CostFacts]:
    return [
        load_cost_facts(connection, site_id, ZoneInfo(timezone))
        for site_id, timezone in connection.execute(
            "SELECT DISTINCT ON (s.site_id) s.site_id, r.timezone FROM site s"
            " JOIN site_record r USING (site_id) WHERE r.superseded_commit_no IS NULL"
            " AND s.code = coalesce(%s::text, s.code) ORDER BY s.site_id, r.valid_from DESC",
            (site,),
        ).fetchall()
    ]


def _account(
    connection: psycopg.Connection[Any], code: str, site: str | None
) -> tuple[CostFacts, UtilityAccount, dt.datetime]:
    found = [
        (costs, account)
        for costs in _sites(connection, site)
        if (account := costs.account(code)) is not None
    ]
    if not found:
        raise ConfigurationError(f"no account {code!r}: describe it in the plant file")
    if len(found) > 1:
        raise ConfigurationError(f"several sites have an account {code!r}: name one with --site")
    costs, account = found[0]
    return costs, account, _through(connection, costs.site_id)


def _through(connection: psycopg.Connection[Any], site_id: int) -> dt.datetime:
    row = connection.execute(
        "SELECT data_through FROM computation WHERE site_id = %s", (site_id,)
    ).fetchone()
    if row is None or row[0] is None:
        raise ConfigurationError("nothing is computed yet: `enpilot analyze run --once`")
    through: dt.datetime = row[0]
    return through


def _exact(value: Fraction | None, places: int = 2) -> str:
    if value is None:
        return "—"
    text = f"{float(value):,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"
