"""``enpilot bench ingest``."""

from __future__ import annotations

import json as json_text
import tempfile
from pathlib import Path

import cyclopts

from ingest.bench.load import Shape
from ingest.bench.scenarios import Bench

__all__ = ["app"]

app = cyclopts.App(name="ingest", help="Measure the ingest worker, a bare COPY and a plain loop.")


@app.default
def ingest(
    *,
    json: Path | None = None,
    seconds: float = 60.0,
    agents: int = 100,
    meters: int = 2,
    samples: int = 5,
    workers: int = 2,
) -> None:
    """Measure speed, loss, delay, memory and processor time; takes some four times ``seconds``.

    Uses a scratch database on the server of ENPILOT_DATABASE_URL, else an embedded PostgreSQL.

    Parameters
    ----------
    json
        Also write the figures there.
    seconds
        How long the main scenario runs [s]; the others are in proportion.
    agents, meters, samples
        Gateways, meters of ten series each behind every one, and instants in a message.
    workers
        Ingest workers that share the data.
    """
    with tempfile.TemporaryDirectory(prefix="enpilot-bench-") as folder:
        shape = Shape(agents=agents, meters=meters, samples=samples)
        figures = json_text.dumps(Bench(Path(folder), seconds, shape, workers).run(), indent=2)
    print(figures)
    if json is not None:
        json.write_text(figures + "\n", "utf-8")
