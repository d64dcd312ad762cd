"""Which readings of a counter to believe, and what each falling or leaping register means.

First pass of the counter accounting, compiled. It writes one status byte per reading and nothing
else, so that a decision taken back later (a leap that turns out to be a spike) costs nothing. A
reading is judged by what the counter could physically have delivered since the last believed one.
Where no rated maximum is known, the recent pace of the counter takes its place.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from analytics._jit import jit

__all__ = [
    "DROPPED_GLITCH",
    "DROPPED_SPIKE",
    "JUMP",
    "KIND_MASK",
    "LEVEL_LIMIT",
    "NEVER",
    "PENDING",
    "REFRESH_US",
    "REPLACED",
    "RESET_FROM_ZERO",
    "RESET_UNSEEN",
    "ROLLOVER",
    "SILENT",
    "TIME_LIMIT",
    "UNKNOWN",
    "IntArray",
    "RuleRow",
    "StatusArray",
    "classify",
    "first_disorder",
    "is_dropped",
    "previous_believed",
    "rated_advance",
]

IntArray: TypeAlias = npt.NDArray[np.int64]
StatusArray: TypeAlias = npt.NDArray[np.uint8]

# Status of a reading, low three bits; 0 is an ordinary step from the believed reading before.
ROLLOVER = 1
REPLACED = 2
RESET_FROM_ZERO = 3  # the new level was counted since the reset
RESET_UNSEEN = 4  # the new level cannot have been counted in that time: nothing is booked
JUMP = 5  # more than rated, and it stays: booked, marked estimated
DROPPED_GLITCH = 6
DROPPED_SPIKE = 7
KIND_MASK = 7
PENDING = 8  # later readings may still decide otherwise
SILENT = 16  # a reset that the counter's kind declares, hence no finding

UNKNOWN = -(2**63)  # a register that nobody noted at a replacement
NEVER = 2**63 - 1
TIME_LIMIT = 2**52 - 1  # spans stay below 2**53 us; the year 2112
LEVEL_LIMIT = 2**62 - 1  # differences of two levels stay inside 64 bits

# Own choices, in one place.
REFRESH_US = 3_600_000_000  # meters refresh their register at least hourly: pace is measured since
#                             the register last moved, but over no more than this
PACE_STEPS = 16  # believed steps that show the recent pace
PACE_MARGIN = 8.0  # unrated: more than so many times the recent pace is not consumption
SMALL_SHARE = 10  # unrated: less than a tenth of the register is a credible new start


class RuleRow(NamedTuple):
    """Rules of one series epoch, in 1e-6 counts and microseconds; 0 means unknown."""

    modulus: int
    zero: int
    rated: int
    gap_us: int
    interval_us: int
    glitch_us: int
    resolution: int
    resettable: int


@jit
def is_dropped(status: int) -> bool:
    """Whether a reading with that status takes no part in the accounting."""
    return (status & KIND_MASK) >= DROPPED_GLITCH


@jit
def rated_advance(rules: RuleRow, span_us: int) -> float:
    """Return the most that can be delivered in ``span_us`` [1e-6 counts x 1e6], inf if unrated."""
    if rules.rated == 0:
        return np.inf
    return float(rules.rated) * float(span_us) + float(rules.resolution) * 1e6


@jit
def _possible(rules: RuleRow, advance: int, span_us: int) -> bool:
    return float(advance) * 1e6 <= rated_advance(rules, span_us)


@jit
def _starts_segment(status: int) -> bool:
    """Whether levels before this reading are on another scale than from it on."""
    kind = status & KIND_MASK
    return ROLLOVER <= kind <= RESET_UNSEEN


@jit
def previous_believed(status: StatusArray, i: int) -> int:
    """Return the believed reading before ``i`` in its reset-free segment, or -1 at its start."""
    if i < 0 or _starts_segment(status[i]):
        return -1
    i -= 1
    while i >= 0 and is_dropped(status[i]):
        i -= 1
    return i


@jit
def _span_since_moved(t: IntArray, v: IntArray, status: StatusArray, base: int, k: int) -> int:
    """Return the time in which the register can have moved from ``base`` to ``k`` [us]."""
    since = t[base]
    q = previous_believed(status, base)
    while q >= 0 and v[q] == v[base] and t[k] - t[q] <= REFRESH_US:
        since = t[q]
        q = previous_believed(status, q)
    return int(t[k] - since)


@jit
def _recent_pace(t: IntArray, v: IntArray, status: StatusArray, base: int) -> tuple[float, bool]:
    """Return the fastest of the last steps up to ``base`` [1e-6 counts/us], and if cut short."""
    pace = 0.0
    for _ in range(PACE_STEPS):
        q = previous_believed(status, base)
        if q < 0:
            return pace, not _starts_segment(status[base])
        step = float(v[base] - v[q]) / float(t[base] - t[q])
        if step > pace and (status[base] & KIND_MASK) != JUMP:
            pace = step
        base = q
    return pace, False


@jit
def _beyond_pace(advance: int, span_us: int, pace: float, climb: int) -> bool:
    """Unrated: one step makes at least half of the whole climb, and far above the recent pace."""
    return float(advance) >= 0.5 * float(climb) and (
        float(advance) > PACE_MARGIN * pace * float(span_us)
    )


@jit
def _new_start_possible(
    t: IntArray, v: IntArray, rules: RuleRow, pace: float, p: int, i: int
) -> bool:
    """Whether the level at ``i`` can have been counted from zero since ``p``."""
    level = v[i] - rules.zero
    if level < 0:
        return False
    span = t[i] - t[p]
    if rules.rated > 0:
        return _possible(rules, level, span)
    return level <= (v[p] - rules.zero) // SMALL_SHARE or (
        float(level) <= PACE_MARGIN * pace * float(span) + float(rules.resolution)
    )


@jit
def _rollover_possible(
    t: IntArray, v: IntArray, rules: RuleRow, pace: float, p: int, i: int
) -> bool:
    if rules.modulus == 0 or rules.resettable:
        return False
    advance = v[i] - v[p] + rules.modulus
    if advance < 0:
        return False
    span = t[i] - t[p]
    if rules.rated > 0:
        return _possible(rules, advance, span)
    return advance <= rules.modulus // SMALL_SHARE or (
        float(advance) <= PACE_MARGIN * pace * float(span) + float(rules.resolution)
    )


@jit
def _find_return(
    t: IntArray,
    v: IntArray,
    status: StatusArray,
    rules: RuleRow,
    base: int,
    start: int,
    pace: float,
    horizon_us: int,
    new_start: bool,
    replaced_us: int,
    closing: int,
) -> tuple[int, bool]:
    """Find the reading at which a register that fell below ``base`` at ``start`` is back.

    It must come back by a step that no consumption could make (a counter that restarted and climbed
    past its old level did so step by step) and stay back in one more reading, or a replacement must
    have noted a closing register on the line. Returns the index and whether it is undecided; -1 for
    no return. At a replacement the index is that of the new device's first reading.
    """
    back = -1
    below = start
    leapt = False
    climb = v[base] - v[start]
    for k in range(start, len(t)):
        if t[k] >= replaced_us:
            on_line = closing != UNKNOWN and closing >= v[base]
            if on_line and _possible(rules, closing - v[base], replaced_us - t[base]):
                return k, False
            return -1, False
        if t[k] - t[base] > horizon_us:
            return -1, False
        if v[k] < v[base]:
            if k > start:
                if v[k] < v[below]:
                    leapt = False
                elif _leap(rules, v[k] - v[below], t[k] - t[below], pace, climb):
                    leapt = True
            below = k
        elif _possible(rules, v[k] - v[base], _span_since_moved(t, v, status, base, k)):
            if below > back:
                leapt = leapt or _leap(rules, v[k] - v[below], t[k] - t[below], pace, climb)
                # A register that stutters by a little, where no restart can have happened.
                stutter = not new_start and t[k] - t[base] <= rules.gap_us
                if not (leapt or stutter):
                    return -1, False
            if back >= 0 and v[k] >= v[back] and _possible(rules, v[k] - v[back], t[k] - t[back]):
                return back, False
            back = k
            leapt = False
    return back, True


@jit
def _leap(rules: RuleRow, advance: int, span_us: int, pace: float, climb: int) -> bool:
    if rules.rated > 0:
        return not _possible(rules, advance, span_us)
    return _beyond_pace(advance, span_us, pace, climb)


@jit
def _last_jump(t: IntArray, status: StatusArray, p: int, since_us: int) -> int:
    """Return the latest leap that is still open: same segment, not older than ``since_us``."""
    while p >= 0 and t[p] >= since_us:
        if (status[p] & KIND_MASK) == JUMP:
            return p
        p = previous_believed(status, p)
    return -1


@jit
def _spike_base(
    t: IntArray, v: IntArray, status: StatusArray, rules: RuleRow, p: int, i: int, provable: bool
) -> tuple[int, bool]:
    """Find the reading to which ``i`` returns if everything up to ``p`` was a spike.

    Returns its index or -1, and whether readings before the first given one could change that.
    """
    s = p
    moved = 0  # by ordinary steps since the leap
    while True:
        q = previous_believed(status, s)
        if q < 0:
            return -1, not _starts_segment(status[s])
        if t[i] - t[q] > rules.glitch_us:
            return -1, False
        if v[q] <= v[i]:
            break
        if (status[s] & KIND_MASK) != JUMP:
            moved += v[s] - v[q]
        s = q
    returned = v[i] - v[q]
    # A register that ran on while it was up there, more than it did since before: it was real.
    if moved // 2 > returned + rules.resolution:
        return -1, False
    if not _possible(rules, returned, _span_since_moved(t, v, status, q, i)):
        return -1, False
    if (status[s] & KIND_MASK) == JUMP:
        return q, False
    if provable:
        return -1, False
    pace, short = _recent_pace(t, v, status, q)
    if _beyond_pace(v[s] - v[q], t[s] - t[q], pace, v[p] - v[q]):
        return q, short
    return -1, short


@jit
def _mark(status: StatusArray, start: int, stop: int, value: int) -> None:
    for k in range(start, stop):
        status[k] = value


@jit
def _decide_fall(
    t: IntArray,
    v: IntArray,
    status: StatusArray,
    rules: RuleRow,
    p: int,
    i: int,
    replaced_us: int,
    closing: int,
) -> tuple[int, int, bool]:
    """Decide what the fall from ``p`` to ``i`` is.

    Returns the believed reading to go on from, the next one to look at, and whether readings before
    the first given one could change the decision.
    """
    judged = not rules.resettable or rules.rated > 0
    pace, short = 0.0, False
    if rules.rated == 0 and judged:
        pace, short = _recent_pace(t, v, status, p)
    new_start = _new_start_possible(t, v, rules, pace, p, i)
    rollover = _rollover_possible(t, v, rules, pace, p, i)
    # What is well explained need not be held open for days.
    horizon = rules.gap_us if rollover or rules.resettable else rules.glitch_us
    open_end = False
    if judged:
        s = _last_jump(t, status, p, t[i] - rules.glitch_us)
        if s >= 0:
            q, _ = _spike_base(t, v, status, rules, p, i, True)
            if q >= 0:
                _mark(status, q + 1, i, DROPPED_SPIKE)
                return i, i + 1, short
            q = previous_believed(status, s)
            if q >= 0 and v[i] < v[q]:
                k, open_end = _find_return(
                    t, v, status, rules, q, i, pace, horizon, new_start, replaced_us, closing
                )
                if k >= 0:
                    flag = PENDING if open_end else 0
                    _mark(status, q + 1, i, DROPPED_SPIKE)
                    _mark(status, i, k, DROPPED_GLITCH | flag)
                    return (q, k, short) if t[k] >= replaced_us else (k, k + 1, short)
        k, open_end = _find_return(
            t, v, status, rules, p, i, pace, horizon, new_start, replaced_us, closing
        )
        if k >= 0:
            _mark(status, i, k, DROPPED_GLITCH | (PENDING if open_end else 0))
            return (p, k, short) if t[k] >= replaced_us else (k, k + 1, short)
        if not rules.resettable and (rules.rated == 0 or not new_start):
            q, cut = _spike_base(t, v, status, rules, p, i, False)
            short = short or cut
            if q >= 0:
                _mark(status, q + 1, i, DROPPED_SPIKE)
                return i, i + 1, short
    flag = PENDING if open_end else 0
    if rules.resettable:
        silent = v[i] >= rules.zero and (rules.rated == 0 or new_start)
        status[i] = (RESET_FROM_ZERO | SILENT if silent else RESET_UNSEEN) | flag
    elif rollover:
        status[i] = ROLLOVER | flag
    else:
        status[i] = (RESET_FROM_ZERO if new_start else RESET_UNSEEN) | flag
    return i, i + 1, short


@jit
def _settle_end(t: IntArray, status: StatusArray, rules: RuleRow, p: int) -> None:
    """Keep young leaps open, and leave one at the very end out until it has held for a gap."""
    unheld = -1
    same_segment = True
    for k in range(p, -1, -1):
        if t[p] - t[k] > rules.glitch_us:
            break
        if (status[k] & KIND_MASK) == JUMP:
            status[k] |= PENDING
            if same_segment and t[p] - t[k] < rules.gap_us:
                unheld = k
        same_segment = same_segment and not _starts_segment(status[k])
    if unheld >= 0:
        _mark(status, unheld, len(t), DROPPED_SPIKE | PENDING)


@jit
def first_disorder(t: IntArray, v: IntArray) -> int:
    """Return the first reading that is not later than the one before, or out of range, or -1."""
    for i in range(len(t)):
        if v[i] > LEVEL_LIMIT or v[i] < -LEVEL_LIMIT or (i > 0 and t[i] <= t[i - 1]):
            return i
    # Instants increase, so that the first and the last bound them all.
    if len(t) > 0 and t[0] < -TIME_LIMIT:
        return 0
    if len(t) > 0 and t[-1] > TIME_LIMIT:
        return len(t) - 1
    return -1


@jit
def classify(
    t: IntArray,
    v: IntArray,
    rules: RuleRow,
    replaced: IntArray,
    status: StatusArray,
) -> tuple[int, int, bool]:
    """Write the status of every reading of one series.

    Parameters
    ----------
    t
        Read instants, strictly increasing [us].
    v
        Register levels [1e-6 counts].
    rules
        Rules of the epoch.
    replaced
        Declared replacements in order of time: instant [us], register of the old device and of the
        new one or ``UNKNOWN`` [1e-6 counts].
    status
        Written; zeros before.

    Returns
    -------
    tuple
        Upper bounds of the number of findings and of gaps; whether earlier readings could change a
        decision.
    """
    n = len(t)
    slow = 0
    gaps = 0
    short = False
    jumped = False
    n_replaced = len(replaced)
    r = 0
    while r < n_replaced and n > 0 and replaced[r, 0] <= t[0]:
        r += 1
    next_us = replaced[r, 0] if r < n_replaced else NEVER
    rate = float(rules.rated) if rules.rated > 0 else np.inf
    slack = float(rules.resolution) * 1e6
    p = 0
    i = 1
    while i < n:
        span = t[i] - t[p]
        advance = v[i] - v[p]
        ordinary = advance >= 0 and float(advance) * 1e6 <= rate * float(span) + slack
        if ordinary and t[i] < next_us:
            gaps += span > rules.gap_us
            p = i
            i += 1
            continue
        slow += 1
        if t[i] >= next_us:
            status[i] = REPLACED
            while r < n_replaced and replaced[r, 0] <= t[i]:
                r += 1
                slow += 1
            next_us = replaced[r, 0] if r < n_replaced else NEVER
            p = i
            i += 1
        elif advance >= 0:
            if not _possible(rules, advance, _span_since_moved(t, v, status, p, i)):
                status[i] = JUMP
                jumped = True
            p = i
            i += 1
        else:
            noted = replaced[r, 1] if r < n_replaced else UNKNOWN
            p, i, cut = _decide_fall(t, v, status, rules, p, i, next_us, noted)
            short = short or cut
    if jumped:
        _settle_end(t, status, rules, p)
    return 2 * slow + 2, gaps + 2 * slow + 2, short
