"""Write boards and provisioning files for a Grafana that reads them from disk."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana.board import DATASOURCE_UID, site_board

__all__ = ["render"]

_PROVIDER = """\
apiVersion: 1
providers:
  - name: enpilot
    folder: Enpilot
    type: file
    allowUiUpdates: false
    options:
      path: {boards}
"""
# $NAMES are filled by Grafana from its own environment; the role may only read guarded views.
_SOURCE = """\
apiVersion: 1
datasources:
  - name: Enpilot
    uid: {uid}
    type: grafana-postgresql-datasource
    access: proxy
    url: $ENPILOT_GRAFANA_DATABASE_HOST
    user: $ENPILOT_GRAFANA_DATABASE_USER
    secureJsonData:
      password: $ENPILOT_GRAFANA_DATABASE_PASSWORD
    jsonData:
      database: $ENPILOT_GRAFANA_DATABASE
      sslmode: $ENPILOT_GRAFANA_DATABASE_SSLMODE
      postgresVersion: 1500
      timescaledb: false
    editable: false
"""


def render(folder: Path, timezone: str, boards: str) -> list[Path]:
    """Write everything below ``folder``; the same input gives the same bytes.

    Parameters
    ----------
    folder
        Gets ``boards``, ``provisioning/dashboards`` and ``provisioning/datasources``.
    timezone
        The sites' time zone.
    boards
        Where Grafana will find the boards, as it sees the disk.

    Returns
    -------
    list of Path
        The files written.
    """
    files = {
        "provisioning/dashboards/enpilot.yaml": _PROVIDER.format(boards=boards),
        "provisioning/datasources/enpilot.yaml": _SOURCE.format(uid=DATASOURCE_UID),
    }
    for language in ("zh", "en"):
        board = site_board(language, timezone)
        text = json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        files[f"boards/enpilot-site.{language}.json"] = text + "\n"
    written = []
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        written.append(file)
    return written
