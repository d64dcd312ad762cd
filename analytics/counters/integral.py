"""The integral of a gauge over time as advances on the grid: for meters without a counter.

Trapezoids between neighbouring readings, each rounded once to a 1e-6 of the gauge's unit times an
hour, so that a sum does not depend on where it began. Unlike a register's advance, what a gauge
would have shown in a gap is not known: nothing is booked there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.counters.account import Account

__all__ = ["integrate"]

_GRID_US: Final = 900 * 1_000_000
_PER_STEP: Final = 7200.0  # half the sum of two levels, us to 1e-6 h


def integrate(
    time_us: NDArray[np.int64],
    level: NDArray[np.float64],
    gap_us: int,
    window: tuple[int, int],
) -> Account | None:
    """Integrate a gauge over the quarters of an hour of a window.

    Parameters
    ----------
    time_us
        Read instants, strictly increasing, shape (n,) [us since 1970, UTC].
    level
        Finite levels of the same length, of any sign [counts].
    gap_us
        Neighbours further apart leave a hole [us].
    window
        What is booked, [from, to) [us].

    Returns
    -------
    Account or None
        Advances in 1e-6 count hours. Intervals of which nothing is known are absent; those beside a
        hole know ``measured_us`` of themselves. None if nothing lies in the window.
    """
    low, high = window
    step = np.diff(time_us)
    known = step <= gap_us
    if not len(step) or not known.any():
        return None
    energy = np.where(known, np.rint((level[:-1] + level[1:]) * step / _PER_STEP), 0.0)
    energy_micro = energy.astype(np.int64)
    edges = np.arange(low // _GRID_US * _GRID_US, high + _GRID_US, _GRID_US)
    edges = edges[edges < high + _GRID_US]
    bounds = np.clip(edges, low, high)
    booked = _at(bounds, time_us, energy_micro)
    measured = _at(bounds, time_us, np.where(known, step, 0))
    advance, spans = np.diff(booked), np.diff(measured)
    rows = np.flatnonzero(spans > 0)
    if not len(rows):
        return None
    start = edges[rows]
    inside = (time_us >= low) & (time_us < high)
    counts = np.diff(np.searchsorted(time_us[inside], edges))[rows]
    return Account(
        start_us=start,
        advance_micro=advance[rows],
        estimated_micro=np.zeros(len(rows), np.int64),
        measured_us=spans[rows],
        readings=counts.astype(np.int64),
        gaps=(),
        findings=(),
        silent_resets=0,
        unseen_tail_micro=None,
        dropped_readings=0,
        first_us=int(time_us[0]),
        last_us=int(time_us[-1]),
        resume_us=int(time_us[-1]),
        context_short=False,
    )


def _at(
    bounds: NDArray[np.int64], time_us: NDArray[np.int64], amount: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what has come together by each bound: of a step that holds it, its share of time."""
    total = np.concatenate(([0], np.cumsum(amount)))
    place = np.clip(np.searchsorted(time_us, bounds, "right") - 1, 0, len(amount) - 1)
    since, span = time_us[place], time_us[place + 1] - time_us[place]
    inside = np.clip(bounds - since, 0, span)
    # Products beyond 64 bits: whole numbers of any size, for the few steps that hold a bound.
    cut = [
        a * x // s for a, x, s in zip(
            amount[place].tolist(), inside.tolist(), span.tolist(), strict=True
        )
    ]  # fmt: skip
    return total[place] + np.array(cut, np.int64)
