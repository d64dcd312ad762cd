"""What the boards are made of: types of the SDK, places, links, words in both languages."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.boards import BOARDS, VARIABLES, Board, board_json
from dashboards.grafana.colours import colour
from dashboards.grafana.columns import COLUMNS
from dashboards.grafana.panels import Look
from dashboards.grafana.render import LANGUAGES, render
from dashboards.grafana.sources import enterprise_sources
from dashboards.portal.catalogue import PAGES

PORTAL = "https://energy.example.org"
LOOKS = [Look(language, "light", PORTAL) for language in LANGUAGES]
BUILT = [
    pytest.param(board, look, id=f"{board.name}-{look.language}")
    for board in BOARDS for look in LOOKS
]  # fmt: skip


def built(board: Board, look: Look) -> dict[str, Any]:
    return board_json(board, look, "Asia/Shanghai")


@pytest.mark.parametrize(("board", "look"), BUILT)
def test_a_board_is_of_the_sdks_types(board: Board, look: Look) -> None:
    """Decoding leaves out what the types do not know: nothing may be lost."""
    plugins.register_default_plugins()
    plain = built(board, look)
    again = json.loads(json.dumps(Dashboard.from_json(plain), cls=JSONEncoder))
    assert again == plain


@pytest.mark.parametrize(("board", "look"), BUILT)
def test_no_panel_lies_on_another(board: Board, look: Look) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in built(board, look)["panels"]:
        place = panel["gridPos"]
        cells = set(itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        ))  # fmt: skip
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


@pytest.mark.parametrize(("board", "look"), BUILT)
def test_every_panel_leads_to_the_portal(board: Board, look: Look) -> None:
    """With explicit dates out of the database: Grafana's own are of the browser's zone."""
    plain = built(board, look)
    known = {v["name"] for v in plain["templating"]["list"]}
    for panel in plain["panels"]:
        (link,) = panel["links"]
        assert link["url"].startswith(f"{PORTAL}/s/${{site}}/"), panel["title"]
        assert f"lang={look.language}" in link["url"]
        path, _, query = link["url"].removeprefix(f"{PORTAL}/s/${{site}}/").partition("?")
        page = next(p for p in PAGES if path.split("/")[0] == p.path.split("/")[0]
                    and path.count("/") == p.path.count("/"))  # fmt: skip
        assert {part.partition("=")[0] for part in query.split("&")} <= {*page.query, "lang"}
        assert set(re.findall(r"\$\{(\w+)", link["url"])) <= known
        assert "__from" not in link["url"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "${source}"
            assert set(re.findall(r"\$\{(\w+):", target["rawSql"])) <= known, panel["title"]
            assert not re.search(r"\{[a-z_]+\}", re.sub(r"\$\{.*?\}", "", target["rawSql"]))


def test_a_band_is_filled_down_to_a_name_on_its_chart() -> None:
    bands = 0
    for board, look in itertools.product(BOARDS, LOOKS):
        for panel in built(board, look)["panels"]:
            said = [{p["id"]: p["value"] for p in o["properties"]}
                    for o in panel["fieldConfig"]["overrides"]]  # fmt: skip
            names = {one["displayName"] for one in said}
            edges = {one["custom.fillBelowTo"] for one in said if "custom.fillBelowTo" in one}
            assert edges <= names, panel["title"]
            bands += len(edges)
    assert bands == 6


def test_identities_are_unique() -> None:
    boards = [built(board, look) for board in BOARDS for look in LOOKS]
    assert len({board["uid"] for board in boards}) == len(boards) == 10
    assert len({board["title"] for board in boards}) == len(boards)
    for board in boards:
        assert len(board["uid"]) <= 40
        numbers = [panel["id"] for panel in board["panels"]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert board["timezone"] == "Asia/Shanghai"


def _chinese(text: str) -> bool:
    return any("一" <= letter <= "鿿" for letter in text)


def test_everything_shown_is_in_both_languages() -> None:
    for board in BOARDS:
        for panel in board.panels:
            assert _chinese(panel.zh), panel.en
            assert panel.en, panel.zh
            assert not _chinese(panel.en)
            assert set(panel.columns) - {"time", "metric"} <= set(COLUMNS), panel.en
    for name, column in COLUMNS.items():
        assert name == "label" or (_chinese(column.zh) and column.en and not _chinese(column.en))
        for code, mark in column.marks.items():
            assert _chinese(mark.zh), code
            assert mark.en, code
            assert mark.en != code or code.isalpha(), f"{code} has no words"
    for variable in VARIABLES.values():
        assert (variable.zh is None) == (variable.en is None)


def test_a_judgement_has_a_shape_with_its_colour() -> None:
    """And nothing else is green, amber or red."""
    judging = {colour(name, "light") for name in ("good", "warn-text", "bad")}
    for column in COLUMNS.values():
        assert column.paint is None or colour(column.paint, "light") not in judging
        for mark in column.marks.values():
            if colour(mark.paint, "light") in judging:
                assert mark.shape, mark


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_is_a_token(theme: Any) -> None:
    for board in BOARDS:
        text = json.dumps(board_json(board, Look("en", theme, PORTAL), "UTC"))
        tokens = {colour(name, theme) for name in (
            "act", "prev", "band", "acc", "ink", "ink2", "ink3", "good", "warn", "warn-text",
            "bad", "unknown", "data",
        )}  # fmt: skip
        assert set(re.findall(r"#[0-9A-Fa-f]{6}", text)) <= tokens


def test_rendering_again_writes_the_same_and_clears_what_is_gone(tmp_path: Path) -> None:
    sources = enterprise_sources(["works", "other"])

    def run() -> dict[str, bytes]:
        files = render(tmp_path, sources, timezone="UTC", boards="/b", portal=PORTAL, theme="light")
        return {str(file): file.read_bytes() for file in files}

    stale = tmp_path / "boards" / "enpilot-site.en.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    mine = tmp_path / "boards" / "my-own.json"
    mine.write_text("{}")
    first = run()
    assert not stale.exists()
    assert mine.exists()
    assert run() == first
    assert len(first) == 12
