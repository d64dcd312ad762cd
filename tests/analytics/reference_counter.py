"""The counter accounting once more, slow and plain: what the compiled one is compared with.

Written from the rules, over lists of believed readings and with Python's own whole numbers. It
shares no code with `analytics.counter_*`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction

HOUR = 3_600_000_000


@dataclass
class Rules:
    gap_us: int
    resettable: bool = False
    modulus: int = 0
    zero: int = 0
    rated: int = 0
    resolution: int = 1_000_000
    glitch_us: int = 7 * 24 * HOUR
    interval_us: int = 900_000_000


@dataclass
class Believed:
    """A reading that counts; `how` says how it follows the believed one before it."""

    i: int
    t: int
    v: int
    how: str = "step"
    pending: bool = False


@dataclass
class Decided:
    believed: list[Believed]
    dropped: dict[int, str] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)


def possible(rules: Rules, advance: int, span: int) -> bool:
    if rules.rated == 0:
        return True
    return float(advance) * 1e6 <= float(rules.rated) * float(span) + float(rules.resolution) * 1e6


NEW_SEGMENT = {"rollover", "replacement", "reset", "reset_unseen", "silent"}


def segment(believed: list[Believed]) -> list[Believed]:
    """The believed readings since the last reset, replacement or rollover, oldest first."""
    for k in range(len(believed) - 1, -1, -1):
        if believed[k].how in NEW_SEGMENT:
            return believed[k:]
    return believed[:]


def window_since_moved(line: list[Believed], until: int) -> int:
    """Time since the register of the last of `line` last moved, an hour at most looked back."""
    since = line[-1].t
    for b in reversed(line[:-1]):
        if b.v != line[-1].v or until - b.t > HOUR:
            break
        since = b.t
    return until - since


def pace(line: list[Believed]) -> float:
    best = 0.0
    for a, b in list(itertools.pairwise(line))[-16:]:
        if b.how != "jump":
            best = max(best, float(b.v - a.v) / float(b.t - a.t))
    return best


class Decider:
    def __init__(self, times, levels, rules, replacements):
        self.t, self.v, self.rules = times, levels, rules
        self.replacements = [r for r in replacements if times and r[0] > times[0]]
        self.out = Decided([Believed(0, times[0], levels[0])] if times else [])

    def leap(self, advance, span, ref, climb):
        if self.rules.rated:
            return not possible(self.rules, advance, span)
        return float(advance) >= 0.5 * float(climb) and float(advance) > 8.0 * ref * float(span)

    def plausible(self, advance, whole, span, ref):
        """A rollover or a new start that can have counted `advance` in `span`."""
        if advance < 0:
            return False
        if self.rules.rated:
            return possible(self.rules, advance, span)
        recent = 8.0 * ref * float(span) + float(self.rules.resolution)
        return advance <= whole // 10 or float(advance) <= recent

    def run(self) -> Decided:
        i = 1
        while i < len(self.t):
            i = self.step(i)
        self.end()
        return self.out

    def accept(self, i, how="step", pending=False):
        self.out.believed.append(Believed(i, self.t[i], self.v[i], how, pending))

    def drop(self, indices, why, pending=False):
        gone = set(indices)
        self.out.believed = [b for b in self.out.believed if b.i not in gone]
        for k in gone:
            self.out.dropped[k] = why
            self.out.pending.discard(k)
            if pending:
                self.out.pending.add(k)

    def step(self, i) -> int:
        line = segment(self.out.believed)
        p = line[-1]
        if any(p.t < r[0] <= self.t[i] for r in self.replacements):
            self.accept(i, "replacement")
        elif self.v[i] >= p.v:
            ok = possible(self.rules, self.v[i] - p.v, window_since_moved(line, self.t[i]))
            self.accept(i, "step" if ok else "jump")
        else:
            return self.fall(i, line)
        return i + 1

    def fall(self, i, line) -> int:
        rules, p = self.rules, line[-1]
        judged = not rules.resettable or rules.rated > 0
        ref = pace(line) if rules.rated == 0 and judged else 0.0
        span = self.t[i] - p.t
        new_start = self.plausible(self.v[i] - rules.zero, p.v - rules.zero, span, ref)
        rollover = (
            rules.modulus > 0
            and not rules.resettable
            and self.plausible(self.v[i] - p.v + rules.modulus, rules.modulus, span, ref)
        )
        horizon = rules.gap_us if rollover or rules.resettable else rules.glitch_us
        undecided = False
        if judged:
            # 1. A leap that is still open, and the register is back where it was before it.
            jumps = [
                k
                for k, b in enumerate(line)
                if b.how == "jump" and b.t >= self.t[i] - rules.glitch_us
            ]
            if jumps:
                before = self.spike_base(i, line, provable=True)
                if before is not None:
                    self.drop(range(line[before].i + 1, i), "spike")
                    self.accept(i)
                    return i + 1
                k = jumps[-1] - 1
                if k >= 0 and self.v[i] < line[k].v:
                    done = self.returned(line[: k + 1], i, ref, horizon, new_start, "spike")
                    if done[0] is not None:
                        return done[0]
            # 2. It falls and comes back.
            after, undecided = self.returned(line, i, ref, horizon, new_start, None)
            if after is not None:
                return after
            # 3. What came before was a spike, though none that could be proven then.
            if not rules.resettable and (rules.rated == 0 or not new_start):
                before = self.spike_base(i, line, provable=False)
                if before is not None:
                    self.drop(range(line[before].i + 1, i), "spike")
                    self.accept(i)
                    return i + 1
        if rules.resettable:
            silent = self.v[i] >= rules.zero and (rules.rated == 0 or new_start)
            self.accept(i, "silent" if silent else "reset_unseen", undecided)
        elif rollover:
            self.accept(i, "rollover", undecided)
        else:
            self.accept(i, "reset" if new_start else "reset_unseen", undecided)
        return i + 1

    def spike_base(self, i, line, *, provable):
        """Index in `line` of the reading to which reading `i` returns."""
        below = [k for k, b in enumerate(line) if b.v <= self.v[i]]
        if not below:
            return None
        q = below[-1]
        back = self.v[i] - line[q].v
        if self.t[i] - line[q].t > self.rules.glitch_us:
            return None
        steps = list(zip(line[q + 1 :], line[q + 2 :], strict=False))
        moved = sum(b.v - a.v for a, b in steps if b.how != "jump")
        if moved // 2 > back + self.rules.resolution:
            return None
        if not possible(self.rules, back, window_since_moved(line[: q + 1], self.t[i])):
            return None
        leapt = line[q + 1]
        if leapt.how == "jump":
            return q
        advance, span = leapt.v - line[q].v, leapt.t - line[q].t
        climb = line[-1].v - line[q].v
        if provable or float(advance) < 0.5 * float(climb):
            return None
        return q if float(advance) > 8.0 * pace(line[: q + 1]) * float(span) else None

    def returned(self, line, i, ref, horizon, new_start, why_since):
        """Look for the register's return to `line`; (next index to look at or None, undecided)."""
        base = line[-1]
        found, undecided = self.find_return(line, i, ref, horizon, new_start)
        if found is None:
            return None, undecided
        if why_since:
            self.drop(range(base.i + 1, i), why_since)
        self.drop(range(i, found), "glitch", undecided)
        if any(base.t < r[0] <= self.t[found] for r in self.replacements):
            return found, undecided
        self.accept(found)
        return found + 1, undecided

    def find_return(self, line, i, ref, horizon, new_start):
        base = line[-1]
        climb = base.v - self.v[i]
        changes = [r for r in self.replacements if r[0] > base.t]
        back = None
        below = i  # last reading under the line
        dips = [i]  # readings under the line since the last one on it
        leapt = False
        for k in range(i, len(self.t)):
            t, v = self.t[k], self.v[k]
            if changes and t >= changes[0][0]:
                at, closing, _ = changes[0]
                fits = closing is not None and closing >= base.v
                fits = fits and possible(self.rules, closing - base.v, at - base.t)
                return (k if fits else None), False
            if t - base.t > horizon:
                return None, False
            if v < base.v:
                if k > i and v < self.v[below]:
                    leapt = False
                elif k > i and self.leap(v - self.v[below], t - self.t[below], ref, climb):
                    leapt = True
                below = k
                dips.append(k)
                continue
            if not possible(self.rules, v - base.v, window_since_moved(line, t)):
                continue
            if dips:
                leapt = leapt or self.leap(v - self.v[below], t - self.t[below], ref, climb)
                stutter = not new_start and t - base.t <= self.rules.gap_us
                if not leapt and not stutter:
                    return None, False
            on_line = back is not None and v >= self.v[back]
            if on_line and possible(self.rules, v - self.v[back], t - self.t[back]):
                return back, False
            back, dips, leapt = k, [], False
        return back, True

    def end(self):
        believed = self.out.believed
        if not believed:
            return
        last = believed[-1].t
        line = {b.i for b in segment(believed)}
        unheld = None
        for b in believed:
            if b.how == "jump" and last - b.t <= self.rules.glitch_us:
                b.pending = True
                if unheld is None and b.i in line and last - b.t < self.rules.gap_us:
                    unheld = b.i
        if unheld is not None:
            self.drop(range(unheld, len(self.t)), "jump", pending=True)


@dataclass
class Result:
    intervals: dict[int, tuple[int, int, int, int]]  # start -> advance, estimated, measured, count
    gaps: list[tuple[int, int, int]]
    findings: list[tuple[str, int, int, int, int | None, int, bool]]
    silent: int
    dropped: dict[int, str]
    believed: list[Believed]


def pieces(a: Believed, b: Believed, rules: Rules, replacements):
    """The spans of one step: (from, to, advance, doubtful)."""
    if b.how == "replacement":
        spans = []
        start, opening = a.t, a.v
        for at, closing, opens in replacements:
            if a.t < at <= b.t:
                known = closing is not None and opening is not None and closing >= opening
                spans.append([start, at, closing - opening if known else 0])
                start, opening = at, opens
        tail = b.v - opening if opening is not None and b.v >= opening else 0
        if start == b.t:
            spans[-1][2] += tail
        else:
            spans.append([start, b.t, tail])
        return [(x, y, advance, False) for x, y, advance in spans]
    advance = {
        "step": b.v - a.v,
        "jump": b.v - a.v,
        "rollover": b.v - a.v + rules.modulus,
        "reset": b.v - rules.zero,
        "silent": b.v - rules.zero,
        "reset_unseen": 0,
    }[b.how]
    return [(a.t, b.t, advance, b.how == "jump")]


def account(  # noqa: C901  # the plain statement of the whole rule, to be read in one piece
    times, levels, rules: Rules, window=None, replacements=()
) -> Result:
    decided = Decider(list(times), list(levels), rules, list(replacements)).run()
    believed = decided.believed
    low, high = window or (-(10**30), 10**30)
    rows: dict[int, list[int]] = {}
    gaps: list[tuple[int, int, int]] = []
    booked: dict[int, int] = {}
    grid = rules.interval_us

    def row(start):
        return rows.setdefault(start, [0, 0, 0, 0])

    for a, b in itertools.pairwise(believed):
        for x, y, advance, doubtful in pieces(a, b, rules, replacements):
            booked[b.i] = booked.get(b.i, 0) + advance
            lo, hi = max(x, low), min(y, high)
            if hi <= lo:
                continue
            gap = y - x > rules.gap_us
            if gap:
                gaps.append((x, y, advance))
            cuts = [lo, *range((lo // grid + 1) * grid, hi, grid), hi]
            whole = cuts == [x, y]
            for c, d in itertools.pairwise(cuts):
                upto = [math.floor(Fraction(advance * (e - x), y - x)) for e in (c, d)]
                r = row(c // grid * grid)
                r[0] += upto[1] - upto[0]
                if doubtful or (gap and not whole):
                    r[1] += upto[1] - upto[0]
                if not gap:
                    r[2] += d - c
    for b in believed:
        if low <= b.t < high and b.t // grid * grid in rows:
            rows[b.t // grid * grid][3] += 1

    findings = []
    silent = 0
    names = {"reset_unseen": "reset"}
    for a, b in zip(believed, [*believed[1:], None], strict=True):
        end = b.i if b else len(times)
        k = a.i + 1
        while k < end:
            last = k
            same = decided.dropped[k]
            while last + 1 < end and decided.dropped[last + 1] == same:
                last += 1
            if low <= times[k] < high:
                after = b.i if b else None
                advance = booked[b.i] if b else 0
                findings.append((same, k, last, a.i, after, advance, k in decided.pending))
            k = last + 1
        if b and b.how != "step" and low <= b.t < high:
            if b.how == "silent":
                silent += 1
            else:
                how = names.get(b.how, b.how)
                findings.append((how, b.i, b.i, a.i, b.i, booked[b.i], b.pending))
    return Result(
        {s: tuple(r) for s, r in sorted(rows.items())}, gaps, findings, silent,
        decided.dropped, believed,
    )  # fmt: skip
