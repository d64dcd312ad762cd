"""Panels: what one shows, and how Grafana is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import stat, statushistory, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard

from dashboards.grafana.colours import Theme, colour
from dashboards.grafana.columns import COLUMNS, Language, overrides
from dashboards.portal.findings import FLOW_CODES

__all__ = ["SOURCE", "SOURCE_TYPE", "Look", "Panel", "in_language", "panel_builder"]

Form: TypeAlias = Literal["figure", "chart", "table", "matrix"]
SOURCE_TYPE: Final = "grafana-postgresql-datasource"
# The board's variable: each enterprise has a data source of its own, and a role behind it (D19).
SOURCE: Final = dashboard.DataSourceRef(type_val=SOURCE_TYPE, uid="${source}")


@dataclass(frozen=True, slots=True)
class Look:
    """What a rendering has of its own.

    Attributes
    ----------
    language, theme
        Of the boards.
    portal
        Address of the portal, without a slash at its end.
    """

    language: Language
    theme: Theme
    portal: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of a board.

    Attributes
    ----------
    zh, en
        Title.
    form
        "figure" for one row read from afar, "matrix" for meters by days.
    sql
        With the variables of the board and Grafana's macros.
    columns
        What the query returns; of a chart the first is ``time``, and with ``metric`` each meter has
        a line of its own.
    page
        Page of the portal behind the figure, below the site's address.
    place
        x, y, width, height in a grid of 24 columns.
    """

    zh: str
    en: str
    form: Form
    sql: str
    columns: tuple[str, ...]
    page: str
    place: tuple[int, int, int, int]

    def title(self, language: Language) -> str:
        """Return the title in a language."""
        return self.zh if language == "zh" else self.en


class _Rows(Dataquery):
    """A query of the PostgreSQL data source, which the SDK has no builder for."""

    def __init__(self, kind: str, sql: str) -> None:
        self._kind, self._sql = kind, sql

    def to_json(self) -> dict[str, object]:
        """Return what Grafana stores of a target."""
        return {
            "refId": "A",
            "datasource": {"type": SOURCE.type_val, "uid": SOURCE.uid},
            "rawQuery": True,
            "editorMode": "code",
            "format": self._kind,
            "rawSql": self._sql,
        }


class _RowsBuilder(Builder[_Rows]):
    def __init__(self, kind: str, sql: str) -> None:
        self._rows = _Rows(kind, sql)

    def build(self) -> _Rows:
        return self._rows


def in_language(sql: str, language: Language) -> str:
    """Fill in what differs between languages: columns of names, and the few words in a query."""
    codes = ", ".join(f"'{code}'" for code in FLOW_CODES)
    words = {
        "name": f"name_{language}", "language": language, "flow_codes": codes,
        "whole_site": "全厂" if language == "zh" else "Whole site",
    }  # fmt: skip
    for name, word in words.items():
        sql = sql.replace(f"{{{name}}}", word)
    return sql


def panel_builder(panel: Panel, number: int, look: Look) -> Any:  # SDK: builders share no base
    """Return the SDK's builder of a panel.

    Parameters
    ----------
    panel
        What it shows.
    number
        Its id on the board, from 1.
    look
        Language, theme and the portal's address.
    """
    x, y, width, height = panel.place
    made: Any = {"figure": _figure, "chart": _chart, "table": _table, "matrix": _matrix}[
        panel.form
    ](panel, look)
    kind = "time_series" if panel.form in {"chart", "matrix"} else "table"
    made = (
        made.id(number)
        .title(panel.title(look.language))
        .datasource(SOURCE)
        .grid_pos(dashboard.GridPos(h=height, w=width, x=x, y=y))
        .no_value("—")
        .links([_link(panel.page, look)])
        .with_target(_RowsBuilder(kind, in_language(panel.sql, look.language)))
    )
    if "metric" in panel.columns:
        return made
    for name in panel.columns:
        if name in COLUMNS:
            made = made.override_by_name(
                name, overrides(name, look.language, look.theme, in_chart=panel.form == "chart")
            )
    return made


def _link(page: str, look: Look) -> builders.DashboardLink:
    joint = "&" if "?" in page else "?"
    return (
        builders.DashboardLink("在门户中查看" if look.language == "zh" else "Open in the portal")
        .type(dashboard.DashboardLinkType.LINK)
        .url(f"{look.portal}/s/${{site}}/{page}{joint}lang={look.language}")
        .target_blank(True)
    )


def _figure(panel: Panel, look: Look) -> stat.Panel:
    del panel
    return (
        stat.Panel()
        .reduce_options(
            common_builders.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/.*/")
        )
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .justify_mode(common.BigValueJustifyMode.AUTO)
        .color_scheme(_fixed("ink", look.theme))
    )


def _table(panel: Panel, look: Look) -> table.Panel:
    del panel, look
    return table.Panel()


def _chart(panel: Panel, look: Look) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .line_width(1.6)
        .fill_opacity(0)
        # A gap is a gap.
        .span_nulls(False)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    )
    value = next(c for c in panel.columns if c not in {"time", "metric"})
    if value in {"actual", "target"}:
        # Months and years: dots and lines, and an axis that need not begin at zero.
        return made.show_points(common.VisibilityMode.ALWAYS).point_size(6)
    made = made.axis_soft_min(0)
    if "metric" in panel.columns:
        column = COLUMNS[value]
        made = made.unit(column.unit or "none").color_scheme(_shades("act", look.theme))
    if value in {"energy", "maximum"}:
        return made.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80)
    # An interval is named by its start and holds until the next.
    return made.line_interpolation(common.LineInterpolation.STEP_AFTER)


def _matrix(panel: Panel, look: Look) -> statushistory.Panel:
    del panel
    steps = ((None, "warn"), (0.9, "ink2"), (0.95, "ink3"), (0.98, "prev"), (0.999, "band"))
    return (
        statushistory.Panel()
        .unit("percentunit")
        .decimals(1)
        .show_value(common.VisibilityMode.NEVER)
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .thresholds(
            builders.ThresholdsConfig()
            .mode(dashboard.ThresholdsMode.ABSOLUTE)
            .steps([dashboard.Threshold(value, colour(t, look.theme)) for value, t in steps])
        )
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


def _fixed(token: str, theme: Theme) -> builders.FieldColor:
    return (
        builders.FieldColor()
        .mode(dashboard.FieldColorModeId.FIXED)
        .fixed_color(colour(token, theme))
    )


def _shades(token: str, theme: Theme) -> builders.FieldColor:
    """Meters have no colour of their own: shades of one tell them apart."""
    return (
        builders.FieldColor()
        .mode(dashboard.FieldColorModeId.SHADES)
        .fixed_color(colour(token, theme))
    )
