"""What is known of a site's costs: accounts with their tariffs and meters, prices, calendar.

F2, F27.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import psycopg

from analytics.accounting.holidays import HolidayCalendar, load_holidays
from analytics.accounting.site_calendar import local_date
from analytics.errors import NoTariffError
from enpilot.plant.tariffs import Account, Step, Tariff

__all__ = [
    "AccountMeters",
    "Contract",
    "CostFacts",
    "Price",
    "UtilityAccount",
    "billing_period",
    "contracts_within",
    "load_cost_facts",
]

# Reactive energy in both directions is billed in absolute value; a meter says them in pairs.
_REACTIVE: Final = (("lagging", "leading"), ("import", "export"), ("total",))
_ACTIVE: Final = ("import", "total")


@dataclass(frozen=True, slots=True)
class AccountMeters:
    """Series of the billing meters of an account's points.

    ``missing`` are points without a counter of active energy, ``power`` the gauges of these: enough
    for demand, not for a bill. ``demand`` is the register of the only billing meter, since the
    maxima of several do not add up.
    """

    active: tuple[int, ...]
    reactive: tuple[int, ...]
    demand: int | None
    missing: tuple[int, ...]
    power: tuple[int, ...] = ()

    @property
    def tells_demand(self) -> bool:
        """Whether each meter has a counter, or at least a gauge."""
        return bool(self.active or self.power) and len(self.power) == len(self.missing)


@dataclass(frozen=True, slots=True)
class _Days:
    """Local days [since, until) in which something holds; open without ``until``."""

    since: dt.date
    until: dt.date | None


@dataclass(frozen=True, slots=True)
class _TariffRecord(_Days):
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class _AccountRecord(_Days):
    account: Account
    meters: AccountMeters


@dataclass(frozen=True, slots=True)
class UtilityAccount:
    """A customer account with everything that was ever true of it."""

    account_id: int
    code: str
    records: Sequence[_AccountRecord]
    tariffs: Mapping[str, Sequence[_TariffRecord]]

    @property
    def since(self) -> dt.date:
        """The first local day of the account."""
        return self.records[0].since

    @property
    def until(self) -> dt.date | None:
        """The day after its last; None if it is open."""
        return self.records[-1].until


@dataclass(frozen=True, slots=True)
class Contract:
    """What holds for an account in local days [since, until)."""

    since: dt.date
    until: dt.date
    account: Account
    meters: AccountMeters
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Price:
    """Price of another medium in local days [since, until)."""

    medium: str
    unit: str
    yuan: Fraction
    steps: tuple[Step, ...]
    verified: bool
    since: dt.date
    until: dt.date | None


@dataclass(frozen=True, slots=True)
class CostFacts:
    """Everything that a site's costs depend on beside its intervals."""

    site_id: int
    zone: ZoneInfo
    calendar: HolidayCalendar
    accounts: Sequence[UtilityAccount]
    prices: Sequence[Price]

    def account(self, code: str) -> UtilityAccount | None:
        """Return the account of a code."""
        return next((a for a in self.accounts if a.code == code), None)


def billing_period(billing_day: int, day: dt.date) -> tuple[dt.date, dt.date]:
    """Return the billing period that a local day lies in.

    Parameters
    ----------
    billing_day
        Day of the month on which a period begins, 1 .. 28.
    day
        A local day.

    Returns
    -------
    tuple of date
        First day, and the day after the last (F21).
    """
    first = day.replace(day=billing_day)
    if first > day:
        first = (first.replace(day=1) - dt.timedelta(days=1)).replace(day=billing_day)
    after = (first.replace(day=1) + dt.timedelta(days=32)).replace(day=billing_day)
    return first, after


def contracts_within(account: UtilityAccount, since: dt.date, until: dt.date) -> list[Contract]:
    """Return what holds for an account in local days [since, until), in order.

    Parameters
    ----------
    account
        The account.
    since, until
        Local days; days on which the account does not exist are left out.

    Returns
    -------
    list of Contract
        One for each stretch without a change of contract or tariff.

    Raises
    ------
    NoTariffError
        If the account has no tariff on some of its days.

    Notes
    -----
    A change inside a day holds from the beginning of that local day, as bills have it.
    """
    found: list[Contract] = []
    for record in account.records:
        low = max(since, record.since)
        high = until if record.until is None else min(until, record.until)
        while low < high:
            tariff = next(
                (
                    t
                    for t in account.tariffs.get(record.account.tariff, ())
                    if t.since <= low and (t.until is None or low < t.until)
                ),
                None,
            )
            if tariff is None:
                raise NoTariffError(
                    f"account {account.code!r}: tariff {record.account.tariff!r} says nothing of "
                    f"{low}: give the plant file's `[[tariff]]` a span that has this day"
                )
            end = high if tariff.until is None else min(high, tariff.until)
            found.append(Contract(low, end, record.account, record.meters, tariff.tariff))
            low = end
    return found


def load_cost_facts(connection: psycopg.Connection[Any], site_id: int, zone: ZoneInfo) -> CostFacts:
    """Load what is known now of a site's costs.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.
    zone
        Its time zone.

    Returns
    -------
    CostFacts
        Without accounts and prices if the plant file has none.
    """
    tariffs = _tariffs(connection, site_id, zone)
    records: dict[tuple[int, str], list[_AccountRecord]] = {}
    for account_id, code, zh, en, tariff, points, terms, since, until in connection.execute(
        "SELECT a.account_id, a.code, r.name_zh, r.name_en, t.code, r.point_ids, r.terms,"
        " r.valid_from, r.valid_to FROM account a JOIN account_record r USING (account_id)"
        " JOIN tariff t USING (tariff_id) WHERE a.site_id = %s AND r.superseded_commit_no IS NULL"
        " ORDER BY a.code, r.valid_from",
        (site_id,),
    ).fetchall():
        said = {
            **terms, "code": code, "name": {"zh": zh, "en": en}, "tariff": tariff,
            "points": _codes(connection, points),
        }  # fmt: skip
        records.setdefault((account_id, code), []).append(
            _AccountRecord(
                *_days(since, until, zone),
                msgspec.convert(said, Account),
                _meters(connection, points),
            )
        )
    return CostFacts(
        site_id,
        zone,
        load_holidays(connection, site_id, zone),
        [UtilityAccount(*key, of_key, tariffs) for key, of_key in records.items()],
        _prices(connection, site_id, zone),
    )


def _tariffs(
    connection: psycopg.Connection[Any], site_id: int, zone: ZoneInfo
) -> dict[str, list[_TariffRecord]]:
    found: dict[str, list[_TariffRecord]] = {}
    for code, zh, en, rules, source, verified, since, until in connection.execute(
        "SELECT t.code, r.name_zh, r.name_en, r.rules, r.source, r.verified, r.valid_from,"
        " r.valid_to FROM tariff t JOIN tariff_record r USING (tariff_id) WHERE t.site_id = %s"
        " AND r.superseded_commit_no IS NULL ORDER BY t.code, r.valid_from",
        (site_id,),
    ):
        said = {
            **rules, "code": code, "name": {"zh": zh, "en": en}, "source": source,
            "verified": verified,
        }  # fmt: skip
        found.setdefault(code, []).append(
            _TariffRecord(*_days(since, until, zone), msgspec.convert(said, Tariff))
        )
    return found


def _prices(connection: psycopg.Connection[Any], site_id: int, zone: ZoneInfo) -> list[Price]:
    return [
        Price(
            medium, unit, Fraction(yuan), tuple(msgspec.convert(steps, list[Step])), verified,
            *_days(since, until, zone),
        )
        for medium, unit, yuan, steps, verified, since, until in connection.execute(
            "SELECT medium, unit, yuan, steps, verified, valid_from, valid_to FROM medium_price"
            " WHERE site_id = %s AND superseded_commit_no IS NULL ORDER BY medium, valid_from",
            (site_id,),
        )
    ]  # fmt: skip


def _days(
    since: dt.datetime, until: dt.datetime | None, zone: ZoneInfo
) -> tuple[dt.date, dt.date | None]:
    return local_date(since, zone), None if until is None else local_date(until, zone)


def _codes(connection: psycopg.Connection[Any], point_ids: Sequence[int]) -> list[str]:
    codes = dict(
        connection.execute(
            "SELECT point_id, code FROM point WHERE point_id = ANY(%s)", (list(point_ids),)
        ).fetchall()
    )
    return [codes[point_id] for point_id in point_ids]


def _meters(connection: psycopg.Connection[Any], point_ids: Sequence[int]) -> AccountMeters:
    series: dict[tuple[int, str], dict[str, int]] = {}
    for point_id, quantity, channel, series_id in connection.execute(
        "SELECT point_id, quantity, channel, series_id FROM series WHERE point_id = ANY(%s)"
        " AND quantity IN ('active_energy', 'reactive_energy', 'maximum_demand',"
        " 'active_power')",
        (list(point_ids),),
    ):
        series.setdefault((point_id, quantity), {})[channel] = series_id
    active: list[int] = []
    reactive: list[int] = []
    missing: list[int] = []
    power: list[int] = []
    counts_reactive = True
    for point_id in point_ids:
        known = series.get((point_id, "active_energy"), {})
        main = next((known[c] for c in _ACTIVE if c in known), None)
        if main is None:
            missing.append(point_id)
            gauge = series.get((point_id, "active_power"), {}).get("total")
            power += [] if gauge is None else [gauge]
        else:
            active.append(main)
        known = series.get((point_id, "reactive_energy"), {})
        pair = next((p for p in _REACTIVE if known.keys() & set(p)), ())
        counts_reactive &= bool(pair)
        reactive += [known[c] for c in pair if c in known]
    demand = series.get((point_ids[0], "maximum_demand"), {}).get("total")
    return AccountMeters(
        tuple(active),
        tuple(reactive) if counts_reactive else (),
        demand if len(point_ids) == 1 else None,
        tuple(missing),
        tuple(power),
    )
