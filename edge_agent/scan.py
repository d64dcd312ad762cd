"""Find the units on a line: who answers a read of one register, be it with a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from edge_agent.errors import ReadError
from edge_agent.lines import FieldLine, make_line
from enpilot.errors import ConfigurationError
from enpilot.plant import Line
from enpilot.wire import Quality

__all__ = ["FoundUnit", "scan_line", "scan_now", "units_of"]

_PROGRESS_EACH = 32
_UNITS = 247  # Modbus over Serial Line 1.02, section 2.2: 1 to 247


class FoundUnit(msgspec.Struct, frozen=True):
    """A unit that is there. Of each function the word it showed, or the exception's code."""

    unit: int
    holding: int | None = None
    holding_exception: int | None = None
    input: int | None = None
    input_exception: int | None = None

    @property
    def sentence(self) -> str:
        """For people."""
        parts = []
        for name, word, code in (
            ("holding", self.holding, self.holding_exception),
            ("input", self.input, self.input_exception),
        ):
            if word is not None:
                parts.append(f"{name} {word:#06x}")
            elif code is not None:
                parts.append(f"{name} exception {code:#04x}")
            else:
                parts.append(f"{name} silent")
        return f"unit {self.unit:3}: " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class _Register:
    function: Literal["holding", "input"]
    address: int
    count: int = 1


def units_of(text: str) -> list[int]:
    """Return the units of a range such as ``1-32,100``.

    Raises
    ------
    ValueError
        If it is no such range within 1 to 247.
    """
    units: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 1 <= low <= high <= _UNITS:
            raise ValueError(f"{part!r} is no range of units within 1 to {_UNITS}")
        units.update(range(low, high + 1))
    return sorted(units)


async def scan_line(
    line: FieldLine, units: Iterable[int], address: int = 0
) -> AsyncIterator[tuple[int, FoundUnit | None]]:
    """Ask each unit in turn and yield its number with what was found, or None.

    Only functions 3 and 4 go out. A unit that is silent at the first is not asked with the second;
    a gateway's "no path" (0x0A) and "no answer" (0x0B) count as silence.

    Parameters
    ----------
    line
        Where; its timeout is what each missing unit costs.
    units
        Whom, 1 to 247.
    address
        The register that is read.

    Raises
    ------
    ReadError
        If the line cannot be opened.
    """
    for unit in units:
        found: dict[str, int] = {}
        for function in ("holding", "input"):
            try:
                data = await line.read(unit, _Register(function, address))
                found[function] = int.from_bytes(data, "big")
            except ReadError as error:
                if not line.is_open and error.exception_code is None and not line.counts.requests:
                    raise
                if error.quality == Quality.EXCEPTION_REPLY and error.exception_code is not None:
                    found[f"{function}_exception"] = error.exception_code
                    continue
                break
        yield unit, FoundUnit(unit, **found) if found else None
        await asyncio.sleep(0)


def scan_now(
    line: Line, units: str, address: int, show: Callable[[str], object] | None
) -> list[FoundUnit]:
    """Scan a line from a command and return the units that are there.

    Parameters
    ----------
    line
        Where.
    units
        Whom, see `units_of`.
    address
        The register that is read.
    show
        Takes sentences for people as the scan goes on; left out, nothing is said.

    Raises
    ------
    ConfigurationError
        If the range is none, or nothing can be asked there.
    """
    try:
        chosen = units_of(units)
    except ValueError as error:
        raise ConfigurationError(f"--units {units}: {error}") from error
    if not 0 <= address <= 0xFFFF:
        raise ConfigurationError(f"--address {address} is not within 0 to 65535")
    say = show or (lambda _: None)

    async def main() -> list[FoundUnit]:
        opened = make_line(line)
        found: list[FoundUnit] = []
        try:
            say(f"{opened.where}: asking {len(chosen)} units, {line.timeout_s:g} s each")
            number = 0
            async for unit, seen in scan_line(opened, chosen, address):
                number += 1
                if seen is not None:
                    found.append(seen)
                    say(seen.sentence)
                if number % _PROGRESS_EACH == 0 and number < len(chosen):
                    say(f"... asked up to unit {unit}, found {len(found)}")
        except ReadError as error:
            raise ConfigurationError(str(error)) from error
        finally:
            opened.close()
        say(f"{len(found)} of {len(chosen)} units are there")
        return found

    return asyncio.run(main())
