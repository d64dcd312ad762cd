"""The overview's parts that change by the second: power, alerts, gateways."""

from __future__ import annotations

import zoneinfo

from dashboards.portal.gateways import condition, condition_word, silent_meters
from dashboards.portal.live import Alert, Gateway, LiveState, Power
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.overview.words import quality_word
from dashboards.portal.state import empty, severity
from enpilot.text import (
    Language,
    age,
    counted,
    instant,
    number,
    pick,
    power,
    quantity,
)

__all__ = ["alerts", "gateways", "live_power"]

_STALE_S = 60.0  # a live value older than this, or three times its period, is not live
_METERS = 3  # shown live here; each meter has its own page
_STATES = {
    "firing": ("触发", "firing"),
    "acknowledged": ("已确认", "acknowledged"),
    "pending": ("待确认", "pending"),
    "resolved": ("已恢复", "resolved"),
    "ok": ("正常", "normal"),
}


def live_power(language: Language, state: LiveState, zone: zoneinfo.ZoneInfo) -> Safe:
    """Return the latest power of each point with its age and quality."""
    if not state.power:
        return empty(
            language,
            ("没有上报功率的电表。", "网关上线后，这里每秒更新。"),
            ("No meter reports its power.", "Once a gateway is online, this updates every second."),
        )
    more = len(state.power) - _METERS
    rest = pick(
        language, f"另有 {number(more)} 块表，见“采集”", f"{number(more)} more under Metering"
    )
    return join(
        *(_power(language, p, state, zone) for p in state.power[:_METERS]),
        tag("p", rest, cls="reference") if more > 0 else None,
    )


def _power(language: Language, item: Power, state: LiveState, zone: zoneinfo.ZoneInfo) -> Safe:
    old_s = max(0.0, (state.now - item.at).total_seconds())
    good = item.quality & 0xFF == 0 and item.value is not None
    stale = old_s > max(_STALE_S, 3.0 * (item.period_s or 0))
    name = pick(language, item.name_zh, item.name_en)
    shown = power(item.value) if good and item.value is not None and item.unit == "kW" else None
    if shown is None and good and item.value is not None:
        shown = quantity(language, item.value, item.unit)
    figure = tag("span", pick(language, "暂缓", "withheld"), cls="withheld-word")
    if shown is not None:
        figure = join(tag("span", shown.value, cls="value"), tag("span", shown.unit, cls="unit"))
    when = age(language, old_s)
    if stale:
        stands = instant(language, item.at.astimezone(zone))
        when = pick(language, f"◌ 停在{stands}，{when}", f"◌ stopped at {stands}, {when}")
    return tag(
        "div",
        tag("div", name, cls="label"),
        tag("div", figure, cls="figure stale" if stale else "figure", data_live=item.point,
            data_at=item.at.isoformat()),
        tag("div", when, " · ", quality_word(language, item.quality),
            cls="reference late" if stale else "reference"),
        cls="live",
    )  # fmt: skip


def alerts(language: Language, state: LiveState, zone: zoneinfo.ZoneInfo) -> Safe:
    """List the threshold rules with what fires first."""
    if not state.alerts:
        return empty(
            language,
            ("没有告警规则。", "在工厂文件中用 [[rule]] 添加。"),
            ("There is no alert rule.", "Add one to the plant file with [[rule]]."),
        )
    return tag("ul", *(_alert(language, a, zone) for a in state.alerts), cls="items")


def _alert(language: Language, item: Alert, zone: zoneinfo.ZoneInfo) -> Safe:
    active = item.state in ("firing", "acknowledged", "pending")
    sign = pick(language, "高于", "above") if item.comparison == "above" else pick(
        language, "低于", "below"
    )  # fmt: skip
    unit = item.unit or ""
    limit = pick(language, "限值", "limit")
    stated = number(item.threshold, 0 if item.threshold % 1 == 0 else 2)
    rule = f"{limit} {sign} {stated} {unit}".rstrip()
    if item.state is None:
        word = pick(language, "尚未评估", "not evaluated yet")
    else:
        word = pick(language, *_STATES.get(item.state, (item.state, item.state)))
    value = None
    if active and item.value is not None and unit not in ("d", "h"):
        value = tag("span", f"{number(item.value, 1)} {unit}".rstrip(), cls="right")
    since = None
    if item.since is not None and item.state != "ok":
        moment = instant(language, item.since.astimezone(zone))
        since = pick(language, f" · {moment}起", f" · since {moment}")
    mark = severity(item.severity) if active else tag("span", "–", cls="shape plain")
    return tag(
        "li",
        mark,
        tag(
            "div",
            tag("div", pick(language, item.name_zh, item.name_en), value),
            tag("div", tag("b", word) if active else word, f" · {rule}", since, cls="reference"),
        ),
        data_alert=item.code,
    )


def gateways(language: Language, state: LiveState, zone: zoneinfo.ZoneInfo) -> Safe:
    """List the gateways with what they last said."""
    if not state.gateways:
        return empty(
            language,
            ("本厂没有采集网关。", "在工厂文件中用 [[agent]] 与 [[line]] 登记网关后即可采集。"),
            ("This plant has no gateway.",
             "Register one in the plant file with [[agent]] and [[line]]."),
        )  # fmt: skip
    return tag("ul", *(_gateway(language, g, state, zone) for g in state.gateways), cls="items")


def _gateway(language: Language, item: Gateway, state: LiveState, zone: zoneinfo.ZoneInfo) -> Safe:
    now = state.now.astimezone(zone)
    mark = tag("span", "–", cls="shape plain")
    if condition(item, now) in ("silent", "offline") or item.units_down:
        mark = severity("warning")
    facts = [condition_word(language, item, now)]
    if item.units_down:
        facts.append(silent_meters(language, item.units_down))
    if item.last_reading_ts is not None:
        old = age(language, max(0.0, (state.now - item.last_reading_ts).total_seconds()))
        facts.append(pick(language, f"最近读数{old}", f"last reading {old}"))
    if item.held_readings:
        held = number(item.held_readings)
        facts.append(pick(language, f"待传{held}条", f"{held} waiting"))
    if item.messages_refused:
        zh = f"拒收{number(item.messages_refused)}条报文"
        facts.append(pick(language, zh, f"{counted(item.messages_refused, 'message')} refused"))
    kind = tag("span", pick(language, "模拟", "simulated"), cls="mark") if item.simulated else None
    return tag(
        "li",
        mark,
        tag("div", tag("div", item.agent_id, kind), tag("div", " · ".join(facts), cls="reference")),
        data_gateway=item.agent_id,
    )
