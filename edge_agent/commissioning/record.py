"""The commissioning record: what was checked at a point, by whom, with which numbers.

Its bytes are canonical, so that a hash in the plant file or a signature stands for exactly one
content. See docs/reference/commissioning-record.md.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge_agent.commissioning.findings import Finding
from enpilot.errors import ConfigurationError
from enpilot.plant import Names, Plant

__all__ = [
    "CHECK_CODES",
    "RECORD_SCHEMA",
    "Check",
    "CheckCode",
    "DisplayReading",
    "EvidenceFile",
    "Record",
    "RecordError",
    "RecordedDevice",
    "RecordedWiring",
    "canonical_bytes",
    "file_evidence",
    "load_record",
    "open_items",
    "record_errors",
    "sha256_of",
]

RECORD_SCHEMA: Final = 1
CheckCode: TypeAlias = Literal[
    "nameplate", "photos", "display", "clamp", "power_sum", "energy_integral", "signs",
    "load_step", "parent_child", "frames",
]  # fmt: skip
CHECK_CODES: Final[tuple[CheckCode, ...]] = (
    "nameplate", "photos", "display", "clamp", "power_sum", "energy_integral", "signs",
    "load_step", "parent_child", "frames",
)  # fmt: skip
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_CHUNK: Final = 1 << 20


class RecordError(ConfigurationError):
    """A commissioning record that cannot be trusted; names file and remedy."""


class _Part(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Base: a field that this version does not know is refused, not lost on the way."""


class Check(_Part, kw_only=True, frozen=True):
    """One check.

    ``measured`` are decimals or words. ``limit_source`` says where the limit comes from, ``reason``
    why a check failed or was not done; one that does not apply to the point stops nothing.
    """

    code: CheckCode
    result: Literal["passed", "failed", "not_done"]
    measured: dict[str, str] = {}
    limit: str | None = None
    limit_source: Names | None = None
    reason: Names | None = None
    applies: bool = True


class DisplayReading(_Part, kw_only=True, frozen=True):
    """The meter's display beside its register, both as amounts at the point [unit]."""

    at: dt.datetime
    display: str
    register: str
    unit: str


class EvidenceFile(_Part, kw_only=True, frozen=True):
    """A photograph or paper; the file itself lies beside the record."""

    kind: Literal["nameplate", "display", "wiring", "other"]
    name: str
    sha256: _Sha256
    bytes: int


class RecordedDevice(_Part, kw_only=True, frozen=True):
    """The meter as seen on site and as read.

    ``address`` is its line's, ``baud`` that of a serial line; ``profile_sha256`` stands for the
    registers by which it was read; ``unit`` is the address of a DL/T 645 or CJ/T 188 meter too.
    """

    code: str
    maker: str | None
    model: str | None
    serial: str | None
    simulated: bool
    profile: str
    profile_sha256: _Sha256
    profile_source: str
    profile_verified: bool
    line: str
    kind: str
    address: str
    unit: int | str
    baud: int | None
    parity: str | None
    stop_bits: int | None


class RecordedWiring(_Part, kw_only=True, frozen=True):
    """Ratios of the installation in the plant file, and the transformers as seen on site."""

    ct_ratio: str
    pt_ratio: str
    sign: int
    ct_primary_a: str | None = None
    ct_secondary_a: str | None = None
    ct_turns: str | None = None
    clamp: str | None = None


class Record(_Part, kw_only=True, frozen=True):
    """All of one commissioning."""

    schema: Literal[1]
    kind: Literal["enpilot-commissioning-record"]
    software: str
    site: str
    site_name: Names
    point: str
    point_name: Names
    medium: str
    plant_sha256: _Sha256
    source: Literal["meter", "outbox"]
    engineer: str
    began: dt.datetime
    ended: dt.datetime
    device: RecordedDevice
    wiring: RecordedWiring
    checks: list[Check]
    findings: list[Finding]
    display: list[DisplayReading]
    files: list[EvidenceFile]
    remarks: str | None
    verdict: Literal["verified", "not_verified"]
    open: list[str]


def open_items(checks: list[Check], findings: list[Finding]) -> list[str]:
    """Return what keeps a point from being verified: checks and findings by their codes.

    A point is verified if every check that applies has passed, and nothing was found that is
    certain or likely.
    """
    return [c.code for c in checks if c.applies and c.result != "passed"] + [
        f.code for f in findings if f.confidence != "possible"
    ]


def canonical_bytes(record: Record) -> bytes:
    """Return the only bytes that stand for a record: JSON in UTF-8, keys sorted, no spaces.

    There are no fractions in it, measured numbers being strings, so that every language writes the
    same bytes (RFC 8785).
    """
    return msgspec.json.encode(record, order="sorted")


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of some bytes as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def load_record(file: Path) -> Record:
    """Read a record.

    Raises
    ------
    RecordError
        If it is missing, of another schema, or not in its canonical bytes.
    """
    try:
        data = file.read_bytes()
        record = msgspec.json.decode(data, type=Record)
    except FileNotFoundError as error:
        raise RecordError(f"{file}: there is no such commissioning record") from error
    except OSError as error:
        raise RecordError(f"{file}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{file}: no commissioning record of schema 1: {error}") from error
    if canonical_bytes(record) != data:
        raise RecordError(
            f"{file}: the record was edited or formatted after it was made; take it from the backup"
        )
    return record


def record_errors(plant: Plant, folder: Path) -> list[str]:
    """Return what is wrong with the records that a plant file names.

    Parameters
    ----------
    plant
        The plant file.
    folder
        Where it lies.
    """
    errors = []
    for point in plant.point:
        if point.record is None:
            if point.commissioning in ("verified", "accepted"):
                errors.append(f"point {point.code!r} is {point.commissioning} without a record")
            continue
        file = folder / point.record
        try:
            record = load_record(file)
        except RecordError as error:
            errors.append(str(error))
            continue
        if sha256_of(file.read_bytes()) != point.record_sha256:
            errors.append(f"{file}: is not the record whose hash point {point.code!r} names")
        if record.point != point.code:
            errors.append(f"{file}: is the record of point {record.point!r}, not {point.code!r}")
        if record.verdict != "verified":
            errors.append(
                f"{file}: the record leaves open: {', '.join(record.open)}; point {point.code!r} "
                f"is not {point.commissioning}"
            )
        errors += [
            f"{file.parent / f.name}: is not the file that the record names"
            for f in record.files
            if not _is_same(file.parent / f.name, f)
        ]
    return errors


def file_evidence(
    kind: Literal["nameplate", "display", "wiring", "other"], file: Path, folder: Path
) -> EvidenceFile:
    """Return a file's name and hash.

    Parameters
    ----------
    kind
        What it shows.
    file
        Where it is.
    folder
        Where the record will lie; the file must be there or below.

    Raises
    ------
    RecordError
        If it cannot be read or lies elsewhere.
    """
    try:
        name = file.resolve().relative_to(folder.resolve()).as_posix()
        sha256, size = _hash(file)
    except ValueError as error:
        raise RecordError(f"{file}: put it into {folder}, beside the record") from error
    except OSError as error:
        raise RecordError(f"{file}: cannot be read: {error.strerror}") from error
    return EvidenceFile(kind=kind, name=name, sha256=sha256, bytes=size)


def _hash(file: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _is_same(file: Path, evidence: EvidenceFile) -> bool:
    try:
        return _hash(file) == (evidence.sha256, evidence.bytes)
    except OSError:
        return False
