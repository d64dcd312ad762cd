"""A month of a real database judged criterion by criterion."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from analytics.accounting.site_facts import load_site_facts
from analytics.engine import run_once
from analytics.enpis.figures import Span
from analytics.quality.cli import quality
from analytics.quality.figures import forget_quality_figures, write_quality_figures
from enpilot.database import connect
from enpilot.errors import ConfigurationError
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts

ZONE = dt.timezone(dt.timedelta(hours=8))
QUARTER = dt.timedelta(minutes=15)
CALIBRATED = """
calibrated_on = 2024-06-01
calibration_due = 2026-05-31
certificate = "C-7"
accuracy_class = "0.5S"
"""
WITH_CALIBRATION = WORKS.replace('code = "m1"\n', 'code = "m1"' + CALIBRATED, 1).replace(
    'code = "main"\n', 'code = "main"\nmetering_level = 1\n', 1
)


def import_month(
    url: str, folder: Path, *, late: dt.timedelta = dt.timedelta(), lost: int = 0
) -> None:
    """Import March 2025; ``late`` is by how much readings miss the boundary, ``lost`` how many."""
    at = dt.datetime(2025, 2, 28, 12, tzinfo=ZONE)
    times, counts, level = [], [], 0
    while at <= dt.datetime(2025, 4, 1, 12, tzinfo=ZONE):
        if not (at.day == 10 and at.hour * 4 + at.minute // 15 < lost):
            times.append(at + late)
            counts.append(level)
        level += 10
        at += QUARTER
    import_counts(url, folder, times, counts)


def write(url: str, complete_until: dt.date = dt.date(2025, 4, 1)) -> dict[str, Any]:
    with connect(url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass
        row = connection.execute("SELECT site_id FROM site").fetchone()
        assert row is not None
        span = Span(dt.date(2025, 3, 5), dt.date(2025, 4, 1),
                    dt.datetime(2025, 4, 1, 12, tzinfo=ZONE), complete_until)  # fmt: skip
        facts = load_site_facts(connection, row[0])
        with connection.transaction():
            assert write_quality_figures(connection, facts, span, 7) == 2
        columns = (
            "index_share, known_share, failed, not_known, provisional, criteria, withheld_code"
        )
        found = connection.execute(
            f"SELECT coalesce(p.code, ''), {columns} FROM quality_period LEFT JOIN point p USING"
            " (point_id)"
        ).fetchall()
    return {code: dict(zip(columns.split(", "), rest, strict=True)) for code, *rest in found}


def value(found: dict[str, Any], code: str) -> Any:
    return next(c["value"] for c in found["criteria"] if c["code"] == code)


def test_a_good_month(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    apply_plant(database_url, tmp_path, WITH_CALIBRATION)
    import_month(database_url, tmp_path)
    found = write(database_url)
    point, site = found["main"], found[""]
    assert (point["failed"], point["not_known"]) == ([], [])
    assert (point["index_share"], point["known_share"], point["provisional"]) == (1.0, 1.0, False)
    assert (value(point, "day_boundary_s"), value(point, "month_boundary_s")) == (0.0, 0.0)
    assert value(point, "accuracy_margin") == 1.5
    assert value(point, "calibrated_share") == 1.0
    # Nobody declared what was bought; that is not known, and nothing that passes.
    assert site["not_known"] == ["declared_deviation"]
    assert site["index_share"] == 1.0
    assert value(site, "fitting_margin") == 0.0
    monkeypatch.setenv("ENPILOT_DATABASE_URL", database_url)
    quality("works", month="2025-03")
    printed = capsys.readouterr().out
    assert "index 100%" in printed
    assert "not known: declared_deviation" in printed
    assert "fitting rate electricity level 1: 100% (1 of 1), required 100%" in printed
    with pytest.raises(ConfigurationError, match="no day of 2025-07"):
        quality("works", month="2025-07")
    with connect(database_url, "test", autocommit=True) as connection:
        row = connection.execute("SELECT site_id FROM site").fetchone()
        assert row is not None
        forget_quality_figures(connection, row[0])
        assert connection.execute("SELECT 1 FROM quality_period").fetchone() is None


def test_what_is_wrong_fails_with_its_number(tmp_path: Path, postgres_url: str) -> None:
    overdue = WITH_CALIBRATION.replace("2026-05-31", "2025-03-10")
    apply_plant(postgres_url, tmp_path, overdue.replace('"0.5S"', '"2.5"'))
    import_month(postgres_url, tmp_path, late=dt.timedelta(minutes=2), lost=96)
    point = write(postgres_url)["main"]
    assert value(point, "day_boundary_s") == 120.0
    assert value(point, "month_boundary_s") == 120.0
    assert value(point, "calibrated_share") == pytest.approx(10 / 31)
    assert value(point, "accuracy_margin") == -0.5
    assert {"day_boundary_s", "calibrated_share", "accuracy_margin"} <= set(point["failed"])
    # A day was lost of 31: still complete enough, and known by its registers.
    assert value(point, "reporting_completeness") == pytest.approx(30 / 31, abs=0.002)
    assert "reporting_completeness" not in point["failed"]
    assert "coverage" not in point["failed"]


def test_what_nobody_said_is_not_known(tmp_path: Path, postgres_url: str) -> None:
    apply_plant(postgres_url, tmp_path, WORKS)
    import_month(postgres_url, tmp_path)
    point = write(postgres_url)["main"]
    assert point["not_known"] == ["calibrated_share", "accuracy_margin"]
    assert point["index_share"] == 1.0
    assert point["known_share"] < 1.0


def test_a_running_month_is_provisional_and_its_days_are_not_added_up(
    tmp_path: Path, postgres_url: str
) -> None:
    apply_plant(postgres_url, tmp_path, WORKS)
    import_month(postgres_url, tmp_path)
    point = write(postgres_url, complete_until=dt.date(2025, 3, 20))["main"]
    assert point["provisional"]
    assert "day_sum_deviation" in point["not_known"]


def test_a_later_calibration_leaves_the_earlier_one_in_the_record(
    tmp_path: Path, postgres_url: str
) -> None:
    apply_plant(postgres_url, tmp_path, WITH_CALIBRATION.replace("2026-05-31", "2025-03-10"))
    later = WITH_CALIBRATION.replace("2024-06-01", "2025-03-11").replace("C-7", "C-8")
    apply_plant(postgres_url, tmp_path, later)
    with connect(postgres_url, "test") as connection:
        held = connection.execute(
            "SELECT calibrated_on::text, due_on::text, certificate FROM calibration"
            " WHERE superseded_commit_no IS NULL ORDER BY 1"
        ).fetchall()
    assert held == [("2024-06-01", "2025-03-10", "C-7"), ("2025-03-11", "2026-05-31", "C-8")]
    import_month(postgres_url, tmp_path)
    assert value(write(postgres_url)["main"], "calibrated_share") == 1.0
