"""The probe reads registers in every way, and says what fits and what does not."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from math import sqrt
from typing import Any

import msgspec
import pytest

from edge_agent.decode import WIDTH
from edge_agent.probe import ProbeReport, Range, explain, explain_by_profile, read_words
from edge_agent.probe_checks import cross_check
from edge_agent.probe_decodings import Decoding, Mark, decodings, guess_layouts, letters_of
from edge_agent.probe_sets import find_set
from edge_agent.probe_tables import report_lines
from edge_agent.profile import load_profile
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import Scenario
from edge_agent.simulator.server import build_units
from edge_agent.simulator.serving import serve_tcp
from enpilot.demo.processes import free_port
from tests.edge_agent.plant_on_a_line import CountingUnit, fault, line_of, opened, responder


def words_of(text: str, address: int = 0) -> dict[int, int]:
    return {address + i: int(word, 16) for i, word in enumerate(text.split())}


def in_words(letters: str, *floats: float) -> list[int]:
    """Floats as a meter of that order sends them."""
    words: list[int] = []
    for number in floats:
        abcd = dict(zip("ABCD", struct.pack(">f", number), strict=True))
        sent = bytes(abcd[letter] for letter in letters)
        words += struct.unpack(">2H", sent)
    return words


def read_as(text: str, kind: str, letters: str) -> Decoding:
    (found,) = (
        d for d in decodings(words_of(text)) if (d.address, d.type, d.letters) == (0, kind, letters)
    )
    return found


# From manuals where there are any: the Eastron protocol paper's example of a voltage, the bytes of
# a TUF-2000M's temperature as somebody read them; else worked out by hand.
@pytest.mark.parametrize(
    ("text", "kind", "letters", "value"),
    [
        ("4366 3334", "float32", "ABCD", 230.2),
        ("806B 4212", "float32", "CDAB", 36.6254),
        ("6643 3433", "float32", "BADC", 230.2),
        ("3433 6643", "float32", "DCBA", 230.2),
        ("FFFF FB2E", "int32", "ABCD", -1234),
        ("FB2E FFFF", "int32", "CDAB", -1234),
        ("FFFF FB2E", "uint32", "ABCD", 4_294_966_062),
        ("2EFB", "int16", "BA", -1234),
        ("1234 5678", "bcd32", "ABCD", 12_345_678),
        ("5678 1234", "bcd32", "CDAB", 12_345_678),
        ("0012 5678", "bcd32", "ABCD", 125_678),
        ("0007 04D2", "m10k32", "ABCD", 71_234),
        ("04D2 0007", "m10k32", "CDAB", 71_234),
        ("8005", "sm16", "AB", -5),
        ("4132 D687 0000 0000", "float64", "ABCDEFGH", 1_234_567),
        ("0000 0000 00BC 614E", "int64", "ABCDEFGH", 12_345_678),
        ("614E 00BC 0000 0000", "uint64", "GHEFCDAB", 12_345_678),
        ("12A4", "bcd16", "AB", None),
        ("7F80 0000", "float32", "ABCD", None),
    ],
)
def test_registers_are_read_in_every_type_and_order(
    text: str, kind: str, letters: str, value: float | None
) -> None:
    found = read_as(text, kind, letters)
    assert found.value == (None if value is None else pytest.approx(value, rel=1e-6))


def test_what_was_not_read_is_in_no_value() -> None:
    with_a_gap = {0: 0x4366, 2: 0x3334}
    assert {d.type for d in decodings(with_a_gap)} == {"int16", "uint16", "bcd16", "sm16"}
    assert {WIDTH[d.type] for d in decodings(words_of("0 0 0"))} == {1, 2, 3}


@pytest.mark.parametrize(
    ("text", "kind", "letters", "mark"),
    [
        ("4366 3334", "float32", "ABCD", Mark("phase_voltage")),  # 230.2
        ("43C8 0000", "float32", "ABCD", Mark("line_voltage")),  # 400
        ("4248 0000", "float32", "ABCD", Mark("frequency")),  # 50
        ("3F66 6666", "float32", "ABCD", Mark("power_factor")),  # 0.9
        ("0900", "uint16", "AB", Mark("phase_voltage", 0.1)),  # 2304
        ("1388", "uint16", "AB", Mark("frequency", 0.01)),  # 5000
        ("01F4", "uint16", "AB", Mark("frequency", 0.1)),  # 500
        ("03B6", "int16", "AB", Mark("power_factor", 0.001)),  # 950
        ("0000", "uint16", "AB", Mark("zero")),
        ("FFFF", "uint16", "AB", Mark("not_available")),
        ("8000", "int16", "AB", Mark("not_available")),
        ("7FFF FFFF", "int32", "ABCD", Mark("not_available")),
        ("7FC0 0000", "float32", "ABCD", Mark("not_available")),  # NaN
    ],
)
def test_what_looks_like_a_mains_is_marked(text: str, kind: str, letters: str, mark: Mark) -> None:
    assert read_as(text, kind, letters).marks == (mark,)


@pytest.mark.parametrize(
    ("text", "kind", "letters"),
    [("2774 0000", "float32", "ABCD"), ("FFFF", "int16", "AB"), ("7149 F2CA", "float32", "ABCD")],
)
def test_what_does_not_is_not(text: str, kind: str, letters: str) -> None:
    found = read_as(text, kind, letters)
    assert found.marks == ()
    assert found.sensible == (kind == "int16")


def test_orders_are_written_as_engineers_do() -> None:
    assert letters_of("float32", "big", "big") == "ABCD"
    assert letters_of("float32", "little", "big") == "CDAB"
    assert letters_of("float32", "big", "little") == "BADC"
    assert letters_of("float64", "little", "little") == "HGFEDCBA"
    assert letters_of("uint16", "little", "little") == "BA"


# U line, U phase, I, P W, P total, PF, Hz of one meter, typed in: P = U * I * PF for each phase.
METER = (399.1, 400.2, 400.9, 230.2, 231.1, 231.6, 10.0, 12.0, 11.0, 2071.8, 2495.88, 2292.84,
         6860.52, 0.9, 50.02)  # fmt: skip


@pytest.mark.parametrize("letters", ["ABCD", "CDAB", "BADC", "DCBA"])
def test_a_meter_is_recognised_in_any_order(letters: str) -> None:
    words = dict(enumerate(in_words(letters, *METER), 100))
    layout, *_ = guess_layouts(words)
    assert (layout.type, layout.letters, layout.scale) == ("float32", letters, 1.0)
    assert layout.voltages == (106, 108, 110)
    assert layout.frequency == 128
    found = find_set(words, layout)
    assert found is not None
    assert (found.currents, found.powers) == ((112, 114, 116), (118, 120, 122))
    assert (found.total_power, found.power_factor) == (124, 126)
    assert found.power_scale_kw == 0.001  # W
    assert [f.code for f in cross_check(found.readings)] == ["voltages", "power"]


def test_a_meter_of_integers_is_recognised() -> None:
    # Acrel's way: U 0.1 V, I 0.01 A in one register, P in two (0.001 kW), PF 0.001.
    words = words_of("08FE 0907 090C 03E8 04B0 044C 0000 0818 0000 09C0 0000 08F5 0000 1ACD 0384")
    layout, *_ = guess_layouts(words)
    assert (layout.type, layout.scale, layout.voltages) == ("uint16", 0.1, (0, 1, 2))
    found = find_set(words, layout)
    assert found is not None
    assert (found.currents, found.powers, found.total_power) == ((3, 4, 5), (6, 8, 10), 12)
    assert (found.power_type, found.power_letters, found.power_factor) == ("int32", "ABCD", 14)


def test_nothing_is_recognised_where_there_is_nothing() -> None:
    assert guess_layouts({}) == []
    assert guess_layouts({i: 1000 * i for i in range(40)}) == []
    layout, *_ = guess_layouts(dict(enumerate(in_words("ABCD", 230, 231, 229, 5, 6, 7))))
    assert find_set(dict(enumerate(in_words("ABCD", 230, 231, 229, 5, 6, 7))), layout) is None


def meter(**changes: float) -> dict[str, float]:
    """A feeder of 200 A at a power factor of 0.9, in the platform's units."""
    values = {f"voltage.L{i}": 230.0 for i in (1, 2, 3)}
    values |= {f"current.L{i}": 200.0 for i in (1, 2, 3)}
    values |= {f"active_power.L{i}": 41.4 for i in (1, 2, 3)}
    values |= {
        "active_power.total": 124.2, "apparent_power.total": 138.0, "power_factor.total": 0.9,
        "reactive_power.total": 60.15, "frequency.total": 50.0,
    }  # fmt: skip
    return values | {k.replace("__", "."): v for k, v in changes.items()}


def codes(readings: dict[str, float]) -> list[str]:
    return [f.code for f in cross_check(readings) if f.weight != "fits"]


def without(readings: dict[str, float], *starts: str) -> dict[str, float]:
    return {k: v for k, v in readings.items() if not k.startswith(starts)}


def totals(**changes: float) -> dict[str, float]:
    return without(meter(**changes), "active_power.L")


def test_a_meter_that_fits_is_said_to_fit() -> None:
    found = cross_check(meter())
    assert [f.code for f in found] == [
        "voltages", "frequency", "power", "apparent_power", "power_triangle",
    ]  # fmt: skip
    assert {f.weight for f in found} == {"fits"}
    numbers = found[2].numbers
    assert numbers["sum_ui_kva"] == pytest.approx(138)
    assert numbers["sum_ui_pf_kw"] == pytest.approx(124.2)
    assert numbers["ratio"] == pytest.approx(1)
    assert all(f.text.zh and f.text.en for f in found)


REVERSED = {"active_power__L2": -41.4, "active_power__total": 41.4}
SQRT3 = {"active_power__total": 124.2 / sqrt(3)}


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (meter(**REVERSED), ["reversed_ct", "one_ct_reversed", "power_triangle_differs"]),
        (meter(active_power__L1=-41.4, active_power__L2=-41.4, active_power__L3=-41.4,
               active_power__total=-124.2), ["all_reversed", "reversed_direction"]),
        (meter(active_power__L1=50.0, active_power__L2=32.8), ["wrong_phase"]),
        (meter(active_power__L1=60.0), ["wrong_phase", "sum_of_phases"]),
        (totals(active_power__total=124_200.0), ["power_of_ten", "power_triangle_differs"]),
        (totals(active_power__total=3.105), ["transformer_side", "power_triangle_differs"]),
        (totals(**SQRT3), ["square_root_of_3", "power_triangle_differs"]),
        (totals(active_power__total=372.6), ["three_times", "power_triangle_differs"]),
        (totals(active_power__total=1.7e-9), ["word_order", "power_triangle_differs"]),
        (totals(active_power__total=90.0), ["power_differs", "power_triangle_differs"]),
        (totals(power_factor__total=1.1), ["factor_beyond_one"]),
        (totals(power_factor__total=0.1), ["low_factor"]),
        (totals(apparent_power__total=13.8), ["apparent_power_differs", "power_triangle_differs"]),
        (meter(voltage__L3=3.0), ["missing_phase", "wrong_phase", "power_differs",
                                  "apparent_power_differs"]),
        (meter(frequency__total=4998.0), ["strange_frequency"]),
        (meter(current__L1=0.0, current__L2=0.0, current__L3=0.01), ["no_load"]),
        ({"voltage.L1": 2300.0}, ["strange_voltages", "nothing_to_check"]),
        ({"voltage.L1": 57.7, "voltage.L2": 57.8}, ["voltages_behind_vt", "nothing_to_check"]),
        ({"voltage.L1": 398.0, "voltage.L2": 399.0}, ["line_voltage", "nothing_to_check"]),
        ({}, ["nothing_to_check"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_has_a_name(readings: dict[str, float], expected: list[str]) -> None:
    assert codes(readings) == expected


def test_without_a_power_factor_only_the_height_is_checked() -> None:
    bare = without(totals(), "power_factor", "apparent", "reactive")
    assert [f.code for f in cross_check(bare)][-1] == "power_within_ui"
    assert codes(bare | {"active_power.total": 138_000.0}) == ["power_of_ten"]
    assert codes(bare | {"active_power.total": 9.0}) == ["low_power"]


def test_a_meter_of_one_phase_is_checked() -> None:
    one = {"voltage.L1": 230.0, "current.L1": 20.0, "power_factor.total": 0.9}
    assert codes(one | {"active_power.total": 4.14}) == []
    assert codes(one | {"active_power.total": -4.14}) == ["reversed_direction"]
    assert codes(one | {"voltage.L2": 230.0, "active_power.total": 9.9}) == []  # not all of it


def by_profile(code: str, words: dict[tuple[str, int], int]) -> ProbeReport:
    report = ProbeReport("here", 1, {}, [])
    explain_by_profile(report, words, load_profile(code))
    return report


SDM630 = (230.2, 231.1, 231.6, 10.0, 12.0, 11.0, 2071.8, 2495.88, 2292.84)


def sdm630(letters: str = "ABCD", shift: int = 0) -> dict[tuple[str, int], int]:
    words = {("input", i + shift): w for i, w in enumerate(in_words(letters, *SDM630))}
    rest = {0x1E: 0.9, 0x20: 0.9, 0x22: 0.9, 0x34: 6860.52, 0x3E: 0.9, 0x46: 50.0}
    for address, number in rest.items():
        for i, word in enumerate(in_words(letters, number)):
            words["input", address + i + shift] = word
    return words


def test_a_profile_s_readings_are_scaled_and_fit() -> None:
    report = by_profile("eastron-sdm630", sdm630())
    shown = {r.name: (r.value, r.unit, r.letters) for r in report.readings}
    assert shown["active_power.total"] == (pytest.approx(6860.52), "W", "ABCD")
    assert "active_energy.import" not in shown  # was not read
    assert [f.code for f in report.findings] == ["voltages", "frequency", "power"]


@pytest.mark.parametrize("letters", ["CDAB", "BADC", "DCBA"])
def test_another_order_than_the_profile_s_is_found(letters: str) -> None:
    findings = by_profile("eastron-sdm630", sdm630(letters)).findings
    assert findings[0].code == "word_order"
    assert findings[0].text.en == (
        f"the profile does not fit the registers: in the order {letters} they make sense"
    )


@pytest.mark.parametrize("shift", [1, -1])
def test_a_map_that_is_off_by_one_is_found(shift: int) -> None:
    words = {k: w for k, w in sdm630("ABCD", shift).items() if k[1] >= 0}
    first, *_ = by_profile("eastron-sdm630", words).findings
    assert first.code == "shifted"
    assert f"at addresses {shift:+d}" in first.text.en


def test_a_reading_beyond_its_limits_and_a_foreign_range_are_said() -> None:
    words = sdm630()
    words["input", 6], words["input", 7] = in_words("ABCD", 120.0)
    found = by_profile("eastron-sdm630", words).findings
    assert "current.L1 = 120 A is beyond the profile's limits" in [f.text.en for f in found]
    (nothing,) = by_profile("eastron-sdm630", {("holding", 0): 1}).findings
    assert nothing.code == "nothing_of_the_profile"


def test_markers_for_no_value_are_no_readings() -> None:
    words = {("holding", 0x5B00): 0xFFFF, ("holding", 0x5B01): 0xFFFF}
    (reading,) = by_profile("abb-b23", words).readings
    assert (reading.value, reading.quality) == (None, "NOT_AVAILABLE")


def test_a_refused_range_is_halved_and_the_rest_is_read() -> None:
    # The bottom of it is register 6, which the unit refuses; others show unit * 256 + address.
    async def main() -> None:
        unit = CountingUnit(2, [fault("exception", code=2, first=6, last=6)])
        talking = responder(unit, CountingUnit(3, [fault("exception", code=1)]), frames="tcp")
        async with serve_tcp(talking, "127.0.0.1", 0) as port:
            with opened(line_of(host="127.0.0.1", port=port, timeout_s=2)) as line:
                words, unread = await read_words(line, 2, Range("holding", 0, 10))
                assert words == {("holding", i): 512 + i for i in range(10) if i != 6}
                (sentence,) = unread
                assert "holding 0x0006+1: exception 0x02" in sentence
                words, unread = await read_words(line, 2, Range("input", 20, 130))
                assert len(words) == 130
                words, unread = await read_words(line, 3, Range("holding", 0, 4))
                assert words == {}
                assert unread[0].endswith("exception 0x01; try --function input")

    asyncio.run(main())


def described(**unit: Any) -> Scenario:
    plain = {
        "label": {"zh": "测试", "en": "Typed in by a test"}, "timezone": "Asia/Shanghai",
        "first_year": 2018, "shift_starts": ["00:00:00"],
        "unit": [{"unit": 1, "kind": "captured", "profile": "eastron-sdm630", **unit}],
    }  # fmt: skip
    return msgspec.convert(plain, Scenario)


@pytest.fixture
def gateway() -> Iterator[int]:
    """A meter behind a gateway that passes RTU frames, in a thread: commands have their loop."""
    block = {"function": "input", "address": 0, "words": in_words("ABCD", *SDM630)}
    talking = Responder(build_units(described(block=[block])), "rtu", lambda: 0.0, 0.0)
    port = free_port()
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with serve_tcp(talking, "127.0.0.1", port):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait(5)
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


def edge(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enpilot", "edge", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_shows_decodings_and_readings(gateway: int) -> None:
    where = [f"127.0.0.1:{gateway}", "--rtu", "--function", "input", "--address", "0x0",
             "--count", "18"]  # fmt: skip
    told = edge("probe", *where)
    assert told.returncode == 0, told.stderr
    assert "0x0000   4366  17254" in told.stdout
    assert "230.2 U" in told.stdout
    assert (
        "likely 可能: float32 ABCD, phase voltages 相电压 0x0000, 0x0002, 0x0004 = 230.2, 231.1, "
        "231.6 V"
    ) in told.stdout
    told = edge("probe", *where, "--profile", "eastron-sdm630")
    assert "voltage.L1       float32  ABCD   230.1999969  V     primary" in told.stdout
    assert "ok    相电压正常" in told.stdout
    report = json.loads(edge("probe", *where, "--json").stdout)
    assert report["words"]["input"]["0x0000"] == 0x4366
    assert report["layouts"][0]["letters"] == "ABCD"
    assert {"address": 0, "type": "uint16", "letters": "AB"}.items() <= next(
        d for d in report["decodings"] if d["type"] == "uint16"
    ).items()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--address", "0", "--count", "2"], "say where: HOST[:PORT], or --serial"),
        (["127.0.0.1"], "say what to read: --address and --count, or --profile"),
        (["127.0.0.1", "--address", "5"], "--address and --count go together"),
        (["127.0.0.1", "--address", "65535", "--count", "2"], "is not within 0 to 65535"),
        (["127.0.0.1", "--address", "0", "--count", "0"], "is not within 0 to 65535"),
        (["127.0.0.1", "--unit", "256", "--profile", "abb-b23"], "--unit 256 is not within"),
        (["127.0.0.1", "--profile", "abb"], "no profile 'abb'; shipped are"),
        (["127.0.0.1", "--profile", "dlt645-2007"], "the probe asks Modbus units"),
        (["--serial", "/dev/no-such-port", "--profile", "abb-b23"], "no connection to /dev/no-"),
    ],
)
def test_a_wrong_call_is_one_line(words: list[str], sentence: str) -> None:
    told = edge("probe", *words)
    assert told.returncode == 2
    assert sentence in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_report_without_a_profile_has_tables_and_a_legend() -> None:
    report = ProbeReport("here", 1, {"holding": {"0x0000": 0xFFFF, "0x0001": 0x1388}}, ["a gap"])
    explain(report, {0: 0xFFFF, 1: 0x1388})
    text = "\n".join(report_lines(report))
    assert text.startswith("here unit 1: 2 registers read\na gap\n")
    assert "n/a" in text
    assert "5000 Hzx0.01" in text


def test_profiles_are_listed_and_shown_for_people_and_programs() -> None:
    listed = edge("profiles").stdout.splitlines()
    assert listed[0].split() == ["code", "maker", "models", "registers", "requests", "verified"]
    assert any(x.startswith("acrel-adl400 ") and x.endswith(" 3         no") for x in listed)
    shown = edge("profiles", "carlo-gavazzi-em24").stdout
    assert "source: https://github.com/volkszaehler/mbmd" in shown
    assert "input     0x0028   int32  CDAB   active_power.total" in shown
    programs = {p["code"]: p for p in json.loads(edge("profiles", "--json").stdout)}
    assert programs["schneider-iem3000"]["requests_per_scan"] == 6
    sunspec = json.loads(edge("profiles", "sunspec-203", "--json").stdout)
    power = next(r for r in sunspec["register"] if r["quantity"] == "active_power")
    assert (power["address"], power["scale_register"], power["order"]) == (40088, 40092, "AB")
    assert power["not_available"] == ["0x8000"]
