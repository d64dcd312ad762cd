"""What a finished demo reports: every number out of the database or the agent's outbox."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg

from enpilot.demo.history import ZONE, DemoYears

__all__ = ["DemoReport", "StreamCount", "read_report"]


class StreamCount(msgspec.Struct):
    """One stream in the agent's outbox (`enpilot edge outbox --json`)."""

    stream: str
    batches: int
    readings: int
    held: int
    dead: int
    complete: bool


class PlantReport(msgspec.Struct):
    """Year to date of a plant's EnPI."""

    period_from: dt.date
    period_to: dt.date
    energy: float | None
    energy_unit: str
    energy_tce: float | None
    output: float | None
    output_unit: str
    intensity: float | None
    target_intensity: float | None
    status: str
    withheld_code: str | None
    coverage: float | None
    output_coverage: float | None
    reporting_completeness: float | None


class DemoReport(msgspec.Struct):
    """See `read_report`. Energy in kWh or tce, intensity in kgce per t of steel."""

    meters: int
    readings_sent: int
    readings_stored: int
    readings_duplicated: int
    readings_lost: int
    intervals: int
    baseline_energy_kwh: float | None
    energy_kwh: float | None
    energy_tce: float | None
    output: float | None
    intensity: float | None
    target_intensity: float | None
    status: str
    coverage: float | None
    reporting_completeness: float | None
    seconds: float
    plants: dict[str, PlantReport]


def read_report(
    connection: psycopg.Connection[Any],
    years: DemoYears,
    streams: list[StreamCount],
    seconds: float,
) -> DemoReport:
    """Read the report of a demo.

    Parameters
    ----------
    connection
        To the demo's database.
    years
        Base year and the year after.
    streams
        What the outbox holds; only streams that it still has whole are compared.
    seconds
        How long the demo took [s].
    """
    whole = [s for s in streams if s.complete]
    sent = sum(s.readings for s in whole)
    stored, distinct = _stored(connection, [s.stream for s in whole])
    plants = _plants(connection)
    steel = plants["steel"]
    new_year = dt.datetime(years.year, 1, 1, tzinfo=ZONE)
    to_date = dt.datetime.combine(steel.period_to, dt.time(0), ZONE)
    return DemoReport(
        _scalar(connection, "SELECT count(*) FROM installation WHERE superseded_commit_no IS NULL"),
        sent,
        stored,
        stored - distinct,
        sent - distinct,
        _scalar(connection, "SELECT count(*) FROM interval_advance"),
        _energy_kwh(connection, new_year.replace(year=years.base_year), new_year),
        _energy_kwh(connection, dt.datetime.combine(steel.period_from, dt.time(0), ZONE), to_date),
        steel.energy_tce,
        steel.output,
        steel.intensity,
        steel.target_intensity,
        steel.status,
        steel.coverage,
        steel.reporting_completeness,
        round(seconds, 1),
        plants,
    )


def _scalar(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None  # count(*) always returns a row
    return int(row[0])


def _stored(connection: psycopg.Connection[Any], streams: list[str]) -> tuple[int, int]:
    row = connection.execute(
        "SELECT count(*), count(DISTINCT (r.series_id, r.ts)) FROM reading r"
        " WHERE r.batch >> 32 = ANY(ARRAY(SELECT stream_no FROM stream"
        " WHERE stream = ANY(%s::uuid[])))",
        (streams,),
    ).fetchone()
    assert row is not None  # count(*) always returns a row
    return int(row[0]), int(row[1])


def _energy_kwh(
    connection: psycopg.Connection[Any], since: dt.datetime, until: dt.datetime
) -> float | None:
    row = connection.execute(
        "SELECT sum(i.advance * e.scale) / 1000000 FROM (SELECT epoch_id,"
        "  sum(advance_micro) AS advance FROM interval_advance WHERE ts >= %s AND ts < %s"
        "  GROUP BY epoch_id) i JOIN current_epoch e USING (epoch_id) JOIN site USING (site_id)"
        " WHERE e.quantity = 'active_energy' AND site.code = 'steel'",
        (since, until),
    ).fetchone()
    return None if row is None or row[0] is None else float(row[0])


def _plants(connection: psycopg.Connection[Any]) -> dict[str, PlantReport]:
    return {
        code: PlantReport(*values)
        for code, *values in connection.execute(
            "SELECT DISTINCT ON (s.code) s.code, p.period_from, p.period_to, p.energy,"
            " p.energy_unit, p.energy_tce, p.output, p.output_unit, p.intensity,"
            " p.target_intensity, p.status, p.withheld_code, p.coverage, p.output_coverage,"
            " p.reporting_completeness FROM enpi_period p JOIN site s USING (site_id)"
            " WHERE p.period_kind = 'year_to_date' ORDER BY s.code, p.period_to DESC"
        )
    }
