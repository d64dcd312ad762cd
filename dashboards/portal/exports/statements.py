"""A dataset read whole through a server-side cursor, or page by page by its key."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import tuple_row

from dashboards.portal.exports.columns import Column
from dashboards.portal.exports.datasets import Dataset
from dashboards.portal.period import Period, parse_period
from dashboards.portal.site import Site

__all__ = ["BATCH", "Slice", "Table", "decode_after", "open_slice", "open_table"]

BATCH: Final = 2000  # rows fetched and written together: memory does not grow with the export


@dataclass(frozen=True, kw_only=True)
class Table:
    """An opened export: everything that is asked for, in batches from a server-side cursor."""

    dataset: str
    names: tuple[str, str]
    columns: list[Column]
    count: int
    unverified: int
    synthetic: int
    period: Period | None
    batches: Iterator[Sequence[Sequence[Any]]]
    unknown: Sequence[str] = ()  # series that were asked for and are none


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One page of rows; ``next`` is what ``after`` of the following one is."""

    timezone: str
    data_version: int | None
    demonstration: str | None  # what is made up here
    columns: list[Column]
    rows: list[list[Any]]
    next: str | None


def open_table(
    connection: psycopg.Connection[Any], site: Site, dataset: Dataset, asked: Mapping[str, str]
) -> Table:
    """Count what is asked for, and open it; batches must be read inside the same transaction."""
    query, values, period = _statement(site, dataset, asked)
    start = query.index(" FROM ")
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {dataset.unverified}),"
        f" count(*) FILTER (WHERE {dataset.synthetic}){query[_from(query, start) :]}",
        values,
    ).fetchone()
    assert row is not None  # a count is one row
    ordered = f"{query} ORDER BY {', '.join(dataset.key)}"
    return Table(
        dataset=dataset.code, names=dataset.names, columns=dataset.described(), count=row[0],
        unverified=row[1], synthetic=row[2], period=period,
        batches=_batches(connection, ordered, values),
    )  # fmt: skip


def _from(query: str, start: int) -> int:
    """Return where the outermost FROM begins: those inside brackets are of a column."""
    while query[:start].count("(") != query[:start].count(")"):
        start = query.index(" FROM ", start + 1)
    return start


def _batches(
    connection: psycopg.Connection[Any], query: str, values: Mapping[str, Any]
) -> Iterator[Sequence[Sequence[Any]]]:
    with connection.cursor("enpilot_export", row_factory=tuple_row) as cursor:
        cursor.itersize = BATCH
        cursor.execute(query.encode(), values)
        while rows := cursor.fetchmany(BATCH):
            yield rows


def open_slice(
    connection: psycopg.Connection[Any],
    site: Site,
    dataset: Dataset,
    asked: Mapping[str, str],
    limit: int,
    after: Sequence[str | int] | None,
) -> Slice:
    """Read the rows that follow ``after``, by the key: no page is missed when rows come between.

    Parameters
    ----------
    limit
        Rows at most.
    after
        The key of the last row of the page before; None begins.
    """
    query, values, _ = _statement(site, dataset, asked)
    key = ", ".join(dataset.key)
    if after is not None:
        places = ", ".join(f"%(after{i})s" for i in range(len(after)))
        query += f" AND ({key}) > ({places})"
        values = {**values, **{f"after{i}": value for i, value in enumerate(after)}}
    start = _from(query, query.index(" FROM "))
    rows = connection.execute(
        f"{query[:start]}, {key}{query[start:]} ORDER BY {key} LIMIT %(limit)s".encode(),
        {**values, "limit": limit + 1},
    ).fetchall()
    columns = dataset.described()
    width = len(columns)
    following = None
    if len(rows) > limit:
        following = _encode_after(rows[limit - 1][width:])
    return Slice(
        timezone=site.timezone,
        data_version=site.data_version,
        demonstration=site.demonstration_en,
        columns=columns,
        rows=[list(row[:width]) for row in rows[:limit]],
        next=following,
    )


def _statement(
    site: Site, dataset: Dataset, asked: Mapping[str, str]
) -> tuple[str, dict[str, Any], Period | None]:
    values: dict[str, Any] = {"site": site.site_id}
    period = parse_period(asked.get("t"), site.today)
    condition = "true"
    if period is not None:
        condition = dataset.period
        values |= {"first": period.first, "end": period.end, "since": site.midnight(period.first),
                   "until": site.midnight(period.end)}  # fmt: skip
    wanted = ""
    for name, expression in dataset.wanted.items():
        if asked.get(name):
            wanted += f" AND {expression} = %({name})s"
            values[name] = asked[name]
    if "series" in dataset.required:
        text = asked.get("series", "")
        values["series"] = int(text) if text.isascii() and text.isdigit() else None
    return dataset.query.format(period=condition, wanted=wanted), values, period


def _encode_after(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_after(text: str) -> list[str | int] | None:
    """Return the key that an ``after`` holds, None if it is not one."""
    try:
        padded = text + "=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=list[str | int])
    except (ValueError, msgspec.MsgspecError):
        return None
