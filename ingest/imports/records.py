"""Dated records: make the database say what a file says, without editing or deleting a row (F2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from enpilot.plant.base import Dated, Names
from ingest.imports.changed_facts import OpenSpan, changed_spans

__all__ = ["Author", "DatedRow", "Document", "dated_row", "names_of", "reconcile_records", "thing"]


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes records, why, and in which transaction.

    ``changed`` collects the spans in which figures are computed of other facts than before.
    """

    name: str
    reason: str
    commit_no: int
    changed: list[OpenSpan] = field(default_factory=list, compare=False)


class Document(Jsonb):
    """A document that equals what the database gives back for it."""

    def __eq__(self, other: object) -> bool:
        return bool(self.obj == (other.obj if isinstance(other, Jsonb) else other))

    __hash__ = None  # type: ignore[assignment]  # a document may hold lists


@dataclass(frozen=True, slots=True)
class DatedRow:
    """Facts that hold from .. to."""

    facts: Mapping[str, Any]
    valid_from: dt.datetime
    valid_to: dt.datetime | None


def names_of(name: Names) -> dict[str, Any]:
    """Return the columns of a name in both languages."""
    return {"name_zh": name.zh, "name_en": name.en}


def dated_row(item: Dated, facts: Mapping[str, Any]) -> DatedRow:
    """Return facts with the dates of the object in the plant file that says them."""
    assert item.valid_from is not None  # load_plant settles it
    until = item.valid_to and item.valid_to.astimezone(dt.UTC)
    return DatedRow(facts, item.valid_from.astimezone(dt.UTC), until)


def thing(
    connection: psycopg.Connection[Any], table: str, key: Mapping[str, Any], **fixed: Any
) -> int:
    """Return the number of a thing that never dies, creating it if it is new.

    Parameters
    ----------
    table
        The thing's table; its number is ``{table}_id``.
    key
        Columns that identify it.
    **fixed
        Further columns of a new one; an existing one keeps its own.
    """
    columns = {**key, **fixed}
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        ),
        list(columns.values()),
    )
    row = connection.execute(
        sql.SQL("SELECT {} FROM {} WHERE {}").format(
            sql.Identifier(f"{table}_id"), sql.Identifier(table), _equal(key)
        ),
        list(key.values()),
    ).fetchone()
    assert row is not None  # inserted above, or there before
    return int(row[0])


def reconcile_records(
    connection: psycopg.Connection[Any],
    table: str,
    key: Mapping[str, Any],
    wanted: list[DatedRow],
    author: Author,
    *,
    with_reason: bool = True,
) -> int:
    """Supersede the rows of a key that are no longer said, insert those that are new.

    Returns
    -------
    int
        Rows inserted or superseded; 0 if the database already said the same.
    """
    facts = sorted({name for row in wanted for name in row.facts})
    columns = [*facts, "valid_from", "valid_to"]
    current = connection.execute(
        sql.SQL("SELECT ctid, {} FROM {} WHERE {} AND superseded_commit_no IS NULL").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table), _equal(key)
        ),
        list(key.values()),
    ).fetchall()
    said: list[tuple[Any, ...]] = [
        (*(row.facts.get(f) for f in facts), row.valid_from, row.valid_to) for row in wanted
    ]
    unsaid = [row[0] for row in current if tuple(row[1:]) not in said]
    held: list[tuple[Any, ...]] = [tuple(row[1:]) for row in current]
    before, after = (
        [(dict(zip(facts, values, strict=False)), values[-2], values[-1]) for values in rows]
        for rows in (held, said)
    )
    author.changed.extend(changed_spans(table, before, after))
    for ctid in unsaid:
        connection.execute(
            sql.SQL("UPDATE {} SET superseded_commit_no = %s WHERE ctid = %s::tid").format(
                sql.Identifier(table)
            ),
            (author.commit_no, ctid),
        )
    new = [values for values in said if values not in held]
    extra = {"author": author.name, "commit_no": author.commit_no}
    if with_reason:
        extra["reason"] = author.reason
    names = [*key, *columns, *extra]
    for values in new:
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(sql.Placeholder() * len(names)),
            ),
            [*key.values(), *values, *extra.values()],
        )
    return len(unsaid) + len(new)


def _equal(key: Mapping[str, Any]) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in key
    )
