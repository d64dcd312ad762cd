"""Machines, opening hours, ratios, a flat price and calibrations of a plant file into records."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import psycopg

from enpilot.plant import Plant
from enpilot.plant.waste import Machine
from ingest.imports.records import Author, DatedRow, dated_row, names_of, reconcile_records
from ingest.meaning import series_of

__all__ = ["import_waste"]


def import_waste(
    connection: psycopg.Connection[Any],
    plant: Plant,
    site_id: int,
    ids: dict[tuple[str, str], int],
    author: Author,
) -> dict[str, int]:
    """Make the database say what the file says of waste and calibrations.

    Parameters
    ----------
    connection
        Inside the plant file's transaction.
    plant
        As `enpilot.plant.load_plant` returned it.
    site_id
        The site.
    ids
        Numbers of its points and devices by table and code.
    author
        Who applies it.

    Returns
    -------
    dict of str to int
        Records inserted or superseded, by table.
    """
    changes: dict[str, int] = defaultdict(int)

    def keep(table: str, said: Iterable[tuple[str, DatedRow]]) -> None:
        by_code: dict[str, list[DatedRow]] = defaultdict(list)
        for code, row in said:
            by_code[code].append(row)
        for code, rows in by_code.items():
            key = {"site_id": site_id, "code": code}
            changes[table] += reconcile_records(connection, table, key, rows, author)

    keep("machine", [(m.code, _machine(connection, m, site_id, ids)) for m in plant.machine])
    keep(
        "opening_hours",
        [
            (
                h.code,
                dated_row(
                    h,
                    names_of(h.name)
                    | {
                        "days": h.days,
                        "hours": list(h.hours),
                        "point_ids": [ids["point", p] for p in h.points],
                    },
                ),
            )
            for h in plant.opening_hours
        ],
    )
    keep(
        "ratio_check",
        [
            (
                r.code,
                dated_row(
                    r,
                    names_of(r.name)
                    | {
                        "numerator_point_id": ids["point", r.numerator],
                        "denominator_point_id": ids["point", r.denominator],
                        "low": _decimal(r.low),
                        "high": _decimal(r.high),
                    },
                ),
            )
            for r in plant.ratio_check
        ],
    )
    if plant.flat_price:
        rows = [
            dated_row(
                p,
                {
                    "yuan_per_kwh": Decimal(p.yuan_per_kwh),
                    "source": p.source,
                    "verified": p.verified,
                },
            )
            for p in plant.flat_price
        ]
        changes["flat_price"] += reconcile_records(
            connection, "flat_price", {"site_id": site_id}, rows, author
        )
    changes["calibration"] += _calibrations(connection, plant, site_id, ids, author)
    return changes


def _machine(
    connection: psycopg.Connection[Any],
    machine: Machine,
    site_id: int,
    ids: dict[tuple[str, str], int],
) -> DatedRow:
    status = machine.status
    status_series_id = status and series_of(
        connection, site_id, ids["point", status.point], "status", status.channel
    )
    return dated_row(
        machine,
        names_of(machine.name)
        | {
            "point_id": ids["point", machine.point],
            "idle_from": _decimal(machine.idle_from),
            "running_from": _decimal(machine.running_from),
            "status_series_id": status_series_id,
            "off_values": status.off if status else [],
            "idle_values": status.idle if status else [],
            "output_point_id": machine.output_point and ids["point", machine.output_point],
        },
    )


def _calibrations(
    connection: psycopg.Connection[Any],
    plant: Plant,
    site_id: int,
    ids: dict[tuple[str, str], int],
    author: Author,
) -> int:
    """Keep each calibration: a later one in the file does not make an earlier one untrue."""
    assert plant.site.valid_from is not None  # load_plant settles it
    zone = plant.site.valid_from.tzinfo
    changes = 0
    for device in plant.device:
        if device.calibrated_on is None:
            continue
        due = device.calibration_due
        until = None if due is None else _midnight(due + dt.timedelta(days=1), zone)
        row = DatedRow(
            {"due_on": due, "certificate": device.certificate},
            _midnight(device.calibrated_on, zone),
            until,
        )
        key = {
            "site_id": site_id,
            "device_id": ids["device", device.code],
            "calibrated_on": device.calibrated_on,
        }
        changes += reconcile_records(connection, "calibration", key, [row], author)
    return changes


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _midnight(day: dt.date, zone: dt.tzinfo | None) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
