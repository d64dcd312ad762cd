"""Programs of ours that a test starts, kills and starts again, each with its log."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.services.guard import ended_with_us

__all__ = ["Programs"]

ROOT = Path(__file__).parents[2]


class Programs:
    """Programs by name; whatever still runs at the end is killed.

    Parameters
    ----------
    folder
        For their logs.
    environment
        Beside that of the test.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
        self._commands: dict[str, tuple[str, ...]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guards: dict[str, contextlib.ExitStack] = {}

    def set_environment(self, variable: str, value: str) -> None:
        """Let programs that start from now on find a variable in their environment."""
        self._environment[variable] = value

    def start(self, name: str, *module_and_arguments: str) -> None:
        """Start a module of Python's with its arguments; without any, as the last time."""
        command = self._commands[name] = module_and_arguments or self._commands[name]
        with self.log_file(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=log, stderr=log, cwd=ROOT,
                env=self._environment,
            )  # fmt: skip
        self._running[name] = process
        guard = self._guards[name] = contextlib.ExitStack()
        guard.enter_context(ended_with_us(process.pid, "KILL"))

    def enpilot(self, *arguments: str) -> str:
        """Run a command to its end and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "enpilot", *arguments],
            capture_output=True, text=True, env=self._environment, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self, name: str) -> None:
        """End a program with SIGKILL."""
        process = self._running.pop(name)
        self._guards.pop(name).close()
        process.kill()
        process.wait(20)

    def stop(self, name: str, timeout_s: float = 40) -> None:
        """End a program in order."""
        process = self._running[name]
        process.terminate()
        # Still ours if it does not end, so that `end` kills it.
        assert process.wait(timeout_s) == 0, self.last_words(name)
        self._guards.pop(name).close()
        del self._running[name]

    def ended(self) -> list[str]:
        """Return the names of programs that have ended by themselves; they can be started again."""
        gone = [name for name, process in self._running.items() if process.poll() is not None]
        for name in gone:
            self._running.pop(name)
            self._guards.pop(name).close()
        return gone

    def runs(self, name: str) -> bool:
        """Whether a program runs, as far as anybody knows."""
        return name in self._running

    def end(self) -> None:
        """Kill what still runs."""
        for name in list(self._running):
            self.kill(name)

    def log_file(self, name: str) -> Path:
        """Return where a program writes."""
        return self.folder / f"{name}.log"

    def last_words(self, name: str) -> str:
        """Return the end of a program's log."""
        return self.log_file(name).read_text("utf-8", "replace")[-2000:]
