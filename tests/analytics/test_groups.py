"""Points computed in groups, by all cores, by a cluster: the same bytes, and nothing in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import analytics.intervals.recompute as recompute_module
from analytics.engine import mark_dirty, perform, plan_groups, run_once
from analytics.errors import ClusterError
from analytics.intervals.recompute import recompute_points
from analytics.workers import Cluster, Cores, Here
from enpilot.cli import main
from enpilot.database import connect, data_version
from tests.analytics.awkward_works import DAY, END, build, computed
from tests.services.postgres import DatabaseServer


@pytest.fixture
def awkward(database_url: str, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    build(database_url, tmp_path)
    with connect(database_url, "test", autocommit=True) as connection:
        run_once(connection)
        yield connection


def mark(connection: psycopg.Connection[Any]) -> None:
    mark_dirty(connection, ["works"], DAY - dt.timedelta(days=1), END)


def test_any_grouping_gives_the_same_bytes(
    awkward: psycopg.Connection[Any], database_url: str
) -> None:
    before = computed(awkward)
    kinds = {row[3] for row in before["finding"]}
    assert {"reset", "rollover"} <= kinds
    assert before["gap"]
    version = data_version(awkward)
    for most_points in (1, 3, 100):
        mark(awkward)
        groups = plan_groups(awkward, version, most_points=most_points)
        assert sum(len(g.point_ids) for g in groups) == 7
        assert max(len(g.point_ids) for g in groups) == min(most_points, 7)
        for done in Here(awkward).run(perform, groups[::-1]):
            assert done.intervals > 0
        run_once(awkward)
        assert computed(awkward) == before
    mark(awkward)
    groups = plan_groups(awkward, version, most_points=1)
    assert sum(d.points for d in Cores(awkward, database_url, 3).run(perform, groups)) == 7
    run_once(awkward, Cores(awkward, database_url))
    assert computed(awkward) == before


def test_readings_beyond_a_budget_make_more_groups(awkward: psycopg.Connection[Any]) -> None:
    mark(awkward)
    groups = plan_groups(awkward, 1, most_readings=1000)
    assert 3 <= len(groups) <= 7
    assert [p for g in groups for p in g.point_ids] == sorted(
        p for g in groups for p in g.point_ids
    )


def test_stopped_before_its_end_a_group_is_as_dirty_as_before(
    awkward: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(awkward)
    before = computed(awkward)
    dirty = awkward.execute("SELECT * FROM dirty ORDER BY 1").fetchall()
    points = [row[0] for row in awkward.execute("SELECT point_id FROM point")]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recompute_module, "write_findings", stop)  # the last thing that is written
        with pytest.raises(KeyboardInterrupt):
            recompute_points(awkward, points, 9)
    assert awkward.execute("SELECT * FROM dirty ORDER BY 1").fetchall() == dirty
    assert computed(awkward) == before
    assert recompute_points(awkward, points, data_version(awkward)).points == 7


def test_all_sites_are_computed_anew_on_the_command_line(
    awkward: psycopg.Connection[Any],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = computed(awkward)
    monkeypatch.setenv("ENPILOT_DATABASE_URL", database_url)
    span = ["--from", "2026-02-28", "--to", "2026-03-04"]
    for sites in ([], ["works"], ["--site", "works"]):
        with pytest.raises(SystemExit) as ended:
            main(["analyze", "recompute", *sites, *span, "--workers", "2"])
        assert ended.value.code in (0, None)
        assert capsys.readouterr().out.startswith("7 counters, ")
        assert computed(awkward) == before
    with pytest.raises(SystemExit) as ended:
        main(["analyze", "recompute", "--site", "nowhere", *span])
    assert ended.value.code
    assert "no site 'nowhere'" in capsys.readouterr().err


def test_a_cluster_gives_the_same_bytes(
    awkward: psycopg.Connection[Any],
    database_url: str,
    postgres_server: DatabaseServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    distributed = pytest.importorskip("distributed")
    before = computed(awkward)
    monkeypatch.setenv("ENPILOT_DATABASE_URL", database_url)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, host="127.0.0.1",
        dashboard_address=None, local_directory=str(tmp_path), worker_dashboard_address=None,
    ) as cluster:  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(["analyze", "recompute", "--from", "2026-02-28", "--to", "2026-03-04",
                  "--dask", cluster.scheduler_address])  # fmt: skip
        assert ended.value.code in (0, None)
        assert capsys.readouterr().out.startswith("7 counters, ")
        assert computed(awkward) == before
        # Workers go to the database of their own environment.
        with (
            postgres_server.empty_database() as elsewhere,
            connect(elsewhere, "test", autocommit=True) as other,
            pytest.raises(ClusterError, match=r"on database .* ENPILOT_DATABASE_URL"),
        ):
            Cluster(cluster.scheduler_address, other)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        Cluster("tcp://127.0.0.1:9", awkward)
