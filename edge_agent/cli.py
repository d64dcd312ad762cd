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
# Said here too, since a list of commands must not load what they need.
for _target, _name, _help in (
    ("check_cli:check", "check", "Check a plant file, show each agent's plan and load."),
    ("outbox_cli:app", "outbox", "Look into an agent's outbox; its agent may be running."),
    ("diagnosis:diagnose", "diagnose", "Collect what helps to find a fault, without secrets."),
    ("simulator.cli:app", "simulate", "Simulated meters, with faults on a script."),
    ("inspect_cli:profiles", "profiles", "List the meter profiles, or show one."),
    ("inspect_cli:probe", "probe", "Read registers and show what they may mean."),
    ("commissioning.cli:commission", "commission", "Take a wired point to its record."),
):
    app.command(f"edge_agent.{_target}", name=_name, help=_help)


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
