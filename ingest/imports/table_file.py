"""Tables as they come, CSV, Excel or Parquet, as chunks of columns with their line numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import warnings
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from openpyxl.utils.exceptions import InvalidFileException

from ingest.errors import ImportRefusedError
from ingest.imports.cells import Cells, from_arrow, from_objects
from ingest.imports.mapping import FileForm, ImportMapping

__all__ = ["Chunk", "Mistakes", "Table", "import_stream", "open_table"]

# Part of an import's identity: a changed reader must not take an old import for its own.
_IMPORTER_VERSION: Final = "2"
# Titles, units and signatures may stand above the header, hardly more.
_HEADER_WITHIN: Final = 100
_SHOWN: Final = 20
_ENDINGS: Final = {
    ".csv": "csv", ".txt": "csv", ".tsv": "csv", ".xlsx": "xlsx", ".xlsm": "xlsx",
    ".parquet": "parquet",
}  # fmt: skip

_Row: TypeAlias = tuple[int, Sequence[object]]


@dataclass(slots=True)
class Mistakes:
    """What is wrong in a file, line by line; all at once, but not more than a person reads."""

    file: Path
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int | None, column: str | None, sentence: str) -> None:
        """Note one mistake."""
        self.count += 1
        if len(self.first) < _SHOWN:
            where = [f"line {line}"] if line is not None else []
            where += [f"column {column!r}"] if column is not None else []
            self.first.append(f"{', '.join(where)}: {sentence}" if where else sentence)

    def refuse(self) -> None:
        """Raise `ImportRefusedError` if there was any."""
        if self.count:
            more = self.count - len(self.first)
            raise ImportRefusedError(
                self.file, self.first + ([f"and {more:,} more"] if more > 0 else [])
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines of a table: their numbers in the file, and the columns that were asked for.

    ``share`` says how much of the file lies behind them, 0 .. 1.
    """

    lines: NDArray[np.int64]
    cells: dict[str, Cells]
    share: float

    def __len__(self) -> int:
        return len(self.lines)


class Table(ABC):
    """A table file: its header, and its lines in chunks; ``sha256`` is over the whole file."""

    def __init__(self, file: Path, form: FileForm) -> None:
        self.file = file
        self.form = form
        with file.open("rb") as handle:
            self.sha256 = hashlib.file_digest(handle, "sha256").digest()
        self.header: list[str] = []

    @abstractmethod
    def chunks(self, columns: Sequence[str], lines: int, mistakes: Mistakes) -> Iterator[Chunk]:
        """Yield the named columns, so many lines at a time."""

    def missing_columns(self, columns: Sequence[str]) -> list[str]:
        """Say which of some columns are not there, or not once."""
        found = []
        for column in columns:
            times = self.header.count(column)
            if times == 0:
                found.append(f"no column {column!r}; there are: {', '.join(self.header)}")
            elif times > 1:
                found.append(f"{times} columns are called {column!r}: rename one")
        return found


def open_table(file: Path, form: FileForm, columns: Sequence[str]) -> Table:
    """Open a table and find its header.

    Parameters
    ----------
    file, form
        The file, and how it is written down.
    columns
        Columns that must be there: the header is the first line with all of them, if ``form``
        does not say where it is.

    Raises
    ------
    ImportRefusedError
        If it is missing, empty, not of its form, or lacks a column.
    """
    kind = form.format or _ENDINGS.get(file.suffix.lower())
    if kind is None:
        raise ImportRefusedError(
            file, ['neither .csv, .xlsx nor .parquet: say `format = "csv"` under `[file]`']
        )
    try:
        if kind == "parquet":
            table: Table = _ParquetTable(file, form)
        elif kind == "xlsx":
            table = _ExcelTable(file, form, columns)
        else:
            table = _CsvTable(file, form, columns)
    except FileNotFoundError as error:
        raise ImportRefusedError(file, ["there is no such file"]) from error
    except OSError as error:
        raise ImportRefusedError(file, [f"cannot be read: {error}"]) from error
    missing = table.missing_columns(columns)
    if missing:
        raise ImportRefusedError(file, missing)
    return table


def import_stream(
    table: Table, mapping: ImportMapping, *, supersede: bool, attempt: int
) -> tuple[UUID, bytes]:
    """Return the stream of an import and the hash it is made of.

    File, mapping and importer together: the same file under a mended mapping is another import,
    and the same import run again is the same stream (D16). Superseding is another import, because
    it writes what the first one left out; so is an ``attempt`` after a retraction.
    """
    text = msgspec.json.encode(mapping, order="deterministic")
    digest = hashlib.sha256(table.sha256 + text + _IMPORTER_VERSION.encode()).digest()
    named = hashlib.sha256(digest + f"{'supersede' if supersede else ''}{attempt}".encode())
    return _uuid8(named.digest()), digest


class _RowTable(Table):
    """A table whose lines come one by one; the header may stand below titles."""

    def __init__(self, file: Path, form: FileForm, columns: Sequence[str]) -> None:
        super().__init__(file, form)
        self._header_line, self.header = self._find_header(columns)

    @abstractmethod
    def rows(self) -> Iterator[_Row]:
        """Yield the number and the cells of each line that is not empty."""

    @abstractmethod
    def share(self) -> float:
        """Return how much of the file has been read, 0 .. 1."""

    def chunks(self, columns: Sequence[str], lines: int, mistakes: Mistakes) -> Iterator[Chunk]:
        places = [self.header.index(c) for c in columns]
        body = self._body(mistakes)
        while block := list(itertools.islice(body, lines)):
            turned = list(zip(*(cells for _, cells in block), strict=True))
            yield Chunk(
                np.array([number for number, _ in block], np.int64),
                {c: from_objects(turned[p]) for c, p in zip(columns, places, strict=True)},
                self.share(),
            )

    def _body(self, mistakes: Mistakes) -> Iterator[_Row]:
        width = len(self.header)
        footer = self.form.footer
        for number, cells in self.rows():
            if number <= self._header_line:
                continue
            if footer is not None and str(cells[0] or "").strip().startswith(footer):
                return
            if len(cells) != width:
                if len(cells) < width or any(c not in (None, "") for c in cells[width:]):
                    mistakes.add(
                        number, None, f"{len(cells)} cells, the header has {width}: "
                        "quote cells that contain the separator",
                    )  # fmt: skip
                    continue
                cells = cells[:width]
            yield number, cells

    def _find_header(self, columns: Sequence[str]) -> tuple[int, list[str]]:
        best: tuple[int, list[str]] | None = None
        most = -1
        for number, cells in itertools.islice(self.rows(), _HEADER_WITHIN):
            names = _names(cells)
            if self.form.header_row is not None:
                if number == self.form.header_row:
                    return number, names
                continue
            hits = len(set(columns) & set(names))
            if hits == len(set(columns)):
                return number, names
            if hits > most:
                best, most = (number, names), hits
        if self.form.header_row is not None:
            raise ImportRefusedError(
                self.file, [f"line {self.form.header_row} is no header - at `$.file.header_row`"]
            )
        if best is None:
            raise ImportRefusedError(self.file, ["the file is empty"])
        return best  # lacks columns, which the caller says by name


class _CsvTable(_RowTable):
    def __init__(self, file: Path, form: FileForm, columns: Sequence[str]) -> None:
        self._raw: io.BufferedReader | None = None
        self._bytes = max(1, file.stat().st_size)
        super().__init__(file, form, columns)

    def rows(self) -> Iterator[_Row]:
        encoding = "utf-8-sig" if self.form.encoding == "utf-8" else self.form.encoding
        with self.file.open("rb") as raw:
            self._raw = raw
            text = io.TextIOWrapper(raw, encoding=encoding, newline="")
            reader = csv.reader(text, delimiter=self.form.separator, strict=True)
            try:
                before = 0
                for cells in reader:
                    number, before = before + 1, reader.line_num
                    if any(cells) and not cells[0].startswith("#"):
                        yield number, cells
            except UnicodeDecodeError as error:
                raise ImportRefusedError(self.file, [self._undecodable()]) from error
            except csv.Error as error:
                raise ImportRefusedError(
                    self.file, [f"line {reader.line_num}: not CSV: {error}"]
                ) from error
            finally:
                self._raw = None

    def share(self) -> float:
        return 1.0 if self._raw is None else min(1.0, self._raw.tell() / self._bytes)

    def _undecodable(self) -> str:
        encoding = self.form.encoding
        with self.file.open("rb") as raw:
            # No byte of a line break is part of a character in any of these encodings.
            for number, line in enumerate(raw, 1):
                try:
                    line.decode(encoding)
                except UnicodeDecodeError as error:
                    other = "gb18030" if encoding == "utf-8" else "utf-8"
                    return (
                        f"line {number}: byte {error.start + 1} is not {encoding}: try "
                        f'`encoding = "{other}"` under `[file]`'
                    )
        return f"not {encoding}"


class _ExcelTable(_RowTable):
    def __init__(self, file: Path, form: FileForm, columns: Sequence[str]) -> None:
        self._line = 0
        self._last = 1
        super().__init__(file, form, columns)

    def rows(self) -> Iterator[_Row]:
        with warnings.catch_warnings():
            # openpyxl warns of styles and validations that it leaves out; we read values.
            warnings.simplefilter("ignore")
            try:
                book = openpyxl.load_workbook(self.file, read_only=True, data_only=True)
            except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError) as error:
                raise ImportRefusedError(
                    self.file, [f"not an Excel workbook (.xlsx): {error}"]
                ) from error
            try:
                sheet = self._sheet(book)
                # A size that another program wrote down may be wrong; the cells are not.
                sheet.reset_dimensions()
                for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
                    self._line = number
                    if any(c not in (None, "") for c in cells):
                        yield number, self._filled(cells)
            finally:
                book.close()

    def share(self) -> float:
        return 0.0  # the number of lines is not known before the last

    def _filled(self, cells: tuple[object, ...]) -> tuple[object, ...]:
        width = len(self.header)
        return cells if len(cells) >= width else cells + (None,) * (width - len(cells))

    def _sheet(self, book: Any) -> Any:
        name = self.form.sheet
        if name is None:
            if len(book.sheetnames) > 1:
                raise ImportRefusedError(
                    self.file,
                    [f"several sheets: {', '.join(book.sheetnames)}; name one - at `$.file.sheet`"],
                )
            return book.worksheets[0]
        if name not in book.sheetnames:
            raise ImportRefusedError(
                self.file,
                [f"no sheet {name!r}; there are: {', '.join(book.sheetnames)} - at `$.file.sheet`"],
            )
        return book[name]


class _ParquetTable(Table):
    def __init__(self, file: Path, form: FileForm) -> None:
        super().__init__(file, form)
        try:
            with pq.ParquetFile(file) as parquet:
                self.header = list(parquet.schema_arrow.names)
                self._rows = max(1, parquet.metadata.num_rows)
        except pa.ArrowInvalid as error:
            raise ImportRefusedError(file, [f"not a Parquet file: {error}"]) from error

    def chunks(self, columns: Sequence[str], lines: int, mistakes: Mistakes) -> Iterator[Chunk]:
        del mistakes  # a Parquet file has no ragged lines
        done = 0
        with pq.ParquetFile(self.file) as parquet:
            for batch in parquet.iter_batches(batch_size=lines, columns=list(columns)):
                numbers = np.arange(done + 1, done + len(batch) + 1, dtype=np.int64)
                done += len(batch)
                yield Chunk(
                    numbers,
                    {c: from_arrow(batch.column(c)) for c in columns},
                    done / self._rows,
                )


def _names(cells: Sequence[object]) -> list[str]:
    """Return the names of a header: a line break inside one is a space."""
    return [" ".join(str(c).split()) if c is not None else "" for c in cells]


def _uuid8(digest: bytes) -> UUID:
    """Return a UUID of version 8 (RFC 9562: free content) out of the first bytes of a hash."""
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)
