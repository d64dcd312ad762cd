"""The findings table: a rehearsal says what the real thing says; a bar on a terminal only."""

from __future__ import annotations

import datetime as dt
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from enpilot.database import connect
from enpilot.progress import progress_bar
from ingest.imports.cli import app
from ingest.imports.readings import import_readings
from ingest.imports.report import report_lines
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts
from tests.imported_tables import (
    REGISTER,
    SHANGHAI,
    found,
    mapping_file,
    rows,
    run_import,
    text_file,
)

START = dt.datetime(2026, 3, 31, 22, tzinfo=SHANGHAI)
QUARTER = dt.timedelta(minutes=15)
# What is odd, by line: a repeated line, a fall, a leap, an empty cell, a hole of two hours.
COUNTS: list[tuple[int, object]] = [
    (0, 1000), (1, 1010), (1, 1010), (2, 900), (3, 1030), (4, 90_000), (5, ""), (14, 90_010),
]  # fmt: skip
MAPPING = f'[[series]]\ncolumn = "kwh"\nrated_max_per_h = 1000\n{REGISTER}'


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, WORKS)
    return database_url


@pytest.fixture
def plain_works(tmp_path: Path, postgres_url: str) -> str:
    """On one kind of server, for what never asks it anything of its own."""
    apply_plant(postgres_url, tmp_path, WORKS)
    return postgres_url


def odd_file(folder: Path) -> Path:
    lines = [f"{(START + i * QUARTER).isoformat()},{value}" for i, value in COUNTS]
    return text_file(folder, "\n".join(["ts,kwh", *lines]), name="odd.csv")


def counts_of_tables(url: str) -> list[tuple[object, ...]]:
    tables = ("reading", "stream", "batch_ledger", "series", "series_epoch", "import_run", "dirty")
    return [rows(url, f"SELECT count(*) FROM {t}")[0] for t in tables]


def test_a_rehearsal_finds_what_the_import_finds_and_writes_nothing(
    works: str, tmp_path: Path
) -> None:
    import_counts(works, tmp_path, [START, START + 3 * QUARTER], [1000, 1040])
    file, mapping = odd_file(tmp_path), mapping_file(tmp_path, MAPPING)
    before = counts_of_tables(works)
    rehearsal = run_import(works, import_readings, file, mapping, dry_run=True)
    assert counts_of_tables(works) == before
    real = run_import(works, import_readings, file, mapping)
    assert found(rehearsal) == {
        "not_available": 1, "duplicate": 1, "fell": 1, "above_rated": 1, "gap": 1, "differs": 1,
    }  # fmt: skip
    for name in ("rows_read", "rows_written", "rows_present", "months", "series", "first", "last"):
        assert getattr(rehearsal, name) == getattr(real, name), name
    assert list(rehearsal.findings) == list(real.findings)
    assert rehearsal.months == ["2026-03", "2026-04"]
    assert (real.rows_written, real.rows_present) == (5, 1)
    summary = real.series[0]
    # Counts of 0.01 kWh behind a CT of 40; 88,970 counts in a quarter of an hour.
    assert (summary.least, summary.most) == (pytest.approx(360), pytest.approx(36_004))
    assert summary.largest_per_h == pytest.approx(88_970 * 0.4 * 4)
    lines = {f.code: f.first for f in real.findings}
    assert lines["fell"] == ["line 5: from 1010 to 900 counts"]
    assert lines["duplicate"] == ["line 4 as line 3"]
    assert lines["differs"] == ["line 6, 2026-03-31 22:45:00+08:00: 1040 there, 1030 in the file"]


def test_a_unit_that_cannot_be_is_doubted(plain_works: str, tmp_path: Path) -> None:
    lines = [f"{(START + i * QUARTER).isoformat()},{i * 10_000_000}" for i in range(5)]
    mapping = mapping_file(tmp_path, MAPPING.replace("rated_max_per_h = 1000\n", ""))
    file = text_file(tmp_path, "\n".join(["ts,kwh", *lines]))
    assert found(run_import(plain_works, import_readings, file, mapping, dry_run=True)) == {
        "implausible_unit": 1
    }


def test_the_command_prints_the_table(
    plain_works: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", plain_works)
    arguments = ["readings", str(odd_file(tmp_path)), "--mapping",
                 str(mapping_file(tmp_path, MAPPING))]  # fmt: skip
    app([*arguments, "--dry-run"], result_action="return_value")
    dry, error = capsys.readouterr()
    assert error == ""  # no bar where nobody looks
    assert "dry run, nothing was written" in dry
    assert "7 would be written" in dry
    app(arguments, result_action="return_value")
    real, _ = capsys.readouterr()
    assert dry.splitlines()[2:] == real.splitlines()[2:]
    assert "figures change of: 2026-03, 2026-04" in real
    assert "above_rated" in real
    app(["list"], result_action="return_value")
    assert "complete" in capsys.readouterr().out


def test_the_bar_is_shown_on_a_terminal_only() -> None:
    with progress_bar("file.csv", Console(file=io.StringIO())) as tell:
        assert tell is None
    screen = io.StringIO()
    with progress_bar("file.csv", Console(file=screen, force_terminal=True, width=80)) as tell:
        assert tell is not None
        tell("checking", 0.0)
        tell("checking", 0.5)
        tell("writing", 1.0)
    assert "file.csv: writing" in screen.getvalue()
    assert "100%" in screen.getvalue()


def test_a_real_terminal_sees_the_bar(plain_works: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "enpilot", "import", "readings", odd_file(tmp_path), "--mapping",
         mapping_file(tmp_path, MAPPING)],
        env=os.environ | {"ENPILOT_DATABASE_URL": plain_works, "TERM": "xterm"},
        stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=60,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "odd.csv" in shown
    assert b"import " in done.stdout


def test_many_findings_are_shown_by_their_first_lines(plain_works: str, tmp_path: Path) -> None:
    times = [START + i * QUARTER for i in range(20)]
    import_counts(plain_works, tmp_path, times, list(range(20)))
    lines = [f"{t.isoformat()},{i + 1}" for i, t in enumerate(times)]
    file = text_file(tmp_path, "\n".join(["ts,kwh", *lines]))
    mapping = mapping_file(tmp_path, f'[[series]]\ncolumn = "kwh"\n{REGISTER}')
    result = run_import(plain_works, import_readings, file, mapping, chunk_values=7)
    text = "\n".join(report_lines(file, result))
    assert found(result) == {"differs": 20}
    assert "and 15 more" in text
    with connect(plain_works, "test") as connection:
        assert connection.execute("SELECT count(*) FROM reading").fetchone() == (20,)
