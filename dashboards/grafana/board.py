"""The board of one site, for a wall or for exploration: power, energy, intensity, verdict."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard

from dashboards.grafana.queries import QUERIES, SITE_QUERY

__all__ = ["DATASOURCE_UID", "Language", "site_board"]

Language: TypeAlias = Literal["zh", "en"]
DATASOURCE_UID: Final = "enpilot"
_SOURCE = dashboard.DataSourceRef(type_val="grafana-postgresql-datasource", uid=DATASOURCE_UID)
# The portal's tokens: actual dark grey, base light grey, target blue (IBCS).
_ACTUAL, _BASE, _TARGET = "#3A434D", "#98A2AC", "#0B67A3"
_TITLES: Final = {
    "label": ("演示数据", "Demonstration data"),
    "verdict": ("本年累计与目标", "Year to date and target"),
    "live_power": ("当前功率 (kW)", "Power now (kW)"),
    "mean_power": ("15 分钟平均功率 (kW)", "15-minute mean power (kW)"),
    "energy_per_day": ("日用电量 (kWh)", "Energy per day (kWh)"),
    "intensity": (
        "单位产品能耗：实绩、基期同月、目标",
        "Intensity: actual, same month of base, target",
    ),
}
_COLUMNS: Final = {
    "actual": ("实绩", "actual", _ACTUAL),
    "base": ("基期同月", "base", _BASE),
    "target": ("目标", "target", _TARGET),
}


class _Rows(Dataquery):
    """A query of the PostgreSQL data source, which the SDK has no builder for."""

    def __init__(self, name: str) -> None:
        self._query = QUERIES[name]

    def to_json(self) -> dict[str, object]:
        """Return what Grafana stores of a target."""
        return {
            "refId": "A",
            "datasource": {"type": _SOURCE.type_val, "uid": _SOURCE.uid},
            "rawQuery": True,
            "editorMode": "code",
            "format": self._query.kind,
            "rawSql": self._query.sql,
        }


class _RowsBuilder(Builder[_Rows]):
    def __init__(self, name: str) -> None:
        self._rows = _Rows(name)

    def build(self) -> _Rows:
        return self._rows


def site_board(language: Language, timezone: str) -> dashboard.Dashboard:
    """Build the board.

    Parameters
    ----------
    language
        Of titles and columns.
    timezone
        The sites' zone: days and months are theirs, not the browser's.
    """
    column = ("zh", "en").index(language)
    board = (
        Dashboard("能效看板 Enpilot" if language == "zh" else "Enpilot site")
        .uid(f"enpilot-site-{language}")
        .tags(["enpilot", language])
        .timezone(timezone)
        .time("now-7d", "now")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            QueryVariable("site")
            .label(("厂区", "Site")[column])
            .query(SITE_QUERY)
            .datasource(_SOURCE)
            .refresh(dashboard.VariableRefresh.ON_DASHBOARD_LOAD)
        )
    )
    for name, y, x, width, height in (
        ("verdict", 0, 0, 18, 6),
        ("live_power", 0, 18, 6, 6),
        ("mean_power", 6, 0, 24, 9),
        ("energy_per_day", 15, 0, 12, 9),
        ("intensity", 15, 12, 12, 9),
        ("label", 24, 0, 24, 4),
    ):
        place = dashboard.GridPos(h=height, w=width, x=x, y=y)
        title = _TITLES[name][column]
        if QUERIES[name].kind == "table":
            board.with_panel(
                table.Panel()
                .title(title)
                .datasource(_SOURCE)
                .grid_pos(place)
                .no_value("—")
                .with_target(_RowsBuilder(name))
            )
        else:
            board.with_panel(_chart(name, title, place, column))
    return board.build()


def _chart(name: str, title: str, place: dashboard.GridPos, column: int) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(_SOURCE)
        .grid_pos(place)
        .line_width(1.6)
        .fill_opacity(0)
        # A gap is a gap.
        .span_nulls(False)
        .legend(
            VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
        .with_target(_RowsBuilder(name))
    )
    if name == "energy_per_day":
        return panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).axis_soft_min(0)
    if name == "mean_power":
        # An interval is named by its start and holds until the next.
        return panel.line_interpolation(common.LineInterpolation.STEP_AFTER).axis_soft_min(0)
    panel = panel.show_points(common.VisibilityMode.ALWAYS).point_size(6)
    for field, (zh, en, colour) in _COLUMNS.items():
        panel = panel.override_by_name(
            field,
            [
                dashboard.DynamicConfigValue("displayName", (zh, en)[column]),
                dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
            ],
        )
    return panel
