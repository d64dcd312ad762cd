"""The demo's two plants: their files for the years at hand, and their history into the database.

The history comes in through the same commands that an installation uses. What is real and what is
synthetic travels with the data: each mapping file says it, so every page and export can.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from enpilot.demo.processes import ProcessGroup

__all__ = ["ZONE", "DemoFiles", "DemoYears", "import_history", "import_output_until"]

ZONE: Final = ZoneInfo("Asia/Shanghai")
_MEMORY = "demo.json"


class DemoYears(msgspec.Struct, kw_only=True):
    """What a demo remembers between starts."""

    base_year: int
    output_until: dt.datetime | None = None

    @property
    def year(self) -> int:
        """The year after the base year."""
        return self.base_year + 1


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the files of one start are."""

    folder: Path
    years: DemoYears

    @classmethod
    def lay_out(cls, folder: Path, now: dt.datetime, modbus_port: int) -> DemoFiles:
        """Write plant, scenario and mapping files into ``folder``; the years stay as first set."""
        folder.mkdir(parents=True, exist_ok=True)
        memory = folder / _MEMORY
        years = (
            msgspec.json.decode(memory.read_bytes(), type=DemoYears)
            if memory.exists()
            else DemoYears(base_year=now.astimezone(ZONE).year - 1)
        )
        names = {
            "base_year": years.base_year,
            "year": years.year,
            "end_year": years.base_year + 4,
            "modbus_port": modbus_port,
        }
        for source in files("enpilot.demo").joinpath("plants").iterdir():
            text = source.read_text("utf-8")
            for name, value in names.items():
                text = text.replace("{" + name + "}", str(value))
            unknown = re.search(r"\{[a-z_]+\}", text)
            assert unknown is None, f"{source.name}: nothing fills {unknown and unknown.group()}"
            (folder / source.name).write_text(text, "utf-8")
        return cls(folder, years)

    def path(self, name: str) -> Path:
        """Return one of the files."""
        return self.folder / name

    @property
    def imported(self) -> bool:
        """Whether the history is in the database already."""
        return self.years.output_until is not None

    def remember(self) -> None:
        """Keep what the next start must know."""
        (self.folder / _MEMORY).write_bytes(msgspec.json.encode(self.years))


def import_history(
    group: ProcessGroup, demo: DemoFiles, now: dt.datetime, say: Callable[[str], None]
) -> None:
    """Import both plants; on a later start only what the plant files changed."""
    for plant in ("steel", "glycerine"):
        say(group.run_enpilot("import", "plant", str(demo.path(f"{plant}.toml"))))
    if demo.imported:
        return
    new_year = dt.datetime(demo.years.year, 1, 1, tzinfo=ZONE)
    base = new_year.replace(year=demo.years.base_year)
    for name, since, until in (("base", base, new_year), ("current", new_year, now)):
        readings = demo.path(f"steel_{name}_readings.csv")
        say(_simulate(group, demo, readings, demo.path(f"steel_{name}_output.csv"), since, until))
        for mapping in (f"steel_{name}_mapping.toml", "steel_synthetic_mapping.toml"):
            say(_import(group, "readings", readings, demo.path(mapping)))
        readings.unlink()
        say(
            _import(
                group, "output", demo.path(f"steel_{name}_output.csv"),
                demo.path("steel_output_mapping.toml"),
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


def import_output_until(group: ProcessGroup, demo: DemoFiles, now: dt.datetime) -> None:
    """Import the synthetic production of the shifts that have ended since the last import."""
    since = demo.years.output_until
    assert since is not None  # the history is imported first
    file = demo.path("steel_later_output.csv")
    # A day back, so that the shift which was running then is whole; what is there is skipped.
    _simulate(group, demo, None, file, since - dt.timedelta(days=1), now)
    _import(group, "output", file, demo.path("steel_output_mapping.toml"))
    demo.years.output_until = now
    demo.remember()


def _simulate(
    group: ProcessGroup,
    demo: DemoFiles,
    readings: Path | None,
    output: Path,
    since: dt.datetime,
    until: dt.datetime,
) -> str:
    return group.run_enpilot(
        "edge", "simulate", "history", str(demo.path("steel_scenario.toml")),
        *(("--readings", str(readings)) if readings is not None else ()),
        "--output", str(output), "--from", since.isoformat(), "--to", until.isoformat(),
    )  # fmt: skip


def _import(group: ProcessGroup, kind: str, file: Path, mapping: Path) -> str:
    return group.run_enpilot("import", kind, str(file), "--mapping", str(mapping))
