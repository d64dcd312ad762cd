"""The five boards: what is on each, and the frame that they share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from dashboards.grafana import (
    queries,
    queries_enpi,
    queries_health,
    queries_load,
    queries_quality,
    queries_wall,
)
from dashboards.grafana.panels import SOURCE, SOURCE_TYPE, Look, Panel, panel_builder

__all__ = ["BOARDS", "VARIABLES", "Board", "Variable", "board_json", "board_uid"]


@dataclass(frozen=True, slots=True)
class Variable:
    """What a viewer chooses, or, without a name, what addresses of the portal are made of."""

    zh: str | None
    en: str | None
    sql: str
    multi: bool = False


VARIABLES: Final = {
    "site": Variable("厂区", "Site", queries.SITES),
    "enpi": Variable("指标", "Indicator", queries.ENPIS),
    "point": Variable("计量点", "Meter", queries.POINTS, multi=True),
    "account": Variable("供电户", "Account", queries.ACCOUNTS),
    "from_day": Variable(None, None, queries.FROM_DAY),
    "until_day": Variable(None, None, queries.UNTIL_DAY),
    "until_month": Variable(None, None, queries.UNTIL_MONTH),
    "until_year": Variable(None, None, queries.UNTIL_YEAR),
}


@dataclass(frozen=True, slots=True)
class Board:
    """One board.

    Attributes
    ----------
    name
        Part of its address.
    since, until
        Span that it opens with, in Grafana's words; "/d" and "/y" are the site's.
    variables
        What it lets choose, of `VARIABLES`.
    """

    name: str
    zh: str
    en: str
    since: str
    until: str
    refresh: str
    variables: tuple[str, ...]
    panels: tuple[Panel, ...]


def _label(y: int) -> Panel:
    return Panel("数据说明", "About these data", "table", queries.LABEL, ("label",),
                 "overview?t=${until_day}", (0, y, 24, 3))  # fmt: skip


_OVERVIEW = "overview?t=${until_day}"
_ENPI = "enpi/${enpi}?t=${until_year}"
_LOAD = "load?t=${until_day}"
_QUALITY = "quality?t=${until_month}"
_EXPLORE = "explore?t=${from_day}..${until_day}"
_RANGE = ("what", "actual", "target", "mark")

BOARDS: Final = (
    Board(
        "wall", "厂区看板", "Plant wall", "now/d", "now", "1m", ("site", "enpi"),
        (
            Panel("当前功率 (kW)", "Power now (kW)", "figure", queries_wall.POWER_NOW,
                  ("power", "usual_low", "usual_high", "mark"), "overview", (0, 0, 12, 6)),
            Panel("最近完整时段能耗", "Energy of the last complete period", "figure",
                  queries_wall.DAY_ENERGY, ("what", "actual", "expected", "mark"), _OVERVIEW,
                  (12, 0, 12, 6)),
            Panel("最近完整时段单耗", "Intensity of the last complete period", "figure",
                  queries_wall.DAY_INTENSITY, _RANGE, _OVERVIEW, (0, 6, 12, 6)),
            Panel("本年累计与目标", "Year to date and target", "figure",
                  queries_wall.YEAR_TO_DATE, _RANGE, _ENPI, (12, 6, 12, 6)),
            Panel("15分钟平均功率与通常范围 (kW)", "15-minute mean power and usual range (kW)",
                  "chart", queries_load.SITE_LOAD,
                  ("time", "power", "power_estimated", "usual_low", "usual_high"), _LOAD,
                  (0, 12, 16, 9)),
            Panel("正在告警", "Alerts that fire", "table", queries_wall.ALERTS,
                  ("severity", "alert", "since", "value"), "alerts", (16, 12, 8, 5)),
            Panel("数据截至", "Data until", "figure", queries_wall.FRESHNESS,
                  ("data_through", "online", "gateways", "mark"), "metering", (16, 17, 8, 4)),
            _label(21),
        ),
    ),
    Board(
        "enpi", "能效与目标路径", "EnPI and the path", "now-1y/y", "now/y", "10m",
        ("site", "enpi"),
        (
            Panel("本年累计：实绩、基期同期、目标、进度",
                  "Year to date: actual, base, target, progress", "figure",
                  queries_enpi.PROGRESS,
                  ("what", "actual", "base", "target", "progress", "cumulative_progress", "mark"),
                  _ENPI, (0, 0, 24, 5)),
            Panel("年末预测（80%区间）", "Year-end forecast (interval of 80 %)", "figure",
                  queries_enpi.YEAR_END,
                  ("what", "forecast", "forecast_low", "forecast_high", "target", "probability",
                   "required_change", "reason"), _ENPI, (0, 5, 24, 5)),
            Panel("各月单耗：实绩、基期同月、目标", "Months: actual, same month of base, target",
                  "chart", queries_enpi.MONTHS, ("time", "actual", "base", "target"), _ENPI,
                  (0, 10, 12, 9)),
            Panel("累计单耗与年末预测", "Year to date and year-end forecast", "chart",
                  queries_enpi.YEAR_SO_FAR,
                  ("time", "actual", "target", "forecast", "forecast_low", "forecast_high"),
                  _ENPI, (12, 10, 12, 9)),
            Panel("目标路径：各年", "The path, year by year", "chart", queries_enpi.PATH,
                  ("time", "target", "actual"), _ENPI, (0, 19, 8, 9)),
            Panel("各月数字", "Figures of the months", "table", queries_enpi.MONTH_FIGURES,
                  ("month", "energy", "energy_unit", "output", "output_unit", "actual", "base",
                   "target", "mark", "reason", "provisional", "reporting_completeness",
                   "estimated_share", "synthetic"), _ENPI, (8, 19, 16, 9)),
            _label(28),
        ),
    ),
    Board(
        "load", "负荷与需量", "Load and demand", "now-7d/d", "now", "5m",
        ("site", "point", "account"),
        (
            Panel("全厂15分钟平均功率与通常范围 P15–P85 (kW)",
                  "Site, 15-minute mean power and usual range P15–P85 (kW)", "chart",
                  queries_load.SITE_LOAD,
                  ("time", "power", "power_estimated", "usual_low", "usual_high"), _LOAD,
                  (0, 0, 24, 9)),
            Panel("月最大需量与申报需量 (kW)", "Peak of the month and declared demand (kW)",
                  "chart", queries_load.MONTH_MAXIMA, ("time", "maximum", "declared"),
                  "load?t=${until_month}", (0, 9, 12, 9)),
            Panel("最高的20个15分钟 (kW)", "The 20 highest quarter hours (kW)", "table",
                  queries_load.HIGHEST_QUARTER_HOURS,
                  ("at", "power", "usual_high", "deviation"), "load?t=${until_month}",
                  (12, 9, 12, 9)),
            Panel("各计量点15分钟平均功率 (kW)", "Meters, 15-minute mean power (kW)", "chart",
                  queries_load.METER_LOAD, ("time", "metric", "power"), _EXPLORE,
                  (0, 18, 12, 9)),
            Panel("各计量点日用电量 (kWh)", "Meters, energy per day (kWh)", "chart",
                  queries_load.ENERGY_PER_DAY, ("time", "metric", "energy"), _EXPLORE,
                  (12, 18, 12, 9)),
            _label(27),
        ),
    ),
    Board(
        "health", "采集与入库", "Edge and ingest", "now-24h", "now", "1m", ("site",),
        (
            Panel("网关与积压", "Gateways and backlog", "figure", queries_health.INTAKE,
                  ("online", "gateways", "late", "held_readings", "messages_refused",
                   "batches_lost"), "metering", (0, 0, 24, 5)),
            Panel("来源", "Sources", "table", queries_health.GATEWAYS,
                  ("source", "mark", "heard_at", "last_reading_ts", "due_s", "held_readings",
                   "oldest_held_ts", "units_down", "readings_stored", "readings_duplicated",
                   "readings_refused", "batches_lost", "reading_lag_s", "simulated"),
                  "metering", (0, 5, 24, 8)),
            Panel("每分钟读数（按读数时刻）", "Readings a minute, by their own time", "chart",
                  queries_health.ARRIVING, ("time", "metric", "readings_per_minute"),
                  "metering", (0, 13, 12, 8)),
            Panel("拒收", "Refused", "table", queries_health.REFUSED,
                  ("source", "code", "messages", "kept", "last_at", "sentence"), "metering",
                  (12, 13, 12, 8)),
            Panel("入库速度", "Ingest speed", "table", queries_health.SPEED,
                  ("worker", "last_commit_at", "group_batches", "group_readings", "commit_ms",
                   "readings_per_second"), "metering", (0, 21, 12, 7)),
            Panel("传输发现", "Findings in transport", "table",
                  queries_health.TRANSPORT_FINDINGS, ("severity", "finding", "at_ts", "meter"),
                  "metering", (12, 21, 12, 7)),
            _label(28),
        ),
    ),
    Board(
        "quality", "数据质量", "Data quality", "now-30d/d", "now", "10m", ("site", "point"),
        (
            Panel("完整率：计量点×日", "Completeness, meter by day", "matrix",
                  queries_quality.COMPLETENESS, ("time", "metric", "completeness"), _QUALITY,
                  (0, 0, 24, 9)),
            Panel("质量指数：各月", "Quality index of the months", "chart",
                  queries_quality.INDEX, ("time", "index_share", "known_share"), _QUALITY,
                  (0, 9, 8, 8)),
            Panel("质量指数：最近一月", "Quality index of the last month", "table",
                  queries_quality.METER_INDEX,
                  ("meter", "month", "index_share", "known_share", "failed", "provisional",
                   "reason"), _QUALITY, (8, 9, 16, 8)),
            Panel("发现", "Findings", "table", queries_quality.FINDINGS,
                  ("severity", "finding", "meter", "at_ts", "to_ts"), _QUALITY, (0, 17, 12, 8)),
            Panel("暂缓的数字", "Withheld figures", "table", queries_quality.WITHHELD,
                  ("indicator", "period_kind", "period_from", "period_through", "reason",
                   "coverage", "output_coverage", "reporting_completeness"), _QUALITY,
                  (12, 17, 12, 8)),
            Panel("估算占比", "Estimated share", "chart", queries_quality.ESTIMATED,
                  ("time", "metric", "estimated_share"), _QUALITY, (0, 25, 24, 7)),
            _label(32),
        ),
    ),
)  # fmt: skip


def board_uid(board: Board, look: Look) -> str:
    """Return what names a board in Grafana's addresses."""
    return f"enpilot-{board.name}-{look.language}"


def board_json(board: Board, look: Look, timezone: str) -> dict[str, Any]:
    """Build a board as Grafana stores it.

    Parameters
    ----------
    board
        One of `BOARDS`.
    look
        Language, theme and the portal's address.
    timezone
        The sites' zone: days and months are theirs, not the browser's.

    Returns
    -------
    dict
        Plain JSON of the first board schema, the one that file provisioning of every Grafana reads.
    """
    chinese = look.language == "zh"
    made = (
        builders.Dashboard(board.zh if chinese else board.en)
        .uid(board_uid(board, look))
        .tags(["enpilot", look.language])
        .timezone(timezone)
        .time(board.since, board.until)
        .refresh(board.refresh)
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("看板" if chinese else "Boards")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["enpilot", look.language])
            .as_dropdown(True)
            .include_vars(True)
        )
        .with_variable(
            builders.DatasourceVariable("source")
            .label("企业" if chinese else "Enterprise")
            .type(SOURCE_TYPE)
            .regex("/^Enpilot /")
        )
    )
    for name in (*board.variables, "from_day", "until_day", "until_month", "until_year"):
        made = made.with_variable(_variable(name, chinese=chinese))
    for number, panel in enumerate(board.panels, 1):
        made = made.with_panel(panel_builder(panel, number, look))
    text = json.dumps(made.build(), cls=JSONEncoder, sort_keys=True)
    plain: dict[str, Any] = json.loads(text)
    return plain


def _variable(name: str, *, chinese: bool) -> builders.QueryVariable:
    variable = VARIABLES[name]
    made = (
        builders.QueryVariable(name)
        .query(variable.sql)
        .datasource(SOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    if variable.zh is None or variable.en is None:
        return made.hide(dashboard.VariableHide.HIDE_VARIABLE)
    made = made.label(variable.zh if chinese else variable.en)
    if variable.multi:
        everything = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
        made = made.multi(True).include_all(True).current(everything)
    return made
