"""``edge check`` says what a plan costs, and refuses what cannot be done, with numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.errors import WiringError
from edge_agent.line_load import line_loads
from edge_agent.outbox import Outbox, OutboxLimits
from edge_agent.outbox.forecast import bytes_per_day, hours_of_room
from edge_agent.plan import plan_for_agent
from enpilot.cli import app
from enpilot.plant import PlantFileError, load_plant
from enpilot.wire import Batch, Birth, GroupDeclaration, GroupReadings, SeriesDeclaration, encode

HEAD = """
schema = 1
[site]
code = "s"
name = { zh = "厂", en = "site" }
timezone = "Asia/Shanghai"
from = 2026-01-01
[[agent]]
id = "gw-1"
"""
LINE = '[[line]]\ncode = "l"\nagent = "gw-1"\nkind = "serial"\nserial_port = "/dev/ttyS1"\n'


def device(unit: int, period_s: float) -> str:
    return (
        f'[[device]]\ncode = "d{unit}"\nline = "l"\nunit = {unit}\nprofile = "p.toml"\n'
        f"period_s = {period_s}\n"
        f'[[point]]\ncode = "p{unit}"\nname = {{ zh = "点", en = "point" }}\n'
        f'medium = "electricity"\nrole = "check"\n'
        f'[[installation]]\npoint = "p{unit}"\ndevice = "d{unit}"\n'
    )


def lay_out(folder: Path, units: int, period_s: float, baud: int = 9600) -> Path:
    registers = "".join(
        f'[[register]]\naddress = {2 * i}\ntype = "float32"\nquantity = "voltage"\n'
        f'channel = "c{i}"\nunit = "V"\n'
        for i in range(20)
    )
    head = 'code = "p"\nmaker = "none"\nmodels = []\nsource = "none"\nverified = false\n'
    (folder / "p.toml").write_text(head + registers, "utf-8")
    devices = "".join(device(u, period_s) for u in range(1, units + 1))
    file = folder / "plant.toml"
    file.write_text(HEAD + LINE + f"baud = {baud}\n" + devices, "utf-8")
    return file


def test_the_load_of_a_serial_line_follows_from_its_bytes(tmp_path: Path) -> None:
    file = lay_out(tmp_path, 4, 1.0)
    (load,) = line_loads(plan_for_agent(load_plant(file), "gw-1", file), 0.010)
    # Request of 8 bytes, reply of 5 + 80, three silences of 3.5 characters of 11 bits at 9600
    # baud, and the unit's own 10 ms.
    a_read_s = (8 + 85 + 3 * 3.5) * 11 / 9600 + 0.010
    assert load.longest_scan_s == pytest.approx(4 * a_read_s)
    assert load.busy == pytest.approx(4 * a_read_s / 1.0)
    assert load.requests_per_s == 4
    assert load.possible
    assert load.reckoned


def test_a_plan_longer_than_its_period_is_refused_with_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lay_out(tmp_path, 12, 1.0)
    with pytest.raises(WiringError) as caught:
        app(["edge", "check", str(file)], exit_on_error=False)
    said = str(caught.value)
    assert "line 'l' cannot be read in time: a scan takes 1.78 s at 9600 baud" in said
    assert "its period is 1 s, and the line would be busy 178% of the time" in said
    assert "quantity_period_s" in said  # a remedy
    assert "TIGHT" in capsys.readouterr().out
    app(
        ["edge", "check", str(lay_out(tmp_path, 12, 1.0, baud=115_200))],
        result_action="return_none",
    )


def test_it_says_what_a_day_takes_and_for_how_long_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lay_out(tmp_path, 2, 1.0)
    app(["edge", "check", str(file), "--json"], result_action="return_none")
    (report,) = json.loads(capsys.readouterr().out)
    assert report["series"] == 40
    assert report["readings_per_day"] == 40 * 86_400
    assert report["outbox_hours"] == pytest.approx(
        min(1024 / report["outbox_mb_per_day"] * 24, 4416), rel=0.01
    )
    assert (report["lines"][0]["line"], report["lines"][0]["requests_per_s"]) == ("l", 2)


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    file = lay_out(tmp_path, 3, 1.0)
    wrong = file.read_text("utf-8").replace("unit = 1\n", 'unit = "one"\n')
    wrong = wrong.replace('medium = "electricity"', "medium = 7", 1).replace(
        "baud = 9600", "baud = 1"
    )
    file.write_text(wrong.replace('kind = "serial"', 'kind = "serail"'), "utf-8")
    with pytest.raises(PlantFileError) as caught:
        load_plant(file)
    places = [e.rpartition("`$.")[2] for e in caught.value.errors]
    assert places == ["line[0].kind`", "line[0].baud`", "device[0].unit`", "point[0].medium`"]


def test_two_units_with_one_address_are_refused(tmp_path: Path) -> None:
    file = lay_out(tmp_path, 2, 1.0)
    file.write_text(file.read_text("utf-8").replace("unit = 2", "unit = 1"), "utf-8")
    with pytest.raises(PlantFileError, match="unit 1"):
        load_plant(file)


def test_the_forecast_is_what_the_outbox_takes(tmp_path: Path) -> None:
    """Against a real outbox, filled with counters and noisy floats for ten minutes."""
    series = [
        SeriesDeclaration(
            point="p", quantity="q", channel=f"c{i}", unit="1", register_scale="1",
            raw_type="uint32" if i < 10 else "float32", counter="lifetime" if i < 10 else None,
        )
        for i in range(40)
    ]  # fmt: skip
    birth = Birth(
        v=1, agent="gw-1", software="test",
        groups=[GroupDeclaration(group=0, period_s=1.0, series=series)],
    )  # fmt: skip
    forecast = bytes_per_day(birth, 5.0, 1000)
    outbox = Outbox(tmp_path / "o.sqlite", "gw-1")
    outbox.keep_birth("ab" * 32, b"{}")
    empty = outbox.usage().used_bytes
    for n in range(400):
        group = GroupReadings(
            group=0, ts=1_780_000_000_000_000 + n * 5_000_000,
            dt=[k * 1_000_000 for k in range(5)], late_ms=[(n * 7 + k * 3) % 17 for k in range(5)],
            values=[[1000 * i + 5 * n + k for k in range(5)] for i in range(10)]
            + [[(i * 7919 + n * 104_729 + k * 31) % 65_521 / 64 for k in range(5)]
               for i in range(30)],
        )  # fmt: skip
        body = encode(Batch(birth="ab" * 32, groups=[group]))
        outbox.append("ab" * 32, body, 200, group.ts, group.ts)
    a_day = (outbox.usage().used_bytes - empty) / (400 * 5) * 86_400
    assert forecast == pytest.approx(a_day, rel=0.6)
    assert forecast > 0.9 * a_day  # rather too much than too little
    limits = OutboxLimits(max_mb=100)
    assert hours_of_room(forecast, limits) == pytest.approx(100 * 2**20 / forecast * 24)
    outbox.close()
