"""``enpilot edge simulate``: answer like real meters, or write their history."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import cyclopts

from edge_agent.simulator.history import write_output, write_readings
from edge_agent.simulator.scenario import load_scenario
from edge_agent.simulator.server import serve
from enpilot.logs import configure_logs

__all__ = ["app"]

app = cyclopts.App(
    name="simulate",
    help="Simulated meters on a real socket, serial port or DTU, with faults on a script.",
)


@app.command
@app.default
def run(scenario: Path) -> None:
    """Answer requests until stopped (SIGINT or SIGTERM)."""
    configure_logs()
    serve(load_scenario(scenario))


@app.command
def history(
    scenario: Path,
    *,
    readings: Path | None = None,
    output: Path | None = None,
    unit: list[int] | None = None,
    since: Annotated[dt.datetime, cyclopts.Parameter(name="--from")],
    until: Annotated[dt.datetime, cyclopts.Parameter(name="--to")],
) -> None:
    """Write what the registers would have shown between two instants, and the production.

    Parameters
    ----------
    scenario
        Its file.
    readings
        Gets the counters of each quarter hour, of ``unit`` if some are named.
    output
        Gets the production of each shift.
    unit
        Units that are written; all if left out.
    since, until
        The span; without an offset, in the scenario's zone.
    """
    described = load_scenario(scenario)
    span = [t if t.tzinfo else t.replace(tzinfo=described.zone) for t in (since, until)]
    if readings is not None:
        lines = write_readings(described, readings, span[0], span[1], unit or ())
        print(f"{lines:,} instants in {readings}")
    if output is not None:
        entries = write_output(described, output, *span)
        print(f"{entries:,} production entries in {output}")
    print(described.label.en)
