"""Readings of many series accounted in one go, where a register begins anew each side by itself.

F3, F28.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.counters.account import Account, Replacement, account_many
from analytics.counters.integral import integrate
from analytics.counters.levels import collapse_readings, to_level_micro
from analytics.counters.recode import Recoding
from analytics.counters.runs import join_accounts
from analytics.errors import LevelRangeError
from analytics.intervals.counter_facts import CounterEpoch
from analytics.intervals.readings import SeriesReadings

__all__ = ["Part", "account_parts"]


@dataclass(frozen=True, slots=True)
class Part:
    """Readings of a series by the meaning of an epoch, and the window to book [µs]."""

    readings: SeriesReadings
    epoch: CounterEpoch
    window: tuple[int, int]
    replacements: Sequence[Replacement]


def account_parts(parts: Sequence[Part]) -> list[Account | None]:
    """Return the account of each part; None if nothing measures there.

    Parameters
    ----------
    parts
        Readings, meaning and window of each.

    Returns
    -------
    list of Account or None
        In the order given.
    """
    found: list[list[Account]] = [[] for _ in parts]
    runs: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]] = []
    for number, part in enumerate(parts):
        if part.epoch.integrated:
            integral = _integral(part)
            found[number] += [] if integral is None else [integral]
        else:
            runs += [(number, *_levels(run, part.epoch.recoding)) for run in _runs(part.readings)]
    if runs:
        accounts = account_many(
            _joined([time_us for _, time_us, _ in runs]),
            _joined([level for _, _, level in runs]),
            np.cumsum([0, *(len(time_us) for _, time_us, _ in runs)]),
            [parts[number].epoch.rules for number, _, _ in runs],
            windows=np.array([parts[number].window for number, _, _ in runs], np.int64),
            replacements=[parts[number].replacements for number, _, _ in runs],
        )
        for place, (number, _, _) in enumerate(runs):
            found[number].append(accounts.series(place))
    return [join_accounts(of_part) if of_part else None for of_part in found]


def _integral(part: Part) -> Account | None:
    """Integrate a gauge; the first batch's reading of an instant counts, as for a register."""
    readings, recoding = part.readings, part.epoch.recoding
    raw = recoding.apply(readings.whole if recoding.reads_whole else readings.real)
    real = raw.astype(np.float64)
    order = np.argsort(readings.time_us, kind="stable")
    time_us, first = np.unique(readings.time_us[order], return_index=True)
    real = real[order][first]
    good = np.isfinite(real)
    return integrate(time_us[good], real[good], part.epoch.rules.gap_s * 1_000_000, part.window)


def _joined(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _runs(readings: SeriesReadings) -> list[SeriesReadings]:
    edges = np.flatnonzero(readings.begins[1:]) + 1
    if not len(edges):
        return [readings] if len(readings) else []
    return [
        readings.take(slice(a, b))
        for a, b in itertools.pairwise([0, *edges.tolist(), len(readings)])
        if b - a > 1  # one reading alone measures nothing
    ]


def _levels(
    readings: SeriesReadings, recoding: Recoding
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    raw = recoding.apply(readings.whole if recoding.reads_whole else readings.real)
    try:
        levels = to_level_micro(raw)
    except LevelRangeError:
        believable = np.abs(raw) < 4e12  # what the 1e-6 grid can hold; the rest is a fault
        levels = to_level_micro(np.where(believable, raw, 0))
    time_us, level_micro, _ = collapse_readings(readings.time_us, levels)
    return time_us, level_micro
