"""Register values as levels on the 1e-6 count grid, one per read instant (F36)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analytics.errors import LevelRangeError, ReadingOrderError

__all__ = ["MICRO", "collapse_readings", "to_level_micro"]

MICRO = 1_000_000  # levels per register count
_LIMIT = 2**62 - 1  # two levels differ by less than 2**63

IntArray = npt.NDArray[np.int64]


def to_level_micro(
    raw: npt.NDArray[np.integer] | npt.NDArray[np.floating], origin: int = 0
) -> IntArray:
    """Turn register numbers into levels relative to ``origin``.

    Parameters
    ----------
    raw
        Register numbers, integer or floating point [counts].
    origin
        A whole number near the registers [counts]; 0 unless they are above 4e12.

    Returns
    -------
    ndarray of int64
        (raw - origin) [1e-6 counts]; exact for integers, rounded half to even for floats.

    Raises
    ------
    LevelRangeError
        If a value is not finite, or more than 4.6e12 counts away from the origin.
    """
    values = np.asarray(raw)
    limit = _LIMIT // MICRO
    if np.issubdtype(values.dtype, np.integer):
        low, high = origin - limit, origin + limit
        wrong = _outside(values, low, high)
        _refuse(values, wrong, origin)
        if np.issubdtype(values.dtype, np.unsignedinteger) or abs(origin) > limit:
            # Differences that 64 bits hold, of numbers that they may not.
            near = [int(x) - origin for x in values.tolist()]
            return np.array(near, dtype=np.int64) * MICRO
        return (values.astype(np.int64) - origin) * MICRO
    real = values.astype(np.float64)
    _refuse(values, ~(np.abs(real - float(origin)) <= float(limit)), origin)
    # The whole counts and the fraction apart: their product with 1e6 would lose digits together.
    whole = np.floor(real)
    micro = np.rint((real - whole) * MICRO).astype(np.int64)
    levels: IntArray = (whole.astype(np.int64) - origin) * MICRO + micro
    return levels


def _outside(values: npt.NDArray[np.integer], low: int, high: int) -> npt.NDArray[np.bool_]:
    info = np.iinfo(values.dtype)
    wrong = np.zeros(values.shape, dtype=np.bool_)
    if low > int(info.min):
        wrong |= values < low if low <= int(info.max) else True
    if high < int(info.max):
        wrong |= values > high if high >= int(info.min) else True
    return wrong


def _refuse(
    values: npt.NDArray[np.integer] | npt.NDArray[np.floating],
    wrong: npt.NDArray[np.bool_],
    origin: int,
) -> None:
    if wrong.any():
        i = int(np.argmax(wrong))
        raise LevelRangeError(
            f"reading {i}: register {values[i]} cannot be held relative to {origin}: leave it out"
            " with a quality code, or choose an origin near the registers"
        )


def collapse_readings(
    time_us: IntArray, level_micro: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Bring readings into strictly increasing time and drop repetitions.

    Of several readings at one instant the first given one counts (give them ordered by batch, so
    that the lowest batch wins); those with another level are contradictions.

    Parameters
    ----------
    time_us
        Read instants [us since 1970, UTC], any order.
    level_micro
        Levels of the same length [1e-6 counts].

    Returns
    -------
    time_us, level_micro, contradictions : ndarray of int64
        The kept readings, and the indices (into the input) of those that contradict them.

    Raises
    ------
    ReadingOrderError
        If the arrays differ in length.
    """
    if len(time_us) != len(level_micro):
        raise ReadingOrderError(f"{len(time_us)} instants for {len(level_micro)} levels")
    step = np.diff(time_us)
    if (step > 0).all():
        return time_us, level_micro, np.empty(0, dtype=np.int64)
    order = np.argsort(time_us, kind="stable")
    time, level = time_us[order], level_micro[order]
    first = np.empty(len(time), dtype=np.bool_)
    first[0] = True
    np.not_equal(time[1:], time[:-1], out=first[1:])
    kept = np.flatnonzero(first)
    of_instant = np.cumsum(first) - 1
    contradictory = level != level[kept[of_instant]]
    return time[kept], level[kept], np.sort(order[contradictory])
