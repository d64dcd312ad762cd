"""Where the running demand window of each account will end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import midnight
from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject
from analytics.cost.cost_facts import CostFacts, UtilityAccount, contracts_within, load_cost_facts
from analytics.cost.demand import forecast_demand
from analytics.cost.demand_days import contract_minutes
from analytics.intervals.readings import microseconds

__all__ = ["see_demand"]

_HOUR: Final = dt.timedelta(hours=1)
_MINUTE: Final = dt.timedelta(minutes=1)
# Older readings say nothing of the running window.
_LATE: Final = dt.timedelta(minutes=5)


def see_demand(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield the demand that each account's running window will likely end with.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at; with ``watch.of_contract`` the limit is in percent of the contracted
        demand, else in kW.
    at
        The instant.

    Yields
    ------
    Sighting
        Value and limit [kW]; unknown if the window is not wholly measured (F26).
    """
    costs = load_cost_facts(connection, rule.site_id, site.zone)
    for account in costs.accounts:
        if rule.watches(account.code):
            yield from _of_account(connection, costs, account, rule, at)


def _of_account(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    account: UtilityAccount,
    rule: Rule,
    at: dt.datetime,
) -> Iterator[Sighting]:
    today = at.astimezone(costs.zone).date()
    contracts = contracts_within(account, today, today + dt.timedelta(days=1))
    if not contracts or not contracts[-1].meters.tells_demand:
        return
    terms, meters = contracts[-1].account, contracts[-1].meters
    limit = rule.threshold.limit
    if rule.watch.get("of_contract"):
        if terms.contract_demand_kw is None:
            return
        limit = float(terms.contract_demand_kw) * limit / 100.0
    subject = Subject(account.code, terms.name.zh, terms.name.en, "kW")
    row = connection.execute(
        "SELECT min(l.ts), bool_or(t.simulated) FROM latest l"
        " LEFT JOIN stream t ON t.stream_no = l.batch >> 32 WHERE l.series_id = ANY(%s)",
        ([*meters.active, *meters.power],),
    ).fetchone()
    through = None if row is None or row[0] is None else min(row[0], at)
    if through is None or at - through > _LATE:
        yield Sighting(subject, at, None, limit)
        return
    now = through - (through - midnight(today, costs.zone)) % _MINUTE
    minutes = contract_minutes(connection, contracts[-1], now - _HOUR, now)
    forecast = forecast_demand(
        minutes, microseconds(now), window_s=terms.demand_window_s,
        clock_offset_s=terms.demand_clock_offset_s, limit_kw=limit,
    )  # fmt: skip
    if forecast is None:
        yield Sighting(subject, at, None, limit)
        return
    facts = {
        "window_ends": forecast.ends.isoformat(), "minutes_left": forecast.minutes_left,
        "allowed_kw": forecast.allowed_kw, "high_kw": forecast.high_kw,
    }  # fmt: skip
    simulated = row is not None and bool(row[1])
    yield Sighting(subject, at, forecast.likely_kw, limit, facts=facts, synthetic=simulated)
