"""Readings as arrays, and the bytes that COPY BINARY wants.

The columns of the table ``reading`` in PostgreSQL's binary format are laid out once as numpy
structured arrays of big-endian fields, so that encoding a group of batches is one ``tobytes``
instead of a loop over rows.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from enpilot.database.binary_copy import COPY_HEADER, COPY_TRAILER, POSTGRES_EPOCH_US
from enpilot.wire import GroupReadings, Quality, Refusal
from ingest.errors import RefusedError

__all__ = [
    "COPY_READINGS",
    "KIND_INT",
    "KIND_NULL",
    "KIND_REAL",
    "Block",
    "Columns",
    "Readings",
    "batch_number",
    "concatenate",
    "copy_stream",
    "in_order",
    "join_blocks",
    "pack_rows",
    "read_block",
]

COPY_READINGS: Final = (
    "COPY reading (ts, series_id, raw_int, raw_real, quality, late_ms, batch)"
    " FROM STDIN (FORMAT binary)"
)

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

KIND_INT: Final = 0
KIND_REAL: Final = 1
KIND_NULL: Final = 2
_INT64_MAX: Final = 2**63 - 1
# int() takes blanks, underscores and other scripts' digits too.
_DIGITS: Final = re.compile(r"-?[0-9]{1,20}")
# What all readings of a block have in common is a view of one of these.
_INT: Final = np.full(4096, KIND_INT, np.int8)
_REAL: Final = np.full(4096, KIND_REAL, np.int8)
_NO_WHOLE: Final = np.zeros(4096, np.int64)
_NO_REAL: Final = np.zeros(4096)
_NOTHING: Final = np.zeros(4096, np.int16)
_Number = TypeVar("_Number", bound=np.generic)


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


@dataclass(frozen=True, slots=True)
class Columns:
    """What a birth says of the columns of a group, as far as rows need it.

    ``series_ids`` has shape (S,); ``whole_at`` and ``real_at`` are the positions of the columns
    whose registers are integers and of the others.
    """

    series_ids: NDArray[np.int32]
    whole_at: list[int]
    real_at: list[int]


@dataclass(frozen=True, slots=True)
class Block:
    """One group of one batch: S series at n instants, series after series.

    ``ts_us`` [µs since 1970] and ``late_ms`` [ms] have shape (n,); ``kind``, ``whole``, ``real``
    and ``quality`` have shape (S * n,).
    """

    series_ids: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    late_ms: NDArray[np.int16]
    kind: NDArray[np.int8]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]
    quality: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.kind)


_NO_BLOCK: Final = Block(
    np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int16), np.empty(0, np.int8),
    np.empty(0, np.int64), np.empty(0), np.empty(0, np.int16),
)  # fmt: skip


def read_block(group: GroupReadings, columns: Columns) -> Block:
    """Turn one group of a batch into arrays.

    Parameters
    ----------
    group
        Columns as they came over the wire.
    columns
        What the birth says of them.

    Raises
    ------
    RefusedError
        SHAPE if the columns do not fit the birth or each other, OVERFLOW if a number does not fit
        its column.
    """
    n = len(group.dt)
    width = len(columns.series_ids)
    if len(group.late_ms) != n or len(group.values) != width:
        raise RefusedError(
            Refusal.SHAPE,
            f"group {group.group}: {len(group.values)} columns of {n} instants and "
            f"{len(group.late_ms)} delays; its birth declares {width} series",
        )
    given = group.quality
    if any(len(column) != n for column in group.values) or (
        given is not None and (len(given) != width or any(len(q) != n for q in given))
    ):
        raise RefusedError(Refusal.SHAPE, f"group {group.group}: columns of unequal length")
    ts_us = _instants(group)
    try:
        late_ms = np.array(group.late_ms, np.int16)
        quality = (
            _same(_NOTHING, width * n)
            if given is None
            else np.array(given, np.int16).reshape(width * n)
        )
    except OverflowError as error:
        raise RefusedError(
            Refusal.OVERFLOW, f"group {group.group}: a delay of over 32 s, or no quality: {error}"
        ) from error
    numbers = _numbers(group.values, columns, n)
    if numbers is None:
        return _read_one_by_one(group, columns, ts_us, late_ms, quality)
    kind, whole, real = numbers
    return Block(columns.series_ids, ts_us, late_ms, kind, whole, real, quality)


def _same(some: NDArray[_Number], size: int) -> NDArray[_Number]:
    """Return ``size`` elements of an array of equal ones; mostly a view of it."""
    return some[:size] if size <= len(some) else np.full(size, some[0])


def _instants(group: GroupReadings) -> NDArray[np.int64]:
    try:
        offsets = np.array(group.dt, np.int64)
    except OverflowError as error:
        raise RefusedError(Refusal.OVERFLOW, f"group {group.group}: a time is out of range") from (
            error
        )
    # In whole numbers of any size: an array would wrap around to a time that looks right.
    if group.dt and not 0 <= group.ts + min(group.dt) <= group.ts + max(group.dt) <= _INT64_MAX:
        raise RefusedError(
            Refusal.OVERFLOW, f"group {group.group}: a time is before 1970 or out of range"
        )
    return offsets + group.ts if group.dt else offsets


def _numbers(
    values: Sequence[Sequence[int | float | str | None]], columns: Columns, n: int
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.float64]] | None:
    """Convert a block at once; None if a value needs a look of its own."""
    size = len(values) * n
    if not columns.real_at:
        whole = np.array(values)
        if whole.dtype != np.int64:
            return None
        return _same(_INT, size), whole.reshape(size), _same(_NO_REAL, size)
    if not columns.whole_at:
        real = np.array(values)
        if real.dtype != np.float64 and real.dtype != np.int64:
            return None
        real = real.reshape(size).astype(np.float64, copy=False)
        if not np.isfinite(real).all():
            return None
        return _same(_REAL, size), _same(_NO_WHOLE, size), real
    part = np.array([values[i] for i in columns.whole_at])
    rest = np.array([values[i] for i in columns.real_at])
    if part.dtype != np.int64 or (rest.dtype != np.float64 and rest.dtype != np.int64):
        return None
    if not np.isfinite(rest).all():
        return None
    shape = (len(values), n)
    kind = np.full(shape, KIND_INT, np.int8)
    kind[columns.real_at] = KIND_REAL
    whole, real = np.zeros(shape, np.int64), np.zeros(shape, np.float64)
    whole[columns.whole_at], real[columns.real_at] = part, rest
    return kind.reshape(size), whole.reshape(size), real.reshape(size)


def _read_one_by_one(
    group: GroupReadings,
    columns: Columns,
    ts_us: NDArray[np.int64],
    late_ms: NDArray[np.int16],
    given: NDArray[np.int16],
) -> Block:
    n = len(ts_us)
    shape = (len(columns.series_ids), n)
    kind = np.full(shape, KIND_INT, np.int8)
    kind[columns.real_at] = KIND_REAL
    whole, real = np.zeros(shape, np.int64), np.zeros(shape, np.float64)
    quality = given.reshape(shape).copy()
    for position, column in enumerate(group.values):
        integer = kind[position] == KIND_INT
        for i, value in enumerate(column):
            try:
                number = None if value is None else _whole(value) if integer[i] else _real(value)
            except (OverflowError, ValueError) as error:
                raise RefusedError(
                    Refusal.OVERFLOW,
                    f"group {group.group}, column {position}"
                    f" (series {columns.series_ids[position]}): {error}",
                ) from error
            if number is None:
                kind[position, i] = KIND_NULL
                # JSON has no NaN: a number that was not finite arrives as null with good quality.
                if quality[position, i] & 0xFF == Quality.GOOD:
                    quality[position, i] |= Quality.NOT_FINITE
            elif integer[i]:
                whole[position, i] = number
            else:
                real[position, i] = number
    size = shape[0] * n
    return Block(
        columns.series_ids, ts_us, late_ms, kind.reshape(size), whole.reshape(size),
        real.reshape(size), quality.reshape(size),
    )  # fmt: skip


def _whole(value: float | str) -> int:
    if isinstance(value, float):
        raise ValueError(f"{value!r} is not an integer, as its birth declares")
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is not an integer, as its birth declares")
    number = int(value)
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise OverflowError(f"{number} does not fit 63 bits")
    return number


def _real(value: float | str) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def join_blocks(blocks: list[Block], batches: list[int]) -> Readings:
    """Lay blocks out as rows.

    Parameters
    ----------
    blocks, batches
        Blocks, and for each the number of its batch (`batch_number`).

    Returns
    -------
    Readings
        Sorted by series and time: the index and the columnstore both write neighbours together.
        Rows with the same series and time stay in the order of their blocks.
    """
    if not blocks:
        blocks, batches = [_NO_BLOCK], [0]
    sizes = np.array([len(block) for block in blocks], np.intp)
    widths = np.array([len(block.series_ids) for block in blocks], np.intp)
    lengths = np.array([len(block.ts_us) for block in blocks], np.intp)
    # For each row its place among the instants of all blocks: they repeat for each series.
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    instants = np.repeat(np.cumsum(lengths) - lengths, sizes)
    instants += (np.arange(len(begins)) - begins) % np.repeat(lengths, sizes)
    rows = Readings(
        np.concatenate([block.ts_us for block in blocks])[instants],
        np.repeat(np.concatenate([b.series_ids for b in blocks]), np.repeat(lengths, widths)),
        np.concatenate([block.kind for block in blocks]),
        np.concatenate([block.whole for block in blocks]),
        np.concatenate([block.real for block in blocks]),
        np.concatenate([block.quality for block in blocks]),
        np.concatenate([block.late_ms for block in blocks])[instants],
        np.repeat(np.array(batches, np.int64), sizes),
    )
    return in_order(rows)


def _order(rows: Readings) -> NDArray[np.intp]:
    """Return the order by series and time; one key sorts faster than two."""
    if not len(rows):
        return np.empty(0, np.intp)
    since = rows.ts_us - rows.ts_us.min()
    if since.max() < 1 << 40 and rows.series_id.max() < 1 << 22:  # 12 days, 4 million series
        return np.argsort(rows.series_id.astype(np.int64) << 40 | since, kind="stable")
    return np.lexsort((rows.ts_us, rows.series_id))


def in_order(rows: Readings) -> Readings:
    """Return rows sorted by series and time."""
    return rows.take(_order(rows))


def copy_stream(bodies: list[bytes]) -> bytes:
    """Return the whole COPY BINARY stream of bodies that `pack_rows` made."""
    return b"".join([COPY_HEADER, *bodies, COPY_TRAILER])


def pack_rows(rows: Readings) -> bytes:
    """Return rows as the body of a COPY BINARY, those of one kind together."""
    body = []
    for kind, layout in ((KIND_INT, _INT_ROW), (KIND_REAL, _REAL_ROW), (KIND_NULL, _NULL_ROW)):
        chosen = np.flatnonzero(rows.kind == kind)
        if len(chosen):
            body.append(
                _pack(rows if len(chosen) == len(rows) else rows.take(chosen), kind, layout)
            )
    return b"".join(body)


def concatenate(parts: list[Readings]) -> Readings:
    """Join rows of several parts, in order."""
    columns = (
        np.concatenate([getattr(part, f.name) for part in parts])
        for f in dataclasses.fields(Readings)
    )
    return Readings(*columns)


def _pack(rows: Readings, kind: int, layout: np.dtype[np.void]) -> bytes:
    packed = np.empty(len(rows), layout)
    packed["n"] = 7
    packed["l0"], packed["ts"] = 8, rows.ts_us - POSTGRES_EPOCH_US
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
