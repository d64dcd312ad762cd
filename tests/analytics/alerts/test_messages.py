"""From a reading to a webhook that really listens."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from analytics.alerts.notify import Notifier, notify_pending

from analytics.alerts.evaluate import evaluate
from enpilot.database import connect
from tests.analytics.alerts.watched_works import POWER
from tests.imported import apply_plant, import_counts
from tests.ingest.gateway import PLANT

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
STALE = dt.timedelta(minutes=5)
RULE = """
[[rule]]
code = "high"
name = {zh = "功率过高", en = "Power high"}
point = "main"
quantity = "active_power"
comparison = "above"
threshold = "500"
hysteresis = "20"
for_s = 60
"""


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP endpoint that keeps what it is sent."""
    received: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"json://127.0.0.1:{server.server_port}/", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_from_a_reading_to_the_webhook(
    postgres_url: str, tmp_path: Path, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    address, received = webhook
    apply_plant(postgres_url, tmp_path, PLANT + RULE)
    notifier = Notifier([address])
    told = []
    with connect(postgres_url, "test", autocommit=True) as connection:
        for minute, kw in enumerate([400, 600, 610, 615, 490, 470]):
            at = START + dt.timedelta(minutes=minute)
            import_counts(postgres_url, tmp_path, [at], [kw], period_s=60, synthetic=True, **POWER)
            evaluate(connection, at, STALE)
            evaluate(connection, at, STALE)  # the same value twice is evaluated once
            told.append(notify_pending(connection, notifier, at))
        state = connection.execute("SELECT state, value FROM alert_state").fetchone()
        events = connection.execute(
            "SELECT e.to_state, e.value, m.notified_at IS NOT NULL FROM alert_event e"
            " JOIN alert_message m ON e.event_id = ANY(m.event_ids) ORDER BY event_id"
        ).fetchall()
    assert told == [(0, 0), (0, 0), (1, 0), (0, 0), (0, 0), (1, 0)]
    assert state == ("resolved", 470.0)
    assert events == [("firing", 610.0, True), ("resolved", 470.0, True)]
    assert [m["type"] for m in received] == ["warning", "success"]
    assert "功率过高 / Power high" in received[0]["title"]
    assert "610.0 kW" in received[0]["message"]
    assert "合成或模拟数据 / synthetic or simulated data" in received[0]["message"]


def test_a_stale_value_neither_fires_nor_resolves(postgres_url: str, tmp_path: Path) -> None:
    apply_plant(postgres_url, tmp_path, PLANT + RULE)
    import_counts(postgres_url, tmp_path, [START], [900], period_s=60, **POWER)
    with connect(postgres_url, "test", autocommit=True) as connection:
        assert evaluate(connection, START + dt.timedelta(hours=1), STALE) == 0
        assert connection.execute("SELECT state, value FROM alert_state").fetchall() == [
            ("ok", None)
        ]


def test_a_dead_webhook_loses_no_message(
    postgres_url: str, tmp_path: Path, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    apply_plant(postgres_url, tmp_path, PLANT + RULE.replace("for_s = 60", "for_s = 0"))
    import_counts(postgres_url, tmp_path, [START], [900], period_s=60, **POWER)
    address, received = webhook
    with connect(postgres_url, "test", autocommit=True) as connection:
        evaluate(connection, START, STALE)
        assert notify_pending(connection, Notifier(["json://127.0.0.1:1/"]), START) == (0, 1)
        assert notify_pending(connection, Notifier([address]), START) == (1, 0)
        assert notify_pending(connection, Notifier([address]), START) == (0, 0)
    assert len(received) == 1


def test_an_address_that_is_none_is_counted_not_shown() -> None:
    notifier = Notifier(["nonsense"])
    assert (len(notifier), notifier.refused) == (0, 1)
