"""``enpilot edge``: run, check, profiles, scan, probe, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cyclopts
import msgspec

from edge_agent.line_options import line_from_options
from edge_agent.outbox import read_streams
from edge_agent.plan import birth_bytes, plan_for_agent
from edge_agent.settings import EdgeSettings
from enpilot.logs import configure_logs
from enpilot.plant import load_plant
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="edge", help="Read meters over Modbus and publish what they say.")
app.command("edge_agent.simulator.cli:app", name="simulate")
app.command("edge_agent.inspect_cli:profiles", name="profiles")
app.command("edge_agent.inspect_cli:probe", name="probe")


@app.command
def run(settings: Path) -> None:
    """Poll, store and publish until stopped (SIGINT or SIGTERM)."""
    # Only here: checking a plant file needs neither Modbus nor MQTT.
    from edge_agent.agent import load_plan, run_agent

    configure_logs()
    chosen = load_settings(settings, EdgeSettings)
    run_agent(chosen, load_plan(chosen))


@app.command
def outbox(settings: Path, *, json: bool = False) -> None:
    """Say what an agent's outbox holds; its agent may be running.

    Parameters
    ----------
    settings
        TOML file of the agent.
    json
        One JSON document instead of a table.
    """
    streams = read_streams(load_settings(settings, EdgeSettings).outbox)
    if json:
        print(msgspec.json.encode(streams).decode())
        return
    for s in streams:
        print(
            f"{s.stream} {s.batches:6} batches {s.readings:9,} readings, "
            f"{s.held} unconfirmed, {s.dead} refused"
        )


@app.command
def check(plant: Path, *, agent: str | None = None) -> None:
    """Check a plant file and print what each agent would read."""
    described = load_plant(plant)
    for chosen in [a.id for a in described.agent] if agent is None else [agent]:
        plan = plan_for_agent(described, chosen, plant)
        birth = birth_bytes(plan.birth)
        print(f"agent {chosen}: {plan.requests_per_scan} requests a scan, ", end="")
        print(f"{sum(len(g.series) for g in plan.birth.groups)} series, {len(birth):,} bytes birth")
        for line, units in plan.lines:
            print(f"  line {line.code} {line.kind} {line.address}")
            for unit in units:
                print(f"    unit {unit.unit:3} every {unit.period_s:g} s: ", end="")
                print(
                    ", ".join(
                        f"{p.device.code} at {p.point} ({p.profile.code})" for p in unit.parts
                    )
                )
                for block in unit.blocks:
                    names = ", ".join(r.name for r in block.registers)
                    print(f"      {block.function} {block.address:#06x}+{block.count}: {names}")


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
