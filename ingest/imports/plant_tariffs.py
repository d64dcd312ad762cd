"""Calendar days, tariffs, accounts and prices of a plant file into dated records."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

from enpilot.plant import Plant
from enpilot.plant.tariffs import Account, Tariff, with_regime
from ingest.imports.records import Author, DatedRow, Document, dated_row, reconcile_records, thing

__all__ = ["import_tariffs"]

# Columns of their own; the rest of the structure is the document.
_OF_TARIFF = ("code", "name", "source", "verified", "from", "to", "regime")
_OF_ACCOUNT = ("code", "name", "tariff", "points", "from", "to")


def import_tariffs(
    connection: psycopg.Connection[Any],
    plant: Plant,
    site_id: int,
    point_ids: dict[str, int],
    author: Author,
) -> dict[str, int]:
    """Make the database say what the file says of costs.

    Parameters
    ----------
    connection
        Inside the plant file's transaction.
    plant
        As `enpilot.plant.load_plant` returned it.
    site_id
        The site.
    point_ids
        Numbers of its points by code.
    author
        Who applies it.

    Returns
    -------
    dict of str to int
        Records inserted or superseded, by table.
    """
    changes = {"calendar_day": _calendar_days(connection, plant, site_id, author)}
    tariff_ids: dict[str, int] = {}
    changes["tariff_record"] = 0
    for code, tariffs in _by_code(plant.tariff).items():
        tariff_ids[code] = thing(connection, "tariff", {"site_id": site_id, "code": code})
        changes["tariff_record"] += reconcile_records(
            connection,
            "tariff_record",
            {"tariff_id": tariff_ids[code]},
            [_tariff_row(with_regime(t)) for t in tariffs],
            author,
        )
    changes["account_record"] = 0
    for code, accounts in _by_code(plant.account).items():
        number = thing(connection, "account", {"site_id": site_id, "code": code})
        rows = [
            dated_row(
                a,
                {
                    "name_zh": a.name.zh,
                    "name_en": a.name.en,
                    "tariff_id": tariff_ids[a.tariff],
                    "point_ids": [point_ids[p] for p in a.points],
                    "terms": _document(a, _OF_ACCOUNT),
                },
            )
            for a in accounts
        ]
        changes["account_record"] += reconcile_records(
            connection, "account_record", {"account_id": number}, rows, author
        )
    changes["medium_price"] = _prices(connection, plant, site_id, author)
    return changes


def _calendar_days(
    connection: psycopg.Connection[Any], plant: Plant, site_id: int, author: Author
) -> int:
    """Keep the days that the file names: a day that it no longer names is an ordinary one again."""
    assert plant.site.valid_from is not None  # load_plant settles it
    zone = plant.site.valid_from.tzinfo
    rows = [
        DatedRow(
            {"day": d.date, "kind": d.kind, "name_zh": d.name.zh, "name_en": d.name.en},
            dt.datetime.combine(d.date, dt.time(), zone).astimezone(dt.UTC),
            dt.datetime.combine(d.date + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC),
        )
        for d in plant.calendar_day
    ]
    held = connection.execute(
        "SELECT 1 FROM calendar_day WHERE site_id = %s AND superseded_commit_no IS NULL LIMIT 1",
        (site_id,),
    ).fetchone()
    if not rows and held is None:
        return 0
    if not rows:  # no row says which facts to compare
        gone = connection.execute(
            "UPDATE calendar_day SET superseded_commit_no = %s WHERE site_id = %s"
            " AND superseded_commit_no IS NULL RETURNING valid_from, valid_to",
            (author.commit_no, site_id),
        ).fetchall()
        author.changed.extend(gone)
        return len(gone)
    return reconcile_records(connection, "calendar_day", {"site_id": site_id}, rows, author)


def _prices(connection: psycopg.Connection[Any], plant: Plant, site_id: int, author: Author) -> int:
    by_medium: dict[str, list[DatedRow]] = defaultdict(list)
    for p in plant.medium_price:
        facts = {
            "unit": p.unit,
            "yuan": Decimal(p.yuan),
            "steps": Document(msgspec.to_builtins(p.steps)),
            "source": p.source,
            "verified": p.verified,
        }
        by_medium[p.medium].append(dated_row(p, facts))
    return sum(
        reconcile_records(
            connection, "medium_price", {"site_id": site_id, "medium": medium}, rows, author
        )
        for medium, rows in by_medium.items()
    )


def _tariff_row(tariff: Tariff) -> DatedRow:
    return dated_row(
        tariff,
        {
            "name_zh": tariff.name.zh,
            "name_en": tariff.name.en,
            "rules": _document(tariff, _OF_TARIFF),
            "source": tariff.source,
            "verified": tariff.verified,
        },
    )


def _document(item: Tariff | Account, left_out: Sequence[str]) -> Document:
    # Through JSON, so that tuples are the lists that the database gives back.
    document = msgspec.json.decode(msgspec.json.encode(item))
    return Document({k: v for k, v in document.items() if k not in left_out})


def _by_code(items: Sequence[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        groups[item.code].append(item)
    return groups
