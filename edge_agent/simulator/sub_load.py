"""A SYNTHETIC part of the plant's load, as a sub-meter below the main feeder counts it.

A quarter hour of the main feeder is two amounts: what the halls take when nothing is made, and what
is above that. Each sub-meter has its shares of the two, which may depend on weekday, hour and date.
All shares of an instant add up to less than the whole, so sub-meters never count more than the
feeder, at no instant; the rest is what has no sub-meter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from edge_agent.simulator.steel_load import IDLE_MICRO_KWH, QUARTER_S, SteelLoad
from enpilot.tariff_hours import hours_of_day

__all__ = ["Share", "SubLoad", "overdrawn"]

_WHOLE: Final = 10_000
_DAY_QUARTERS: Final = 96
_MINUTES: Final = QUARTER_S // 60
_BasisPoints = Annotated[int, Meta(ge=0, le=_WHOLE)]
_Hours = Annotated[
    str,
    Meta(pattern=r"^([01][0-9]|2[0-3]):(00|15|30|45)-(([01][0-9]|2[0-3]):(00|15|30|45)|24:00)$"),
]


class Share(
    msgspec.Struct, kw_only=True, forbid_unknown_fields=True,
    rename={"since": "from", "until": "to"},
):  # fmt: skip
    """Shares of the feeder [basis points] on some days and hours; of several the last one holds.

    ``of_idle`` is of the first 4 kWh of a quarter hour, ``of_work`` of what is above. ``weekdays``
    are 1 (Monday) to 7; ``since`` and ``until`` (``from`` and ``to`` in the file) are local days,
    the second the day after the last.
    """

    of_idle: _BasisPoints
    of_work: _BasisPoints
    weekdays: tuple[Annotated[int, Meta(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)
    hours: _Hours = "00:00-24:00"
    since: dt.date | None = None
    until: dt.date | None = None

    def holds_on(self, day: dt.date) -> bool:
        """Whether it says something about a local day."""
        begun = self.since is None or self.since <= day
        return begun and (self.until is None or day < self.until) and (
            day.isoweekday() in self.weekdays
        )  # fmt: skip


_Slot = tuple[int, int]


def _slots(shares: Iterable[Share], day: dt.date) -> list[_Slot]:
    """Return the shares (of idle, of work) of each quarter hour of a local day."""
    slots: list[_Slot] = [(0, 0)] * _DAY_QUARTERS
    for share in shares:
        if share.holds_on(day):
            for begin, end in hours_of_day(share.hours):
                for quarter in range(begin // _MINUTES, end // _MINUTES):
                    slots[quarter] = share.of_idle, share.of_work
    return slots


class SubLoad:
    """What a sub-meter counts, as a pure function of absolute time, like the feeder's load.

    Parameters
    ----------
    main
        Load of the feeder.
    shares
        Of this sub-meter.
    zone
        The plant's; its offset does not change within a year.
    """

    def __init__(self, main: SteelLoad, shares: Sequence[Share], zone: ZoneInfo) -> None:
        self._main = main
        self._shares = shares
        self._zone = zone

    def energy_micro_kwh(self, at_s: float) -> int:
        """Return the energy since the first year began [1e-6 kWh] at ``at_s`` [s since 1970]."""
        year, quarter, share = self._main.place(at_s)
        before = sum(self._sums(y)[-1] for y in range(self._main.first_year, year))
        sums = self._sums(year)
        return before + sums[quarter] + int((sums[quarter + 1] - sums[quarter]) * share)

    def power_kw(self, at_s: float) -> float:
        """Return the mean active power of the running quarter hour [kW]."""
        year, quarter, _ = self._main.place(at_s)
        sums = self._sums(year)
        return (sums[quarter + 1] - sums[quarter]) / 1e6 * 4

    def power_factor(self, at_s: float) -> float:
        """Return the feeder's power factor."""
        return self._main.power_factor(at_s)

    @lru_cache(maxsize=32)  # noqa: B019  # one load a process, and it lives as long
    def _sums(self, year: int) -> list[int]:
        parts = []
        first = dt.date(year, 1, 1)
        slots: list[_Slot] = []
        for quarter, whole in enumerate(self._main.quarters(year)):
            day, place = divmod(quarter, _DAY_QUARTERS)
            if place == 0:
                slots = _slots(self._shares, first + dt.timedelta(days=day))
            of_idle, of_work = slots[place]
            idle = min(whole, IDLE_MICRO_KWH)
            parts.append((idle * of_idle + (whole - idle) * of_work) // _WHOLE)
        return list(accumulate(parts, initial=0))


def overdrawn(whole: Sequence[Share] | None, parts: Sequence[Sequence[Share]]) -> str | None:
    """Return when some sub-meters have more than there is to share, None if never.

    Parameters
    ----------
    whole
        Shares of the meter that they are below; None for the main feeder, which has everything.
    parts
        Shares of each of them.
    """
    named = [s for shares in (*parts, whole or ()) for s in shares]
    for day in _days_to_look_at(named):
        above = [(_WHOLE, _WHOLE)] * _DAY_QUARTERS if whole is None else _slots(whole, day)
        below = [_slots(shares, day) for shares in parts]
        for quarter, most in enumerate(above):
            taken = [sum(slots[quarter][k] for slots in below) for k in range(2)]
            if any(t > m for t, m in zip(taken, most, strict=True)):
                hour, minute = divmod(quarter * _MINUTES, 60)
                return f"{day} {hour:02}:{minute:02}"
    return None


def _days_to_look_at(shares: Iterable[Share]) -> Iterator[dt.date]:
    """Yield one week of each span in which the same dated shares hold."""
    edges = {dt.date(2001, 1, 1)}
    for share in shares:
        edges |= {day for day in (share.since, share.until) if day is not None}
    for edge in sorted(edges):
        yield from (edge + dt.timedelta(days=n) for n in range(7))
