"""Every code of baselines and savings has its words in both languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from analytics.baselines.figures import PeriodCode
from analytics.baselines.forecast import RequiredCode
from analytics.baselines.validity import TestCode, Usability
from analytics.errors import ModelFault
from analytics.savings.avoided import ClaimCode
from dashboards.portal.baseline_words import (
    CLAIMS,
    REASONS,
    REQUIRED,
    USABILITY,
    WITHHELD,
    reason,
)

PERIOD_CODES = [v for k, v in vars(PeriodCode).items() if k.isupper()]


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ([*TestCode, *ModelFault], REASONS),
        (Usability, USABILITY),
        (ClaimCode, CLAIMS),
        (RequiredCode, REQUIRED),
    ],
    ids=["reasons", "usability", "claims", "required"],
)
def test_every_code_has_its_words(
    codes: Iterable[str], words: Mapping[str, tuple[str, str]]
) -> None:
    assert {str(c) for c in codes} == set(words)
    assert all(zh and en for zh, en in words.values())


def test_every_withheld_code_has_its_words() -> None:
    assert {*PERIOD_CODES, "factor_missing"} <= set(WITHHELD)


def test_a_reason_names_its_variable() -> None:
    assert reason("en", "predictor_p:days") == "a variable is not significant (days)"
    assert reason("zh", "outliers") == "有异常点"
    assert reason("en", "of_tomorrow") == "of_tomorrow"
