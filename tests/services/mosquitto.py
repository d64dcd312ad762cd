"""A real mosquitto on a free port, for one test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from enpilot.demo.processes import free_port, port_is_free
from enpilot.settings import MqttSettings
from tests.services.guard import ended_with_us

ANYONE = """\
allow_anonymous true
persistence false
max_queued_messages 10000
"""


@dataclass
class Broker:
    """A running broker that a test may also kill and start again."""

    port: int
    command: list[str]
    process: subprocess.Popen[bytes]
    guard: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def settings(self) -> MqttSettings:
        return MqttSettings(port=self.port)

    def kill(self) -> None:
        self.guard.close()
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.guard.enter_context(ended_with_us(self.process.pid, "KILL"))
        deadline = time.monotonic() + 10
        while port_is_free(self.port):
            assert self.process.poll() is None, "mosquitto ended by itself"
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)


def mosquitto_program(name: str = "mosquitto") -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} is missing: run `make services`"
    return found


@contextlib.contextmanager
def running_mosquitto(
    folder: Path, configuration: str = ANYONE, head: str = ""
) -> Iterator[Broker]:
    port = free_port()
    user = "user root\n" if os.geteuid() == 0 else ""
    file = folder / "mosquitto.conf"
    file.write_text(f"{head}{user}listener {port} 127.0.0.1\n{configuration}", "utf-8")
    broker = Broker(port, [mosquitto_program(), "-c", str(file)], None)  # type: ignore[arg-type]  # start() sets the process
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
