"""A read plan at work: its pollers, its lines and the batchers of its births.

Another plan follows without losing a scan: each line's poller ends what is due, the next one begins
with the next period, on the same connection if the line has stayed the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edge_agent.batcher import Batcher, FilledBatch, wide_groups
from edge_agent.clock import Clock
from edge_agent.hold_back import HoldBack
from edge_agent.lines import FieldLine, make_line
from edge_agent.lines.dial_in import DialInListener
from edge_agent.plan import ReadPlan, birth_bytes, birth_parts
from edge_agent.poller import LinePoller, PollCounts, Sample
from edge_agent.settings import EdgeSettings
from enpilot.plant import Device, Line
from enpilot.wire import sha256_hex

__all__ = ["LineShop", "PollerHooks", "Reading"]


@dataclass(frozen=True, slots=True)
class _OpenLine:
    line: Line
    devices: tuple[Device, ...]
    field: FieldLine


class LineShop:
    """The lines of an agent, each open once, whichever plan reads it."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, int], DialInListener] = {}
        self._open: dict[str, _OpenLine] = {}

    def __iter__(self) -> Iterator[FieldLine]:
        """Iterate over the lines."""
        return (entry.field for entry in self._open.values())

    def has(self, line: Line, devices: tuple[Device, ...]) -> bool:
        """Return whether this very line, with these devices, is open."""
        known = self._open.get(line.code)
        return known is not None and (known.line, known.devices) == (line, devices)

    def open(self, line: Line, devices: tuple[Device, ...]) -> FieldLine:
        """Return a line: the one that is open, if it and its devices have stayed the same."""
        if self.has(line, devices):
            return self._open[line.code].field
        self.close(line.code)
        field = make_line(line, devices, self._listeners)
        self._open[line.code] = _OpenLine(line, devices, field)
        return field

    def close(self, code: str) -> None:
        """Close a line, if there is such a line."""
        known = self._open.pop(code, None)
        if known is not None:
            known.field.close()

    def close_all(self) -> None:
        """Close all lines."""
        for code in list(self._open):
            self.close(code)


@dataclass(frozen=True, slots=True)
class PollerHooks:
    """Whom pollers tell what, see `edge_agent.poller.LinePoller`."""

    deliver: Callable[[Reading, Sample], None]
    refused: Callable[..., None]
    given: Callable[..., None]


class Reading:
    """One read plan and what carries it out.

    Parameters
    ----------
    dated
        Whether ``clock`` knows the date; samples of one that does not wait for `release`.
    """

    def __init__(
        self,
        plan: ReadPlan,
        settings: EdgeSettings,
        clock: Clock,
        hooks: PollerHooks,
        *,
        dated: bool = True,
    ) -> None:
        self.plan = plan
        self.births: list[tuple[str, bytes]] = []
        self.clock = clock
        self._hooks = hooks
        self._hold_back = None if dated else HoldBack(settings.clock.hold_readings)
        self._batchers: list[Batcher] = []
        self._batcher_of: dict[int, Batcher] = {}
        for part in birth_parts(plan.birth):
            body = birth_bytes(part)
            self.births.append((sha256_hex(body), body))
            batcher = Batcher(self.births[-1][0], settings.batch_readings, wide_groups(part))
            self._batchers.append(batcher)
            self._batcher_of |= {g.group: batcher for g in part.groups}
        self._pollers: dict[str, LinePoller] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The running tasks of the pollers."""
        return list(self._tasks.values())

    @property
    def pollers(self) -> dict[str, LinePoller]:
        """The pollers, by the code of their line."""
        return self._pollers

    @property
    def lines(self) -> set[str]:
        """Codes of the lines of the plan."""
        return {line.code for line, _ in self.plan.lines}

    @property
    def units_down(self) -> int:
        """Units that did not answer last time."""
        return sum(p.units_down for p in self._pollers.values())

    def counts(self) -> PollCounts:
        """Return what the pollers did."""
        return sum((p.counts for p in self._pollers.values()), PollCounts())

    def start(self, code: str, shop: LineShop, before: LinePoller | None = None) -> None:
        """Poll a line.

        Parameters
        ----------
        before
            The line's poller so far, which knows how its units are.
        """
        line, units = next((line, units) for line, units in self.plan.lines if line.code == code)
        devices = tuple({u.device.code: u.device for u in units}.values())
        same = before is not None and shop.has(line, devices)
        poller = LinePoller(
            shop.open(line, devices), units, self.clock,
            lambda sample: self._hooks.deliver(self, sample),
            self._hooks.refused, self._hooks.given,
            before.units if before is not None and same else None,
        )  # fmt: skip
        self._pollers[code] = poller
        self._tasks[code] = asyncio.create_task(poller.run())

    async def finish(self, codes: Iterable[str]) -> None:
        """Let the pollers of these lines end what is due, and wait for them."""
        ending = [code for code in codes if code in self._tasks]
        for code in ending:
            self._pollers[code].finish()
        if ending:
            await asyncio.wait([self._tasks[code] for code in ending])
        for code in ending:
            task = self._tasks.pop(code)
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def add(self, sample: Sample) -> bool:
        """Take a sample into the next batch; return whether that is full."""
        if self._hold_back is not None:
            self._hold_back.take(sample)
            return False
        batcher = self._batcher_of[sample.group]
        batcher.add(sample)
        return batcher.full

    @property
    def held_readings(self) -> int:
        """Readings that wait for a date."""
        return 0 if self._hold_back is None else self._hold_back.readings

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return not self._tasks and not self.held_readings

    def release(self, offset_us: int) -> None:
        """Stamp what waits for a date, see `edge_agent.hold_back.HoldBack.release`."""
        if self._hold_back is not None:
            for sample in self._hold_back.release(offset_us):
                self._batcher_of[sample.group].add(sample)

    def take_undated_losses(self) -> int:
        """Return how many readings were given up while they waited for a date, since last time."""
        if self._hold_back is None:
            return 0
        lost, self._hold_back.dropped_readings = self._hold_back.dropped_readings, 0
        return lost

    def cut(self) -> FilledBatch | None:
        """Return the oldest samples as a batch, None if there is nothing."""
        for batcher in self._batchers:
            if (batch := batcher.cut()) is not None:
                return batch
        return None
