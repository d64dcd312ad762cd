"""``enpilot bench analytics``."""

from __future__ import annotations

import json as json_text
from pathlib import Path

import cyclopts

from analytics.bench.end_to_end import measure_end_to_end
from analytics.bench.in_memory import measure_in_memory
from analytics.workers import available_cores

__all__ = ["app"]

app = cyclopts.App(name="analytics", help="Measure the kernel, polars, pandas; the engine and SQL.")


@app.default
def analytics(
    *,
    json: Path | None = None,
    meters: int = 400,
    days: int = 7,
    kernel_days: int = 30,
    workers: int = 0,
) -> None:
    """Measure sums per interval in memory, and from database to database; made-up registers.

    Uses a scratch database on the server of ENPILOT_DATABASE_URL, else an embedded PostgreSQL.

    Parameters
    ----------
    json
        Also write the figures there.
    meters, days
        The works in the database: one reading a minute.
    kernel_days
        Days of as many meters in memory.
    workers
        Groups of points computed at once; as many as there are cores if 0.
    """
    figures = {
        **measure_in_memory(meters, kernel_days),
        **measure_end_to_end(meters, days, workers),
        "parameters": {
            "meters": meters, "days": days, "kernel_days": kernel_days,
            "workers": workers or available_cores(), "cores": available_cores(),
            "synthetic": True,
        },
    }  # fmt: skip
    text = json_text.dumps(figures, indent=2, ensure_ascii=False)
    print(text)
    if json is not None:
        json.write_text(text + "\n", "utf-8")
