"""The agent: pollers fill the outbox, the uplink empties it; neither waits for the other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

import structlog

from edge_agent.batcher import Batcher, FilledBatch, wide_groups
from edge_agent.clock import Clock
from edge_agent.lines import make_lines
from edge_agent.outbox import Outbox
from edge_agent.plan import ReadPlan, birth_bytes
from edge_agent.poller import LinePoller, PollCounts, Sample
from edge_agent.settings import EdgeSettings
from edge_agent.uplink import Uplink
from enpilot.wire import sha256_hex

__all__ = ["Agent", "run_agent"]

_log = structlog.get_logger("edge")
_FORGET_EVERY_S = 600.0
_CANCEL_AGAIN_S = 1.0


class Agent:
    """Everything that runs in one agent."""

    def __init__(self, settings: EdgeSettings, plan: ReadPlan) -> None:
        self._settings = settings
        body = birth_bytes(plan.birth)
        self._birth = (sha256_hex(body), body)
        self._outbox = Outbox(settings.outbox, settings.agent)
        self._outbox.keep_birth(*self._birth)
        self._batcher = Batcher(self._birth[0], settings.batch_readings, wide_groups(plan.birth))
        self._readings = 0
        self._full = asyncio.Event()
        self._storing: asyncio.Future[int] | None = None
        clock = Clock()
        self._lines = make_lines(
            (line for line, _ in plan.lines), (u.device for _, units in plan.lines for u in units)
        )
        self._pollers = [
            LinePoller(line, units, clock, self._deliver)
            for line, (_, units) in zip(self._lines, plan.lines, strict=True)
        ]
        self._uplink = Uplink(
            settings.mqtt, settings.uplink, self._outbox, settings.agent, self._birth,
            lambda: sum(p.units_down for p in self._pollers),
        )  # fmt: skip

    @property
    def readings(self) -> int:
        """Readings since the start."""
        return self._readings

    def poll_counts(self) -> PollCounts:
        """Return what the pollers of all lines did since the start."""
        return sum((p.counts for p in self._pollers), PollCounts())

    def _deliver(self, sample: Sample) -> None:
        self._batcher.add(sample)
        self._readings += len(sample.values)
        if self._batcher.full:
            self._full.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, or until a part of it cannot go on."""
        _log.info("agent is running", agent=self._settings.agent, stream=self._outbox.stream)
        uplink = asyncio.create_task(self._uplink.run())
        tasks = [
            uplink,
            *(asyncio.create_task(p.run()) for p in self._pollers),
            asyncio.create_task(self._store()),
            asyncio.create_task(self._forget()),
        ]
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        reading = [t for t in tasks if t is not uplink]
        await _end(*reading, stopped)
        # What was read is stored; what the platform does not confirm in time goes out next time.
        await self._cut()
        await self._drain(uplink)
        self._uplink.stop()
        await _end(uplink)
        for line in self._lines:
            line.close()
        self._outbox.close()
        for task in done - {stopped}:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise _first(error)
        _log.info("agent has stopped", agent=self._settings.agent)

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
            await self._storing
        while (batch := self._batcher.cut()) is not None:
            self._storing = asyncio.ensure_future(asyncio.to_thread(self._append, batch))
            await asyncio.shield(self._storing)
            self._storing = None
            self._uplink.wake()

    def _append(self, batch: FilledBatch) -> int:
        return self._outbox.append(
            self._birth[0], batch.body, batch.readings, batch.first_us, batch.last_us
        )

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_EVERY_S)
            await asyncio.to_thread(
                self._outbox.forget_confirmed,
                self._settings.keep_confirmed_h * 3600,
                self._birth[0],
            )


def _first(error: BaseException) -> BaseException:
    """Return what began it: the tasks of the uplink fail as a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _end(*tasks: asyncio.Task[Any]) -> None:
    open_tasks = set(tasks)
    # More than once: before Python 3.12 asyncio.wait_for, which pymodbus uses, forgets a
    # cancellation that comes together with the reply.
    while open_tasks:
        for task in open_tasks:
            task.cancel()
        _, open_tasks = await asyncio.wait(open_tasks, timeout=_CANCEL_AGAIN_S)


def run_agent(settings: EdgeSettings, plan: ReadPlan) -> None:
    """Run an agent until SIGINT or SIGTERM.

    Parameters
    ----------
    settings
        Its settings.
    plan
        What it reads, see `edge_agent.plan.plan_for_agent`.

    Raises
    ------
    edge_agent.errors.OutboxError
        If the outbox cannot be used.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await Agent(settings, plan).run(stop)

    asyncio.run(main())
