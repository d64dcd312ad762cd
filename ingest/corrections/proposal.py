"""Propose a correction: check that it can take effect, and say who has to agree (F20)."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import psycopg

from enpilot.quantities import UnitError, unit_ratio
from ingest.corrections.second_person import why_second_person
from ingest.errors import CorrectionError

__all__ = ["MEANING_KEYS", "Proposal", "Proposed", "SeriesAtSite", "find_series", "propose"]

Kind = Literal["void", "replace", "substitute", "meaning"]

_GRID: Final = dt.timedelta(minutes=15)
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TYPES: Final = (
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
)  # fmt: skip
_DECODINGS: Final = ("big", "words", "bytes", "words_and_bytes")
_SHAPES: Final = ("even", "registers")
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SeriesAtSite:
    """A series by number, with what a correction of it has to know."""

    series_id: int
    site_id: int
    point_id: int
    point: str
    quantity: str
    zone: zoneinfo.ZoneInfo


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants to correct.

    Attributes
    ----------
    series
        Whose numbers or meaning.
    kind
        "void": readings in the span do not count. "replace": the register of one reading was
        another. "substitute": the span took another amount. "meaning": the numbers mean something
        else from an instant on, perhaps until another.
    since, until
        The span, its end excluded; ``until`` is None for a meaning that goes on to hold.
    detail
        By kind, see docs/corrections.md.
    evidence
        What it rests on: a document, a photograph, a calculation.
    author, reason
        Who proposes it, and why.
    """

    series: SeriesAtSite
    kind: Kind
    since: dt.datetime
    until: dt.datetime | None
    detail: Mapping[str, Any]
    evidence: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """A correction that waits for a decision; ``second_person`` says why another must take it."""

    correction_id: int
    second_person: list[str]


def find_series(
    connection: psycopg.Connection[Any], site: str, point: str, quantity: str, channel: str
) -> SeriesAtSite:
    """Return a series by its codes.

    Raises
    ------
    CorrectionError
        If there is no such series; the message lists those of the point.
    """
    rows = connection.execute(
        "SELECT r.series_id, s.site_id, p.point_id, r.quantity, r.channel, t.timezone"
        " FROM site s JOIN point p USING (site_id) LEFT JOIN series r USING (point_id)"
        " JOIN site_record t ON t.site_id = s.site_id AND t.superseded_commit_no IS NULL"
        " WHERE s.code = %s AND p.code = %s ORDER BY t.valid_from",
        (site, point),
    ).fetchall()
    if not rows:
        raise CorrectionError(f"site {site!r} has no point {point!r}: see `enpilot import plant`")
    for series_id, site_id, point_id, has_quantity, has_channel, zone in reversed(rows):
        if (has_quantity, has_channel) == (quantity, channel):
            return SeriesAtSite(
                series_id, site_id, point_id, point, quantity, zoneinfo.ZoneInfo(zone)
            )
    there_are = ", ".join(sorted({f"{q} {c}" for _, _, _, q, c, _ in rows if q is not None}))
    raise CorrectionError(
        f"point {point!r} has no series {quantity} {channel}; there are: {there_are or 'none'}"
    )


def propose(connection: psycopg.Connection[Any], proposal: Proposal) -> Proposed:
    """Record a proposal; it changes no figure until it is approved.

    Parameters
    ----------
    connection
        Not inside a transaction.
    proposal
        What to correct.

    Raises
    ------
    CorrectionError
        If it could not take effect: an empty span, a reading that is not there, a unit of another
        quantity, a key that a meaning does not have.
    """
    if not proposal.evidence.strip() or not proposal.reason.strip():
        raise CorrectionError("a correction needs a reason and evidence that others can look at")
    if proposal.until is None and proposal.kind != "meaning":
        raise CorrectionError("only a meaning may go on to hold: give the end of the span")
    if proposal.until is not None and proposal.until <= proposal.since:
        raise CorrectionError(
            f"{proposal.until.isoformat()} is not after {proposal.since.isoformat()}"
        )
    with connection.transaction():
        detail = _CHECKS[proposal.kind](connection, proposal)
        reasons = why_second_person(
            connection, proposal.series, proposal.kind, proposal.since, proposal.until, detail
        )
        row = connection.execute(
            "INSERT INTO correction (site_id, series_id, kind, from_ts, to_ts, detail, evidence,"
            " author, reason, second_person) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " RETURNING correction_id",
            (
                proposal.series.site_id, proposal.series.series_id, proposal.kind,
                proposal.since, proposal.until, json.dumps(detail), proposal.evidence,
                proposal.author, proposal.reason, reasons,
            ),
        ).fetchone()  # fmt: skip
    assert row is not None  # an insert returns its row
    return Proposed(row[0], reasons)


def _void(connection: psycopg.Connection[Any], proposal: Proposal) -> dict[str, Any]:
    row = connection.execute(
        "SELECT count(*) FROM reading WHERE series_id = %s AND ts >= %s AND ts < %s",
        (proposal.series.series_id, proposal.since, proposal.until),
    ).fetchone()
    assert row is not None  # a count is one row
    if row[0] == 0:
        raise CorrectionError(f"{proposal.series.point} has no reading in that span")
    return {"readings": row[0]}


def _replace(connection: psycopg.Connection[Any], proposal: Proposal) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT batch, raw_int, raw_real FROM reading WHERE series_id = %s AND ts = %s"
        " ORDER BY batch",
        (proposal.series.series_id, proposal.since),
    ).fetchall()
    wanted = proposal.detail.get("batch")
    chosen = [r for r in rows if wanted is None or r[0] == wanted]
    if len(chosen) != 1:
        batches = ", ".join(str(r[0]) for r in rows) or "none"
        raise CorrectionError(
            f"{proposal.series.point} needs exactly one reading at {proposal.since.isoformat()}; "
            f"batches with one: {batches}"
        )
    batch, whole, _ = chosen[0]
    text = str(proposal.detail.get("raw", ""))
    number = _decimal("raw", text)
    if whole is None:
        return {"batch": batch, "raw_real": float(number)}
    if number != number.to_integral_value() or abs(number) > _INT64_MAX:
        raise CorrectionError(f"raw: {text} is no count of this register")
    return {"batch": batch, "raw_int": int(number)}


def _substitute(connection: psycopg.Connection[Any], proposal: Proposal) -> dict[str, Any]:
    for name, at in (("from", proposal.since), ("to", proposal.until)):
        if at is not None and (at - _UNIX) % _GRID:
            raise CorrectionError(f"{name}: {at.isoformat()} is not on a quarter hour")
    counts = connection.execute(
        "SELECT 1 FROM series_epoch WHERE series_id = %s AND superseded_commit_no IS NULL"
        " AND counter_kind IS NOT NULL AND valid_from < %s"
        " AND (valid_to IS NULL OR valid_to > %s) LIMIT 1",
        (proposal.series.series_id, proposal.until, proposal.since),
    ).fetchone()
    if counts is None:
        raise CorrectionError(f"{proposal.series.point} {proposal.series.quantity} counts nothing")
    unit, shape = str(proposal.detail.get("unit", "")), str(proposal.detail.get("shape", "even"))
    _unit(proposal.series.quantity, unit)
    _one_of("shape", shape, _SHAPES)
    amount = _decimal("amount", str(proposal.detail.get("amount", "")))
    return {"amount": str(amount), "unit": unit, "shape": shape}


def _meaning(connection: psycopg.Connection[Any], proposal: Proposal) -> dict[str, Any]:
    if not proposal.detail:
        raise CorrectionError(f"say what is different: {', '.join(MEANING_KEYS)}")
    detail: dict[str, Any] = {}
    for key, value in proposal.detail.items():
        if key not in MEANING_KEYS:
            raise CorrectionError(f"a meaning has no {key!r}; there are: {', '.join(MEANING_KEYS)}")
        detail[key] = MEANING_KEYS[key](proposal.series.quantity, key, str(value))
    held = connection.execute(
        "SELECT raw_type FROM series_epoch WHERE series_id = %s AND superseded_commit_no IS NULL"
        " AND tstzrange(valid_from, valid_to) && tstzrange(%s, %s)",
        (proposal.series.series_id, proposal.since, proposal.until),
    ).fetchall()
    if not held:
        raise CorrectionError(
            f"{proposal.series.point} has no meaning in that span yet: numbers get one with their "
            "first reading or import"
        )
    other = detail.get("raw_type")
    if other is not None:
        for (raw_type,) in held:
            if _width(raw_type) != _width(other):
                raise CorrectionError(
                    f"raw_type: {other} takes other registers than {raw_type}, which were read"
                )
    return detail


_CHECKS: Final[Mapping[Kind, Callable[[psycopg.Connection[Any], Proposal], dict[str, Any]]]] = {
    "void": _void,
    "replace": _replace,
    "substitute": _substitute,
    "meaning": _meaning,
}


def _width(raw_type: str) -> str:
    return raw_type.lstrip("uintfloa")


def _decimal(key: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise CorrectionError(f"{key}: {text!r} is not a decimal number")
    return number


def _one_of(key: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise CorrectionError(f"{key}: {text!r} is none of {', '.join(allowed)}")
    return text


def _unit(quantity: str, unit: str) -> str:
    try:
        unit_ratio(quantity, unit)
    except UnitError as error:
        raise CorrectionError(f"unit: {error}") from error
    return unit


def _above_zero(_quantity: str, key: str, text: str) -> str:
    number = _decimal(key, text)
    if number <= 0:
        raise CorrectionError(f"{key}: {text} is not above zero")
    return str(number)


def _not_zero(_quantity: str, key: str, text: str) -> str:
    number = _decimal(key, text)
    if number == 0:
        raise CorrectionError(f"{key}: zero would take all energy away")
    return str(number)


# What may be said of numbers, and how each is checked.
MEANING_KEYS: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "register_scale": _above_zero,
    "ratio": _not_zero,
    "offset": lambda _q, key, text: str(_decimal(key, text)),
    "unit": lambda quantity, _key, text: _unit(quantity, text),
    "raw_type": lambda _q, key, text: _one_of(key, text, _TYPES),
    "decoding": lambda _q, key, text: _one_of(key, text, _DECODINGS),
    "modulus": _above_zero,
    "counter_kind": lambda _q, key, text: _one_of(key, text, ("lifetime", "periodic", "preset")),
    "rated_max_per_h": _above_zero,
}
