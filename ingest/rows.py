"""Readings as arrays, and the bytes that COPY BINARY wants.

The columns of the table ``reading`` in PostgreSQL's binary format are laid out once as numpy
structured arrays of big-endian fields, so that encoding a group of batches is one ``tobytes``
instead of a loop over rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from enpilot.wire import GroupReadings, Quality, Refusal
from ingest.errors import RefusedError

__all__ = [
    "COPY_READINGS",
    "KIND_INT",
    "KIND_NULL",
    "KIND_REAL",
    "Readings",
    "batch_number",
    "concatenate",
    "copy_bytes",
    "group_rows",
]

COPY_READINGS: Final = (
    "COPY reading (ts, series_id, raw_int, raw_real, quality, late_ms, batch)"
    " FROM STDIN (FORMAT binary)"
)
_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER: Final = b"\xff\xff"
_POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z

# field count, then (length, value) for each column; NULL is length -1 and no bytes.
_INT_ROW: Final = np.dtype(
    [("n", ">i2"), ("l0", ">i4"), ("ts", ">i8"), ("l1", ">i4"), ("series", ">i4"),
     ("l2", ">i4"), ("int", ">i8"), ("l3", ">i4"), ("l4", ">i4"), ("quality", ">i2"),
     ("l5", ">i4"), ("late", ">i2"), ("l6", ">i4"), ("batch", ">i8")]
)  # fmt: skip
_REAL_ROW: Final = np.dtype(
    [("n", ">i2"), ("l0", ">i4"), ("ts", ">i8"), ("l1", ">i4"), ("series", ">i4"),
     ("l2", ">i4"), ("l3", ">i4"), ("real", ">f8"), ("l4", ">i4"), ("quality", ">i2"),
     ("l5", ">i4"), ("late", ">i2"), ("l6", ">i4"), ("batch", ">i8")]
)  # fmt: skip
_NULL_ROW: Final = np.dtype(
    [("n", ">i2"), ("l0", ">i4"), ("ts", ">i8"), ("l1", ">i4"), ("series", ">i4"),
     ("l2", ">i4"), ("l3", ">i4"), ("l4", ">i4"), ("quality", ">i2"),
     ("l5", ">i4"), ("late", ">i2"), ("l6", ">i4"), ("batch", ">i8")]
)  # fmt: skip

_Number = TypeVar("_Number", bound=np.generic)

KIND_INT: Final = 0
KIND_REAL: Final = 1
KIND_NULL: Final = 2
_INT64_MAX: Final = 2**63 - 1
_MAX_LATE_MS: Final = 32_767


@dataclass(frozen=True, slots=True)
class Readings:
    """Rows of ``reading`` by column, all of shape (n,).

    ``ts_us`` is the instant [µs since 1970, UTC]; ``kind`` says whether ``whole`` (bigint),
    ``real`` (float8) or neither holds the number.
    """

    ts_us: NDArray[np.int64]
    series_id: NDArray[np.int32]
    kind: NDArray[np.int8]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]
    quality: NDArray[np.int16]
    late_ms: NDArray[np.int16]
    batch: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ts_us)

    def take(self, index: NDArray[np.intp]) -> Readings:
        """Return the rows of ``index``."""
        return Readings(
            self.ts_us[index], self.series_id[index], self.kind[index], self.whole[index],
            self.real[index], self.quality[index], self.late_ms[index], self.batch[index],
        )  # fmt: skip


def batch_number(stream_no: int, seq: int) -> int:
    """Return the number by which a reading names its batch: stream in the high half (D1)."""
    return stream_no << 32 | seq


def group_rows(
    group: GroupReadings, series_ids: list[int], whole_numbers: list[bool], batch: int
) -> Readings:
    """Turn one group of a batch into rows.

    Parameters
    ----------
    group
        Columns as they came over the wire.
    series_ids, whole_numbers
        For each column its series, and whether its register is an integer.
    batch
        See `batch_number`.

    Raises
    ------
    RefusedError
        SHAPE if the columns do not fit the birth or each other, OVERFLOW if a number does not fit
        its column.
    """
    n = len(group.dt)
    columns = len(series_ids)
    if len(group.late_ms) != n or len(group.values) != columns:
        raise RefusedError(
            Refusal.SHAPE,
            f"group {group.group}: {len(group.values)} columns of {n} instants and "
            f"{len(group.late_ms)} delays; its birth declares {columns} series",
        )
    if any(len(column) != n for column in group.values) or (
        group.quality is not None
        and (len(group.quality) != columns or any(len(q) != n for q in group.quality))
    ):
        raise RefusedError(Refusal.SHAPE, f"group {group.group}: columns of unequal length")
    try:
        ts_us = np.asarray(group.dt, np.int64) + np.int64(group.ts)
        late_ms = np.asarray(group.late_ms, np.int64)
    except OverflowError as error:
        raise RefusedError(Refusal.OVERFLOW, f"group {group.group}: a time is out of range") from (
            error
        )
    if n and (late_ms.min() < -_MAX_LATE_MS or late_ms.max() > _MAX_LATE_MS):
        raise RefusedError(Refusal.OVERFLOW, f"group {group.group}: a delay of over 32 s")
    parts = [
        _column(group, position, series_ids[position], whole_numbers[position])
        for position in range(columns)
    ]
    return Readings(
        np.tile(ts_us, columns),
        np.repeat(np.asarray(series_ids, np.int32), n),
        _joined([p[0] for p in parts], np.int8),
        _joined([p[1] for p in parts], np.int64),
        _joined([p[2] for p in parts], np.float64),
        _joined([p[3] for p in parts], np.int16),
        np.tile(late_ms.astype(np.int16), columns),
        np.full(n * columns, batch, np.int64),
    )


def _joined(parts: list[NDArray[_Number]], kind: type[_Number]) -> NDArray[_Number]:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _column(
    group: GroupReadings, position: int, series_id: int, whole_number: bool
) -> tuple[
    NDArray[np.int8], NDArray[np.int64], NDArray[np.float64], NDArray[np.int16]
]:  # fmt: skip
    values = group.values[position]
    n = len(values)
    given = group.quality[position] if group.quality is not None else [0] * n
    whole = np.zeros(n, np.int64)
    real = np.zeros(n, np.float64)
    kind = np.full(n, KIND_INT if whole_number else KIND_REAL, np.int8)
    try:
        quality = np.asarray(given, np.int16)
        if not any(v is None or isinstance(v, str) for v in values):
            if whole_number:
                whole[:] = [_whole(v) for v in values]
            else:
                real[:] = values
            return kind, whole, real, quality
        for i, value in enumerate(values):
            if value is None:
                kind[i] = KIND_NULL
                # JSON has no NaN: a number that was not finite arrives as null with good quality.
                if quality[i] & 0xFF == Quality.GOOD:
                    quality[i] |= Quality.NOT_FINITE
            elif whole_number:
                whole[i] = _whole(value)
            else:
                real[i] = float(value)
    except (OverflowError, ValueError, TypeError) as error:
        raise RefusedError(
            Refusal.OVERFLOW,
            f"group {group.group}, column {position} (series {series_id}): {error}",
        ) from error
    return kind, whole, real, quality


def _whole(value: float | str | None) -> int:
    if isinstance(value, float):
        raise ValueError(f"{value!r} is not an integer, as its birth declares")
    number = int(value)  # type: ignore[arg-type]  # None is filtered by the caller
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise OverflowError(f"{number} does not fit 63 bits")
    return number


def concatenate(parts: list[Readings]) -> Readings:
    """Join rows of several batches."""
    return Readings(
        _joined([p.ts_us for p in parts], np.int64),
        _joined([p.series_id for p in parts], np.int32),
        _joined([p.kind for p in parts], np.int8),
        _joined([p.whole for p in parts], np.int64),
        _joined([p.real for p in parts], np.float64),
        _joined([p.quality for p in parts], np.int16),
        _joined([p.late_ms for p in parts], np.int16),
        _joined([p.batch for p in parts], np.int64),
    )


def copy_bytes(rows: Readings) -> bytes:
    """Return the whole COPY BINARY stream of the rows, sorted by series and time.

    Sorted, because the columnstore and the index both write neighbours together.
    """
    rows = rows.take(np.lexsort((rows.ts_us, rows.series_id)))
    body = [_COPY_HEADER]
    for kind, layout in ((KIND_INT, _INT_ROW), (KIND_REAL, _REAL_ROW), (KIND_NULL, _NULL_ROW)):
        chosen = rows.take(np.flatnonzero(rows.kind == kind))
        if len(chosen):
            body.append(_pack(chosen, kind, layout))
    body.append(_COPY_TRAILER)
    return b"".join(body)


def _pack(rows: Readings, kind: int, layout: np.dtype[np.void]) -> bytes:
    packed = np.empty(len(rows), layout)
    packed["n"] = 7
    packed["l0"], packed["ts"] = 8, rows.ts_us - _POSTGRES_EPOCH_US
    packed["l1"], packed["series"] = 4, rows.series_id
    packed["l2"], packed["l3"] = -1, -1
    if kind == KIND_INT:
        packed["l2"], packed["int"] = 8, rows.whole
    elif kind == KIND_REAL:
        packed["l3"], packed["real"] = 8, rows.real
    packed["l4"], packed["quality"] = 2, rows.quality
    packed["l5"], packed["late"] = 2, rows.late_ms
    packed["l6"], packed["batch"] = 8, rows.batch
    return packed.tobytes()
