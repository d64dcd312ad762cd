"""Columns of the wire to rows of the table, through a real COPY."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpilot.database import connect
from enpilot.wire import GroupReadings, Quality, Refusal
from ingest.errors import RefusedError
from ingest.rows import (
    COPY_READINGS,
    KIND_INT,
    KIND_NULL,
    Columns,
    batch_number,
    copy_stream,
    join_blocks,
    pack_rows,
    read_block,
)
from ingest.touched import join_touched, touched_by
from ingest.writer import pays_to_compress

START_US = 1_790_000_000_000_000
WHOLE = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1).map(str),
)
REAL = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False))


def columns(kinds: list[bool], first: int = 1) -> Columns:
    return Columns(
        np.arange(first, first + len(kinds), dtype=np.int32),
        [i for i, whole in enumerate(kinds) if whole],
        [i for i, whole in enumerate(kinds) if not whole],
    )


def group(values: list[list[object]], **other: object) -> GroupReadings:
    n = len(values[0]) if values else 0
    said: dict[str, object] = {
        "group": 0, "ts": START_US, "dt": [1000 * i for i in range(n)], "late_ms": [0] * n,
        "values": values,
    }  # fmt: skip
    return GroupReadings(**{**said, **other})  # type: ignore[arg-type]  # arrays by name


@given(st.data())
def test_every_number_arrives_as_it_was(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.booleans(), min_size=1, max_size=5))
    n = data.draw(st.integers(0, 4))
    values = [
        data.draw(st.lists(WHOLE if whole else REAL, min_size=n, max_size=n)) for whole in kinds
    ]
    rows = join_blocks([read_block(group(values), columns(kinds))], [7])
    assert len(rows) == n * len(kinds)
    for i, (series, ts_us) in enumerate(
        zip(rows.series_id.tolist(), rows.ts_us.tolist(), strict=True)
    ):
        sent = values[series - 1][(ts_us - START_US) // 1000]
        if sent is None or (isinstance(sent, float) and not np.isfinite(sent)):
            assert rows.kind[i] == KIND_NULL
            assert rows.quality[i] == Quality.NOT_FINITE
        elif kinds[series - 1]:
            assert rows.kind[i] == KIND_INT
            assert rows.whole[i] == int(sent)  # type: ignore[call-overload]  # drawn from numbers alone, where whole or real
        else:
            assert rows.real[i] == float(sent)  # type: ignore[arg-type]  # drawn from numbers alone, where whole or real


def test_a_column_of_nothing_but_infinity_is_no_number() -> None:
    rows = join_blocks([read_block(group([[float("inf")]]), columns([False]))], [7])
    assert (rows.kind.tolist(), rows.quality.tolist()) == ([KIND_NULL], [Quality.NOT_FINITE])


@given(st.data())
def test_blocks_of_any_shape_keep_their_times_and_batches(data: st.DataObject) -> None:
    shapes = data.draw(
        st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=6)
    )
    blocks, batches, expected = [], [], []
    for number, (width, n) in enumerate(shapes):
        values: list[list[object]] = [[100 * number + i] * n for i in range(width)]
        late = list(range(n))
        read = read_block(
            group(values, ts=START_US + 10**6 * number, dt=late, late_ms=late),
            columns([True] * width, first=10 * data.draw(st.integers(1, 3))),
        )
        blocks.append(read)
        batches.append(batch_number(number + 1, 5))
        expected += [
            (int(series), START_US + 10**6 * number + i, 100 * number + position, i, batches[-1])
            for position, series in enumerate(read.series_ids)
            for i in range(n)
        ]
    rows = join_blocks(blocks, batches)
    found = zip(
        rows.series_id.tolist(), rows.ts_us.tolist(), rows.whole.tolist(), rows.late_ms.tolist(),
        rows.batch.tolist(), strict=True,
    )  # fmt: skip
    assert list(found) == sorted(expected)
    touched = join_touched([touched_by(join_blocks([b], [1])) for b in blocks])
    assert touched.series_id.tolist() == sorted({e[0] for e in expected})
    for series, first, last in zip(
        touched.series_id, touched.first_us, touched.last_us, strict=True
    ):
        own = [e[1] for e in expected if e[0] == series]
        assert (first, last) == (min(own), max(own))


def test_what_copy_takes_is_what_was_laid_out(postgres_url: str) -> None:
    values: list[list[object]] = [[2**63 - 1, None], [0.1, -1e300]]
    rows = join_blocks(
        [read_block(group(values, late_ms=[-5, 32767]), columns([True, False]))],
        [batch_number(2**31 - 1, 2**32 - 1)],
    )
    with connect(postgres_url, "test", autocommit=True) as connection:
        with connection.cursor() as cursor, cursor.copy(COPY_READINGS) as copy:
            copy.write(copy_stream([pack_rows(rows)]))
        stored = connection.execute(
            "SELECT series_id, raw_int, raw_real, quality, late_ms, batch,"
            " (extract(epoch FROM ts) * 1000000)::bigint FROM reading ORDER BY series_id, ts"
        ).fetchall()
    batch = (2**31 - 1) << 32 | (2**32 - 1)
    assert stored == [
        (1, 2**63 - 1, None, 0, -5, batch, START_US),
        (1, None, None, Quality.NOT_FINITE, 32767, batch, START_US + 1000),
        (2, None, 0.1, 0, -5, batch, START_US),
        (2, None, -1e300, 0, 32767, batch, START_US + 1000),
    ]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (group([[1, 2], [3]]), Refusal.SHAPE),
        (group([[1]]), Refusal.SHAPE),
        (group([[1], [2]], late_ms=[]), Refusal.SHAPE),
        (group([[1], [2]], quality=[[0]]), Refusal.SHAPE),
        (group([[1], [2]], quality=[[0], [2**15]]), Refusal.OVERFLOW),
        (group([[1], [2]], late_ms=[40_000]), Refusal.OVERFLOW),
        (group([[1], [2]], ts=-1), Refusal.OVERFLOW),
        (group([[1], [2]], ts=2**63 - 1, dt=[5]), Refusal.OVERFLOW),
        (group([[1], [2]], dt=[2**70]), Refusal.OVERFLOW),
        (group([[1.5], [2]]), Refusal.OVERFLOW),
        (group([[2**63], [2]]), Refusal.OVERFLOW),
        (group([["1_000"], [2]]), Refusal.OVERFLOW),
        (group([[1], ["x"]]), Refusal.OVERFLOW),
        (group([[1], [10**400]]), Refusal.OVERFLOW),
    ],
)
def test_what_no_column_holds_is_refused(wrong: GroupReadings, code: Refusal) -> None:
    with pytest.raises(RefusedError) as refused:
        read_block(wrong, columns([True, False]))
    assert refused.value.code == code


def test_a_copy_is_compressed_only_if_it_is_large() -> None:
    assert not pays_to_compress(400, 400)
    assert not pays_to_compress(19_999, 2000)
    assert pays_to_compress(20_000, 2000)
    assert pays_to_compress(1000, 10)
