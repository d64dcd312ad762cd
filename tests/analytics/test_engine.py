"""From imported readings to intervals, figures and verdicts in a real database."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from analytics.engine import mark_dirty, run_once
from enpilot.database import connect
from ingest.imports.retract import retract
from ingest.meaning import Meaning, open_epoch
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts, import_production
from tests.ingest.gateway import declaration

ZONE = dt.timezone(dt.timedelta(hours=8))
QUARTER = dt.timedelta(minutes=15)


def local(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=ZONE)  # type: ignore[arg-type,misc]  # parts of a date, and no tzinfo among them


def compute(url: str) -> int:
    with connect(url, "test", autocommit=True) as connection:
        figures = 0
        while (done := run_once(connection)).did_anything:
            figures += done.figures
        return figures


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def quarters(since: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    return [since + i * QUARTER for i in range((until - since) // QUARTER + 1)]


def steady(times: list[dt.datetime], per_quarter: int, start: int = 0) -> list[int]:
    return [start + i * per_quarter for i in range(len(times))]


def test_intervals_hold_the_registers_advance_exactly(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 3))
    import_counts(works, tmp_path, times, steady(times, 7))
    compute(works)
    assert rows(works, "SELECT sum(advance_micro), count(*) FROM interval_advance") == [
        (7 * 192 * 1_000_000, 192)
    ]
    # 7 counts x 0.01 kWh x CT 40 a quarter hour.
    days = rows(
        works,
        "SELECT period_from, amount, coverage, reporting_completeness FROM energy_period"
        " WHERE period_kind = 'day' ORDER BY 1",
    )
    assert days == [
        (dt.date(2026, 3, 1), pytest.approx(7 * 96 * 0.4), 1.0, 1.0),
        (dt.date(2026, 3, 2), pytest.approx(7 * 96 * 0.4), 1.0, 1.0),
    ]


def test_computing_piece_by_piece_gives_the_same_rows(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 2))
    counts = [c + (3 if i % 5 else 0) for i, c in enumerate(steady(times, 50))]
    for i in range(0, len(times), 7):
        import_counts(works, tmp_path, times[i : i + 7], counts[i : i + 7])
        compute(works)
    query = "SELECT ts, advance_micro, estimated_micro, measured_s FROM interval_advance ORDER BY 1"
    pieces = rows(works, query)
    with connect(works, "test", autocommit=True) as connection:
        mark_dirty(connection, ["works"], times[0], times[-1])
    compute(works)
    assert rows(works, query) == pieces
    assert sum(r[1] for r in pieces) == (counts[-1] - counts[0]) * 1_000_000


def test_late_readings_fill_a_gap_and_the_estimate_goes(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 2))
    counts = [round(c) for c in [i * 10 + (i % 2) * 4 for i in range(len(times))]]
    kept = [i for i in range(len(times)) if not 20 < i < 40]
    import_counts(works, tmp_path, [times[i] for i in kept], [counts[i] for i in kept])
    compute(works)
    assert rows(works, "SELECT count(*) FROM gap") == [(1,)]
    day = "SELECT amount, estimated_share, coverage, reporting_completeness FROM energy_period"
    amount, estimated, coverage, reported = rows(works, day + " WHERE period_kind = 'day'")[0]
    # The gap lies inside the day: its energy is known, only its distribution is not (F4).
    assert coverage == 1.0
    assert estimated == pytest.approx(200 / 960, abs=0.01)
    assert reported == pytest.approx(77 / 96, abs=0.02)
    import_counts(works, tmp_path, times, counts)
    compute(works)
    assert rows(works, "SELECT count(*) FROM gap") == [(0,)]
    assert rows(works, day + " WHERE period_kind = 'day'")[0] == (amount, 0.0, 1.0, 1.0)


def test_a_gap_across_midnight_lowers_the_coverage_of_both_days(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 3))
    kept = [i for i in range(len(times)) if not 72 < i < 120]
    counts = steady(times, 10)
    import_counts(works, tmp_path, [times[i] for i in kept], [counts[i] for i in kept])
    compute(works)
    found = rows(
        works, "SELECT coverage FROM energy_period WHERE period_kind = 'day' ORDER BY period_from"
    )
    assert [r[0] for r in found] == [pytest.approx(0.75), pytest.approx(0.75)]


def test_what_was_counted_under_an_earlier_meaning_stays(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 3))
    import_counts(works, tmp_path, times, steady(times, 10))
    compute(works)
    said = declaration(register_scale="0.02")
    with connect(works, "test", autocommit=True) as connection, connection.transaction():
        open_epoch(connection, Meaning(1, said, 900, "birth", b"2", "gateway"), times[96], 99)
        connection.execute(
            "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no) VALUES (1, %s, %s, 99)",
            (times[96], times[-1]),
        )
        connection.execute(
            "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
            " SELECT site_id, %s, %s, 0 FROM site",
            (times[0], times[-1]),
        )
    compute(works)
    query = "SELECT amount FROM energy_period WHERE period_kind = 'day' ORDER BY period_from"
    assert [r[0] for r in rows(works, query)] == [
        pytest.approx(960 * 0.4), pytest.approx(960 * 0.8)
    ]  # fmt: skip


def test_a_retracted_import_is_out_of_the_figures(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 2))
    import_counts(works, tmp_path, times[:49], steady(times[:49], 10))
    wrong = import_counts(works, tmp_path, times[49:], steady(times[49:], 10, 49 * 10))
    compute(works)
    assert rows(works, "SELECT sum(advance_micro) FROM interval_advance") == [(960_000_000,)]
    with connect(works, "test", autocommit=True) as connection:
        retract(connection, wrong, "auditor", "wrong file")
    compute(works)
    assert rows(works, "SELECT sum(advance_micro) FROM interval_advance") == [(480_000_000,)]


def test_a_real_change_of_ratio_scales_advances_not_levels(works: str, tmp_path: Path) -> None:
    # CT 40 to 60 at 8,500 secondary kWh: the level times the ratio would jump by 170,000 kWh (F3).
    times = quarters(local(2026, 3, 1), local(2026, 3, 2))
    import_counts(works, tmp_path, times, steady(times, 10, 850_000))
    changed = WORKS.replace(
        'device = "m1"\nct_ratio = "40"',
        'device = "m1"\nct_ratio = "40"\nto = 2026-03-01T12:00:00+08:00\n'
        '[[installation]]\npoint = "main"\ndevice = "m1"\nct_ratio = "60"\n'
        "from = 2026-03-01T12:00:00+08:00",
    )
    apply_plant(works, tmp_path, changed)
    compute(works)
    day = rows(works, "SELECT amount FROM energy_period WHERE period_kind = 'day'")
    assert day[0][0] == pytest.approx(48 * 10 * 0.01 * 40 + 48 * 10 * 0.01 * 60)


def test_findings_are_kept_and_withdrawn(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 1, 6))
    counts = steady(times, 10, 99_999_900)
    rolled = [c % 100_000_000 for c in counts]
    import_counts(works, tmp_path, times, rolled)
    compute(works)
    assert rows(works, "SELECT code, severity FROM finding WHERE withdrawn_version IS NULL") == [
        ("rollover", "note")
    ]
    assert rows(works, "SELECT sum(advance_micro) FROM interval_advance") == [(240_000_000,)]


def year_of(works: str, tmp_path: Path, year: int, per_quarter: int, days: int = 31) -> None:
    """January of a year: a steady load and ten tonnes a day."""
    first = local(year, 1, 1)
    times = quarters(first, first + dt.timedelta(days=days))
    import_counts(works, tmp_path, times, steady(times, per_quarter, year * 10_000))
    spans = [
        (first + dt.timedelta(days=d), first + dt.timedelta(days=d + 1), "10") for d in range(days)
    ]
    import_production(works, tmp_path, spans)


def enpi(url: str, kind: str, year: int) -> dict[str, Any]:
    names = (
        "intensity", "target_intensity", "status", "progress_ratio", "withheld_code",
        "provisional", "coverage", "output_coverage",
    )  # fmt: skip
    found = rows(
        url,
        f"SELECT {', '.join(names)} FROM enpi_period WHERE period_kind = '{kind}'"
        f" AND period_from = '{year}-01-01'",
    )
    assert len(found) == 1
    return dict(zip(names, found[0], strict=True))


def test_a_month_is_judged_against_the_same_month_of_the_base_year(
    works: str, tmp_path: Path
) -> None:
    year_of(works, tmp_path, 2025, 100)
    year_of(works, tmp_path, 2026, 95)
    assert compute(works) > 0
    base = enpi(works, "month", 2025)
    # 100 counts x 0.01 x CT 40 x 96 quarters = 3,840 kWh a day; x 0.1229 / 10 t.
    assert base["intensity"] == pytest.approx(3840 * 0.1229 / 10)
    assert base["status"] == "base"
    now = enpi(works, "month", 2026)
    assert now["intensity"] == pytest.approx(3840 * 0.95 * 0.1229 / 10)
    assert now["target_intensity"] == pytest.approx(3840 * 0.96 * 0.1229 / 10)
    assert (now["status"], now["provisional"]) == ("on_track", True)
    assert enpi(works, "year_to_date", 2026) == now


def test_a_figure_without_output_is_withheld_and_says_why(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 1, 1), local(2026, 2, 1))
    import_counts(works, tmp_path, times, steady(times, 10))
    compute(works)
    found = enpi(works, "month", 2026)
    assert (found["intensity"], found["status"]) == (None, "withheld")
    assert found["withheld_code"] == "output_missing"


def test_a_figure_with_low_coverage_is_withheld(works: str, tmp_path: Path) -> None:
    first = local(2026, 1, 1)
    times = quarters(first + dt.timedelta(days=5), first + dt.timedelta(days=31))
    import_counts(works, tmp_path, times, steady(times, 10))
    import_production(works, tmp_path, [(first, first + dt.timedelta(days=31), "310")])
    compute(works)
    found = enpi(works, "month", 2026)
    assert found["withheld_code"] == "coverage_low"
    assert found["coverage"] == pytest.approx(26 / 31)


def test_a_change_in_the_base_year_reaches_the_later_verdict(works: str, tmp_path: Path) -> None:
    year_of(works, tmp_path, 2026, 95)
    compute(works)
    assert enpi(works, "month", 2026)["status"] == "no_base"
    year_of(works, tmp_path, 2025, 100)
    compute(works)
    assert enpi(works, "month", 2026)["status"] == "on_track"


def test_computing_again_changes_no_byte(works: str, tmp_path: Path) -> None:
    year_of(works, tmp_path, 2025, 100, days=3)
    year_of(works, tmp_path, 2026, 95, days=3)
    compute(works)
    query = (
        "SELECT enpi_id, period_kind, period_from, period_to, energy, output, intensity,"
        " target_intensity, progress_ratio, status, coverage FROM enpi_period ORDER BY 1, 2, 3, 4"
    )
    before = rows(works, query)
    with connect(works, "test", autocommit=True) as connection:
        mark_dirty(connection, ["works"], local(2025, 1, 1), local(2026, 1, 4))
    compute(works)
    assert rows(works, query) == before
    assert before
