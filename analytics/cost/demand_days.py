"""The highest demand of each local day, as rows: windows belong to the day they end in (F26)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, Final, TypeAlias

import psycopg

from analytics.accounting.site_calendar import days_of, local_date, midnight
from analytics.cost.cost_facts import Contract, CostFacts, UtilityAccount, contracts_within
from analytics.cost.demand import Demand, Minutes, added_minutes, sliding_demand
from analytics.cost.meter_minutes import load_minutes, load_power_minutes
from analytics.errors import NoTariffError
from analytics.intervals.readings import microseconds
from enpilot.archive import ArchiveMismatchError, ArchiveUnavailableError

__all__ = ["contract_minutes", "write_demand_days"]

_MONTH: Final = dt.timedelta(days=31)
_DAY: Final = dt.timedelta(days=1)
_MINUTE: Final = dt.timedelta(minutes=1)


def write_demand_days(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    account: UtilityAccount,
    touched: tuple[dt.date, dt.date],
    begun: dt.date | None,
    through: dt.datetime,
    version: int,
) -> int:
    """Write the highest demand of each touched local day of an account.

    Parameters
    ----------
    connection
        Inside the site's transaction.
    costs, account
        Of the site.
    touched
        Local days [from, to).
    begun
        The first local day of which a meter tells; None without any.
    through
        How far the site's data reach.
    version
        Data version that the rows name.

    Returns
    -------
    int
        Rows written. Days of which the readings are in an archive that cannot be read keep what
        they had; other days that nothing tells of have no row.
    """
    until = min(touched[1], local_date(through, costs.zone) + _DAY)
    since = until if begun is None else max(touched[0], begun)
    kept: list[dt.date] = []
    written = 0
    for contract in _by_demand(account, since, until):
        low = contract.since
        while low < contract.until:
            high = min(contract.until, low + _MONTH)
            part = replace(contract, since=low, until=high)
            low = high
            try:
                rows = _demand_rows(connection, costs, part, through)
            except (ArchiveMismatchError, ArchiveUnavailableError):
                kept += [p.first for p in days_of(part.since, part.until)]
                continue
            _put_demand(connection, costs, account, rows, version)
            kept += [row[0] for row in rows]
            written += len(rows)
    connection.execute(
        "DELETE FROM demand_day WHERE account_id = %s AND day >= %s AND day < %s"
        " AND NOT day = ANY(%s)",
        (account.account_id, *touched, kept),
    )
    return written


def _by_demand(account: UtilityAccount, since: dt.date, until: dt.date) -> list[Contract]:
    """Return the contracts that pay for demand, or name one that is not to be exceeded."""
    try:
        return [
            c
            for c in contracts_within(account, since, until)
            if c.meters.tells_demand
            and (c.account.contract_demand_kw or "demand" in c.account.basic_charge)
        ]
    except NoTariffError:
        return []  # the bill says so


_DemandRow: TypeAlias = tuple[dt.date, Demand, Contract]


def _demand_rows(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    contract: Contract,
    through: dt.datetime,
) -> list[_DemandRow]:
    begin = midnight(contract.since, costs.zone)
    end = min(midnight(contract.until, costs.zone), _to_minute(through))
    if begin >= end:
        return []
    account = contract.account
    # The first window of a day reaches back, and the reading that bounds it further.
    margin = dt.timedelta(seconds=account.demand_window_s) + dt.timedelta(hours=1)
    minutes = contract_minutes(connection, contract, begin - margin, end)
    rows: list[_DemandRow] = []
    for day in days_of(contract.since, contract.until):
        low, high = midnight(day.first, costs.zone), min(midnight(day.after, costs.zone), end)
        if low < high:
            found = sliding_demand(
                minutes, microseconds(low), microseconds(high),
                window_s=account.demand_window_s, slide_s=account.demand_slide_s,
                clock_offset_s=account.demand_clock_offset_s,
            )  # fmt: skip
            rows.append((day.first, found, contract))
    return rows


def contract_minutes(
    connection: psycopg.Connection[Any], contract: Contract, since: dt.datetime, until: dt.datetime
) -> Minutes:
    """Return the minutes of an account's meters: counters, and gauges where there is none.

    Parameters
    ----------
    connection
        To the database.
    contract
        Whose meters tell demand.
    since, until
        Span on whole minutes.

    Returns
    -------
    Minutes
        Of all meters together (F26).
    """
    parts = []
    if contract.meters.active:
        parts.append(load_minutes(connection, contract.meters.active, since, until))
    if contract.meters.power:
        parts.append(load_power_minutes(connection, contract.meters.power, since, until))
    return added_minutes(parts)


def _put_demand(
    connection: psycopg.Connection[Any],
    costs: CostFacts,
    account: UtilityAccount,
    rows: list[_DemandRow],
    version: int,
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO demand_day (site_id, account_id, day, demand_kw, at_ts, least_kw,"
            " most_kw, window_s, slide_s, distribution_coverage, windows_left_out, simulated,"
            " data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " (SELECT coalesce(bool_or(simulated), false) FROM interval_advance"
            "  WHERE series_id = ANY(%s) AND ts >= %s AND ts < %s), %s)"
            " ON CONFLICT (account_id, day) DO UPDATE SET demand_kw = excluded.demand_kw,"
            " at_ts = excluded.at_ts, least_kw = excluded.least_kw,"
            " most_kw = excluded.most_kw, window_s = excluded.window_s,"
            " slide_s = excluded.slide_s,"
            " distribution_coverage = excluded.distribution_coverage,"
            " windows_left_out = excluded.windows_left_out, simulated = excluded.simulated,"
            " data_version = excluded.data_version, computed_at = now()",
            [
                (
                    costs.site_id, account.account_id, day, found.kw, found.at, found.least_kw,
                    found.most_kw, contract.account.demand_window_s,
                    contract.account.demand_slide_s, found.distribution_coverage,
                    found.windows_left_out, list(contract.meters.active),
                    midnight(day, costs.zone), midnight(day + _DAY, costs.zone), version,
                )
                for day, found, contract in rows
            ],
        )  # fmt: skip


def _to_minute(at: dt.datetime) -> dt.datetime:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return epoch + (at - epoch) // _MINUTE * _MINUTE
