"""The parts of a plant file about who uses energy: areas, conversions, allocations, own factors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from enpilot.plant import Plant
from enpilot.plant.accounting import AreaPoint
from ingest.imports.records import Author, DatedRow, dated_row, names_of, reconcile_records, thing

__all__ = ["import_accounting"]

_UNITS = {"standard_coal": "kgce", "carbon": "kgCO2"}


def import_accounting(
    connection: psycopg.Connection[Any],
    plant: Plant,
    site_id: int,
    ids: Mapping[tuple[str, str], int],
    author: Author,
) -> Mapping[str, int]:
    """Make the records of these parts say what the file says.

    Parameters
    ----------
    connection
        In the transaction of the file.
    plant, site_id
        The file, and the site that it describes.
    ids
        Numbers of things by table and code.
    author
        Kept with every record that changes.

    Returns
    -------
    mapping
        Records inserted or superseded, by table.
    """
    said: dict[tuple[str, tuple[tuple[str, Any], ...]], list[DatedRow]] = defaultdict(list)

    def say(table: str, key: dict[str, Any], row: DatedRow) -> None:
        said[table, tuple(key.items())].append(row)

    areas = {
        a.code: thing(connection, "area", {"site_id": site_id, "code": a.code}) for a in plant.area
    }
    for area in plant.area:
        facts = names_of(area.name) | _points(area.points) | {
            "kind": area.kind,
            "product_ids": [ids["product", p] for p in area.products],
            "media": area.media,
        }  # fmt: skip
        say("area_record", {"area_id": areas[area.code]}, dated_row(area, facts))
    for made in plant.conversion:
        share = made.input_share
        facts = _points(made.points) | {"input_share": None if share is None else Decimal(share)}
        key = {"area_id": areas[made.area], "medium": made.medium}
        say("conversion", key, dated_row(made, facts))
    for rule in plant.allocation:
        facts = {
            "method": rule.method,
            "stage": rule.stage,
            "product_ids": [ids["product", p.product] for p in rule.products],
            "coefficients": [Decimal(p.coefficient) for p in rule.products],
            "point_codes": [p.point for p in rule.products if p.point is not None],
        }
        say("allocation", {"area_id": areas[rule.area]}, dated_row(rule, facts))
    for shape in plant.ledger_shape:
        facts = {"product_id": ids["product", shape.product], "stage": shape.stage}
        key = {"site_id": site_id, "medium": shape.medium}
        say("ledger_shape", key, dated_row(shape, facts))
    for f in plant.factor:
        facts = {
            "per_unit": f.per_unit,
            "value": Decimal(f.value),
            "unit": _UNITS[f.kind],
            "source": f.source,
        }
        key = {"site_id": site_id, "kind": f.kind, "medium": f.medium, "basis": f.basis}
        say("site_factor", key, dated_row(f, facts))
    changes: dict[str, int] = defaultdict(int)
    for (table, named), rows in said.items():
        changes[table] += reconcile_records(connection, table, dict(named), rows, author)
    return changes


def _points(points: Sequence[AreaPoint]) -> dict[str, Any]:
    return {"point_codes": [p.point for p in points], "point_signs": [p.sign for p in points]}
