"""Files into the database: twice is once, a bad file is refused, all can be undone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from enpilot.database import connect
from ingest.errors import ImportRefusedError
from ingest.imports.retract import retract
from tests.imported import apply_plant, import_counts, import_files, write_counts
from tests.ingest.gateway import PLANT

ZONE = dt.timezone(dt.timedelta(hours=8))
TIMES = [dt.datetime(2026, 3, 1, 0, 15 * i, tzinfo=ZONE) for i in range(4)]


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def test_the_same_file_twice_is_once(works: str, tmp_path: Path) -> None:
    files = write_counts(tmp_path, TIMES, [10, 20, 30, 40])
    first = import_files(works, *files)
    again = import_files(works, *files)
    assert (first.rows_written, again.rows_written, again.rows_present) == (4, 0, 4)
    assert first.stream == again.stream
    assert rows(works, "SELECT count(*) FROM reading") == [(4,)]


def test_a_file_with_one_more_line_adds_one_reading(works: str, tmp_path: Path) -> None:
    import_counts(works, tmp_path, TIMES[:3], [10, 20, 30])
    import_counts(works, tmp_path, TIMES, [10, 20, 30, 40])
    assert rows(works, "SELECT raw_int FROM reading ORDER BY ts") == [(10,), (20,), (30,), (40,)]


def test_another_value_for_a_known_instant_is_reported_not_written(
    works: str, tmp_path: Path
) -> None:
    import_counts(works, tmp_path, TIMES, [10, 20, 30, 40])
    files = write_counts(tmp_path, TIMES, [10, 21, 30, 40])
    result = import_files(works, *files)
    assert result.rows_written == 0
    assert result.conflicts == 1
    assert rows(works, "SELECT raw_int FROM reading ORDER BY ts")[1] == (20,)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([10, "abc", 30, 40], "line 3"),
        ([10, "1.5", 30, 40], "line 3"),
        ([10, "9" * 40, 1, 2], "line 3"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_number_is_named_and_nothing_is_written(
    works: str, tmp_path: Path, counts: list[int | str], said: str
) -> None:
    files = write_counts(tmp_path, TIMES, counts)
    with pytest.raises(ImportRefusedError) as refused:
        import_files(works, *files)
    assert said in str(refused.value)
    assert str(files[0]) in str(refused.value)
    assert rows(works, "SELECT count(*) FROM reading") == [(0,)]


@pytest.mark.parametrize(
    ("column", "said"),
    [({"unit": "MJ"}, "MJ"), ({"point": "nowhere"}, "nowhere"), ({"column": "x"}, "x")],
)
def test_a_mapping_that_does_not_fit_is_refused(
    works: str, tmp_path: Path, column: dict[str, str], said: str
) -> None:
    files = write_counts(tmp_path, TIMES, [1, 2, 3, 4], **column)
    with pytest.raises(ImportRefusedError) as refused:
        import_files(works, *files)
    assert said in str(refused.value)
    assert rows(works, "SELECT count(*) FROM reading") == [(0,)]


def test_an_empty_cell_is_a_reading_that_is_not_available(works: str, tmp_path: Path) -> None:
    import_counts(works, tmp_path, TIMES, [10, "", 30, 40])
    found = rows(works, "SELECT raw_int, quality & 255 <> 0 FROM reading ORDER BY ts")
    assert found[1] == (None, True)


def test_a_retraction_leaves_the_rows_and_says_who_and_why(works: str, tmp_path: Path) -> None:
    stream = import_counts(works, tmp_path, TIMES, [10, 20, 30, 40])
    with connect(works, "test", autocommit=True) as connection:
        assert retract(connection, stream, "auditor", "wrong meter") == 4
    assert rows(works, "SELECT count(*) FROM reading") == [(4,)]
    assert rows(works, "SELECT author, reason FROM retraction") == [("auditor", "wrong meter")]
    assert rows(works, "SELECT count(*) FROM dirty") == [(2,)]


def test_a_ratio_changed_in_the_plant_file_splits_the_meaning(works: str, tmp_path: Path) -> None:
    import_counts(works, tmp_path, TIMES, [10, 20, 30, 40])
    changed = PLANT.replace(
        'device = "m1"\nct_ratio = "40"',
        'device = "m1"\nct_ratio = "40"\nto = 2026-03-01T00:30:00+08:00\n'
        '[[installation]]\npoint = "main"\ndevice = "m1"\nct_ratio = "60"\n'
        "from = 2026-03-01T00:30:00+08:00",
    )
    apply_plant(works, tmp_path, changed)
    apply_plant(works, tmp_path, changed)  # again: nothing to change
    found = rows(
        works,
        "SELECT ratio::int FROM series_epoch WHERE superseded_commit_no IS NULL"
        " ORDER BY valid_from",
    )
    assert found == [(40,), (60,)]
