"""``enpilot bench edge``."""

from __future__ import annotations

import json as json_text
import tempfile
from pathlib import Path

import cyclopts

from edge_agent.bench.scenarios import Bench

__all__ = ["app"]

app = cyclopts.App(name="edge", help="Measure the edge agent, and plain loops beside it.")


@app.default
def edge(*, json: Path | None = None, seconds: float = 60.0) -> None:
    """Measure scans, speed, processor time, and what silent units cost; takes some minutes.

    Parameters
    ----------
    json
        Also write the figures there.
    seconds
        How long the main scenario is watched [s]; the others are in proportion.
    """
    with tempfile.TemporaryDirectory(prefix="enpilot-bench-") as folder:
        figures = json_text.dumps(Bench(Path(folder), seconds).run(), indent=2)
    print(figures)
    if json is not None:
        json.write_text(figures + "\n", "utf-8")
