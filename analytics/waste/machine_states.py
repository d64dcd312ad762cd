"""States of a machine from its power, its status or its output, and what it uses while idle."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.waste.quarter_hours import QUARTERS_AN_HOUR, QuarterHours

__all__ = ["IdleEnergy", "MachineState", "PowerBands", "find_power_bands", "idle_energy",
           "states_by_output", "states_by_power"]  # fmt: skip

# Below this part of its usual top a machine is off.
_OFF_SHARE: Final = 0.02
_TOP: Final = 0.95
_FEWEST: Final = 96
# Neither mode may be rarer than one in twenty, nor nearer to the other than this.
_RAREST: Final = 0.05
_APART: Final = 3.0
_NEAREST_MEANS: Final = 0.70
# Of what would lie around the split if power were spread evenly between both modes.
_VALLEY: Final = 0.25
_VALLEY_WIDTH: Final = 0.20
_MAD: Final = 1.4826


class MachineState(enum.IntEnum):
    """What a machine did in a quarter-hour."""

    UNKNOWN = 0
    OFF = 1
    IDLE = 2
    RUNNING = 3


@dataclass(frozen=True, slots=True)
class PowerBands:
    """From which power on a machine idles, and from which it works [unit/h]."""

    idle_from: float
    running_from: float


@dataclass(frozen=True, slots=True)
class IdleEnergy:
    """What a machine used in idle states.

    Attributes
    ----------
    amount
        Energy while idle [unit].
    hours, running_hours
        Idle and working time [h].
    share
        Of all its energy; 0 .. 1.
    by_quarter
        Energy of each idle quarter-hour [unit], shape (n,); 0 in others.
    """

    amount: float
    hours: float
    running_hours: float
    share: float
    by_quarter: NDArray[np.float64]


def find_power_bands(used: QuarterHours) -> PowerBands | None:
    """Find the power bands off, idle and running of a machine.

    Parameters
    ----------
    used
        Energy by quarter-hours; two weeks or more [unit].

    Returns
    -------
    PowerBands or None
        None unless the machine clearly has two modes beside off.

    Notes
    -----
    The split of least variance within both sides (Otsu 1979) counts only if the modes are apart
    (Ashman's D from medians and median deviations, at least 3; Ashman et al. 1994) and hardly
    anything lies between them: power that is spread evenly, or one broad mode, has no idle band.
    """
    rates = used.rate[used.known]
    if len(rates) < _FEWEST:
        return None
    off_below = _OFF_SHARE * float(np.quantile(rates, _TOP))
    on = np.sort(rates[rates >= off_below])
    if off_below <= 0 or len(on) < _FEWEST:
        return None
    split = _split(on)
    lower, upper = on[:split], on[split:]
    if min(len(lower), len(upper)) < _RAREST * len(on):
        return None
    low, high = float(np.median(lower)), float(np.median(upper))
    spread = float(np.hypot(_mad(lower), _mad(upper)))
    if low > _NEAREST_MEANS * high or (high - low) * np.sqrt(2) < _APART * spread:
        return None
    middle = (low + high) / 2
    width = _VALLEY_WIDTH * (high - low)
    between = np.searchsorted(on, (middle - width / 2, middle + width / 2))
    if between[1] - between[0] > _VALLEY * _VALLEY_WIDTH * len(on):
        return None
    return PowerBands(off_below, middle)


def _split(ordered: NDArray[np.float64]) -> int:
    """Return how many of ordered values lie below the split of least variance within."""
    counts = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    below = sums[:-1] / counts
    above = (sums[-1] - sums[:-1]) / (len(ordered) - counts)
    return int(np.argmax(counts * (len(ordered) - counts) * (above - below) ** 2)) + 1


def _mad(values: NDArray[np.float64]) -> float:
    return _MAD * float(np.median(np.abs(values - np.median(values))))


def states_by_power(used: QuarterHours, bands: PowerBands) -> NDArray[np.int8]:
    """Tell a machine's states from its power.

    Parameters
    ----------
    used
        Energy by quarter-hours [unit].
    bands
        Declared or found [unit/h].

    Returns
    -------
    ndarray of int8
        A `MachineState` for each quarter-hour, shape (n,); a mean between the bands is that of the
        band it lies in.

    Notes
    -----
    Energy by machine state as in ISO 14955-1 (machine tools) and GB/T 32357; our own bands.
    """
    state = np.where(
        used.rate < bands.idle_from,
        MachineState.OFF,
        np.where(used.rate < bands.running_from, MachineState.IDLE, MachineState.RUNNING),
    )
    return np.where(used.known, state, MachineState.UNKNOWN).astype(np.int8)


def states_by_output(used: QuarterHours, made: QuarterHours, idle_from: float) -> NDArray[np.int8]:
    """Tell a machine's states from its output: idle draws power and makes nothing.

    Parameters
    ----------
    used
        Energy by quarter-hours [unit].
    made
        What its counter of pieces advanced by.
    idle_from
        Power from which on it is not off [unit/h].

    Returns
    -------
    ndarray of int8
        A `MachineState` for each quarter-hour, shape (n,).

    Notes
    -----
    A quarter-hour with any output is one of work (F12, F28).
    """
    state = np.where(
        made.amount > 0,
        MachineState.RUNNING,
        np.where(used.rate < idle_from, MachineState.OFF, MachineState.IDLE),
    )
    return np.where(used.known & made.known, state, MachineState.UNKNOWN).astype(np.int8)


def idle_energy(used: QuarterHours, states: NDArray[np.int8]) -> IdleEnergy:
    """Integrate a machine's power over its idle states.

    Parameters
    ----------
    used
        Energy by quarter-hours [unit].
    states
        A `MachineState` for each, shape (n,).

    Returns
    -------
    IdleEnergy
        Zero if it never idled.

    Notes
    -----
    Energy is what the registers advanced by in those quarter-hours, not power times time (F22).
    """
    idle = states == MachineState.IDLE
    by_quarter = np.where(idle, used.amount, 0.0)
    amount = float(by_quarter.sum())
    whole = float(used.amount[states != MachineState.UNKNOWN].sum())
    return IdleEnergy(
        amount,
        float(idle.sum()) / QUARTERS_AN_HOUR,
        float((states == MachineState.RUNNING).sum()) / QUARTERS_AN_HOUR,
        amount / whole if whole > 0 else 0.0,
        by_quarter,
    )
