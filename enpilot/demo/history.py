"""The demo's two plants: their files for the dates at hand, and their history into the database.

The history comes in through the same commands that an installation uses. What is real and what is
synthetic travels with the data: each mapping file says it, so every page and export can.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from enpilot.demo.dates import DemoDates
from enpilot.demo.processes import ProcessGroup

__all__ = ["ZONE", "DemoFiles", "DemoYears", "import_history", "import_output_until"]

ZONE: Final = ZoneInfo("Asia/Shanghai")
_MEMORY = "demo.json"
_SUB_METERS: Final = range(4, 11)  # units of the scenario
# One plant file each: the plant, and what lies below its main feeder.
_CONTINUED: Final = {"steel.toml": "steel_workshops.toml"}


class DemoYears(msgspec.Struct, kw_only=True):
    """What a demo remembers between starts."""

    base_year: int
    started_on: dt.date | None = None
    output_until: dt.datetime | None = None
    done: list[str] = []

    @property
    def year(self) -> int:
        """The year after the base year."""
        return self.base_year + 1


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the files of one start are."""

    folder: Path
    years: DemoYears
    dates: DemoDates

    @classmethod
    def lay_out(cls, folder: Path, now: dt.datetime, modbus_port: int) -> DemoFiles:
        """Write plant, scenario and mapping files into ``folder``; the dates stay as first set."""
        folder.mkdir(parents=True, exist_ok=True)
        memory = folder / _MEMORY
        today = now.astimezone(ZONE).date()
        years = (
            msgspec.json.decode(memory.read_bytes(), type=DemoYears)
            if memory.exists()
            else DemoYears(base_year=today.year - 1)
        )
        years.started_on = years.started_on or today
        dates = DemoDates(years.base_year, years.started_on)
        names = dates.names() | {"modbus_port": str(modbus_port)}
        plants = files("enpilot.demo").joinpath("plants")
        for source in plants.iterdir():
            if source.name in _CONTINUED.values():
                continue
            text = source.read_text("utf-8")
            if source.name in _CONTINUED:
                text += plants.joinpath(_CONTINUED[source.name]).read_text("utf-8")
            for name, value in names.items():
                text = text.replace("{" + name + "}", value)
            unknown = re.search(r"\{[a-z_0-9]+\}", text)
            assert unknown is None, f"{source.name}: nothing fills {unknown and unknown.group()}"
            (folder / source.name).write_text(text, "utf-8")
        return cls(folder, years, dates)

    def path(self, name: str) -> Path:
        """Return one of the files."""
        return self.folder / name

    @property
    def imported(self) -> bool:
        """Whether the history is in the database already."""
        return self.years.output_until is not None

    def once(self, step: str, act: Callable[[], object]) -> None:
        """Do what is done once in the life of a demo, also if a start was broken off."""
        if step not in self.years.done:
            act()
            self.years.done.append(step)
            self.remember()

    def remember(self) -> None:
        """Keep what the next start must know."""
        (self.folder / _MEMORY).write_bytes(msgspec.json.encode(self.years))


def import_history(
    group: ProcessGroup, demo: DemoFiles, now: dt.datetime, say: Callable[[str], None]
) -> None:
    """Import both plants; on a later start only what the plant files changed."""
    for plant in ("steel", "glycerine"):
        say(
            group.run_enpilot(
                "import", "plant", str(demo.path(f"{plant}.toml")),
                "--reopen-reason", "the demo came with another plant file",
            )
        )  # fmt: skip
    if not demo.imported:
        _import_years(group, demo, now, say)
    demo.once("sub-meters", lambda: _import_sub_meters(group, demo, now, say))


def _import_years(
    group: ProcessGroup, demo: DemoFiles, now: dt.datetime, say: Callable[[str], None]
) -> None:
    new_year = dt.datetime(demo.years.year, 1, 1, tzinfo=ZONE)
    base = new_year.replace(year=demo.years.base_year)
    for name, since, until in (("base", base, new_year), ("current", new_year, now)):
        readings = demo.path(f"steel_{name}_readings.csv")
        output = demo.path(f"steel_{name}_output.csv")
        say(_simulate(group, demo, since, until, readings=readings, output=output, units=(1, 2, 3)))
        for mapping in (f"steel_{name}_mapping.toml", "steel_synthetic_mapping.toml"):
            say(_import(group, "readings", readings, demo.path(mapping)))
        readings.unlink()
        say(
            _import(
                group, "output", output, demo.path("steel_output_mapping.toml"),
            )
        )  # fmt: skip
    for kind in ("energy", "output", "variables"):
        say(
            _import(
                group, kind, demo.path(f"glycerine_{kind}.csv"),
                demo.path(f"glycerine_{kind}_mapping.toml"),
            )
        )  # fmt: skip
    demo.years.output_until = now
    demo.remember()


def _import_sub_meters(
    group: ProcessGroup, demo: DemoFiles, now: dt.datetime, say: Callable[[str], None]
) -> None:
    """Import the last months of the sub-meters, but for some hours in which nothing was read."""
    gap_from, gap_to = demo.dates.gap
    begin = dt.datetime.combine(demo.dates.split_from, dt.time(), ZONE)
    for name, since, until in (("first", begin, gap_from), ("second", gap_to, now)):
        readings = demo.path(f"steel_sub_{name}_readings.csv")
        say(_simulate(group, demo, since, until, readings=readings, units=_SUB_METERS))
        say(_import(group, "readings", readings, demo.path("steel_sub_mapping.toml")))
        readings.unlink()


def import_output_until(group: ProcessGroup, demo: DemoFiles, now: dt.datetime) -> None:
    """Import the synthetic production of the shifts that have ended since the last import."""
    since = demo.years.output_until
    assert since is not None  # the history is imported first
    file = demo.path("steel_later_output.csv")
    # A day back, so that the shift which was running then is whole; what is there is skipped.
    _simulate(group, demo, since - dt.timedelta(days=1), now, output=file)
    _import(group, "output", file, demo.path("steel_output_mapping.toml"))
    demo.years.output_until = now
    demo.remember()


def _simulate(
    group: ProcessGroup,
    demo: DemoFiles,
    since: dt.datetime,
    until: dt.datetime,
    *,
    readings: Path | None = None,
    output: Path | None = None,
    units: Iterable[int] = (),
) -> str:
    return group.run_enpilot(
        "edge", "simulate", "history", str(demo.path("steel_scenario.toml")),
        *(("--readings", str(readings)) if readings is not None else ()),
        *(("--output", str(output)) if output is not None else ()),
        *(word for unit in units for word in ("--unit", str(unit))),
        "--from", since.isoformat(), "--to", until.isoformat(),
    )  # fmt: skip


def _import(group: ProcessGroup, kind: str, file: Path, mapping: Path) -> str:
    return group.run_enpilot("import", kind, str(file), "--mapping", str(mapping))
