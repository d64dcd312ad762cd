"""``enpilot grafana``: render boards for file provisioning."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import cyclopts

from dashboards.grafana.render import render as render_files
from enpilot.errors import ConfigurationError

__all__ = ["app"]

app = cyclopts.App(name="grafana", help="Grafana boards as code.")


@app.command
def render(
    folder: Path,
    *,
    timezone: str = "Asia/Shanghai",
    boards: str = "/etc/grafana/boards",
) -> None:
    """Write boards, provider and data source below a folder.

    Parameters
    ----------
    folder
        Where to write.
    timezone
        The sites' time zone; days and months on the boards are theirs.
    boards
        Folder of the boards as Grafana sees it.
    """
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(f"--timezone {timezone!r}: no such time zone") from error
    for file in render_files(folder, timezone, boards):
        print(file)
