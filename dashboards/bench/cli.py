"""``enpilot bench portal``."""

from __future__ import annotations

import json as json_text
from pathlib import Path

import cyclopts

from dashboards.bench.measure import measure_portal

__all__ = ["app"]

app = cyclopts.App(name="portal", help="Measure pages of a year of meters, users, memory.")


@app.default
def portal(
    *,
    json: Path | None = None,
    meters: int = 200,
    days: int = 365,
    users: int = 50,
    seconds: float = 20.0,
    pages: int = 20,
) -> None:
    """Measure the portal over HTTP on a made-up works; takes some two minutes.

    Uses a scratch database on the server of ENPILOT_DATABASE_URL, else an embedded PostgreSQL.

    Parameters
    ----------
    json
        Also write the figures there.
    meters, days
        The works: quarter hours, days and months of its meters.
    users
        Who walk through the pages at once, without a pause.
    seconds
        How long they walk [s].
    pages
        Held open with their sockets, to see what one takes of memory.
    """
    figures = {
        **measure_portal(meters, days, users, seconds, pages),
        "parameters": {
            "meters": meters, "days": days, "users": users, "seconds": seconds, "pages": pages,
            "synthetic": True,
        },
    }  # fmt: skip
    text = json_text.dumps(figures, indent=2, ensure_ascii=False)
    print(text)
    if json is not None:
        json.write_text(text + "\n", "utf-8")
