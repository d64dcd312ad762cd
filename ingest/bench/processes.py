"""What a measurement runs on: a scratch database, and processes whose cost is read from /proc."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from enpilot.database import connect
from enpilot.errors import EnpilotError
from ingest.bench.publisher import Assignment, Report

__all__ = ["BenchError", "MemoryWatch", "cpu_s", "publishing", "server_cpu_s"]

_TICKS_A_S: Final = os.sysconf("SC_CLK_TCK")


class BenchError(EnpilotError):
    """A measurement that did not come about."""


class Publishing:
    """A publisher under way."""

    def __init__(self, process: subprocess.Popen[str], result: Path) -> None:
        self._process = process
        self._result = result
        self.pid = process.pid

    def begin(self) -> None:
        """Let it send."""
        assert self._process.stdin is not None  # a pipe
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def report(self) -> Report:
        """Wait for its end and return what it says."""
        if self._process.wait():
            raise BenchError(f"the publisher ended with code {self._process.returncode}")
        return msgspec.json.decode(self._result.read_bytes(), type=Report)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None


@contextlib.contextmanager
def publishing(folder: Path, work: Assignment) -> Iterator[Publishing]:
    """Start a publisher and wait until its messages are made."""
    file = folder / "assignment.json"
    file.write_bytes(msgspec.json.encode(work))
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest.bench.publisher", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # a pipe
        if process.stdout.readline() != "ready\n":
            raise BenchError("the publisher did not start")
        yield Publishing(process, Path(work.result))
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken [s], 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_S


def server_cpu_s(url: str) -> dict[int, float]:
    """Return the processor time of each of the server's processes; empty if it is not here."""
    with connect(url, "bench", autocommit=True) as connection:
        pids = [int(str(row[0])) for row in connection.execute("SELECT pid FROM pg_stat_activity")]
    return {pid: cpu_s(pid) for pid in pids if _is_postgres(pid)}


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("postgres")
    except OSError:
        return False


def _resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


class MemoryWatch:
    """Samples a process' resident memory until it is stopped."""

    def __init__(self, pid: int, every_s: float = 0.5) -> None:
        self._pid = pid
        self._every_s = every_s
        self._samples: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            with contextlib.suppress(OSError, StopIteration):
                self._samples.append(_resident_bytes(self._pid))

    def stop(self) -> dict[str, int]:
        """Return the memory early on, in the middle and at the end [bytes]."""
        self._stop.set()
        self._thread.join()
        kept = self._samples or [0]
        return {
            "start": kept[min(len(kept) - 1, len(kept) // 10)],
            "middle": kept[len(kept) // 2],
            "end": kept[-1],
            "most": max(kept),
        }


def wait_until(condition: Any, timeout_s: float, what: str) -> None:
    """Wait for something; raises `BenchError` naming it."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"gave up waiting: {what}")
        time.sleep(0.02)
