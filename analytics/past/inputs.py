"""One hash over everything that a site's figures of a period are computed of (F13, F29)."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from analytics.past.shadow import classify
from enpilot.archive import readings_around

__all__ = ["inputs_hash"]

# How the rows of a fact are found that belong to a site, by the first of these columns it has. A
# fact with none of them, a published factor, belongs to all.
_OWNERS: Final = {
    "site_id": "{0} = %(site)s",
    "series_id": "{0} IN (SELECT series_id FROM series WHERE site_id = %(site)s)",
    "point_id": "{0} IN (SELECT point_id FROM point WHERE site_id = %(site)s)",
    "product_id": "{0} IN (SELECT product_id FROM product WHERE site_id = %(site)s)",
    "enpi_id": "{0} IN (SELECT enpi_id FROM enpi WHERE site_id = %(site)s)",
    "area_id": "{0} IN (SELECT area_id FROM area WHERE site_id = %(site)s)",
    "scheme_id": "{0} IN (SELECT scheme_id FROM scheme WHERE site_id = %(site)s)",
    "enterprise_id": "{0} IN (SELECT enterprise_id FROM site_enterprise WHERE site_id = %(site)s)",
    "installation_id": "{0} IN (SELECT installation_id FROM installation JOIN point"
    " USING (point_id) WHERE site_id = %(site)s)",
}
# Who may send, what rings, whose batch it was: no figure depends on them.
_NO_INPUT: Final = frozenset({
    "agent_grant", "alert_mute", "alert_preset_record", "alert_rule_record", "batch_ledger",
    "correction_decision", "ingest_database", "lost_range",
})  # fmt: skip
_SPANS: Final = (("valid_from", "valid_to"), ("from_ts", "to_ts"), ("ts", "ts"))


def inputs_hash(
    connection: psycopg.Connection[Any], site_id: int, since: dt.datetime, until: dt.datetime
) -> bytes:
    """Hash what the figures of a site in [since, until) are computed of, in one order.

    Batches with the hash of their bytes as the ledger keeps it, what is retracted of them, the
    archive's files, and every fact that holds in the period. The same inputs give the same hash on
    any machine; one reading, correction or factor more gives another.

    Parameters
    ----------
    connection
        As a role that may read ``reading``.
    site_id
        The site.
    since, until
        The period.

    Returns
    -------
    bytes
        SHA-256, 32 bytes.
    """
    digest = hashlib.sha256()
    for record in (
        *_batches(connection, site_id, since, until),
        *_facts(connection, site_id, since, until),
    ):
        digest.update(len(record).to_bytes(8, "big"))
        digest.update(record)
    return digest.digest()


def _batches(
    connection: psycopg.Connection[Any], site_id: int, since: dt.datetime, until: dt.datetime
) -> Iterator[bytes]:
    series = [
        row[0]
        for row in connection.execute(
            "SELECT series_id FROM series WHERE site_id = %s ORDER BY 1", (site_id,)
        )
    ]
    # The readings next to the period decide what the advance at its ends is.
    around = readings_around(connection, series, [since] * len(series), [until] * len(series))
    low = min([since, *(before for before, _ in around if before is not None)])
    high = max([until, *(after for _, after in around if after is not None)])
    for stream, seq, sha256, retracted in connection.execute(
        "SELECT t.stream::text, b.batch & 4294967295,"
        # Of a folded batch the digest of its fold is all that is left.
        " coalesce(l.sha256, (SELECT f.digest FROM batch_fold f WHERE f.stream_no = t.stream_no"
        "  AND b.batch & 4294967295 BETWEEN f.from_seq AND f.to_seq)),"
        " EXISTS (SELECT FROM retracted_batch x WHERE b.batch BETWEEN x.from_batch AND x.to_batch)"
        " FROM (SELECT DISTINCT batch FROM (SELECT series_id, ts, batch FROM reading"
        "  UNION ALL SELECT series_id, ts, batch FROM kept_reading) r"
        "  WHERE series_id = ANY(%s) AND ts >= %s AND ts <= %s) b"
        " JOIN stream t ON t.stream_no = b.batch >> 32"
        " LEFT JOIN batch_ledger l ON l.stream_no = t.stream_no"
        "  AND l.seq = b.batch & 4294967295 ORDER BY 1, 2",
        (series, low, high),
    ):
        yield f"batch {stream} {seq} {bytes(sha256 or b'').hex()} {retracted}".encode()
    for month, content in connection.execute(
        "SELECT month::text, content_sha256 FROM archive_file WHERE site_id = %s"
        " AND dropped_at IS NOT NULL AND first_ts < %s AND last_ts >= %s ORDER BY month, 2",
        (site_id, until, since),
    ):
        yield f"archive {month} {bytes(content).hex()}".encode()


def _facts(
    connection: psycopg.Connection[Any], site_id: int, since: dt.datetime, until: dt.datetime
) -> Iterator[bytes]:
    for table in classify(connection).facts:
        if table in _NO_INPUT:
            continue
        columns = [
            row[0]
            for row in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped",
                (table,),
            )
        ]
        tests = ["superseded_commit_no IS NULL"] if "superseded_commit_no" in columns else []
        tests += [_OWNERS[c].format(c) for c in _OWNERS if c in columns][:1]
        for low, high in _SPANS:
            if low in columns and high in columns:
                tests += [f"{low} < %(until)s", f"({high} IS NULL OR {high} >= %(since)s)"]
        query = sql.SQL(
            'SELECT to_jsonb(t)::text FROM {} t {} ORDER BY to_jsonb(t)::text COLLATE "C"'
        ).format(
            sql.Identifier(table),
            sql.SQL("WHERE " + " AND ".join(tests) if tests else ""),
        )
        for (row,) in connection.execute(query, {"site": site_id, "since": since, "until": until}):
            yield f"{table} {row}".encode()
