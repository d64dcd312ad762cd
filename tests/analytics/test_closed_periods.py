"""Files, corrections, crashes and two hands at once leave a signed month as it was signed."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.closing import closing
from analytics.closing.differences import pending_differences
from analytics.errors import ClosingError
from enpilot.database import connect
from enpilot.plant import load_plant
from ingest.corrections import Proposal, approve, find_series, propose
from ingest.errors import ClosedPeriodError, CorrectionError
from ingest.imports.output import import_output
from ingest.imports.plant import PlantChanges, import_plant
from ingest.imports.report import report_lines
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute, local, rows
from tests.imported import apply_plant, import_counts, import_production
from tests.imported_tables import mapping_file, run_import, text_file

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
Connection = psycopg.Connection[Any]
SUB = """
[[point]]
code = "oven"
name = {zh = "炉", en = "Oven"}
medium = "electricity"
role = "sub"
"""


@pytest.fixture
def works(tmp_path: Path, postgres_url: str) -> str:
    """January and three days of February 2026, hour by hour; nothing is closed yet."""
    apply_plant(postgres_url, tmp_path, WORKS)
    times = [local(2026, 1, 1) + i * HOUR for i in range(34 * 24 + 1)]
    import_counts(postgres_url, tmp_path, times, [i * 400 for i in range(len(times))],
                  period_s=3600)  # fmt: skip
    days = [local(2026, 1, 1) + i * DAY for i in range(34)]
    import_production(postgres_url, tmp_path, [(d, d + DAY, "10") for d in days])
    compute(postgres_url)
    return postgres_url


@pytest.fixture
def connection(works: str) -> Iterator[Connection]:
    with connect(works, "test", autocommit=True) as opened:
        yield opened


def january(connection: Connection) -> closing.Period:
    return closing.period_of(connection, "works", "month", dt.date(2026, 1, 1))


def prepare(connection: Connection) -> closing.Period:
    period = january(connection)
    checks = closing.prepare(connection, period, "ann", "complete")
    assert not [c for c in checks if c.level == "block"], checks
    return period


@pytest.fixture
def closed(connection: Connection) -> closing.Period:
    period = prepare(connection)
    closing.approve(connection, period, "bob", "looked at")
    return period


def apply(
    connection: Connection, folder: Path, text: str, reopen_reason: str | None = None
) -> PlantChanges:
    file = folder / "changed.toml"
    file.write_text(text, "utf-8")
    return import_plant(
        connection, load_plant(file), "wang", "new file", reopen_reason=reopen_reason
    )


def signed(url: str) -> list[tuple[Any, ...]]:
    return rows(
        url,
        "SELECT energy, output, intensity, closing_version FROM enpi_period"
        " WHERE period_kind = 'month' AND period_from = '2026-01-01'",
    )


def test_a_file_that_changes_a_closed_month_is_refused(
    works: str, connection: Connection, closed: closing.Period, tmp_path: Path
) -> None:
    before = signed(works)
    plant = "SELECT count(*), max(commit_no) FROM installation"
    records = rows(works, plant)
    other = WORKS.replace('ct_ratio = "40"', 'ct_ratio = "50"')
    assert other != WORKS
    with pytest.raises(ClosedPeriodError, match="month 2026-01-01 to 2026-01-31") as refused:
        apply(connection, tmp_path, other)
    assert "--reopen-reason" in str(refused.value)
    assert rows(works, plant) == records
    done = apply(connection, tmp_path, other, "the nameplate says 50, photo 12")
    assert done.months == ["2026-01", "2026-02"]
    assert [p.first for p in done.closed] == [closed.first]
    compute(works)
    # It stays as it was signed, and what it would be waits.
    assert signed(works) == before
    waiting = pending_differences(connection, closed.site_id)
    energies = [
        d.fields["energy"]
        for d in waiting
        if d.figure.startswith("enpi ") and " month from " in d.figure
    ]
    assert energies == [(pytest.approx(before[0][0]), pytest.approx(before[0][0] * 1.25))]
    assert waiting[0].causes["plant_records"] > 0
    [(reason,)] = rows(
        works, "SELECT reason FROM installation ORDER BY installation_id DESC LIMIT 1"
    )
    assert reason == "new file; changes a closed period: the nameplate says 50, photo 12"
    assert rows(works, "SELECT action FROM period_closing ORDER BY closing_id DESC LIMIT 1") == [
        ("closed",)
    ]


@pytest.mark.parametrize(
    "change",
    [
        WORKS.replace('en = "Per tonne"', 'en = "Electricity per tonne"'),
        WORKS + SUB,
        WORKS.replace("[site]\n", "[site]\nself_approval = true\n"),
        WORKS.replace('authority = "test"', 'authority = "board"'),
    ],
)
def test_names_and_new_sub_meters_touch_nothing(
    connection: Connection, closed: closing.Period, tmp_path: Path, change: str
) -> None:
    assert change != WORKS
    done = apply(connection, tmp_path, change)
    assert done.total > 0
    assert (done.months, done.closed) == ([], [])


def test_what_begins_after_the_closed_month_is_applied(
    connection: Connection, closed: closing.Period, tmp_path: Path
) -> None:
    adjusted = WORKS + (
        '[[base_adjustment]]\nenpi = "per-tonne"\ncode = "line"\nevent = "new_line"\n'
        'factor = "1.2"\ndocument = "minutes"\nfrom = 2026-02-01\n'
    )
    done = apply(connection, tmp_path, adjusted)
    assert done.closed == []
    assert done.months == ["2026-02"]
    with pytest.raises(ClosedPeriodError):
        apply(connection, tmp_path, adjusted.replace("from = 2026-02-01", "from = 2026-01-31"))


def test_an_import_says_which_months_are_closed(
    works: str, closed: closing.Period, tmp_path: Path
) -> None:
    table = text_file(
        tmp_path,
        "product,line,stage,disposition,quantity,from,to\n"
        "section,l2,qualified,good,1,2026-01-31,2026-02-01\n"
        "section,l2,qualified,good,1,2026-02-01,2026-02-02\n",
    )
    for dry_run in (True, False):
        done = run_import(works, import_output, table, mapping_file(tmp_path, ""), dry_run=dry_run)
        assert (done.months, done.closed) == (["2026-01", "2026-02"], ["2026-01"])
        assert "  closed: what changes of 2026-01 waits as a difference" in list(
            report_lines(table, done)
        )


def test_a_correction_of_a_closed_month_needs_a_second_person(
    works: str, connection: Connection, closed: closing.Period
) -> None:
    def reasons(since: dt.datetime) -> list[str]:
        series = find_series(connection, "works", "main", "active_energy", "total")
        proposal = Proposal(series, "void", since, since + HOUR, {}, "photo", "wang", "stuck")
        return propose(connection, proposal).second_person

    assert "closed_period" in reasons(local(2026, 1, 31, 23))
    assert "closed_period" not in reasons(local(2026, 2, 1, 1))


def test_a_correction_proposed_before_the_month_closed_needs_one_too(
    works: str, connection: Connection, tmp_path: Path
) -> None:
    apply_plant(works, tmp_path, WORKS + SUB)
    times = [local(2026, 1, 1) + i * HOUR for i in range(31 * 24 + 1)]
    import_counts(works, tmp_path, times, [i * 400 for i in range(len(times))],
                  period_s=3600, point="oven")  # fmt: skip
    compute(works)
    series = find_series(connection, "works", "oven", "active_energy", "total")
    since = local(2026, 1, 10)
    proposal = Proposal(series, "void", since, since + HOUR, {}, "photo", "wang", "stuck")
    proposed = propose(connection, proposal)
    assert proposed.second_person == []
    closing.approve(connection, prepare(connection), "bob", "looked at")
    with pytest.raises(CorrectionError, match="closed_period"):
        approve(connection, proposed.correction_id, "wang", "I am sure")
    assert not approve(connection, proposed.correction_id, "li", "seen")


def test_a_closing_that_is_killed_leaves_the_month_prepared(
    works: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = prepare(connection)
    monkeypatch.setenv("ENPILOT_DATABASE_URL", works)
    command = [sys.executable, "-m", "enpilot", "close", "approve", "works", "--month",
               "2026-01", "--by", "bob"]  # fmt: skip
    waits = (
        "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'pending_difference'::regclass"
    )
    with connect(works, "blocker") as blocker:
        # The row that closes is written before this table is: here the process stands still.
        blocker.execute("LOCK TABLE pending_difference IN SHARE MODE")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not (held := connection.execute(waits).fetchall()):
                assert process.poll() is None, process.stdout
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.communicate()
    # The server notices that nobody is there once it has the lock.
    while connection.execute(
        "SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", ([pid for (pid,) in held],)
    ).fetchall():
        time.sleep(0.05)
    assert rows(works, "SELECT action, version FROM period_state") == [("prepared", 1)]
    assert signed(works)[0][-1] is None
    assert closing.broken_links(connection, period.site_id) == []
    assert closing.approve(connection, period, "bob", "once more") == 1


def test_two_people_approving_at_once_make_one_closing(works: str, connection: Connection) -> None:
    period = prepare(connection)
    start = threading.Barrier(2)
    said: list[int | str] = []

    def sign(author: str) -> None:
        with connect(works, author, autocommit=True) as own:
            start.wait()
            try:
                said.append(closing.approve(own, period, author, "looked at"))
            except ClosingError as error:
                said.append(str(error))

    threads = [threading.Thread(target=sign, args=(name,)) for name in ("bob", "carl")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = sorted(map(str, said))
    assert first == "1"
    assert "is not prepared" in second
    assert rows(works, "SELECT count(*) FROM period_closing WHERE action = 'closed'") == [(1,)]
    assert closing.broken_links(connection, period.site_id) == []
