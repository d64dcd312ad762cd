"""The archive: figures over dropped months are the same to the byte, never from half the data."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analytics.engine import perform, plan_groups, run_once
from analytics.intervals.readings import load_readings
from enpilot.archive import (
    ArchiveMismatchError,
    ArchiveUnavailableError,
    Month,
    RetentionError,
    archive_files,
    archive_month,
    drop_archived,
    reading_after,
    reading_before,
    rows_with_archive,
    verify_file,
)
from enpilot.archive.cli import archive as command
from enpilot.database import read_capabilities
from enpilot.errors import ConfigurationError
from ingest.imports.retract import retract
from tests.enpilot.archived_works import (
    FIRST,
    LAST,
    NO_QUIET,
    PLANT,
    QUARTER,
    ZONE,
    ArchivedWorks,
    archived_works,
    count_at,
    times,
    with_a_gap,
)
from tests.imported import apply_plant, import_counts


@pytest.fixture
def works(
    every_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ArchivedWorks]:
    made = archived_works(every_url, tmp_path)
    monkeypatch.setenv("ENPILOT_ARCHIVE_DIR", str(made.root))
    with made.connection:
        yield made


@pytest.fixture
def plain(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ArchivedWorks]:
    """The same on plain PostgreSQL, for what does not hang on the server."""
    made = archived_works(postgres_url, tmp_path)
    monkeypatch.setenv("ENPILOT_ARCHIVE_DIR", str(made.root))
    with made.connection:
        yield made


def archived_and_dropped(works: ArchivedWorks) -> None:
    assert len(works.archive()) == 3  # February's last hours in UTC, March, April
    works.verify()
    dropped = works.drop()
    assert [d.refusal for d in dropped if d.refusal is not None] == []
    assert works.one("SELECT count(*) FROM reading") == 0
    assert sum(d.rows for d in dropped) == len(with_a_gap())


def test_figures_are_the_same_to_the_byte_after_archive_and_drop(works: ArchivedWorks) -> None:
    before = works.figures()
    assert all(before.values())
    archived_and_dropped(works)
    kept = works.one("SELECT count(*) FROM kept_reading")
    assert 2 * 39 <= kept < 4 * 42
    assert works.compute_anew() > 3500
    assert works.figures() == before
    # A span in the middle, whose neighbours are in files only, as well.
    works.connection.execute(
        "INSERT INTO dirty SELECT series_id, '2015-03-10T03:00Z', '2015-03-10T04:00Z', 0"
        " FROM series WHERE quantity = 'active_energy'"
    )
    works.compute()
    assert works.figures() == before


def test_neighbours_are_found_wherever_they_lie(works: ArchivedWorks) -> None:
    series_id = works.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    held = with_a_gap()

    def agrees() -> None:
        for at in (FIRST, FIRST + dt.timedelta(days=31), held[500], held[500] + QUARTER / 2, LAST,
                   FIRST - QUARTER, LAST + QUARTER):  # fmt: skip
            before = [t for t in held if t < at]
            after = [t for t in held if t >= at]
            assert reading_before(works.connection, series_id, at) == (before or [None])[-1]
            assert reading_after(works.connection, series_id, at) == (after or [None])[0]

    agrees()
    archived_and_dropped(works)
    agrees()


def test_what_is_kept_are_the_registers_around_each_day(works: ArchivedWorks) -> None:
    archived_and_dropped(works)
    kept = {
        row[0]
        for row in works.connection.execute("SELECT ts FROM kept_reading ORDER BY 1").fetchall()
    }
    held = with_a_gap()
    day = FIRST
    while day < LAST:
        assert max((t for t in held if t < day), default=held[0]) in kept, day
        assert min(t for t in held if t >= day) in kept, day
        day += dt.timedelta(days=1)
    assert {held[0], held[-1]} <= kept


def test_late_rows_become_supplements_before_and_after_the_drop(works: ArchivedWorks) -> None:
    held = set(with_a_gap())
    missing = [at for at in times() if at not in held]
    first_half, second_half = missing[: len(missing) // 2], missing[len(missing) // 2 :]
    works.archive()
    works.verify()
    works.import_counts(first_half)
    works.compute()
    # What is not in a file stays: nothing of those days is dropped.
    assert any("does not hold all" in (d.refusal or "") for d in works.drop())
    series_id = works.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    assert len(load_readings(works.connection, series_id, FIRST, LAST)) == len(times()) - len(
        second_half
    )
    late = works.archive()
    assert late
    assert all(file.supplement for file in late)
    assert sum(file.rows for file in late) == len(first_half)
    works.verify()
    works.drop()
    assert works.one("SELECT count(*) FROM reading") == 0
    works.import_counts(second_half)
    works.compute()
    assert works.one("SELECT count(*) FROM gap") == 0
    assert works.one("SELECT sum(advance_micro) FROM interval_advance") == (
        (count_at(LAST) - count_at(FIRST)) % 100_000_000 * 1_000_000
    )
    before = works.figures()
    assert sum(file.rows for file in works.archive()) == len(second_half)
    works.verify()
    works.drop()
    assert works.one("SELECT count(*) FROM reading") == 0
    works.compute_anew()
    assert works.figures() == before
    assert works.archive() == []
    assert works.one("SELECT count(*) FROM archive_file WHERE dropped_at IS NULL") == 0


def test_a_retraction_reaches_into_the_archive(works: ArchivedWorks) -> None:
    wrong = works.import_counts([FIRST + dt.timedelta(days=3, minutes=i) for i in (1, 2, 3)])
    works.compute()
    series_id = works.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    everything = len(with_a_gap()) + 3
    works.archive()
    works.verify()
    works.drop()
    assert len(load_readings(works.connection, series_id, FIRST, LAST)) == everything
    retract(works.connection, wrong, "auditor", "wrong file")
    assert len(load_readings(works.connection, series_id, FIRST, LAST)) == everything - 3


def test_without_its_file_a_figure_is_not_computed_from_half_the_data(
    works: ArchivedWorks, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = works.figures()
    archived_and_dropped(works)
    series_id = works.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    march = works.root / archive_files(works.connection, month=dt.date(2015, 3, 1))[0].path
    hidden = march.rename(march.with_suffix(".away"))
    with pytest.raises(ArchiveUnavailableError, match=r"2015-03/readings-.*put the file back"):
        load_readings(works.connection, series_id, FIRST, LAST)
    works.connection.execute("INSERT INTO dirty VALUES (%s, %s, %s, 0)", (series_id, FIRST, LAST))
    done = run_once(works.connection)
    assert (done.points, len(done.waiting)) == (0, 1)
    assert works.one("SELECT count(*) FROM dirty") == 1
    assert works.figures() == before
    monkeypatch.delenv("ENPILOT_ARCHIVE_DIR")
    with pytest.raises(ArchiveUnavailableError, match="set ENPILOT_ARCHIVE_DIR"):
        load_readings(works.connection, series_id, FIRST, LAST)
    monkeypatch.setenv("ENPILOT_ARCHIVE_DIR", str(works.folder / "not mounted"))
    with pytest.raises(ArchiveUnavailableError, match="there is no folder"):
        load_readings(works.connection, series_id, FIRST, LAST)
    monkeypatch.setenv("ENPILOT_ARCHIVE_DIR", str(works.root))
    hidden.rename(march)
    assert run_once(works.connection).points == 1
    assert works.figures() == before


def test_a_point_that_waits_for_the_archive_does_not_hold_up_its_group(
    plain: ArchivedWorks, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived_and_dropped(plain)
    plant = PLANT + PLANT[PLANT.index("[[point]]") : PLANT.index("[[installation]]")].replace(
        'code = "main"', 'code = "late"'
    )
    apply_plant(plain.url, plain.folder, plant)
    now = [dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + i * QUARTER for i in range(20)]
    for some in (range(10), range(10, 20)):
        plain.compute()
        import_counts(
            plain.url,
            plain.folder,
            [now[i] for i in some],
            list(some),
            point="late",
            side="primary",
        )
    main_id, late_id = (
        plain.one(f"SELECT point_id FROM point WHERE code = '{code}'") for code in ("main", "late")
    )
    before = plain.figures()
    plain.connection.execute(
        "INSERT INTO dirty SELECT series_id, %s, %s, 0 FROM series WHERE point_id = %s",
        (FIRST, LAST, main_id),
    )
    dirty = f"SELECT count(*) FROM dirty JOIN series USING (series_id) WHERE point_id = {main_id}"
    marks = plain.one(dirty)
    monkeypatch.delenv("ENPILOT_ARCHIVE_DIR")
    [group] = plan_groups(plain.connection, 1)
    assert group.point_ids == (main_id, late_id)
    done = perform(plain.connection, group)
    assert (done.points, done.intervals) == (1, 10)
    assert [point for point, _ in done.waiting] == [main_id]
    assert plain.one(dirty) == marks
    after = plain.figures()["interval_advance"]
    assert len(after) == len(before["interval_advance"]) + 10
    assert [row for row in after if row in before["interval_advance"]] == before["interval_advance"]


def test_a_damaged_file_is_found_and_nothing_is_dropped(plain: ArchivedWorks) -> None:
    march = plain.archive()[1]
    path = plain.root / march.path
    good = path.read_bytes()
    path.write_bytes(good[:-20] + bytes(20))
    with pytest.raises(ArchiveMismatchError, match="other bytes than were archived"):
        verify_file(plain.connection, plain.root, march)
    path.write_bytes(good)
    # The right bytes, but another row in the database.
    plain.connection.execute(
        "UPDATE reading SET raw_int = raw_int + 1 WHERE ts = '2015-03-10T04:15Z'"
    )
    with pytest.raises(ArchiveMismatchError, match=r"1 rows of series .* 2015-03-10T04:15"):
        plain.verify()
    march = Month.parse("2015-03").span
    refused = [d for d in plain.drop() if d.span[0] >= march[0]]
    assert len(refused) == 2
    assert all("--verify" in (d.refusal or "") for d in refused)
    # What was damaged after it was read back is compared once more.
    plain.connection.execute(
        "UPDATE archive_file SET verified_at = now();"
        "UPDATE reading SET raw_int = raw_int + 1 WHERE ts = '2015-04-05T04:15Z'"
    )
    assert ["does not hold all" in (d.refusal or "") for d in plain.drop()] == [True, True]


def test_a_file_that_rotted_is_an_error_never_another_number(plain: ArchivedWorks) -> None:
    series_id = plain.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    right = load_readings(plain.connection, series_id, FIRST, LAST)
    archived_and_dropped(plain)
    file = plain.root / archive_files(plain.connection, month=dt.date(2015, 3, 1))[0].path
    good, errors = file.read_bytes(), 0
    for at in range(0, len(good), 97):
        file.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            found = load_readings(plain.connection, series_id, FIRST, LAST)
        except ArchiveMismatchError:
            errors += 1
        else:
            assert (found.whole == right.whole).all()
            assert (found.time_us == right.time_us).all()
    assert errors > len(good) / 97 * 0.8


def test_a_drop_that_was_stopped_halfway_hides_nothing_and_goes_on(plain: ArchivedWorks) -> None:
    before = plain.figures()
    plain.archive()
    plain.verify()
    march = Month.parse("2015-03").span
    plain.connection.execute(
        "INSERT INTO dropped_span (from_ts, to_ts, rows) VALUES (%s, %s, 2900)", march
    )
    plain.connection.execute(
        "DELETE FROM reading WHERE ts >= %s AND ts < '2015-03-12T00:00Z'", (march[0],)
    )
    series_id = plain.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    assert len(load_readings(plain.connection, series_id, FIRST, LAST)) == len(with_a_gap())
    plain.compute_anew()
    assert plain.figures() == before
    plain.drop()
    assert plain.one("SELECT count(*) FROM reading") == 0
    assert plain.one("SELECT count(*) FROM dropped_span WHERE finished_at IS NULL") == 0
    plain.compute_anew()
    assert plain.figures() == before


def test_base_years_stay_until_five_years_after_the_target(works: ArchivedWorks) -> None:
    works.archive()
    works.verify()
    today = dt.datetime.now(dt.UTC).date()
    moved = (
        "UPDATE target SET base_from = '2015-01-01', base_to = '2016-01-01', end_to = %s,"
        " superseded_commit_no = 5"
    )
    works.connection.execute(moved, (today - dt.timedelta(days=1800),))
    refusals = [d.refusal for d in works.drop()]
    assert refusals
    assert all("base period 2015-01-01 to 2016-01-01" in (r or "") for r in refusals)
    works.connection.execute(moved, (today - dt.timedelta(days=1830),))
    assert all(d.refusal is None for d in works.drop())


def test_fewer_than_25_months_are_refused_with_the_reason(plain: ArchivedWorks) -> None:
    with pytest.raises(RetentionError, match=r"24 months .* two years \(统计法实施条例\)"):
        list(drop_archived(plain.connection, plain.root, 24))


def test_recent_months_are_archived_and_stay(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = archived_works(postgres_url, tmp_path)
    with works.connection:
        # Two years and a month, to the day: the last month that must stay.
        works.connection.execute(
            "INSERT INTO reading SELECT date_trunc('month', now()) - interval '25 months'"
            " + i * interval '15 minutes', series_id, i, NULL, 0, 0, 1"
            " FROM generate_series(0, 96) i, series WHERE quantity = 'active_energy'"
        )
        works.archive()
        works.verify()
        works.drop()
        assert works.one("SELECT count(*) FROM reading") == 97


def test_a_month_is_archived_once_it_is_past_quiet_and_computed(plain: ArchivedWorks) -> None:
    def refused(month: str, quiet: dt.timedelta) -> str:
        with pytest.raises(ConfigurationError) as error:
            archive_month(plain.connection, plain.root, plain.site_id, Month.parse(month), quiet)
        return str(error.value)

    now = f"{dt.datetime.now(dt.UTC):%Y-%m}"
    assert "the month is not over" in refused(now, NO_QUIET)
    assert "came within the last 72 hours" in refused("2015-03", dt.timedelta(hours=72))
    plain.connection.execute(
        "INSERT INTO dirty SELECT series_id, '2015-03-05Z', '2015-03-06Z', 0 FROM series LIMIT 1"
    )
    assert "not computed yet" in refused("2015-03", NO_QUIET)
    assert [f.month.month for f in plain.archive()] == [2, 4]


def test_files_lie_under_who_owned_the_site_then(plain: ArchivedWorks) -> None:
    plain.connection.execute(
        "INSERT INTO enterprise (code) VALUES ('old-steel'), ('new-steel'), ('partner')"
    )
    owned = (
        "INSERT INTO site_enterprise (site_id, enterprise_id, share, valid_from, valid_to, author,"
        " reason, commit_no) SELECT site.site_id, enterprise_id, %s, %s, %s, 'test', 'test', 1"
        " FROM site, enterprise WHERE enterprise.code = %s"
    )
    sold = dt.datetime(2015, 3, 20, 12, tzinfo=ZONE)
    for code, share, since, until in (
        ("old-steel", 1, dt.datetime(2015, 3, 1, tzinfo=dt.UTC), sold),
        ("new-steel", 0.6, sold, None),
        ("partner", 0.4, sold, None),
    ):
        plain.connection.execute(owned, (share, since, until, code))
    files = plain.archive()
    assert [Path(file.path).parent.as_posix() for file in files] == [
        "enterprise=none/site=works/month=2015-02",
        "enterprise=old-steel/site=works/month=2015-03",
        "enterprise=new-steel/site=works/month=2015-03",
        "enterprise=new-steel/site=works/month=2015-04",
    ]
    assert files[1].last_ts < sold <= files[2].first_ts
    plain.verify()
    before = plain.figures()
    plain.drop()
    plain.compute_anew()
    assert plain.figures() == before


def test_a_file_can_be_read_without_this_program(plain: ArchivedWorks) -> None:
    file = plain.archive()[1]
    path = plain.root / file.path
    said = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert said["format"] == "enpilot readings archive 1"
    assert (said["site"], said["month"], said["rows"]) == ("works", "2015-03", file.rows)
    energy = next(s for s in said["series"] if s["quantity"] == "active_energy")
    (epoch,) = energy["epochs"]
    assert (epoch["scale"], epoch["unit"], epoch["modulus"]) == (0.4, "kWh", 100000000)
    assert [stream["origin"] for stream in said["streams"]] == ["import"]
    assert said["quality"]["0"] == "GOOD"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == said["sha256"]
    # The content hash, by its description alone.
    content = hashlib.sha256()
    epoch_start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    rows = pq.ParquetFile(path).read().to_pylist()
    for row in sorted(rows, key=lambda r: (r["series_id"], r["ts"], r["batch"])):
        whole, real = row["raw_int"], row["raw_real"]
        kind = 1 if whole is not None else 2 if real is not None else 0
        content.update(
            struct.pack(
                "<iqhqdhhq", row["series_id"],
                (row["ts"] - epoch_start) // dt.timedelta(microseconds=1), kind,
                whole or 0, real or 0.0, row["quality"], row["late_ms"], row["batch"],
            )
        )  # fmt: skip
    assert content.hexdigest() == said["content_sha256"]
    assert file.first_commit_no is not None
    assert file.first_commit_no <= (file.last_commit_no or 0)


def test_the_same_rows_make_the_same_content_and_name(plain: ArchivedWorks) -> None:
    first = plain.archive()[1]
    plain.connection.execute("DELETE FROM archive_file")
    again = plain.archive()[1]
    assert (first.path, first.content_sha256) == (again.path, again.content_sha256)


def test_rows_are_in_neither_file_nor_database_twice(works: ArchivedWorks) -> None:
    archived_and_dropped(works)
    series_id = works.one("SELECT series_id FROM series WHERE quantity = 'active_energy'")
    rows = rows_with_archive(works.connection, series_id, FIRST, LAST + QUARTER)
    assert len(rows) == len(with_a_gap())
    assert len(set(rows["ts_us"].tolist())) == len(rows)


def test_the_command_archives_verifies_and_drops(
    works: ArchivedWorks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", works.url)
    command(quiet_h=0)
    said = capsys.readouterr().out
    assert said.count("month archived") == 3
    assert works.one("SELECT count(*) FROM reading") == len(with_a_gap())
    command(month="2015-03", verify=True, quiet_h=0)
    said = capsys.readouterr().out
    assert "nothing to archive" in said
    assert said.count("read back") == 1
    command(verify=True, drop=True, quiet_h=0)
    said = capsys.readouterr().out
    assert said.count("read back") == 2
    assert "readings dropped" in said
    assert works.one("SELECT count(*) FROM reading") == 0
    with pytest.raises(ConfigurationError, match="write it as 2026-03"):
        command(month="March")


def test_two_processes_do_not_archive_at_once(
    plain: ArchivedWorks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENPILOT_DATABASE_URL", plain.url)
    plain.connection.execute("SELECT pg_advisory_lock(hashtextextended('enpilot.archive', 0))")
    with pytest.raises(ConfigurationError, match="another process"):
        command(quiet_h=0)


def test_whole_chunks_go(community_url: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Compressed ones too, and the charts over them stay."""
    from enpilot.database.maintain import MaintainSettings, maintain

    made = archived_works(community_url, tmp_path)
    monkeypatch.setenv("ENPILOT_ARCHIVE_DIR", str(made.root))
    with made.connection:
        assert read_capabilities(made.connection).community
        maintain(made.connection, MaintainSettings(quiet_h=0))
        assert made.one(
            "SELECT bool_and(is_compressed) FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'reading'"
        )
        charted = made.one("SELECT sum(readings) FROM chart_15m")
        assert charted == len(with_a_gap())
        archived_and_dropped(made)
        made.import_counts([FIRST + dt.timedelta(days=20, seconds=30)])
        maintain(made.connection, MaintainSettings(quiet_h=0))
        assert made.one("SELECT sum(readings) FROM chart_15m") == charted
