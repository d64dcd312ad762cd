"""From registers in a real database to waste that is found, priced, kept, decided and withdrawn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.accounting.holidays import DayKind, HolidayCalendar
from analytics.accounting.site_facts import load_site_facts
from analytics.engine import run_once
from analytics.enpis.figures import Span
from analytics.errors import NoSuchWasteError
from analytics.waste.cli import decide_waste, waste
from analytics.waste.stored import forget_waste_figures, write_waste_figures
from enpilot.database import connect
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts

ZONE = dt.timezone(dt.timedelta(hours=8))
QUARTER = dt.timedelta(minutes=15)
SINCE, UNTIL = dt.date(2025, 5, 5), dt.date(2025, 6, 2)
PRESS = """
[[point]]
code = "press"
name = { zh = "压机", en = "Press" }
medium = "electricity"
role = "sub"
parent = "main"
commissioning = "accepted"
[[machine]]
code = "press"
name = { zh = "压机", en = "Press" }
point = "press"
[[shift]]
code = "early"
name = { zh = "早班", en = "Early" }
starts = 06:00:00
ends = 14:00:00
[[shift]]
code = "late"
name = { zh = "中班", en = "Late" }
starts = 14:00:00
ends = 22:00:00
[[flat_price]]
yuan_per_kwh = "0.8"
source = "made up for tests"
"""
CALENDAR = HolidayCalendar(chinese=True)


def is_workday(at: dt.datetime) -> bool:
    return CALENDAR.of(at.date()).kind is DayKind.WORKDAY


def press_kw(at: dt.datetime) -> float:
    """Run 08:00 to 16:00 and idle to 18:00."""
    if not is_workday(at) or not 8 <= at.hour < 18:
        return 0.0
    return 50.0 if at.hour < 16 else 12.0


def main_kw(at: dt.datetime) -> float:
    """Count a base of 20 kW, offices and the press; 60 kW more in one night for four hours."""
    left_on = dt.datetime(2025, 5, 21, 22, tzinfo=ZONE) <= at < dt.datetime(2025, 5, 22, 2,
                                                                           tzinfo=ZONE)  # fmt: skip
    offices = 100.0 if is_workday(at) and 8 <= at.hour < 18 else 0.0
    return 20.0 + offices + press_kw(at) + (60.0 if left_on else 0.0)


def import_load(
    url: str, folder: Path, point: str, kw: Callable[[dt.datetime], float], **column: str
) -> None:
    """Import 14 weeks of registers of 0.1 kWh, and half an hour of the day after."""
    at = dt.datetime.combine(UNTIL, dt.time(), ZONE) - dt.timedelta(days=98)
    times, counts, level = [], [], 0.0
    while at <= dt.datetime.combine(UNTIL, dt.time(0, 30), ZONE):
        times.append(at)
        counts.append(round(level * 10))
        level += kw(at) / 4
        at += QUARTER
    import_counts(
        url, folder, times, counts, point=point, register_scale="0.1", side="primary", **column
    )


def compute(url: str, version: int, until: dt.date = UNTIL) -> int:
    with connect(url, "test", autocommit=True) as connection:
        while run_once(connection).did_anything:
            pass
        row = connection.execute("SELECT site_id FROM site").fetchone()
        assert row is not None
        facts = load_site_facts(connection, row[0])
        through = dt.datetime.combine(until, dt.time(0, 30), ZONE)
        span = Span(until - dt.timedelta(days=1), until + dt.timedelta(days=1), through, until)
        with connection.transaction():
            return write_waste_figures(connection, facts, span, version)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


def test_what_was_planted_is_found_priced_kept_and_decided(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    apply_plant(postgres_url, tmp_path, WORKS + PRESS)
    import_load(postgres_url, tmp_path, "main", main_kw)
    import_load(postgres_url, tmp_path, "press", press_kw)
    # Three days earlier the same waste was found already, over fewer days.
    assert compute(postgres_url, 6, UNTIL - dt.timedelta(days=3)) > 0
    earlier = dict(rows(postgres_url, "SELECT kind, waste_id FROM waste_finding"))
    assert compute(postgres_url, 7) > 0
    assert rows(
        postgres_url,
        "SELECT kind, waste_id, data_version, (first_seen AT TIME ZONE 'Asia/Shanghai')::date::text"
        " FROM waste_finding WHERE kind IN ('machine_idle', 'profile_exceeded') ORDER BY 1",
    ) == [
        ("machine_idle", earlier["machine_idle"], 7, "2025-05-02"),
        ("profile_exceeded", earlier["profile_exceeded"], 7, "2025-05-21"),
    ]
    found = {
        (kind, code): row
        for kind, code, *row in rows(
            postgres_url,
            "SELECT kind, p.code, amount, tce, yuan, amount_a_year, yuan_a_year, subject, standing,"
            " evidence FROM waste_finding JOIN point p USING (point_id)"
            " WHERE withdrawn_version IS NULL",
        )
    }
    # Labour Day ends on 5 May: 19 workdays with two idle hours at 12 kW.
    amount, tce, yuan, a_year, yuan_a_year, subject, standing, evidence = found[
        "machine_idle", "press"
    ]
    assert (amount, subject, standing) == (pytest.approx(456), "press", True)
    assert tce == pytest.approx(456 * 0.1229 / 1000)
    assert yuan == Decimal("364.80")
    assert a_year == pytest.approx(456 * 365 / 28)
    assert yuan_a_year == Decimal("4755.43")
    assert (evidence["hours"], evidence["running_hours"]) == (38.0, 152.0)
    assert evidence["told_by"] == "found_bands"
    assert evidence["by_shift"] == {"early": 0.0, "late": pytest.approx(456)}
    # One night, 22:00 to 02:00, 60 kW more: an event, and no rate of a year.
    amount, _, yuan, a_year, _, _, standing, evidence = found["profile_exceeded", "main"]
    assert (amount, yuan) == (pytest.approx(240, abs=0.5), Decimal("192.00"))
    assert (a_year, standing, evidence["hours"]) == (None, False, 4.0)
    # Nothing else is wrong with these meters and loads.
    assert set(found) - {("closed_hours_load", "main")} == {
        ("machine_idle", "press"), ("profile_exceeded", "main"),
    }  # fmt: skip
    assert rows(postgres_url, "SELECT rate, days FROM base_load JOIN point p USING (point_id)"
                " WHERE p.code = 'main' AND hours = 'night'") == [(20.0, 28)]  # fmt: skip

    monkeypatch.setenv("ENPILOT_DATABASE_URL", postgres_url)
    [(number,)] = rows(postgres_url, "SELECT waste_id FROM waste_finding WHERE kind ="
                       " 'machine_idle'")  # fmt: skip
    decide_waste(number, "planned", author="li", reason="timer in June")
    decide_waste(number, "not_waste", author="li", reason="it must stay warm")
    waste("works", since=SINCE, until=UNTIL)
    printed = capsys.readouterr().out
    assert "machine idle press" in printed
    assert "not_waste" in printed
    assert "4,755" in printed
    with pytest.raises(NoSuchWasteError):
        decide_waste(number + 1_000, "done", author="li", reason="none")
    assert len(rows(postgres_url, "SELECT 1 FROM waste_decision")) == 2

    # The same day's span is looked at once; the next day's finds the same waste again.
    assert compute(postgres_url, 8) == 0
    with connect(postgres_url, "test") as connection:
        connection.execute("DELETE FROM waste_run")
    assert compute(postgres_url, 9) > 0
    again = rows(postgres_url, "SELECT waste_id, data_version, withdrawn_version"
                 " FROM waste_finding WHERE kind = 'machine_idle'")  # fmt: skip
    assert again == [(number, 9, None)]
    # The finding is gone with its data, and the decision is still there to be read.
    with connect(postgres_url, "test", autocommit=True) as connection:
        row = connection.execute("SELECT site_id FROM site").fetchone()
        assert row is not None
        forget_waste_figures(connection, row[0], 10)
    assert rows(postgres_url, "SELECT DISTINCT withdrawn_version FROM waste_finding") == [(10,)]
