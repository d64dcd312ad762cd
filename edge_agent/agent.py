"""The agent: pollers fill the outbox, the uplink empties it; neither waits for the other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import structlog

from edge_agent.address_search import Culprits
from edge_agent.batcher import FilledBatch
from edge_agent.blocks import Stretch
from edge_agent.clock import Clock, ClockTrust, steady_clock
from edge_agent.commissioning.watch import WiringWatch
from edge_agent.errors import OutboxWriteError
from edge_agent.learned import LearnedLimits
from edge_agent.outbox import Outbox
from edge_agent.plan import ReadPlan, UnitPlan, plan_for_agent
from edge_agent.poller import PollCounts, Sample
from edge_agent.reading import LineShop, PollerHooks, Reading
from edge_agent.settings import EdgeSettings
from edge_agent.uplink import Uplink
from enpilot.errors import ConfigurationError
from enpilot.plant import Plant, load_plant
from enpilot.wire import Status

__all__ = ["Agent", "load_plan", "run_agent"]

_log = structlog.get_logger("edge")
_TIDY_EVERY_S: Final = 60.0
_WATCH_EVERY_S: Final = 1.0
_CANCEL_AGAIN_S: Final = 1.0
# Units that refuse something often do so together; one new plan serves them all.
_PLAN_AGAIN_AFTER_S: Final = 2.0
# What waits in memory while the disk takes nothing: some minutes of a large plant.
_UNSTORED_BATCHES: Final = 256


def load_plan(
    settings: EdgeSettings, learned: LearnedLimits | None = None, plant: Plant | None = None
) -> ReadPlan:
    """Return what an agent reads, by its plant file and what its units have refused so far.

    Raises
    ------
    enpilot.errors.ConfigurationError
        If the plant file cannot be used.
    """
    memory = learned if learned is not None else _memory(settings)
    described = plant or load_plant(settings.plant)
    return plan_for_agent(described, settings.agent, settings.plant, learned=memory)


class Agent:
    """Everything that runs in one agent.

    Parameters
    ----------
    plan
        What it reads, see `load_plan`.
    trust
        Whether the wall clock can be believed; left out, the machine's.
    plant
        The plant whose wiring is watched; left out, no wiring is.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        plan: ReadPlan,
        trust: ClockTrust | None = None,
        plant: Plant | None = None,
    ) -> None:
        self._settings = settings
        self._learned = _memory(settings)
        self._outbox = Outbox(settings.outbox, settings.agent, settings.limits)
        self._trust = trust or ClockTrust(settings.clock.wait_for_sync_s)
        self._shop = LineShop()
        self._hooks = PollerHooks(self._deliver, self._unit_refused, self._unit_gave)
        self._steady = steady_clock()
        self._watch = None if plant is None else WiringWatch(plan, plant)
        self._reading = self._read_by(plan, self._first_clock())
        self._ending: list[Reading] = []
        self._counted = PollCounts()
        for birth in self._reading.births:
            self._outbox.keep_birth(*birth)
        self._readings = 0
        self._full = asyncio.Event()
        self._changed = asyncio.Event()
        self._reload = asyncio.Event()
        self._storing: asyncio.Future[int] | None = None
        self._unstored: deque[FilledBatch] = deque()
        self._unstored_dropped = 0
        self._read_only = False
        self._gives_up = False
        self.moved_s = time.monotonic()
        self._told: set[tuple[str, str]] = set()
        self._uplink = Uplink(
            settings.mqtt, settings.uplink, self._outbox, settings.agent, self._reading.births,
            self._describe,
        )  # fmt: skip

    @property
    def readings(self) -> int:
        """Readings since the start."""
        return self._readings

    @property
    def outbox(self) -> Outbox:
        """The outbox."""
        return self._outbox

    @property
    def uplink(self) -> Uplink:
        """The uplink."""
        return self._uplink

    @property
    def reading(self) -> Reading:
        """The plan at work."""
        return self._reading

    @property
    def lines(self) -> LineShop:
        """The open lines."""
        return self._shop

    @property
    def clock_credible(self) -> bool:
        """Whether readings are stamped by the wall clock."""
        return self._reading.clock is not self._steady

    @property
    def outbox_read_only(self) -> bool:
        """Whether the disk takes nothing at present."""
        return self._read_only

    @property
    def unstored_readings(self) -> int:
        """Readings that wait in memory for the disk."""
        return sum(b.readings for b in self._unstored)

    @property
    def held_readings(self) -> int:
        """Readings that wait until the clock can be believed."""
        return sum(r.held_readings for r in (*self._ending, self._reading))

    def poll_counts(self) -> PollCounts:
        """Return what the pollers of all lines did since the start."""
        ending = sum((r.counts() for r in self._ending), PollCounts())
        return self._counted + ending + self._reading.counts()

    def reload(self) -> None:
        """Read the plant file again; if it cannot be used, go on as before and say why."""
        self._reload.set()
        self._changed.set()

    def _read_by(self, plan: ReadPlan, clock: Clock) -> Reading:
        return Reading(plan, self._settings, clock, self._hooks, dated=clock is not self._steady)

    def _first_clock(self) -> Clock:
        if not self._trust.credible():
            _log.warning("the clock cannot be believed yet: readings are held back")
            return self._steady
        return Clock(not_before_us=self._outbox.newest_us())

    def _deliver(self, reading: Reading, sample: Sample) -> None:
        self._readings += len(sample.values)
        if reading.add(sample):
            self._full.set()
        if self._watch is not None and reading is self._reading:
            self._watch.observe(sample)

    def _unit_refused(self, plan: UnitPlan, found: Culprits) -> None:
        if self._learned.add(plan.device.code, plan.profiles, found):
            _log.warning(
                "unit refuses registers: read around them from now on", unit=plan.device.code,
                gaps=found.gaps, values=found.values, max_registers=found.max_registers,
            )  # fmt: skip
            self._changed.set()

    def _unit_gave(self, plan: UnitPlan, stretch: Stretch) -> None:
        if self._learned.forget(plan.device.code, plan.profiles, stretch):
            _log.info("unit gives what it refused", unit=plan.device.code, registers=stretch)
            self._changed.set()

    def _describe(self, status: Status) -> None:
        clock = self._reading.clock
        status.units_down = self._reading.units_down
        status.clock_credible = self.clock_credible
        status.clock_jumps = clock.jumps
        status.clock_jump_ms = clock.jump_us // 1000
        status.outbox_state = "read_only" if self._read_only else "ok"
        if self._watch is not None:
            status.findings = self._watch.codes_by_device()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, or until a part of it cannot go on."""
        _log.info("agent is running", agent=self._settings.agent, stream=self._outbox.stream)
        uplink = asyncio.create_task(self._uplink.run())
        for code in self._reading.lines:
            self._reading.start(code, self._shop)
        tasks = [
            uplink,
            asyncio.create_task(self._watch_pollers()),
            asyncio.create_task(self._store()),
            asyncio.create_task(self._tidy()),
            asyncio.create_task(self._follow_changes()),
            asyncio.create_task(self._await_trust()),
        ]
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        polling = [t for r in (*self._ending, self._reading) for t in r.tasks]
        await _end(*(t for t in tasks if t is not uplink), *polling, stopped)
        # What was read is stored; what the platform does not confirm in time goes out next time.
        self._release_at_the_end()
        await self._cut()
        await self._drain(uplink)
        self._uplink.stop()
        await _end(uplink)
        self._shop.close_all()
        self._outbox.close()
        for task in done - {stopped}:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise _first(error)
        _log.info("agent has stopped", agent=self._settings.agent)

    def _tell_findings(self) -> None:
        """Say what the wiring watch has found, once when it comes and once when it goes."""
        now = set() if self._watch is None else set(self._watch.codes_by_device())
        for code, device in sorted(now - self._told):
            _log.warning("wiring: see `enpilot edge commission`", finding=code, device=device)
        for code, device in sorted(self._told - now):
            _log.info("wiring: gone", finding=code, device=device)
        self._told = now

    async def _watch_pollers(self) -> None:
        """End with the first poller that fails; those that are told to finish may."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            self.moved_s = time.monotonic()
            self._tell_findings()
            for task in self._reading.tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _follow_changes(self) -> None:
        """Go over to another plan when the plant file or a unit asks for it."""
        while True:
            await self._changed.wait()
            if not self._reload.is_set():
                await asyncio.sleep(_PLAN_AGAIN_AFTER_S)
            self._changed.clear()
            asked = self._reload.is_set()
            self._reload.clear()
            try:
                plant = await asyncio.to_thread(load_plant, self._settings.plant)
                plan = await asyncio.to_thread(load_plan, self._settings, self._learned, plant)
            except (ConfigurationError, OSError) as error:
                _log.error("the plant file cannot be used: going on as before", reason=str(error))
                continue
            if plan.birth == self._reading.plan.birth and plan.lines == self._reading.plan.lines:
                if asked:
                    _log.info("the plant file asks for nothing new")
                continue
            await self._go_over(plan, self._reading.clock, plant)
            _log.info(
                "another read plan is in force", requests_per_scan=plan.requests_per_scan,
                lines=len(plan.lines),
            )  # fmt: skip

    async def _go_over(self, plan: ReadPlan, clock: Clock, plant: Plant | None = None) -> None:
        """Let each line end what is due and begin with the next plan."""
        old, new = self._reading, self._read_by(plan, clock)
        for birth in new.births:
            await asyncio.to_thread(self._outbox.keep_birth, *birth)
        self._uplink.change_births(new.births)
        self._ending.append(old)
        self._reading = new
        if plant is not None and self._watch is not None:
            watch = WiringWatch(plan, plant)
            watch.take_over(self._watch)
            self._watch = watch

        async def change(code: str) -> None:
            await old.finish([code])
            if code in new.lines:
                before = old.pollers.get(code) if clock is old.clock else None
                new.start(code, self._shop, before)
            else:
                self._shop.close(code)

        await asyncio.gather(*(change(code) for code in old.lines | new.lines))

    async def _await_trust(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            if self.clock_credible or not self._trust.credible():
                continue
            clock = Clock(not_before_us=self._outbox.newest_us())
            offset_us = clock.now_us() - self._steady.now_us()
            await self._go_over(self._reading.plan, clock)
            held = self._release(offset_us)
            _log.info("the clock is believed now: held readings are stamped", readings=held)

    def _release(self, offset_us: int) -> int:
        held = self.held_readings
        for reading in (*self._ending, self._reading):
            reading.release(offset_us)
        self._full.set()
        return held

    def _release_at_the_end(self) -> None:
        if self.held_readings == 0:
            return
        if self._trust.credible():
            self._release(time.time_ns() // 1000 - self._steady.now_us())
        else:
            _log.error(
                "the clock was never believed: readings without a time are lost",
                readings=self.held_readings,
            )

    async def _drain(self, uplink: asyncio.Task[None]) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.drain_s
        while not uplink.done() and asyncio.get_running_loop().time() < deadline:
            if (await asyncio.to_thread(self._outbox.load)).batches == 0:
                return
            await asyncio.sleep(0.05)

    async def _store(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.batch_s):
                    await self._full.wait()
            self._full.clear()
            await self._cut()

    async def _cut(self) -> None:
        """Store what was collected; a stop in the middle loses nothing, since it waits here too."""
        if self._storing is not None:
            with contextlib.suppress(OutboxWriteError):
                await self._storing
            self._storing = None
        for reading in (*self._ending, self._reading):
            while (batch := reading.cut()) is not None:
                self._unstored.append(batch)
        for reading in [r for r in self._ending if r.ended]:
            self._counted += reading.counts()
            self._ending.remove(reading)
        while self._unstored:
            self._storing = asyncio.ensure_future(asyncio.to_thread(self._append_first))
            try:
                await asyncio.shield(self._storing)
            except OutboxWriteError as error:
                self._storing = None
                self._disk_refuses(error)
                return
            # Not after a cancellation: who cuts next has to wait for the thread.
            self._storing = None
            self._disk_takes()
            self._uplink.wake()

    def _append_first(self) -> int:
        batch = self._unstored[0]
        seq = self._outbox.append(
            batch.birth, batch.body, batch.readings, batch.first_us, batch.last_us
        )
        self._unstored.popleft()
        return seq

    def _disk_refuses(self, error: OutboxWriteError) -> None:
        if not self._read_only:
            self._read_only = True
            _log.error("the outbox takes nothing: readings wait in memory", reason=str(error))
        while len(self._unstored) > _UNSTORED_BATCHES:
            self._unstored_dropped += self._unstored.popleft().readings

    def _disk_takes(self) -> None:
        if self._read_only:
            self._read_only = False
            _log.info("the outbox takes readings again", lost_readings=self._unstored_dropped)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_EVERY_S)
            with contextlib.suppress(OutboxWriteError):  # said where readings are stored
                await asyncio.to_thread(self._tidy_once)

    def _tidy_once(self) -> None:
        lost = self._unstored_dropped
        lost += sum(r.take_undated_losses() for r in (*self._ending, self._reading))
        self._unstored_dropped = 0
        self._outbox.count_dropped(lost)
        cost = self._outbox.tidy([sha256 for sha256, _ in self._reading.births])
        if cost and not self._gives_up:
            _log.warning(
                "the outbox is full: the oldest readings give way",
                policy=self._settings.limits.policy,
            )
        elif self._gives_up and not cost:
            _log.info("the outbox has room again")
        self._gives_up = cost > 0


def _memory(settings: EdgeSettings) -> LearnedLimits:
    return LearnedLimits(settings.outbox.with_suffix(".learned.json"))


def _first(error: BaseException) -> BaseException:
    """Return what began it: the tasks of the uplink fail as a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _end(*tasks: asyncio.Task[Any]) -> None:
    open_tasks = set(tasks)
    # More than once: before Python 3.12 asyncio.wait_for, which aiomqtt uses, forgets a
    # cancellation that comes together with the reply.
    while open_tasks:
        for task in open_tasks:
            task.cancel()
        _, open_tasks = await asyncio.wait(open_tasks, timeout=_CANCEL_AGAIN_S)


def run_agent(
    settings: EdgeSettings,
    plan: ReadPlan,
    plant: Plant | None = None,
    serve: Callable[[Agent], contextlib.AbstractContextManager[object]] | None = None,
) -> None:
    """Run an agent until SIGINT or SIGTERM; SIGHUP makes it read the plant file again.

    Parameters
    ----------
    settings
        Its settings.
    plan
        What it reads, see `load_plan`.
    plant
        The plant whose wiring is watched.
    serve
        Shows the agent to others for as long as it runs.

    Raises
    ------
    edge_agent.errors.OutboxError
        If the outbox cannot be used.
    """
    # Plan, profiles and modules stay for good; the collector need not look at them again.
    gc.collect()
    gc.freeze()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        agent = Agent(settings, plan, plant=plant)
        loop.add_signal_handler(signal.SIGHUP, agent.reload)
        with contextlib.nullcontext() if serve is None else serve(agent):
            await agent.run(stop)

    asyncio.run(main())
