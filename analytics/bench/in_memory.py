"""The kernel, polars and pandas over the same arrays in memory: sums per 15 minutes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.bench.made_up import BEGIN_US, MINUTE_US, make_up
from analytics.counters.account import CounterRules, account_many
from analytics.counters.levels import MICRO
from analytics.errors import BenchError

__all__ = ["measure_in_memory"]

_RUNS: Final = 5
_GRID_US: Final = 900 * MICRO
_FIRST_CALL: Final = (
    "import time\nimport numpy as np\n"
    "from analytics.counters.account import CounterRules, account\n"
    "begin = time.perf_counter()\n"
    "account(np.array([0, 60_000_000]), np.array([0, 1_000_000]), CounterRules(gap_s=300))\n"
    "print(time.perf_counter() - begin)\n"
)


def measure_in_memory(meters: int, days: int) -> dict[str, Any]:
    """Measure sums per quarter hour of readings that lie in memory.

    Clean registers, read on the minute: what the others can do too. They leave out what the kernel
    decides: rollover, reset, replacement, spike, gap, estimated share; and boundaries between
    readings, of which there are none here.

    Parameters
    ----------
    meters, days
        How many, at one reading a minute.

    Returns
    -------
    dict
        Figures by name: readings a second [1/s], ratios, first calls [s], versions.

    Raises
    ------
    BenchError
        If polars or pandas is not installed, or a sum is not the same.
    """
    minutes = days * 1440 + 1
    raw = make_up(meters, minutes, odd=False).raw.T.reshape(-1)
    time_us = np.tile(BEGIN_US + np.arange(minutes) * MINUTE_US, meters)
    series = np.repeat(np.arange(meters, dtype=np.int32), minutes)
    level = raw * MICRO
    offsets = np.arange(meters + 1) * minutes
    rules = [CounterRules(gap_s=300)] * meters

    def kernel() -> NDArray[np.int64]:
        accounts = account_many(time_us, level, offsets, rules)
        rows = accounts.advance_micro.reshape(meters, -1)
        return rows[:, : days * 96] // MICRO  # the last reading opens one more interval

    contenders = {
        "kernel": kernel,
        "polars": _polars(series, time_us, raw),
        "pandas": _pandas(series, time_us, raw),
    }
    sums = {name: run() for name, run in contenders.items()}  # does not count: compiles
    seconds = dict.fromkeys(contenders, float("inf"))
    # In turns, so that what else the machine does meets all of them.
    for _ in range(_RUNS):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    for name in ("polars", "pandas"):
        if not np.array_equal(sums[name], sums["kernel"].reshape(-1)):
            raise BenchError(f"{name} and the kernel do not sum to the same")
    speeds = {name: len(raw) / seconds[name] for name in contenders}
    cold, warm = _first_calls()
    return {
        "in_memory_readings": len(raw),
        **{f"{name}_readings_per_s": round(speed) for name, speed in speeds.items()},
        "ratio_polars": round(speeds["kernel"] / speeds["polars"], 2),
        "ratio_pandas": round(speeds["kernel"] / speeds["pandas"], 2),
        "first_call_cold_s": round(cold, 3),
        "first_call_from_disk_s": round(warm, 3),
        "polars_version": importlib.import_module("polars").__version__,
        "pandas_version": importlib.import_module("pandas").__version__,
        "polars_and_pandas_leave_out": "rollover, reset, replacement, spike, glitch, gap, estimated"
        " share, boundaries between readings; pandas uses one core",
    }


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise BenchError(
            f"to measure beside {name} it must be there: pip install {name}"
        ) from error


def _polars(
    series: NDArray[np.int32], time_us: NDArray[np.int64], raw: NDArray[np.int64]
) -> Callable[[], NDArray[np.int64]]:
    pl = _library("polars")
    frame = pl.DataFrame({"series": series, "us": time_us, "raw": raw})

    def run() -> NDArray[np.int64]:
        # A step belongs to the interval of the reading that it starts from.
        sums = (
            frame.lazy()
            .with_columns(
                step=pl.col("raw").shift(-1).over("series") - pl.col("raw"),
                start=pl.col("us") // _GRID_US,
            )
            .drop_nulls("step")
            .group_by("series", "start")
            .agg(pl.col("step").sum())
            .sort("series", "start")
            .collect()
        )
        found: NDArray[np.int64] = sums["step"].to_numpy()
        return found

    return run


def _pandas(
    series: NDArray[np.int32], time_us: NDArray[np.int64], raw: NDArray[np.int64]
) -> Callable[[], NDArray[np.int64]]:
    pd = _library("pandas")
    frame = pd.DataFrame({"series": series, "us": time_us, "raw": raw})

    def run() -> NDArray[np.int64]:
        step = frame.groupby("series", sort=False)["raw"].shift(-1) - frame["raw"]
        known = step.notna()
        sums = step[known].groupby([frame["series"][known], frame["us"][known] // _GRID_US]).sum()
        found: NDArray[np.int64] = sums.to_numpy().astype(np.int64)
        return found

    return run


def _first_calls() -> tuple[float, float]:
    """Return how long the first call takes in a new process, compiling, and compiled before [s]."""
    with tempfile.TemporaryDirectory(prefix="enpilot-bench-jit-") as cache:
        cold, warm = (
            float(
                subprocess.run(
                    [sys.executable, "-c", _FIRST_CALL],
                    env={**os.environ, "NUMBA_CACHE_DIR": cache},
                    check=True, capture_output=True, text=True,
                ).stdout
            )
            for _ in range(2)
        )  # fmt: skip
    return cold, warm
