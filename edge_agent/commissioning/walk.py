"""The walk through a point's commissioning: ask, read, check, find, and go on after a break."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from edge_agent.commissioning import checks
from edge_agent.commissioning.conclusion import (
    display_amount,
    family_of,
    make_record,
    rate_of,
    relatives,
    same_readings,
    wiring_findings,
)
from edge_agent.commissioning.findings import Finding
from edge_agent.commissioning.following import (
    CounterLaw,
    WalkClock,
    follow_history,
    follow_meter,
)
from edge_agent.commissioning.phase_angles import Flow
from edge_agent.commissioning.progress import Progress, SavedPair, Stretch
from edge_agent.commissioning.questions import QUESTIONS, Asker
from edge_agent.commissioning.record import Check, Record, RecordError, file_evidence
from edge_agent.commissioning.sources import OutboxSource, PlacedPart, ReadingSource, Snapshot
from edge_agent.commissioning.wiring import implausible
from edge_agent.errors import ReadError
from edge_agent.power_check import PHASES, Measured
from enpilot.errors import ConfigurationError
from enpilot.plant import Installation, Names, Plant, Point
from enpilot.quantities import UnitError
from enpilot.wire import Quality

__all__ = ["Walk", "WalkSite"]

_LEAST_SAMPLED_S: Final = 300.0
_HISTORY_S: Final = 4 * 3600.0
_STEP_WATCH_S: Final = 120.0
_STEP_SAMPLE_S: Final = 2.0
_INSTANTS: Final = 5
_FRAMES: Final = 100
_PAUSE_S: Final = 0.05
_ATTEMPTS: Final = 3
_ASK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class WalkSite:
    """What is commissioned: a point of a plant, its meter, and where its record goes."""

    plant: Plant
    plant_sha256: str
    profile_sha256: str
    point: Point
    placed: PlacedPart
    installation: Installation
    parts: dict[str, PlacedPart]
    folder: Path


class Walk:
    """Lead an engineer, or a form, through the commissioning of one point.

    Parameters
    ----------
    site
        What is commissioned.
    source
        Where readings come from.
    asker
        Who answers.
    progress
        What is known already.
    save
        Keeps what is known, after each step.
    clock
        The time.
    """

    def __init__(
        self,
        site: WalkSite,
        source: ReadingSource,
        asker: Asker,
        progress: Progress,
        save: Callable[[Progress], None],
        clock: WalkClock | None = None,
    ) -> None:
        self._site = site
        self._source = source
        self._asker = asker
        self._known = progress
        self._save = save
        self._clock = clock or WalkClock()
        profile = site.placed.part.profile
        self._counter, self._rate, self._per_rate = rate_of(profile, site.point.direction)
        self._law = CounterLaw(self._counter, self._rate, self._per_rate)
        self._electric = any(r.quantity == "active_power" for r in profile.values)

    async def run(self) -> Record:
        """Go through all steps that are still open and return the record.

        Raises
        ------
        ReadError
            If the meter cannot be read at all; what is known so far is kept.
        ConfigurationError
            If an answer cannot be used.
        """
        try:
            record = await self._steps()
            self._known.ended = True
            return record
        finally:
            self._save(self._known)

    async def _steps(self) -> Record:
        await self._nameplate()
        if not await self._answers_as_planned():
            self._close_checks()
            return self._record()
        await self._display("first")
        await self._readings()
        await self._load_step()
        await self._wait()
        await self._display("second")
        await self._frames()
        self._close_checks()
        return self._record()

    def _record(self) -> Record:
        return make_record(
            self._site, self._source.kind, self._known, self._findings(), self._clock.now_s()
        )

    async def _answers_as_planned(self) -> bool:
        """Whether the unit gives its registers; if not, see whether it does one further on."""
        try:
            await self._read()
        except ReadError as error:
            if error.quality != Quality.EXCEPTION_REPLY:
                raise
            await self._read_shifted()
            if not any(self._known.shifted.values()):
                raise
            self._known.refused = True
            return False
        self._known.refused = False
        return True

    async def _read_shifted(self) -> None:
        for by in (1, -1):
            self._known.shifted[by] = await self._source.read_shifted(self._site.point.code, by)

    async def _answer(self, key: str) -> str | None:
        if key in self._known.answers:
            return self._known.answers[key]
        answer = await self._asker.ask(QUESTIONS[key])
        if answer is not None:
            self._known.answers[key] = answer
        return answer

    async def _decimal(self, key: str) -> float | None:
        answer = await self._answer(key)
        return None if answer is None else float(answer)

    def _keep(self, check: Check) -> None:
        self._known.checks[check.code] = check
        names = {"passed": ("通过", "passed"), "failed": ("不通过", "failed"),
                 "not_done": ("未做", "not done")}  # fmt: skip
        zh, en = names[check.result]
        reason = check.reason or Names(zh="", en="")
        self._asker.say(
            Names(zh=f"  {check.code}：{zh} {reason.zh}", en=f"  {check.code}: {en} {reason.en}")
        )
        self._save(self._known)

    def _passed(self, code: str) -> bool:
        check = self._known.checks.get(code)
        return check is not None and check.result == "passed"

    async def _read(self, at_s: float | None = None) -> Snapshot:
        """Read the point; a bad line is asked again, and each failure is in its tally."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._source.read(self._site.point.code, at_s)
            except ReadError as error:
                if error.quality != Quality.NO_RESPONSE:
                    raise
            await self._clock.sleep(_ASK_AGAIN_S)
        return await self._source.read(self._site.point.code, at_s)

    async def _nameplate(self) -> None:
        if await self._answer("engineer") is None:
            raise ConfigurationError("a commissioning record names its engineer: answer `engineer`")
        serial = await self._answer("serial")
        ct: dict[str, float | None] = {}
        if self._electric:
            for key in ("primary_a", "secondary_a", "turns"):
                ct[key] = await self._decimal(f"ct.{key}")
        ratio = float(self._site.installation.ct_ratio)
        device = self._site.placed.part.device
        if not self._passed("nameplate"):
            self._keep(checks.check_nameplate(serial, device.serial, ct, ratio))
        if not self._passed("photos"):
            await self._photos()
            self._keep(checks.check_photos(self._known.files))

    async def _photos(self) -> None:
        files = []
        kinds: tuple[Literal["nameplate", "display", "wiring"], ...]
        kinds = ("nameplate", "display", "wiring")
        for kind in kinds:
            named = await self._answer(f"photo.{kind}")
            for name in (n.strip() for n in (named or "").split(",") if n.strip()):
                try:
                    files.append(file_evidence(kind, self._site.folder / name, self._site.folder))
                except RecordError:
                    del self._known.answers[f"photo.{kind}"]
                    raise
        self._known.files = files

    async def _display(self, which: Literal["first", "second"]) -> None:
        if len(self._known.pairs) > (which == "second"):
            return
        if self._counter is None or (which == "second" and not self._known.pairs):
            return
        side = await self._answer("display.side")
        unit = await self._answer("display.unit")
        shown = await self._answer(f"display.{which}")
        if side is None or unit is None or shown is None:
            return
        at = await self._answer(f"display.{which}_at")
        snapshot = await self._read(None if at is None else self._instant(at))
        level = snapshot.values.get(self._counter)
        if level is None:
            return
        try:
            display = display_amount(shown, unit, side, self._counter, self._site.installation)
        except UnitError as error:
            del self._known.answers["display.unit"]
            raise ConfigurationError(f"display.unit: {error}") from error
        rate = snapshot.values.get(self._rate or "")
        rate_per_h = 0.0 if rate is None else rate.value * self._per_rate
        register = Measured(abs(level.value), level.step)
        self._known.pairs.append(
            SavedPair(at_s=snapshot.at_s, display=display, register=register, rate_per_h=rate_per_h)
        )
        await self._compare_with_others(display, register, rate_per_h)
        self._save(self._known)

    def _instant(self, text: str) -> float:
        try:
            at = dt.datetime.fromisoformat(text)
        except ValueError as error:
            raise ConfigurationError(
                f"{text!r} is no instant; write 2026-05-04T10:30:00+08:00"
            ) from error
        if at.tzinfo is None:
            raise ConfigurationError(f"{text!r} has no time zone; write 2026-05-04T10:30:00+08:00")
        return at.timestamp()

    async def _compare_with_others(
        self, display: Measured, register: Measured, rate_per_h: float
    ) -> None:
        """Whether the display is another meter's, and whether another one reads the very same."""
        own = checks.DisplayPair(0.0, display, register, rate_per_h)
        mine = self._site.point.code
        own_fits = abs(register.value - display.value) <= own.limit
        for point, values in (await self._others()).items():
            level = values.get(self._counter or "")
            if level is None:
                continue
            other = Measured(abs(level.value), level.step)
            pair = checks.DisplayPair(0.0, display, other, rate_per_h)
            if not own_fits and abs(other.value - display.value) <= pair.limit:
                self._known.seen_as.append(point)
            newest = self._known.values[-1] if self._known.values else (await self._read()).values
            if point != mine and same_readings(newest, values, register, other, own.limit):
                self._known.twins[point] = self._known.twins.get(point, 0) + 1

    async def _others(self) -> dict[str, dict[str, Measured]]:
        """Return what the other points of the same medium show, as far as they answer."""
        medium = {p.code: p.medium for p in self._site.plant.point}
        own = self._site.point
        others = [p for p in self._site.parts if p != own.code and medium.get(p) == own.medium]
        return {p: s.values for p, s in (await self._source.read_many(others)).items()}

    async def _readings(self) -> None:
        if len(self._known.values) < _INSTANTS:
            for _ in range(_INSTANTS):
                self._known.keep((await self._read()).values)
                await self._clock.sleep(_STEP_SAMPLE_S)
        values = self._known.values[-1]
        if implausible(values) and not self._known.shifted:
            await self._read_shifted()
        if not self._electric:
            return
        flow = await self._answer("flow") or "either"
        if not self._passed("clamp"):
            clamp = await self._clamp(values)
            # Read after the clamp: the load may have moved while numbers were typed.
            self._known.by_clamp = values = (await self._read()).values
            self._keep(checks.check_clamp(clamp, values))
        if not self._passed("signs"):
            self._keep(checks.check_signs(values, flow))
        if not self._passed("power_sum"):
            self._keep(checks.check_power_sum(self._known.values))
        if not self._passed("parent_child"):
            self._keep(await self._family())

    async def _clamp(self, values: dict[str, Measured]) -> dict[str, float]:
        if not any(f"current.{x}" in values for x in PHASES):
            return {}
        await self._answer("clamp.instrument")
        asked = {
            x: await self._decimal(f"clamp.{x}") for x in PHASES if f"current.{x}" in values
        }  # fmt: skip
        return {x: a for x, a in asked.items() if a is not None}

    async def _family(self) -> Check:
        found = family_of(self._site.plant, self._site.point.code)
        if found is None:
            return checks.not_done(
                "parent_child", "没有上下级测点。", "There is no point above or below.",
                applies=False,
            )  # fmt: skip
        parent, children, with_generation = found
        if with_generation:
            return checks.not_done(
                "parent_child", "下级有发电或外送测点，瞬时功率不能相加。",
                "A point below generates or feeds out: powers do not simply add up.", applies=False,
            )  # fmt: skip
        readable = [p for p in (parent, *children) if p in self._site.parts]
        powers = {
            point: s.values["active_power.total"]
            for point, s in (await self._source.read_many(readable)).items()
            if "active_power.total" in s.values
        }
        below = {p: m for p, m in powers.items() if p != parent}
        if parent not in powers or not below:
            return checks.not_done(
                "parent_child", "本采集端读不到上级或下级测点，由平台的平衡表检查。",
                "This agent does not read the points above or below; the platform's balance does "
                "this.", applies=False,
            )  # fmt: skip
        return checks.check_parent_child(powers[parent], below)

    async def _load_step(self) -> None:
        if self._passed("load_step") or not self._electric:
            return
        others_before = await self._others()
        before = await self._steady_power()
        if before is None:
            self._keep(
                checks.not_done(
                    "load_step", "规约中没有总有功功率。", "The profile has no active power.",
                    applies=False,
                )
            )  # fmt: skip
            return
        nominal_kw = await self._decimal("load_step.kw")
        if nominal_kw is None:
            self._keep(
                checks.not_done("load_step", "没有投切负荷。", "No load was switched.")
            )  # fmt: skip
            return
        least = max(5 * before.step, 0.02 * abs(before.value), 0.5 * abs(nominal_kw))
        until_s = self._clock.now_s() + _STEP_WATCH_S
        self._asker.say(Names(zh="请现在投切负荷。", en="Switch the load now."))
        while self._clock.now_s() < until_s:
            power = (await self._read()).values.get("active_power.total")
            if power is not None and abs(power.value - before.value) >= least:
                break
            await self._clock.sleep(_STEP_SAMPLE_S)
        after = await self._steady_power() or before
        near = relatives(self._site.plant, self._site.point.code)
        changes = {}
        for point, values in (await self._others()).items():
            now, then = values.get("active_power.total"), others_before.get(point, {})
            if now is not None and "active_power.total" in then and point not in near:
                changes[point] = now.value - then["active_power.total"].value
        check = checks.check_load_step(before, after, changes, abs(nominal_kw))
        if check.result == "failed":
            self._known.moved = [p for p, c in changes.items() if abs(c) >= least]
        self._keep(check)

    async def _steady_power(self) -> Measured | None:
        seen = []
        for _ in range(3):
            power = (await self._read()).values.get("active_power.total")
            if power is None:
                return None
            seen.append(power)
            await self._clock.sleep(_STEP_SAMPLE_S)
        return checks.middle(seen)

    async def _wait(self) -> None:
        """Let the time between the display readings pass, and follow counter and rate meanwhile."""
        if self._counter is None or self._rate is None:
            return
        if self._passed("energy_integral") and self._passed("display"):
            return
        now_s = self._clock.now_s()
        until_s = now_s + _LEAST_SAMPLED_S
        if len(self._known.pairs) == 1:
            until_s = max(until_s, self._known.pairs[0].at_s + checks.DISPLAY_APART_S + 1)
        if isinstance(self._source, OutboxSource):
            if await self._answer("display.second_at") is None and self._known.pairs:
                await self._clock.sleep(max(0.0, until_s - now_s))
            ended_s = self._clock.now_s()
            history = await self._source.history(
                self._site.point.code, ended_s - _HISTORY_S, ended_s
            )
            self._take(*follow_history(history, self._law))
            return
        minutes = f"{(until_s - now_s) / 60:.0f}"
        self._asker.say(
            Names(
                zh=f"等待约 {minutes} 分钟并跟踪功率与电量；"
                "可用 Ctrl-C 中断，稍后再运行本命令继续。",
                en=f"Following power and energy for about {minutes} minutes; interrupt with Ctrl-C "
                "and run the command again to go on.",
            )
        )
        best, kept = await follow_meter(self._read, self._clock, until_s, self._law)
        self._take(best, kept)

    def _take(self, best: Stretch, kept: list[Snapshot]) -> None:
        if best.seconds > self._known.stretch.seconds:
            self._known.stretch = best
        for snapshot in kept:
            self._known.keep(snapshot.values)
        self._save(self._known)

    async def _frames(self) -> None:
        point = self._site.point.code
        tally = self._source.tally(point)
        if self._source.kind == "meter":
            for _ in range(_FRAMES):
                if tally.requests + self._known.requests >= _FRAMES:
                    break
                with suppress(ReadError):  # it is in the tally
                    await self._read()
                await self._clock.sleep(_PAUSE_S)
        self._known.requests += tally.requests
        self._known.errors += tally.errors
        self._keep(checks.check_frames(self._known.requests, self._known.errors))

    def _close_checks(self) -> None:
        """Conclude what needs the whole time, and say of the rest that it does not apply."""
        known = self._known
        if self._counter is None:
            lacks = ("规约中没有计数器。", "The profile has no counter.")
            self._keep(checks.not_done("display", *lacks, applies=False))
        else:
            pairs = [
                checks.DisplayPair(p.at_s, p.display, p.register, p.rate_per_h) for p in known.pairs
            ]
            if not self._passed("display"):
                self._keep(checks.check_display(pairs))
        stretch = known.stretch
        if self._counter is None or self._rate is None:
            lacks = ("规约中没有可积分的瞬时量。", "The profile has no rate to integrate.")
            self._keep(checks.not_done("energy_integral", *lacks, applies=False))
        elif self._passed("energy_integral"):
            pass
        elif stretch.turned:
            turned = ("期间功率改变了方向。", "Power changed its direction meanwhile.")
            self._keep(checks.not_done("energy_integral", *turned))
        else:
            self._keep(
                checks.check_energy_integral(
                    stretch.advance, stretch.integral, stretch.step, stretch.seconds,
                    stretch.samples,
                )
            )  # fmt: skip
        for code in ("clamp", "power_sum", "signs", "load_step", "parent_child"):
            if code not in known.checks:
                lacks = ("不是电能测点。", "The point does not measure electricity.")
                if known.refused:
                    lacks = ("表计拒绝按规约读取。", "The meter refuses what the profile reads.")
                self._keep(checks.not_done(code, *lacks, applies=known.refused))

    def _findings(self) -> list[Finding]:
        flow = cast(Flow, self._known.answers.get("flow", "either"))
        clamp = {
            x: float(self._known.answers[f"clamp.{x}"])
            for x in PHASES
            if f"clamp.{x}" in self._known.answers
        }
        return wiring_findings(self._site, self._known, flow, clamp)
