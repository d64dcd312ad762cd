"""The services as processes: they outlive the database's outages and stop when told to."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from analytics.counters.account import CounterRules, account, account_many
from enpilot.database import connect
from tests.e2e.plant_under_test import wait_until
from tests.imported import apply_plant, import_counts
from tests.ingest.gateway import PLANT

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture(params=["analyze", "alerts"])
def service(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    settings, log = tmp_path / "settings.toml", tmp_path / "log"
    settings.write_text("every_s = 0.1\n", "utf-8")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "enpilot", request.param, "run", settings],
            env={**os.environ, "ENPILOT_DATABASE_URL": postgres_url}, stdout=out, stderr=out,
        )  # fmt: skip
    yield request.param, process, log
    if process.poll() is None:
        process.kill()
    process.wait()


def sessions(url: str, name: str) -> list[int]:
    with connect(url, "test", autocommit=True) as connection:
        return [
            int(str(row[0]))
            for row in connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = %s",
                (f"enpilot {name}",),
            )
        ]


def test_a_service_outlives_an_outage_and_stops_when_told(
    service: tuple[str, subprocess.Popen[bytes], Path], postgres_url: str
) -> None:
    name, process, log = service
    wait_until(lambda: bool(sessions(postgres_url, name)), 30)
    (first,) = sessions(postgres_url, name)
    with connect(postgres_url, "test", autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (first,))
    wait_until(lambda: bool(set(sessions(postgres_url, name)) - {first}), 30)
    process.terminate()
    assert process.wait(20) == 0
    said = log.read_text("utf-8")
    assert said.count("database is away") == 1
    assert said.count("database is back") == 1
    assert "Traceback" not in said


def test_a_second_evaluator_stands_by_and_takes_over(postgres_url: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("every_s = 0.1\n", "utf-8")
    logs = [tmp_path / "first", tmp_path / "second"]

    def says(log: Path, words: str) -> bool:
        return words in log.read_text("utf-8")

    with ExitStack() as ended:
        processes = []
        for log, words in zip(logs, ["evaluating", "standing by"], strict=True):
            out = ended.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "enpilot", "alerts", "run", settings],
                env={**os.environ, "ENPILOT_DATABASE_URL": postgres_url}, stdout=out, stderr=out,
            )  # fmt: skip
            ended.callback(process.wait)
            ended.callback(process.kill)
            processes.append(process)
            wait_until(lambda log=log, words=words: says(log, words), 30)  # type: ignore[misc]  # a loop's variables, bound
        assert not says(logs[1], "evaluating")
        processes[0].kill()
        wait_until(lambda: says(logs[1], "evaluating"), 30)
        processes[1].terminate()
        assert processes[1].wait(20) == 0


def test_what_arrives_is_computed_by_the_running_service(postgres_url: str, tmp_path: Path) -> None:
    apply_plant(postgres_url, tmp_path, PLANT)
    settings = tmp_path / "settings.toml"
    settings.write_text("every_s = 0.1\n", "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "enpilot", "analyze", "run", settings],
        env={**os.environ, "ENPILOT_DATABASE_URL": postgres_url}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        times = [START + i * dt.timedelta(minutes=15) for i in range(9)]
        import_counts(postgres_url, tmp_path, times, [10 * i for i in range(9)])

        def computed() -> bool:
            with connect(postgres_url, "test") as connection:
                row = connection.execute("SELECT sum(advance_micro) FROM interval_advance")
                return row.fetchone() == (80_000_000,)

        wait_until(computed, 40)
    finally:
        process.terminate()
        process.wait(20)


def test_many_series_at_once_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(7)
    times, levels, offsets = [], [], [0]
    for n in (0, 1, 500, 90):
        times.append(np.cumsum(rng.integers(1, 10**9, n)))
        levels.append(np.cumsum(rng.integers(0, 10**7, n)))
        offsets.append(offsets[-1] + n)
    rules = [CounterRules(gap_s=300, rated_micro_per_s=r) for r in (0, 0, 50_000, 10**9)]
    together = account_many(
        np.concatenate(times), np.concatenate(levels), np.array(offsets, dtype=np.int64), rules
    )
    assert len(together) == 4
    for s, rule in enumerate(rules):
        alone, one = account(times[s], levels[s], rule), together.series(s)
        assert alone.start_us.tolist() == one.start_us.tolist()
        assert alone.advance_micro.tolist() == one.advance_micro.tolist()
        assert alone.estimated_micro.tolist() == one.estimated_micro.tolist()
        assert (alone.gaps, alone.findings) == (one.gaps, one.findings)
