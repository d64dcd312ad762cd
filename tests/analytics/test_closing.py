"""Months and years that are signed: what comes later waits, and who changed a row is found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.closing import closing
from analytics.closing.cli import difference_lines
from analytics.closing.differences import Difference, decide, pending_differences
from analytics.errors import ClosingError
from analytics.past import reproduce
from enpilot.database import connect
from ingest.imports.retract import retract
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute, local, quarters, rows, steady
from tests.imported import apply_plant, import_counts, import_production

DAY = dt.timedelta(days=1)
KGCE_A_DAY = 3840 * 0.1229
Connection = psycopg.Connection[Any]


@pytest.fixture
def two_months(works: str, tmp_path: Path) -> str:
    """January and February 2026: a steady load, ten tonnes a day; five days are not read yet."""
    times = quarters(local(2026, 1, 1), local(2026, 3, 1))
    counts = steady(times, 100)
    import_counts(works, tmp_path, times, counts)
    spans = [
        (local(2026, 1, 1) + i * DAY, local(2026, 1, 1) + (i + 1) * DAY, "10") for i in range(59)
    ]
    import_production(works, tmp_path, spans)
    compute(works)
    return works


@pytest.fixture
def connection(two_months: str) -> Iterator[Connection]:
    with connect(two_months, "test", autocommit=True) as opened:
        yield opened


def month(connection: Connection, number: int) -> closing.Period:
    return closing.period_of(connection, "works", "month", dt.date(2026, number, 1))


def close(connection: Connection, number: int) -> int:
    period = month(connection, number)
    checks = closing.prepare(connection, period, "ann", "complete")
    assert not [c for c in checks if c.level == "block"], checks
    return closing.approve(connection, period, "bob", "looked at")


def figure(url: str, kind: str, until: dt.date) -> dict[str, Any]:
    names = "energy", "output", "intensity", "provisional", "closing_version"
    found = rows(
        url,
        f"SELECT {', '.join(names)} FROM enpi_period WHERE period_kind = '{kind}'"
        f" AND period_to = '{until}'",
    )
    assert len(found) == 1
    return dict(zip(names, found[0], strict=True))


def add_output(url: str, folder: Path, tonnes: str) -> None:
    """Somebody finds ten hours of January that were not booked."""
    import_production(
        url, folder, [(local(2026, 1, 10), local(2026, 1, 10, 10), tonnes)], line="l2"
    )
    compute(url)


def test_a_closed_month_is_final(two_months: str, connection: Connection) -> None:
    assert figure(two_months, "month", dt.date(2026, 2, 1))["closing_version"] is None
    assert close(connection, 1) == 1
    signed = figure(two_months, "month", dt.date(2026, 2, 1))
    assert (signed["provisional"], signed["closing_version"]) == (False, 1)
    assert signed["intensity"] == pytest.approx(KGCE_A_DAY / 10)
    compute(two_months)
    assert figure(two_months, "month", dt.date(2026, 2, 1)) == signed
    assert pending_differences(connection, month(connection, 1).site_id) == []


def test_what_comes_later_waits(two_months: str, connection: Connection, tmp_path: Path) -> None:
    close(connection, 1)
    signed = figure(two_months, "month", dt.date(2026, 2, 1))
    add_output(two_months, tmp_path, "31")
    assert figure(two_months, "month", dt.date(2026, 2, 1)) == signed
    # The year so far holds January as it was signed, and February as it is.
    year = figure(two_months, "year_to_date", dt.date(2026, 3, 1))
    assert year["output"] == pytest.approx(590)
    waiting = pending_differences(connection, month(connection, 1).site_id)
    of_month = next(d for d in waiting if d.figure.startswith("enpi per-tonne month"))
    assert of_month.fields["output"] == (pytest.approx(310), pytest.approx(341))
    assert of_month.causes == {"output_entries": 1}
    assert waiting[0] is of_month
    table = difference_lines(waiting)
    assert any(line.split()[:3] == ["output", "310", "341"] for line in table)


def test_why_energy_changed_is_told_of_what_was_signed(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    times = quarters(local(2025, 1, 1), local(2025, 3, 1))
    import_counts(two_months, tmp_path, times, steady(times, 100))
    import_production(
        two_months, tmp_path,
        [(local(2025, 1, 1) + i * DAY, local(2025, 1, 1) + (i + 1) * DAY, "10") for i in range(59)],
    )  # fmt: skip
    compute(two_months)
    close(connection, 1)
    add_output(two_months, tmp_path, "31")
    [year] = rows(
        two_months,
        "SELECT output, volume_effect, efficiency_effect FROM enpi_period"
        " WHERE period_kind = 'year_to_date' AND period_to = '2026-03-01'",
    )
    # As much as a year ago, at the same energy: 31 t that nobody signed made no volume.
    assert year[0] == pytest.approx(590)
    assert year[1:] == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))


def test_accepted_by_two_people_it_becomes_the_next_version(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    close(connection, 1)
    add_output(two_months, tmp_path, "31")
    [first, *_] = pending_differences(connection, month(connection, 1).site_id)
    decide(connection, first.difference_id, "accepted", "ann", "shift book", month(connection, 1))
    compute(two_months)
    now = figure(two_months, "month", dt.date(2026, 2, 1))
    assert (now["output"], now["provisional"]) == (pytest.approx(341), True)
    assert close(connection, 1) == 2
    compute(two_months)
    assert figure(two_months, "month", dt.date(2026, 2, 1))["closing_version"] == 2
    assert figure(two_months, "year_to_date", dt.date(2026, 3, 1))["output"] == pytest.approx(621)
    assert pending_differences(connection, month(connection, 1).site_id) == []
    assert closing.broken_links(connection, month(connection, 1).site_id) == []


def test_refused_it_does_not_come_back(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    close(connection, 1)
    add_output(two_months, tmp_path, "31")
    site_id = month(connection, 1).site_id
    for waiting in pending_differences(connection, site_id):
        decide(connection, waiting.difference_id, "refused", "ann", "counted in February")
    connection.execute(
        "INSERT INTO dirty_site SELECT site_id, '2026-01-01Z', '2026-03-01Z', 1 FROM site"
    )
    compute(two_months)
    assert pending_differences(connection, site_id) == []
    assert figure(two_months, "month", dt.date(2026, 2, 1))["output"] == pytest.approx(310)


def test_one_person_does_not_sign_alone(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    period = month(connection, 1)
    closing.prepare(connection, period, "ann", "complete")
    with pytest.raises(ClosingError, match="another person approves it"):
        closing.approve(connection, period, "ann", "me too")
    with pytest.raises(ClosingError, match="is prepared already"):
        closing.prepare(connection, period, "bob", "complete")
    apply_plant(two_months, tmp_path, WORKS.replace("[site]\n", "[site]\nself_approval = true\n"))
    assert closing.approve(connection, period, "ann", "one-person plant") == 1
    assert rows(two_months, "SELECT self_approved FROM period_closing WHERE action = 'closed'") == [
        (True,)
    ]


def test_what_changed_since_it_was_prepared_is_not_signed(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    period = month(connection, 1)
    closing.prepare(connection, period, "ann", "complete")
    add_output(two_months, tmp_path, "31")
    with pytest.raises(ClosingError, match="changed since it was prepared"):
        closing.approve(connection, period, "bob", "looked at")
    closing.withdraw(connection, period, "ann", "one more entry")
    assert close(connection, 1) == 2


def test_a_month_without_all_of_its_output_does_not_close(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 1, 1), local(2026, 2, 1))
    import_counts(works, tmp_path, times, steady(times, 100))
    spans = [
        (local(2026, 1, 1) + i * DAY, local(2026, 1, 1) + (i + 1) * DAY, "10") for i in range(29)
    ]
    import_production(works, tmp_path, spans)
    compute(works)
    with connect(works, "test", autocommit=True) as connection:
        checks = closing.prepare(connection, month(connection, 1), "ann", "complete")
        blocking = {c.code: c.value for c in checks if c.level == "block"}
        assert blocking == {"output_missing": pytest.approx(29 / 31)}
        later = closing.prepare(connection, month(connection, 2), "ann", "complete")
    assert {c.code for c in later if c.level == "block"} == {"not_over", "no_figures"}
    assert rows(works, "SELECT count(*) FROM period_closing") == [(0,)]


def test_a_year_closes_over_its_closed_months(two_months: str, connection: Connection) -> None:
    close(connection, 1)
    year = closing.period_of(connection, "works", "year", dt.date(2026, 6, 1))
    checks = closing.prepare(connection, year, "ann", "complete")
    open_months = [c.about for c in checks if c.code == "month_open"]
    assert open_months == [f"2026-{m:02d}-01" for m in range(2, 13)]


def test_a_changed_row_is_found(two_months: str, connection: Connection) -> None:
    close(connection, 1)
    close(connection, 2)
    site_id = month(connection, 1).site_id
    assert closing.broken_links(connection, site_id) == []
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE period_closing SET author = 'eve'")
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE closed_figure SET content = '{}'")
    # One who owns the table can turn the guard off; the chain still tells.
    connection.execute("ALTER TABLE closed_figure DISABLE TRIGGER ALL")
    connection.execute(
        "UPDATE closed_figure SET content = jsonb_set(content, '{energy}', '1')"
        " WHERE ctid = (SELECT min(ctid) FROM closed_figure WHERE kind = 'enpi_period')"
    )
    connection.execute("ALTER TABLE closed_figure ENABLE TRIGGER ALL")
    [first, *_] = rows(two_months, "SELECT closing_id FROM period_closing ORDER BY 1")
    assert closing.broken_links(connection, site_id) == [first[0]]


def test_a_closed_base_stays_as_it_was_signed(works: str, tmp_path: Path) -> None:
    level = 0
    for year, load in ((2025, 100), (2026, 95)):
        times = quarters(local(year, 1, 1), local(year, 2, 1))
        counts = [level + c for c in steady(times, load)]
        level = counts[-1]
        import_counts(works, tmp_path, times, counts)
        import_production(
            works,
            tmp_path,
            [
                (local(year, 1, 1) + i * DAY, local(year, 1, 1) + (i + 1) * DAY, "10")
                for i in range(31)
            ],
        )
    compute(works)
    with connect(works, "test", autocommit=True) as connection:
        period = closing.period_of(connection, "works", "month", dt.date(2025, 1, 1))
        closing.prepare(connection, period, "ann", "the base")
        closing.approve(connection, period, "bob", "the base")
    query = (
        "SELECT target_intensity FROM enpi_period WHERE period_kind = 'month'"
        " AND period_from = '2026-01-01'"
    )
    before = rows(works, query)
    import_production(works, tmp_path, [(local(2025, 1, 10), local(2025, 1, 11), "50")], line="l2")
    compute(works)
    assert rows(works, query) == before


def test_the_first_version_can_be_computed_again_after_the_second(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    close(connection, 1)
    [(first,)] = rows(two_months, "SELECT max(data_version) FROM period_closing")
    add_output(two_months, tmp_path, "31")
    [(between,)] = rows(two_months, "SELECT data_version FROM computation")
    [waiting, *_] = pending_differences(connection, month(connection, 1).site_id)
    decide(connection, waiting.difference_id, "accepted", "ann", "shift book", month(connection, 1))
    compute(two_months)
    close(connection, 1)
    compute(two_months)
    for version in (first, between):
        found = reproduce(two_months, "works", version)
        assert found.differences == ()
        assert found.equal > 0


def retract_readings(url: str, before: dt.datetime) -> None:
    """Take back every import of readings that begins before an instant."""
    with connect(url, "test", autocommit=True) as connection:
        for (stream,) in connection.execute(
            "SELECT stream FROM import_run JOIN stream USING (stream_no)"
            " WHERE kind = 'readings' AND first_ts < %s",
            (before,),
        ).fetchall():
            retract(connection, stream, "auditor", "wrong meter")
    compute(url)


def test_what_was_signed_stays_when_all_data_are_taken_back(
    two_months: str, connection: Connection
) -> None:
    close(connection, 1)
    signed = figure(two_months, "month", dt.date(2026, 2, 1))
    retract_readings(two_months, local(2027, 1, 1))
    assert figure(two_months, "month", dt.date(2026, 2, 1)) == signed
    waiting = pending_differences(connection, month(connection, 1).site_id)
    of_month = next(d for d in waiting if d.figure.startswith("enpi per-tonne month"))
    assert of_month.fields["energy"] == (pytest.approx(31 * KGCE_A_DAY), None)


def test_a_signed_base_stays_when_its_data_are_taken_back(works: str, tmp_path: Path) -> None:
    level = 0
    for year, load in ((2025, 100), (2026, 95)):
        times = quarters(local(year, 1, 1), local(year, 2, 1))
        counts = [level + c for c in steady(times, load)]
        level = counts[-1]
        import_counts(works, tmp_path, times, counts)
        days = [local(year, 1, 1) + i * DAY for i in range(31)]
        import_production(works, tmp_path, [(day, day + DAY, "10") for day in days])
    compute(works)
    with connect(works, "test", autocommit=True) as connection:
        period = closing.period_of(connection, "works", "month", dt.date(2025, 1, 1))
        closing.prepare(connection, period, "ann", "the base")
        closing.approve(connection, period, "bob", "the base")
    query = (
        "SELECT period_kind, target_intensity FROM enpi_period WHERE period_from = '2026-01-01'"
        " AND period_to = '2026-02-01' AND period_kind <> 'day' ORDER BY 1"
    )
    before = rows(works, query)
    assert [target for _, target in before] == [pytest.approx(0.96 * KGCE_A_DAY / 10)] * 3
    retract_readings(works, local(2025, 12, 1))
    assert rows(works, query) == [(kind, pytest.approx(target)) for kind, target in before]


PRODUCTION = WORKS.replace(
    'timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nproduction_day_start = 08:00:00'
).replace('product = "section"', 'product = "section"\ncalendar = "production"')


CIVIL = """
[[enpi]]
code = "civil"
name = {zh = "吨钢电耗", en = "Per tonne"}
scheme = "electricity"
product = "section"
"""


def of_production(url: str, folder: Path, until: dt.datetime, more: str = "") -> None:
    apply_plant(url, folder, PRODUCTION + more)
    times = quarters(local(2026, 1, 1, 8), until)
    import_counts(url, folder, times, steady(times, 100))
    days = [local(2026, 1, 1, 8) + i * DAY for i in range(31)]
    import_production(url, folder, [(day, day + DAY, "10") for day in days])
    compute(url)


def test_a_month_of_production_days_is_over_when_its_last_night_is(
    works: str, tmp_path: Path
) -> None:
    of_production(works, tmp_path, local(2026, 2, 1, 4), CIVIL)
    with connect(works, "test", autocommit=True) as connection:
        checks = closing.prepare(connection, month(connection, 1), "ann", "complete")
        assert ("not_over", "per-tonne") in [(c.code, c.about) for c in checks]


def test_the_last_night_of_a_signed_month_stays_as_it_was_signed(
    works: str, tmp_path: Path
) -> None:
    of_production(works, tmp_path, local(2026, 2, 2))
    with connect(works, "test", autocommit=True) as connection:
        close(connection, 1)
    signed = figure(works, "month", dt.date(2026, 2, 1))
    assert signed["closing_version"] == 1
    import_production(
        works, tmp_path, [(local(2026, 2, 1, 2), local(2026, 2, 1, 5), "9")], line="b"
    )
    compute(works)
    assert figure(works, "month", dt.date(2026, 2, 1)) == signed


def test_a_later_grid_factor_does_not_reach_behind_a_signature(
    two_months: str, connection: Connection, tmp_path: Path
) -> None:
    basis = 'electricity_basis = "physical"'
    apply_plant(two_months, tmp_path, WORKS.replace(basis, f'{basis}\ngrid_region = "zhejiang"'))
    compute(two_months)
    close(connection, 1)
    # As if all of it had been computed while the grid factor of an earlier year was the latest.
    changed = connection.execute(
        "UPDATE carbon_period SET data_year = data_year - 1 WHERE data_year IS NOT NULL"
    ).rowcount
    assert changed > 0
    times = quarters(local(2026, 3, 1), local(2026, 3, 3))
    import_counts(two_months, tmp_path, times, steady(times, 100, 59 * 9600))
    compute(two_months)
    query = (
        "SELECT DISTINCT closing_version FROM {} WHERE period_to = '2026-02-01'"
        " AND period_kind IN ('month', 'year_to_date')"
    )
    for table in ("scheme_energy_period", "carbon_period"):
        assert rows(two_months, query.format(table)) == [(1,)]
    # What is not signed follows the later factor.
    assert len(rows(two_months, "SELECT DISTINCT data_year FROM carbon_period")) == 1


def test_of_month_and_year_the_later_signature_holds(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 1, 1), local(2027, 1, 2))
    import_counts(works, tmp_path, times, steady(times, 100))
    import_production(works, tmp_path, [(local(2026, 1, 1), local(2027, 1, 1), "3650")])
    compute(works)
    with connect(works, "test", autocommit=True) as connection:
        for number in range(1, 13):
            close(connection, number)
        year = closing.period_of(connection, "works", "year", dt.date(2026, 6, 1))
        assert not [c for c in closing.prepare(connection, year, "ann", "") if c.level == "block"]
        closing.approve(connection, year, "bob", "the year")
        closing.reopen(connection, month(connection, 12), "ann", "a shift book was found")
        import_production(
            works, tmp_path, [(local(2026, 12, 1), local(2027, 1, 1), "50")], line="l2"
        )
        compute(works)
        close(connection, 12)
    said = []
    for _ in range(2):
        with connect(works, "test", autocommit=True) as connection:
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " SELECT site_id, %s, %s, 0 FROM site", (times[-3], times[-2]),
            )  # fmt: skip
        compute(works)
        said.append(figure(works, "year_to_date", dt.date(2027, 1, 1)))
    # The year was not reopened: what it signed holds, and the shift book waits.
    assert said[0] == said[1]
    assert (said[0]["output"], said[0]["closing_version"]) == (pytest.approx(3650), 2)
    waiting = pending_differences_of(works)
    assert any(d.fields.get("output") == (3650.0, 3700.0) for d in waiting)


def pending_differences_of(url: str) -> list[Difference]:
    with connect(url, "test", autocommit=True) as connection:
        return pending_differences(connection, month(connection, 1).site_id)


def test_the_time_of_a_signature_is_signed_too(two_months: str, connection: Connection) -> None:
    close(connection, 1)
    connection.execute("ALTER TABLE period_closing DISABLE TRIGGER ALL")
    connection.execute(
        "UPDATE period_closing SET recorded_at = '2026-02-02 00:00+00' WHERE action = 'closed'"
    )
    connection.execute("ALTER TABLE period_closing ENABLE TRIGGER ALL")
    [last, *_] = rows(two_months, "SELECT closing_id FROM period_closing ORDER BY 1 DESC")
    assert closing.broken_links(connection, month(connection, 1).site_id) == [last[0]]
