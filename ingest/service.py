"""The ingest worker: three threads in a row, with bounded room between them.

paho's thread takes messages off the socket; the preparing thread decodes them and lays them out for
COPY; the calling thread writes what is ready in one transaction, sends receipts, acknowledges, and
so on. While one group is written the next is prepared, since a thread that waits for the database
lets the others run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
import structlog

from enpilot.wire import Refusal
from ingest import fold, quarantine
from ingest.counts import forget_workers
from ingest.held_connection import OUTAGES, HeldConnection, StoppedError, first_line
from ingest.metrics import IngestFigures, serving
from ingest.prepare import Item, Part, Preparer, read_message
from ingest.settings import IngestSettings
from ingest.streams import report_clones
from ingest.subscriber import Subscriber
from ingest.waiting import Waiting
from ingest.writer import GroupWriter, Written

__all__ = ["PART_MESSAGES", "PART_READINGS", "Worker"]

_log = structlog.get_logger("ingest")
# What is laid out at once: small, so that little is left to do when the writer asks for more.
PART_MESSAGES: Final = 200
PART_READINGS: Final = 40_000

# What one batch can do wrong. Anything else is the database's trouble and passes, or is mended.
_BATCH_ERRORS: Final = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.RaiseException)

_Result = TypeVar("_Result")


class Worker:
    """One ingest worker: one connection to the broker, two to the database."""

    def __init__(self, settings: IngestSettings, database_url: str, client_id: str) -> None:
        self._settings = settings
        self._url = database_url
        self._subscriber = Subscriber(settings, client_id)
        self._preparer = Preparer()
        self._parts: Waiting[Part] = Waiting(settings.group_messages, 1.0)
        self._writer = GroupWriter(client_id)
        self._stop = threading.Event()
        self._writing = HeldConnection(database_url, "ingest", self._stop)
        self._preparing = HeldConnection(database_url, "ingest", self._stop)
        self._asked = threading.Event()  # the writer has nothing to do
        self._failure: Exception | None = None
        self._housekeeping_at = time.monotonic() + settings.fold_s
        self.figures = IngestFigures()

    @property
    def totals(self) -> dict[str, int]:
        """What became of messages since the start."""
        return self.figures.totals()

    def stop(self) -> None:
        """Ask `run` to end after the group at hand; safe from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`."""
        self._attach()
        preparing = threading.Thread(target=self._prepare, name="prepare", daemon=True)
        with serving(self.figures, self._settings.metrics):
            self._subscriber.start()
            preparing.start()
            _log.info("ingest is ready")
            try:
                while not self._stop.is_set():
                    self._write_what_is_ready()
            except StoppedError:
                pass
            finally:
                self._stop.set()
                self._subscriber.stop()
                self._parts.close()
                preparing.join()
                self._writing.close()
                self._preparing.close()
        if self._failure is not None:
            raise self._failure
        _log.info("ingest has stopped", **self.totals)

    def _prepare(self) -> None:
        """Read and prepare messages; the thread beside `run`."""
        try:
            self._prepare_until_stopped()
        except StoppedError:
            pass
        except Exception as error:  # noqa: BLE001  # raised again by the thread that is waited for
            self._failure = error
            self._stop.set()

    def _prepare_until_stopped(self) -> None:
        items: list[Item] = []
        readings = 0
        while not self._stop.is_set():
            taken = self._subscriber.waiting.take(PART_MESSAGES - len(items), self._patience(items))
            for message in taken:
                items.append(read_message(message))
                readings += items[-1].readings
            self.figures.waiting_messages = self._subscriber.waiting.messages + len(items)
            self.figures.broker_connected = self._subscriber.connected
            full = len(items) >= PART_MESSAGES or readings >= PART_READINGS
            if items and (full or (self._asked.is_set() and self._patience(items) <= 0)):
                part = self._prepared(items, readings)
                self._asked.clear()
                self._parts.put(part)
                items, readings = [], 0

    def _patience(self, items: list[Item]) -> float:
        """Return for how long to wait for more messages [s]."""
        if not items:
            return 0.2
        ripe_in_s = items[0].message.since_s + self._settings.group_age_s - time.monotonic()
        if self._asked.is_set():
            return max(0.0, ripe_in_s)
        return 0.2  # or until the writer asks

    def _prepared(self, items: list[Item], readings: int) -> Part:
        part = self._hold(
            lambda: self._preparer.prepare(self._preparing.get(), items), self._preparing, items
        )
        settings = self._settings
        size = sum(len(item.message.payload) for item in items)
        part.size = max(size / settings.group_bytes, readings / settings.group_readings)
        return part

    def _write_what_is_ready(self) -> None:
        settings = self._settings
        self._asked.set()
        self._subscriber.waiting.nudge()
        parts = self._parts.take(settings.group_messages, 0.2, settings.group_age_s)
        if parts:
            self._handle(parts)
        if time.monotonic() >= self._housekeeping_at:
            self._keep_house()

    def _handle(self, parts: list[Part]) -> None:
        items = [item for part in parts for item in part.items]
        written = self._hold(lambda: self._commit(parts), self._writing, items)
        self.figures.add(written.counts, self._writer.worker)
        for receipt in written.receipts:
            self._subscriber.send(receipt)
        self._subscriber.acknowledge([item.message for item in items])

    def _commit(self, parts: list[Part]) -> Written:
        """Write parts; if something in them cannot be written, one batch after the other."""
        connection = self._attach()
        current = [self._renewed(connection, part) for part in parts]
        try:
            return self._writer.write(connection, current)
        except _BATCH_ERRORS as error:
            _log.error("a group cannot be written; trying its batches one by one", error=str(error))
        written = Written([], {})
        for part in current:
            for item in part.items:
                one = self._preparer.prepare(connection, [item])
                try:
                    written.add(self._writer.write(connection, [one]))
                except _BATCH_ERRORS as error:
                    sentence = f"the database refuses it: {error}"
                    poison = one.refuse_all(Refusal.WRITE_FAILED, sentence)
                    written.add(self._writer.write(connection, [poison]))
        return written

    def _renewed(self, connection: psycopg.Connection[Any], part: Part) -> Part:
        """Return a part prepared with the present caches."""
        if part.generation == self._preparer.generation:
            return part
        return self._preparer.prepare(connection, part.items)

    def _attach(self) -> psycopg.Connection[Any]:
        """Return the connection to write on, having got to know its database."""
        if self._writing.is_open:
            return self._writing.get()
        connection = self._writing.get()
        self._preparing.expire()
        self._preparer.forget()
        self._writer.attach(connection)
        return connection

    def _hold(
        self, action: Callable[[], _Result], connection: HeldConnection, items: list[Item]
    ) -> _Result:
        """Do something with the database; what is at hand stays in memory while it is away.

        The broker does not send again before a reconnect.
        """
        self.figures.database_connected = connection.is_up
        try:
            return connection.hold(action, len(items))
        finally:
            self.figures.database_connected = connection.is_up

    def _keep_house(self) -> None:
        self._housekeeping_at = time.monotonic() + self._settings.fold_s
        self._preparer.forget_refused_births()
        self._writer.agreed.clear()  # a person may have recorded another meaning
        try:
            connection = self._attach()
            through = dict(self._writer.through)
            fold.move_through(connection, through)
            fold.prune(connection, self._settings.keep_hashes_hours)
            report_clones(connection, through)
            quarantine.trim(connection, self._settings.quarantine_bytes)
            forget_workers(connection)
        except OUTAGES as error:
            _log.warning("housekeeping waits for the database", reason=first_line(error))
            self._writing.close()
