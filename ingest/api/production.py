"""Production counts of an MES or ERP system: checked, versioned, all or none (F12, D16)."""

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
from ingest.api.tokens import Grant
from ingest.errors import EntriesRefusedError
from ingest.imports.entries import OUTPUT, Entry, lock_entries, plan_entries, write_entries
from ingest.rows import batch_number

__all__ = ["Production", "Reported", "WrittenEntries", "write_production"]

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


@dataclass(slots=True)
class WrittenEntries:
    """How many entries were new and how many were there already, and those that differ."""

    written: int = 0
    present: int = 0
    conflicts: list[str] = field(default_factory=list)


class Production:
    """Numbers the reports of this process: a stream a token, a batch a report (D1)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[int, tuple[uuid.UUID, int]] = {}

    def next_batch(self, grant: Grant) -> tuple[uuid.UUID, int]:
        """Return stream and number of the next report of a token's holder."""
        with self._lock:
            stream, last = self._streams.get(grant.token_id, (uuid.uuid4(), 0))
            self._streams[grant.token_id] = (stream, last + 1)
        return stream, last + 1


def write_production(
    connection: psycopg.Connection[Any],
    production: Production,
    grant: Grant,
    entries: Sequence[Reported],
    *,
    body: bytes,
    supersede: bool,
) -> WrittenEntries:
    """Write a report in one transaction.

    Parameters
    ----------
    connection
        Not inside a transaction.
    grant
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
    stream, seq = production.next_batch(grant)
    with connection.transaction() as transaction:
        products = dict(
            connection.execute(
                "SELECT code, product_id FROM product WHERE site_id = %s", (grant.site_id,)
            ).fetchall()
        )
        _check(entries, products, grant)
        lock_entries(connection, grant.site_id)
        span = (min(e.since for e in entries), max(e.since for e in entries))
        said = [_entry(i, e, products) for i, e in enumerate(entries)]
        planned = plan_entries(connection, OUTPUT, grant.site_id, said, span)
        result.present = planned.present
        if planned.differing and not supersede:
            result.conflicts = [
                f"{_named(entries[entry.line])}: {held[0]:f} is there (version {version}), "
                f"not {entry.value[0]:f}"
                for entry, held, _, version in planned.differing[:_MAX_SENTENCES]
            ]
            raise psycopg.Rollback(transaction)
        stream_no = _open_stream(connection, stream, grant)
        digest = bytes.fromhex(sha256_hex(body))
        ledger.claim(connection, [ledger.Claim(stream_no, seq, digest, None, 0, None, None)])
        # Few rows; drawn first, since every entry carries it.
        commit_no = draw_commit_no(connection)
        provenance = {
            "site_id": grant.site_id,
            "source": grant.name,
            "synthetic": False,
            "batch": batch_number(stream_no, seq),
            "author": f"token {grant.token_id} ({grant.name})",
            "reason": "reported over HTTP",
            "commit_no": commit_no,
        }
        result.written = write_entries(connection, OUTPUT, planned, provenance, supersede=supersede)
        ledger.number_claims(connection, {(stream_no, seq)}, commit_no)
        if result.written:
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, %s, %s)",
                (grant.site_id, span[0], max(e.until for e in entries), commit_no),
            )
    return result


def _check(entries: Sequence[Reported], products: dict[str, int], grant: Grant) -> None:
    mistakes = []
    for i, entry in enumerate(entries):
        if entry.product not in products:
            there_are = ", ".join(sorted(products)) or "none"
            mistakes.append(
                f"entries[{i}].product: site {grant.site!r} makes no {entry.product!r}; "
                f"there are: {there_are}"
            )
        if entry.until <= entry.since:
            mistakes.append(f"entries[{i}].to is not after `from`")
    if mistakes:
        raise EntriesRefusedError(mistakes[:_MAX_SENTENCES])


def _open_stream(connection: psycopg.Connection[Any], stream: uuid.UUID, grant: Grant) -> int:
    connection.execute(
        "INSERT INTO stream (stream, origin, source, author) VALUES (%s, 'api', %s, %s)"
        " ON CONFLICT DO NOTHING",
        (stream, grant.name, f"token {grant.token_id} ({grant.name})"),
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
