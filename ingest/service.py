"""The ingest worker: take what waits, write it, send receipts, acknowledge; and so on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from enpilot.database import DatabaseUnavailableError, connect
from enpilot.wire import (
    WIRE_VERSION,
    Receipt,
    Refusal,
    Status,
    WireError,
    decode_birth,
    decode_status,
    parse_topic,
    sha256_hex,
)
from enpilot.wire.topics import TopicError
from ingest import ledger, quarantine
from ingest.accept import Accepted, BirthNeeded, KnownBirth, Refused, accept
from ingest.errors import RefusedError
from ingest.meaning import resolve_birth
from ingest.settings import IngestSettings
from ingest.subscriber import Message, Subscriber
from ingest.writer import Agreed, Written, write_group

__all__ = ["Worker"]

_log = structlog.get_logger("ingest")
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Worker:
    """One ingest worker on one connection to the broker and one to the database."""

    def __init__(self, settings: IngestSettings, database_url: str, client_id: str) -> None:
        self._settings = settings
        self._url = database_url
        self._connection: psycopg.Connection[Any] | None = None
        self._subscriber = Subscriber(settings.mqtt, client_id, settings.max_waiting_messages)
        self._births: dict[str, KnownBirth] = {}
        self._agreed: Agreed = set()
        self._stop = threading.Event()
        self._housekeeping_at = time.monotonic() + settings.fold_s
        self.totals: Counter[str] = Counter()

    def stop(self) -> None:
        """Ask `run` to end after the group at hand; safe from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`."""
        self._database()
        self._subscriber.start()
        _log.info("ingest is ready")
        try:
            while not self._stop.is_set():
                messages = self._subscriber.take(
                    self._settings.group_messages, self._settings.group_bytes, wait_s=0.2
                )
                if messages:
                    self._handle(messages)
                if time.monotonic() >= self._housekeeping_at:
                    self._keep_house()
        finally:
            self._subscriber.stop()
            if self._connection is not None:
                self._connection.close()
        _log.info("ingest has stopped", **self.totals)

    def _handle(self, messages: list[Message]) -> None:
        for attempt in range(10_000_000):
            try:
                receipts = self._write(messages)
                break
            except (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailableError):
                # The broker does not send again before a reconnect, so the group stays in memory.
                if attempt == 0:
                    _log.warning("database is away; holding messages", waiting=len(messages))
                self._drop_connection()
                if self._stop.wait(_RETRY_S[min(attempt, len(_RETRY_S) - 1)]):
                    return
        if attempt:
            _log.info("database is back")
        for receipt in receipts:
            self._subscriber.send(receipt)
        self._subscriber.acknowledge(messages)

    def _write(self, messages: list[Message]) -> list[Receipt]:
        connection = self._database()
        accepted: list[Accepted] = []
        refused: list[Refused] = []
        needed: dict[str, set[str]] = {}
        for message in messages:
            match self._sort(connection, message):
                case Accepted() as good:
                    accepted.append(good)
                case Refused() as bad:
                    refused.append(bad)
                case BirthNeeded() as need:
                    needed.setdefault(need.agent, set()).add(need.sha256_hex)
                case None:
                    pass
        receipts: list[Receipt] = []
        if accepted or refused:
            written = self._commit(connection, accepted, refused)
            receipts = written.receipts
            for counts in written.counts.values():
                self.totals["batches_stored"] += counts.batches_stored
                self.totals["batches_duplicated"] += counts.batches_duplicated
                self.totals["batches_refused"] += counts.batches_refused
                self.totals["readings_stored"] += counts.readings_stored
        return _with_needs(receipts, needed)

    def _commit(
        self, connection: psycopg.Connection[Any], accepted: list[Accepted], refused: list[Refused]
    ) -> Written:
        try:
            return write_group(connection, accepted, refused, self._agreed)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
            _log.error("a group cannot be written; trying its batches one by one", error=str(error))
        written = Written([], {})
        for good in accepted:
            try:
                one = write_group(connection, [good], [], self._agreed)
            except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
                poison = good.refuse(Refusal.WRITE_FAILED, f"the database refuses it: {error}")
                one = write_group(connection, [], [poison], self._agreed)
            written.receipts.extend(one.receipts)
            written.counts.update(one.counts)
        if refused:
            written.receipts.extend(write_group(connection, [], refused, self._agreed).receipts)
        return written

    def _sort(
        self, connection: psycopg.Connection[Any], message: Message
    ) -> Accepted | Refused | BirthNeeded | None:
        try:
            agent, kind = parse_topic(message.topic)
        except TopicError as error:
            return Refused(message.topic, message.payload, Refusal.MALFORMED, str(error))
        try:
            if kind == "birth":
                self._keep_birth(connection, agent, message.payload)
                return None
            if kind == "status":
                _keep_status(connection, agent, decode_status(message.payload))
                return None
        except WireError as error:
            return Refused(message.topic, message.payload, error.code, str(error), agent)
        found = accept(message.topic, message.payload, self._births)
        if isinstance(found, BirthNeeded):
            # Another worker, or this one before a restart, may have catalogued it.
            self._load_birth(connection, found)
            found = accept(message.topic, message.payload, self._births)
        return found

    def _keep_birth(self, connection: psycopg.Connection[Any], agent: str, payload: bytes) -> None:
        birth = decode_birth(payload)
        if birth.agent != agent:
            raise WireError(
                Refusal.WRONG_IDENTITY, f"birth of {birth.agent!r} on {agent!r}'s topic"
            )
        digest = sha256_hex(payload)
        with connection.transaction():
            connection.execute(
                "INSERT INTO catalog (sha256, agent_id, body) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (bytes.fromhex(digest), agent, payload),
            )
        # A plant import may have granted points since a birth was refused: look again.
        self._births.pop(digest, None)

    def _load_birth(self, connection: psycopg.Connection[Any], need: BirthNeeded) -> None:
        try:
            sha256 = bytes.fromhex(need.sha256_hex)
        except ValueError:
            return
        with connection.transaction():
            row = connection.execute(
                "SELECT body FROM catalog WHERE sha256 = %s AND agent_id = %s",
                (sha256, need.agent),
            ).fetchone()
            if row is None:
                return
            birth = decode_birth(bytes(row[0]))
            try:
                columns = resolve_birth(connection, birth, sha256)
                known = KnownBirth(columns, birth.simulated)
            except RefusedError as error:
                known = KnownBirth({}, birth.simulated, (error.code, str(error)))
        self._births[need.sha256_hex] = known

    def _keep_house(self) -> None:
        self._housekeeping_at = time.monotonic() + self._settings.fold_s
        # A refused birth is looked up again: its points may have been granted meanwhile.
        self._births = {k: b for k, b in self._births.items() if b.refusal is None}
        try:
            connection = self._database()
            ledger.fold(connection, self._settings.keep_hashes_hours)
            quarantine.trim(connection, self._settings.quarantine_bytes)
        except (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailableError) as e:
            _log.warning("housekeeping waits for the database", reason=str(e).splitlines()[0])
            self._drop_connection()

    def _database(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, "ingest", autocommit=True)
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _keep_status(connection: psycopg.Connection[Any], agent: str, status: Status) -> None:
    if status.agent != agent:
        raise WireError(Refusal.WRONG_IDENTITY, f"status of {status.agent!r} on {agent!r}'s topic")
    oldest = status.oldest_held_us
    with connection.transaction():
        connection.execute(
            "INSERT INTO agent_status (agent_id, state, since, held_batches, held_readings,"
            " oldest_held_ts, units_down) VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (agent_id) DO UPDATE SET state = excluded.state,"
            " since = excluded.since, held_batches = excluded.held_batches,"
            " held_readings = excluded.held_readings, oldest_held_ts = excluded.oldest_held_ts,"
            " units_down = excluded.units_down, received_at = now()",
            (
                agent, status.state, _instant(status.since_us), status.held_batches,
                status.held_readings, None if oldest is None else _instant(oldest),
                status.units_down,
            ),
        )  # fmt: skip


def _instant(us: int) -> datetime:
    try:
        return datetime.fromtimestamp(us / 1e6, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise WireError(Refusal.MALFORMED, f"{us} is no time: {error}") from error


def _with_needs(receipts: list[Receipt], needed: dict[str, set[str]]) -> list[Receipt]:
    """Add the births that are asked for; a receipt of needs alone confirms nothing (commit 0)."""
    for agent, hashes in needed.items():
        own = next((r for r in receipts if r.agent == agent), None)
        if own is None:
            own = Receipt(v=WIRE_VERSION, agent=agent, db="", commit_no=0, streams=[])
            receipts.append(own)
        own.need = sorted(hashes)
    return receipts
