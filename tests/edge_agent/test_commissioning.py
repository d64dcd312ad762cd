"""Commission simulated meters over real Modbus: right ones are verified, each fault is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.commissioning.record import (
    CHECK_CODES,
    RecordError,
    canonical_bytes,
    load_record,
    record_errors,
    sha256_of,
)
from enpilot.plant import load_plant
from tests.edge_agent.commissioned_plant import (
    Engineer,
    commissioned,
    found,
    plant_file,
    results,
    simulated,
)
from tests.edge_agent.wired_meters import three_phase_profile

RIGHT: dict[str, dict[str, Any]] = {
    "balanced": {},
    "unbalanced": {"shares": (0.6, 0.3, 0.1)},
    "inductive": {"power_factor": 0.55},
    "single_phase": {"shares": (0.45, 0.45, 0.1), "power_factor": 0.8},
}


@pytest.mark.parametrize("name", RIGHT)
async def test_a_right_meter_is_verified(tmp_path: Path, name: str) -> None:
    async with simulated(tmp_path, {1: RIGHT[name], 2: {"load_kw": 17.0}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1, "other": 2})
        record, written = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert found(record) == {}
    left = {c.code: c.reason for c in record.checks if c.applies and c.result != "passed"}
    assert left == {}
    assert record.verdict == "verified"
    assert [c.code for c in record.checks] == list(CHECK_CODES)
    assert results(record)["parent_child"] == "not_done"
    assert written.read_bytes() == canonical_bytes(load_record(written))
    assert not (tmp_path / "commissioning" / "main.partial.json").exists()


FAULTS: dict[str, dict[str, Any]] = {
    "reversed_ct": {"reversed": ["L2"]},
    "ct_wrong_phase": {"carries": {"L1": "L2", "L2": "L1"}},
    "missing_phase": {"no_voltage": ["L3"]},
}


@pytest.mark.parametrize("code", FAULTS)
async def test_a_wiring_fault_is_named(tmp_path: Path, code: str) -> None:
    async with simulated(tmp_path, {1: FAULTS[code]}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1, kw=30.0))
    assert set(found(record)) == {code}
    assert record.verdict == "not_verified"
    assert code in record.open


async def test_exchanged_transformers_under_an_unbalanced_load_are_found_by_the_clamp(
    tmp_path: Path,
) -> None:
    wiring = {"shares": (0.5, 0.3, 0.2), "carries": {"L1": "L2", "L2": "L1"}}
    async with simulated(tmp_path, {1: wiring}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert found(record)["ct_wrong_phase"] == "certain"
    assert results(record)["clamp"] == "failed"


async def test_an_open_secondary_is_found_by_the_clamp(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {"no_current": ["L2"]}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert found(record) == {"missing_phase": "certain"}


async def test_a_wrong_ratio_in_the_plant_file_is_named(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1}, ct_ratio=60)
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert found(record) == {"wrong_ratio": "certain"}
    assert record.findings[0].evidence["factor"] == "1.5"
    assert results(record)["nameplate"] == "failed"


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("energy_unit", {"energy_unit": "MWh"}),
        ("register_off_by_one", {"shift": -1}),
        ("register_off_by_one", {"shift": 1}),
        ("kvar_as_kw", {"exchanged": True}),
    ],
)
async def test_a_wrong_profile_is_named(
    tmp_path: Path, code: str, mistake: dict[str, Any], padded: bool
) -> None:
    async with simulated(tmp_path, {1: {"power_factor": 0.9}}, padded=padded) as meters:
        wrong = three_phase_profile(tmp_path / "wrong.toml", **mistake)
        file = plant_file(tmp_path, meters.port, {"main": 1}, profile=wrong)
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert code in found(record)
    assert record.verdict == "not_verified"


async def test_swapped_meters_are_named_by_display_and_load_step(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}, 2: {"load_kw": 33.0}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 2, "other": 1})
        answers: dict[str, str | None] = {"serial": "SN-2"}
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1, answers))
    assert found(record)["swapped_meters"] == "certain"
    finding = next(f for f in record.findings if f.code == "swapped_meters")
    assert finding.evidence["other_point"] == "other"
    assert results(record)["load_step"] == "failed"


async def test_one_unit_read_as_two_is_named(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}, 2: {}}) as meters:
        meters.units[2].unit.opening_counts = meters.units[1].unit.opening_counts
        meters.units[2].unit.wiring = meters.units[1].unit.wiring
        file = plant_file(tmp_path, meters.port, {"main": 1, "twin": 2})
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert found(record)["same_unit_twice"] == "likely"


async def test_solar_export_at_commissioning_is_no_finding(tmp_path: Path) -> None:
    wiring = {"load_kw": 20.0, "solar_kw": 70.0}
    async with simulated(tmp_path, {1: wiring}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        for flow in ("export", "either"):
            engineer = Engineer(meters, 1, {"flow": flow})
            record, _ = await commissioned(meters, file, "main", engineer)
            (tmp_path / "commissioning" / "main.partial.json").unlink(missing_ok=True)
            assert found(record) == {}
            assert results(record)["signs"] == ("passed" if flow == "export" else "not_done")


async def test_little_load_is_withheld_with_reasons(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {"load_kw": 0.02}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        answers: dict[str, str | None] = {"load_step.kw": None}
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1, answers))
    assert found(record) == {}
    assert "failed" not in results(record).values()
    for check in record.checks:
        if check.result == "not_done":
            assert check.reason is not None
            assert check.reason.zh
            assert check.reason.en
    assert {"clamp", "display", "energy_integral", "load_step"} <= set(record.open)


async def test_a_parent_is_compared_with_its_children(tmp_path: Path) -> None:
    wirings = {1: {"load_kw": 100.0}, 2: {"load_kw": 30.0}, 3: {"load_kw": 50.0}}
    parents = {"a": "main", "b": "main"}
    async with simulated(tmp_path, wirings) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1, "a": 2, "b": 3}, parents=parents)
        record, _ = await commissioned(meters, file, "a", Engineer(meters, 2))
        assert results(record)["parent_child"] == "passed"
        file = plant_file(tmp_path, meters.port, {"a": 1, "main": 2, "b": 3}, parents=parents)
        (tmp_path / "commissioning" / "a.partial.json").unlink(missing_ok=True)
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 2))
    assert results(record)["parent_child"] == "failed"


async def test_an_interrupted_walk_goes_on(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})

        def stop(key: str) -> None:
            if key == "load_step.kw":
                raise KeyboardInterrupt

        first = Engineer(meters, 1, meddle=stop)
        with pytest.raises(KeyboardInterrupt):
            await commissioned(meters, file, "main", first)
        meters.clock.at_s += 3600
        second = Engineer(meters, 1)
        record, _ = await commissioned(meters, file, "main", second)
        assert record.verdict == "verified"
        assert "display.first" in first.asked
        assert not {"display.first", "serial", "clamp.L1"} & set(second.asked)


async def test_what_did_not_pass_is_done_again_and_the_rest_is_kept(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {"reversed": ["L2"]}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        first, _ = await commissioned(meters, file, "main", Engineer(meters, 1, kw=30.0))
        assert found(first) == {"reversed_ct": "likely"}
        meters.units[1].unit.wiring.reversed = []  # type: ignore[union-attr]  # it has one
        meters.clock.at_s += 60
        engineer = Engineer(meters, 1, kw=30.0)
        second, _ = await commissioned(meters, file, "main", engineer)
    assert second.verdict == "verified"
    assert "flow" in engineer.asked
    assert not {"serial", "clamp.L1", "photo.display"} & set(engineer.asked)


async def test_a_corrected_plant_file_keeps_what_is_true_of_the_place(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1}, ct_ratio=60)
        first, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
        assert found(first) == {"wrong_ratio": "certain"}
        file = plant_file(tmp_path, meters.port, {"main": 1})
        engineer = Engineer(meters, 1)
        second, _ = await commissioned(meters, file, "main", engineer)
    assert second.verdict == "verified"
    assert {"clamp.L1", "display.first"} <= set(engineer.asked)
    assert not {"serial", "ct.primary_a", "photo.display"} & set(engineer.asked)


async def test_records_are_held_against_the_plant_file(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        _, written = await commissioned(meters, file, "main", Engineer(meters, 1))
    text = file.read_text("utf-8")
    name = written.relative_to(tmp_path).as_posix()
    accepted = (
        f'commissioning = "accepted"\nrecord = "{name}"\n'
        f'record_sha256 = "{sha256_of(written.read_bytes())}"'
    )
    file.write_text(text.replace('commissioning = "wired"', accepted), "utf-8")
    assert record_errors(load_plant(file), tmp_path) == []
    (tmp_path / "commissioning" / "plate.jpg").write_bytes(b"another")
    (error,) = record_errors(load_plant(file), tmp_path)
    assert "plate.jpg: is not the file that the record names" in error
    written.write_bytes(written.read_bytes().replace(b'"passed"', b'"failed"', 1))
    assert any("hash" in e for e in record_errors(load_plant(file), tmp_path))
    written.write_bytes(written.read_bytes() + b"\n")
    with pytest.raises(RecordError, match="edited or formatted"):
        load_record(written)
    written.unlink()
    with pytest.raises(RecordError, match="no such commissioning record"):
        load_record(written)


async def test_the_real_load_behind_a_shipped_profile_is_verified(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}, profile="acrel-adl400", real=True) as meters:
        meters.clock.at_s += 8 * 3600 + 60
        file = plant_file(tmp_path, meters.port, {"main": 1})
        text = file.read_text("utf-8").replace('"real.toml"', '"acrel-adl400"')
        file.write_text(text, "utf-8")

        def clamp(key: str) -> None:
            if key.startswith("clamp.L"):
                amount = meters.amounts(1)[f"current.{key[-2:]}"] * 40
                engineer.answers[key] = f"{amount * 1.01:.1f}"

        engineer = Engineer(meters, 1, {"load_step.kw": None}, meddle=clamp, digits=2)
        record, _ = await commissioned(meters, file, "main", engineer)
    assert found(record) == {}
    assert "failed" not in results(record).values()
    assert results(record)["display"] == "passed"
    assert results(record)["clamp"] == "passed"
    assert results(record)["power_sum"] == "passed"


async def test_a_steam_meter_has_the_checks_that_apply(tmp_path: Path) -> None:
    profile = "generic-steam-totaliser"
    async with simulated(tmp_path, {1: {}}, profile=profile, real=True, kind="steam") as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1}, ct_ratio=1)
        text = file.read_text("utf-8").replace('"real.toml"', f'"{profile}"')
        file.write_text(text.replace('"electricity"', '"steam"'), "utf-8")
        engineer = Engineer(
            meters, 1, {"display.unit": "t", "display.side": "primary"},
            counter="mass.total",
        )  # fmt: skip
        record, _ = await commissioned(meters, file, "main", engineer)
    assert record.verdict == "verified"
    assert {c.code for c in record.checks if c.applies} == {
        "nameplate", "photos", "display", "energy_integral", "frames",
    }  # fmt: skip


async def test_a_value_that_the_unit_refuses_costs_no_other(tmp_path: Path) -> None:
    hole = {"kind": "exception", "first": 0x16, "last": 0x16}
    async with simulated(tmp_path, {1: {}}, fault=[hole]) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert found(record) == {}
    assert record.verdict == "verified"


async def test_a_bad_line_fails_its_check(tmp_path: Path) -> None:
    noise = {"kind": "wrong_transaction", "every_s": 7.0, "on_s": 0.4}
    async with simulated(tmp_path, {1: {}}, fault=[noise]) as meters:
        file = plant_file(tmp_path, meters.port, {"main": 1})
        text = file.read_text("utf-8").replace("port =", "timeout_s = 0.05\nport =")
        file.write_text(text, "utf-8")
        record, _ = await commissioned(meters, file, "main", Engineer(meters, 1))
    assert record.open == ["frames"]
    assert results(record)["frames"] == "failed"
