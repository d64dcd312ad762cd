"""What counters did in the field, and what public projects made of it: each is a case in a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.counters.account import CounterKind, CounterRules, Replacement, account
from analytics.counters.levels import MICRO

CASES = sorted((Path(__file__).parent / "field_cases").glob("*.toml"))
MINUTE_US = 60_000_000
START_US = 1_760_000_400_000_000  # on the quarter hour


def readings_of(case: dict[str, Any]) -> tuple[list[int], list[int]]:
    times, counts = [], []
    for run in case["readings"]:
        for minute in range(run["from"], run["to"] + 1, run.get("every", 1)):
            times.append(START_US + minute * MINUTE_US)
            counts.append(run["start"] + (minute - run["from"]) * run["per_min"])
    return times, counts


@pytest.mark.parametrize("file", CASES, ids=lambda f: f.stem)
def test_field_case(file: Path) -> None:
    case = tomllib.loads(file.read_text("utf-8"))
    times, counts = readings_of(case)
    rules = CounterRules(
        gap_s=300,
        kind=CounterKind(case.get("kind", "lifetime")),
        modulus_micro=case.get("modulus", 0) * MICRO,
        rated_micro_per_s=case.get("rated_per_h", 0) * MICRO // 3600,
    )
    window = case.get("window")
    result = account(
        np.array(times, dtype=np.int64),
        np.array(counts, dtype=np.int64) * MICRO,
        rules,
        window=None if window is None else tuple(START_US + m * MINUTE_US for m in window),
        replacements=[
            Replacement(START_US + r["at"] * MINUTE_US, r["closing"] * MICRO, r["opening"] * MICRO)
            for r in case.get("replacements", [])
        ],
    )
    assert result.advance_micro.sum() == case["sum"] * MICRO
    assert [f.kind.value for f in result.findings] == case["findings"]
    if "intervals" in case:
        assert (result.advance_micro / MICRO).tolist() == case["intervals"]
    assert len(result.gaps) == case.get("gaps", len(result.gaps))
    if "estimated" in case:
        assert result.estimated_micro.sum() == case["estimated"] * MICRO
