"""The page on data intake in every state, from made-up models."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import pytest

from dashboards.portal.findings import FLOW_CODES, finding_name
from dashboards.portal.gateways import SILENT_S, condition, condition_word
from dashboards.portal.pages.metering import tables, words
from dashboards.portal.pages.metering.model import FlowFinding, Intake, Origin, Refusals, Worker
from dashboards.portal.pages.metering.view import findings_list
from dashboards.portal.site import Site
from enpilot.text import Language
from enpilot.wire import Refusal
from tests.dashboards.test_view import words as text_of

NOW = dt.datetime(2025, 9, 14, 8, 0, tzinfo=dt.UTC)  # 16:00 at the site
LANGUAGES: tuple[Language, ...] = ("zh", "en")
replace = msgspec.structs.replace

SITE = Site(
    site_id=1, code="works", name_zh="厂", name_en="Works", timezone="Asia/Shanghai",
    demonstration_zh=None, demonstration_en=None, metered=True, data_version=1, data_through=NOW,
    code_version="0.1.0", now=NOW,
)  # fmt: skip
GATEWAY = Origin(
    name="gw-01", kind="gateway", simulated=False, due_s=60.0, state="online", since=NOW,
    said_at=NOW, held_batches=0, held_readings=0, oldest_held_ts=None, units_down=0,
    batches_received=1200, batches_stored=1197, batches_duplicated=3, batches_refused=0,
    births_needed=0, readings_stored=119_700, readings_duplicated=300, readings_refused=0,
    last_received_at=NOW, last_reading_ts=NOW - dt.timedelta(seconds=4), reading_lag_ms=1420,
    sent_lag_ms=230, group_batches=4, group_readings=400, messages_refused=0, batches_lost=0,
)  # fmt: skip
NEW = Origin(
    name="gw-09", kind="gateway", simulated=False, due_s=None, state=None, since=None, said_at=None,
    held_batches=None, held_readings=None, oldest_held_ts=None, units_down=None,
    batches_received=None, batches_stored=None, batches_duplicated=None, batches_refused=None,
    births_needed=None, readings_stored=None, readings_duplicated=None, readings_refused=None,
    last_received_at=None, last_reading_ts=None, reading_lag_ms=None, sent_lag_ms=None,
    group_batches=None, group_readings=None, messages_refused=0, batches_lost=0,
)  # fmt: skip
SOURCE = replace(
    GATEWAY, name="scada", kind="mqtt", state=None, said_at=None, held_batches=None,
    held_readings=None, units_down=None, reading_lag_ms=None, sent_lag_ms=None,
)  # fmt: skip
REFUSED = Refusals(
    name="gw-01", code="no_grant", messages=1200, last_at=NOW, sentence="may not publish <b>x</b>",
    kept=3,
)  # fmt: skip
WORKER = Worker(
    number=1, started_at=NOW - dt.timedelta(days=2), last_commit_at=NOW - dt.timedelta(seconds=3),
    groups=10, batches=120, readings=12_000, group_batches=12, group_readings=1200, commit_ms=8.44,
    direct_compress=0,
)  # fmt: skip


def page(*origins: Origin, **other: Any) -> Intake:
    said = {"workers": [WORKER], "refusals": [], "findings": [], "findings_more": 0} | other
    return Intake(site=SITE, origins=list(origins), meters=[], **said)


def named(name: str, **other: Any) -> Origin:
    return replace(GATEWAY, name=name, **other)


def hours(count: float) -> dt.datetime:
    return NOW - dt.timedelta(hours=count)


AWAY = {"state": "offline", "said_at": hours(3), "last_received_at": hours(3),
        "last_reading_ts": hours(3)}  # fmt: skip
QUIET = {"said_at": hours(2), "last_received_at": hours(2), "last_reading_ts": hours(2)}


@pytest.mark.parametrize(
    ("shown", "zh", "en"),
    [
        (page(), "本厂没有数据来源。", "This plant has no source of data."),
        (
            page(GATEWAY),
            "采集网关在线，读数及时，没有丢失，没有拒收。",
            "The gateway is online; readings come in time; nothing lost, nothing refused.",
        ),
        (
            page(GATEWAY, named("gw-02"), SOURCE),
            "2台采集网关全部在线，读数及时，没有丢失，没有拒收。",
            "Both gateways are online; readings come in time; nothing lost, nothing refused.",
        ),
        (
            page(NEW),
            "网关gw-09从未上线，还没有读数，没有丢失，没有拒收。",
            "Gateway gw-09 was never heard of; no readings yet; nothing lost, nothing refused.",
        ),
        (
            page(named("gw-02", **AWAY), named("gw-03", **QUIET), GATEWAY, NEW),
            "网关gw-02、gw-03失联，网关gw-09从未上线，其余1台在线，没有丢失，没有拒收。",
            (
                "Gateways gw-02, gw-03 are not heard from; gateway gw-09 was never heard of;"
                " 1 other is online; nothing lost, nothing refused."
            ),
        ),
        (
            page(*(named(f"gw-0{i}", **AWAY) for i in range(4))),
            "网关gw-00、gw-01等4台失联，没有丢失，没有拒收。",
            "Gateways gw-00, gw-01 and 2 more are not heard from; nothing lost, nothing refused.",
        ),
        (
            page(named("gw-02", last_reading_ts=hours(2)), GATEWAY),
            "2台采集网关全部在线，gw-02的读数停在2小时前，没有丢失，没有拒收。",
            (
                "Both gateways are online; readings of gw-02 stopped 2 h ago;"
                " nothing lost, nothing refused."
            ),
        ),
        (
            page(SOURCE),
            "没有网关，1个其他来源，读数及时，没有丢失，没有拒收。",
            "No gateway, 1 source; readings come in time; nothing lost, nothing refused.",
        ),
        (
            page(named("gw-01", batches_lost=1), refusals=[REFUSED]),
            "采集网关在线，读数及时，丢失1批数据，3条拒收报文待处理。",
            "The gateway is online; readings come in time; 1 batch lost; 3 refused messages open.",
        ),
        (
            page(GATEWAY, refusals=[replace(REFUSED, kept=0)]),
            "采集网关在线，读数及时，没有丢失，没有待处理的拒收报文。",
            "The gateway is online; readings come in time; nothing lost, no refused message open.",
        ),
    ],
)
def test_the_opening_sentence(shown: Intake, zh: str, en: str) -> None:
    assert text_of(words.opening("zh", shown)) == zh
    assert text_of(words.opening("en", shown)) == en


def test_only_what_is_wrong_is_coloured() -> None:
    assert "-text" not in words.opening("zh", page(GATEWAY, NEW))
    assert "-text" not in tables.origins_table("zh", page(GATEWAY, NEW))
    assert "shape" not in tables.origins_table("zh", page(GATEWAY, SOURCE))
    assert "bad-text" in words.opening("zh", page(named("gw-02", **AWAY)))
    late = page(named("gw-02", last_reading_ts=hours(2)))
    assert "warn-text" in words.opening("en", late)
    assert '<span class="reference late">◌ 2 h ago</span>' in tables.origins_table("en", late)


def test_a_refusal_that_is_settled_is_not_coloured() -> None:
    refused = replace(GATEWAY, messages_refused=1200)
    waiting = tables.origins_table("zh", page(refused, refusals=[REFUSED]))
    assert '<b class="warn-text">1,200</b>' in waiting
    settled = page(refused, refusals=[replace(REFUSED, kept=0)])
    assert "warn-text" not in tables.origins_table("zh", settled)
    assert "replay" not in tables.refusals_table("zh", settled)


def test_online_is_only_the_last_that_was_said() -> None:
    edge = NOW - dt.timedelta(seconds=SILENT_S)
    assert condition(named("gw", said_at=edge, last_received_at=edge), NOW) == "online"
    over = edge - dt.timedelta(seconds=1)
    assert condition(named("gw", said_at=over, last_received_at=over), NOW) == "silent"
    assert condition(named("gw", said_at=over), NOW) == "online"  # its data still come
    assert condition(named("gw", said_at=over, last_received_at=None), NOW) == "silent"
    assert condition(named("gw", **AWAY), NOW) == "offline"
    assert condition(NEW, NOW) == "never"


def test_offline_since_the_last_will_not_since_the_start() -> None:
    now = NOW.astimezone(SITE.zone)
    away = named("gw", **AWAY)
    assert condition_word("zh", away, now) == "9月14日 13:00起离线"
    last_year = replace(away, said_at=NOW - dt.timedelta(days=365))
    assert condition_word("zh", last_year, now) == "2024年9月14日 16:00起离线"
    assert condition_word("en", last_year, now) == "offline since 14 Sep 16:00 2024"
    assert condition_word("en", named("gw", **QUIET), now) == "silent for 2.0 h"


@pytest.mark.parametrize(
    ("due_s", "old_s", "late"),
    [(1.0, 119, False), (1.0, 121, True), (900.0, 2_699, False), (900.0, 2_701, True),
     (None, 86_400, False)],
)  # fmt: skip
def test_late_is_measured_by_how_often_a_reading_is_due(
    due_s: float | None, old_s: float, late: bool
) -> None:
    reading = NOW - dt.timedelta(seconds=old_s)
    found = named("gw", due_s=due_s, last_reading_ts=reading).late_s(NOW)
    assert found == (old_s if late else None)


def rows(table: str) -> list[list[str]]:
    """Return the words of each cell of a table's body."""
    lines = re.findall(r"<tr.*?</tr>", table.split("<tbody>")[1])
    return [[text_of(c) for c in re.findall(r"<t[hd].*?</t[hd]>", line)] for line in lines]


def row(language: Language, shown: Origin) -> list[str]:
    (cells,) = rows(tables.origins_table(language, page(shown)))
    return cells


def test_a_row_says_what_was_counted() -> None:
    assert row("zh", GATEWAY) == [
        "gw-01采集网关", "在线", "9月14日 15:594秒前", "1.4 秒传输 0.2 秒", "119,700", "300",
        "1,200", "4004批", "0", "0", "0",
    ]  # fmt: skip
    held = replace(GATEWAY, held_readings=5400, oldest_held_ts=hours(1), batches_lost=4,
                   units_down=2)  # fmt: skip
    assert row("en", held) == [
        "gw-01gateway", "▲online2 meters silent", "14 Sep 15:594 s ago", "1.4 slink 0.2 s",
        "119,700", "300", "1,200", "4004 batches", "0", "4", "5,400since 14 Sep 15:00",
    ]  # fmt: skip
    assert '<b class="bad-text">4</b>' in tables.origins_table("en", page(held))
    assert row("zh", NEW) == ["gw-09采集网关", "◌从未上线", *"––––––", "0", "0", "–"]
    assert row("en", SOURCE)[:2] == ["scadaMQTT source", "received just now"]
    assert row("zh", replace(SOURCE, kind="of_tomorrow"))[:2] == ["scadaof_tomorrow", "刚刚收到"]
    silent = replace(NEW, name="mes", kind="rest")
    assert row("zh", silent)[:3] == ["mesHTTP 来源", "尚无数据", "–"]


def test_what_is_not_real_is_marked() -> None:
    assert row("zh", replace(GATEWAY, simulated=True))[0] == "gw-01模拟采集网关"
    assert row("en", replace(GATEWAY, simulated=True))[0] == "gw-01simulatedgateway"
    assert row("zh", replace(SOURCE, simulated=True))[0] == "scada合成MQTT 来源"


def test_every_cell_carries_its_head_for_the_phone() -> None:
    table = tables.origins_table("zh", page(GATEWAY))
    assert 'data-label="拒收报文"' in table
    assert table.count("data-label") == table.count("<td") == 10
    assert table.count("data-empty") == 0
    assert tables.origins_table("zh", page(NEW)).count("data-empty") == 7


def test_refusals_name_reason_and_remedy_and_escape_what_came_from_outside() -> None:
    table = tables.refusals_table("zh", page(GATEWAY, refusals=[REFUSED]))
    assert "未授权的计量点" in table
    assert "&lt;b&gt;x&lt;/b&gt;" in table
    assert "enpilot ingest quarantine replay" in table
    assert "没有拒收" in tables.refusals_table("zh", page(GATEWAY))
    odd = replace(REFUSED, code="of_tomorrow", sentence=None)
    assert "of_tomorrow" in tables.refusals_table("en", page(GATEWAY, refusals=[odd]))


def test_every_code_has_words_in_both_languages() -> None:
    for code in Refusal:
        zh, en = (words.reason_word(language, code) for language in LANGUAGES)
        assert code not in (zh, en)
        assert zh != en
    for code in FLOW_CODES:
        assert code not in (finding_name("zh", code), finding_name("en", code))


@pytest.mark.parametrize(
    ("code", "evidence", "zh", "en"),
    [
        ("batches_lost", {"agent": "gw-02", "from_seq": 812, "to_seq": 815},
         "批次丢失9月14日 16:00 · gw-02 · 4批（序号812–815）",
         "batches lost14 Sep 16:00 · gw-02 · 4 batches (812–815)"),
        ("batches_lost", {"agent": "gw-02", "from_seq": 8, "to_seq": 8},
         "批次丢失9月14日 16:00 · gw-02 · 1批（序号8）",
         "batches lost14 Sep 16:00 · gw-02 · 1 batch (8)"),
        ("fork", {"agent": "gw-01", "seq": 12},
         "网关缓存被还原或复制9月14日 16:00 · gw-01 · 序号12",
         "outbox restored or copied14 Sep 16:00 · gw-01 · number 12"),
        ("agent_cloned", {"agent": "gw-01", "stream": "a"}, "同一网关两处运行9月14日 16:00 · gw-01",
         "gateway runs twice14 Sep 16:00 · gw-01"),
        ("database_restored", {"recorded": "a", "found": "b"},
         "数据库被还原9月14日 16:00 · 数据库标识已变",
         "database restored14 Sep 16:00 · another database identity"),
        ("database_restored", {"confirmed_commit_no": 90, "found_commit_no": 80, "streams": []},
         "数据库被还原9月14日 16:00 · 提交号从90退回到80",
         "database restored14 Sep 16:00 · commit 90 fell back to 80"),
        ("meaning_disagrees", {"source": "agent gw-01"},
         "网关声明与登记不符9月14日 16:00 · gw-01",
         "birth differs from the record14 Sep 16:00 · gw-01"),
        ("of_tomorrow", {}, "of_tomorrow9月14日 16:00", "of_tomorrow14 Sep 16:00"),
    ],
)  # fmt: skip
def test_findings_say_who_and_how_much(
    code: str, evidence: dict[str, Any], zh: str, en: str
) -> None:
    found = FlowFinding(
        code=code, severity="fault", at=NOW, point_zh=None, point_en=None, evidence=evidence
    )
    shown = page(GATEWAY, findings=[found], findings_more=3)
    assert text_of(findings_list("zh", shown)) == f"■{zh}另有3条"
    assert text_of(findings_list("en", shown)) == f"■{en}3 more"


def test_several_workers_stand_side_by_side() -> None:
    two = page(GATEWAY, workers=[WORKER, replace(WORKER, number=2, direct_compress=7)])
    assert rows(tables.workers_table("zh", two)) == [
        ["1", "9月12日 16:00", "3秒前", "8.4 ms", "1,20012批", "120", "12,000"],
        ["2", "9月12日 16:00", "3秒前", "8.4 ms", "1,20012批", "120", "12,000直写列存7次"],
    ]
    assert "7 COPYs straight to the columnstore" in tables.workers_table("en", two)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_at_all_says_what_belongs_there_and_what_to_do(language: Language) -> None:
    bare = page(workers=[])
    assert "[[agent]]" in tables.origins_table(language, bare)
    assert "enpilot ingest run" in tables.workers_table(language, bare)
    assert "class" in tables.refusals_table(language, bare)
    assert "class" in findings_list(language, bare)
