"""Numbers as text: what is rounded, what is floored, and that both languages agree."""

from __future__ import annotations

import datetime as dt

import pytest

from dashboards.portal.markup import join, tag
from dashboards.portal.state import action, judgement, reason, severity, status_word
from enpilot import text


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.996, "0.99"), (1.0, "1.00"), (1.006, "1.01"), (0.0, "0.00"), (-0.031, "\u22120.04"),
     (0.57, "0.57")],
)  # fmt: skip
def test_progress_never_contradicts_its_mark(given: float, expected: str) -> None:
    assert text.progress(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.9496, "94.9%"), (0.95, "95%"), (0.99996, "99.9%"), (1.0, "100%"), (0.57, "57%"),
     (0.863, "86.3%"), (0.0, "0%")],
)  # fmt: skip
def test_a_share_below_its_limit_never_reads_as_the_limit(given: float, expected: str) -> None:
    assert text.share(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0.042, "+4.2%"),
        (-0.005, "\u22120.5%"),
        (0.0, "±0%"),
        (0.0001, "±0%"),
        (-1.5, "\u2212150.0%"),
    ],
)
def test_changes_carry_a_true_sign(given: float, expected: str) -> None:
    assert text.change(given) == expected


@pytest.mark.parametrize(
    ("kwh", "zh", "en"),
    [(64155.2, "64,155 kWh", "64,155 kWh"), (1_343_000, "134.3 万kWh", "1,343 MWh"),
     (12.34, "12.3 kWh", "12.3 kWh"), (-5.0, "\u22125.0 kWh", "\u22125.0 kWh")],
)  # fmt: skip
def test_electricity(kwh: float, zh: str, en: str) -> None:
    assert str(text.electricity("zh", kwh)) == zh
    assert str(text.electricity("en", kwh)) == en


def test_standard_coal_and_intensity() -> None:
    assert str(text.coal("zh", 14.4)) == "14.40 tce"
    assert str(text.coal("zh", 124_000)) == "12.40 万tce"
    assert str(text.coal("en", 124_000)) == "124,000 tce"
    assert str(text.energy("zh", 14_400, "kgce")) == "14.40 tce"
    assert str(text.intensity("en", 92.14, "kgce", "t")) == "92.1 kgce/t"
    assert str(text.intensity("en", 0.09214, "tce", "t")) == "92.1 kgce/t"
    assert str(text.intensity("en", 15.834, "t", "t")) == "15.83 t/t"
    assert str(text.intensity("zh", 0.8931, "tce", "10k_yuan")) == "893.1 kgce/万元"
    assert str(text.intensity("en", 245.6, "kgce", "10k_yuan")) == "245.6 kgce/10,000 yuan"
    assert str(text.quantity("zh", 1400, "10k_yuan")) == "1,400 万元"
    assert str(text.intensity("en", 0.9712, "kgce", "kgce")) == "0.971"


def test_days_months_and_ages() -> None:
    date = dt.date(2018, 9, 13)
    assert text.day("zh", date) == "2018年9月13日 周四"
    assert text.day("en", date) == "Thu 13 Sep 2018"
    assert text.month("zh", date) == "2018年9月"
    assert text.month("en", date) == "Sep 2018"
    assert text.age("zh", 0.4) == "刚刚"
    assert text.age("en", 4500) == "1 h ago"
    assert text.age("zh", 75 * 60 - 1) == "1小时前"


def test_values_are_escaped_and_unknown_codes_are_shown_as_they_are() -> None:
    assert tag("p", "<b>", cls='"') == '<p class="&quot;">&lt;b&gt;</p>'
    assert join("<", tag("br"), None) == "&lt;<br>"
    assert reason("zh", "code_of_tomorrow") == "code_of_tomorrow"
    assert action("en", "code_of_tomorrow") is None
    assert status_word("zh", "new_status") == "new_status"
    assert "new_status" in judgement("en", "new_status", provisional=False, running=False)
    assert "◇" in severity("unheard")


def test_an_open_period_carries_no_light() -> None:
    closed = judgement("zh", "behind", provisional=False, running=False)
    open_ = judgement("zh", "behind", provisional=True, running=True)
    assert "judgement bad" in closed
    assert "落后" in closed
    assert "暂定" not in closed
    assert "judgement provisional" in open_
    assert "暂定" in open_
