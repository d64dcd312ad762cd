"""Serve an embedded PostgreSQL with its normal durability until ended.

Usage: ``python -m tests.chaos.database_host FOLDER``. A program of its own, so that a test may kill
it together with its server, and start it again on what is left.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from enpilot.demo.database import embedded_database


def main(folder: Path) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with embedded_database(folder):
        stop.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
