"""Counter accounting: register readings to advances per interval (F3, F4, F22-F24, F28, F36).

Arrays in, arrays out; no database. Everything is whole numbers: instants in microseconds UTC,
registers and advances in 1e-6 register counts, so that sums are exact and the same input gives the
same bytes. Meaning (scale, CT and PT ratio, sign, unit) is applied later, to advances.

A run starts at a reading that is to be believed. After a run that is the one at
`Account.resume_us`, or any believed one before: the next run loads from there and books from there.
If its `Account.context_short` is set, a decision hung on earlier readings than were given: load
`CounterRules.glitch_s` more and run again from there, unless the series begins there.
"""

from __future__ import annotations

import enum
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analytics.counters import decisions
from analytics.counters import intervals as kernel
from analytics.errors import CounterError, LevelRangeError, ReadingOrderError

__all__ = [
    "Account",
    "Accounts",
    "CounterKind",
    "CounterRules",
    "Finding",
    "FindingKind",
    "Gap",
    "Replacement",
    "account",
    "account_many",
]

IntArray = npt.NDArray[np.int64]

_LEVEL_LIMIT = decisions.LEVEL_LIMIT
_TIME_LIMIT = decisions.TIME_LIMIT
# numba's threads serve one caller at a time.
_threads = threading.Lock()


class CounterKind(enum.Enum):
    """How a counter is meant to behave."""

    LIFETIME = "lifetime"  # never falls but by rollover, replacement or fault
    PERIODIC = "periodic"  # restarts at zero on schedule or on command
    PRESET = "preset"  # restarts when a preset number is reached


class FindingKind(enum.Enum):
    """What a counter did that an ordinary counter does not."""

    ROLLOVER = "rollover"
    REPLACEMENT = "replacement"
    RESET = "reset"
    GLITCH = "glitch"
    SPIKE = "spike"
    JUMP = "jump"


_KINDS = {
    decisions.ROLLOVER: FindingKind.ROLLOVER,
    decisions.REPLACED: FindingKind.REPLACEMENT,
    decisions.RESET_FROM_ZERO: FindingKind.RESET,
    decisions.RESET_UNSEEN: FindingKind.RESET,
    decisions.JUMP: FindingKind.JUMP,
    decisions.DROPPED_GLITCH: FindingKind.GLITCH,
    decisions.DROPPED_SPIKE: FindingKind.SPIKE,
}


@dataclass(frozen=True, slots=True)
class CounterRules:
    """What holds for the registers of one series epoch.

    Attributes
    ----------
    gap_s
        Neighbouring readings further apart leave a gap: advance known, distribution unknown [s].
    kind
        See `CounterKind`.
    modulus_micro
        The register restarts at zero on reaching this [1e-6 counts]; 0 if unknown.
    zero_micro
        Level at which the register reads zero, -origin x 1e6 [1e-6 counts].
    rated_micro_per_s
        The most that can be delivered, with a margin [1e-6 counts/s]; 0 if unknown.
    resolution_micro
        Smallest step of the register [1e-6 counts].
    glitch_s
        A register that returns within this time was never reset [s].
    interval_s
        Grid, aligned to 1970-01-01T00:00Z [s].
    """

    gap_s: int
    kind: CounterKind = CounterKind.LIFETIME
    modulus_micro: int = 0
    zero_micro: int = 0
    rated_micro_per_s: int = 0
    resolution_micro: int = 1_000_000
    glitch_s: int = 7 * 86_400
    interval_s: int = 900

    def __post_init__(self) -> None:
        for name in ("gap_s", "glitch_s", "interval_s"):
            if not 0 < getattr(self, name) <= _TIME_LIMIT // 1_000_000:
                raise CounterError(f"counter rules: {name} must be positive, {self!r}")
        for name in ("modulus_micro", "rated_micro_per_s", "resolution_micro"):
            if not 0 <= getattr(self, name) <= _LEVEL_LIMIT:
                raise CounterError(f"counter rules: {name} must be 0 .. 2**62 - 1, {self!r}")
        if abs(self.zero_micro) > _LEVEL_LIMIT:
            raise CounterError(f"counter rules: zero_micro out of range, {self!r}")

    def _row(self) -> tuple[int, ...]:
        return (
            self.modulus_micro, self.zero_micro, self.rated_micro_per_s, self.gap_s * 1_000_000,
            self.interval_s * 1_000_000, self.glitch_s * 1_000_000, self.resolution_micro,
            int(self.kind is not CounterKind.LIFETIME),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replacement:
    """A device changed at an instant; readings from then on are the new device's.

    Attributes
    ----------
    time_us
        When [us since 1970, UTC].
    closing_micro, opening_micro
        Last register of the old and first of the new device [1e-6 counts], None if nobody noted it:
        what that device counted in the step is then not booked, and the finding says so.
    """

    time_us: int
    closing_micro: int | None = None
    opening_micro: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Believed neighbours too far apart: the advance is known, its distribution is not."""

    from_us: int
    to_us: int
    advance_micro: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One decision with its evidence.

    Attributes
    ----------
    kind
        What it was held to be.
    at_us, until_us
        First and last odd reading [us].
    first, last
        Their indices.
    level_micro
        Register of the first odd reading [1e-6 counts].
    before_us, before_micro
        The believed reading before.
    after_us, after_micro
        The believed reading that ends it; None if there is none yet.
    advance_micro
        Booked for the step from before to after [1e-6 counts].
    pending
        Later readings may still decide otherwise.
    inconsistent
        Registers noted at a replacement are missing or contradict the readings.
    """

    kind: FindingKind
    at_us: int
    until_us: int
    first: int
    last: int
    level_micro: int
    before_us: int
    before_micro: int
    after_us: int | None
    after_micro: int | None
    advance_micro: int
    pending: bool
    inconsistent: bool


@dataclass(frozen=True, slots=True)
class Account:
    """Advances of one series in one window.

    The arrays have a row per interval that the believed readings reach; others are absent, not
    zero. An interval cut by the window or by the first or last reading is partial: see measured.

    Attributes
    ----------
    start_us
        Start of each interval [us].
    advance_micro
        Advance of the register [1e-6 counts].
    estimated_micro
        Part of it whose place in time, or whose truth (a jump), is a guess [1e-6 counts].
    measured_us
        Time that lies between neighbouring readings without a gap [us].
    readings
        Believed readings in [start, start + interval).
    gaps
        Every gap that overlaps the window, whole, in order of time.
    findings
        Those whose first odd reading lies in the window.
    silent_resets
        Declared resets of a periodic or preset counter in the window.
    unseen_tail_micro
        The most they can have hidden together [1e-6 counts]; None if unrated.
    dropped_readings
        Readings near the window that were not believed.
    first_us, last_us
        First and last believed reading of all given ones [us]; None without readings.
    resume_us
        Instant of a believed reading up to which everything is decided [us].
    context_short
        A decision hung on readings before the first given one.
    """

    start_us: IntArray
    advance_micro: IntArray
    estimated_micro: IntArray
    measured_us: IntArray
    readings: IntArray
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    silent_resets: int
    unseen_tail_micro: int | None
    dropped_readings: int
    first_us: int | None
    last_us: int | None
    resume_us: int | None
    context_short: bool

    @property
    def measured_s(self) -> npt.NDArray[np.float64]:
        """`measured_us` in seconds."""
        return self.measured_us / 1e6


@dataclass(frozen=True, slots=True)
class Accounts:
    """Advances of many series: the rows of `Account`, one series after the other.

    ``rows[s] : rows[s + 1]`` are the intervals of series s; ``series(s)`` gives its `Account`.
    """

    rows: IntArray
    start_us: IntArray
    advance_micro: IntArray
    estimated_micro: IntArray
    measured_us: IntArray
    readings: IntArray
    _time_us: IntArray
    _level_micro: IntArray
    _offsets: IntArray
    _rated: tuple[bool, ...]
    _places: IntArray
    _gaps: IntArray
    _findings: IntArray
    _totals: IntArray
    _short: IntArray

    def __len__(self) -> int:
        return len(self.rows) - 1

    def series(self, s: int) -> Account:
        """Return the account of the s-th series.

        Raises
        ------
        IndexError
            If there is no such series.
        """
        if not 0 <= s < len(self):
            raise IndexError(f"no series {s} of {len(self)}")
        rows = slice(int(self.rows[s]), int(self.rows[s + 1]))
        n_gaps, n_findings, resets, tail, dropped, resume, last = self._totals[s].tolist()
        gap, finding = int(self._places[s, 1]), int(self._places[s, 2])
        a, b = int(self._offsets[s]), int(self._offsets[s + 1])
        return Account(
            start_us=self.start_us[rows],
            advance_micro=self.advance_micro[rows],
            estimated_micro=self.estimated_micro[rows],
            measured_us=self.measured_us[rows],
            readings=self.readings[rows],
            gaps=tuple(Gap(*g) for g in self._gaps[gap : gap + n_gaps].tolist()),
            findings=tuple(
                self._finding(a, f) for f in self._findings[finding : finding + n_findings].tolist()
            ),
            silent_resets=resets,
            unseen_tail_micro=tail if self._rated[s] else None,
            dropped_readings=dropped,
            first_us=int(self._time_us[a]) if b > a else None,
            last_us=last if b > a else None,
            resume_us=resume if b > a else None,
            context_short=bool(self._short[s]),
        )

    def _finding(self, a: int, row: list[int]) -> Finding:
        kind, first, last, before, after, advance, flags = row
        t, v = self._time_us, self._level_micro
        return Finding(
            kind=_KINDS[kind],
            at_us=int(t[a + first]),
            until_us=int(t[a + last]),
            first=first,
            last=last,
            level_micro=int(v[a + first]),
            before_us=int(t[a + before]),
            before_micro=int(v[a + before]),
            after_us=int(t[a + after]) if after >= 0 else None,
            after_micro=int(v[a + after]) if after >= 0 else None,
            advance_micro=advance,
            pending=bool(flags & decisions.PENDING),
            inconsistent=bool(flags & kernel.INCONSISTENT),
        )


def account(
    time_us: IntArray,
    level_micro: IntArray,
    rules: CounterRules,
    *,
    window: tuple[int, int] | None = None,
    replacements: Sequence[Replacement] = (),
) -> Account:
    """Account one series; see `account_many`.

    Parameters
    ----------
    time_us, level_micro
        Readings of the series, shape (n,) [us since 1970, UTC; 1e-6 counts].
    rules
        What holds for its registers.
    window
        [from, to) to book [us]; all readings if None.
    replacements
        In order of time.

    Returns
    -------
    Account

    Raises
    ------
    ReadingOrderError, LevelRangeError, CounterError
        As `account_many`.
    """
    offsets = np.array([0, len(time_us)], dtype=np.int64)
    windows = None if window is None else np.array([window], dtype=np.int64)
    return account_many(
        time_us, level_micro, offsets, [rules], windows=windows, replacements=[replacements]
    ).series(0)


def account_many(
    time_us: IntArray,
    level_micro: IntArray,
    offsets: IntArray,
    rules: Sequence[CounterRules],
    *,
    windows: IntArray | None = None,
    replacements: Sequence[Sequence[Replacement]] | None = None,
) -> Accounts:
    """Turn counter readings into advances per interval, in parallel over series.

    Parameters
    ----------
    time_us
        Read instants of all series, one series after the other, strictly increasing within each
        [us since 1970, UTC]. `collapse_readings` makes them so.
    level_micro
        Registers of the same length [1e-6 counts]; see `to_level_micro`.
    offsets
        Series s has the readings ``offsets[s] : offsets[s + 1]``.
    rules
        One per series.
    windows
        Rows [from, to) per series [us]; need not lie on the grid. All readings if None. Readings
        outside decide, but are not booked.
    replacements
        Per series, in order of time.

    Returns
    -------
    Accounts

    Raises
    ------
    ReadingOrderError
        If instants do not strictly increase.
    LevelRangeError
        If a level is outside +-2**62.
    CounterError
        If the arguments do not fit each other.
    """
    n = len(offsets) - 1
    t = np.ascontiguousarray(time_us, dtype=np.int64)
    v = np.ascontiguousarray(level_micro, dtype=np.int64)
    places = np.ascontiguousarray(offsets, dtype=np.int64)
    if n < 0 or len(t) != len(v) or places[0] != 0 or places[-1] != len(t):
        raise CounterError(f"offsets {offsets!r} do not cut {len(t)} instants, {len(v)} levels")
    if (np.diff(places) < 0).any() or len(rules) != n:
        raise CounterError(f"{n} series with {len(rules)} rules, or offsets that fall")
    table = np.array([r._row() for r in rules], dtype=np.int64).reshape(n, -1)
    spans = _windows(windows, n)
    replaced, replaced_offsets = _replacements(replacements, n)
    status = np.zeros(len(t), dtype=np.uint8)
    sizes = np.zeros((n, 6), dtype=np.int64)
    with _threads:
        kernel.classify_many(t, v, places, table, spans, replaced, replaced_offsets, status, sizes)
    _refuse_disorder(t, v, places, sizes[:, 0])
    rooms = np.zeros((n + 1, 3), dtype=np.int64)
    np.cumsum(sizes[:, 1:4], axis=0, out=rooms[1:])
    rows, gaps, findings = rooms[-1].tolist()
    out = kernel.Output(
        advance=np.zeros(rows, dtype=np.int64),
        estimated=np.zeros(rows, dtype=np.int64),
        measured_us=np.zeros(rows, dtype=np.int64),
        readings=np.zeros(rows, dtype=np.int64),
        gaps=np.zeros((gaps, 3), dtype=np.int64),
        findings=np.zeros((findings, kernel.F_WIDTH), dtype=np.int64),
        totals=np.zeros((n, kernel.TOTALS_WIDTH), dtype=np.int64),
    )
    with _threads:
        kernel.integrate_many(
            t, v, places, table, spans, replaced, replaced_offsets, status, rooms, out
        )
    interval_us = table[:, 4]
    start_us = np.repeat(sizes[:, 5] - rooms[:-1, 0] * interval_us, sizes[:, 1])
    start_us += np.arange(rows) * np.repeat(interval_us, sizes[:, 1])
    return Accounts(
        rows=rooms[:, 0].copy(),
        start_us=start_us,
        advance_micro=out.advance,
        estimated_micro=out.estimated,
        measured_us=out.measured_us,
        readings=out.readings,
        _time_us=t,
        _level_micro=v,
        _offsets=places,
        _rated=tuple(r.rated_micro_per_s > 0 for r in rules),
        _places=rooms,
        _gaps=out.gaps,
        _findings=out.findings,
        _totals=out.totals,
        _short=sizes[:, 4].copy(),
    )


def _windows(windows: IntArray | None, n: int) -> IntArray:
    if windows is None:
        return np.tile(np.array([-_TIME_LIMIT, _TIME_LIMIT], dtype=np.int64), (n, 1))
    spans = np.ascontiguousarray(windows, dtype=np.int64)
    if spans.shape != (n, 2) or (spans[:, 0] > spans[:, 1]).any():
        raise CounterError(f"windows must be {n} rows of (from, to) with from <= to")
    return spans


def _replacements(
    replacements: Sequence[Sequence[Replacement]] | None, n: int
) -> tuple[IntArray, IntArray]:
    series = [()] * n if replacements is None else replacements
    if len(series) != n:
        raise CounterError(f"replacements of {len(series)} series for {n}")
    for s, changes in enumerate(series):
        instants = [c.time_us for c in changes]
        if any(a >= b for a, b in itertools.pairwise(instants)):
            raise CounterError(f"series {s}: replacements are not in order of time: {instants}")
    rows = [
        (c.time_us, _noted(c.closing_micro), _noted(c.opening_micro))
        for changes in series
        for c in changes
    ]
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum([len(c) for c in series], out=offsets[1:])
    return np.array(rows, dtype=np.int64).reshape(-1, 3), offsets


def _noted(level_micro: int | None) -> int:
    if level_micro is None:
        return decisions.UNKNOWN
    if abs(level_micro) > _LEVEL_LIMIT:
        raise LevelRangeError(f"register {level_micro} noted at a replacement is out of range")
    return level_micro


def _refuse_disorder(t: IntArray, v: IntArray, offsets: IntArray, wrong: IntArray) -> None:
    series = np.flatnonzero(wrong >= 0)
    if not len(series):
        return
    s = int(series[0])
    i = int(wrong[s])
    at = int(offsets[s]) + i
    if abs(int(v[at])) > _LEVEL_LIMIT or abs(int(t[at])) > _TIME_LIMIT:
        raise LevelRangeError(
            f"series {s}, reading {i}: level {v[at]} at {t[at]} us is out of range; make levels"
            " with to_level_micro and instants in microseconds"
        )
    raise ReadingOrderError(
        f"series {s}, reading {i}: instant {t[at]} us is not after {t[at - 1]} us; use"
        " collapse_readings"
    )
