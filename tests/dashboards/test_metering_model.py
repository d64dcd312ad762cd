"""Data intake: what real messages left in the database, also for a role that may only read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from dashboards.portal.live import load_live
from dashboards.portal.pages.metering.model import Intake, load_intake
from dashboards.portal.pages.overview.filters import parse_overview
from dashboards.portal.pages.overview.model import load_overview
from dashboards.portal.site import first_site, load_site
from enpilot.database import connect
from ingest.publishers.source import Repeats
from ingest.publishers.writer import Arrived, SourceWriter
from tests.imported import apply_plant
from tests.ingest.gateway import PLANT, Messages
from tests.ingest.test_findings import Direct
from tests.ingest.test_publishers import a_source

Connection = psycopg.Connection[Any]


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, PLANT)
    return database_url


@pytest.fixture
def direct(works: str) -> Iterator[Direct]:
    worker = Direct(works)
    yield worker
    worker.connection.close()


def sent_now(messages: Messages, seq: int, values: list[int], *, first: int = 1) -> bytes:
    # Each second's reading must have its own time, and none lies ahead.
    start_us = (time.time_ns() // 1_000_000_000 - 100 + seq * 4) * 1_000_000
    return messages.message(seq, values, start_us=start_us, first=first)


def page_of(connection: Connection) -> Intake:
    site = load_site(connection, "works")
    assert site is not None
    return load_intake(connection, site)


def send_everything(direct: Direct) -> None:
    """A gateway whose data come, come twice, get lost, come after all, fork and are refused."""
    messages = Messages()
    direct.take(messages.make_birth(period_s=1.0), kind="birth")
    direct.take(
        b'{"v":1,"agent":"gw1","state":"online","since_us":1790000000000000,"held_batches":3,'
        b'"held_readings":12,"oldest_held_us":1790000000000000,"units_down":1}',
        kind="status",
    )
    first = sent_now(messages, 1, [1, 2])
    direct.take(first)
    direct.take(first)
    direct.take(sent_now(messages, 4, [3], first=4))
    direct.take(sent_now(messages, 2, [3]))
    direct.take(sent_now(messages, 1, [9, 9]))
    direct.take(b"{", sent_now(messages, 5, [4]))


def send_from_a_source(connection: Connection) -> None:
    # rest: nothing is subscribed to; what its messages look like is the same.
    source = a_source(kind="rest", topic=None, repeats=Repeats(cycle_s=30))
    now_us = time.time_ns() // 1000
    good = b'{"values":[{"id":"EM1","t":%d,"v":1.5,"q":192}]}' % (now_us // 1000 - 5000)
    writer = SourceWriter(source)
    writer.write(connection, [Arrived("", good, now_us)])
    writer.write(connection, [Arrived("", good, now_us), Arrived("", b"[", now_us)])


def test_a_plant_that_was_only_registered_has_gateways_that_were_never_heard_of(
    works: str,
) -> None:
    with connect(works, "test") as connection:
        page = page_of(connection)
    assert [o.name for o in page.gateways("never")] == ["gw1", "gw2"]
    assert (page.workers, page.refusals, page.findings, page.findings_more) == ([], [], [], 0)
    assert {(o.batches_received, o.messages_refused, o.batches_lost) for o in page.origins} == {
        (None, 0, 0)
    }


def test_a_gateways_counters_are_what_was_sent(direct: Direct) -> None:
    send_everything(direct)
    page = page_of(direct.connection)
    (gateway,) = page.gateways("online")
    assert gateway.name == "gw1"
    assert (gateway.held_readings, gateway.units_down, gateway.due_s) == (12, 1, 1.0)
    assert gateway.batches_received == 7
    assert gateway.batches_stored == 4
    assert gateway.readings_stored == 5
    assert (gateway.batches_duplicated, gateway.readings_duplicated) == (1, 2)
    assert gateway.batches_refused == gateway.messages_refused == 2
    assert gateway.batches_lost == 1  # 2 and 3 were given up, 2 came after all
    assert gateway.reading_lag_ms is not None
    assert gateway.late_s(page.site.now) is None
    assert {(r.name, r.code, r.messages, r.kept) for r in page.refusals} == {
        ("gw1", "fork", 1, 1), ("gw1", "malformed", 1, 1),
    }  # fmt: skip
    assert {f.code: f.evidence["agent"] for f in page.findings} == {
        "batches_lost": "gw1",
        "fork": "gw1",
    }
    assert [(w.number, w.readings) for w in page.workers] == [(1, 5)]


def test_a_folded_ledger_still_knows_what_came_after_all(direct: Direct) -> None:
    send_everything(direct)
    direct.connection.execute(
        "INSERT INTO batch_fold (stream_no, from_seq, to_seq, commit_nos, digest)"
        " SELECT stream_no, 1, 2, '{1,1}', 'x' FROM stream;"
        "DELETE FROM batch_ledger WHERE seq <= 2"
    )
    assert [o.batches_lost for o in page_of(direct.connection).origins] == [1, 0]


def test_what_is_tried_again_with_success_is_not_open_any_more(direct: Direct) -> None:
    send_everything(direct)
    direct.connection.execute("UPDATE quarantine SET outcome = 'stored' WHERE code = 'fork'")
    direct.connection.execute("DELETE FROM quarantine WHERE code = 'malformed'")  # out of the ring
    found = page_of(direct.connection).refusals
    assert {(r.code, r.messages, r.kept) for r in found} == {("fork", 1, 0), ("malformed", 1, 0)}


def test_a_source_stands_beside_the_gateways(direct: Direct) -> None:
    send_from_a_source(direct.connection)
    page = page_of(direct.connection)
    source = page.origins[-1]
    assert (source.name, source.kind, source.simulated) == ("scada", "rest", False)
    assert (source.state, source.due_s) == (None, 30.0)
    assert (source.readings_stored, source.readings_duplicated) == (1, 1)
    assert (source.messages_refused, source.batches_lost) == (1, 0)
    assert [(r.name, r.code) for r in page.refusals] == [("scada", "malformed")]


def test_one_that_says_no_more_is_not_online_any_more(direct: Direct) -> None:
    send_everything(direct)
    direct.connection.execute(
        "UPDATE agent_status SET received_at = now() - interval '1 hour';"
        "UPDATE ingest_count SET last_received_at = now() - interval '1 hour',"
        " last_reading_ts = now() - interval '1 hour'"
    )
    page = page_of(direct.connection)
    (gateway,) = page.gateways("silent")
    assert gateway.late_s(page.site.now) == pytest.approx(3600, abs=1)
    live = load_live(direct.connection, page.site.site_id)
    assert live.gateways[0].said_at == gateway.said_at


def test_only_the_newest_findings_are_listed_and_the_others_counted(direct: Direct) -> None:
    direct.connection.execute(
        "INSERT INTO finding (site_id, code, at_ts, severity, evidence, data_version)"
        " SELECT site_id, c, now() - i * interval '1 day', 'fault', '{}', 1"
        " FROM site, generate_series(1, 15) AS i, unnest(ARRAY['fork', 'gap']) AS c;"
        "UPDATE finding SET withdrawn_version = 2 WHERE at_ts < now() - interval '14.5 days'"
    )
    page = page_of(direct.connection)
    assert {f.code for f in page.findings} == {"fork"}  # a gap is a decision of the accounting
    assert (len(page.findings), page.findings_more) == (12, 2)
    assert page.findings[0].at > page.findings[1].at


def test_it_goes_over_the_wire(direct: Direct) -> None:
    send_everything(direct)
    text = msgspec.json.encode(page_of(direct.connection))
    assert b"NaN" not in text
    assert msgspec.json.decode(text)["origins"][0]["batches_lost"] == 1


@pytest.fixture
def reader(works: str) -> Iterator[Callable[[], Connection]]:
    """A connection as a role that may read and nothing else, granted the site."""
    with connect(works, "owner", autocommit=True) as owner:
        role = f"portal_{owner.info.dbname}"
        owner.execute(f"CREATE ROLE {role} IN ROLE enpilot_reader")
        try:
            with connect(works, "reader", autocommit=True) as connection:
                connection.execute(f"SET SESSION AUTHORIZATION {role}")

                def granted() -> Connection:
                    owner.execute(
                        "INSERT INTO role_grant (role_name, site_id, valid_from, author)"
                        " SELECT %s, site_id, now() - interval '1 day', 'test' FROM site",
                        (role,),
                    )
                    return connection

                assert load_site(connection, "works") is None
                yield granted
        finally:
            owner.execute(f"DROP ROLE {role}")


def test_a_role_that_may_only_read_opens_every_page(
    direct: Direct, reader: Callable[[], Connection]
) -> None:
    send_everything(direct)
    send_from_a_source(direct.connection)
    connection = reader()
    assert first_site(connection) == "works"
    site = load_site(connection, "works")
    assert site is not None
    page = load_intake(connection, site)
    assert [o.name for o in page.origins] == ["gw1", "gw2", "scada"]
    assert (len(page.refusals), len(page.findings), len(page.workers)) == (3, 2, 1)
    shown = load_overview(connection, site, parse_overview(None))
    assert [(g.agent_id, g.state) for g in shown.live.gateways] == [
        ("gw1", "online"),
        ("gw2", None),
    ]
