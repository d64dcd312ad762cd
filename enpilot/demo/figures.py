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


class WorkshopReport(msgspec.Struct):
    """What lies below the steel works' main feeder, and what people did there."""

    balances: int  # whole months in which the main feeder stands against its sub-meters
    sub_metered_share: float | None  # of the last one
    saving_kwh: float | None  # of the retrofit, since it reports
    saving_claim: str | None
    months_closed: int
    invoices_differing: list[str]
    corrections: dict[str, int]  # by state


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
    workshops: WorkshopReport


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
        _workshops(connection, steel.period_to),
    )


def _scalar(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
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
        "  JOIN point p USING (point_id)"
        " WHERE e.quantity = 'active_energy' AND site.code = 'steel' AND p.code = 'main'",
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


def _workshops(connection: psycopg.Connection[Any], today: dt.date) -> WorkshopReport:
    site = _scalar(connection, "SELECT site_id FROM site WHERE code = 'steel'")
    balances = connection.execute(
        "SELECT b.children / b.main FROM balance_period b JOIN point p"
        " ON p.point_id = b.parent_point_id WHERE b.site_id = %s AND p.code = 'main'"
        " AND b.period_kind = 'month' AND b.period_to <= %s"
        " AND b.period_to = b.period_from + interval '1 month' ORDER BY b.period_from DESC",
        (site, today),
    ).fetchall()
    saving = connection.execute(
        "SELECT saving, claim FROM saving_result WHERE site_id = %s AND span = 'reporting'", (site,)
    ).fetchone()
    closed = connection.execute(
        "SELECT count(*) FROM period_state WHERE site_id = %s AND action = 'closed'", (site,)
    ).fetchone()
    differing = connection.execute(
        "SELECT subject FROM finding WHERE site_id = %s AND code = 'invoice_differs'"
        " AND withdrawn_version IS NULL ORDER BY at_ts",
        (site,),
    ).fetchall()
    corrections = connection.execute(
        "SELECT state, count(*) FROM correction_state WHERE site_id = %s GROUP BY state", (site,)
    ).fetchall()
    return WorkshopReport(
        len(balances), balances[0][0] if balances else None,
        None if saving is None else saving[0], None if saving is None else saving[1],
        closed[0] if closed is not None else 0, [subject for (subject,) in differing],
        dict(corrections),
    )  # fmt: skip
