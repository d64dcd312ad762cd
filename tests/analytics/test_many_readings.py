"""Readings of many series at once are those of one after the other."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.intervals.many_readings import Wanted, load_many
from analytics.intervals.readings import SeriesReadings, load_readings, outside
from enpilot.database import connect
from tests.analytics.awkward_works import DAY, END, build

HOUR = dt.timedelta(hours=1)


def test_loaded_together_or_alone_is_the_same(database_url: str, tmp_path: Path) -> None:
    build(database_url, tmp_path)
    with connect(database_url, "test", autocommit=True) as connection:
        series = connection.execute(
            "SELECT series_id, raw_type <> 'float32' FROM series_epoch"
            " WHERE superseded_commit_no IS NULL GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
        assert len(series) == 7
        for since, until in (
            (DAY - HOUR, END + HOUR),
            (DAY - dt.timedelta(days=3 * 366), END + dt.timedelta(days=800)),
            (DAY + 5 * HOUR, DAY + 7 * HOUR),
            (END + HOUR, END + 2 * HOUR),
        ):
            # Spans of different length, and series whose kind of number nobody knows.
            wanted = [
                Wanted(one, since + i * HOUR / 60, until, None if i == 3 else whole)
                for i, (one, whole) in enumerate(series)
            ]
            with connection.transaction():
                together = load_many(connection, wanted)
            for one, found in zip(wanted, together, strict=True):
                alone = load_readings(connection, one.series_id, one.since, one.until)
                assert isinstance(found, SeriesReadings)
                for column in fields(SeriesReadings):
                    ours = getattr(found, column.name)
                    if len(ours) or column.name not in ("whole", "real"):
                        assert np.array_equal(ours, getattr(alone, column.name))
                assert len(found.whole if one.whole is not False else found.real) == len(found)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=6),
    st.lists(st.integers(-5, 90), max_size=20),
)
def test_a_batch_counts_if_no_range_holds_it(
    spans: list[tuple[int, int]], batches: list[int]
) -> None:
    rising: list[tuple[int, int]] = []
    for low, length in sorted(spans):
        if not rising or low + length > rising[-1][1]:
            rising.append((low, low + length))
    found = outside(np.array(rising, np.int64).reshape(-1, 2), np.array(batches, np.int64))
    assert found.tolist() == [
        not any(low <= batch <= low + length for low, length in spans) for batch in batches
    ]
