"""What corrections do to figures, in a real database; nothing is edited, all can be taken back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analytics.engine import run_once
from analytics.errors import NoSuchCorrectionError
from analytics.preview import preview
from enpilot.database import connect
from ingest.corrections import Proposal, approve, find_series, propose, reject, revoke
from ingest.errors import CorrectionError
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts, import_production

ZONE = dt.timezone(dt.timedelta(hours=8))
QUARTER = dt.timedelta(minutes=15)
DAY = dt.datetime(2026, 3, 1, tzinfo=ZONE)
# 10 counts x 0.01 kWh x CT 40 a quarter hour.
A_QUARTER_KWH = 4.0
A_DAY_KWH = 96 * A_QUARTER_KWH


def compute(url: str) -> None:
    with connect(url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def days(url: str) -> list[float]:
    found = rows(
        url, "SELECT amount FROM energy_period WHERE period_kind = 'day' ORDER BY period_from"
    )
    return [r[0] for r in found]


@pytest.fixture
def counted(works: str, tmp_path: Path) -> str:
    """Two days of a steady load."""
    times = [DAY + i * QUARTER for i in range(193)]
    import_counts(works, tmp_path, times, [i * 10 for i in range(193)])
    compute(works)
    assert days(works) == [pytest.approx(A_DAY_KWH), pytest.approx(A_DAY_KWH)]
    return works


def proposed(
    url: str,
    kind: Any,
    since: dt.datetime,
    until: dt.datetime | None,
    detail: Mapping[str, Any],
    author: str = "wang",
) -> int:
    with connect(url, "test", autocommit=True) as connection:
        series = find_series(connection, "works", "main", "active_energy", "total")
        proposal = Proposal(
            series, kind, since, until, detail, "work order 17", author, "meter was open"
        )
        return propose(connection, proposal).correction_id


def approved(url: str, *said: Any, by: str = "li") -> int:
    number = proposed(url, *said)
    with connect(url, "test", autocommit=True) as connection:
        approve(connection, number, by, "seen")
    compute(url)
    return number


def revoked(url: str, number: int) -> None:
    with connect(url, "test", autocommit=True) as connection:
        revoke(connection, number, "li", "mistaken")
    compute(url)


def test_a_substitution_takes_the_place_of_what_registers_say(counted: str) -> None:
    since, until = DAY + 8 * QUARTER, DAY + 12 * QUARTER
    number = approved(counted, "substitute", since, until, {"amount": "100", "unit": "kWh"})
    day = rows(
        counted,
        "SELECT amount, estimated_share FROM energy_period WHERE period_kind = 'day'"
        " ORDER BY period_from LIMIT 1",
    )[0]
    assert day[0] == pytest.approx(A_DAY_KWH - 4 * A_QUARTER_KWH + 100)
    assert day[1] == pytest.approx(100 / day[0])
    revoked(counted, number)
    assert days(counted) == [pytest.approx(A_DAY_KWH)] * 2
    assert rows(counted, "SELECT count(*) FROM energy_substitution") == [(1,)]


def test_a_substitution_stays_when_readings_come_late(counted: str, tmp_path: Path) -> None:
    since, until = DAY + 8 * QUARTER, DAY + 12 * QUARTER
    said = {"amount": "12345", "unit": "kWh", "shape": "registers"}
    approved(counted, "substitute", since, until, said)
    before = rows(counted, "SELECT ts, advance_micro FROM interval_advance ORDER BY 1")
    late = DAY + 9 * QUARTER + dt.timedelta(minutes=5)
    import_counts(counted, tmp_path, [late], [93])
    compute(counted)
    inside = "SELECT sum(advance_micro) FROM interval_advance WHERE ts >= '{}' AND ts < '{}'"
    query = inside.format(since.isoformat(), until.isoformat())
    # 12 345 kWh / (0.01 kWh x CT 40), exactly, however often it is shared out anew.
    assert rows(counted, query) == [(12_345 * 1_000_000 * 10 // 4,)]
    assert [r[0] for r in before] == [
        r[0] for r in rows(counted, "SELECT ts FROM interval_advance ORDER BY 1")
    ]


def test_voided_readings_leave_a_bridged_gap(counted: str) -> None:
    since, until = DAY + 20 * QUARTER, DAY + 30 * QUARTER
    number = approved(counted, "void", since, until, {})
    assert rows(counted, "SELECT count(*) FROM gap") == [(1,)]
    assert days(counted)[0] == pytest.approx(A_DAY_KWH)  # the register moved on all the same
    revoked(counted, number)
    assert rows(counted, "SELECT count(*) FROM gap") == [(0,)]


def test_a_ratio_that_was_wrong_from_the_start_mends_the_past(counted: str) -> None:
    number = approved(counted, "meaning", DAY, None, {"ratio": "60"})
    assert days(counted) == [pytest.approx(A_DAY_KWH * 1.5)] * 2
    revoked(counted, number)
    assert days(counted) == [pytest.approx(A_DAY_KWH)] * 2


def test_a_ratio_that_changed_leaves_what_was_before(counted: str) -> None:
    approved(counted, "meaning", DAY + 96 * QUARTER, None, {"ratio": "60"})
    assert days(counted) == [pytest.approx(A_DAY_KWH), pytest.approx(A_DAY_KWH * 1.5)]


def test_a_meaning_for_a_span_splits_what_held(counted: str) -> None:
    since, until = DAY + 24 * QUARTER, DAY + 48 * QUARTER
    number = approved(counted, "meaning", since, until, {"ratio": "80"})
    assert days(counted) == [pytest.approx(A_DAY_KWH * 1.25), pytest.approx(A_DAY_KWH)]
    current = rows(
        counted,
        "SELECT ratio::int FROM series_epoch WHERE superseded_commit_no IS NULL"
        " ORDER BY valid_from",
    )
    assert [r[0] for r in current] == [40, 80, 40]
    revoked(counted, number)
    assert days(counted) == [pytest.approx(A_DAY_KWH)] * 2


def test_a_correction_that_another_rests_on_is_not_revoked_first(counted: str) -> None:
    first = approved(counted, "meaning", DAY, None, {"ratio": "60"})
    second = approved(counted, "meaning", DAY, None, {"ratio": "80"})
    with (
        connect(counted, "test", autocommit=True) as connection,
        pytest.raises(CorrectionError, match=f"correction {second} rests on it"),
    ):
        revoke(connection, first, "li", "mistaken")
    revoked(counted, second)
    assert days(counted) == [pytest.approx(A_DAY_KWH * 1.5)] * 2
    revoked(counted, first)
    assert days(counted) == [pytest.approx(A_DAY_KWH)] * 2


def test_numbers_read_in_the_wrong_word_order_are_recoded(works: str, tmp_path: Path) -> None:
    times = [DAY + i * QUARTER for i in range(97)]
    swapped = [(c & 0xFFFF) << 16 | c >> 16 for c in (100_000 + i * 10 for i in range(97))]
    import_counts(works, tmp_path, times, swapped, modulus="4294967296")
    compute(works)
    approved(works, "meaning", DAY, None, {"decoding": "words"})
    assert days(works) == [pytest.approx(A_DAY_KWH)]


def test_a_replaced_reading_counts_instead(counted: str) -> None:
    at = DAY + 192 * QUARTER
    until = at + dt.timedelta(microseconds=1)
    number = approved(counted, "replace", at, until, {"raw": "1930"})
    assert days(counted)[1] == pytest.approx(A_DAY_KWH + A_QUARTER_KWH)
    revoked(counted, number)
    assert days(counted)[1] == pytest.approx(A_DAY_KWH)


def test_the_preview_shows_what_approval_brings_and_keeps_nothing(
    counted: str, tmp_path: Path
) -> None:
    import_production(counted, tmp_path, [(DAY, DAY + 96 * QUARTER, "10")])
    compute(counted)
    number = proposed(counted, "meaning", DAY, None, {"ratio": "60"})
    before = rows(counted, "SELECT * FROM energy_period ORDER BY 1, 2, 3, 4, 5, 6")
    with connect(counted, "test", autocommit=True) as connection:
        changes = preview(connection, number)
    assert rows(counted, "SELECT * FROM energy_period ORDER BY 1, 2, 3, 4, 5, 6") == before
    day = next(c for c in changes if c.what.startswith("main") and c.period_kind == "day")
    assert (day.before, day.after) == (pytest.approx(A_DAY_KWH), pytest.approx(A_DAY_KWH * 1.5))
    assert any(c.what == "per-tonne" for c in changes)
    with connect(counted, "test", autocommit=True) as connection:
        approve(connection, number, "li", "seen")
    compute(counted)
    assert days(counted)[0] == pytest.approx(day.after)


def test_there_is_no_preview_of_what_is_decided(counted: str) -> None:
    number = proposed(counted, "void", DAY, DAY + QUARTER, {})
    with connect(counted, "test", autocommit=True) as connection:
        reject(connection, number, "li", "no")
        with pytest.raises(NoSuchCorrectionError):
            preview(connection, number)


def test_another_opening_register_in_the_plant_file_takes_effect(
    works: str, tmp_path: Path
) -> None:
    second = """
[[device]]
code = "m2"
[[installation]]
point = "main"
device = "m2"
ct_ratio = "40"
from = 2026-03-02
registers = [{ quantity = "active_energy", channel = "total", opening = "OPENING" }]
"""
    ended = WORKS.replace(
        'device = "m1"\nct_ratio = "40"\n',
        'device = "m1"\nct_ratio = "40"\nto = 2026-03-02\nregisters = '
        '[{ quantity = "active_energy", channel = "total", closing = "955" }]\n',
    )
    apply_plant(works, tmp_path, ended + second.replace("OPENING", "7000"))
    old = [DAY + i * QUARTER for i in range(96)]
    new = [DAY + i * QUARTER for i in range(97, 193)]
    import_counts(works, tmp_path, old, [i * 10 for i in range(96)])
    import_counts(works, tmp_path, new, [7010 + i * 10 for i in range(96)])
    compute(works)
    counts = sum(r[0] for r in rows(works, "SELECT advance_micro FROM interval_advance")) / 1e6
    assert counts == pytest.approx(955 + 960)
    apply_plant(works, tmp_path, ended + second.replace("OPENING", "7005"))
    compute(works)
    counts = sum(r[0] for r in rows(works, "SELECT advance_micro FROM interval_advance")) / 1e6
    assert counts == pytest.approx(955 + 955)
