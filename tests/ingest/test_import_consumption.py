"""Amounts per interval: sums are exact, a missing one is never zero, order is no matter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.engine import mark_dirty
from enpilot.database import connect
from ingest.errors import ImportRefusedError
from ingest.imports.readings import import_readings
from ingest.imports.result import ImportResult
from ingest.imports.retract import retract
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute
from tests.imported import apply_plant, import_counts
from tests.imported_tables import (
    AMOUNT,
    SHANGHAI,
    found,
    mapping_file,
    rows,
    run_import,
    text_file,
)

START = dt.datetime(2026, 3, 1, tzinfo=SHANGHAI)
QUARTER = dt.timedelta(minutes=15)
MAPPING = f'[time]\nstamp = "start"\n[[series]]\ncolumn = "kwh"\n{AMOUNT}'
Amounts = dict[int, int]  # quarter after START → amount [0.01 kWh]


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    return database_url


@pytest.fixture
def plain_works(tmp_path: Path, postgres_url: str) -> str:
    """On one kind of server, for what never asks it anything of its own."""
    apply_plant(postgres_url, tmp_path, WORKS)
    return postgres_url


def bring(
    url: str, folder: Path, amounts: Amounts, *, supersede: bool = False, chunk_values: int = 7
) -> ImportResult:
    lines = [
        f"{(START + i * QUARTER).isoformat()},{amount // 100}.{amount % 100:02d}"
        for i, amount in sorted(amounts.items())
    ]
    file = text_file(folder, "\n".join(["ts,kwh", *lines]))
    return run_import(
        url, import_readings, file, mapping_file(folder, MAPPING), supersede=supersede,
        chunk_values=chunk_values,
    )  # fmt: skip


def accounted(url: str) -> Amounts:
    """What the accounting made of it, by quarter, in 0.01 kWh."""
    compute(url)
    return {
        (ts - START) // QUARTER: Fraction(micro, 1_000_000)  # type: ignore[misc]  # a row is of any types
        for ts, micro in rows(url, "SELECT ts, advance_micro FROM interval_advance ORDER BY ts")
    }


def undo(url: str, result: ImportResult) -> None:
    with connect(url, "test", autocommit=True) as connection:
        retract(connection, result.stream, "auditor", "wrong")


def test_sums_are_exact_and_a_missing_interval_stays_unknown(works: str, tmp_path: Path) -> None:
    amounts = {i: 317 + i for i in range(96) if i not in (20, 21, 40)}
    amounts[30] = 0  # a zero is an amount
    result = bring(works, tmp_path, amounts)
    assert result.rows_written == 93
    assert found(result) == {"gap": 2}
    assert accounted(works) == amounts
    day = rows(
        works,
        "SELECT amount, coverage, estimated_share, reporting_completeness FROM energy_period"
        " WHERE period_kind = 'day'",
    )[0]
    assert day[0] == pytest.approx(sum(amounts.values()) / 100)
    assert day[1] == pytest.approx(93 / 96)
    assert day[2] == 0.0
    assert day[3] == pytest.approx(93 / 96)
    # Marked as derived; a run's beginning says that nothing is known before it.
    assert rows(works, "SELECT bool_and(quality & 8192 <> 0) FROM reading") == [(True,)]


def test_a_hole_is_filled_later_in_any_order(works: str, tmp_path: Path) -> None:
    whole = {i: 100 + 3 * i for i in range(48)}
    pieces = [range(30, 40), range(10), range(20, 30), range(40, 48), range(10, 20)]
    for piece in pieces:
        bring(works, tmp_path, {i: whole[i] for i in piece})
        accounted(works)
    assert accounted(works) == whole
    before = rows(works, "SELECT ts, advance_micro, measured_s FROM interval_advance ORDER BY ts")
    with connect(works, "test", autocommit=True) as connection:
        mark_dirty(connection, ["works"], START, START + 48 * QUARTER)
    compute(works)
    assert before == rows(
        works, "SELECT ts, advance_micro, measured_s FROM interval_advance ORDER BY ts"
    )


def test_a_longer_export_adds_only_what_is_new(works: str, tmp_path: Path) -> None:
    bring(works, tmp_path, dict.fromkeys(range(10), 100))
    result = bring(works, tmp_path, dict.fromkeys(range(25), 100))
    assert (result.rows_written, result.rows_present) == (15, 10)
    assert accounted(works) == dict.fromkeys(range(25), 100)


def test_a_superseding_amount_changes_itself_alone(works: str, tmp_path: Path) -> None:
    first = {i: 100 + i for i in range(20)}
    bring(works, tmp_path, first)
    mended = first | {0: 7, 8: 8, 9: 9, 19: 1}
    assert found(bring(works, tmp_path, mended)) == {"differs": 4}
    assert accounted(works) == first
    second = bring(works, tmp_path, mended, supersede=True)
    assert (second.rows_written, second.rows_present) == (4, 16)
    assert accounted(works) == mended
    again = mended | {9: 90, 10: 100}
    third = bring(works, tmp_path, again, supersede=True)
    assert accounted(works) == again
    undo(works, second)
    assert accounted(works) == again | {0: 100, 8: 108, 19: 119}
    undo(works, third)
    assert accounted(works) == first


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.integers(0, 15), st.integers(0, 9), min_size=1),
            st.booleans(),
        ),
        min_size=1, max_size=5,
    )
)  # fmt: skip
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_imported_in_whatever_order(
    tmp_path: Path, postgres_url: str, imports: Sequence[tuple[Amounts, bool]]
) -> None:
    with connect(postgres_url, "test", autocommit=True) as connection:
        names = connection.execute(
            "SELECT string_agg(relname, ', ') FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE nspname = 'enpilot' AND relkind = 'r'"
            # Who may sign in is no part of it, and its log refuses to be emptied.
            " AND relname !~ 'yoyo|factor|person|access_log|role_permission|request_kind'"
        ).fetchone()
        assert names is not None
        connection.execute(f"TRUNCATE {names[0]} RESTART IDENTITY CASCADE".encode())
    apply_plant(postgres_url, tmp_path, WORKS)
    expected: Amounts = {}
    done: list[ImportResult] = []
    for amounts, supersede in imports:
        done.append(
            bring(postgres_url, tmp_path, amounts, supersede=supersede, chunk_values=100)
        )  # fmt: skip
        expected = {**expected, **amounts} if supersede else {**amounts, **expected}
        assert accounted(postgres_url) == expected
    for result in {r.stream: r for r in done}.values():
        undo(postgres_url, result)
    assert accounted(postgres_url) == {}


def test_registers_and_amounts_do_not_share_a_channel(works: str, tmp_path: Path) -> None:
    times = [START + i * QUARTER for i in range(5)]
    import_counts(works, tmp_path, times, [0, 1, 2, 3, 4], side="primary", raw_type="int64",
                  modulus=None)  # fmt: skip
    with pytest.raises(ImportRefusedError, match=r"another channel.*\$\.series\[0\]"):
        bring(works, tmp_path, {1: 100, 2: 100})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["2026-03-01 00:00,1", "2026-03-01 00:10,1"], "line 3.*before the interval of line 2"),
        (["2026-03-01 00:00,-1"], "line 2.*below zero"),
        (["2026-03-01 00:00,1.234"], "line 2.*`decimals`"),
    ],
)
def test_amounts_that_cannot_be_are_refused(
    plain_works: str, tmp_path: Path, lines: list[str], said: str
) -> None:
    file = text_file(tmp_path, "\n".join(["ts,kwh", *lines]))
    with pytest.raises(ImportRefusedError, match=said):
        run_import(plain_works, import_readings, file, mapping_file(tmp_path, MAPPING))


def test_a_read_register_after_amounts_begins_anew(works: str, tmp_path: Path) -> None:
    bring(works, tmp_path, dict.fromkeys(range(4), 100))
    # A meter was put in; its register has nothing to do with the sum of the amounts.
    times = [START + i * QUARTER for i in range(4, 9)]
    import_counts(works, tmp_path, times, [7_000 + 50 * i for i in range(5)], side="primary",
                  raw_type="int64", modulus=None)  # fmt: skip
    assert accounted(works) == {i: 100 if i < 4 else 50 for i in range(8)}
    assert rows(works, "SELECT code FROM finding") == []


def test_amounts_of_days_are_known_by_the_day_only(plain_works: str, tmp_path: Path) -> None:
    days = [f"{START.date() + dt.timedelta(days=i)},{100 + i}" for i in range(4)]
    mapping = mapping_file(tmp_path, 'period = "day"\n' + MAPPING)
    file = text_file(tmp_path, "\n".join(["ts,kwh", *days]))
    run_import(plain_works, import_readings, file, mapping)
    compute(plain_works)
    found_days = rows(
        plain_works,
        "SELECT amount, coverage, estimated_share, distribution_coverage FROM energy_period"
        " WHERE period_kind = 'day' ORDER BY period_from",
    )
    assert [(r[0], r[1], r[3]) for r in found_days] == [
        (100.0, 1.0, 0.0), (101.0, 1.0, 0.0), (102.0, 1.0, 0.0), (103.0, 1.0, 0.0)
    ]  # fmt: skip
    assert all(0.9 < r[2] <= 1.0 for r in found_days)
