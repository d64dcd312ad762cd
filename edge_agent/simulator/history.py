"""What the simulated registers would have shown: a history of readings and of production as CSV."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

from edge_agent.simulator.meters import SimulatedUnit, shift_start
from edge_agent.simulator.scenario import Scenario, ScenarioError
from edge_agent.simulator.server import build_units
from edge_agent.simulator.steel_load import QUARTER_S

__all__ = ["write_output", "write_readings"]

_SOURCE = (
    "# Electricity: UCI Machine Learning Repository, 'Steel Industry Energy Consumption', V E,",
    "# Shin, Cho; CC BY 4.0; the real year 2018, turned by whole days onto this calendar.",
)


def write_readings(
    scenario: Scenario,
    file: Path,
    since: dt.datetime,
    until: dt.datetime,
    chosen: Collection[int] = (),
) -> int:
    """Write the registers of every counter at each quarter hour in [since, until].

    Columns are ``ts`` and ``unit<id>.<quantity>.<channel>`` in register counts; ``chosen`` are the
    units that are written, all of them if none is named.

    Returns
    -------
    int
        Lines written.

    Raises
    ------
    ScenarioError
        If the span begins before the plant does, or a chosen unit is not in the scenario.
    """
    _require_within(scenario, since)
    units = [u for u in build_units(scenario) if u.unit.kind != "captured"]  # stand still
    if unknown := set(chosen) - {u.unit.unit for u in units}:
        raise ScenarioError(f"no unit {min(unknown)} with counters in the scenario")
    if chosen:
        units = [u for u in units if u.unit.unit in chosen]
    columns = [(u, r.name) for u in units for r in u.profile.register if r.counter is not None]
    lines = 0
    with file.open("w", encoding="utf-8", newline="") as handle:
        handle.writelines(f"{line}\n" for line in (*_SOURCE, f"# {scenario.label.en}"))
        table = csv.writer(handle)
        table.writerow(["ts", *(f"unit{u.unit.unit}.{name}" for u, name in columns)])
        for at in _quarters(since, until):
            numbers = {u.unit.unit: u.counters(at) for u in units}
            stamp = dt.datetime.fromtimestamp(at, scenario.zone).isoformat()
            table.writerow([stamp, *(numbers[u.unit.unit][name] for u, name in columns)])
            lines += 1
    return lines


def write_output(scenario: Scenario, file: Path, since: dt.datetime, until: dt.datetime) -> int:
    """Write good and scrap production of every finished shift in [since, until): SYNTHETIC.

    Returns
    -------
    int
        Lines written.

    Raises
    ------
    ScenarioError
        If the span begins before the plant does, or nothing in the scenario counts pieces.
    """
    _require_within(scenario, since)
    counter = next((u for u in build_units(scenario) if u.unit.kind == "pieces"), None)
    if counter is None:
        raise ScenarioError('no unit of kind "pieces" in the scenario: it has no production')
    lines = 0
    with file.open("w", encoding="utf-8", newline="") as handle:
        handle.write(f"# SYNTHETIC production figures. {scenario.label.en}\n")
        table = csv.writer(handle)
        table.writerow(["product", "line", "stage", "disposition", "quantity", "from", "to"])
        begin = shift_start(since.timestamp(), scenario.shift_starts, scenario.zone)
        while (end := _next_shift(begin, scenario)) <= until.timestamp():
            for row in _shift_rows(scenario, counter, begin, end):
                table.writerow(row)
                lines += 1
            begin = end
    return lines


def _require_within(scenario: Scenario, since: dt.datetime) -> None:
    if since.astimezone(scenario.zone).year < scenario.first_year:
        raise ScenarioError(
            f"the simulated plant exists from {scenario.first_year} (`first_year`): nothing is "
            f"known of {since.isoformat()}"
        )


def _shift_rows(
    scenario: Scenario, counter: SimulatedUnit, begin: float, end: float
) -> list[list[str]]:
    span = [dt.datetime.fromtimestamp(t, scenario.zone).isoformat() for t in (begin, end)]
    tonnes = Decimal(scenario.tonnes_per_piece)
    made = zip(("good", "scrap"), counter.pieces(begin, end), strict=True)
    return [
        [scenario.product, "line-1", "qualified", kind, str(pieces * tonnes), *span]
        for kind, pieces in made
    ]


def _next_shift(begin: float, scenario: Scenario) -> float:
    local = dt.datetime.fromtimestamp(begin, scenario.zone)
    later = [
        start
        for day in (local.date(), local.date() + dt.timedelta(days=1))
        for time in scenario.shift_starts
        if (start := dt.datetime.combine(day, time, scenario.zone)) > local
    ]
    return min(later).timestamp()


def _quarters(since: dt.datetime, until: dt.datetime) -> range:
    first = -(-int(since.timestamp()) // QUARTER_S) * QUARTER_S
    return range(first, int(until.timestamp()) + 1, QUARTER_S)
