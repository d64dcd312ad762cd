"""The walk by a form, at a terminal, from an outbox, and as a command."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_agent.batcher import Batcher, wide_groups
from edge_agent.commissioning.questions import QUESTIONS, FormAsker, TerminalAsker, form_text
from edge_agent.errors import ReadError
from edge_agent.outbox import Outbox
from edge_agent.plan import birth_bytes, plan_for_agent
from edge_agent.poller import Sample
from enpilot.errors import ConfigurationError
from enpilot.plant import load_plant
from enpilot.wire import sha256_hex
from tests.edge_agent.commissioned_plant import (
    Engineer,
    Meters,
    commissioned,
    found,
    plant_file,
    results,
    simulated,
)
from tests.edge_agent.wired_meters import three_phase_profile


def written_by_an_agent(meters: Meters, plant: Path, outbox: Path, minutes: int) -> None:
    """An outbox in which an agent has read the simulated meters for some minutes."""
    plan = plan_for_agent(load_plant(plant), "gw-1", plant)
    body = birth_bytes(plan.birth)
    batcher = Batcher(sha256_hex(body), 5000, wide_groups(plan.birth))
    box = Outbox(outbox, "gw-1")
    box.keep_birth(sha256_hex(body), body)
    for step in range(minutes * 4 + 1):
        at_s = meters.clock.at_s + 15 * step
        for _, plans in plan.lines:
            for unit in plans:
                numbers = meters.units[unit.unit].numbers(at_s)
                for block in unit.blocks:
                    values: list[Any] = [int(numbers[r.name]) for r in block.registers]
                    batcher.add(Sample(block.group, int(at_s * 1e6), 0, values, None))
        while (batch := batcher.cut()) is not None:
            box.append(sha256_hex(body), batch.body, batch.readings, batch.first_us, batch.last_us)
    box.close()


async def test_a_form_is_filled_from_an_outbox_hours_later(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}, 2: {"load_kw": 11.0}}) as meters:
        plant = plant_file(tmp_path, 9, {"main": 1, "other": 2})
        outbox = tmp_path / "outbox.sqlite"
        first_s = meters.clock.at_s + 120
        engineer = Engineer(meters, 1)
        clamp = {x: engineer._true_current(x) for x in ("L1", "L2", "L3")}
        written_by_an_agent(meters, plant, outbox, 40)

        def shown(at_s: float) -> str:
            meters.clock.at_s = at_s
            return f"{meters.amounts(1)['active_energy.total']:.3f}"

        def at(at_s: float) -> str:
            return dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat()

        form = tmp_path / "form.toml"
        form.write_text(
            'engineer = "李工"\nserial = "SN-1"\nflow = "import"\n'
            "ct.primary_a = 200\nct.secondary_a = 5\n"
            'photo.nameplate = "plate.jpg"\nphoto.display = ["one.jpg", "two.jpg"]\n'
            f"clamp.L1 = {clamp['L1']:.2f}\nclamp.L2 = {clamp['L2']:.2f}\n"
            f"clamp.L3 = {clamp['L3']:.2f}\n"
            '[display]\nside = "secondary"\nunit = "kWh"\n'
            f"first = {shown(first_s)}\nfirst_at = {at(first_s)}\n"
            f"second = {shown(first_s + 1200)}\nsecond_at = {at(first_s + 1200)}\n",
            "utf-8",
        )
        meters.clock.at_s = first_s - 120 + 40 * 60
        asker: Any = FormAsker(form, "en", write=lambda _: None)
        record, _ = await commissioned(meters, plant, "main", asker, outbox)
    assert found(record) == {}
    assert record.source == "outbox"
    assert record.open == ["load_step"]
    assert results(record)["display"] == "passed"
    assert results(record)["energy_integral"] == "passed"
    assert results(record)["frames"] == "passed"
    assert [r.register for r in record.display] == [r.display for r in record.display]


async def test_a_meter_shows_the_present_only(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}) as meters:
        plant = plant_file(tmp_path, meters.port, {"main": 1})
        early = dt.datetime.fromtimestamp(meters.clock.at_s - 600, dt.UTC).isoformat()
        with pytest.raises(ReadError, match="give --readings"):
            await commissioned(
                meters, plant, "main", Engineer(meters, 1, {"display.first_at": early})
            )
        gone = plant_file(tmp_path, 9, {"main": 1})
        (tmp_path / "commissioning" / "main.partial.json").unlink(missing_ok=True)
        with pytest.raises(ReadError, match="no connection"):
            await commissioned(meters, gone, "main", Engineer(meters, 1))


async def test_an_outbox_of_another_plant_has_no_readings(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}, 2: {}}) as meters:
        outbox = tmp_path / "outbox.sqlite"
        written_by_an_agent(meters, plant_file(tmp_path, 9, {"main": 1, "other": 2}), outbox, 1)
        plant = plant_file(tmp_path, 9, {"main": 1})
        with pytest.raises(ReadError, match="does its agent run with this plant file"):
            await commissioned(meters, plant, "main", Engineer(meters, 1), outbox)


async def test_a_person_is_asked_again_until_the_answer_is_one() -> None:
    typed, said = iter(["abc", "12,5", " 12.50 ", "", "export"]), list[str]()
    asker = TerminalAsker("en", read=lambda _: next(typed), write=said.append)
    assert await asker.ask(QUESTIONS["clamp.L1"]) == "12.50"
    assert len(said) == 2
    assert await asker.ask(QUESTIONS["remarks"]) is None
    assert await asker.ask(QUESTIONS["flow"]) == "export"
    assert await asker.ask(QUESTIONS["display.first_at"]) is None

    def end(_: str) -> str:
        raise EOFError

    with pytest.raises(KeyboardInterrupt):
        await TerminalAsker("zh", read=end).ask(QUESTIONS["flow"])


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_empty_form_asks_everything_and_answers_nothing(
    tmp_path: Path, language: Any
) -> None:
    form = tmp_path / "form.toml"
    form.write_text(form_text(language), "utf-8")
    assert tomllib.loads(form_text(language))["ct"]["turns"] == ""
    asker = FormAsker(form, language)
    assert [await asker.ask(q) for q in QUESTIONS.values()] == [None] * len(QUESTIONS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("engineer = ", "form.toml"),
        ('engneer = "x"', "no question engneer"),
        ('flow = "forward"', "answer one of: import / export / either"),
        ("clamp.L1 = nan", "give a decimal number"),
        ('clamp.L1 = "1e3"', "give a decimal number"),
    ],
)
async def test_a_wrong_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    form = tmp_path / "form.toml"
    form.write_text(text, "utf-8")

    async def ask_all() -> None:
        asker = FormAsker(form, "en")
        for question in QUESTIONS.values():
            await asker.ask(question)

    with pytest.raises(ConfigurationError, match=said):
        await ask_all()
    with pytest.raises(ConfigurationError, match="no such form"):
        FormAsker(tmp_path / "nowhere.toml", "en")


async def test_answers_that_cannot_be_used_are_asked_again(tmp_path: Path) -> None:
    async with simulated(tmp_path, {1: {}}) as meters:
        plant = plant_file(tmp_path, meters.port, {"main": 1})
        for wrong, said in (
            ({"engineer": None}, "names its engineer"),
            ({"photo.nameplate": "gone.jpg"}, "gone.jpg: cannot be read"),
            ({"photo.nameplate": "../plant.toml"}, "beside the record"),
            ({"display.unit": "kW"}, "no unit 'kW'"),
            ({"display.first_at": "noon"}, "'noon' is no instant"),
        ):
            answers: dict[str, str | None] = dict(wrong)
            with pytest.raises(ConfigurationError, match=said):
                await commissioned(meters, plant, "main", Engineer(meters, 1, answers))
        partial = tmp_path / "commissioning" / "main.partial.json"
        assert json.loads(partial.read_bytes())["answers"]["engineer"] == "李工"
        partial.write_text("no json", "utf-8")
        with pytest.raises(ConfigurationError, match="delete it to begin anew"):
            await commissioned(meters, plant, "main", Engineer(meters, 1))


def command(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "enpilot", "edge", "commission", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    three_phase_profile(tmp_path / "real.toml")
    plant = plant_file(tmp_path, 9, {"main": 1})
    for words, said in (
        ((), "plant.toml: there is no such file"),
        (("--plant", str(plant)), "say which point"),
        (("nowhere", "--plant", str(plant)), "no point 'nowhere' (there is: main)"),
        (("main", "--plant", str(plant), "--answers", "none.toml"), "there is no such form"),
    ):
        done = command(*words)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert command("--form", "--language", "zh").stdout == form_text("zh")
    done = command("--verify", "--plant", str(plant))
    assert (done.returncode, done.stdout) == (0, f"{plant}: 0 records, all as they were made\n")


def test_the_command_can_be_interrupted_at_a_question(tmp_path: Path) -> None:
    three_phase_profile(tmp_path / "real.toml")
    plant = plant_file(tmp_path, 9, {"main": 1})
    words = ["main", "--plant", str(plant), "--language", "en"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "enpilot", "edge", "commission", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(11) == "Your name: "
        process.stdin.write("Li\n")
        process.stdin.flush()
        assert process.stdout.read(13) == "Serial number"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run the command again to go on" in said
    partial = tmp_path / "commissioning" / "main.partial.json"
    assert json.loads(partial.read_bytes())["answers"] == {"engineer": "Li"}


def test_commissioning_needs_no_numpy() -> None:
    code = (
        "import sys; import edge_agent.commissioning.cli, edge_agent.commissioning.watch; "
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
