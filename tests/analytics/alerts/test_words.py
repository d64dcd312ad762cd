"""Every kind of message in both languages, held to a file that people have read."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from analytics.alerts.delivery.letters import Row, letter_of, letter_of_test
from analytics.alerts.messages import PAGES
from analytics.alerts.morning import Action, Cause, Morning
from dashboards.portal.catalogue import PAGES as PORTAL_PAGES
from enpilot.plant.alerts import RuleKind

GOLDEN = Path(__file__).with_name("messages.txt")
PORTAL = "https://energy.example.org/"
ZONE = ZoneInfo("Asia/Shanghai")
AT = "2026-03-02T01:03:00+00:00"
POWER: dict[str, Any] = {
    "code": "high", "rule_kind": "threshold", "name_zh": "功率过高", "name_en": "Power high",
    "comparison": "above", "subject": "main", "subject_zh": "总表", "subject_en": "Main meter",
    "value": 610.0, "limit": 500.0, "unit": "kW", "at": AT, "synthetic": False, "group_size": 1,
    "subjects": [], "page": "/s/works/overview", "owner": "shift lead",
    "runbook_zh": "查看负荷曲线，停掉待料的设备", "runbook_en": "Look at the load, stop what idles",
    "more": {},
}  # fmt: skip


def silent(n: int) -> dict[str, Any]:
    return {"subject": f"m{n:03}", "subject_zh": f"表{n:03}", "subject_en": f"Meter {n:03}",
            "value": 420.0 + n, "limit": 300.0, "at": AT}  # fmt: skip


def of(kind: str, severity: str = "warning", **facts: Any) -> Row:
    due = dt.datetime(2026, 3, 2, 1, 3, tzinfo=dt.UTC)
    return Row(12, kind, severity, POWER | facts, due, "works", "测试厂", "Test works", ZONE)


DAY: dict[str, Any] = {
    "day": "2026-03-01", "name_zh": "吨钢综合能耗", "name_en": "Energy per tonne of steel",
    "energy_unit": "kgce", "output_unit": "t", "intensity": 92.13, "energy": 62_400.0,
    "energy_tce": 62.4, "output": 677.3, "electricity_kwh": 154_155.0, "basis": "target",
    "expected": 88.4, "distance": 0.0422, "cost_yuan": 112_345.0, "coverage": 0.9996,
    "reporting_completeness": 0.987, "page": "/s/works/overview?t=2026-03-01",
}  # fmt: skip


def morning(**said: Any) -> Row:
    return of("morning", "note", **Morning(**(DAY | said)).facts())


PRESS = {"name_zh": "1号轧机", "name_en": "Rolling mill 1"}
NIGHT = {"name_zh": "夜班", "name_en": "night"}
MESSAGES = {
    "firing": of("firing"),
    "firing, close to its limit, synthetic": of(
        "firing", "fault", value=500.04, limit=500.0, synthetic=True
    ),
    "firing, caught up with": of("firing", more={"over_at": "2026-03-02T01:15:00+00:00"}),
    "firing, 200 meters": of(
        "firing", "fault", code="meter-silent", rule_kind="silent", name_zh="表计无数据",
        name_en="Meter silent", unit="s", group_size=200,
        subjects=[silent(n) for n in range(1, 11)], **silent(1),
        more={"last_heard": "2026-03-02T00:56:00+00:00"}, page="/s/works/metering/m001",
    ),
    "firing, demand": of(
        "firing", "fault", rule_kind="demand", name_zh="需量将超", name_en="Demand about to exceed",
        subject_zh="主账户", subject_en="Main account", value=2130.0, limit=2000.0,
        more={"window_ends": "2026-03-02T01:15:00+00:00", "allowed_kw": 1650.4},
    ),
    "firing, below, a ratio": of(
        "firing", rule_kind="cost", name_zh="功率因数偏低", name_en="Power factor low",
        comparison="below", value=0.8961, limit=0.9, unit="", subject_zh="主账户",
        subject_en="Main account", more={"period_from": "2026-03-01"},
    ),
    "firing, month behind its target": of(
        "firing", rule_kind="target_path", name_zh="本月落后于目标", name_en="Month behind target",
        subject_zh="吨钢综合能耗", subject_en="Energy per tonne", value=3.2, limit=0.0, unit="%",
        more={"days_left": 12, "required_intensity": 84.21},
    ),
    "firing, a deadline": of(
        "firing", "note", rule_kind="deadline", name_zh="检定将到期", name_en="Calibration expires",
        comparison="below", value=25.0, limit=30.0, unit="d", more={"due_on": "2026-03-27"},
    ),
    "firing, facts of an older version": of(
        "firing", "note", code=None, rule_kind=None, subject=None, subject_zh=None,
        subject_en=None, value=None, limit=None, unit=None, at=None, page=None, owner=None,
        runbook_zh=None, runbook_en=None, more=None,
    ),
    "resolved": of(
        "resolved", value=470.0, at="2026-03-02T01:15:00+00:00",
        more={"since": AT, "worst": 615.2},
    ),
    "reminder": of("reminder"),
    "escalation": of("escalation", "fault", step=1),
    "morning, over the target by a waste": morning(
        cause=Cause(kind="waste", code="machine_idle", **PRESS, tce=1.9, share=0.75),
        action=Action(kind="waste", code="machine_idle", **PRESS),
    ),
    "morning, under the baseline by a meter": morning(
        basis="baseline", expected=64_100.0, distance=-0.0265, synthetic=True,
        cause=Cause(kind="point", **PRESS, tce=-0.8, share=0.47),
        action=Action(kind="waste", code="closed_hours_load", name_zh="空压站",
                      name_en="Compressors", yuan_a_year=184_000.0),
    ),
    "morning, a shift": morning(
        basis="like_days", factor_verified=False, cost_yuan=None,
        cost_withheld_code="tariff_missing",
        cause=Cause(kind="shift", code="night", **NIGHT, tce=1.8, share=0.7),
        action=Action(kind="shift", code="night", **NIGHT),
    ),
    "morning, no single cause": morning(),
    "morning, as expected": morning(intensity=88.5, distance=0.0011),
    "morning, hardly any output": morning(
        basis=None, expected=None, distance=None, little_output=True, output=3.1, intensity=941.0
    ),
    "morning, withheld": morning(
        intensity=None, output=None, basis=None, expected=None, distance=None,
        withheld_code="output_missing", cause=Cause(kind="withheld", code="output_missing"),
        action=Action(kind="withheld", code="output_missing"),
    ),
    "morning, nothing known": of(
        "morning", "note", **Morning(day="2026-03-01", page=DAY["page"]).facts()
    ),
}  # fmt: skip


def written() -> str:
    parts = []
    for name, row in MESSAGES.items():
        both = letter_of(row, "both", PORTAL)
        parts.append(
            f"=== {name} ({both.tone})\n{both.subject}\n\n{both.text}\n\nSMS: {both.short}\n"
        )
    markdown = letter_of(MESSAGES["firing, 200 meters"], "zh", PORTAL)
    parts.append(f"=== Markdown\n{markdown.markdown}\n")
    test = letter_of_test("both", "duty", "mail")
    parts.append(f"=== test ({test.tone})\n{test.subject}\n\n{test.text}\n")
    return "\n".join(parts)


def test_each_kind_reads_as_it_was_read() -> None:
    """Set ENPILOT_TEST_WRITE to write the file anew, then read what changed."""
    if os.environ.get("ENPILOT_TEST_WRITE"):
        GOLDEN.write_text(written(), "utf-8")
    assert written() == GOLDEN.read_text("utf-8")


def test_without_an_address_of_the_portal_there_is_no_link() -> None:
    assert "http" not in letter_of(MESSAGES["firing"], "both", None).text


def test_a_link_of_each_kind_leads_to_a_page_that_there_is() -> None:
    paths = {re.sub(r"\{\w+\}", "{}", page.path) for page in PORTAL_PAGES}
    assert PAGES.keys() == set(get_args(RuleKind))
    assert {path.replace("{subject}", "{}") for path in PAGES.values()} <= paths


def test_a_rule_may_name_its_page_below_the_site() -> None:
    text = letter_of(of("firing", page="load?t=2026-03-02"), "en", PORTAL).text
    assert "https://energy.example.org/s/works/load?t=2026-03-02\n" in text


def test_a_name_is_shown_as_it_is_in_markdown() -> None:
    row = of("firing", subject_en="*[x](http://evil.example)")
    assert r"\*\[x\](http" in letter_of(row, "en", None).markdown


def test_a_demonstration_says_so_on_every_message() -> None:
    row = MESSAGES["firing"]
    shown = replace(
        row, demonstration_zh="演示数据（含合成）", demonstration_en="Demonstration data"
    )
    letter = letter_of(shown, "both", None)
    assert "演示数据（含合成）" in letter.text
    assert "Demonstration data" in letter.text
    assert letter.content["demonstration"] is True
