"""Rows keep every bit through the file, in one order, with one hash, whatever they are."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enpilot.archive.kept import kept_rows
from enpilot.archive.months import Month
from enpilot.archive.parquet_file import FileWriter, read_groups, read_series
from enpilot.archive.rows import KIND_INT, KIND_REAL, ROW, Rows, contained, in_order, union

INT64 = st.integers(-(2**63), 2**63 - 1)
INT16 = st.integers(-(2**15), 2**15 - 1)


@st.composite
def one_row(draw: st.DrawFn) -> tuple[object, ...]:
    kind = draw(st.sampled_from((0, KIND_INT, KIND_REAL)))
    return (
        draw(st.integers(1, 4)),
        draw(st.integers(0, 20)) * 1_000_000,
        kind,
        draw(INT64) if kind == KIND_INT else 0,
        draw(st.floats()) if kind == KIND_REAL else 0.0,
        draw(INT16),
        draw(INT16),
        draw(st.integers(0, 2**62)),
    )


ROWS = st.lists(one_row(), max_size=60).map(lambda rows: in_order(np.array(rows, ROW)))


def written(rows: Rows, file: Path) -> FileWriter:
    with FileWriter(file) as writer:
        for series_id in np.unique(rows["series_id"]):
            writer.add(rows[rows["series_id"] == series_id])
    return writer


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_a_file_gives_back_each_bit(rows: Rows) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "rows.parquet"
        writer = written(rows, file)
        assert writer.rows == len(rows)
        back = np.concatenate([*read_groups(file), np.empty(0, ROW)])
        assert back.tobytes() == rows.tobytes()
        for series_id in (1, 2, 3, 4):
            own = rows[(rows["series_id"] == series_id) & (rows["ts_us"] >= 5_000_000)]
            found = read_series(file, series_id, 5_000_000, 10**15)
            assert found.tobytes() == own.tobytes()


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_and_hash_do_not_hang_on_how_rows_came(rows: Rows, random: object) -> None:
    index = list(range(len(rows)))
    random.shuffle(index)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert in_order(rows[index]).tobytes() == rows.tobytes()


@given(ROWS, ROWS)
@settings(max_examples=60, deadline=None)
def test_a_union_holds_each_row_once(one: Rows, other: Rows) -> None:
    both = union([one, other])
    as_bytes = [row.tobytes() for row in both]
    assert set(as_bytes) == {row.tobytes() for row in (*one, *other)}
    assert len(as_bytes) == len(set(as_bytes))
    assert contained(one, both).all()
    assert contained(one, other).tolist() == [
        row.tobytes() in {o.tobytes() for o in other} for row in one
    ]


@given(ROWS, st.lists(st.integers(-1, 21), max_size=5).map(sorted))
@settings(max_examples=100, deadline=None)
def test_kept_are_the_neighbours_of_each_boundary(rows: Rows, seconds: list[int]) -> None:
    rows = rows[rows["series_id"] == 1]
    boundaries = np.array(seconds, np.int64) * 1_000_000
    kept = kept_rows(rows, boundaries, [(2**61, 2**62)])
    good = [
        row for row in rows if int(row["quality"]) & 255 == 0 and not 2**61 <= row["batch"] <= 2**62
    ]
    read = sorted(int(row["ts_us"]) + int(row["late_ms"]) * 1000 for row in good)
    kept_at = {int(row["ts_us"]) + int(row["late_ms"]) * 1000 for row in kept}
    expected = set(read[:1] + read[-1:])
    for at in boundaries.tolist():
        expected.update([r for r in read if r < at][-1:])
        expected.update([r for r in read if r >= at][:1])
    assert kept_at == expected


def test_months_go_on_over_years() -> None:
    assert str(Month.parse("2026-01").earlier(1)) == "2025-12"
    assert str(Month.parse("2026-12").earlier(-1)) == "2027-01"
    assert str(Month.parse("2026-11").earlier(25)) == "2024-10"
    assert Month.parse("2024-02").span == (
        dt.datetime(2024, 2, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 1, tzinfo=dt.UTC),
    )
    assert Month.of(dt.datetime.fromisoformat("2024-03-01T07:59+08:00")) == Month.parse("2024-02")
