"""The demo's MQTT broker: mosquitto if it is installed, else the one in a Python wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from enpilot.errors import ConfigurationError

__all__ = ["broker_command"]

# Anyone on this machine may connect: acceptable only because nothing else can (loopback), and the
# data is a demonstration. An installation uses deploy/mosquitto.conf, with users and an ACL.
_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 10000
max_inflight_messages 4000
{user}log_type error
log_type warning
"""
# rumqttd logs every packet as an error; its process says nothing instead.
_WHEEL = (
    "import logging; logging.basicConfig(level=logging.CRITICAL + 1); from iotcore import Broker; "
    "Broker(port={port}, listen='127.0.0.1', max_payload_size=131072).run_forever()"
)


def broker_command(folder: Path, port: int) -> tuple[str, list[str]]:
    """Return the broker's name and the command that runs it on a loopback port.

    Raises
    ------
    ConfigurationError
        If there is neither mosquitto nor the wheel.
    """
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("mosquitto", path=search)
    if program is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "mosquitto.conf"
        # Started by root it would change to a user that need not exist in a container.
        user = "user root\n" if os.geteuid() == 0 else ""
        file.write_text(_MOSQUITTO.format(port=port, user=user), "utf-8")
        return "mosquitto", [program, "-c", str(file)]
    if importlib.util.find_spec("iotcore") is not None:
        return "iotcore", [sys.executable, "-c", _WHEEL.format(port=port)]
    raise ConfigurationError(
        "the demo needs an MQTT broker: apt-get install mosquitto, or pip install 'enpilot[demo]'"
    )
