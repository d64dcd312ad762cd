"""What a threshold makes of readings that are not there."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

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


def test_a_stale_value_neither_fires_nor_resolves(postgres_url: str, tmp_path: Path) -> None:
    apply_plant(postgres_url, tmp_path, PLANT + RULE)
    import_counts(postgres_url, tmp_path, [START], [900], period_s=60, **POWER)
    with connect(postgres_url, "test", autocommit=True) as connection:
        assert evaluate(connection, START + dt.timedelta(hours=1), STALE) == 0
        assert connection.execute("SELECT state, value FROM alert_state").fetchall() == [
            ("ok", None)
        ]
