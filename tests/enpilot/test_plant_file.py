"""Plant files that cannot be used say what is wrong, where, in one line; each case is a file."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from enpilot.demo.history import DemoFiles
from enpilot.plant import PlantFileError, load_plant

CASES = sorted((Path(__file__).parent / "plant_files").glob("*.toml"))


@pytest.mark.parametrize("file", CASES, ids=lambda f: f.stem)
def test_a_wrong_plant_file_says_what_and_where(file: Path) -> None:
    said = re.findall(r"^# said: (.+)$", file.read_text("utf-8"), re.MULTILINE)
    assert said
    with pytest.raises(PlantFileError) as refused:
        load_plant(file)
    sentence = str(refused.value)
    assert sentence.startswith(f"{file}: ")
    assert "\n" not in sentence
    for word in said:
        assert word in sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlantFileError, match="no such file"):
        load_plant(tmp_path / "plant.toml")


def test_the_demos_plants_load(tmp_path: Path) -> None:
    files = DemoFiles.lay_out(tmp_path, dt.datetime(2026, 5, 1, tzinfo=dt.UTC), 5020)
    steel = load_plant(files.path("steel.toml"))
    assert [p.code for p in steel.point] == ["main", "steam", "line-1"]
    # A bare date is midnight in the site's zone; what says nothing holds from the site's on.
    assert steel.point[0].valid_from == dt.datetime(2024, 12, 31, 16, tzinfo=dt.UTC)
    assert load_plant(files.path("glycerine.toml")).target[0].annual_rate == "0.04"
