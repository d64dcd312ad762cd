"""The kernel, polars and pandas over the same arrays in memory: the same sums per 15 minutes."""

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

from analytics.bench.made_up import BEGIN_US, MINUTE_US, MODULUS, make_up
from analytics.counters.account import CounterRules, account_many
from analytics.counters.levels import MICRO
from analytics.errors import BenchError

__all__ = ["measure_in_memory"]

_RUNS: Final = 5
_GRID_US: Final = 900 * MICRO
_RATED: Final = 10  # counts a second that the made-up meters could deliver
_FIRST_CALL: Final = (
    "import time\nimport numpy as np\n"
    "from analytics.counters.account import CounterRules, account\n"
    "begin = time.perf_counter()\n"
    "account(np.array([0, 60_000_000]), np.array([0, 1_000_000]), CounterRules(gap_s=300))\n"
    "print(time.perf_counter() - begin)\n"
)


def measure_in_memory(meters: int, days: int) -> dict[str, Any]:
    """Measure sums per quarter hour of readings that lie in memory.

    All contenders give the same sums, to the last millionth of a count: readings come some seconds
    after the minute, so that registers are interpolated at the quarters of an hour; some meters
    roll over and some are reset. What polars and pandas leave out is what the kernel decides beside
    that: replacement, spike, glitch, jump, gap, estimated share, measured time, findings.

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
    made = make_up(meters, minutes)
    raw = made.raw.T.reshape(-1).copy()
    late_us = made.late_ms.astype(np.int64) * 1000
    # A line asks its units one after the other.
    turn_us = np.arange(meters, dtype=np.int64)[:, np.newaxis] % 40 * 250_000 + 1
    time_us = (BEGIN_US + np.arange(minutes) * MINUTE_US + late_us + turn_us).reshape(-1)
    series = np.repeat(np.arange(meters, dtype=np.int32), minutes)
    level = raw * MICRO
    offsets = np.arange(meters + 1) * minutes
    rules = [
        CounterRules(gap_s=300, modulus_micro=MODULUS * MICRO, rated_micro_per_s=_RATED * MICRO)
    ] * meters

    def kernel() -> NDArray[np.int64]:
        return account_many(time_us, level, offsets, rules).advance_micro

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
        if not np.array_equal(sums[name], sums["kernel"]):
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
        "polars_and_pandas_leave_out": "replacement, spike, glitch, jump, gap, estimated share,"
        " measured time, findings; pandas uses one core",
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
    fall = pl.col("after") - pl.col("raw")

    def run() -> NDArray[np.int64]:
        steps = (
            frame.lazy()
            .with_columns(
                after=pl.col("raw").shift(-1).over("series"),
                until=pl.col("us").shift(-1).over("series"),
            )
            .drop_nulls("after")
            .with_columns(
                step=pl.when(fall >= 0)
                .then(fall)
                .when(fall + MODULUS <= _RATED * 60)
                .then(fall + MODULUS)
                .otherwise(pl.col("after"))
                * MICRO,
                start=pl.col("us") // _GRID_US,
                end=pl.col("until") // _GRID_US,
            )
            .with_columns(
                head=pl.when(pl.col("start") == pl.col("end"))
                .then(pl.col("step"))
                .otherwise(
                    pl.col("step")
                    * (pl.col("end") * _GRID_US - pl.col("us"))
                    // (pl.col("until") - pl.col("us"))
                )
            )
        )
        heads = steps.select("series", "start", part="head")
        tails = steps.filter(pl.col("start") != pl.col("end")).select(
            "series", start="end", part=pl.col("step") - pl.col("head")
        )
        sums = (
            pl.concat([heads, tails])
            .group_by("series", "start")
            .agg(pl.col("part").sum())
            .sort("series", "start")
            .collect()
        )
        found: NDArray[np.int64] = sums["part"].to_numpy()
        return found

    return run


def _pandas(
    series: NDArray[np.int32], time_us: NDArray[np.int64], raw: NDArray[np.int64]
) -> Callable[[], NDArray[np.int64]]:
    pd = _library("pandas")
    frame = pd.DataFrame({"series": series, "us": time_us, "raw": raw})

    def run() -> NDArray[np.int64]:
        held = frame.groupby("series", sort=False)
        after, until = held["raw"].shift(-1), held["us"].shift(-1)
        known = after.notna()
        us, of = frame["us"][known], frame["series"][known]
        after, until = after[known].astype("int64"), until[known].astype("int64")
        fall = after - frame["raw"][known]
        rolled = fall.where(fall >= 0, fall + MODULUS)
        step = rolled.where(rolled <= _RATED * 60, after) * MICRO
        start, end = us // _GRID_US, until // _GRID_US
        crosses = start != end
        head = step.where(~crosses, step * (end * _GRID_US - us) // (until - us))
        parts = pd.DataFrame(
            {
                "series": pd.concat([of, of[crosses]]),
                "start": pd.concat([start, end[crosses]]),
                "part": pd.concat([head, (step - head)[crosses]]),
            }
        )
        found: NDArray[np.int64] = (
            parts.groupby(["series", "start"])["part"].sum().to_numpy().astype(np.int64)
        )
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
