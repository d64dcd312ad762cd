"""A PostgreSQL cluster of the test's own, which may be killed, copied and put back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tests.services.programs import Programs

__all__ = ["Cluster"]

_HOST = "database"


class Cluster:
    """The embedded server on a folder that its user may enter.

    Parameters
    ----------
    folder
        Holds the cluster and its backup.
    programs
        Runs the server's host.
    """

    def __init__(self, folder: Path, programs: Programs) -> None:
        self._data = folder / "data"
        self._backup = folder / "backup"
        self._programs = programs
        self.url = make_conninfo(host=str(self._data), user="postgres", dbname="enpilot")

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        if self._programs.log_file(_HOST).exists():
            self._programs.start(_HOST)
        else:
            self._programs.start(_HOST, "tests.chaos.database_host", str(self._data))
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, self._programs.last_words(_HOST)
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """Kill the server and everything that belongs to it, at once."""
        postmaster = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        with contextlib.suppress(KeyError):
            self._programs.kill(_HOST)  # first, so that it cannot stop its server in order
        pids = [postmaster, *_children(postmaster)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            assert time.monotonic() < deadline, "killed processes do not end"
            time.sleep(0.02)

    def back_up(self) -> None:
        """Copy the folder of the stopped server, and start it again."""
        self._programs.stop(_HOST)
        shutil.rmtree(self._backup, ignore_errors=True)
        _copy(self._data, self._backup)
        self.start()

    def put_back(self) -> None:
        """Kill the server, put the copy in its place, and start that."""
        self.kill()
        shutil.rmtree(self._data)
        _copy(self._backup, self._data)
        self.start()


def _copy(source: Path, target: Path) -> None:
    # With owners and times, which the server insists on.
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The name in brackets may hold anything; the parent comes two fields after it.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(entry.name))
    return found
