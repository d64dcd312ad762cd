"""Numbers that a source repeats under new times without having read them anew (F33)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Repeated", "mark_stale"]


@dataclass(slots=True)
class Repeated:
    """What a series showed last.

    Attributes
    ----------
    value
        The number, as text, so that whole numbers of 63 bits stay exact.
    since_us
        First time of an unbroken run of this number [µs since 1970].
    last_us
        Last time of the run [µs since 1970].
    """

    value: str
    since_us: int
    last_us: int


def mark_stale(
    state: Repeated | None, samples: Iterable[tuple[int, str]], limit_us: int
) -> tuple[Repeated | None, list[bool]]:
    """Say which samples of one series are stale.

    Parameters
    ----------
    state
        What the series showed before, None if nothing is known.
    samples
        Time [µs since 1970] and number of each new sample, in order of time. Samples from before
        the state's last one came late: they are not judged and change nothing.
    limit_us
        For how long a number may stay the same and still be read anew [µs].

    Returns
    -------
    state, stale
        What the series shows now, and for each sample whether it is stale.
    """
    stale = []
    for ts_us, value in samples:
        if state is not None and ts_us < state.last_us:
            stale.append(False)
        elif state is None or state.value != value:
            state = Repeated(value, ts_us, ts_us)
            stale.append(False)
        else:
            state = Repeated(value, state.since_us, ts_us)
            stale.append(ts_us - state.since_us > limit_us)
    return state, stale
