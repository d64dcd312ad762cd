"""Versioned entries with a business key: the same again is nothing, another value a new version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

__all__ = [
    "DECLARED",
    "ENERGY",
    "MANUAL",
    "OUTPUT",
    "VALUE_ADDED",
    "VARIABLES",
    "Entry",
    "EntryKind",
    "Planned",
    "bring_back",
    "lock_entries",
    "plan_entries",
    "write_entries",
]


@dataclass(frozen=True, slots=True)
class EntryKind:
    """A table of entries: its number, what identifies an entry, and what it says.

    ``name`` is what an import of it is called; ``signed`` whether figures that are signed when a
    period closes are made of it.
    """

    name: str
    table: str
    number: str
    key: tuple[str, ...]
    value: tuple[str, ...]
    extra: tuple[str, ...] = ()
    signed: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything that an entry itself says."""
        return (*self.key, *self.value, *self.extra)


OUTPUT: Final = EntryKind(
    "output",
    "output",
    "output_id",
    ("product_id", "line", "stage", "disposition", "from_ts", "to_ts"),
    ("quantity",),
    ("booked_at", "lot"),
)
ENERGY: Final = EntryKind(
    "energy",
    "energy_ledger",
    "entry_id",
    ("medium", "kind", "document", "from_ts", "to_ts"),
    ("quantity", "unit", "calorific_value_kj_per_kg", "moisture_share"),
)
MANUAL: Final = EntryKind(
    "manual",
    "manual_reading",
    "manual_reading_id",
    ("series_id", "ts"),
    ("level", "unit", "resolution", "plus_minus_s", "person", "photo_name", "photo_sha256", "note"),
    ("role",),
)
VARIABLES: Final = EntryKind(
    "variables",
    "relevant_variable_value",
    "value_id",
    ("relevant_variable_id", "from_ts", "to_ts"),
    ("value",),
    signed=False,
)
VALUE_ADDED: Final = EntryKind(
    "value_added",
    "value_added",
    "value_added_id",
    ("enterprise_id", "price_year", "from_ts", "to_ts"),
    ("value_yuan",),
    ("period_from", "period_to", "deflator", "published"),
)
DECLARED: Final = EntryKind(
    "declared",
    "declared_total",
    "declared_total_id",
    ("medium", "from_ts", "to_ts"),
    ("quantity", "unit", "tce", "document"),
    signed=False,
)
_PROVENANCE: Final = ("source", "synthetic")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the line that says it, what identifies it, what it says, what is kept with it."""

    line: int
    key: tuple[Any, ...]
    value: tuple[Any, ...]
    extra: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """What entries would become.

    ``new`` have no current version; ``differing`` have one that says something else, which is given
    with its number and version; ``present`` say what is there.
    """

    new: list[Entry]
    differing: list[tuple[Entry, tuple[Any, ...], int, int]]
    present: int


def lock_entries(connection: psycopg.Connection[Any], site_id: int) -> None:
    """Let one import at a time change a site's entries; held until the transaction ends."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.import', %s))", (site_id,)
    )


def plan_entries(
    connection: psycopg.Connection[Any],
    kind: EntryKind,
    site_id: int,
    entries: Sequence[Entry],
    span: tuple[dt.datetime, dt.datetime] | None = None,
) -> Planned:
    """Compare entries with the current ones of a site.

    Parameters
    ----------
    span
        First and last ``from_ts`` of the entries, where that saves looking at all that there is.
    """
    width = len(kind.key)

    current = {
        tuple(row[2 : 2 + width]): (tuple(row[2 + width :]), row[0], row[1])
        for row in connection.execute(
            sql.SQL(
                "SELECT {}, version, {} FROM {}"
                " WHERE site_id = %s AND superseded_commit_no IS NULL{}"
            ).format(
                sql.Identifier(kind.number),
                sql.SQL(", ").join(map(sql.Identifier, (*kind.key, *kind.value))),
                sql.Identifier(kind.table),
                sql.SQL("" if span is None else " AND from_ts BETWEEN %s AND %s"),
            ),
            (site_id, *(span or ())),
        )
    }
    new: list[Entry] = []
    differing: list[tuple[Entry, tuple[Any, ...], int, int]] = []
    present = 0
    for entry in entries:
        held = current.get(entry.key)
        if held is None:
            new.append(entry)
        elif held[0] == entry.value:
            present += 1
        else:
            differing.append((entry, *held))
    return Planned(new, differing, present)


def write_entries(
    connection: psycopg.Connection[Any],
    kind: EntryKind,
    planned: Planned,
    provenance: Mapping[str, Any],
    *,
    supersede: bool,
) -> int:
    """Insert new entries, and new versions of differing ones if they supersede; return how many.

    Parameters
    ----------
    provenance
        Site, source, batch, author, reason, commit_no and the like: the same for all.
    """
    rows = [(1, e) for e in planned.new]
    if supersede and planned.differing:
        connection.execute(
            sql.SQL("UPDATE {} SET superseded_commit_no = %s WHERE {} = ANY(%s)").format(
                sql.Identifier(kind.table), sql.Identifier(kind.number)
            ),
            (provenance["commit_no"], [number for *_, number, _ in planned.differing]),
        )
        rows += [(version + 1, e) for e, _, _, version in planned.differing]
    columns = (*provenance, "version", *kind.columns)
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(kind.table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for version, entry in rows:
            copy.write_row((*provenance.values(), version, *entry.key, *entry.value, *entry.extra))
    return len(rows)


def bring_back(
    connection: psycopg.Connection[Any],
    kind: EntryKind,
    stream_no: int,
    author: str,
    reason: str,
    commit_no: int,
) -> tuple[int, list[dict[str, Any]]]:
    """Supersede the current entries of a stream, and let what they had superseded count again.

    What counts again is the newest earlier version of the same key that no retraction took out,
    inserted anew under the batch it came in: a later retraction of that one finds it.

    Returns
    -------
    int, list
        Entries taken out, and the keys concerned.
    """
    low, high = stream_no << 32, stream_no + 1 << 32
    names = sql.SQL(", ").join(map(sql.Identifier, kind.key))
    gone = connection.execute(
        sql.SQL(
            "UPDATE {} SET superseded_commit_no = %s WHERE batch >= %s AND batch < %s"
            " AND superseded_commit_no IS NULL RETURNING site_id, version, {}"
        ).format(sql.Identifier(kind.table), names),
        (commit_no, low, high),
    ).fetchall()
    kept = sql.SQL(", ").join(
        map(sql.Identifier, ("site_id", *_PROVENANCE, "batch", *kind.columns))
    )
    same_key = sql.SQL(" AND ").join(
        sql.SQL("t.{} = %s").format(sql.Identifier(name)) for name in ("site_id", *kind.key)
    )
    for site_id, version, *key in gone:
        if version == 1:
            continue
        connection.execute(
            sql.SQL(
                "INSERT INTO {table} ({kept}, version, author, reason, commit_no)"
                " SELECT {kept}, %s, %s, %s, %s FROM {table} t WHERE {same_key}"
                " AND t.version < %s AND NOT EXISTS (SELECT FROM retraction r"
                "  WHERE r.superseded_commit_no IS NULL AND r.stream_no = (t.batch >> 32)"
                "  AND (t.batch & 4294967295) BETWEEN r.from_seq AND r.to_seq)"
                " ORDER BY t.version DESC LIMIT 1"
            ).format(table=sql.Identifier(kind.table), kept=kept, same_key=same_key),
            (version + 1, author, reason, commit_no, site_id, *key, version),
        )
    return len(gone), [{"site_id": row[0], **dict(zip(kind.key, row[2:], strict=True))}
                       for row in gone]  # fmt: skip
