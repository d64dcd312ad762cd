"""``enpilot edge commission``: from a wired point to a record that can be signed."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

import cyclopts
import msgspec

from edge_agent.commissioning.following import WalkClock
from edge_agent.commissioning.progress import load_progress, save_progress
from edge_agent.commissioning.questions import (
    Asker,
    FormAsker,
    Language,
    TerminalAsker,
    form_text,
    in_language,
)
from edge_agent.commissioning.record import (
    Record,
    RecordError,
    canonical_bytes,
    record_errors,
    sha256_of,
)
from edge_agent.commissioning.scaling import installation_of
from edge_agent.commissioning.sources import (
    MeterSource,
    OutboxSource,
    ReadingSource,
    placed_parts,
)
from edge_agent.commissioning.walk import Walk, WalkSite
from edge_agent.errors import ReadError
from edge_agent.learned import LearnedLimits
from edge_agent.plan import ReadPlan, plan_for_agent
from enpilot.errors import ConfigurationError
from enpilot.plant import Names, Plant, load_plant

__all__ = ["commission", "commission_point"]

_INTERRUPTED = 130


def commission(
    point: str | None = None,
    *,
    plant: Path = Path("plant.toml"),
    language: Literal["zh", "en"] = "zh",
    answers: Path | None = None,
    readings: Path | None = None,
    records: Path = Path("commissioning"),
    form: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    verify: Annotated[bool, cyclopts.Parameter(negative="")] = False,
) -> None:
    """Commission a point and write its record; only reads from meters.

    测点调试与验收记录。

    Interrupted, the same command goes on where it was. A gateway that takes one connection only is
    busy while the agent runs: stop the agent, or give --readings.

    Parameters
    ----------
    point
        Code of the point.
    plant
        The plant file.
    language
        zh or en.
    answers
        A form filled in instead of questions at the terminal.
    readings
        The outbox of the agent that is running, instead of reading the meter.
    records
        Folder of records and photographs; relative to the plant file.
    form
        Print an empty form and end.
    verify
        Check the records that the plant file names, and their hashes and photographs.
    """
    if form:
        print(form_text(language), end="")
        return
    described = load_plant(plant)
    if verify:
        _verify(described, plant)
        return
    if point is None:
        raise ConfigurationError("say which point: enpilot edge commission POINT --plant FILE")
    asker: Asker = FormAsker(answers, language) if answers else TerminalAsker(language)
    # Else asyncio would wait for the answer that is being typed before it lets Ctrl-C through.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        record, file = asyncio.run(
            commission_point(point, plant, described, asker, readings, records, WalkClock())
        )
    except KeyboardInterrupt:
        kept = Names(
            zh="已中断；已完成的部分已保存，再次运行本命令即可继续。",
            en="Interrupted; what was done is kept, run the command again to go on.",
        )
        print(f"\n{in_language(kept, language)}", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except ReadError as error:
        busy = Names(
            zh="若采集程序正在运行，网关可能只接受一个连接："
            "先停止它，或用 --readings 指定其 outbox。",
            en="If the agent is running, its gateway may take one connection only: "
            "stop it, or give its outbox with --readings.",
        )
        raise ConfigurationError(f"{error}. {in_language(busy, language)}") from error
    print(_summary(record, file, plant, language))


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


async def commission_point(
    point: str,
    file: Path,
    plant: Plant,
    asker: Asker,
    readings: Path | None,
    records: Path,
    clock: WalkClock,
) -> tuple[Record, Path]:
    """Commission a point and return its record and where that was written.

    Parameters
    ----------
    point
        Its code.
    file, plant
        The plant file and what is in it.
    asker
        Who answers.
    readings
        An outbox to take readings from; None reads the meter.
    records
        Folder of the records, relative to the plant file.
    clock
        The time.

    Raises
    ------
    ConfigurationError
        If the point cannot be commissioned by an agent of this plant file, or an answer is wrong.
    ReadError
        If the meter cannot be read; what is known so far is kept.
    """
    now = dt.datetime.fromtimestamp(clock.now_s(), dt.UTC)
    # What the agent's units refused is in its plan, and so in its outbox.
    learned = LearnedLimits(readings.with_suffix(".learned.json")) if readings else None
    plan = _plan_of(point, plant, file, now, learned)
    parts = placed_parts(plan)
    placed = parts[point]
    folder = file.parent / records
    plant_sha256 = sha256_of(await asyncio.to_thread(file.read_bytes))
    profile_sha256 = sha256_of(msgspec.json.encode(placed.part.profile, order="sorted"))
    site = WalkSite(
        plant=plant,
        plant_sha256=plant_sha256,
        profile_sha256=profile_sha256,
        point=next(p for p in plant.point if p.code == point),
        placed=placed,
        installation=installation_of(plant, placed.part.device.code, now),
        parts=parts,
        folder=folder,
    )
    partial = folder / f"{point}.partial.json"
    state_sha256 = sha256_of(f"{plant_sha256} {profile_sha256}".encode())
    progress = load_progress(partial, point, state_sha256, clock.now_s())
    source: ReadingSource
    if readings is None:
        source = MeterSource(plan, plant, clock.now_s)
    else:
        source = OutboxSource(readings, plan, plant, clock.now_s)
    try:
        walk = Walk(site, source, asker, progress, lambda p: save_progress(partial, p), clock)
        record = await walk.run()
    finally:
        source.close()
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(clock.now_s()))
    written = folder / f"{point}.{at}.json"
    _write(written, canonical_bytes(record))
    if record.verdict == "verified":
        partial.unlink(missing_ok=True)
    return record, written


def _write(file: Path, data: bytes) -> None:
    try:
        with file.open("xb") as handle:
            handle.write(data)
    except FileExistsError as error:
        raise RecordError(f"{file}: exists; a record is never written over") from error


def _plan_of(
    point: str, plant: Plant, file: Path, now: dt.datetime, learned: LearnedLimits | None
) -> ReadPlan:
    known = sorted(p.code for p in plant.point)
    if point not in known:
        raise ConfigurationError(f"{file}: no point {point!r} (there is: {', '.join(known)})")
    for agent in plant.agent:
        lines = {line.code for line in plant.line if line.agent == agent.id}
        if not any(d.line in lines for d in plant.device):
            continue
        plan = plan_for_agent(plant, agent.id, file, now, learned)
        if point in placed_parts(plan):
            return plan
    raise ConfigurationError(
        f"{file}: no agent reads a meter at point {point!r}: give it an [[installation]] of a "
        "device with `line`, `unit` and `profile`"
    )


def _verify(plant: Plant, file: Path) -> None:
    errors = record_errors(plant, file.parent)
    if errors:
        raise RecordError("; ".join(errors))
    named = sum(p.record is not None for p in plant.point)
    print(f"{file}: {named} records, all as they were made")


def _summary(record: Record, file: Path, plant: Path, language: Language) -> str:
    lines = [""]
    for f in record.findings:
        evidence = ", ".join(f"{k} {v}" for k, v in f.evidence.items())
        lines += [
            f"[{f.code}, {f.confidence}] {in_language(f.text, language)}",
            f"  {evidence}",
            f"  {in_language(f.remedy, language)}",
        ]
    digest = sha256_of(file.read_bytes())
    if record.verdict == "verified":
        told = Names(
            zh="核验通过。签字验收前写 verified，验收后写 accepted。写入测点：",
            en='Verified. Write "verified", and "accepted" once it is signed, into the point:',
        )
        relative = file.resolve().relative_to(plant.parent.resolve()).as_posix()
        lines += [
            in_language(told, language),
            '  commissioning = "verified"',
            f'  record = "{relative}"',
            f'  record_sha256 = "{digest}"',
        ]
    else:
        still = ", ".join(record.open)
        told = Names(
            zh=f"未核验通过，尚缺：{still}。测点仍为 wired；处理后再次运行本命令。",
            en=f"Not verified; open: {still}. The point stays wired; mend it and run this again.",
        )
        lines.append(in_language(told, language))
    lines.append(f"{file}  sha256 {digest}")
    return "\n".join(lines)
