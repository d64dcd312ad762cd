"""Readings that are there already: the same value is skipped, another one is a finding (D16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from enpilot.database.binary_copy import POSTGRES_EPOCH_US, copy_rows, row_type
from enpilot.wire import QualityFlag
from ingest.rows import KIND_INT, KIND_NULL, KIND_REAL, Readings

__all__ = ["Present", "compare", "others_there", "refresh_latest", "void"]

_ROW: Final = row_type(place="int8", kind="int4", whole="int8", real="float8")
_KEY: Final = row_type(series="int4", ts="timestamptz", batch="int8")
_DERIVED: Final = int(QualityFlag.DERIVED)
_INSTANT: Final = "timestamptz 'epoch' + {} * interval '1 microsecond'"


@dataclass(frozen=True, slots=True)
class Present:
    """What a file's readings meet; masks and numbers of shape (n,).

    ``whole`` and ``real`` are what is there, where ``differs``.
    """

    same: NDArray[np.bool_]
    differs: NDArray[np.bool_]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]

    def shown(self, i: int, kind: int) -> str:
        """Return what is there, as a number."""
        return str(int(self.whole[i])) if kind == KIND_INT else repr(float(self.real[i]))


def compare(connection: psycopg.Connection[Any], rows: Readings) -> Present:
    """Look up what counts already at the series and instants of some readings.

    An empty cell is no other value: it says nothing against what is there.
    """
    n = len(rows)
    same, differs = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    whole, real = np.zeros(n, np.int64), np.zeros(n, np.float64)
    chosen = np.flatnonzero(np.isin(rows.series_id, _series_with_readings(connection, rows)))
    if not len(chosen):
        return Present(same, differs, whole, real)
    found = copy_rows(
        connection,
        "SELECT u.place, CASE WHEN r.raw_int IS NOT NULL THEN 0 WHEN r.raw_real IS NOT NULL THEN 1"
        " ELSE 2 END, coalesce(r.raw_int, 0), coalesce(r.raw_real, 0)"
        " FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS u(s, t, place)"
        f" JOIN counted_reading r ON r.series_id = u.s AND r.ts = {_INSTANT.format('u.t')}"
        f" WHERE r.ts BETWEEN {_INSTANT.format('%s::bigint')} AND {_INSTANT.format('%s::bigint')}"
        f" AND (r.quality & {_DERIVED}) = 0"  # an amount that ends here is no other register
        " ORDER BY u.place, r.batch DESC",  # the lowest batch wins
        (
            rows.series_id[chosen].tolist(), rows.ts_us[chosen].tolist(), chosen.tolist(),
            int(rows.ts_us[chosen].min()), int(rows.ts_us[chosen].max()),
        ),
        _ROW,
    )  # fmt: skip
    place = found["place"].astype(np.int64)
    kind, there = found["kind"].astype(np.int64), found["whole"].astype(np.int64)
    whole[place] = there
    real[place] = np.where(kind == KIND_INT, there, found["real"].astype(np.float64))
    of_file = rows.kind[place]
    equal = (
        (of_file == KIND_NULL)
        | ((of_file == KIND_INT) & (kind == KIND_INT) & (rows.whole[place] == there))
        | ((of_file == KIND_REAL) & (kind != KIND_NULL) & (rows.real[place] == real[place]))
        # A place whose value was not known is filled, not contradicted.
    )
    held = kind != KIND_NULL
    same[place] = equal & (held | (of_file == KIND_NULL))
    differs[place] = ~equal & held
    return Present(same, differs, whole, real)


def _series_with_readings(connection: psycopg.Connection[Any], rows: Readings) -> list[int]:
    """Return the series that have any reading in the time of the rows: mostly none, and cheap."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT s FROM unnest(%s::int[]) AS u(s) WHERE EXISTS (SELECT FROM reading"
            f" WHERE series_id = s AND ts BETWEEN {_INSTANT.format('%s::bigint')}"
            f" AND {_INSTANT.format('%s::bigint')})",
            (np.unique(rows.series_id).tolist(), int(rows.ts_us.min()), int(rows.ts_us.max())),
        )
    ]


def others_there(
    connection: psycopg.Connection[Any],
    series_id: NDArray[np.int32],
    ts_us: NDArray[np.int64],
    batch: int,
    *,
    derived: bool,
) -> NDArray[np.void]:
    """Return series, ts and batch of every reading at some instants but those of ``batch``.

    Either of registers that were read, or of those ``derived`` from amounts. Also
    those that do not count now: whatever is brought back later must stay superseded.
    """
    return copy_rows(
        connection,
        "SELECT r.series_id, r.ts, r.batch FROM unnest(%s::int[], %s::bigint[]) AS u(s, t)"
        f" JOIN reading r ON r.series_id = u.s AND r.ts = {_INSTANT.format('u.t')}"
        f" WHERE r.ts BETWEEN {_INSTANT.format('%s::bigint')} AND {_INSTANT.format('%s::bigint')}"
        f" AND r.batch <> %s AND ((r.quality & {_DERIVED}) <> 0) = %s",
        (series_id.tolist(), ts_us.tolist(), int(ts_us.min()), int(ts_us.max()), batch, derived),
        _KEY,
    )


def void(
    connection: psycopg.Connection[Any],
    readings: NDArray[np.void],
    by_batch: int,
    author: str,
    reason: str,
    commit_no: int,
) -> None:
    """Take readings out because the batch of an import says otherwise."""
    if not len(readings):
        return
    connection.execute(
        "INSERT INTO reading_correction (kind, series_id, ts, batch, origin, by_batch, author,"
        f" reason, commit_no) SELECT DISTINCT 'void', s, {_INSTANT.format('t')}, b, 'import',"
        " %s::bigint, %s::text, %s::text, %s::bigint"
        " FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS u(s, t, b)",
        (
            by_batch, author, reason, commit_no, readings["series"].astype(np.int64).tolist(),
            (readings["ts"].astype(np.int64) + POSTGRES_EPOCH_US).tolist(),
            readings["batch"].astype(np.int64).tolist(),
        ),
    )  # fmt: skip


def refresh_latest(connection: psycopg.Connection[Any], series_ids: list[int]) -> None:
    """Let ``latest`` show a reading that counts, where the one it shows no longer does."""
    connection.execute(
        "WITH gone AS (SELECT l.series_id, l.ts, l.batch FROM latest l"
        "  WHERE l.series_id = ANY(%s) AND NOT EXISTS (SELECT FROM counted_reading c"
        "   WHERE c.series_id = l.series_id AND c.ts = l.ts AND c.batch = l.batch)),"
        " dropped AS (DELETE FROM latest l USING gone g WHERE l.series_id = g.series_id"
        "  AND l.ts = g.ts AND l.batch = g.batch"
        "  AND NOT EXISTS (SELECT FROM counted_reading c WHERE c.series_id = g.series_id))"
        " UPDATE latest l SET ts = n.ts, raw_int = n.raw_int, raw_real = n.raw_real,"
        " quality = n.quality, batch = n.batch"
        " FROM gone g CROSS JOIN LATERAL (SELECT c.* FROM counted_reading c"
        "  WHERE c.series_id = g.series_id ORDER BY c.ts DESC, c.batch LIMIT 1) n"
        " WHERE l.series_id = g.series_id AND l.ts = g.ts AND l.batch = g.batch",
        (series_ids,),
    )
