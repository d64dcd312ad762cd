"""Every kind of waste, decision, criterion and outcome has its words in both languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from analytics.quality.criteria import Outcome, load_rules
from analytics.waste.found import WasteKind
from analytics.waste.stored import DECISIONS as DECIDED
from dashboards.portal.findings import finding_name, finding_remedy
from enpilot.waste_words import CRITERIA, DECISIONS, KINDS, OUTCOMES, REMEDIES


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (WasteKind, KINDS),
        (WasteKind, REMEDIES),
        (DECIDED, DECISIONS),
        ([r.code for r in load_rules().rule], CRITERIA),
        (Outcome, OUTCOMES),
    ],
    ids=["kinds", "remedies", "decisions", "criteria", "outcomes"],
)
def test_every_code_has_its_words(
    codes: Iterable[str], words: Mapping[str, tuple[str, str]]
) -> None:
    assert {str(c) for c in codes} == set(words)
    assert all(zh and en for zh, en in words.values())


def test_a_meter_in_doubt_is_named_with_what_to_do() -> None:
    assert finding_name("en", "meter_stuck") == "register stands still"
    assert finding_remedy("zh", "meter_silent") == "检查供电、通信线和地址"
    assert finding_remedy("en", "rollover") is None
