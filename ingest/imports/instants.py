"""Times of a table: read by a declared form, placed in a zone, clock changes by a declared rule."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "ClockChanges",
    "LocalTimes",
    "ambiguous",
    "civil_spans",
    "format_mistake",
    "midnights_after",
    "nonexistent",
    "read_serials",
    "read_texts",
    "to_utc",
]

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
# Excel counts days from here, because it believes in 29 February 1900.
_SERIAL_ZERO_DAYS: Final = (dt.date(1899, 12, 30) - dt.date(1970, 1, 1)).days
_LAST_SERIAL: Final = 2_958_466.0  # 10000-01-01
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_DIRECTIVES: Final = {
    "%Y": r"(?P<year>[0-9]{4})", "%m": r"(?P<month>[0-9]{1,2})", "%d": r"(?P<day>[0-9]{1,2})",
    "%H": r"(?P<hour>[0-9]{1,2})", "%M": r"(?P<minute>[0-9]{1,2})",
    "%S": r"(?P<second>[0-9]{1,2})", "%f": r"(?P<fraction>[0-9]{1,6})",
    "%z": r"(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})", "%%": "%",
}  # fmt: skip
_ISO: Final = (
    r"^(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,6})[0-9]*)?)?)?"
    r"[ ]?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?$"
)


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """What stands in a column of times, shape (n,).

    ``us`` is the wall clock's time [µs since 1970], or UTC where ``is_utc``; it counts where
    ``is_read``.
    """

    us: NDArray[np.int64]
    is_utc: NDArray[np.bool_]
    is_read: NDArray[np.bool_]


def format_mistake(form: str) -> str | None:
    """Say what is wrong with a declared form of time, None if nothing is."""
    if form in ("iso", "excel"):
        return None
    unknown = [d for d in re.findall(r"%.?", form) if d not in _DIRECTIVES]
    if unknown:
        return (
            f"{form!r} has {', '.join(unknown)}; a form is iso, excel, or made of "
            f"{' '.join(_DIRECTIVES)}"
        )
    twice = [d for d in _DIRECTIVES if d != "%%" and form.count(d) > 1]
    if twice or not all(d in form for d in ("%Y", "%m")):
        return f"{form!r} must have %Y and %m, and nothing twice"
    return None


def read_texts(text: Any, form: str) -> LocalTimes:
    """Read times written in a declared form; 24:00 is the end of its day.

    Parameters
    ----------
    text
        A pyarrow array of strings, null where there is none.
    form
        "iso", or a form that `format_mistake` finds nothing wrong with.
    """
    # Times repeat in a table with a value a line, and reading one is dear.
    coded = pc.dictionary_encode(pc.utf8_trim_whitespace(text))
    unique = _read_unique(coded.dictionary, _ISO if form == "iso" else _pattern(form))
    index = pc.fill_null(coded.indices, len(unique.us) - 1).to_numpy(zero_copy_only=False)
    return LocalTimes(unique.us[index], unique.is_utc[index], unique.is_read[index])


def read_serials(days: NDArray[np.float64]) -> LocalTimes:
    """Read Excel's serial days, to the second: a serial holds no more."""
    good = np.isfinite(days) & (days >= 1) & (days < _LAST_SERIAL)
    seconds = np.rint(np.where(good, days, 0.0) * 86_400).astype(np.int64)
    us = (seconds + _SERIAL_ZERO_DAYS * 86_400) * 1_000_000
    return LocalTimes(us, np.zeros(len(us), np.bool_), good)


def _pattern(form: str) -> str:
    parts = re.split(r"(%.)", form)
    return "^" + "".join(_DIRECTIVES.get(p, re.escape(p)) for p in parts) + "$"


def _read_unique(text: Any, pattern: str) -> LocalTimes:
    """Read distinct texts; one more entry at the end, unreadable, stands for an empty cell."""
    names = re.findall(r"\?P<([a-z]+)>", pattern)
    found = pc.extract_regex(text, pattern)
    n = len(text)
    matched = found.is_valid().to_numpy(zero_copy_only=False)

    def number(name: str, default: int) -> NDArray[np.int64]:
        if name not in names:
            return np.full(n, default, np.int64)
        digits = pc.struct_field(found, name)
        digits = pc.if_else(pc.equal(digits, ""), None, digits)
        found_numbers: NDArray[np.int64] = pc.fill_null(
            pc.cast(digits, pa.int64()), default
        ).to_numpy(zero_copy_only=False)
        return found_numbers

    year, month, day = number("year", 1970), number("month", 1), number("day", 1)
    hour, minute, second = number("hour", 0), number("minute", 0), number("second", 0)
    fraction = np.zeros(n, np.int64)
    if "fraction" in names:
        digits = pc.fill_null(pc.struct_field(found, "fraction"), "")
        fraction = pc.cast(
            pc.utf8_rpad(digits, 6, "0"), pa.int64()
        ).to_numpy(zero_copy_only=False)  # fmt: skip
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days_in_month = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(
        np.int64
    ) - first
    full_day = (hour == 24) & (minute == 0) & (second == 0) & (fraction == 0)
    good = (
        matched & (year >= 1900) & (month >= 1) & (month <= 12) & (day >= 1)
        & (day <= days_in_month) & ((hour < 24) | full_day) & (minute < 60) & (second < 60)
    )  # fmt: skip
    us = (
        (first + day - 1) * _DAY_US
        + ((hour * 60 + minute) * 60 + second) * 1_000_000
        + fraction
    )  # fmt: skip
    offset, is_utc = _offsets(found, n, names)
    us = np.where(good, us - offset, 0)
    return LocalTimes(np.append(us, 0), np.append(is_utc, False), np.append(good, False))


def _offsets(found: Any, n: int, names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if "offset" not in names:
        return np.zeros(n, np.int64), np.zeros(n, np.bool_)
    words = pc.fill_null(pc.struct_field(found, "offset"), "").to_pylist()
    known: dict[str, int] = {"": 0, "Z": 0}
    for word in set(words) - known.keys():
        minutes = int(word[1:3]) * 60 + int(word[-2:])
        known[word] = (-minutes if word[0] == "-" else minutes) * 60_000_000
    return (
        np.array([known[w] for w in words], np.int64),
        np.array([w != "" for w in words], np.bool_),
    )


@dataclass(frozen=True, slots=True)
class ClockChanges:
    """Changes of a zone's offset: from ``utc_us[i]`` on it is ``offset_us[i + 1]``."""

    utc_us: NDArray[np.int64]
    offset_us: NDArray[np.int64]
    # Wall clock at which the old offset ends, and at which the new one is sure.
    low: NDArray[np.int64] = field(init=False)
    high: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        before, after = self.offset_us[:-1], self.offset_us[1:]
        object.__setattr__(self, "low", self.utc_us + np.minimum(before, after))
        object.__setattr__(self, "high", self.utc_us + np.maximum(before, after))

    @classmethod
    def of(cls, zone: zoneinfo.ZoneInfo, local_us: NDArray[np.int64]) -> ClockChanges:
        """Find the changes of a zone around some wall clock times."""
        if not len(local_us):
            return cls(np.empty(0, np.int64), np.zeros(1, np.int64))
        first, last = _year(int(local_us.min())) - 1, _year(int(local_us.max())) + 1
        changes = [c for year in range(first, last + 1) for c in _changes(zone, year)]
        start = _offset_us(zone, _year_start_us(first))
        return cls(
            np.array([c[0] for c in changes], np.int64),
            np.array([start, *(c[1] for c in changes)], np.int64),
        )


def nonexistent(changes: ClockChanges, local_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which wall clock times were skipped when the clock went forward."""
    return _between(changes, local_us, forward=True)


def ambiguous(changes: ClockChanges, local_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which wall clock times came twice when the clock went back."""
    return _between(changes, local_us, forward=False)


def to_utc(
    changes: ClockChanges, local_us: NDArray[np.int64], second: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Place wall clock times; those that came twice by ``second``."""
    after_low = np.searchsorted(changes.low, local_us, "right")
    after_high = np.searchsorted(changes.high, local_us, "right")
    offset: NDArray[np.int64] = changes.offset_us[np.where(second, after_low, after_high)]
    return local_us - offset


def midnights_after(
    utc_us: NDArray[np.int64], zone: zoneinfo.ZoneInfo, period: str, *, back: bool = False
) -> NDArray[np.int64]:
    """Return the same wall clock time a day or a month later (or earlier), in UTC [µs].

    A civil day has 23, 24 or 25 hours.
    """
    known: dict[int, int] = {}
    for us in np.unique(utc_us).tolist():
        local = (_UNIX + dt.timedelta(microseconds=us)).astimezone(zone)
        if period == "day":
            moved = local.replace(tzinfo=None) + dt.timedelta(days=-1 if back else 1)
        else:
            months = local.year * 12 + local.month - 1 + (-1 if back else 1)
            moved = local.replace(tzinfo=None, year=months // 12, month=months % 12 + 1)
        known[us] = (moved.replace(tzinfo=zone) - _UNIX) // dt.timedelta(microseconds=1)
    return np.array([known[us] for us in utc_us.tolist()], np.int64)


def civil_spans(
    utc_us: NDArray[np.int64], zone: zoneinfo.ZoneInfo, period: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start and end of the civil day or month that instants lie in, in UTC [µs]."""
    known: dict[int, int] = {}
    for us in np.unique(utc_us).tolist():
        local = (_UNIX + dt.timedelta(microseconds=us)).astimezone(zone)
        start = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        start = start.replace(day=1) if period == "month" else start
        known[us] = (start - _UNIX) // dt.timedelta(microseconds=1)
    begin = np.array([known[us] for us in utc_us.tolist()], np.int64)
    return begin, midnights_after(begin, zone, period)


def _between(
    changes: ClockChanges, local_us: NDArray[np.int64], *, forward: bool
) -> NDArray[np.bool_]:
    after_low = np.searchsorted(changes.low, local_us, "right")
    after_high = np.searchsorted(changes.high, local_us, "right")
    inside = after_low > after_high
    if not inside.any():
        return inside
    goes_forward = np.append(np.diff(changes.offset_us) > 0, False)
    wanted: NDArray[np.bool_] = inside & (goes_forward[after_high] == forward)
    return wanted


@functools.lru_cache(maxsize=4096)
def _changes(zone: zoneinfo.ZoneInfo, year: int) -> tuple[tuple[int, int], ...]:
    """Return the changes of one year (UTC): instant and the offset from then on."""
    low, end = _year_start_us(year), _year_start_us(year + 1)
    changes = []
    before = _offset_us(zone, low)
    for day in range(low, end, _DAY_US):
        after = _offset_us(zone, min(day + _DAY_US, end))
        if after == before:
            continue
        a, b = day, min(day + _DAY_US, end)
        while b - a > 1_000_000:
            middle = (a + b) // 2_000_000 * 1_000_000
            a, b = (middle, b) if _offset_us(zone, middle) == before else (a, middle)
        changes.append((b, after))
        before = after
    return tuple(changes)


def _offset_us(zone: zoneinfo.ZoneInfo, utc_us: int) -> int:
    offset = (_UNIX + dt.timedelta(microseconds=utc_us)).astimezone(zone).utcoffset()
    assert offset is not None  # a zone always has one
    return offset // dt.timedelta(microseconds=1)


def _year(us: int) -> int:
    return min(9000, max(1800, (_UNIX + dt.timedelta(microseconds=us)).year))


def _year_start_us(year: int) -> int:
    return (dt.datetime(year, 1, 1, tzinfo=dt.UTC) - _UNIX) // dt.timedelta(microseconds=1)
