"""Made-up readings that look like a works' meters, for measuring what they cost to store.

Registers, types and resolutions are those of the shipped profile acrel-adl400: a secondary-side
image with one energy counter and 14 gauges. The load has shifts, machines that switch and noise
with memory; the voltage drifts. None of it is measured on a plant.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.rows import KIND_INT, Readings, batch_number, concatenate

__all__ = ["agent_readings", "imported_readings"]

_START_US: Final = 1_767_225_600_000_000  # 2026-01-01T00:00Z, a Thursday
_BATCH_S: Final = 10
# Series of one meter, each with its register's resolution.
_GAUGES: Final = (
    "voltage.L1", "voltage.L2", "voltage.L3", "current.L1", "current.L2", "current.L3",
    "frequency", "active_power.L1", "active_power.L2", "active_power.L3", "active_power",
    "reactive_power", "apparent_power", "power_factor",
)  # fmt: skip
_SERIES_A_METER: Final = 1 + len(_GAUGES)

_Numbers = NDArray[np.float64]


def agent_readings(
    meters: int,
    period_s: int,
    hours: float,
    *,
    seed: int,
    first_series: int = 1,
    stream_no: int = 1,
) -> Readings:
    """Return what an agent publishes: scheduled instants, delays, batches of ten seconds.

    Parameters
    ----------
    meters, period_s, hours
        How many meters, read how often [s], for how long [h].
    seed
        Of the random numbers; the same seed makes the same rows.
    first_series, stream_no
        Numbers to begin with.

    Returns
    -------
    Readings
        ``meters`` * 15 series.
    """
    rng = np.random.default_rng(seed)
    n = int(hours * 3600 // period_s)
    ts_us = _START_US + np.arange(n, dtype=np.int64) * period_s * 1_000_000
    seq = 1 + np.arange(n, dtype=np.int64) * period_s // max(_BATCH_S, period_s)
    parts = []
    for meter in range(meters):
        # A block is read in one request: all of its series share the delay. The line's place in
        # the scan makes the base, the meter and the network the rest.
        late_ms = 4 + 9 * (meter % 8) + rng.gamma(2.0, 2.5, n)
        late_ms += np.where(rng.random(n) < 0.002, rng.uniform(50, 400, n), 0)
        parts += [
            _series(
                ts_us, first_series + meter * _SERIES_A_METER + place, counts,
                late_ms.astype(np.int16), batch_number(stream_no, 0) + seq,
            )
            for place, counts in enumerate(_meter(rng, n, period_s))
        ]  # fmt: skip
    return concatenate(parts)


def imported_readings(
    meters: int, period_s: int, days: float, *, seed: int, first_series: int = 1, stream_no: int = 2
) -> Readings:
    """Return what files bring: an energy counter and a mean power a meter, on whole minutes."""
    rng = np.random.default_rng(seed)
    n = int(days * 86_400 // period_s)
    ts_us = _START_US + np.arange(n, dtype=np.int64) * period_s * 1_000_000
    seq = 1 + np.arange(n, dtype=np.int64) // 10_000
    parts = []
    for meter in range(meters):
        energy, *gauges = _meter(rng, n, period_s)
        for place, counts in enumerate((energy, gauges[_GAUGES.index("active_power")])):
            parts.append(
                _series(
                    ts_us, first_series + 2 * meter + place, counts, np.zeros(n, np.int16),
                    batch_number(stream_no, 0) + seq,
                )
            )  # fmt: skip
    return concatenate(parts)


def _series(
    ts_us: NDArray[np.int64],
    series_id: int,
    counts: NDArray[np.int64],
    late_ms: NDArray[np.int16],
    batch: NDArray[np.int64],
) -> Readings:
    n = len(ts_us)
    return Readings(
        ts_us, np.full(n, series_id, np.int32), np.full(n, KIND_INT, np.int8), counts,
        np.zeros(n), np.zeros(n, np.int16), late_ms, batch,
    )  # fmt: skip


def _meter(rng: np.random.Generator, n: int, period_s: int) -> list[NDArray[np.int64]]:
    """Return the registers of one meter, the energy counter first [register counts]."""
    load = _load(rng, n, period_s)
    volts = [230 + _drift(rng, n, period_s, 900, 1.5) + rng.normal(0, 0.12, n) for _ in range(3)]
    shares = [np.clip(1 / 3 + _drift(rng, n, period_s, 3600, 0.02), 0.2, 0.5) for _ in range(3)]
    factor = np.clip(0.88 + _drift(rng, n, period_s, 1800, 0.03), 0.6, 0.99)
    powers = [load * share * (1 + rng.normal(0, 0.002, n)) for share in shares]  # [W], secondary
    total = powers[0] + powers[1] + powers[2]
    apparent = total / factor
    frequency = 50 + _drift(rng, n, period_s, 120, 0.015)
    counter = rng.integers(10**5, 10**7) + np.cumsum(total) * period_s / 3.6e6 / 0.01
    columns = [counter]
    columns += [volt / 0.1 for volt in volts]
    columns += [p / v / factor / 0.01 for p, v in zip(powers, volts, strict=True)]
    columns.append(frequency / 0.01)
    columns += [p / 1 for p in powers]  # 0.001 kW
    columns += [total, np.sqrt(np.maximum(apparent**2 - total**2, 0)), apparent, factor / 0.001]
    return [np.floor(column).astype(np.int64) for column in columns]


def _load(rng: np.random.Generator, n: int, period_s: int) -> _Numbers:
    """Return a secondary-side load [W]: shifts, machines that switch, noise with memory."""
    hour = np.arange(n) * period_s / 3600 % 24
    shift = np.where((hour > 7.5) & (hour < 18), 1.0, 0.35)
    machines = np.zeros(n)
    for size in rng.uniform(60, 500, 6):
        flips = rng.random(n) < period_s / rng.uniform(300, 3600)
        machines += size * (np.cumsum(flips) % 2)
    return (150 + machines * shift) * (1 + _drift(rng, n, period_s, 60, 0.015))


def _drift(
    rng: np.random.Generator, n: int, period_s: int, memory_s: float, spread: float
) -> _Numbers:
    """Return noise that remembers ``memory_s`` and has a standard deviation of ``spread``."""
    keep = np.exp(-period_s / memory_s)
    return _autoregressive(rng.normal(0, spread * np.sqrt(1 - keep**2), n), keep)


def _autoregressive(steps: _Numbers, keep: float) -> _Numbers:
    """Return ``x[i] = keep * x[i-1] + steps[i]``."""
    # In pieces: powers of keep over the whole length would leave the range of a float.
    piece = max(1, min(len(steps), int(-20 / np.log(keep)))) if keep < 1 else len(steps)
    result = np.empty_like(steps)
    last = 0.0
    for start in range(0, len(steps), piece):
        part = steps[start : start + piece]
        powers = keep ** np.arange(1, len(part) + 1)
        result[start : start + piece] = powers * (last + np.cumsum(part / powers))
        last = float(result[start + len(part) - 1])
    return result
