"""Write boards and provisioning files for a Grafana that reads them from disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dashboards.grafana.boards import BOARDS, board_json, board_uid
from dashboards.grafana.colours import Theme
from dashboards.grafana.columns import Language
from dashboards.grafana.panels import Look
from dashboards.grafana.sources import DATABASE_VARIABLES, EnterpriseSource

__all__ = ["FOLDERS", "LANGUAGES", "render"]

LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")
FOLDERS: Final = {"zh": ("enpilot-zh", "Enpilot 中文"), "en": ("enpilot-en", "Enpilot English")}


def render(
    folder: Path,
    sources: Sequence[EnterpriseSource],
    *,
    timezone: str,
    boards: str,
    portal: str,
    theme: Theme,
) -> list[Path]:
    """Write everything below ``folder``; the same input gives the same bytes.

    Parameters
    ----------
    folder
        Gets ``boards``, ``provisioning/dashboards`` and ``provisioning/datasources``. Boards of
        ours that it has from before and that are no more go.
    sources
        Of the enterprises whose sites are shown.
    timezone
        The sites' time zone.
    boards
        Where Grafana will find the boards, as it sees the disk.
    portal
        Address of the portal.
    theme
        Of Grafana.

    Returns
    -------
    list of Path
        The files written.
    """
    # YAML is read with JSON in it; $NAMES are filled by Grafana from its own environment.
    files = {
        "provisioning/dashboards/enpilot.yaml": _pretty(_providers(boards)),
        "provisioning/datasources/enpilot.yaml": _pretty(_data_sources(sources)),
    }
    for language in LANGUAGES:
        look = Look(language, theme, portal)
        for board in BOARDS:
            name = f"boards/{language}/{board_uid(board, look)}.json"
            files[name] = _pretty(board_json(board, look, timezone))
    written = []
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        written.append(file)
    for file in (folder / "boards").rglob("enpilot-*.json"):
        if file not in written:
            file.unlink()
    return written


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _providers(boards: str) -> dict[str, object]:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": uid, "folder": title, "folderUid": uid, "type": "file",
                "allowUiUpdates": False, "options": {"path": f"{boards}/{language}"},
            }
            for language, (uid, title) in FOLDERS.items()
        ],
    }  # fmt: skip


def _data_sources(sources: Sequence[EnterpriseSource]) -> dict[str, object]:
    host, database, sslmode = (f"${name}" for name in DATABASE_VARIABLES)
    return {
        "apiVersion": 1,
        # An enterprise that is rendered no more loses its data source.
        "prune": True,
        "datasources": [
            source.settings(host, database, sslmode)
            | {"editable": False, "secureJsonData": {"password": f"${source.password_variable}"}}
            for source in sources
        ],
    }
