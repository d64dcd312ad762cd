"""The demo's steel plant as real processes that a test may kill and start again."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from enpilot.demo.figures import StreamCount
from enpilot.demo.history import DemoFiles
from enpilot.demo.processes import free_port, port_is_free


class PlantUnderTest:
    """Simulator, agent and ingest of one plant, each with its log."""

    def __init__(self, folder: Path, database_url: str, broker_port: int) -> None:
        self.folder = folder
        self.modbus_port = free_port()
        self.broker_port = broker_port
        self.files = DemoFiles.lay_out(folder / "plant", dt.datetime.now(dt.UTC), self.modbus_port)
        self._environment = {**os.environ, "ENPILOT_DATABASE_URL": database_url}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.agent_settings = folder / "agent.toml"
        self.agent_settings.write_text(
            f'plant = "{self.files.path("steel.toml")}"\nagent = "steel-gw1"\n'
            f'outbox = "{folder / "outbox.sqlite"}"\nbatch_s = 0.3\ndrain_s = 20.0\n'
            f"[mqtt]\nport = {broker_port}\n[uplink]\nprobe_first_s = 0.5\nprobe_last_s = 2.0\n"
            "[clock]\nwait_for_sync_s = 0\n"
        )

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "enpilot", *arguments],
            capture_output=True,
            text=True,
            env=self._environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str) -> None:
        arguments = {
            "simulator": ["edge", "simulate", "run", str(self.files.path("steel_scenario.toml"))],
            "agent": ["edge", "run", str(self.agent_settings)],
            "ingest": ["ingest", "run", "--port", str(self.broker_port)],
        }[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "enpilot", *arguments],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        if name == "simulator":
            wait_until(lambda: not port_is_free(self.modbus_port), 20)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> None:
        process = self._running[name]
        process.terminate()
        # Still ours if it does not end, so that `end` kills it.
        assert process.wait(40) == 0, (self.folder / f"{name}.log").read_text()
        del self._running[name]

    def end(self) -> None:
        for name in list(self._running):
            self.kill(name)

    def outbox(self) -> list[StreamCount]:
        return msgspec.json.decode(
            self.run("edge", "outbox", str(self.agent_settings), "--json"), type=list[StreamCount]
        )


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)
