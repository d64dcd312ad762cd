"""What `enpilot analyze waste` prints: local time, and no energy where none is lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.waste.cli import waste_text
from analytics.waste.found import PricedWaste, Waste, WasteKind
from analytics.waste.prices import Priced
from analytics.waste.stored import FoundWaste

SINCE, UNTIL = dt.date(2026, 3, 1), dt.date(2026, 4, 1)


def printed(
    kind: WasteKind, by_quarter: NDArray[np.float64] | None, evidence: Mapping[str, Any]
) -> str:
    standing = kind is WasteKind.RATIO_OUT_OF_RANGE
    began = dt.datetime(2026, 3, 17, 12, tzinfo=dt.UTC)
    one = Waste(
        kind, 1, "air", "electricity", "kWh", began, began + dt.timedelta(hours=4),
        31.0 if standing else 1 / 6, standing, by_quarter, evidence, False,
    )  # fmt: skip
    none = Priced(None, one.withheld, "", True)
    found = FoundWaste(SINCE, UNTIL, [PricedWaste(one, none, none)], [])
    return waste_text(found, {1: "air-power"}, {}, ZoneInfo("Asia/Shanghai"))[3]


def test_a_ratio_says_where_it_lies() -> None:
    evidence = {"ratio": 0.0892613, "low": 0.09, "high": 0.13}
    line = printed(WasteKind.RATIO_OUT_OF_RANGE, None, evidence)
    assert " ".join(line.split()) == (
        "ratio out of range air air-power — — — — 31 days, 0.08926 below 0.09"
    )
    line = printed(WasteKind.RATIO_OUT_OF_RANGE, np.ones(4), evidence | {"ratio": 0.14})
    assert line.endswith("31 days, 0.14 above 0.13")
    assert " 4  kWh " in line


def test_an_event_began_by_the_clock_of_the_site() -> None:
    line = printed(WasteKind.PROFILE_EXCEEDED, np.full(16, 7.25), {})
    assert line.endswith("03-17 20:00, 4 h")
