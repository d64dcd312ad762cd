"""Find what an import refers to, and open its stream."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from ingest.errors import ImportRefusedError
from ingest.imports.mapping import ImportMapping
from ingest.imports.table_file import Table, import_stream

__all__ = ["ImportSite", "OpenImport", "find_site", "name_import", "open_import"]


@dataclass(frozen=True, slots=True)
class ImportSite:
    """A site with its zone, points and products by code."""

    site_id: int
    zone: zoneinfo.ZoneInfo
    points: dict[str, int]
    products: dict[str, int]


@dataclass(frozen=True, slots=True)
class OpenImport:
    """An import's name and number; ``stream_no`` is 0 as long as nothing of it is written."""

    stream: UUID
    digest: bytes
    stream_no: int


def find_site(connection: psycopg.Connection[Any], code: str, file: Path) -> ImportSite:
    """Return a site; raises `ImportRefusedError` naming the file that refers to it."""
    with connection.transaction():
        row = connection.execute(
            "SELECT s.site_id, r.timezone FROM site s JOIN site_record r USING (site_id)"
            " WHERE s.code = %s AND r.superseded_commit_no IS NULL"
            " ORDER BY r.valid_from DESC LIMIT 1",
            (code,),
        ).fetchone()
        if row is None:
            raise ImportRefusedError(
                file, [f"no site {code!r}: import its plant file first - at `$.site`"]
            )
        points = connection.execute(
            "SELECT code, point_id FROM point WHERE site_id = %s", (row[0],)
        ).fetchall()
        products = connection.execute(
            "SELECT code, product_id FROM product WHERE site_id = %s", (row[0],)
        ).fetchall()
    return ImportSite(row[0], zoneinfo.ZoneInfo(row[1]), dict(points), dict(products))


def name_import(
    connection: psycopg.Connection[Any], table: Table, mapping: ImportMapping, *, supersede: bool
) -> OpenImport:
    """Name an import by what it is made of.

    After a retraction the same file is a new import, and so is a superseding one that had been
    done: what it replaced then may have been replaced since.
    """
    attempt = 1
    while True:
        stream, digest = import_stream(table, mapping, supersede=supersede, attempt=attempt)
        row = connection.execute(
            "SELECT s.stream_no, i.retracted OR (i.complete AND %s)"
            " FROM stream s JOIN import_state i USING (stream_no) WHERE s.stream = %s",
            (supersede, stream),
        ).fetchone()
        if row is None:
            return OpenImport(stream, digest, 0)
        if not row[1]:
            return OpenImport(stream, digest, row[0])
        attempt += 1


def open_import(
    connection: psycopg.Connection[Any],
    named: OpenImport,
    site: ImportSite,
    kind: str,
    table: Table,
    mapping: ImportMapping,
    author: str,
    *,
    supersede: bool,
    batches: int,
    extent: tuple[dt.datetime | None, dt.datetime | None],
) -> int:
    """Open the stream of an import, or find it again; return its number."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO stream (stream, origin, source, content_sha256, simulated, label_zh,"
            " label_en, author) VALUES (%s, 'import', %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                named.stream, mapping.source, named.digest, mapping.synthetic is not None,
                mapping.synthetic and mapping.synthetic.zh,
                mapping.synthetic and mapping.synthetic.en, author,
            ),
        )  # fmt: skip
        row = connection.execute(
            "SELECT stream_no FROM stream WHERE stream = %s", (named.stream,)
        ).fetchone()
        assert row is not None  # inserted above, or there before
        connection.execute(
            "INSERT INTO stream_state (stream_no) VALUES (%s) ON CONFLICT DO NOTHING", row
        )
        connection.execute(
            "INSERT INTO import_run (stream_no, site_id, kind, file_name, mapping, superseding,"
            " batches, first_ts, last_ts) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                row[0], site.site_id, kind, table.file.name,
                json.dumps(msgspec.to_builtins(mapping), ensure_ascii=False), supersede, batches,
                *extent,
            ),
        )  # fmt: skip
    return int(row[0])
