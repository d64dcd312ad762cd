"""Run a source: take messages off a broker, or files out of a folder, until stopped."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import psycopg
import structlog

from enpilot.database import DatabaseUnavailableError, connect
from ingest.publishers.folder import take_files
from ingest.publishers.source import Source
from ingest.publishers.writer import Arrived, SourceWriter
from ingest.settings import IngestSettings
from ingest.subscriber import Message, Subscriber

__all__ = ["run_source"]

_log = structlog.get_logger("publishers")
_OUTAGES: Final = (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailableError)
_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_GROUP_MESSAGES: Final = 500
_KEEP_HOUSE_S: Final = 60.0
_FOLDER_S: Final = 1.0
_Result = TypeVar("_Result")


def run_source(source: Source, url: str, stop: threading.Event) -> None:
    """Run a source of kind "mqtt" or "folder" until ``stop`` is set.

    Parameters
    ----------
    source
        Its file.
    url
        The database.

    Raises
    ------
    ingest.errors.BrokerUnavailableError
        If the broker does not answer at the start; later it is waited for.
    ingest.errors.SourceError
        If the plant has no such site or point.
    """
    database = _Database(url, stop)
    try:
        if source.kind == "folder":
            while not stop.is_set():
                database.hold(lambda connection: take_files(connection, source))
                stop.wait(_FOLDER_S)
        else:
            _run_mqtt(source, database, stop)
    except _StoppedError:
        pass
    finally:
        database.close()


def _run_mqtt(source: Source, database: _Database, stop: threading.Event) -> None:
    writer = SourceWriter(source)
    database.hold(writer.look_up)
    assert source.topic is not None  # load_source sees to it
    name = f"enpilot-source-{source.name}-{socket.gethostname()}-{os.getpid()}"
    subscriber = Subscriber(IngestSettings(mqtt=source.mqtt), name, [(source.topic, 1)])
    subscriber.start()
    _log.info("source is read", source=source.name, topic=source.topic)
    told: set[str] = set()
    house_at = time.monotonic() + _KEEP_HOUSE_S
    try:
        while not stop.is_set():
            messages = subscriber.waiting.take(_GROUP_MESSAGES, 0.2)
            if messages:
                _write(writer, database, subscriber, messages)
            for tag in sorted(writer.reader.unknown_tags - told):
                told.add(tag)
                _log.info("tag is not taken", source=source.name, tag=tag)
            if time.monotonic() >= house_at:
                house_at = time.monotonic() + _KEEP_HOUSE_S
                database.hold(writer.prune)
                writer.forget()
    finally:
        subscriber.stop()


def _write(
    writer: SourceWriter,
    database: _Database,
    subscriber: Subscriber,
    messages: Sequence[Message],
) -> None:
    arrived = [Arrived(m.topic, m.payload, m.received_us) for m in messages]
    written = database.hold(lambda connection: writer.write(connection, arrived))
    for sentence in written.refused[:5]:
        _log.warning("message is refused", source=writer.counted_as, reason=sentence)
    subscriber.acknowledge(list(messages))


class _StoppedError(Exception):
    """The source was told to stop while it waited."""


class _Database:
    """A connection that is opened again when the database comes back."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._url = url
        self._stop = stop
        self._open: psycopg.Connection[Any] | None = None

    def hold(self, action: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        """Do something with the database, again and again while it is away."""
        attempt = 0
        while True:
            try:
                if self._open is None or self._open.closed:
                    self._open = connect(self._url, "publishers", autocommit=True)
                result = action(self._open)
            except _OUTAGES as error:
                self.close()
                if attempt == 0:
                    first_line = (str(error).splitlines() or [type(error).__name__])[0]
                    _log.warning("database is away; holding messages", reason=first_line)
                pause_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)] * random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries
                if self._stop.wait(pause_s):
                    raise _StoppedError from error
                attempt += 1
            else:
                if attempt:
                    _log.info("database is back")
                return result

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None
