"""Plant files: good ones load with settled dates, wrong ones say file, place and remedy.

Each wrong file of ``plant_files`` names in its first lines (``# expect:``) what must be said.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from enpilot.demo.history import DemoFiles
from enpilot.plant import PlantFileError, load_plant

FILES = Path(__file__).parent / "plant_files"
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "plant-file.md"
WRONG = sorted(f for f in FILES.glob("*.toml") if f.name != "good.toml")
SHANGHAI = dt.timezone(dt.timedelta(hours=8))


@pytest.mark.parametrize("file", WRONG, ids=lambda f: f.stem)
def test_a_wrong_file_is_refused_in_one_line(file: Path) -> None:
    expected = re.findall(r"^# expect: (.*)$", file.read_text("utf-8"), re.MULTILINE)
    assert expected, "the case says what it expects"
    with pytest.raises(PlantFileError) as caught:
        load_plant(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    for sentence in expected:
        assert sentence in said
    assert caught.value.file == file
    assert len(caught.value.errors) >= 1


def test_all_mistakes_of_a_kind_are_said_at_once() -> None:
    with pytest.raises(PlantFileError) as caught:
        load_plant(FILES / "reference_to_nothing.toml")
    assert len(caught.value.errors) == 3


def test_a_missing_file_a_folder_and_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlantFileError, match=r"nowhere\.toml: there is no such file"):
        load_plant(tmp_path / "nowhere.toml")
    with pytest.raises(PlantFileError, match="cannot be read: Is a directory"):
        load_plant(tmp_path)
    file = tmp_path / "gb.toml"
    file.write_bytes("schema = 1 # 工厂".encode("gb18030"))
    with pytest.raises(PlantFileError, match="not TOML in UTF-8"):
        load_plant(file)


def test_a_bare_date_is_midnight_in_the_plant() -> None:
    plant = load_plant(FILES / "good.toml")
    assert plant.site.valid_from == dt.datetime(2025, 1, 1, tzinfo=SHANGHAI)
    assert plant.site.valid_from.utcoffset() == dt.timedelta(hours=8)


def test_a_left_out_from_is_the_site_s() -> None:
    plant = load_plant(FILES / "good.toml")
    for item in (*plant.point, *plant.installation, *plant.enpi, *plant.rule, *plant.enterprise):
        assert item.valid_from == plant.site.valid_from
        assert item.valid_to is None


def test_ownership_changes_hands_on_a_date(tmp_path: Path) -> None:
    text = (FILES / "good.toml").read_text("utf-8")
    file = tmp_path / "plant.toml"
    file.write_text(
        text
        + '[[ownership]]\nenterprise = "first"\nto = 2026-04-01\n'
        + '[[ownership]]\nenterprise = "second"\nshare = "0.7"\nfrom = 2026-04-01\n'
        + '[[ownership]]\nenterprise = "first"\nshare = "0.3"\nfrom = 2026-04-01\n',
        "utf-8",
    )
    before, second, first = load_plant(file).ownership
    assert before.valid_from == dt.datetime(2025, 1, 1, tzinfo=SHANGHAI)
    assert before.valid_to == second.valid_from == first.valid_from
    assert (before.share, second.share, first.share) == ("1", "0.7", "0.3")


def test_a_meter_is_replaced_on_a_date(tmp_path: Path) -> None:
    text = (
        (FILES / "good.toml")
        .read_text("utf-8")
        .replace('device = "meter-1"\n', 'device = "meter-1"\nto = 2026-03-01T09:30:00+08:00\n')
    )
    file = tmp_path / "plant.toml"
    file.write_text(
        text + '[[installation]]\npoint = "main"\ndevice = "meter-2"\nfrom = 2026-03-01T09:30:00\n',
        "utf-8",
    )
    old, new = load_plant(file).installation
    # A time without a zone is the site's.
    assert old.valid_to == new.valid_from == dt.datetime(2026, 3, 1, 1, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("year", [2025, 2027])
def test_the_demo_s_plants_load_as_they_are_laid_out(tmp_path: Path, year: int) -> None:
    now = dt.datetime(year, 6, 1, tzinfo=dt.UTC)
    files = DemoFiles.lay_out(tmp_path, now, modbus_port=15_020)
    steel = load_plant(files.path("steel.toml"))
    assert [d.unit for d in steel.device] == list(range(1, 11))
    assert steel.line[0].port == 15_020
    assert steel.target[0].base_from == dt.date(year - 1, 1, 1)
    assert steel.site.demonstration is not None  # synthetic parts are labelled
    assert steel.agent[0].simulated
    glycerine = load_plant(files.path("glycerine.toml"))
    assert glycerine.scheme[0].energy_unit == "t"
    assert glycerine.agent == []


def test_the_reference_s_example_loads(tmp_path: Path) -> None:
    page = REFERENCE.read_text("utf-8")
    example = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "plant.toml"
    file.write_text(example[0], "utf-8")
    plant = load_plant(file)
    assert plant.site.code == "works"
    for table in (plant.device, plant.point, plant.enpi, plant.target, plant.rule):
        assert len(table) > 0
