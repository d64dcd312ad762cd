"""A Modbus unit, a DL/T 645 meter and a CJ/T 188 meter on one pair of wires."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.address_search import Culprits
from edge_agent.batcher import Batcher, wide_groups
from edge_agent.blocks import Block, Stretch, plan_blocks
from edge_agent.clock import Clock
from edge_agent.errors import ReadError, WiringError
from edge_agent.learned import LearnedLimits
from edge_agent.line_load import line_loads
from edge_agent.lines import FieldLine, make_line
from edge_agent.lines.meter_frames import meter_exchange
from edge_agent.plan import ReadPlan, UnitPlan, plan_for_agent
from edge_agent.poller import LinePoller, Sample
from edge_agent.profile import load_profile
from edge_agent.simulator.faults import Fault
from edge_agent.simulator.faulty_unit import FaultyUnit
from edge_agent.simulator.meter_unit import SimulatedMeter
from edge_agent.simulator.responder import Responder
from edge_agent.simulator.scenario import DialIn, Scenario, ScenarioError, Unit
from edge_agent.simulator.serving import dial_in, serve_serial, serve_tcp
from enpilot.demo.processes import free_port
from enpilot.plant import Device, load_plant
from enpilot.wire import Quality, decode_batch
from tests.edge_agent.plant_on_a_line import fault, line_of, opened, raw_server
from tests.edge_agent.profiles_for_tests import profile, register, unit_plan

METER, WATER = "000000000161", "78330011223344"
AT_S = 1_751_500_000.0  # a working day of 2025
ENERGY = plan_blocks(load_profile("dlt645-2007"))[0]
VOLUME = plan_blocks(load_profile("cjt188-cold-water"))[0]


def scenario(*faults: Fault) -> Scenario:
    """Return the three; the faults are the DL/T 645 meter's."""
    return msgspec.convert(
        {
            "label": {"zh": "合成", "en": "Synthetic: tariffs, phases and water"},
            "timezone": "Asia/Shanghai",
            "first_year": 2025,
            "shift_starts": ["00:00:00"],
            "unit": [
                {"unit": 1, "kind": "electricity", "profile": "acrel-adl400"},
                {"meter_address": METER, "kind": "electricity", "profile": "dlt645-2007",
                 "ct_ratio": 40, "fault": [msgspec.to_builtins(f) for f in faults]},
                {"meter_address": WATER, "kind": "water", "profile": "cjt188-cold-water",
                 "opening_counts": 1234},
            ],
        },
        Scenario,
    )  # fmt: skip


def responder(*faults: Fault) -> Responder:
    described = scenario(*faults)
    load = described.load()
    unit, *meters = described.unit
    return Responder(
        [FaultyUnit(described, unit, load, AT_S)], "rtu", lambda: AT_S, AT_S,
        [SimulatedMeter(described, meter, load) for meter in meters],
    )  # fmt: skip


@contextlib.asynccontextmanager
async def reached(kind: str, talking: Responder) -> AsyncIterator[dict[str, Any]]:
    """Answer on a line of a kind; gives the line's keys."""
    async with contextlib.AsyncExitStack() as stack:
        if kind == "serial":
            yield {"serial_port": await stack.enter_async_context(serve_serial(talking))}
        elif kind == "listen":
            port = free_port()
            dtu = DialIn(
                registration="dtu-7", heartbeat="alive", heartbeat_s=0.03, redial_s=0.02,
                split_bytes=3,
            )  # fmt: skip
            task = asyncio.create_task(dial_in(talking, "127.0.0.1", port, dtu))
            stack.callback(task.cancel)
            yield {
                "host": "127.0.0.1", "port": port, "registration": "dtu-7", "heartbeat": "alive",
            }  # fmt: skip
        else:
            port = await stack.enter_async_context(serve_tcp(talking, "127.0.0.1", 0))
            yield {"host": "127.0.0.1", "port": port}


def plant_file(folder: Path, line: dict[str, Any], water: str = WATER) -> Path:
    keys = "".join(
        f"{k} = {msgspec.json.encode(v).decode()}\n" for k, v in line.items() if k != "kind"
    )
    devices = [
        ("modbus", "unit = 1", "acrel-adl400", "electricity"),
        ("energy", f'meter_address = "{METER}"', "dlt645-2007", "electricity"),
        ("water", f'meter_address = "{water}"', "cjt188-cold-water", "fresh_water"),
    ]
    text = (
        'schema = 1\n[site]\ncode = "works"\nname = { zh = "厂", en = "Works" }\n'
        'timezone = "Asia/Shanghai"\nfrom = 2025-01-01\n[[agent]]\nid = "gw-1"\n'
        f'[[line]]\ncode = "hall"\nagent = "gw-1"\nkind = "{line["kind"]}"\n{keys}'
    ) + "".join(
        f'[[device]]\ncode = "{code}"\nline = "hall"\n{address}\nprofile = "{used}"\nperiod_s = 1\n'
        f'[[point]]\ncode = "at-{code}"\nname = {{ zh = "点", en = "Point" }}\n'
        f'medium = "{medium}"\n'
        f'role = "check"\n[[installation]]\npoint = "at-{code}"\ndevice = "{code}"\n'
        for code, address, used, medium in devices
    )
    file = folder / "plant.toml"
    file.write_text(text, "utf-8")
    return file


def plan_of(file: Path, learned: LearnedLimits | None = None) -> ReadPlan:
    return plan_for_agent(load_plant(file), "gw-1", file, learned=learned)


async def polled(plan: ReadPlan, until: int) -> list[Sample]:
    """Poll a plan until every group has come so often with a value."""
    (described, units), = plan.lines  # fmt: skip
    connection = make_line(described, (u.device for u in units))
    samples: list[Sample] = []
    groups = {b.group for u in units for b in u.blocks}
    enough = asyncio.Event()

    def deliver(sample: Sample) -> None:
        samples.append(sample)
        good = [s.group for s in samples if s.quality is None]
        if all(good.count(group) >= until for group in groups):
            enough.set()

    task = asyncio.create_task(LinePoller(connection, units, Clock(), deliver).run())
    async with asyncio.timeout(15):
        await enough.wait()
    task.cancel()
    await asyncio.wait([task])
    connection.close()
    return samples


@pytest.mark.parametrize("kind", ["serial", "rtu_over_tcp", "listen"])
async def test_three_protocols_share_a_line_from_the_plant_file_to_the_batch(
    kind: str, tmp_path: Path
) -> None:
    described = scenario()
    async with reached(kind, responder()) as keys:
        plan = plan_of(plant_file(tmp_path, {"kind": kind, **keys}))
        samples = await polled(plan, 2)
    batcher = Batcher("b" * 64, 100_000, wide_groups(plan.birth))
    for sample in samples:
        batcher.add(sample)
    filled = batcher.cut()
    assert filled is not None
    batch = decode_batch(filled.body)
    declared = {g.group: g for g in plan.birth.groups}
    shown: dict[str, int | float | str | None] = {}
    places: dict[str, str | None] = {}
    for readings in batch.groups:
        for series, column in zip(declared[readings.group].series, readings.values, strict=True):
            name = f"{series.device} {series.quantity}.{series.channel}"
            shown[name], places[name] = column[-1], series.register
    load = described.load()
    energy = load.energy_micro_kwh(AT_S) / 1e6
    assert energy > 100_000
    assert shown["modbus active_energy.total"] == int(energy * 100)
    assert shown["energy active_energy.import"] == round(energy / 40 * 100)
    assert shown["energy active_energy.import_flat"] == round(energy / 40 * 0.4 * 100)
    assert shown["energy active_power.total"] == round(load.power_kw(AT_S) / 40 * 1e4)
    assert shown["energy voltage.L2"] == 2300
    # 0.2 m3 an hour, 2 litres a kWh, and what stood on it.
    hours = (AT_S - dt.datetime(2025, 1, 1, tzinfo=described.zone).timestamp()) / 3600
    assert shown["water volume.total"] == 1234 + round((0.2 * hours + 0.002 * energy) * 100)
    assert places["water volume.total"] == "cjt188:901F type 10 byte 0 bcd 8"
    assert places["energy voltage.L2"] == "dlt645:0201FF00 byte 2 bcd 4"
    assert places["modbus voltage.L1"] is not None
    assert len(shown) == sum(len(g.series) for g in plan.birth.groups)


@pytest.mark.parametrize("kind", ["rtu_over_tcp", "serial"])
@pytest.mark.parametrize(
    ("wrong", "quality", "said"),
    [
        ("silence", Quality.NO_RESPONSE, "no reply"),
        ("garbage", Quality.NO_RESPONSE, "no reply"),
        ("wrong_unit", Quality.NO_RESPONSE, "not to this request"),
        ("wrong_transaction", Quality.NO_RESPONSE, "not to this request"),
        ("bad_crc", Quality.NO_RESPONSE, "bytes came that are no reply"),
        ("exception", Quality.EXCEPTION_REPLY, "refused, error byte 0x02"),
    ],
)
async def test_a_meter_that_goes_wrong_disturbs_no_other(
    kind: str, wrong: str, quality: Quality, said: str
) -> None:
    async with reached(kind, responder(fault(wrong))) as keys:
        with opened(line_of(kind=kind, timeout_s=0.1, **keys)) as connection:
            for _ in range(2):
                with pytest.raises(ReadError, match=said) as caught:
                    await connection.read(METER, ENERGY)
                assert f"line hall, meter {METER}, dlt645 00010000: " in str(caught.value)
                assert caught.value.quality == quality
                assert caught.value.exception_code is None
                assert caught.value.absent == (wrong == "exception")
                assert len(await connection.read(WATER, VOLUME, 5.0)) == 19
                assert len(await connection.read(1, block_of(0, 2), 5.0)) == 4


def block_of(address: int, count: int) -> Block:
    return Block(0, "holding", address, count, (register(address),))


async def test_a_late_reply_of_a_meter_is_not_taken_for_another_identifier() -> None:
    async with reached("rtu_over_tcp", responder(fault("late_reply"))) as keys:
        with opened(line_of(kind="rtu_over_tcp", timeout_s=0.1, **keys)) as connection:
            with pytest.raises(ReadError):
                await connection.read(METER, ENERGY)
            voltages = plan_blocks(load_profile("dlt645-2007"))[2]
            before_s = time.monotonic()
            with pytest.raises(ReadError, match="not to this request"):
                await connection.read(METER, voltages)
            # The reply says which block it is of, so there is nothing to wait out.
            assert time.monotonic() - before_s < 0.5
            assert connection.counts.stale >= 1


async def test_only_reading_leaves_whatever_meters_say(tmp_path: Path) -> None:
    replies = [b"", b"\x68" * 30, bytes(range(256))]

    def answer(request: bytes) -> list[bytes]:
        return [replies[len(server.heard) % 3], request]  # an echo with noise before

    async with raw_server(answer) as server:
        line = {"kind": "rtu_over_tcp", "host": "127.0.0.1", "port": server.port, "timeout_s": 0.03}
        (described, units), = plan_of(plant_file(tmp_path, line)).lines  # fmt: skip
        connection = make_line(described, (u.device for u in units))
        for _ in range(4):
            for unit in units:
                for block in unit.blocks:
                    with contextlib.suppress(ReadError):
                        await connection.read(unit.unit, block)
        connection.close()
        controls: set[tuple[str, int]] = set()
        for request in server.heard:
            if not request.startswith(b"\xfe\xfe\xfe\xfe\x68"):
                assert len(request) == 8
                controls.add(("modbus", request[1]))
            elif request[11] == 0x68:
                assert len(request) == 20
                controls.add(("dlt645", request[12]))
            else:
                assert len(request) == 20
                controls.add(("cjt188", request[13]))
        assert controls == {("modbus", 3), ("dlt645", 0x11), ("cjt188", 0x01)}


async def test_data_that_a_meter_lacks_is_remembered_and_asked_seldom(tmp_path: Path) -> None:
    poor = tmp_path / "poor.toml"
    poor.write_text(
        'code = "poor"\nmaker = "any"\nmodels = []\nsource = "a test"\nverified = false\n'
        'protocol = "dlt645"\n'
        + "".join(
            f'[[item]]\ndata_id = "{identifier}"\ndigits = 4\nquantity = "voltage"\n'
            f'channel = "{channel}"\nunit = "V"\nscale = "0.1"\n'
            for channel, identifier in (("L1", "0201FF00"), ("L9", "02010900"))
        ),
        "utf-8",
    )
    found: list[Culprits] = []
    heard = asyncio.Event()

    def refused(_: UnitPlan, culprits: Culprits) -> None:
        found.append(culprits)
        heard.set()

    async with reached("rtu_over_tcp", responder()) as keys:
        file = plant_file(tmp_path, {"kind": "rtu_over_tcp", **keys})
        file.write_text(file.read_text("utf-8").replace("dlt645-2007", "poor.toml"), "utf-8")
        (described, units), = plan_of(file).lines  # fmt: skip
        connection = make_line(described, ())
        poller = LinePoller(connection, units, Clock(), lambda _: None, refused)
        task = asyncio.create_task(poller.run())
        async with asyncio.timeout(5):
            await heard.wait()
        task.cancel()
        await asyncio.wait([task])
        connection.close()
    lacking = Stretch("dlt645", 0x02010900, 0x02010900)
    assert found[0] == Culprits(values=(lacking,))
    learned = LearnedLimits(tmp_path / "learned.json")
    learned.add("energy", ["poor"], found[0])
    (_, units), = plan_of(file, LearnedLimits(tmp_path / "learned.json")).lines  # fmt: skip
    periods = {
        (b.address, u.period_s) for u in units for b in u.blocks if u.device.code == "energy"
    }
    assert periods == {(0x0201FF00, 1.0), (0x02010900, 3600.0)}


async def test_a_dead_unit_with_retries_costs_its_line_one_timeout_a_pause() -> None:
    silent = 2
    asked_s: list[float] = []

    def answer(request: bytes) -> list[bytes]:
        if request[0] == silent:
            asked_s.append(time.monotonic())
            return []
        return [b""]

    timeout_s, period_s = 0.05, 0.2
    async with raw_server(answer) as server:
        line = line_of(kind="rtu_over_tcp", host="127.0.0.1", port=server.port, retries=3)
        device = Device(code="dead", line="hall", unit=silent, timeout_s=timeout_s, retries=3)
        plan = unit_plan(silent, period_s, profile(register(0)), timeout_s=timeout_s)
        connection: FieldLine = make_line(line, [device])
        poller = LinePoller(connection, (plan,), Clock(), lambda _: None)
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(2.2)
        task.cancel()
        await asyncio.wait([task])
        connection.close()
    # The first silence is made sure of: once and three retries. Then once after 0.2, 0.4, 0.8 s.
    first = [s for s in asked_s if s < asked_s[0] + 4 * timeout_s + 0.1]
    assert len(first) == 4
    later = asked_s[4:]
    assert 2 <= len(later) <= 4
    assert all(b - a > 1.5 * timeout_s for a, b in itertools.pairwise(later))
    # The last one may still have been waited for.
    assert poller.counts.silences in (len(later), 1 + len(later))


def test_a_profile_and_the_way_that_its_device_is_asked_go_together(tmp_path: Path) -> None:
    line = {"kind": "rtu_over_tcp", "host": "gw"}
    with pytest.raises(WiringError, match=r"cjt188-cold-water.*`meter_address` of 14 digits"):
        plan_of(plant_file(tmp_path, line, water="000000000162"))
    file = plant_file(tmp_path, line)
    good = file.read_text("utf-8")
    file.write_text(good.replace("acrel-adl400", "dlt645-2007"), "utf-8")
    with pytest.raises(WiringError, match=r"dlt645-2007.*`meter_address` of 12 digits"):
        plan_of(file)
    file.write_text(good.replace('"dlt645-2007"', '"acrel-adl400"'), "utf-8")
    with pytest.raises(WiringError, match="is of Modbus: it is asked by a `unit`"):
        plan_of(file)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.binary(min_size=1, max_size=60), max_size=3), min_size=6, max_size=6))
def test_garbage_on_a_mixed_line_raises_nothing_but_read_errors(said: list[list[bytes]]) -> None:
    async def main() -> None:
        answers = iter(said)
        async with raw_server(lambda _: next(answers, [])) as server:
            keys = {"kind": "rtu_over_tcp", "host": "127.0.0.1", "port": server.port}
            failures: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, c: failures.append(c))
            with opened(line_of(timeout_s=0.03, **keys)) as connection:
                for unit, block in [(METER, ENERGY), (WATER, VOLUME), (1, block_of(0, 2))] * 2:
                    with contextlib.suppress(ReadError):
                        await connection.read(unit, block)
            assert failures == []

    asyncio.run(main())


@pytest.mark.parametrize("said", [b"", b"\xfe" * 300, b"\x68" * 300, bytes(range(256)) * 8])
async def test_whatever_dials_in_or_hangs_on_a_port_ends_no_poller(
    said: bytes, tmp_path: Path
) -> None:
    port = free_port()
    line = {
        "kind": "listen", "host": "127.0.0.1", "port": port, "registration": "dtu-7",
        "timeout_s": 0.05,
    }  # fmt: skip
    (described, units), = plan_of(plant_file(tmp_path, line)).lines  # fmt: skip
    connection = make_line(described, (u.device for u in units))
    samples: list[Sample] = []
    task = asyncio.create_task(LinePoller(connection, units, Clock(), samples.append).run())
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, c: failures.append(c))
    for _ in range(100):
        with contextlib.suppress(OSError):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        await asyncio.sleep(0.02)
    writer.write(b"dtu-7" + said)
    for _ in range(20):
        writer.write(said[:40])
        await asyncio.sleep(0.06)
    writer.close()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    connection.close()
    assert failures == []
    assert samples
    assert all(s.quality is not None for s in samples)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"kind": "water", "profile": "cjt188-cold-water"}, "has a `meter_address`"),
        ({"kind": "electricity", "profile": "dlt645-2007", "meter_address": METER,
          "fault": [{"kind": "rollover"}]}, "knows no fault 'rollover'"),
    ],
)  # fmt: skip
def test_a_scenario_says_what_a_simulated_meter_cannot_do(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(keys, Unit)


def test_a_simulated_meter_needs_a_profile_of_its_protocol() -> None:
    described = scenario()
    wrong = msgspec.structs.replace(described.unit[1], profile="acrel-adl400")
    with pytest.raises(ScenarioError, match="is of Modbus"):
        SimulatedMeter(described, wrong, described.load())


def test_the_simulator_knows_a_request_however_it_is_cut_and_refuses_what_is_no_read() -> None:
    talking = responder()
    energy = meter_exchange(METER, ENERGY).begin()
    water = meter_exchange(WATER, VOLUME).begin()
    stream = b"\x00\xff" + energy + bytes.fromhex("010300000002c40b") + water
    for size in (1, 3, 50):
        rest, whole = b"", []
        for start in range(0, len(stream), size):
            found, rest = talking.split(rest + stream[start : start + size])
            whole += found
        assert whole == [energy[4:], bytes.fromhex("010300000002c40b"), water[4:]]
        assert rest == b""
    writing = bytes.fromhex("68610100000000681404333334330000")
    writing = writing[:-2] + bytes([sum(writing[:-2]) & 0xFF, 0x16])
    ((_, said),) = talking.answer(writing)
    assert said[10:13] == bytes([0xD4, 1, 0x34])
    assert talking.answer(meter_exchange("000000000999", ENERGY).begin()[4:]) == []


def test_what_the_plan_costs_a_serial_line_is_reckoned_by_each_protocol_s_frames(
    tmp_path: Path,
) -> None:
    line = {"kind": "serial", "serial_port": "/dev/ttyUSB0", "baud": 2400}
    plan = plan_of(plant_file(tmp_path, line))
    units = {u.device.code: u for _, us in plan.lines for u in us}
    assert units["water"].blocks[0].serial_bytes == 20 + 20 + 5
    assert [b.serial_bytes for b in units["energy"].blocks] == [44, 60, 46, 49, 52, 48]
    (load,) = line_loads(plan, 0.03)
    assert load.busy > 1
    assert not load.possible


@pytest.mark.parametrize(("wrong", "asked"), [("exception", 1), ("bad_crc", 4)])
async def test_silence_is_retried_and_a_meter_s_refusal_is_not(wrong: str, asked: int) -> None:
    talking = responder(fault(wrong))
    device = Device(code="energy", line="hall", meter_address=METER, timeout_s=0.1, retries=3)
    async with reached("rtu_over_tcp", talking) as keys:
        connection = make_line(line_of(kind="rtu_over_tcp", **keys), [device])
        with pytest.raises(ReadError):
            await connection.read(METER, ENERGY)
        assert talking.requests == asked
        with pytest.raises(ReadError):
            await connection.read(METER, ENERGY, retry=False)
        assert talking.requests == asked + 1
        connection.close()
