"""``enpilot ingest publishers``: check a source file, run sources."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import cyclopts

from enpilot.database import database_url
from enpilot.errors import ConfigurationError
from enpilot.logs import configure_logs
from ingest.publishers.payload import SampleReader, UnreadableError
from ingest.publishers.run import run_source
from ingest.publishers.source import load_source

__all__ = ["app"]

app = cyclopts.App(name="publishers", help="Devices and SCADA systems that speak plain JSON.")


@app.command
def check(source: Path, *, payload: Path | None = None, topic: str = "") -> None:
    """Check a source file; with a message, show what becomes of it.

    Parameters
    ----------
    source
        The source file.
    payload
        A file with one message.
    topic
        On which it came.
    """
    described = load_source(source)
    print(f"source {described.name} of site {described.site}: {described.kind}")
    for tag in described.tag:
        print(f"  {tag.tag:24} {tag.point} {tag.quantity} {tag.channel} [{tag.unit}]")
    if payload is None:
        return
    reader = SampleReader(described)
    try:
        samples, wrong = reader.read(topic, payload.read_bytes(), time.time_ns() // 1000)
    except (UnreadableError, OSError) as error:
        raise ConfigurationError(f"{payload}: {error}") from error
    for sample in samples:
        stamp = "its own time" if sample.own_time else "time of arrival"
        print(f"{sample.tag.tag}: {sample.value} at {sample.ts_us} µs ({stamp}), {sample.quality}")
    for mistake in wrong:
        print(f"refused: {mistake}")
    for tag_name in sorted(reader.unknown_tags):
        print(f"not taken: {tag_name}")


@app.command
def run(*sources: Path) -> None:
    """Run sources until stopped (SIGINT or SIGTERM): brokers, and folders of files.

    Parameters
    ----------
    sources
        Source files of kind "mqtt" or "folder", one thread each. What comes over HTTP is taken by
        `enpilot ingest api --source FILE`.
    """
    configure_logs()
    url = database_url()
    described = [load_source(file) for file in sources]
    for file, source in zip(sources, described, strict=True):
        if source.kind == "rest":
            raise ConfigurationError(
                f"{file}: comes over HTTP: give it to `enpilot ingest api --source` - at `$.kind`"
            )
    if not described:
        raise ConfigurationError("name at least one source file")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failures: list[Exception] = []

    def keep_running(index: int) -> None:
        try:
            run_source(described[index], url, stop)
        except Exception as error:  # noqa: BLE001  # raised again below, when all have ended
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=keep_running, args=(i,)) for i in range(len(described))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
