"""What is odd about an energy ledger, as findings; consumption is computed elsewhere (F5)."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from enpilot.fuel_stock import stock_periods, stock_takes
from enpilot.quantities import QUANTITIES, energy_quantity
from ingest.imports.findings import FINDINGS

__all__ = ["LedgerFinding", "LedgerLine", "check_ledger", "current_ledger", "keep_findings"]

LEDGER_CODES: Final = (
    "unit_not_of_medium", "stock_mismatch", "stock_missing", "consumption_negative",
    "document_overlap",
)  # fmt: skip
_OUT: Final = frozenset({"closing", "transfer_out", "sale", "feedstock", "non_industrial"})


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry, as far as it is checked."""

    medium: str
    kind: str
    document: str
    since: dt.datetime
    until: dt.datetime
    quantity: Fraction
    unit: str


@dataclass(frozen=True, slots=True)
class LedgerFinding:
    """Something odd about a medium at a time."""

    code: str
    medium: str
    since: dt.datetime
    until: dt.datetime
    evidence: str


def check_ledger(lines: Sequence[LedgerLine]) -> list[LedgerFinding]:
    """Look at all entries of a site."""
    by_medium: dict[str, list[LedgerLine]] = defaultdict(list)
    for line in lines:
        by_medium[line.medium].append(line)
    return [f for medium in sorted(by_medium) for f in _check_medium(medium, by_medium[medium])]


def current_ledger(connection: psycopg.Connection[Any], site_id: int) -> dict[Any, LedgerLine]:
    """Return the current entries of a site by what identifies them."""
    return {
        (medium, kind, document, since, until): LedgerLine(
            medium, kind, document, since, until, Fraction(quantity), unit
        )
        for medium, kind, document, since, until, quantity, unit in connection.execute(
            "SELECT medium, kind, document, from_ts, to_ts, quantity, unit FROM energy_ledger"
            " WHERE site_id = %s AND superseded_commit_no IS NULL",
            (site_id,),
        )
    }


def keep_findings(
    connection: psycopg.Connection[Any],
    site_id: int,
    found: Iterable[LedgerFinding],
    commit_no: int,
) -> None:
    """Keep what is found again, add what is new, withdraw what is mended.

    Media that are odd in the same way at the same time share a finding.
    """
    now: dict[tuple[str, dt.datetime], list[LedgerFinding]] = defaultdict(list)
    for finding in found:
        now[finding.code, finding.since].append(finding)
    held = connection.execute(
        "SELECT code, at_ts FROM finding WHERE site_id = %s AND code = ANY(%s)"
        " AND withdrawn_version IS NULL",
        (site_id, list(LEDGER_CODES)),
    ).fetchall()
    for code, at in {(row[0], row[1]) for row in held} - now.keys():
        connection.execute(
            "UPDATE finding SET withdrawn_version = %s WHERE site_id = %s AND code = %s"
            " AND at_ts = %s AND withdrawn_version IS NULL",
            (commit_no, site_id, code, at),
        )
    for (code, at), findings in sorted(now.items()):
        connection.execute(
            "INSERT INTO finding (site_id, code, at_ts, to_ts, severity, evidence, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (site_id, code, at_ts, coalesce(point_id, 0), coalesce(series_id, 0),"
            " subject)"
            " WHERE withdrawn_version IS NULL DO UPDATE SET evidence = excluded.evidence,"
            " to_ts = excluded.to_ts, data_version = excluded.data_version",
            (
                site_id, code, at, max(f.until for f in findings), FINDINGS[code][0],
                json.dumps(
                    {"media": [{"medium": f.medium, "said": f.evidence} for f in findings]},
                    ensure_ascii=False,
                ),
                commit_no,
            ),
        )  # fmt: skip


def _check_medium(medium: str, lines: list[LedgerLine]) -> Iterator[LedgerFinding]:
    units = QUANTITIES[energy_quantity(medium)].units
    for line in lines:
        if line.unit not in units:
            said = f"{line.document or line.kind}: {line.unit}; use one of {', '.join(units)}"
            yield LedgerFinding("unit_not_of_medium", medium, line.since, line.until, said)
    yield from _overlapping(medium, lines)
    measured = [line for line in lines if line.unit in units]
    for take in stock_takes(measured):
        if take.closing is not None and take.opening is not None:
            closed = take.closing.quantity * units[take.closing.unit]
            opened = take.opening.quantity * units[take.opening.unit]
            if closed != opened:
                said = (
                    f"closing {_shown(take.closing.quantity)} {take.closing.unit}, "
                    f"opening {_shown(take.opening.quantity)} {take.opening.unit}"
                )
                yield LedgerFinding("stock_mismatch", medium, take.at, take.at, said)
    periods, loose = stock_periods(measured)
    for period in periods:
        used = sum(
            (
                (-1 if p.kind in _OUT else 1 if p.kind != "loss" else 0)
                * p.entry.quantity * p.share * units[p.entry.unit]
                for p in period.parts
            ),
            Fraction(0),
        )  # fmt: skip
        if used < 0:
            unit = QUANTITIES[energy_quantity(medium)].unit
            said = f"{_shown(used)} {unit} between two stock-takes"
            yield LedgerFinding("consumption_negative", medium, period.since, period.until, said)
    if stock_takes(measured) and loose:
        since, until = min(p.since for p in loose), max(p.until for p in loose)
        said = f"movements outside of the stock-takes, from {since:%Y-%m-%d} to {until:%Y-%m-%d}"
        yield LedgerFinding("stock_missing", medium, since, until, said)
    elif len(stock_takes(measured)) == 1:
        take = stock_takes(measured)[0]
        yield LedgerFinding("stock_missing", medium, take.at, take.at, "one stock-take only")


def _overlapping(medium: str, lines: list[LedgerLine]) -> Iterator[LedgerFinding]:
    groups: dict[tuple[str, str], list[LedgerLine]] = defaultdict(list)
    for line in lines:
        if line.document:
            groups[line.document, line.kind].append(line)
    for (document, kind), spans in sorted(groups.items()):
        spans.sort(key=lambda line: (line.since, line.until))
        for before, after in itertools.pairwise(spans):
            if after.since < before.until:
                said = f"{document}, {kind}: again from {after.since:%Y-%m-%d}"
                yield LedgerFinding("document_overlap", medium, after.since, after.until, said)


def _shown(amount: Fraction) -> str:
    return f"{float(amount):.12g}"
