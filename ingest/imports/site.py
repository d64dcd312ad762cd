"""Find what an import refers to, and open its stream."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from ingest.errors import ImportRefusedError
from ingest.imports.table_file import ImportMapping

__all__ = ["ImportSite", "find_site", "open_import"]


@dataclass(frozen=True, slots=True)
class ImportSite:
    """A site with its zone, points and products by code."""

    site_id: int
    zone: zoneinfo.ZoneInfo
    points: dict[str, int]
    products: dict[str, int]


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


def open_import(
    connection: psycopg.Connection[Any],
    stream: UUID,
    digest: bytes,
    mapping: ImportMapping,
    author: str,
) -> int:
    """Open the stream of an import, or find it again; return its number."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO stream (stream, origin, source, content_sha256, simulated, label_zh,"
            " label_en, author) VALUES (%s, 'import', %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                stream, mapping.source, digest, mapping.synthetic is not None,
                mapping.synthetic and mapping.synthetic.zh,
                mapping.synthetic and mapping.synthetic.en, author,
            ),
        )  # fmt: skip
        row = connection.execute(
            "SELECT stream_no FROM stream WHERE stream = %s", (stream,)
        ).fetchone()
        assert row is not None  # inserted above, or there before
        connection.execute(
            "INSERT INTO stream_state (stream_no) VALUES (%s) ON CONFLICT DO NOTHING", row
        )
    return int(row[0])
