"""Child processes of the demo: started in order, watched, ended by their ids in reverse order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from enpilot.errors import ConfigurationError, EnpilotError

__all__ = [
    "ProcessGroup",
    "ServiceError",
    "free_port",
    "port_is_free",
    "require_port",
    "running_processes",
]

_STOP_S = 15.0


class ServiceError(EnpilotError):
    """A service of the demo that ended by itself or never became ready."""


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class ProcessGroup:
    """The services of one demo; their output goes to files in one folder."""

    def __init__(self, log_folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = log_folder
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._children: list[_Child] = []
        log_folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str]) -> None:
        """Start a program."""
        log = self._folder / f"{name}.log"
        with log.open("ab") as out:
            # A group of its own: Ctrl-C reaches the demo, and the demo ends its children in order.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment,
                start_new_session=True,
            )
        self._children.append(_Child(name, process, log))

    def pid(self, name: str) -> int:
        """Return the process id of a service that was started."""
        return next(c.process.pid for c in self._children if c.name == name)

    def start_enpilot(self, name: str, *arguments: str) -> None:
        """Start one of Enpilot's own services, as an installation does."""
        self.start(name, [sys.executable, "-m", "enpilot", *arguments])

    def run_enpilot(self, *arguments: str, person: str | None = None) -> str:
        """Run one of Enpilot's commands to its end and return what it printed.

        Parameters
        ----------
        *arguments
            The command.
        person
            Who is signed in where it runs; facts say so.

        Raises
        ------
        ServiceError
            With the last lines of its output.
        """
        done = subprocess.run(
            [sys.executable, "-m", "enpilot", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment | ({} if person is None else {"LOGNAME": person}),
            check=False,
        )
        if done.returncode:
            tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise ServiceError(f"enpilot {' '.join(arguments[:2])}: {' | '.join(tail)}")
        return done.stdout.strip()

    def wait_for_port(self, name: str, port: int, timeout_s: float = 30.0) -> None:
        """Wait until a service listens on a loopback port.

        Raises
        ------
        ServiceError
            If it ends or does not listen in time.
        """
        deadline = time.monotonic() + timeout_s
        while port_is_free(port):
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(f"{name} does not listen on port {port}; see {self._folder}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise `ServiceError` if a service has ended by itself."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                tail = child.log.read_text("utf-8", "replace").strip().splitlines()[-3:]
                raise ServiceError(f"{child.name} ended with code {code}: {' | '.join(tail)}")

    def stop(self, *names: str) -> None:
        """End services, the last started first; all of them if none is named."""
        chosen = [c for c in self._children if not names or c.name in names]
        for child in reversed(chosen):
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
                try:
                    child.process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
            self._children.remove(child)


@contextlib.contextmanager
def running_processes(folder: Path, environment: Mapping[str, str]) -> Iterator[ProcessGroup]:
    """Yield a group whose services are ended, whatever happens."""
    group = ProcessGroup(folder, environment)
    try:
        yield group
    finally:
        group.stop()


def port_is_free(port: int) -> bool:
    """Whether nothing listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_port(port: int) -> None:
    """Raise `ConfigurationError` if a port is taken."""
    if not port_is_free(port):
        raise ConfigurationError(f"port {port} on 127.0.0.1 is in use: choose another with --port")
