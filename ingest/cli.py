"""``enpilot ingest``: run the worker; the rest is found when it is called."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from pathlib import Path

import cyclopts

from enpilot.database import database_url
from enpilot.logs import configure_logs
from enpilot.settings import load_settings
from ingest.service import Worker
from ingest.settings import IngestSettings

__all__ = ["app"]

app = cyclopts.App(name="ingest", help="MQTT to database, exactly once.")
app.command(
    "ingest.quarantine_cli:app", name="quarantine", help="What was refused, and trying it again."
)
app.command(
    "ingest.publishers.cli:app",
    name="publishers",
    help="Devices and SCADA systems with plain JSON.",
)
app.command(
    "ingest.api.cli:serve", name="api", help="Take production counts and readings over HTTP."
)
app.command("ingest.api.cli:token", name="token", help="Who may write over HTTP.")
app.command("ingest.desk:run", name="desk", help="Do what people ask for in the portal.")


@app.command
def run(settings: Path | None = None, *, host: str | None = None, port: int | None = None) -> None:
    """Write what agents publish until stopped (SIGINT or SIGTERM).

    Parameters
    ----------
    settings
        TOML file; without one, a broker on this machine without sign-in.
    host
        Broker host, instead of the file's.
    port
        Broker port, instead of the file's.
    """
    configure_logs()
    chosen = load_settings(settings, IngestSettings)
    if host is not None:
        chosen.mqtt.host = host
    if port is not None:
        chosen.mqtt.port = port
    worker = Worker(chosen, database_url(), f"enpilot-ingest-{socket.gethostname()}-{os.getpid()}")
    # Waiting messages are a great many lists: to look through them for cycles each 700, Python's
    # default, costs more than to decode them. paho leaves one cycle, of 8 objects, a message.
    gc.set_threshold(200_000)
    # COPY goes out in pieces of what the socket takes, some milliseconds of the server's work. A
    # writer that waits 5 ms (Python's default) for its turn after each lets the server run dry.
    sys.setswitchinterval(0.0005)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
