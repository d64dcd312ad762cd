"""Figures of the steel plant in every state a page must show, written as analytics writes them."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import Any

import psycopg

BASE_YEAR, YEAR = 2024, 2025
ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
DAY = dt.date(2025, 9, 13)  # the last complete day
WITHHELD_DAY = dt.date(2025, 9, 12)
DATA_THROUGH = dt.datetime(2025, 9, 14, 7, 45, tzinfo=ZONE)

_BASE = [95.8, 97.4, 93.1, 91.6, 90.2, 90.8, 91.9, 92.6, 90.4, 89.5, 90.7, 93.9]
# The target is 4 % below the base: behind, behind, on track ...
_MONTHS = [92.9, 94.2, 89.2, 87.5, None, 86.7, 87.4, 91.2, 86.4]
_OUTPUT_T = 1000.0
_STATUS = ["slow", "slow", "on_track", "on_track", "withheld", "on_track", "on_track", "behind"]


def put_figures(connection: psycopg.Connection[Any]) -> None:
    """Write intervals, periods, findings, alerts and gateway of the plant imported before."""
    with connection.transaction():
        site = _one(connection, "SELECT site_id FROM site WHERE code = 'steel'")
        enpi = _one(connection, "SELECT enpi_id FROM enpi WHERE site_id = %s", site)
        target = _one(connection, "SELECT target_id FROM target WHERE enpi_id = %s", enpi)
        main = _one(connection, "SELECT point_id FROM point WHERE site_id = %s AND code = 'main'",
                    site)  # fmt: skip
        _put_months(connection, site, enpi, target)
        _put_days(connection, site, enpi, main)
        energy = _series(connection, site, main, "active_energy", "kWh", "0.4", "lifetime")
        _put_load(connection, site, main, energy)
        _put_live(connection, site, main)
        connection.execute(
            "INSERT INTO computation (site_id, data_version, data_through, code_version)"
            " VALUES (%s, 4711, %s, '0.1.0')",
            (site, DATA_THROUGH),
        )


def _one(connection: psycopg.Connection[Any], query: str, *values: Any) -> int:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return int(row[0])


def _period(connection: psycopg.Connection[Any], **columns: Any) -> None:
    row = {
        "energy_unit": "kgce", "output_unit": "t", "coverage": 0.999, "output_coverage": 1.0,
        "reporting_completeness": 0.987, "estimated_share": 0.0, "synthetic_energy": False,
        "synthetic_output": True, "factor_verified": False, "data_version": 4711,
        "provisional": False, "within_uncertainty": None, "withheld_code": None,
    } | columns  # fmt: skip
    names = ", ".join(row)
    places = ", ".join(["%s"] * len(row))
    connection.execute(f"INSERT INTO enpi_period ({names}) VALUES ({places})", list(row.values()))


def _put_months(connection: psycopg.Connection[Any], site: int, enpi: int, target: int) -> None:
    key = {"site_id": site, "enpi_id": enpi}
    for index, base in enumerate(_BASE):
        first = dt.date(BASE_YEAR, index + 1, 1)
        _period(connection, **key, period_kind="month", period_from=first, period_to=_next(first),
                energy=base * _OUTPUT_T, energy_tce=base, output=_OUTPUT_T, intensity=base,
                status="base", target_id=target, synthetic_output=True)  # fmt: skip
    whole = sum(_BASE)
    _period(connection, **key, period_kind="year_to_date", period_from=dt.date(BASE_YEAR, 1, 1),
            period_to=dt.date(YEAR, 1, 1), energy=whole * _OUTPUT_T, energy_tce=whole,
            output=12 * _OUTPUT_T, intensity=whole / 12, status="base",
            target_id=target)  # fmt: skip
    for index, value in enumerate(_MONTHS):
        first = dt.date(YEAR, index + 1, 1)
        held = value is None
        base = _BASE[index]
        _period(
            connection, **key, period_kind="month", period_from=first, period_to=_next(first),
            energy=None if held else value * _OUTPUT_T, energy_tce=None if held else value,
            output=_OUTPUT_T, intensity=value, base_intensity=None if held else base,
            target_intensity=None if held else base * 0.96,
            progress_ratio=None if held else 1.0,
            status="on_track" if index == 8 else _STATUS[index],
            withheld_code="coverage_low" if held else None,
            coverage=0.863 if held else 0.998, provisional=index == 8,
            estimated_share=0.056 if index == 6 else 0.001, target_id=target,
        )  # fmt: skip
    done = [v for v in _MONTHS if v is not None]
    total = sum(done)
    same = sum(b for b, v in zip(_BASE, _MONTHS, strict=False) if v is not None) / len(done)
    intensity = total / len(done)
    _period(
        connection, **key, period_kind="year_to_date", period_from=dt.date(YEAR, 1, 1),
        period_to=dt.date(YEAR, 10, 1), energy=total * _OUTPUT_T, energy_tce=total,
        output=len(done) * _OUTPUT_T, intensity=intensity, base_intensity=same,
        target_intensity=same * 0.96, progress_ratio=0.996, cumulative_progress=0.249,
        status="slow", provisional=True, within_uncertainty=True, estimated_share=0.061,
        target_id=target,
    )  # fmt: skip


def _put_days(connection: psycopg.Connection[Any], site: int, enpi: int, main: int) -> None:
    for number in range(1, 14):
        first = dt.date(YEAR, 9, number)
        held = first == WITHHELD_DAY
        kwh = 58_000.0 + 450.0 * number
        _period(
            connection, site_id=site, enpi_id=enpi, period_kind="day", period_from=first,
            period_to=first + dt.timedelta(days=1), energy=kwh * 0.1229,
            energy_tce=kwh * 0.1229 / 1000, output=None if held else 87.5,
            intensity=None if held else kwh * 0.1229 / 87.5,
            status="withheld" if held else "no_target",
            withheld_code="output_missing" if held else None, provisional=True,
            estimated_share=0.056 if first == DAY else 0.0,
        )  # fmt: skip
        connection.execute(
            "INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind,"
            " period_from, period_to, amount, unit, estimated_share, coverage,"
            " distribution_coverage, reporting_completeness, simulated, data_version)"
            " VALUES (%s, %s, 'active_energy', 'total', 'day', %s, %s, %s, 'kWh', %s, 0.999, 0.94,"
            " 0.987, false, 4711)",
            (site, main, first, first + dt.timedelta(days=1), kwh, 0.056 if first == DAY else 0.0),
        )


def _series(
    connection: psycopg.Connection[Any],
    site: int,
    point: int,
    quantity: str,
    unit: str,
    scale: str,
    counter: str | None,
) -> tuple[int, int]:
    connection.execute(
        "INSERT INTO series (site_id, point_id, quantity, channel) VALUES (%s, %s, %s, 'total')"
        " ON CONFLICT DO NOTHING",
        (site, point, quantity),
    )
    series = _one(connection, "SELECT series_id FROM series WHERE point_id = %s AND quantity = %s",
                  point, quantity)  # fmt: skip
    epoch = _one(
        connection,
        "INSERT INTO series_epoch (series_id, raw_type, register_scale, unit, counter_kind,"
        " period_s, origin, valid_from, author, reason, commit_no)"
        " VALUES (%s, 'uint32', %s, %s, %s, 1, 'human', '2024-01-01Z', 'test', 'test', 1)"
        " RETURNING epoch_id",
        series, scale, unit, counter,
    )  # fmt: skip
    return series, epoch


def _put_load(
    connection: psycopg.Connection[Any], site: int, main: int, energy: tuple[int, int]
) -> None:
    midnight = dt.datetime.combine(DAY, dt.time(0), ZONE)
    for quarter in range(96):
        hour = quarter / 4
        if 3.0 <= hour < 3.75:
            continue  # nothing is known of these
        kw = 250.0
        if 8 <= hour < 12:
            kw = 4200.0 + 300 * (quarter % 7)
        elif 13 <= hour < 21:
            kw = 4800.0 + 350 * (quarter % 5)
        if quarter == 40:
            kw = 9884.0
        advance = round(kw / 4 / 0.4 * 1e6)
        guessed = 14.25 <= hour < 15.5
        connection.execute(
            "INSERT INTO interval_advance VALUES (%s, %s, %s, %s, %s, 900, 900, true, 4711)",
            (energy[0], midnight + dt.timedelta(minutes=15 * quarter), energy[1], advance,
             advance if guessed else 0),
        )  # fmt: skip
    findings = [
        ("gap", "warning", 14.25, 15.5, {"advance_kwh": 6200}),
        ("spike", "warning", 10.1, None, {"raw": 99999999}),
        ("replacement", "note", 7.0, None, {"old": 1, "new": 2}),
        ("a_code_of_tomorrow", "fault", 20.0, None, {}),
    ]
    for code, severity, begin, end, evidence in findings:
        connection.execute(
            "INSERT INTO finding (site_id, point_id, series_id, code, at_ts, to_ts, severity,"
            " evidence, data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 4711)",
            (site, main, energy[0], code, midnight + dt.timedelta(hours=begin),
             end and midnight + dt.timedelta(hours=end), severity, json.dumps(evidence)),
        )  # fmt: skip


def _put_live(connection: psycopg.Connection[Any], site: int, main: int) -> None:
    power, _ = _series(connection, site, main, "active_power", "kW", "0.04", None)
    connection.execute(
        "INSERT INTO latest (series_id, ts, raw_int, quality, batch)"
        " VALUES (%s, now(), 10300, 0, 1)",
        (power,),
    )
    rule = _one(connection, "SELECT alert_rule_id FROM alert_rule WHERE site_id = %s", site)
    connection.execute(
        "INSERT INTO alert_state (alert_rule_id, state, since, value, evaluated_at)"
        " VALUES (%s, 'firing', now() - interval '10 minutes', 512.5, now())",
        (rule,),
    )
    connection.execute(
        "INSERT INTO agent_status (agent_id, state, since, held_batches, held_readings, units_down)"
        " VALUES ('steel-gw1', 'online', now() - interval '1 hour', 0, 0, 1)"
    )
    connection.execute(
        "INSERT INTO ingest_count (agent_id, readings_stored, last_reading_ts)"
        " VALUES ('steel-gw1', 1000, now())"
    )


def _next(month: dt.date) -> dt.date:
    return (month + dt.timedelta(days=32)).replace(day=1)
