"""The demo's steel plant as real processes that a test may kill and start again."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from enpilot.demo.figures import StreamCount
from enpilot.demo.history import DemoFiles
from enpilot.demo.processes import free_port, port_is_free
from tests.services.programs import Programs


class PlantUnderTest:
    """Simulator, agent and ingest of one plant, each with its log."""

    def __init__(self, folder: Path, database_url: str, broker_port: int) -> None:
        self.folder = folder
        self.modbus_port = free_port()
        self.broker_port = broker_port
        self.files = DemoFiles.lay_out(folder / "plant", dt.datetime.now(dt.UTC), self.modbus_port)
        self.programs = Programs(folder, {"ENPILOT_DATABASE_URL": database_url})
        self.agent_settings = folder / "agent.toml"
        self.agent_settings.write_text(
            f'plant = "{self.files.path("steel.toml")}"\nagent = "steel-gw1"\n'
            f'outbox = "{folder / "outbox.sqlite"}"\nbatch_s = 0.3\ndrain_s = 20.0\n'
            f"[mqtt]\nport = {broker_port}\n[uplink]\nprobe_first_s = 0.5\n"
            "probe_last_s = 2.0\nstatus_s = 2.0\n"
            "[clock]\nwait_for_sync_s = 0\n"
        )

    def run(self, *arguments: str) -> str:
        return self.programs.enpilot(*arguments)

    def start(self, name: str) -> None:
        arguments = {
            "simulator": ["edge", "simulate", "run", str(self.files.path("steel_scenario.toml"))],
            "agent": ["edge", "run", str(self.agent_settings)],
            "ingest": ["ingest", "run", "--port", str(self.broker_port)],
        }[name]
        self.programs.start(name, "enpilot", *arguments)
        if name == "simulator":
            wait_until(lambda: not port_is_free(self.modbus_port), 20)

    def kill(self, name: str) -> None:
        self.programs.kill(name)

    def stop(self, name: str) -> None:
        self.programs.stop(name)

    def end(self) -> None:
        self.programs.end()

    def outbox(self) -> list[StreamCount]:
        return msgspec.json.decode(
            self.run("edge", "outbox", str(self.agent_settings), "--json"), type=list[StreamCount]
        )


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)
