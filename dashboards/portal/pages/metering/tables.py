"""Tables of the page on data intake: where data come from, what was refused, who writes."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

from dashboards.portal.gateways import condition, silent_meters
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.pages.metering.model import Intake, Origin, Refusals, Worker
from dashboards.portal.pages.metering.words import kind_word, reason_word, state_word
from dashboards.portal.state import empty, severity, synthetic
from enpilot.text import DASH, Language, age, counted, duration, moment, number, pick

__all__ = ["origins_table", "refusals_table", "workers_table"]


class _Column(NamedTuple):
    zh: str
    en: str
    cls: str | None = None


_Cells = list[Safe | str]
_NUMBER: Final = "num"
_WHOLE: Final = "whole"  # takes a line of its own on the phone
_ORIGIN: Final = (
    _Column("名称", "Name"), _Column("状态", "State", _WHOLE),
    _Column("最近读数", "Newest reading", _WHOLE), _Column("滞后", "Lag", _NUMBER),
    _Column("已存读数", "Stored", _NUMBER), _Column("重复读数", "Sent twice", _NUMBER),
    _Column("收到批次", "Batches", _NUMBER), _Column("上一组", "Last group", _NUMBER),
    _Column("拒收报文", "Refused", _NUMBER), _Column("丢失批次", "Lost", _NUMBER),
    _Column("待传读数", "Held", _NUMBER),
)  # fmt: skip
_REFUSAL: Final = (
    _Column("来源", "Source"), _Column("原因", "Reason", _WHOLE),
    _Column("报文", "Messages", _NUMBER), _Column("待处理", "Open", _NUMBER),
    _Column("最近一次", "Last", _WHOLE), _Column("说明", "Because", "note"),
)  # fmt: skip
_WORKER: Final = (
    _Column("进程", "Worker"), _Column("启动", "Started"), _Column("上次提交", "Last commit"),
    _Column("提交用时", "Commit time", _NUMBER), _Column("上一组", "Last group", _NUMBER),
    _Column("累计批次", "Batches", _NUMBER), _Column("累计读数", "Readings", _NUMBER),
)  # fmt: skip


def origins_table(language: Language, page: Intake) -> Safe:
    """Return gateways and other publishers with what was counted of them."""
    if not page.origins:
        return empty(
            language,
            ("没有采集网关，也没有其他来源。",
             "在工厂文件中用 [[agent]] 登记网关，或运行 enpilot ingest publishers。"),
            ("There is neither a gateway nor another source.",
             "Register one in the plant file with [[agent]], or run enpilot ingest publishers."),
        )  # fmt: skip
    now = page.site.now.astimezone(page.site.zone)
    open_at = {r.name for r in page.refusals if r.kept}
    rows = [
        _row(
            language,
            _ORIGIN,
            _origin(language, o, now, refusals_open=o.name in open_at),
            data_origin=o.name,
        )
        for o in page.origins
    ]
    return _table(language, _ORIGIN, rows)


def _origin(language: Language, item: Origin, now: dt.datetime, *, refusals_open: bool) -> _Cells:
    return [
        _name(language, item),
        _state(language, item, now),
        _newest(language, item, now),
        _lag(language, item),
        _count(item.readings_stored),
        _count(item.readings_duplicated),
        _count(item.batches_received),
        _group(language, item.group_batches, item.group_readings),
        _judged(item.messages_refused, "warn-text" if refusals_open else None),
        _judged(item.batches_lost, "bad-text"),
        _held(language, item, now),
    ]


def _name(language: Language, item: Origin) -> Safe:
    made = None
    if item.simulated and item.gateway:
        made = tag("span", pick(language, "模拟", "simulated"), cls="mark")
    elif item.simulated:
        made = synthetic(language, True)
    return _stacked(join(tag("b", item.name), made), kind_word(language, item.kind))


def _state(language: Language, item: Origin, now: dt.datetime) -> Safe:
    found = condition(item, now) if item.gateway else "online"
    mark = None
    if found == "never":
        mark = tag("span", "◌", cls="shape unknown")
    elif found != "online" or item.units_down:
        mark = severity("warning")
    down = silent_meters(language, item.units_down) if item.units_down else None
    said = _stacked(state_word(language, item, now), down)
    return tag("div", mark, said, cls="marked")


def _newest(language: Language, item: Origin, now: dt.datetime) -> Safe | str:
    if item.last_reading_ts is None:
        return DASH
    stands = moment(language, item.last_reading_ts.astimezone(now.tzinfo), now.date())
    old_s = max(0.0, (now - item.last_reading_ts).total_seconds())
    late = item.late_s(now) is not None
    return _stacked(stands, f"{'◌ ' if late else ''}{age(language, old_s)}", late=late)


def _lag(language: Language, item: Origin) -> Safe | str:
    if item.reading_lag_ms is None:
        return DASH
    sent = None
    if item.sent_lag_ms is not None:
        took = duration(language, item.sent_lag_ms / 1000)
        sent = pick(language, f"传输 {took}", f"link {took}")
    return _stacked(duration(language, item.reading_lag_ms / 1000), sent)


def _group(language: Language, batches: int | None, readings: int | None) -> Safe | str:
    if batches is None or readings is None:
        return DASH
    said = pick(language, f"{number(batches)}批", counted(batches, "batch", "batches"))
    return _stacked(number(readings), said)


def _held(language: Language, item: Origin, now: dt.datetime) -> Safe | str:
    if not item.held_readings or item.oldest_held_ts is None:
        return _count(item.held_readings)
    since = moment(language, item.oldest_held_ts.astimezone(now.tzinfo), now.date())
    return _stacked(number(item.held_readings), pick(language, f"自{since}", f"since {since}"))


def refusals_table(language: Language, page: Intake) -> Safe:
    """Return what was refused, by origin and reason, the latest first."""
    if not page.refusals:
        return tag("p", pick(language, "没有拒收的报文。", "Nothing was refused."), cls="none")
    now = page.site.now.astimezone(page.site.zone)
    rows = [
        _row(language, _REFUSAL, _refusal(language, r, now), data_refusal=f"{r.name} {r.code}")
        for r in page.refusals
    ]
    retry = pick(
        language,
        "原因排除后重试：enpilot ingest quarantine replay --code CODE",
        "Once the reason is gone, try again: enpilot ingest quarantine replay --code CODE",
    )
    waits = any(r.kept for r in page.refusals)
    return join(_table(language, _REFUSAL, rows), tag("p", retry, cls="action") if waits else None)


def _refusal(language: Language, item: Refusals, now: dt.datetime) -> _Cells:
    sentence: Safe | str = DASH
    if item.sentence is not None:
        sentence = tag("span", item.sentence, lang="en")
    return [
        item.name,
        _stacked(reason_word(language, item.code), item.code),
        number(item.messages),
        _judged(item.kept, "warn-text"),
        moment(language, item.last_at.astimezone(now.tzinfo), now.date()),
        sentence,
    ]


def workers_table(language: Language, page: Intake) -> Safe:
    """Return the ingest workers and their last groups."""
    if not page.workers:
        return empty(
            language,
            ("一天内没有写入进程提交过数据。", "启动：enpilot ingest run"),
            ("No worker has written anything for a day.", "Start one: enpilot ingest run"),
        )
    now = page.site.now.astimezone(page.site.zone)
    rows = [
        _row(language, _WORKER, _worker(language, w, now), data_worker=w.number)
        for w in page.workers
    ]
    return _table(language, _WORKER, rows)


def _worker(language: Language, item: Worker, now: dt.datetime) -> _Cells:
    old_s = max(0.0, (now - item.last_commit_at).total_seconds())
    direct = None
    if item.direct_compress:
        en = f"{counted(item.direct_compress, 'COPY', 'COPYs')} straight to the columnstore"
        direct = pick(language, f"直写列存{number(item.direct_compress)}次", en)
    return [
        number(item.number),
        moment(language, item.started_at.astimezone(now.tzinfo), now.date()),
        age(language, old_s),
        f"{number(item.commit_ms, 1)} ms",
        _group(language, item.group_batches, item.group_readings),
        number(item.batches),
        _stacked(number(item.readings), direct),
    ]


def _row(
    language: Language, columns: tuple[_Column, ...], cells: _Cells, **attributes: str | int
) -> Safe:
    """Return a row whose cells carry their heads, since on the phone the head row is gone."""
    head, *others = cells
    return tag(
        "tr",
        tag("th", head, scope="row"),
        *(
            tag("td", cell, cls=c.cls, data_label=pick(language, c.zh, c.en),
                data_empty=cell == DASH)
            for c, cell in zip(columns[1:], others, strict=True)
        ),
        **attributes,
    )  # fmt: skip


def _table(language: Language, columns: tuple[_Column, ...], rows: list[Safe]) -> Safe:
    heads = (tag("th", pick(language, c.zh, c.en), cls=c.cls, scope="col") for c in columns)
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), cls="wide stacked")
    return tag("div", table, cls="scroll")


def _stacked(first: Safe | str, below: str | None, *, late: bool = False) -> Safe:
    style = "reference late" if late else "reference"
    return join(tag("span", first), tag("span", below, cls=style) if below else None)


def _count(value: int | None) -> str:
    return DASH if value is None else number(value)


def _judged(value: int, style: str | None) -> Safe | str:
    return tag("b", number(value), cls=style) if value and style else number(value)
