"""The past: what was shown is kept, and comes out the same from the data of then."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.engine import mark_dirty, run_once
from analytics.errors import NoSuchSiteError, PastError
from analytics.past import classify, inputs_hash, reproduce
from enpilot.cli import main
from enpilot.database import connect, data_version
from ingest.corrections import Proposal, approve, find_series, propose, revoke
from ingest.imports.retract import retract
from tests.analytics.awkward_works import DAY, END, MINUTE, PLANT, TIMES, build, computed
from tests.imported import apply_plant, import_counts, import_production

STATED = {"amount": "50", "unit": "kWh"}


def compute(connection: psycopg.Connection[Any]) -> int:
    while run_once(connection).did_anything:
        pass
    return data_version(connection)


def approved(connection: psycopg.Connection[Any], point: str, kind: Any, detail: Any) -> int:
    series = find_series(connection, "works", point, "active_energy", "total")
    span = (DAY + dt.timedelta(hours=12), DAY + dt.timedelta(hours=15))
    number = propose(
        connection, Proposal(series, kind, *span, detail, "note", "wang", "checked")
    ).correction_id
    approve(connection, number, "li", "seen")
    return number


@pytest.fixture
def awkward(database_url: str, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    build(database_url, tmp_path)
    with connect(database_url, "test", autocommit=True) as connection:
        compute(connection)
        yield connection


def site_id(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT site_id FROM site").fetchone()
    assert row is not None
    return int(row[0])


def test_every_version_comes_out_as_it_was_shown(
    awkward: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    versions = [compute(awkward)]
    states = [computed(awkward)]

    def next_version() -> None:
        versions.append(compute(awkward))
        states.append(computed(awkward))

    # Readings of days that were there, and of a new one.
    late = import_counts(
        database_url, tmp_path, [t + 2 * MINUTE for t in TIMES[30:40]],
        [i * 5 + 2 for i in range(30, 40)], point="main",
    )  # fmt: skip
    more = [END + i * 7 * MINUTE for i in range(1, 250)]
    import_counts(database_url, tmp_path, more, [2100 + i * 5 for i in range(250)][1:])
    next_version()
    import_production(database_url, tmp_path, [(END, END + dt.timedelta(days=1), "77")])
    number = approved(awkward, "main", "substitute", STATED)
    next_version()
    retract(awkward, late, "tester", "wrong file")
    approved(awkward, "p3", "meaning", {"ratio": "2"})
    apply_plant(
        database_url, tmp_path, PLANT.replace('annual_rate = "0.04"', 'annual_rate = "0.05"')
    )
    next_version()
    revoke(awkward, number, "li", "mistaken")
    next_version()
    assert all(a != b for a, b in itertools.pairwise(states))
    present = computed(awkward)
    for version in versions:
        found = reproduce(database_url, "works", version)
        assert found.differences == ()
        assert (found.version, found.equal >= 10) == (version, True)
    assert computed(awkward) == present
    assert awkward.execute("SELECT count(*) FROM dirty").fetchone() == (0,)
    # In between, what was shown is what had been computed last.
    assert reproduce(database_url, "works", versions[1] - 1).version == versions[0]
    day = (DAY.date(), DAY.date() + dt.timedelta(days=1))
    assert 0 < reproduce(database_url, "works", versions[2], day).equal < 10


def test_a_reading_that_somebody_changed_is_found(
    awkward: psycopg.Connection[Any],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", database_url)
    command = ["analyze", "reproduce", "--site", "works", "--version", str(data_version(awkward))]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--period", "2026-03"])
    assert ended.value.code in (0, None)
    assert " figures equal, 0 differ" in capsys.readouterr().out
    awkward.execute(
        "UPDATE reading SET raw_int = raw_int - 90 FROM series JOIN point USING (point_id)"
        " WHERE reading.series_id = series.series_id AND code = 'p3' AND ts = %s",
        (TIMES[-1],),
    )
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert ", 1 differ" in said
    assert "energy_period point_id=3 quantity=active_energy channel=total" in said
    assert " amount: stored " in said


def test_what_was_never_shown_cannot_be_reproduced(
    awkward: psycopg.Connection[Any], database_url: str
) -> None:
    newest = data_version(awkward)
    with pytest.raises(PastError, match=f"lies ahead: the newest is {newest}"):
        reproduce(database_url, "works", newest + 1)
    with pytest.raises(PastError, match="no figures of data version 1 or before; the first"):
        reproduce(database_url, "works", 1)
    with pytest.raises(NoSuchSiteError, match="no site 'nowhere'"):
        reproduce(database_url, "nowhere", newest)


def test_only_what_changes_is_kept_and_it_stays(awkward: psycopg.Connection[Any]) -> None:
    count = "SELECT count(*), max(data_version) FROM figure_version"
    kept = awkward.execute(count).fetchone()
    mark_dirty(awkward, [], DAY, END)
    compute(awkward)
    assert awkward.execute(count).fetchone() == kept
    for change in ("DELETE FROM figure_version", "UPDATE figure_version SET content = NULL"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="never changed or deleted"):
            awkward.execute(change.encode())
    # A figure that is withdrawn leaves a row that says so.
    awkward.execute("DELETE FROM enpi_period")
    gone = "SELECT count(*) > 0, bool_and(code_version = 'by hand') FROM figure_version"
    assert awkward.execute(f"{gone} WHERE content IS NULL".encode()).fetchone() == (True, True)


def test_every_table_has_a_past_or_is_known_to_need_none(
    awkward: psycopg.Connection[Any],
) -> None:
    relations = classify(awkward)
    assert relations.unknown == ()
    assert {"series_epoch", "factor", "output", "energy_substitution"} <= set(relations.facts)
    assert {"interval_advance", "energy_period", "enpi_period"} <= set(relations.computed)
    awkward.execute("CREATE TABLE enpilot.coming_fact (price numeric, superseded_commit_no bigint)")
    with pytest.raises(PastError, match=r"table coming_fact .* needs a column commit_no"):
        classify(awkward)
    awkward.execute("ALTER TABLE enpilot.coming_fact ADD commit_no bigint")
    assert "coming_fact" in classify(awkward).facts


def test_a_hash_over_all_inputs_changes_with_any_of_them(
    awkward: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    site = site_id(awkward)
    seen = set()

    def hashed(*, changed: bool) -> None:
        found = inputs_hash(awkward, site, DAY, END)
        assert inputs_hash(awkward, site, DAY, END) == found
        assert len(found) == 32
        assert (found not in seen) == changed
        seen.add(found)

    hashed(changed=True)
    compute(awkward)
    hashed(changed=False)
    stream = import_counts(database_url, tmp_path, [TIMES[30] + MINUTE], [151])
    hashed(changed=True)
    retract(awkward, stream, "tester", "wrong file")
    hashed(changed=True)
    approved(awkward, "main", "void", {})
    hashed(changed=True)
    import_production(database_url, tmp_path, [(DAY, DAY + dt.timedelta(hours=8), "9")])
    hashed(changed=True)
    # Not of the period: long after it.
    after = [END + dt.timedelta(days=30) + i * MINUTE for i in (0, 7)]
    import_counts(database_url, tmp_path, [END + 7 * MINUTE], [2105])
    compute(awkward)
    before = inputs_hash(awkward, site, DAY, END)
    import_counts(database_url, tmp_path, after, [9000, 9005])
    assert inputs_hash(awkward, site, DAY, END) == before
