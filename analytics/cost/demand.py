"""Demand: the mean power of a sliding window, its maximum, and where the running one will end.

Pure functions over minutes; `analytics.cost.meter_minutes` makes them from readings. What is
computed here is never the billed figure: that is the billing meter's own register (F26).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.errors import CostError

__all__ = [
    "MINUTE_US",
    "Demand",
    "DemandForecast",
    "LeftOut",
    "Minutes",
    "added_minutes",
    "forecast_demand",
    "minutes_of_power",
    "reading_edges",
    "sliding_demand",
]

MINUTE_US: Final = 60 * 1_000_000
_HOUR_S: Final = 3600.0
_KW_DECIMALS: Final = 6
# Time of a window that may be unmeasured before it is no maximum: readings do not fall on minutes.
_WHOLE: Final = 1.0 - 1e-6


@dataclass(frozen=True, slots=True)
class Minutes:
    """Energy of successive minutes of one or more meters together.

    Attributes
    ----------
    start_us
        Start of the first minute [us since 1970, UTC], on a whole minute.
    kwh
        Energy of each, shape (n,); 0 where nothing is known [kWh].
    measured_s
        Time of each that lies between neighbouring readings without a gap, shape (n,) [s].
    before_us, after_us
        For each of the n + 1 edges the last instant at or before, and the first at or after it, at
        which every register was read, on whole minutes outwards [us]; between such instants energy
        is known, but not its place. None of a gauge, which proves nothing between two readings.
    """

    start_us: int
    kwh: NDArray[np.float64]
    measured_s: NDArray[np.float64]
    before_us: NDArray[np.int64] | None
    after_us: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Windows that end in [since, until] are no maxima, because time in them is unmeasured."""

    since: dt.datetime
    until: dt.datetime
    windows: int


@dataclass(frozen=True, slots=True)
class Demand:
    """The highest demand over a span, as computed.

    Attributes
    ----------
    kw
        Highest mean power of a whole window [kW]; None if no window was whole.
    at
        End of that window (the first of several).
    least_kw, most_kw
        What the registers prove that some window had at least, and the most that any can have had,
        since energy between two readings may have flowed at any time between them [kW]; None of a
        gauge.
    distribution_coverage
        Share of the span's time that lies between neighbouring readings; 0 .. 1.
    left_out
        Windows that could not be judged, as spans of their ends.
    """

    kw: float | None
    at: dt.datetime | None
    least_kw: float | None
    most_kw: float | None
    distribution_coverage: float
    left_out: tuple[LeftOut, ...]

    @property
    def windows_left_out(self) -> int:
        """How many windows could not be judged."""
        return sum(span.windows for span in self.left_out)


def sliding_demand(
    minutes: Minutes,
    since_us: int,
    until_us: int,
    *,
    window_s: int = 900,
    slide_s: int = 60,
    clock_offset_s: int = 0,
) -> Demand:
    """Return the highest demand of the windows that end in (since, until].

    Parameters
    ----------
    minutes
        Over the span and one window before it; windows that reach out of it are left out.
    since_us, until_us
        The span [us since 1970, UTC], on whole minutes.
    window_s, slide_s
        Length of the window and its step, whole minutes, `window_s` a multiple of `slide_s` [s].
    clock_offset_s
        How far the billing meter's clock is ahead: its windows end so much earlier [s].

    Returns
    -------
    Demand
        As computed, bounded by what the registers prove.

    Raises
    ------
    CostError
        If lengths are not whole minutes, or the window is no multiple of the slide.

    Notes
    -----
    F26: 15 minutes that slide by one are what Chinese utilities bill. Prefix sums: linear in the
    number of minutes. A window with unmeasured time is no maximum, however high.
    """
    if window_s % 60 or slide_s % 60 or window_s % slide_s or clock_offset_s % 60 or slide_s < 60:
        raise CostError(
            f"demand windows are whole minutes and a multiple of the slide: {window_s} s by "
            f"{slide_s} s, {clock_offset_s} s ahead"
        )
    width = window_s // 60
    n = len(minutes.kwh)
    ends = _ends(minutes, since_us, until_us, slide_s, clock_offset_s)
    span_low, span_high = (
        max(0, min(n, (at - minutes.start_us) // MINUTE_US)) for at in (since_us, until_us)
    )
    seconds = (until_us - since_us) / 1e6
    coverage = float(minutes.measured_s[span_low:span_high].sum()) / seconds if seconds else 0.0
    inside = (ends >= width) & (ends <= n)
    energy = np.concatenate(([0.0], np.cumsum(minutes.kwh)))
    measured = np.concatenate(([0.0], np.cumsum(minutes.measured_s)))
    low = np.where(inside, ends - width, 0)
    high = np.where(inside, ends, 0)
    whole = inside & (measured[high] - measured[low] >= window_s * _WHOLE)
    left_out = _left_out(minutes, ends, whole)
    if not whole.any():
        return Demand(None, None, None, None, min(1.0, coverage), left_out)
    # Differences of sums carry noise in their last digits; equal windows must be equal.
    demand = np.round((energy[high] - energy[low]) * _HOUR_S / window_s, _KW_DECIMALS)
    best = int(np.argmax(np.where(whole, demand, -np.inf)))
    least, most = _bounds(minutes, energy, low[whole], high[whole])
    return Demand(
        float(demand[best]),
        _instant(minutes.start_us + int(ends[best]) * MINUTE_US),
        None if least is None else least * _HOUR_S / window_s,
        None if most is None else most * _HOUR_S / window_s,
        min(1.0, coverage),
        left_out,
    )


def _ends(
    minutes: Minutes, since_us: int, until_us: int, slide_s: int, clock_offset_s: int
) -> NDArray[np.int64]:
    """Return where windows end, as minutes after the first one."""
    slide_us = slide_s * 1_000_000
    offset_us = clock_offset_s * 1_000_000
    first = (since_us + offset_us) // slide_us + 1
    last = (until_us + offset_us) // slide_us
    ends_us = np.arange(first, last + 1, dtype=np.int64) * slide_us - offset_us
    ends: NDArray[np.int64] = (ends_us - minutes.start_us) // MINUTE_US
    return ends


def _bounds(
    minutes: Minutes,
    energy: NDArray[np.float64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> tuple[float, float] | tuple[None, None]:
    """Return the least and the most that a window can have had, by the readings around it."""
    before, after = minutes.before_us, minutes.after_us
    if before is None or after is None:
        return None, None
    n = len(minutes.kwh)

    def at(edge_us: NDArray[np.int64]) -> NDArray[np.float64]:
        known: NDArray[np.float64] = energy[
            np.clip((edge_us - minutes.start_us) // MINUTE_US, 0, n)
        ]
        return known

    most = at(after[high]) - at(before[low])
    # Between readings further apart than the window nothing of it is proved.
    least = at(before[high]) - at(after[low])
    return max(0.0, float(least.max())), float(most.max())


def _left_out(
    minutes: Minutes, ends: NDArray[np.int64], whole: NDArray[np.bool_]
) -> tuple[LeftOut, ...]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~whole, [False])).astype(np.int8)))
    return tuple(
        LeftOut(
            _instant(minutes.start_us + int(ends[a]) * MINUTE_US),
            _instant(minutes.start_us + int(ends[b - 1]) * MINUTE_US),
            b - a,
        )
        for a, b in edges.reshape(-1, 2).tolist()
    )


def minutes_of_power(
    time_us: NDArray[np.int64], kw: NDArray[np.float64], gap_s: float, since_us: int, until_us: int
) -> Minutes:
    """Turn readings of a power gauge into minutes, by straight lines between them.

    Parameters
    ----------
    time_us
        Read instants, strictly increasing, shape (n,) [us since 1970, UTC].
    kw
        Power read then, shape (n,) [kW].
    gap_s
        Readings further apart leave a gap: unmeasured, nothing is booked [s].
    since_us, until_us
        Span on whole minutes [us].

    Returns
    -------
    Minutes
        Over the span; it bounds nothing.

    Raises
    ------
    CostError
        If instants do not increase or the arrays differ in length.

    Notes
    -----
    F26, for meters without a counter.
    """
    if len(time_us) != len(kw) or (len(time_us) > 1 and (np.diff(time_us) <= 0).any()):
        raise CostError(f"{len(kw)} powers for {len(time_us)} increasing instants")
    n = (until_us - since_us) // MINUTE_US
    edges = since_us + np.arange(n + 1, dtype=np.int64) * MINUTE_US
    if len(time_us) < 2:  # a line needs two ends
        nothing = np.zeros(n)
        return Minutes(since_us, nothing, nothing.copy(), None, None)
    step_s = np.diff(time_us) / 1e6
    known = step_s <= gap_s
    area = np.where(known, (kw[1:] + kw[:-1]) / 2 * step_s / _HOUR_S, 0.0)
    energy = _integral(time_us, kw, np.concatenate(([0.0], np.cumsum(area))), known, edges)
    time = np.interp(edges, time_us, np.concatenate(([0.0], np.cumsum(step_s * known))))
    return Minutes(since_us, np.diff(energy), np.diff(time), None, None)


def added_minutes(parts: Sequence[Minutes]) -> Minutes:
    """Add up minutes of several meters over the same span.

    Parameters
    ----------
    parts
        At least one, of one start and length.

    Returns
    -------
    Minutes
        Measured as far as each is; it bounds only if each does.

    Raises
    ------
    CostError
        If there are none, or their spans differ.

    Notes
    -----
    F26: the demand of several meters is the demand of their sum, never the sum of their maxima.
    """
    if len({(p.start_us, len(p.kwh)) for p in parts}) != 1:
        raise CostError(f"minutes of {len(parts)} meters do not have one span")
    before = [p.before_us for p in parts if p.before_us is not None]
    after = [p.after_us for p in parts if p.after_us is not None]
    bounds = len(before) == len(after) == len(parts)
    return Minutes(
        parts[0].start_us,
        np.sum([p.kwh for p in parts], axis=0),
        np.min([p.measured_s for p in parts], axis=0),
        np.min(before, axis=0) if bounds else None,
        np.max(after, axis=0) if bounds else None,
    )


def _integral(
    time_us: NDArray[np.int64],
    kw: NDArray[np.float64],
    energy: NDArray[np.float64],
    known: NDArray[np.bool_],
    at_us: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the integral of the line through the readings, up to instants [kWh]."""
    at = np.clip(at_us, time_us[0], time_us[-1])
    k = np.clip(np.searchsorted(time_us, at, "right") - 1, 0, len(time_us) - 2)
    into_s = (at - time_us[k]) / 1e6
    whole_s = (time_us[k + 1] - time_us[k]) / 1e6
    slope = (kw[k + 1] - kw[k]) / whole_s
    part = (kw[k] * into_s + slope * into_s**2 / 2) / _HOUR_S
    total: NDArray[np.float64] = energy[k] + np.where(known[k], part, 0.0)
    return total


def reading_edges(
    time_us: NDArray[np.int64], edges_us: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the readings around each edge, outwards on whole minutes.

    Parameters
    ----------
    time_us
        Read instants, increasing, shape (n,) [us since 1970, UTC].
    edges_us
        Whole minutes, shape (m,) [us].

    Returns
    -------
    before, after : ndarray of int64
        Each of shape (m,) [us]; the edge itself where nothing was read on that side (F26).
    """
    if not len(time_us):
        return edges_us, edges_us
    last = len(time_us) - 1
    before = time_us[np.clip(np.searchsorted(time_us, edges_us, "right") - 1, 0, last)]
    after = time_us[np.clip(np.searchsorted(time_us, edges_us, "left"), 0, last)]
    return (
        np.minimum(before, edges_us) // MINUTE_US * MINUTE_US,
        -(-np.maximum(after, edges_us) // MINUTE_US) * MINUTE_US,
    )


@dataclass(frozen=True, slots=True)
class DemandForecast:
    """Where the running window stands and will end.

    Attributes
    ----------
    began, ends
        The running window.
    minutes_left
        Until it ends [min].
    so_far_kw
        Mean power of the part that has run [kW].
    likely_kw, low_kw, high_kw
        Demand of the whole window if power goes on as in the recent minutes, and if it goes on as
        in the least and the most of them [kW].
    limit_kw
        Contract or own limit [kW]; None without one.
    allowed_kw
        Mean power that for the rest of the window would just keep the limit [kW]; negative if
        nothing can keep it any more; None without a limit, or at the end of the window.
    """

    began: dt.datetime
    ends: dt.datetime
    minutes_left: float
    so_far_kw: float
    likely_kw: float
    low_kw: float
    high_kw: float
    limit_kw: float | None
    allowed_kw: float | None

    @property
    def will_exceed(self) -> bool | None:
        """Whether the likely end is above the limit; None without a limit."""
        return None if self.limit_kw is None else self.likely_kw > self.limit_kw


def forecast_demand(
    minutes: Minutes,
    now_us: int,
    *,
    window_s: int = 900,
    clock_offset_s: int = 0,
    recent_s: int = 300,
    limit_kw: float | None = None,
) -> DemandForecast | None:
    """Forecast the demand at the end of the running window.

    Parameters
    ----------
    minutes
        Up to now, over the running window and the recent minutes.
    now_us
        The last instant that was read, to the whole minute [us since 1970, UTC].
    window_s, clock_offset_s
        As of `sliding_demand`; the running window is the one of the meter's clock (10:00, 10:15 …).
    recent_s
        From how much of the past the power is taken [s].
    limit_kw
        Contract or own limit [kW].

    Returns
    -------
    DemandForecast or None
        None if the recent minutes, or the window so far, are not wholly measured.

    Raises
    ------
    CostError
        If the limit is not above zero.

    Notes
    -----
    Energy so far plus recent power times what is left (F26, F38); bounded by the least and the most
    of the recent minutes, which is a range seen, not a confidence interval.
    """
    if limit_kw is not None and limit_kw <= 0:
        raise CostError(f"a limit of demand is above zero, not {limit_kw} kW")
    window_us = window_s * 1_000_000
    offset_us = clock_offset_s * 1_000_000
    began_us = (now_us + offset_us) // window_us * window_us - offset_us
    now = (now_us - minutes.start_us) // MINUTE_US
    first = (began_us - minutes.start_us) // MINUTE_US
    recent = now - recent_s // 60
    if min(first, recent) < 0 or now > len(minutes.kwh) or recent >= now:
        return None
    needed = slice(min(first, recent), now)
    if minutes.measured_s[needed].min() < 60 * _WHOLE:
        return None
    power = minutes.kwh[recent:now] * 60.0
    so_far_kwh = float(minutes.kwh[first:now].sum())
    ran_s = float(now - first) * 60.0
    left_s = window_s - ran_s

    def end(kw: float) -> float:
        return (so_far_kwh + kw * left_s / _HOUR_S) * _HOUR_S / window_s

    allowed = None
    if limit_kw is not None and left_s > 0:
        allowed = (limit_kw * window_s / _HOUR_S - so_far_kwh) * _HOUR_S / left_s
    return DemandForecast(
        _instant(began_us),
        _instant(began_us + window_us),
        left_s / 60.0,
        so_far_kwh * _HOUR_S / ran_s if ran_s > 0 else float(power.mean()),
        end(float(power.mean())),
        end(float(power.min())),
        end(float(power.max())),
        limit_kw,
        allowed,
    )


def _instant(us: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)
