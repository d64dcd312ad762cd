"""Numbers that a device cannot measure are kept, and flagged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpilot.database import connect
from enpilot.wire import GroupReadings, Quality, QualityFlag, SeriesDeclaration, encode
from ingest.physical_range import flag_out_of_range, raw_limits
from ingest.rows import Columns, read_block
from tests.ingest.gateway import Gateway, declaration


def a_level(low: float | None, high: float | None, raw_type: str = "int32") -> SeriesDeclaration:
    return declaration(
        quantity="voltage", unit="V", register_scale="0.1", raw_type=raw_type, side="primary",
        counter=None, modulus=None, rated_min=low, rated_max=high,
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-50, 50), st.none() | st.integers(-50, 50),
            st.sampled_from(["int32", "float64"]),
        ),
        min_size=1, max_size=4,
    ),
    st.data(),
)  # fmt: skip
def test_what_is_outside_is_flagged_and_nothing_else(
    limits: list[tuple[int | None, int | None, str]], data: st.DataObject
) -> None:
    declared = [a_level(low, high, kind) for low, high, kind in limits]
    n = data.draw(st.integers(0, 4))
    values = [
        data.draw(st.lists(st.none() | st.integers(-900, 900), min_size=n, max_size=n))
        for _ in declared
    ]
    whole = [kind == "int32" for _, _, kind in limits]
    columns = Columns(
        np.arange(len(declared), dtype=np.int32),
        [i for i, w in enumerate(whole) if w], [i for i, w in enumerate(whole) if not w],
    )  # fmt: skip
    group = GroupReadings(
        group=0, ts=0, dt=list(range(n)), late_ms=[0] * n,
        values=[
            column if is_whole else [None if v is None else float(v) for v in column]
            for column, is_whole in zip(values, whole, strict=True)
        ],
    )  # fmt: skip
    block = flag_out_of_range(read_block(group, columns), raw_limits(declared))
    wanted = [
        0
        if v is None or ((low is None or v / 10 >= low) and (high is None or v / 10 <= high))
        else int(QualityFlag.OUT_OF_RANGE)
        for (low, high, _), column in zip(limits, values, strict=True)
        for v in column
    ]
    assert [int(q) & ~0xFF for q in block.quality] == wanted


def test_a_counter_has_no_range() -> None:
    assert raw_limits([declaration(rated_max=5.0)]) is None


@pytest.mark.parametrize("side", ["primary", "secondary"])
def test_a_voltage_that_cannot_be_is_stored_with_its_flag(
    gateway: Gateway, works: str, side: str
) -> None:
    level = a_level(0, 300)
    level.side = side  # type: ignore[assignment]  # limits are as the meter itself sees it
    gateway.send_birth(level)
    gateway.publish("data", gateway.message(1, [2300, 7000, 3000]))
    gateway.through(1)
    with connect(works, "test") as connection:
        stored = connection.execute("SELECT raw_int, quality FROM reading ORDER BY ts").fetchall()
    flagged = int(Quality.GOOD) | QualityFlag.OUT_OF_RANGE
    assert stored == [(2300, 0), (7000, flagged), (3000, 0)]


def test_an_agent_says_the_limits_of_its_profiles() -> None:
    # Left out where there are none, so that births of older agents keep their hash.
    assert b"rated_m" not in encode(declaration(quantity="voltage", unit="V", counter=None))
    assert b'"rated_max":300.0' in encode(a_level(None, 300.0))
