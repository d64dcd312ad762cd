"""One file of the archive: Parquet, zstd, sorted by series and time, a checksum on every page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from enpilot.archive.errors import ArchiveMismatchError, ArchiveUnavailableError
from enpilot.archive.rows import KIND_INT, KIND_NULL, KIND_REAL, ROW, Rows, no_rows

__all__ = ["FileWriter", "file_sha256", "read_groups", "read_series"]

_SCHEMA: Final = pa.schema(
    [
        pa.field("ts", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("series_id", pa.int32(), nullable=False),
        pa.field("raw_int", pa.int64()),
        pa.field("raw_real", pa.float64()),
        pa.field("quality", pa.int16(), nullable=False),
        pa.field("late_ms", pa.int16(), nullable=False),
        pa.field("batch", pa.int64(), nullable=False),
    ]
)
_SERIES: Final = _SCHEMA.get_field_index("series_id")
# A series is never cut: reading one back takes one group.
_GROUP_ROWS: Final = 131_072


class FileWriter:
    """Writes rows series by series, in order; knows their number, ends and hash.

    Attributes
    ----------
    rows
        Rows written.
    first_us, last_us
        Earliest and latest ``ts`` [µs since 1970].
    """

    def __init__(self, file: Path) -> None:
        self._writer = pq.ParquetWriter(
            file, _SCHEMA, compression="zstd", compression_level=9, version="2.6",
            use_dictionary=["series_id", "quality", "late_ms"],
            column_encoding={"ts": "DELTA_BINARY_PACKED", "raw_int": "DELTA_BINARY_PACKED",
                             "batch": "DELTA_BINARY_PACKED"},
            write_page_checksum=True,
        )  # fmt: skip
        self._waiting: list[Rows] = []
        self._content = hashlib.sha256()
        self.rows = 0
        self.first_us = np.iinfo(np.int64).max
        self.last_us = np.iinfo(np.int64).min

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, rows: Rows) -> None:
        """Write the rows of one series, which comes after those already written."""
        if not len(rows):
            return
        self._content.update(rows.tobytes())
        self.rows += len(rows)
        self.first_us = min(self.first_us, int(rows["ts_us"].min()))
        self.last_us = max(self.last_us, int(rows["ts_us"].max()))
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= _GROUP_ROWS:
            self._flush()

    def content_sha256(self) -> bytes:
        """Return the hash over the rows, which does not depend on what wrote the file."""
        return self._content.digest()

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = np.concatenate(self._waiting)
        self._waiting.clear()
        self._writer.write_table(_table(rows), row_group_size=len(rows))


def _table(rows: Rows) -> pa.Table:
    def column(name: str, kind: pa.DataType, mask: Any = None) -> pa.Array:
        return pa.array(np.ascontiguousarray(rows[name]), kind, mask=mask)

    return pa.Table.from_arrays(
        [
            column("ts_us", pa.int64()).cast(_SCHEMA.field("ts").type),
            column("series_id", pa.int32()),
            column("raw_int", pa.int64(), rows["kind"] != KIND_INT),
            column("raw_real", pa.float64(), rows["kind"] != KIND_REAL),
            column("quality", pa.int16()),
            column("late_ms", pa.int16()),
            column("batch", pa.int64()),
        ],
        schema=_SCHEMA,
    )


def read_groups(file: Path) -> Iterator[Rows]:
    """Yield all rows of a file, some series at a time.

    Raises
    ------
    ArchiveUnavailableError
        If the file is not there or cannot be read.
    ArchiveMismatchError
        If it is not one of ours or a page's checksum is wrong.
    """
    with _opened(file) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            yield _read(parquet, file, group)


def read_series(file: Path, series_id: int, since_us: int, until_us: int) -> Rows:
    """Return the rows of a series in [since, until) [µs since 1970]; errors as `read_groups`."""
    with _opened(file) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            ends = parquet.metadata.row_group(group).column(_SERIES).statistics
            if ends.min <= series_id <= ends.max:
                rows = _read(parquet, file, group)
                wanted = (
                    (rows["series_id"] == series_id)
                    & (rows["ts_us"] >= since_us)
                    & (rows["ts_us"] < until_us)
                )
                found: Rows = rows[wanted]
                return found
    return no_rows()


def file_sha256(file: Path) -> bytes:
    """Return the hash of a file's bytes; errors as `read_groups`."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise _unavailable(file, error) from error


def _opened(file: Path) -> Any:  # pyarrow has no type hints
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
    except OSError as error:
        # A file that is cut short is an OSError too, but is there.
        if file.is_file() and not isinstance(error, PermissionError):
            raise _damaged(file, error) from error
        raise _unavailable(file, error) from error
    except pa.ArrowException as error:
        raise _damaged(file, error) from error
    if not parquet.schema_arrow.equals(_SCHEMA):
        parquet.close()
        raise _damaged(file, "other columns than the archive writes")
    return parquet


def _read(parquet: Any, file: Path, group: int) -> Rows:
    try:
        table = parquet.read_row_group(group, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from error
    rows = np.empty(len(table), ROW)
    rows["ts_us"] = table.column("ts").cast(pa.int64()).to_numpy()
    for name in ("series_id", "quality", "late_ms", "batch"):
        rows[name] = table.column(name).to_numpy()
    rows["kind"] = KIND_NULL
    for name, kind in (("raw_int", KIND_INT), ("raw_real", KIND_REAL)):
        column = table.column(name)
        rows["kind"][column.is_valid().to_numpy()] = kind
        rows[name] = column.fill_null(0).to_numpy()
    return rows


def _unavailable(file: Path, error: OSError) -> ArchiveUnavailableError:
    return ArchiveUnavailableError(
        f"{file}: the archive's file cannot be read: {error.strerror or error}; mount the archive"
        " or put the file back"
    )


def _damaged(file: Path, error: object) -> ArchiveMismatchError:
    reason = str(error).splitlines()[0]
    return ArchiveMismatchError(
        f"{file}: not the file that was archived: {reason}; put a copy back"
    )
