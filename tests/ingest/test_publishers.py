"""Other publishers: what their messages say is stored once, and what cannot be read is kept."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from enpilot.database import connect
from enpilot.wire import Quality
from ingest.errors import SourceError
from ingest.publishers.json_path import PathError, parse_path
from ingest.publishers.payload import UnreadableError, read_samples
from ingest.publishers.run import run_source
from ingest.publishers.source import (
    Folder,
    MessageForm,
    Repeats,
    Source,
    SourceFileError,
    Tag,
    load_source,
)
from ingest.publishers.staleness import mark_stale
from ingest.publishers.writer import Arrived, SourceWriter
from tests.imported import apply_plant, write_counts
from tests.ingest.gateway import PLANT
from tests.services.mosquitto import Broker

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "source-mapping.md"
NOW_US = 1_790_000_100_000_000
SECOND = 1_000_000
TAG = Tag(tag="EM1", point="main", quantity="active_energy", unit="kWh", counter="lifetime")
POWER = Tag(tag="P1", point="main", quantity="active_power", unit="kW")
FORM = MessageForm(
    each="$.values[*]", tag="id", time="t", time_form="unix_ms", value="v", quality="q",
    good=["Good", 192],
)  # fmt: skip


def a_source(**other: Any) -> Source:
    said = {
        "schema": 1, "name": "scada", "site": "works", "kind": "mqtt", "topic": "plant/+/values",
        "message": FORM, "tag": [TAG, POWER],
    }  # fmt: skip
    return Source(**{**said, **other})


def message(*items: dict[str, Any]) -> bytes:
    return json.dumps({"values": list(items)}).encode()


def item(tag: str, value: Any, at_s: float = 0, quality: Any = 192) -> dict[str, Any]:
    return {"id": tag, "t": round(NOW_US / 1000 + at_s * 1000), "v": value, "q": quality}


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url, "test") as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def works(tmp_path: Path, database_url: str) -> str:
    apply_plant(database_url, tmp_path, PLANT)
    return database_url


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [("", {"a": {"b": [1, 2]}, "c": 3})]),
        ("$.a.b[1]", [("1", 2)]),
        ("$.a.b[*]", [("0", 1), ("1", 2)]),
        ("$.*", [("a", {"b": [1, 2]}), ("c", 3)]),
        ("$.nothing.there", []),
        ("$.c[0]", []),
    ],
)
def test_a_path_finds_what_stands_there(path: str, found: list[tuple[str, Any]]) -> None:
    items = parse_path(path).items({"a": {"b": [1, 2]}, "c": 3})
    assert [(i.key, i.value) for i in items] == found


@pytest.mark.parametrize("path", ["", "a..b", "$.a[x]", "$a b", "a[1", "$.a[-1]"])
def test_a_path_that_means_nothing_is_refused(path: str) -> None:
    with pytest.raises(PathError):
        parse_path(path)


def test_the_page_s_example_reads_the_page_s_message(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    text = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    payload = re.search(r"takes, for instance, `(.*?)`", page)
    assert text is not None
    assert payload is not None
    file = tmp_path / "scada.toml"
    file.write_text(text[1], "utf-8")
    samples, wrong = read_samples(load_source(file), "plant/2/values", payload[1].encode(), NOW_US)
    assert wrong == []
    assert [(s.tag.point, s.value, s.ts_us) for s in samples] == [
        ("main", 98500.25, 1_767_225_600_000_000)
    ]


@pytest.mark.parametrize("kind", [Source, MessageForm, Repeats, Tag, Folder])
def test_the_page_names_every_key(kind: type[msgspec.Struct]) -> None:
    page = PAGE.read_text("utf-8")
    for field in msgspec.structs.fields(kind):
        assert f"`{field.encode_name}`" in page


def test_a_wrong_source_file_says_all_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "source.toml"
    file.write_text(
        'schema = 1\nname = "s"\nsite = "works"\nkind = "mqtt"\ntopic = "enpilot/v1/+/data"\n'
        '[message]\ntime_zone = "Mars"\nvalue = "a..b"\nquality = "q"\n'
        '[[tag]]\ntag = "a"\npoint = "main"\nquantity = "active_energy"\nunit = "m3"\n'
        '[[tag]]\ntag = "a"\npoint = "p2"\nquantity = "active_power"\nunit = "kW"\nmodulus = "9"\n',
        "utf-8",
    )
    with pytest.raises(SourceFileError) as caught:
        load_source(file)
    said = str(caught.value)
    for place in ("topic", "message.time_zone", "message.value", "message.good", "tag[0]", "tag",
                  "tag[1].counter"):  # fmt: skip
        assert f"`$.{place}`" in said
    file.write_text('schema = 1\nname = "s"\nkind = "ftp"\ncolour = 1\n', "utf-8")
    with pytest.raises(SourceFileError) as caught:
        load_source(file)
    assert len(caught.value.errors) == 3


@pytest.mark.parametrize(
    ("form", "payload", "value"),
    [
        ({"each": "$.*", "tag": "@key", "value": "@"}, b'{"EM1": 1.5}', 1.5),
        ({"tag": "topic", "topic_level": 1}, b'{"value": "2.25"}', 2.25),
        ({"tag": "n", "value": "d.v"}, b'{"n": "EM1", "d": {"v": 7}}', 7.0),
    ],
)
def test_messages_of_several_makes_are_read(
    form: dict[str, Any], payload: bytes, value: float
) -> None:
    source = a_source(message=MessageForm(**form))
    samples, wrong = read_samples(source, "plant/EM1/values", payload, NOW_US)
    assert wrong == []
    assert [(s.value, s.ts_us, s.own_time) for s in samples] == [(value, NOW_US, False)]


@pytest.mark.parametrize(
    ("form", "said", "us"),
    [
        ("unix_s", 1_767_225_600.25, 1_767_225_600_250_000),
        ("unix_us", "1767225600000001", None),
        ("iso", "2026-01-01T08:00:00+08:00", 1_767_225_600_000_000),
        ("iso", "2026-01-01T08:00:00", 1_767_225_600_000_000),
        ("iso", "2026-01-01T00:00:00Z", 1_767_225_600_000_000),
    ],
)
def test_times_in_every_form(form: Any, said: Any, us: int | None) -> None:
    source = a_source(
        message=MessageForm(tag="id", time="t", time_form=form, time_zone="Asia/Shanghai")
    )
    payload = json.dumps({"id": "EM1", "t": said, "value": 1}).encode()
    samples, wrong = read_samples(source, "", payload, NOW_US)
    assert wrong == []
    # A float of 16 digits is exact to the microsecond only nearly.
    assert samples[0].ts_us == (us or pytest.approx(1_767_225_600_000_001, abs=1))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"id": "EM1", "t": "x", "v": 1}, "no time of the form 'unix_ms'"),
        ({"id": "EM1", "t": -5, "v": 1}, "not between 1970 and 2100"),
        ({"id": "EM1", "t": NOW_US // 1000 + 3_600_000, "v": 1}, "check the source's clock"),
        ({"id": "EM1", "t": NOW_US // 1000, "v": "abc", "q": 192}, "is no float64"),
        ({"id": ["EM1"], "t": 0, "v": 1}, "no tag stands at 'id'"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_rest_is_taken(
    said: dict[str, Any], sentence: str
) -> None:
    samples, wrong = read_samples(a_source(), "", message(said, item("P1", 5)), NOW_US)
    assert [s.tag.tag for s in samples] == ["P1"]
    assert sentence in str(wrong[0])


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"values": []}', b"\xff", b"7"])
def test_a_message_without_items_is_refused(payload: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_samples(a_source(), "", payload, NOW_US)


def test_a_time_that_the_clock_shows_twice_needs_an_offset() -> None:
    source = a_source(message=MessageForm(tag="id", time="t", time_zone="Europe/Berlin"))
    twice = json.dumps({"id": "EM1", "t": "2026-10-25T02:30:00", "value": 1}).encode()
    assert "shows this time twice" in str(read_samples(source, "", twice, NOW_US)[1][0])


def test_a_number_that_stays_the_same_for_too_long_is_stale() -> None:
    minute = 60 * SECOND
    samples = [(i * minute, v) for i, v in enumerate(["1", "1", "1", "2", "2", "2"])]
    state, stale = mark_stale(None, samples, 90 * SECOND)
    assert stale == [False, False, True, False, False, True]
    assert state is not None
    assert (state.value, state.since_us, state.last_us) == ("2", 3 * minute, 5 * minute)


@given(st.lists(st.sampled_from("ab"), max_size=30), st.data())
def test_stale_is_the_same_however_messages_are_grouped(
    values: list[str], data: st.DataObject
) -> None:
    samples = [(i * SECOND, v) for i, v in enumerate(values)]
    _, whole = mark_stale(None, samples, 3 * SECOND)
    parts: list[bool] = []
    state = None
    begin = 0
    while begin < len(samples):
        end = data.draw(st.integers(begin + 1, len(samples)))
        state, judged = mark_stale(state, samples[begin:end], 3 * SECOND)
        parts += judged
        begin = end
    assert parts == whole


def test_a_message_is_stored_once_with_its_meaning(works: str) -> None:
    writer = SourceWriter(a_source())
    sent = Arrived("plant/1/values", message(item("EM1", 10.5), item("P1", 3, 1, "bad")), NOW_US)
    with connect(works, "test", autocommit=True) as connection:
        first = writer.write(connection, [sent, sent])
        again = SourceWriter(a_source()).write(connection, [sent])  # after a restart
    assert (first.stored, first.duplicates) == (2, 2)
    assert (again.stored, again.duplicates) == (0, 2)
    assert rows(works, "SELECT raw_real, quality FROM reading ORDER BY ts") == [
        (10.5, Quality.GOOD), (3.0, Quality.SENSOR_FAULT)
    ]  # fmt: skip
    assert rows(works, "SELECT count(*) FROM series_epoch WHERE author = 'source scada'") == [(2,)]
    assert rows(works, "SELECT count(*) FROM dirty") == [(2,)]
    assert rows(
        works, "SELECT agent_id, readings_stored, readings_duplicated FROM ingest_count"
    ) == [("source:scada", 2, 4)]  # fmt: skip


def test_a_mended_mapping_means_something_else_from_then_on(works: str) -> None:
    with connect(works, "test", autocommit=True) as connection:
        for at, scale in ((0, "1"), (60, "0.1"), (120, "0.1")):
            mended = a_source(tag=[msgspec.structs.replace(POWER, scale=scale)])
            sent = Arrived("", message(item("P1", 5, at)), NOW_US + 200 * SECOND)
            SourceWriter(mended).write(connection, [sent])
    assert rows(
        works,
        "SELECT register_scale::float, valid_to IS NULL FROM series_epoch"
        " WHERE superseded_commit_no IS NULL ORDER BY valid_from",
    ) == [(1.0, False), (0.1, True)]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_order_and_repetition_gives_the_same_rows(
    postgres_url: str, data: st.DataObject
) -> None:
    values = data.draw(
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0])), min_size=1, max_size=8)
    )
    sent = [
        Arrived("", message(item("P1", value, at)), NOW_US + 100 * SECOND) for at, value in values
    ]
    order = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent)))))
    cut = data.draw(st.integers(0, len(order)))
    with connect(postgres_url, "test", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM site").fetchone():
            connection.execute("INSERT INTO site (code) VALUES ('works')")
            connection.execute(
                "INSERT INTO point (site_id, code, medium)"
                " SELECT site_id, 'main', 'electricity' FROM site"
            )
        connection.execute("TRUNCATE reading, source_content")
        writer = SourceWriter(a_source())
        writer.write(connection, order[:cut])
        writer.write(connection, order[cut:])
        stored = connection.execute("SELECT ts, raw_real FROM reading").fetchall()
    wanted = {(at, value) for at, value in values}
    found = [(round(ts.timestamp() - NOW_US / 1e6), value) for ts, value in stored]
    assert sorted(found) == sorted(wanted)


def test_without_a_time_of_its_own_a_source_is_stored_at_least_once_and_says_so(works: str) -> None:
    writer = SourceWriter(a_source(message=MessageForm(tag="id")))
    sent = Arrived("", b'{"id": "P1", "value": 4}', NOW_US)
    with connect(works, "test", autocommit=True) as connection:
        writer.write(connection, [sent])
        writer.write(connection, [Arrived("", sent.payload, NOW_US + SECOND)])
    assert rows(works, "SELECT count(*) FROM reading") == [(2,)]
    assert rows(works, "SELECT stamped_on_arrival FROM stream WHERE origin = 'api'") == [(True,)]


def test_a_stale_number_is_kept_and_marked_over_restarts(works: str) -> None:
    source = a_source(repeats=Repeats(stale_after_s=5))
    with connect(works, "test", autocommit=True) as connection:
        for at in (0, 4, 8):
            sent = Arrived("", message(item("P1", 7, at)), NOW_US + 10 * SECOND)
            SourceWriter(source).write(connection, [sent])
    qualities = [r[0] for r in rows(works, "SELECT quality FROM reading ORDER BY ts")]
    assert qualities == [Quality.GOOD, Quality.GOOD, Quality.STALE]


def test_what_cannot_be_read_is_in_quarantine(works: str) -> None:
    writer = SourceWriter(a_source())
    wrong = Arrived("plant/1/values", message(item("EM1", "x"), item("P1", 1)), NOW_US)
    with connect(works, "test", autocommit=True) as connection:
        written = writer.write(connection, [wrong, Arrived("plant/1/values", b"{", NOW_US)])
    assert written.stored == 1
    kept = rows(works, "SELECT agent_id, code, topic, payload FROM quarantine ORDER BY 4")
    assert [(k[0], k[1], k[2]) for k in kept] == [
        ("source:scada", "malformed", "plant/1/values")
    ] * 2
    assert {bytes(k[3]) for k in kept} == {b"{", wrong.payload}


def test_a_source_of_an_unknown_point_says_so(works: str) -> None:
    unknown = msgspec.structs.replace(TAG, point="cellar")
    with (
        connect(works, "test", autocommit=True) as connection,
        pytest.raises(SourceError, match="no point 'cellar'"),
    ):
        SourceWriter(a_source(tag=[unknown])).look_up(connection)


@pytest.fixture
def running(works: str, mosquitto: Broker) -> Iterator[Source]:
    source = a_source(mqtt=mosquitto.settings)
    stop = threading.Event()
    thread = threading.Thread(target=run_source, args=(source, works, stop))
    thread.start()
    yield source
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_messages_on_a_broker_are_stored_over_an_outage(
    running: Source, works: str, mosquitto: Broker
) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "plc")
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    try:
        deadline = time.monotonic() + 20
        sent = 0
        # A message that nobody listens to yet is gone; a PLC sends its values again and again.
        while not rows(works, "SELECT 1 FROM reading LIMIT 1"):
            assert time.monotonic() < deadline
            client.publish("plant/1/values", message(item("EM1", 1, 0)), 1).wait_for_publish(5)
            time.sleep(0.05)
        with connect(works, "test", autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'enpilot publishers' AND datname = current_database()"
            )
        for sent in range(1, 20):
            client.publish("plant/1/values", message(item("EM1", sent, sent)), 1)
        while rows(works, "SELECT count(*) FROM reading") != [(20,)]:
            assert time.monotonic() < deadline, rows(works, "SELECT count(*) FROM reading")
            time.sleep(0.05)
    finally:
        client.disconnect()
        client.loop_stop()


def test_files_in_a_folder_are_imported_once_and_set_aside(works: str, tmp_path: Path) -> None:
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    times = [start + dt.timedelta(minutes=15 * i) for i in range(4)]
    table, mapping = write_counts(tmp_path, times, [1, 2, 3, 4])
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_bytes(table.read_bytes())
    (inbox / "b.csv").write_text("ts,other\n2026-03-01T00:00Z,1\n", "utf-8")
    source = a_source(
        kind="folder", tag=[], topic=None, folder=Folder(path=inbox, mapping=mapping, settle_s=0)
    )
    stop = threading.Event()
    thread = threading.Thread(target=run_source, args=(source, works, stop))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while list(inbox.glob("*.csv")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (inbox / "a.csv").write_bytes(table.read_bytes())  # the same again
        while list(inbox.glob("*.csv")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join(20)
    assert rows(works, "SELECT count(*) FROM reading") == [(4,)]
    assert sorted(p.name for p in (inbox / "done").iterdir()) == ["a.2.csv", "a.csv"]
    assert sorted(p.name for p in (inbox / "refused").iterdir()) == ["b.csv", "b.csv.txt"]
    assert "no column" in (inbox / "refused" / "b.csv.txt").read_text("utf-8")
