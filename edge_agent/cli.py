"""``enpilot edge``: run, check, profiles, scan, probe, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cyclopts
import msgspec

from edge_agent.line_options import line_from_options
from edge_agent.settings import EdgeSettings
from enpilot.logs import configure_logs
from enpilot.plant import load_plant
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="edge", help="Read meters over Modbus and publish what they say.")
app.command("edge_agent.check_cli:check", name="check")
app.command("edge_agent.outbox_cli:app", name="outbox")
app.command("edge_agent.diagnosis:diagnose", name="diagnose")
app.command("edge_agent.simulator.cli:app", name="simulate")
app.command("edge_agent.inspect_cli:profiles", name="profiles")
app.command("edge_agent.inspect_cli:probe", name="probe")
app.command("edge_agent.commissioning.cli:commission", name="commission")


@app.command
def run(settings: Path) -> None:
    """Poll, store and publish until stopped (SIGINT or SIGTERM); SIGHUP reads the plant again."""
    # Only here: checking a plant file needs neither Modbus nor MQTT.
    from edge_agent.agent import load_plan, run_agent
    from edge_agent.web import serving

    configure_logs()
    chosen = load_settings(settings, EdgeSettings)
    plant = load_plant(chosen.plant)
    plan = load_plan(chosen, plant=plant)
    run_agent(chosen, plan, plant, lambda agent: serving(agent, chosen.web))


@app.command
def scan(
    host: str | None = None,
    *,
    serial: str | None = None,
    rtu: bool = False,
    baud: int = 9600,
    parity: Literal["none", "even", "odd"] = "none",
    stop_bits: Literal[1, 2] = 1,
    units: str = "1-247",
    address: int = 0,
    timeout_s: float = 0.3,
    json: bool = False,
) -> None:
    """Find the units behind a gateway or on a serial line; only reads.

    Parameters
    ----------
    host
        Gateway, as HOST or HOST:PORT.
    serial
        Serial port instead, such as /dev/ttyUSB0; with baud, parity and stop bits.
    rtu
        The gateway passes RTU frames through TCP.
    baud
        Bits a second.
    parity
        As the units are set.
    stop_bits
        As the units are set.
    units
        Whom to ask, such as 1-32,100.
    address
        The register that is read, from zero.
    timeout_s
        How long each is waited for [s].
    json
        One JSON document, without progress.
    """
    from edge_agent.scan import scan_now

    line = line_from_options(host, serial, rtu, baud, parity, stop_bits, timeout_s)
    found = scan_now(line, units, address, show=None if json else print)
    if json:
        print(msgspec.json.encode(found).decode())
