"""Where a commissioning's readings come from: the meters themselves, or an agent's outbox."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from edge_agent.blocks import Block, needed
from edge_agent.commissioning.scaling import BlockScaling, installation_of, scalings_of
from edge_agent.errors import ReadError
from edge_agent.lines import FieldLine, make_lines
from edge_agent.lines.exchange import UnitAddress
from edge_agent.outbox import read_batches
from edge_agent.plan import ReadPlan, UnitPart, UnitPlan, birth_bytes
from edge_agent.power_check import Measured
from enpilot.plant import Line, Plant
from enpilot.wire import Quality, sha256_hex

__all__ = ["MeterSource", "OutboxSource", "PlacedPart", "ReadingSource", "Snapshot", "placed_parts"]

_FRESH_S: Final = 60.0
_LAST_ADDRESS: Final = 0xFFFF
_MODBUS: Final = ("holding", "input")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a point showed: amounts by ``quantity.channel`` [the quantity's own unit]."""

    at_s: float
    values: dict[str, Measured]


@dataclass(slots=True)
class Tally:
    """Requests to a unit, and those that brought no proper reply."""

    requests: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class PlacedPart:
    """A point's meter among what an agent reads."""

    line: Line
    units: tuple[UnitPlan, ...]
    number: int

    @property
    def part(self) -> UnitPart:
        """Device, point and profile."""
        return self.units[0].parts[self.number]


class ReadingSource(Protocol):
    """What the walk needs of readings."""

    kind: Literal["meter", "outbox"]

    async def read(self, point: str, at_s: float | None = None) -> Snapshot:
        """Return what a point shows now, or showed at an instant; raises `ReadError`."""

    async def read_many(self, points: Sequence[str]) -> dict[str, Snapshot]:
        """Return what points show now, as far as they answer."""

    async def read_shifted(self, point: str, by: int) -> dict[str, Measured]:
        """Return what the profile would show ``by`` registers further on; empty if unknown."""

    def tally(self, point: str) -> Tally:
        """Return how requests to a point's unit went so far."""

    def close(self) -> None:
        """Close what is open."""


def placed_parts(plan: ReadPlan) -> dict[str, PlacedPart]:
    """Return the meters that an agent reads, by their points."""
    found: dict[str, PlacedPart] = {}
    for line, plans in plan.lines:
        by_unit: dict[UnitAddress, list[UnitPlan]] = {}
        for plan_ in plans:
            by_unit.setdefault(plan_.unit, []).append(plan_)
        for units in by_unit.values():
            for number, part in enumerate(units[0].parts):
                found[part.point] = PlacedPart(line, tuple(units), number)
    return found


def _scalings(
    parts: Iterable[PlacedPart], plant: Plant, now: dt.datetime
) -> dict[int, BlockScaling]:
    found: dict[int, BlockScaling] = {}
    for placed in parts:
        installed = {
            p.device.code: installation_of(plant, p.device.code, now) for p in placed.units[0].parts
        }
        for unit in placed.units:
            found |= scalings_of(unit.blocks, unit.parts, installed)
    return found


class MeterSource:
    """Read the meters, over lines of one's own; only reads go out, and none is repeated.

    Parameters
    ----------
    plan
        What the agent reads.
    plant
        For ratios.
    now_s
        The clock [s since 1970].
    """

    kind: Literal["meter", "outbox"] = "meter"

    def __init__(
        self, plan: ReadPlan, plant: Plant, now_s: Callable[[], float] = time.time
    ) -> None:
        self._parts = placed_parts(plan)
        now = dt.datetime.fromtimestamp(now_s(), dt.UTC)
        self._scalings = _scalings(self._parts.values(), plant, now)
        self._now_s = now_s
        self._tallies: dict[str, Tally] = {}
        self._refused: set[int] = set()
        lines = [line for line, _ in plan.lines]
        devices = [u.device for _, units in plan.lines for u in units]
        self._lines: dict[str, FieldLine] = {
            line.code: made
            for line, made in zip(lines, make_lines(lines, devices), strict=True)
        }  # fmt: skip

    async def read(self, point: str, at_s: float | None = None) -> Snapshot:
        """Return what a point's meter shows now; an instant more than a minute ago is refused."""
        now_s = self._now_s()
        if at_s is not None and abs(now_s - at_s) > _FRESH_S:
            raise ReadError(
                Quality.STALE,
                "a meter shows the present only; for an earlier instant give --readings and the "
                "outbox of the agent that read it",
            )
        placed = self._parts[point]
        values: dict[str, Measured] = {}
        for unit in placed.units:
            for block in unit.blocks:
                if block.group not in self._refused:
                    values |= await self._read_block(placed, unit, block, block, point)
                if block.group in self._refused:
                    values |= await self._read_singly(placed, unit, block, point)
        if not values:
            self._refused.clear()
            raise ReadError(
                Quality.EXCEPTION_REPLY,
                f"point {point}: the unit refuses every block of its profile",
            )
        return Snapshot(now_s, values)

    async def read_many(self, points: Sequence[str]) -> dict[str, Snapshot]:
        """Return what points' meters show now, as far as they answer."""
        found = {}
        for point in points:
            with contextlib.suppress(ReadError):
                found[point] = await self.read(point)
        return found

    async def _read_block(
        self, placed: PlacedPart, unit: UnitPlan, block: Block, asked: Block, point: str
    ) -> dict[str, Measured]:
        tally = self.tally(point)
        tally.requests += 1
        try:
            data = await self._ask(placed, unit, asked)
        except ReadError as error:
            tally.errors += error.quality == Quality.NO_RESPONSE
            if error.quality == Quality.NO_RESPONSE:
                raise
            if asked is block and block.function in _MODBUS and len(block.registers) > 1:
                self._refused.add(block.group)
            return {}
        numbers, quality = block.decoder()(data)
        amounts = self._scalings[block.group].apply(numbers, quality)
        return amounts[placed.number] if placed.number < len(amounts) else {}

    async def _ask(self, placed: PlacedPart, unit: UnitPlan, block: Block) -> bytes:
        # A retry would hide what the frame error rate is about.
        line = self._lines[placed.line.code]
        return await line.read(unit.unit, block, unit.timeout_s, retry=False)

    async def _read_singly(
        self, placed: PlacedPart, unit: UnitPlan, block: Block, point: str
    ) -> dict[str, Measured]:
        """Read the values of a block that the unit refuses as a whole: some it may have."""
        found: dict[str, Measured] = {}
        for i, register in enumerate(block.registers):
            column = self._scalings[block.group].columns[i]
            if column[0] != placed.number:
                continue
            need = needed(register)
            count = need.last - need.first + 1
            one = Block(block.group, need.function, need.first, count, (register,))
            tally = self.tally(point)
            tally.requests += 1
            try:
                data = await self._ask(placed, unit, one)
            except ReadError as error:
                tally.errors += error.quality == Quality.NO_RESPONSE
                if error.quality == Quality.NO_RESPONSE:
                    raise
                continue
            numbers, quality = one.decoder()(data)
            found |= BlockScaling((column,)).apply(numbers, quality)[column[0]]
        return found

    async def read_shifted(self, point: str, by: int) -> dict[str, Measured]:
        """Return what the profile's registers show ``by`` further on."""
        placed = self._parts[point]
        values: dict[str, Measured] = {}
        for unit in placed.units:
            for block in unit.blocks:
                if block.function not in _MODBUS:
                    return {}
                first = block.address + by
                last = first + block.count - 1
                barred = any(
                    low <= last and first <= high
                    for part in unit.parts
                    for low, high in part.profile.forbidden
                )
                if first < 0 or last > _LAST_ADDRESS or barred:
                    return {}
                moved = Block(block.group, block.function, first, block.count, ())
                try:
                    values |= await self._read_block(placed, unit, block, moved, point)
                except ReadError:
                    return {}
        return values

    def tally(self, point: str) -> Tally:
        """Return how requests to a point's unit went so far."""
        return self._tallies.setdefault(point, Tally())

    def close(self) -> None:
        """Close the lines."""
        for line in self._lines.values():
            line.close()


class OutboxSource:
    """Take readings from an agent's outbox, while it goes on reading.

    Every look reads the outbox from its beginning, in a thread; a large one takes seconds.
    """

    kind: Literal["meter", "outbox"] = "outbox"

    def __init__(
        self,
        file: Path,
        plan: ReadPlan,
        plant: Plant,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._parts = placed_parts(plan)
        now = dt.datetime.fromtimestamp(now_s(), dt.UTC)
        self._scalings = _scalings(self._parts.values(), plant, now)
        self._birth = sha256_hex(birth_bytes(plan.birth))
        self._now_s = now_s
        self._tallies: dict[str, Tally] = {}

    async def read(self, point: str, at_s: float | None = None) -> Snapshot:
        """Return the readings nearest to an instant, or the latest."""
        wanted_s = self._now_s() if at_s is None else at_s
        found = await asyncio.to_thread(self._nearest, (point,), wanted_s)
        if point not in found:
            raise ReadError(
                Quality.STALE,
                f"{self._file}: no reading of point {point} near that instant; does its agent run "
                "with this plant file?",
            )
        return found[point]

    async def read_many(self, points: Sequence[str]) -> dict[str, Snapshot]:
        """Return the latest readings of points, as far as there are any."""
        return await asyncio.to_thread(self._nearest, points, self._now_s())

    async def read_shifted(self, point: str, by: int) -> dict[str, Measured]:
        """Return nothing: an outbox has only what was planned."""
        del point, by
        return {}

    async def history(self, point: str, since_s: float, until_s: float) -> list[Snapshot]:
        """Return all readings of a point within a span, by instant; counts them as requests."""
        return await asyncio.to_thread(self._history, point, since_s, until_s)

    def tally(self, point: str) -> Tally:
        """Return how many polls of the last `history` were answered."""
        return self._tallies.get(point, Tally())

    def close(self) -> None:
        """Nothing is open between two looks."""

    def _samples(
        self, points: Iterable[str]
    ) -> Iterator[tuple[str, int, float, dict[str, Measured], list[int] | None]]:
        """Yield point, group, instant [s], amounts and qualities of each sample of these points."""
        wanted: dict[int, list[str]] = {}
        for point in points:
            for unit in self._parts[point].units:
                for block in unit.blocks:
                    wanted.setdefault(block.group, []).append(point)
        for batch in read_batches(self._file):
            if batch.birth != self._birth:
                continue
            for g in batch.groups:
                if g.group not in wanted:
                    continue
                for i, after in enumerate(g.dt):
                    numbers = [_number(column[i]) for column in g.values]
                    quality = None if g.quality is None else [column[i] for column in g.quality]
                    amounts = self._scalings[g.group].apply(numbers, quality)
                    for point in wanted[g.group]:
                        number = self._parts[point].number
                        own = amounts[number] if number < len(amounts) else {}
                        yield point, g.group, (g.ts + after) / 1e6, own, quality

    def _nearest(self, points: Sequence[str], wanted_s: float) -> dict[str, Snapshot]:
        nearest: dict[tuple[str, int], Snapshot] = {}
        for point, group, at_s, values, _ in self._samples(points):
            known = nearest.get((point, group))
            if values and (known is None or abs(at_s - wanted_s) < abs(known.at_s - wanted_s)):
                nearest[point, group] = Snapshot(at_s, values)
        found: dict[str, Snapshot] = {}
        for (point, _), part in nearest.items():
            allowed_s = 2 * max(u.period_s for u in self._parts[point].units) + _FRESH_S
            if abs(part.at_s - wanted_s) > allowed_s:
                continue
            known = found.get(point, Snapshot(part.at_s, {}))
            found[point] = Snapshot(max(known.at_s, part.at_s), known.values | part.values)
        return found

    def _history(self, point: str, since_s: float, until_s: float) -> list[Snapshot]:
        found: dict[float, dict[str, Measured]] = {}
        tally = self._tallies[point] = Tally()
        for _, _, at_s, values, quality in self._samples((point,)):
            if not since_s <= at_s <= until_s:
                continue
            tally.requests += 1
            tally.errors += quality is not None and all(
                q & 0xFF == Quality.NO_RESPONSE for q in quality
            )
            if values:
                found.setdefault(at_s, {}).update(values)
        return [Snapshot(at_s, found[at_s]) for at_s in sorted(found)]


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
