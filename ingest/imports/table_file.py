"""Read a CSV table and its mapping file; what both say together names the import (D16)."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import tomllib
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

from enpilot.wire.messages import CounterKind, RawType
from ingest.errors import ImportRefusedError

__all__ = [
    "EnergyMapping",
    "ImportMapping",
    "OutputMapping",
    "ReadingColumn",
    "ReadingsMapping",
    "Table",
    "import_stream",
    "parse_instant",
    "read_mapping",
    "read_table",
]

# Part of an import's identity: a changed reader must not take an old import for its own.
_IMPORTER_VERSION = "1"


class _Label(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    zh: str
    en: str


class ImportMapping(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every mapping file says: the site, the source, and what is synthetic in the file."""

    site: str
    source: str
    synthetic: _Label | None = None


class ReadingColumn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One column of raw register counts, and what they mean."""

    column: str
    point: str
    quantity: str
    channel: str
    unit: str
    raw_type: RawType
    register_scale: str = "1"
    side: Literal["primary", "secondary"] = "primary"
    counter: CounterKind | None = None
    modulus: str | None = None
    rated_max_per_h: float | None = None


class ReadingsMapping(ImportMapping, kw_only=True):
    """Mapping of a history of readings, one line an instant."""

    time_column: str = "ts"
    period_s: int = 900
    series: list[ReadingColumn]


class OutputMapping(ImportMapping, kw_only=True):
    """Mapping of production figures; columns product, stage, disposition, quantity, from, to."""


class EnergyMapping(ImportMapping, kw_only=True):
    """Mapping of an energy ledger; columns medium, kind, quantity, unit, from, to, document."""


_AnyMapping = TypeVar("_AnyMapping", bound=ImportMapping)


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: header and lines, ``#`` comments left out; ``sha256`` is over the whole file."""

    file: Path
    header: list[str]
    sha256: bytes

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and cells, one line at a time."""
        with self.file.open(encoding="utf-8-sig", newline="") as handle:
            seen_header = False
            for number, cells in enumerate(csv.reader(handle), 1):
                if not cells or cells[0].startswith("#"):
                    continue
                if not seen_header:
                    seen_header = True
                    continue
                if len(cells) != len(self.header):
                    raise ImportRefusedError(
                        self.file,
                        [f"line {number} has {len(cells)} cells, the header {len(self.header)}"],
                    )
                yield number, cells

    def position(self, column: str) -> int:
        """Return where a column stands."""
        try:
            return self.header.index(column)
        except ValueError:
            raise ImportRefusedError(
                self.file, [f"no column {column!r}; there are: {', '.join(self.header)}"]
            ) from None


def read_table(file: Path) -> Table:
    """Open a CSV file.

    Raises
    ------
    ImportRefusedError
        If it is missing, empty or not UTF-8.
    """
    try:
        digest = hashlib.sha256(file.read_bytes()).digest()
        with file.open(encoding="utf-8-sig", newline="") as handle:
            for cells in csv.reader(handle):
                if cells and not cells[0].startswith("#"):
                    return Table(file, cells, digest)
    except FileNotFoundError as error:
        raise ImportRefusedError(file, ["there is no such file"]) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ImportRefusedError(file, [f"not CSV in UTF-8: {error}"]) from error
    raise ImportRefusedError(file, ["the file is empty"])


def read_mapping(file: Path, kind: type[_AnyMapping]) -> _AnyMapping:
    """Read a mapping file (TOML); raises `ImportRefusedError` with the path in the file."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text("utf-8")), kind)
    except FileNotFoundError as error:
        raise ImportRefusedError(file, ["there is no such file"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ImportRefusedError(file, [str(error)]) from error


def import_stream(table: Table, mapping: msgspec.Struct) -> tuple[UUID, bytes]:
    """Return the stream of an import and the hash it is made of.

    File, mapping and importer together: the same file under a mended mapping is another import,
    and the same import run again is the same stream (D16).
    """
    text = msgspec.json.encode(mapping, order="deterministic")
    digest = hashlib.sha256(table.sha256 + text + _IMPORTER_VERSION.encode()).digest()
    return _uuid8(digest), digest


def parse_instant(text: str, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Read ISO 8601; without an offset, in the site's zone. Raises ValueError."""
    instant = dt.datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def _uuid8(digest: bytes) -> UUID:
    """Return a UUID of version 8 (RFC 9562: free content) out of the first bytes of a hash."""
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)
