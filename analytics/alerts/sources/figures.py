"""Figures of analytics: EnPIs, the target's path, cost, expected energy, quality of data.

A figure that is withheld decides nothing: its value is not known.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject

__all__ = ["see_cost", "see_data_quality", "see_enpi", "see_expected", "see_target_path"]

_DAY: Final = dt.timedelta(days=1)
# Before, a month says little about its end.
_LEAST_DAYS: Final = 5
# A day's cost is compared with these weekdays before it, of which so many must be known.
_WEEKS, _LEAST_WEEKS = 4, 2
_NAMED: Final = (
    " JOIN LATERAL (SELECT name_zh, name_en FROM {0}_record r WHERE r.{0}_id = i.{0}_id"
    " AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) n ON true"
)


def see_enpi(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield the figure of each EnPI's period that yesterday belongs to.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at: ``over_target`` [%], ``intensity`` or ``progress`` [ratio] of the day,
        month, year to date …
    at
        The instant.

    Yields
    ------
    Sighting
        One for each EnPI that has a row of the period (F7).
    """
    measure = rule.measure or "over_target"
    for row in _enpi_rows(connection, site, rule, at, rule.watch.get("period") or "month"):
        value, unit = row["intensity"], f"{row['energy_unit']}/{row['output_unit']}"
        if measure == "over_target":
            value, unit = _over(row["intensity"], row["target_intensity"]), "%"
        elif measure == "progress":
            value, unit = row["progress_ratio"], ""
        subject = Subject(row["code"], row["name_zh"], row["name_en"], unit)
        synthetic = row["synthetic_energy"] or row["synthetic_output"]
        yield Sighting(subject, at, value, facts=_period_facts(row), synthetic=synthetic)


def see_target_path(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield how far each EnPI's running month is over its target, and what the rest may take.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at.
    at
        The instant.

    Yields
    ------
    Sighting
        Value: over the target [%]; unknown in the month's first days. With the days left, and the
        intensity that the rest of the month may have if output goes on as it did (F38).
    """
    yesterday = site.today(at) - _DAY
    for row in _enpi_rows(connection, site, rule, at, "month"):
        gone = (yesterday - row["period_from"]).days + 1
        left = (row["period_to"] - row["period_from"]).days - gone
        over = _over(row["intensity"], row["target_intensity"])
        facts = _period_facts(row) | {"days_left": left}
        if over is not None and left > 0:
            whole = gone + left
            target, intensity = row["target_intensity"], row["intensity"]
            facts["required_intensity"] = (target * whole - intensity * gone) / left
        known = over if gone >= _LEAST_DAYS and left > 0 else None
        subject = Subject(row["code"], row["name_zh"], row["name_en"], "%")
        synthetic = row["synthetic_energy"] or row["synthetic_output"]
        yield Sighting(subject, at, known, facts=facts, synthetic=synthetic)


def _enpi_rows(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime, kind: str
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT DISTINCT ON (i.code) i.code, n.name_zh, n.name_en, f.* FROM enpi i"
            + _NAMED.format("enpi")
            + " JOIN enpi_period f USING (enpi_id) WHERE i.site_id = %s AND f.period_kind = %s"
            " AND f.period_from <= %s AND f.period_to > %s ORDER BY i.code, f.period_to",
            (rule.site_id, kind, site.today(at) - _DAY, site.today(at) - _DAY),
        ).fetchall()


def see_cost(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield what each account costs, or its power factor.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at: ``deviation`` [%] of a day or of the month's days from the mean of the
        same weekdays of four weeks before, ``yuan`` of a period, or ``power_factor``.
    at
        The instant.

    Yields
    ------
    Sighting
        Of yesterday, or of the period that it belongs to (F38).
    """
    measure, kind = rule.measure or "deviation", rule.watch.get("period") or "day"
    yesterday = site.today(at) - _DAY
    rows = connection.execute(
        "SELECT i.code, n.name_zh, n.name_en, f.period_from, f.period_to,"
        " f.cost_yuan::double precision, f.power_factor::double precision,"
        " f.simulated, i.account_id,"
        " (SELECT r.terms ->> 'power_factor_standard' FROM account_record r"
        "  WHERE r.account_id = i.account_id AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1)::double precision"
        " FROM account i"
        + _NAMED.format("account")
        + " JOIN cost_period f USING (account_id) WHERE i.site_id = %s AND f.band = 'total'"
        " AND f.period_kind = %s AND f.period_from <= %s AND f.period_to > %s ORDER BY i.code",
        (rule.site_id, kind, yesterday, yesterday),
    ).fetchall()
    for code, zh, en, since, until, yuan, factor, simulated, account_id, standard in rows:
        limit, value, unit = None, yuan, "元"
        facts: dict[str, Any] = {"period_from": str(since), "period_to": str(until), "yuan": yuan}
        if measure == "power_factor":
            limit = standard if rule.watch.get("of_contract") else None
            if rule.watch.get("of_contract") and standard is None:
                continue  # nothing is charged by it
            value, unit = factor, ""
        elif measure == "deviation":
            value, unit = _deviation(connection, account_id, since, yesterday), "%"
        subject = Subject(code, zh, en, unit)
        yield Sighting(subject, at, value, limit, facts=facts, synthetic=simulated)


def _deviation(
    connection: psycopg.Connection[Any], account_id: int, since: dt.date, last: dt.date
) -> float | None:
    """Return by how much days since .. last cost more than their weekdays did before [%]."""
    costs: dict[dt.date, float] = dict(
        connection.execute(
            "SELECT period_from, cost_yuan::double precision FROM cost_period"
            " WHERE account_id = %s AND period_kind = 'day' AND band = 'total'"
            " AND cost_yuan IS NOT NULL AND period_from > %s AND period_from <= %s",
            (account_id, since - (7 * _WEEKS + 1) * _DAY, last),
        ).fetchall()
    )
    actual = expected = 0.0
    for n in range((last - since).days + 1):
        day = since + n * _DAY
        before = [costs.get(day - 7 * k * _DAY) for k in range(1, _WEEKS + 1)]
        known = [c for c in before if c is not None]
        if day in costs and len(known) >= _LEAST_WEEKS:
            actual += costs[day]
            expected += statistics.fmean(known)
    return _over(actual, expected)


def see_expected(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield by how much the last period of each baseline differs from what was expected.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at; with ``watch.roles`` baselines of points in these roles only.
    at
        The instant.

    Yields
    ------
    Sighting
        Value: difference over expected energy [%], of the last finished day or month.
    """
    yesterday = site.today(at) - _DAY
    for code, zh, en, since, until, difference, expected, withheld, made_up in connection.execute(
        "SELECT DISTINCT ON (i.code) i.code, r.name_zh, r.name_en, f.period_from, f.period_to,"
        " f.difference, f.expected, f.withheld_code, f.synthetic"
        " FROM baseline i JOIN baseline_record r"
        " USING (baseline_id) JOIN baseline_period f USING (baseline_id)"
        " WHERE i.site_id = %(site)s AND r.superseded_commit_no IS NULL AND NOT f.training"
        " AND f.period_kind = r.period_kind AND f.period_to <= %(today)s"
        " AND f.period_to > %(today)s - CASE r.period_kind WHEN 'day' THEN 7 ELSE 62 END"
        " AND (%(roles)s::text[] IS NULL OR cardinality(r.point_ids) > 0 AND NOT EXISTS ("
        "  SELECT FROM point_record p WHERE p.point_id = ANY(r.point_ids)"
        "  AND p.superseded_commit_no IS NULL AND p.role <> ALL(%(roles)s)))"
        " ORDER BY i.code, f.period_to DESC",
        {
            "site": rule.site_id, "today": yesterday + _DAY,
            "roles": rule.watch.get("roles") or None,
        },
    ):  # fmt: skip
        value = None if withheld else _share(difference, expected)
        facts = {"period_from": str(since), "period_to": str(until), "expected": expected}
        yield Sighting(Subject(code, zh, en, "%"), at, value, facts=facts, synthetic=made_up)


def see_data_quality(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield how good the data of the running month are.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at: ``coverage`` or ``reporting_completeness`` of points, or the ``index`` of
        the site. Points are those that close the month, unless ``watch.roles`` says others.
    at
        The instant.

    Yields
    ------
    Sighting
        Value [%], of the month that yesterday belongs to (F28).
    """
    yesterday = site.today(at) - _DAY
    if rule.measure == "index":
        for since, share, simulated in connection.execute(
            "SELECT period_from, index_share, simulated FROM quality_period WHERE site_id = %s"
            " AND point_id IS NULL AND period_from <= %s AND period_to > %s",
            (rule.site_id, yesterday, yesterday),
        ):
            subject = Subject(site.code, site.name_zh, site.name_en, "%")
            facts = {"period_from": str(since)}
            value = None if share is None else share * 100.0
            yield Sighting(subject, at, value, facts=facts, synthetic=simulated)
        return
    for code, zh, en, since, coverage, completeness, simulated in connection.execute(
        "SELECT i.code, n.name_zh, n.name_en, min(f.period_from), min(f.coverage),"
        " min(f.reporting_completeness), bool_or(f.simulated) FROM point i"
        " JOIN LATERAL (SELECT name_zh, name_en, role"
        "  FROM point_record r WHERE r.point_id = i.point_id AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1) n ON true JOIN energy_period f USING (point_id)"
        " WHERE i.site_id = %s AND f.period_kind = 'month' AND f.period_from <= %s"
        " AND f.period_to > %s AND n.role = ANY(%s) GROUP BY i.code, n.name_zh, n.name_en"
        " ORDER BY i.code",
        (rule.site_id, yesterday, yesterday, rule.watch.get("roles") or ["boundary"]),
    ):
        share = completeness if rule.measure == "reporting_completeness" else coverage
        value = None if share is None else share * 100.0
        facts = {"period_from": str(since)}
        yield Sighting(Subject(code, zh, en, "%"), at, value, facts=facts, synthetic=simulated)


def _over(actual: float | None, planned: float | None) -> float | None:
    if actual is None or planned is None or planned <= 0:
        return None
    return (actual / planned - 1.0) * 100.0


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None or whole <= 0 else part / whole * 100.0


def _period_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "period_from": str(row["period_from"]), "period_to": str(row["period_to"]),
        "intensity": row["intensity"], "target_intensity": row["target_intensity"],
        "status": row["status"], "withheld_code": row["withheld_code"],
    }  # fmt: skip
