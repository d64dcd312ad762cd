"""Run a source: take messages off a broker, or files out of a folder, until stopped."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Final

import structlog

from ingest.held_connection import HeldConnection, StoppedError
from ingest.publishers.folder import take_files
from ingest.publishers.source import Source
from ingest.publishers.writer import Arrived, SourceWriter
from ingest.settings import IngestSettings
from ingest.subscriber import Message, Subscriber

__all__ = ["run_source"]

_log = structlog.get_logger("publishers")
_GROUP_MESSAGES: Final = 500
_KEEP_HOUSE_S: Final = 60.0
_FOLDER_S: Final = 1.0


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
    database = HeldConnection(url, "publishers", stop)
    try:
        if source.kind == "folder":
            while not stop.is_set():
                database.hold(lambda: take_files(database.get(), source), 0)
                stop.wait(_FOLDER_S)
        else:
            _run_mqtt(source, database, stop)
    except StoppedError:
        pass
    finally:
        database.close()


def _run_mqtt(source: Source, database: HeldConnection, stop: threading.Event) -> None:
    writer = SourceWriter(source)
    database.hold(lambda: writer.look_up(database.get()), 0)
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
                database.hold(lambda: writer.prune(database.get()), 0)
                writer.forget()
    finally:
        subscriber.stop()


def _write(
    writer: SourceWriter,
    database: HeldConnection,
    subscriber: Subscriber,
    messages: Sequence[Message],
) -> None:
    arrived = [Arrived(m.topic, m.payload, m.received_us) for m in messages]
    written = database.hold(lambda: writer.write(database.get(), arrived), len(arrived))
    for sentence in written.refused[:5]:
        _log.warning("message is refused", source=writer.counted_as, reason=sentence)
    subscriber.acknowledge(list(messages))
