"""The text beside each file: what a reader needs who has neither this program nor its database."""

from __future__ import annotations

import json
from typing import Any, Final

import psycopg
from psycopg import sql

from enpilot.archive.manifest import Span
from enpilot.archive.months import Month
from enpilot.wire import Quality, QualityFlag

__all__ = ["FORMAT", "describe"]

FORMAT: Final = "enpilot readings archive 1"
_COLUMNS: Final = {
    "ts": "instant, UTC [us]: the scheduled instant if the register was read within a second of it,"
    " else the instant of reading",
    "series_id": "which series, see series",
    "raw_int": "the register's own whole number, unscaled; null if it is a real number or was bad",
    "raw_real": "the register's own real number, unscaled; null if it is whole or was bad",
    "quality": "low byte: 0 is good, see quality; high byte: flags, see quality_flags",
    "late_ms": "read so many milliseconds after ts",
    "batch": "stream_no * 2^32 + seq: which batch of which stream brought it, see streams",
}
_CONTENT_HASH: Final = (
    "SHA-256 over the rows in order of series_id, ts, batch, kind, raw_int, raw_real (as the"
    " integer of its bits), quality, late_ms. A row is 42 bytes, little-endian: series_id int32, ts"
    " int64 [us since 1970-01-01T00:00Z], kind int16 (0 neither number, 1 raw_int, 2 raw_real),"
    " raw_int int64, raw_real float64 (0 where null), quality int16, late_ms int16, batch int64"
)
_MEANING: Final = (
    "A counter's amount is the advance of its register between two instants times scale. A gauge's"
    " value is raw * scale + offset. An epoch holds from valid_from to before valid_to. A record"
    " with superseded_commit_no was replaced by a later one and is kept as history."
)


def describe(
    connection: psycopg.Connection[Any],
    site_id: int,
    enterprise: str | None,
    month: Month,
    span: Span,
    streams: list[int],
    facts: dict[str, object],
) -> str:
    """Return the description of a file as JSON.

    Parameters
    ----------
    connection
        In the transaction that read the rows.
    site_id, enterprise, month, span
        What the file holds.
    streams
        Numbers of the streams that brought its rows.
    facts
        Row count and hashes.
    """
    site = connection.execute("SELECT code FROM site WHERE site_id = %s", (site_id,)).fetchone()
    assert site is not None  # the month was found by it
    document = {
        "format": FORMAT,
        "site": site[0],
        "enterprise": enterprise,
        "month": str(month),
        "from": span[0].isoformat(),
        "to": span[1].isoformat(),
        **facts,
        "columns": _COLUMNS,
        "content_hash": _CONTENT_HASH,
        "meaning": _MEANING,
        "quality": {quality.value: quality.name for quality in Quality},
        "quality_flags": {flag.value: flag.name for flag in QualityFlag},
        "site_records": _rows(connection, "site_record", "site_id = %s", (site_id,)),
        "series": _series(connection, site_id),
        "streams": _streams(connection, streams),
        "retractions": _rows(connection, "retraction", "stream_no = ANY(%s)", (streams,)),
    }
    return json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n"


def _series(connection: psycopg.Connection[Any], site_id: int) -> list[dict[str, object]]:
    found = connection.execute(
        "SELECT s.series_id, p.code, p.medium, s.quantity, s.channel FROM series s"
        " JOIN point p USING (point_id) WHERE s.site_id = %s ORDER BY s.series_id",
        (site_id,),
    ).fetchall()
    return [
        {
            "series_id": series_id,
            "point": point,
            "medium": medium,
            "quantity": quantity,
            "channel": channel,
            "epochs": _rows(connection, "series_epoch", "series_id = %s", (series_id,)),
        }
        for series_id, point, medium, quantity, channel in found
    ]


def _streams(connection: psycopg.Connection[Any], streams: list[int]) -> list[dict[str, object]]:
    return _rows(connection, "stream", "stream_no = ANY(%s)", (streams,))


def _rows(
    connection: psycopg.Connection[Any], table: str, where: str, values: tuple[object, ...]
) -> list[dict[str, object]]:
    query = sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE {} ORDER BY 1").format(
        sql.Identifier(table),
        sql.SQL(where),
    )
    return [row[0] for row in connection.execute(query, values)]
