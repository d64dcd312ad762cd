"""From believed readings to advances on the interval grid.

Second pass of the counter accounting, compiled. The register at an interval's boundary lies on the
straight line between its two neighbouring believed readings and is cut once to the 1e-6 count
grid. An interval's advance is the difference of two such boundaries, so that the sum over any
window is a difference of two registers, whatever the intervals in between.
"""

from __future__ import annotations

from typing import NamedTuple

from analytics._jit import jit, parallel_jit, prange
from analytics.counters.decisions import (
    DROPPED_GLITCH,
    JUMP,
    KIND_MASK,
    PENDING,
    REFRESH_US,
    REPLACED,
    RESET_FROM_ZERO,
    RESET_UNSEEN,
    ROLLOVER,
    SILENT,
    UNKNOWN,
    IntArray,
    RuleRow,
    StatusArray,
    classify,
    first_disorder,
    is_dropped,
    previous_believed,
    rated_advance,
)

__all__ = [
    "F_ADVANCE",
    "F_AFTER",
    "F_BEFORE",
    "F_FIRST",
    "F_FLAGS",
    "F_KIND",
    "F_LAST",
    "F_WIDTH",
    "INCONSISTENT",
    "TOTALS_WIDTH",
    "Output",
    "classify_many",
    "integrate_many",
    "row_count",
    "share",
]

# Columns of a finding.
F_KIND, F_FIRST, F_LAST, F_BEFORE, F_AFTER, F_ADVANCE, F_FLAGS = range(7)
F_WIDTH = 7
TOTALS_WIDTH = 7
INCONSISTENT = 1  # flag beside PENDING: the noted registers do not fit the readings

_NARROW_US = 3_037_000_499  # squares of shorter spans stay inside 64 bits


class Output(NamedTuple):
    """Where a series' figures go: one row per interval, gap and finding."""

    advance: IntArray
    estimated: IntArray
    measured_us: IntArray
    readings: IntArray
    gaps: IntArray  # from, to [us], advance [1e-6 counts]
    findings: IntArray
    totals: IntArray  # gaps, findings, silent resets, unseen tail, left out, resume, last [us]


@jit
def share(advance: int, span: int, part: int) -> int:
    """Return floor(advance x part / span) exactly, for 0 <= part <= span < 2**53."""
    whole = advance // span
    rest = advance - whole * span
    if span < _NARROW_US:
        return whole * part + rest * part // span
    # rest x part needs more than 64 bits: long division, eight bits of `part` at a time.
    quotient = 0
    remainder = 0
    for shift in range(48, -1, -8):
        remainder = (remainder << 8) + rest * ((part >> shift) & 255)
        digit = remainder // span
        remainder -= digit * span
        quotient = (quotient << 8) + digit
    return whole * part + quotient


@jit
def _last_believed(status: StatusArray) -> int:
    k = len(status) - 1
    while k > 0 and is_dropped(status[k]):
        k -= 1
    return k


@jit
def row_count(
    t: IntArray, status: StatusArray, interval_us: int, from_us: int, to_us: int
) -> tuple[int, int]:
    """Return start of the first interval that has an advance [us], and how many there are."""
    if len(t) == 0:
        return 0, 0
    low = max(from_us, t[0])
    high = min(to_us, t[_last_believed(status)])
    if high <= low:
        return 0, 0
    first = low // interval_us
    return first * interval_us, (high - 1) // interval_us + 1 - first


@jit
def _add_span(
    out: Output,
    rules: RuleRow,
    start_us: int,
    from_us: int,
    to_us: int,
    a_us: int,
    b_us: int,
    advance: int,
    doubtful: bool,
    n_gaps: int,
) -> int:
    """Spread an advance over [a, b); return the number of gaps so far."""
    low = max(a_us, from_us)
    high = min(b_us, to_us)
    if high <= low:
        return n_gaps
    span = b_us - a_us
    gap = span > rules.gap_us
    if gap:
        out.gaps[n_gaps, 0] = a_us
        out.gaps[n_gaps, 1] = b_us
        out.gaps[n_gaps, 2] = advance
        n_gaps += 1
    row = (low - start_us) // rules.interval_us
    edge = start_us + (row + 1) * rules.interval_us
    # A gap inside one interval leaves that interval exactly known.
    guess = doubtful or (gap and (low > a_us or high < b_us or high > edge))
    done = share(advance, span, low - a_us)
    while low < high:
        cut = min(edge, high)
        reached = advance if cut == b_us else share(advance, span, cut - a_us)
        out.advance[row] += reached - done
        if guess:
            out.estimated[row] += reached - done
        if not gap:
            out.measured_us[row] += cut - low
        done = reached
        low = cut
        row += 1
        edge += rules.interval_us
    return n_gaps


@jit
def _replace(
    out: Output,
    rules: RuleRow,
    replaced: IntArray,
    start_us: int,
    from_us: int,
    to_us: int,
    a_us: int,
    a_level: int,
    b_us: int,
    b_level: int,
    n_gaps: int,
) -> tuple[int, int, int]:
    """Book a step in which devices were replaced: each on its own register.

    Returns the number of gaps, the advance, and ``INCONSISTENT`` if noted registers are missing or
    contradict the readings.
    """
    booked = 0
    flags = 0
    opening = a_level
    for r in range(len(replaced)):
        at_us = replaced[r, 0]
        if at_us <= a_us or at_us > b_us:
            continue
        closing = replaced[r, 1]
        advance = 0
        if closing == UNKNOWN or opening == UNKNOWN or closing < opening:
            flags = INCONSISTENT
        else:
            advance = closing - opening
        opening = replaced[r, 2]
        if at_us == b_us:
            tail, fits = _tail(opening, b_level)
            advance += tail
            flags = flags if fits else INCONSISTENT
        n_gaps = _add_span(
            out, rules, start_us, from_us, to_us, a_us, at_us, advance, False, n_gaps
        )
        booked += advance
        a_us = at_us
    if a_us < b_us:
        tail, fits = _tail(opening, b_level)
        flags = flags if fits else INCONSISTENT
        n_gaps = _add_span(out, rules, start_us, from_us, to_us, a_us, b_us, tail, False, n_gaps)
        booked += tail
    return n_gaps, booked, flags


@jit
def _tail(opening: int, level: int) -> tuple[int, bool]:
    if opening == UNKNOWN or level < opening:
        return 0, False
    return level - opening, True


@jit
def _step_advance(rules: RuleRow, status: int, before: int, after: int) -> int:
    kind = status & KIND_MASK
    if kind == ROLLOVER:
        return after - before + rules.modulus
    if kind == RESET_FROM_ZERO:
        return after - rules.zero
    if kind == RESET_UNSEEN:
        return 0
    return after - before


@jit
def _add_finding(
    out: Output,
    n: int,
    kind: int,
    first: int,
    last: int,
    before: int,
    after: int,
    advance: int,
    flags: int,
) -> int:
    row = out.findings[n]
    row[F_KIND] = kind
    row[F_FIRST] = first
    row[F_LAST] = last
    row[F_BEFORE] = before
    row[F_AFTER] = after
    row[F_ADVANCE] = advance
    row[F_FLAGS] = flags
    return n + 1


@jit
def _add_dropped(
    out: Output,
    t: IntArray,
    status: StatusArray,
    from_us: int,
    to_us: int,
    p: int,
    i: int,
    after: int,
    advance: int,
    n: int,
) -> int:
    """Note the runs of readings left out between ``p`` and ``i``; return the number of findings."""
    k = p + 1
    while k < i:
        kind = status[k] & KIND_MASK
        pending = status[k] & PENDING
        last = k
        while last + 1 < i and (status[last + 1] & KIND_MASK) == kind:
            last += 1
        # A leap that has not held yet is no spike yet either.
        named = JUMP if pending and kind > DROPPED_GLITCH else kind
        if from_us <= t[k] < to_us:
            n = _add_finding(out, n, named, k, last, p, after, advance, pending)
        k = last + 1
    return n


@jit
def _integrate(  # noqa: C901  # one pass over the readings; calls would not inline
    t: IntArray,
    v: IntArray,
    status: StatusArray,
    rules: RuleRow,
    replaced: IntArray,
    from_us: int,
    to_us: int,
    out: Output,
) -> None:
    """Fill the rows of one series; `row_count` says how many there are."""
    n = len(t)
    start_us, rows = row_count(t, status, rules.interval_us, from_us, to_us)
    n_gaps = n_findings = resets = tail = dropped = 0
    if n == 0:
        return
    p = 0
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if t[middle] < from_us:
            low = middle + 1
        else:
            high = middle
    if low > 0:
        p = low - 1
    while is_dropped(status[p]):
        p -= 1
    if from_us <= t[p] < to_us and rows > 0:
        out.readings[(t[p] - start_us) // rules.interval_us] += 1
    # Sums of the interval in which the last steps lay, kept in registers until it is left.
    row = 0
    inside_us = max(from_us, start_us)
    edge_us = inside_us
    if rows > 0:
        edge_us = min(to_us, start_us + rules.interval_us)
    advanced = measured = counted = 0
    i = p + 1
    while i < n and t[p] < to_us:
        if status[i] == 0:
            advance = v[i] - v[p]
            span = t[i] - t[p]
            if t[p] >= inside_us and t[i] < edge_us and span <= rules.gap_us:
                advanced += advance
                measured += span
                counted += 1
                p = i
                i += 1
                continue
            if (
                t[p] >= inside_us and edge_us <= t[i] < edge_us + rules.interval_us
                and t[i] < to_us and span <= rules.gap_us and row + 1 < rows
            ):  # fmt: skip
                # Over one edge, which every interval has once: what `_add_span` would do.
                reached = share(advance, span, edge_us - t[p])
                out.advance[row] += advanced + reached
                out.measured_us[row] += measured + edge_us - t[p]
                out.readings[row] += counted
                advanced, measured, counted = advance - reached, t[i] - edge_us, 1
                row += 1
                inside_us = edge_us
                edge_us = min(to_us, edge_us + rules.interval_us)
                p = i
                i += 1
                continue
            n_gaps = _add_span(
                out, rules, start_us, from_us, to_us, t[p], t[i], advance, False, n_gaps
            )
        else:
            first = i
            while i < n and is_dropped(status[i]):
                i += 1
            dropped += i - first
            if i == n:
                n_findings = _add_dropped(out, t, status, from_us, to_us, p, i, -1, 0, n_findings)
                break
            kind = status[i] & KIND_MASK
            flags = status[i] & PENDING
            if kind == REPLACED:
                n_gaps, advance, noted = _replace(
                    out, rules, replaced, start_us, from_us, to_us,
                    t[p], v[p], t[i], v[i], n_gaps,
                )  # fmt: skip
                flags |= noted
            else:
                advance = _step_advance(rules, status[i], v[p], v[i])
                n_gaps = _add_span(
                    out, rules, start_us, from_us, to_us, t[p], t[i], advance, kind == JUMP, n_gaps
                )
            n_findings = _add_dropped(out, t, status, from_us, to_us, p, i, i, advance, n_findings)
            if from_us <= t[i] < to_us:
                if status[i] & SILENT:
                    resets += 1
                    if rules.rated > 0:
                        tail += max(0, int(rated_advance(rules, t[i] - t[p]) / 1e6) - advance)
                elif kind != 0:
                    n_findings = _add_finding(out, n_findings, kind, i, i, p, i, advance, flags)
        if rows > 0:
            now = (t[i] - start_us) // rules.interval_us
            if now != row or not inside_us <= t[i] < edge_us:
                if 0 <= row < rows:
                    out.advance[row] += advanced
                    out.measured_us[row] += measured
                    out.readings[row] += counted
                advanced = measured = counted = 0
                row = now
                inside_us = max(from_us, start_us + row * rules.interval_us)
                edge_us = min(to_us, start_us + (row + 1) * rules.interval_us)
            if inside_us <= t[i] < edge_us and row < rows:
                counted += 1
        p = i
        i += 1
    if 0 <= row < rows:
        out.advance[row] += advanced
        out.measured_us[row] += measured
        out.readings[row] += counted
    out.totals[0] = n_gaps
    out.totals[1] = n_findings
    out.totals[2] = resets
    out.totals[3] = tail
    out.totals[4] = dropped
    last = _last_believed(status)
    out.totals[5] = _resume(t, v, status, last)
    out.totals[6] = t[last]


@jit
def _resume(t: IntArray, v: IntArray, status: StatusArray, last: int) -> int:
    """Return the believed reading up to which everything is decided [us]: a run may start there.

    Not later than when the register last moved, since its pace is measured from there.
    """
    p = last
    for k in range(len(t)):
        if status[k] & PENDING:
            p = max(k - 1, 0)
            while p > 0 and is_dropped(status[p]):
                p -= 1
            break
    level, until = v[p], t[p]
    q = previous_believed(status, p)
    while q >= 0 and v[q] == level and until - t[q] <= REFRESH_US:
        p = q
        q = previous_believed(status, p)
    return int(t[p])


@jit
def _rule_row(row: IntArray) -> RuleRow:
    return RuleRow(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])


@parallel_jit
def classify_many(
    t: IntArray,
    v: IntArray,
    offsets: IntArray,
    rules: IntArray,
    windows: IntArray,
    replaced: IntArray,
    replaced_offsets: IntArray,
    status: StatusArray,
    sizes: IntArray,
) -> None:
    """First pass over many series: statuses, and what the second pass needs to be allocated.

    ``sizes`` gets per series: first disorderly reading or -1, intervals, bounds of gaps and of
    findings, whether earlier readings could change a decision, start of the first interval [us].
    """
    for s in prange(len(offsets) - 1):
        a, b = offsets[s], offsets[s + 1]
        ra, rb = replaced_offsets[s], replaced_offsets[s + 1]
        rule = _rule_row(rules[s])
        sizes[s, 0] = first_disorder(t[a:b], v[a:b])
        if sizes[s, 0] < 0:
            findings, gaps, short = classify(t[a:b], v[a:b], rule, replaced[ra:rb], status[a:b])
            start_us, rows = row_count(
                t[a:b], status[a:b], rule.interval_us, windows[s, 0], windows[s, 1]
            )
            sizes[s, 1] = rows
            sizes[s, 2] = gaps
            sizes[s, 3] = findings
            sizes[s, 4] = short
            sizes[s, 5] = start_us


@parallel_jit
def integrate_many(
    t: IntArray,
    v: IntArray,
    offsets: IntArray,
    rules: IntArray,
    windows: IntArray,
    replaced: IntArray,
    replaced_offsets: IntArray,
    status: StatusArray,
    places: IntArray,
    out: Output,
) -> None:
    """Second pass: fill ``out``, each series at its ``places`` (rows, gaps, findings)."""
    for s in prange(len(offsets) - 1):
        a, b = offsets[s], offsets[s + 1]
        ra, rb = replaced_offsets[s], replaced_offsets[s + 1]
        i0, i1 = places[s, 0], places[s + 1, 0]
        own = Output(
            out.advance[i0:i1],
            out.estimated[i0:i1],
            out.measured_us[i0:i1],
            out.readings[i0:i1],
            out.gaps[places[s, 1] : places[s + 1, 1]],
            out.findings[places[s, 2] : places[s + 1, 2]],
            out.totals[s],
        )
        _integrate(
            t[a:b], v[a:b], status[a:b], _rule_row(rules[s]), replaced[ra:rb],
            windows[s, 0], windows[s, 1], own,
        )  # fmt: skip
