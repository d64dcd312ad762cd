"""The parts of a plant file about production: shifts, counters of PLCs, EnPIs, targets, bases."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

import psycopg

from enpilot.plant import Enpi, Plant, Target
from ingest.imports.changed_facts import FactSpan, OpenSpan, changed_spans
from ingest.imports.records import Author, dated_row, names_of, reconcile_records, thing
from ingest.meaning import series_of

__all__ = ["import_production"]

_Ids: TypeAlias = dict[tuple[str, str], int]
_Said: TypeAlias = list[tuple[Any, dict[str, Any]]]


def import_production(
    connection: psycopg.Connection[Any], plant: Plant, site_id: int, ids: _Ids, author: Author
) -> Mapping[str, int]:
    """Make the records of these parts say what the file says.

    Parameters
    ----------
    connection
        In the transaction of the file.
    plant, site_id
        The file, and the site that it describes.
    ids
        Numbers of things by table and code; EnPIs are added.
    author
        Kept with every record that changes.

    Returns
    -------
    mapping
        Records inserted or superseded, by table.
    """
    changes: dict[str, int] = defaultdict(int)

    def records(table: str, key: Mapping[str, Any], items: _Said) -> None:
        rows = [dated_row(item, facts) for item, facts in items]
        changes[table] += reconcile_records(connection, table, key, rows, author)

    for code, shifts in _grouped(plant.shift, "code"):
        number = thing(connection, "shift", {"site_id": site_id, "code": code})
        records(
            "shift_record", {"shift_id": number},
            [(s, names_of(s.name) | {"starts": s.starts, "ends": s.ends}) for s in shifts],
        )  # fmt: skip
    for point, counters in _grouped(plant.production_counter, "point"):
        records(
            "production_counter",
            {"point_id": ids["point", point]},
            [
                (
                    c,
                    {
                        "product_id": ids["product", c.product],
                        "line": c.line,
                        "disposition": c.disposition,
                        "per_count": Decimal(c.per_count),
                    },
                )
                for c in counters
            ],
        )
    for item in plant.integrated:
        series_id = series_of(
            connection, site_id, ids["point", item.point], item.quantity, item.channel
        )
        changed = reconcile_records(
            connection, "integrated_series", {"series_id": series_id}, [dated_row(item, {})], author
        )
        changes["integrated_series"] += changed
        if changed:
            connection.execute(
                "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, now(), %s)",
                (series_id, item.valid_from, author.commit_no),
            )
    for code, virtual in _grouped(plant.virtual_point, "code"):
        number = thing(
            connection, "virtual_point", {"site_id": site_id, "code": code},
            medium=virtual[0].medium,
        )  # fmt: skip
        records(
            "virtual_point_record", {"virtual_point_id": number},
            [(v, names_of(v.name) | {"formula": v.formula}) for v in virtual],
        )  # fmt: skip
    assert plant.site.valid_from is not None  # load_plant settles it
    zone = plant.site.valid_from.tzinfo
    schemes = {e.code: ids["scheme", e.scheme] for e in plant.enpi}
    for enpi in plant.enpi:
        number = thing(connection, "enpi", {"site_id": site_id, "code": enpi.code})
        ids["enpi", enpi.code] = number
        records("enpi_record", {"enpi_id": number}, [(enpi, _enpi(enpi, schemes[enpi.code], ids))])
    for target in plant.target:
        changes["target"] += _target(
            connection, target, ids["enpi", target.enpi], schemes[target.enpi], author, zone
        )
    for a in plant.base_adjustment:
        facts = {
            "event": a.event,
            "factor": Decimal(a.factor),
            "threshold": Decimal(a.threshold),
            "document": a.document,
        }
        records("base_adjustment", {"enpi_id": ids["enpi", a.enpi], "code": a.code}, [(a, facts)])
    return changes


def _enpi(enpi: Enpi, scheme_id: int, ids: _Ids) -> dict[str, Any]:
    bases = [p.base_intensity for p in enpi.products]
    return names_of(enpi.name) | {
        "scheme_id": scheme_id,
        "product_id": None if enpi.product is None else ids["product", enpi.product],
        "kind": enpi.kind,
        "subject": "points" if enpi.points else enpi.subject,
        "line": enpi.line,
        "calendar": enpi.calendar,
        "product_ids": [ids["product", p.product] for p in enpi.products],
        "base_intensities": [None if b is None else Decimal(b) for b in bases],
        "point_codes": [p.point for p in enpi.points],
        "point_signs": [p.sign for p in enpi.points],
        "price_year": enpi.price_year or 0,
        "of_enterprise": enpi.of_enterprise,
        "stage": enpi.stage,
        "coverage_limit": Decimal(enpi.coverage_limit),
    }


def _target(
    connection: psycopg.Connection[Any],
    target: Target,
    enpi_id: int,
    scheme_id: int,
    author: Author,
    zone: dt.tzinfo | None,
) -> int:
    said = {
        "base_from": target.base_from,
        "base_to": target.base_to,
        "end_to": target.end_to,
        "annual_rate": None if target.annual_rate is None else Decimal(target.annual_rate),
        "end_value": None if target.end_value is None else Decimal(target.end_value),
        "authority": target.authority,
        "document": target.document,
        "scheme_id": scheme_id,
        "slow_from": Decimal(target.slow_from),
        "on_track_from": Decimal(target.on_track_from),
    }
    key = {"enpi_id": enpi_id, "kind": target.kind, "target_class": target.target_class}
    where = " AND ".join(f"{name} = %s" for name in key)
    held = connection.execute(
        f"SELECT {', '.join(said)} FROM target WHERE {where} AND superseded_commit_no IS NULL",
        list(key.values()),
    ).fetchone()
    if held == tuple(said.values()):
        return 0
    before = None if held is None else dict(zip(said, held, strict=True))
    author.changed.extend(_judged_anew(before, said, zone))
    connection.execute(
        f"UPDATE target SET superseded_commit_no = %s WHERE {where}"
        " AND superseded_commit_no IS NULL",
        (author.commit_no, *key.values()),
    )
    columns = (*key, *said, "author", "reason", "commit_no")
    connection.execute(
        f"INSERT INTO target ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
        (*key.values(), *said.values(), author.name, author.reason, author.commit_no),
    )
    return 1


def _judged_anew(
    before: Mapping[str, Any] | None, said: Mapping[str, Any], zone: dt.tzinfo | None
) -> list[OpenSpan]:
    """Return the time whose verdicts change with a target; its base only where that moves."""
    same_base = before is not None and all(
        before[name] == said[name] for name in ("base_from", "base_to", "scheme_id")
    )

    def facts(of: Mapping[str, Any]) -> FactSpan:
        since, until = (
            dt.datetime.combine(of[name], dt.time(), zone).astimezone(dt.UTC)
            for name in ("base_to" if same_base else "base_from", "end_to")
        )
        return of, since, until

    return changed_spans("target", [] if before is None else [facts(before)], [facts(said)])


def _grouped(items: list[Any], name: str) -> list[tuple[Any, list[Any]]]:
    ordered = sorted(items, key=lambda item: getattr(item, name))
    return [(k, list(g)) for k, g in itertools.groupby(ordered, key=lambda i: getattr(i, name))]
