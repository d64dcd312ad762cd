"""Production counts, of an MES or typed in: checked, versioned, all or none (F12, D16)."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import psycopg

from enpilot.database import draw_commit_no
from enpilot.wire import sha256_hex
from ingest import ledger
from ingest.errors import EntriesRefusedError
from ingest.imports.entries import OUTPUT, Entry, lock_entries, plan_entries, write_entries
from ingest.rows import batch_number

__all__ = ["Production", "Reported", "Reporter", "WrittenEntries", "write_production"]

_MAX_SENTENCES: Final = 50


@dataclass(frozen=True, slots=True)
class Reported:
    """One count of one product.

    Attributes
    ----------
    product
        Its code in the plant file.
    line
        Which line made it; empty if that is not told apart.
    stage
        "counted", "qualified", "warehoused" or "shipped" (F12).
    disposition
        "good", "scrap" or "rework".
    quantity
        [unit of the product].
    since, until
        When it was made, the end excluded.
    booked_at
        When it was booked; None means at the end of the span.
    lot
        The production lot (batch, heat); empty if there is none.
    """

    product: str
    line: str
    stage: str
    disposition: str
    quantity: Decimal
    since: dt.datetime
    until: dt.datetime
    booked_at: dt.datetime | None
    lot: str = ""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports, for one site.

    Attributes
    ----------
    key
        What is numbered apart: one for each token or person.
    source
        The name of where the figures come from, kept with them.
    author, reason
        Kept with every entry.
    site_id, site
        Whose products are meant.
    """

    key: str
    source: str
    author: str
    reason: str
    site_id: int
    site: str


@dataclass(slots=True)
class WrittenEntries:
    """How many entries were new and how many were there already, and those that differ."""

    written: int = 0
    present: int = 0
    conflicts: list[str] = field(default_factory=list)


class Production:
    """Numbers the reports of this process: a stream a reporter, a batch a report (D1)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[str, tuple[uuid.UUID, int]] = {}

    def next_batch(self, key: str) -> tuple[uuid.UUID, int]:
        """Return stream and number of the next report of one reporter."""
        with self._lock:
            stream, last = self._streams.get(key, (uuid.uuid4(), 0))
            self._streams[key] = (stream, last + 1)
        return stream, last + 1


def write_production(
    connection: psycopg.Connection[Any],
    production: Production,
    reporter: Reporter,
    entries: Sequence[Reported],
    *,
    body: bytes,
    supersede: bool,
) -> WrittenEntries:
    """Write a report in one transaction.

    Parameters
    ----------
    connection
        In a transaction, or outside one.
    reporter
        Whose report it is; only products of its site are found.
    entries
        At least one.
    body
        The bytes of the report; their hash is kept.
    supersede
        Let entries with another quantity become new versions. Without it nothing is written if
        any differs from what is there.

    Raises
    ------
    EntriesRefusedError
        If a product does not exist, or a span is empty; with every entry that is wrong.
    """
    result = WrittenEntries()
    stream, seq = production.next_batch(reporter.key)
    with connection.transaction() as transaction:
        products = dict(
            connection.execute(
                "SELECT code, product_id FROM product WHERE site_id = %s", (reporter.site_id,)
            ).fetchall()
        )
        _check(entries, products, reporter.site)
        lock_entries(connection, reporter.site_id)
        span = (min(e.since for e in entries), max(e.since for e in entries))
        said = [_entry(i, e, products) for i, e in enumerate(entries)]
        planned = plan_entries(connection, OUTPUT, reporter.site_id, said, span)
        result.present = planned.present
        if planned.differing and not supersede:
            result.conflicts = [
                f"{_named(entries[entry.line])}: {held[0]:f} is there (version {version}), "
                f"not {entry.value[0]:f}"
                for entry, held, _, version in planned.differing[:_MAX_SENTENCES]
            ]
            raise psycopg.Rollback(transaction)
        stream_no = _open_stream(connection, stream, reporter)
        digest = bytes.fromhex(sha256_hex(body))
        ledger.claim(connection, [ledger.Claim(stream_no, seq, digest, None, 0, None, None)])
        # Few rows; drawn first, since every entry carries it.
        commit_no = draw_commit_no(connection)
        provenance = {
            "site_id": reporter.site_id,
            "source": reporter.source,
            "synthetic": False,
            "batch": batch_number(stream_no, seq),
            "author": reporter.author,
            "reason": reporter.reason,
            "commit_no": commit_no,
        }
        result.written = write_entries(connection, OUTPUT, planned, provenance, supersede=supersede)
        ledger.number_claims(connection, {(stream_no, seq)}, commit_no)
        if result.written:
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, %s, %s)",
                (reporter.site_id, span[0], max(e.until for e in entries), commit_no),
            )
    return result


def _check(entries: Sequence[Reported], products: dict[str, int], site: str) -> None:
    mistakes = []
    for i, entry in enumerate(entries):
        if entry.product not in products:
            there_are = ", ".join(sorted(products)) or "none"
            mistakes.append(
                f"entries[{i}].product: site {site!r} makes no {entry.product!r}; "
                f"there are: {there_are}"
            )
        if entry.until <= entry.since:
            mistakes.append(f"entries[{i}].to is not after `from`")
    if mistakes:
        raise EntriesRefusedError(mistakes[:_MAX_SENTENCES])


def _open_stream(connection: psycopg.Connection[Any], stream: uuid.UUID, reporter: Reporter) -> int:
    connection.execute(
        "INSERT INTO stream (stream, origin, source, author) VALUES (%s, 'api', %s, %s)"
        " ON CONFLICT DO NOTHING",
        (stream, reporter.source, reporter.author),
    )
    row = connection.execute("SELECT stream_no FROM stream WHERE stream = %s", (stream,)).fetchone()
    assert row is not None  # inserted above, or by an earlier report
    connection.execute(
        "INSERT INTO stream_state (stream_no) VALUES (%s) ON CONFLICT DO NOTHING", row
    )
    return int(row[0])


def _entry(number: int, entry: Reported, products: dict[str, int]) -> Entry:
    key = (
        products[entry.product], entry.line, entry.stage, entry.disposition, entry.since,
        entry.until,
    )  # fmt: skip
    return Entry(number, key, (entry.quantity,), (entry.booked_at or entry.until, entry.lot))


def _named(entry: Reported) -> str:
    return (
        f"{entry.product} {entry.line} {entry.stage} {entry.disposition} from "
        f"{entry.since.isoformat()}"
    )
