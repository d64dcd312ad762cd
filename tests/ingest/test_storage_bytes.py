"""What a stored reading costs stays within what was promised."""

from __future__ import annotations

import numpy as np

from enpilot.database import connect
from ingest.bench.meter_history import agent_readings, imported_readings
from ingest.bench.storage_bytes import TARGET_AGENT, TARGET_IMPORT, measure_storage_bytes


def test_a_reading_in_the_columnstore_is_small(community_url: str) -> None:
    with connect(community_url, "test", autocommit=True) as connection:
        found = measure_storage_bytes(connection, hours=4.0)
        assert found["agent"]["rows"] > 500_000
        assert 1.0 < found["agent"]["bytes_per_reading"] <= TARGET_AGENT
        assert 0.5 < found["import"]["bytes_per_reading"] <= TARGET_IMPORT
        assert found["agent"]["row_store_bytes_per_reading"] > 60
        left = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'bench_reading%'"
        ).fetchone()
        assert left == (0,)


def test_without_a_columnstore_it_says_so(postgres_url: str) -> None:
    with connect(postgres_url, "test", autocommit=True) as connection:
        assert "Community" in measure_storage_bytes(connection)["skipped"]


def test_the_made_up_meters_are_plausible_and_repeatable() -> None:
    rows = agent_readings(2, 5, 1.0, seed=3)
    assert len(rows) == 2 * 15 * 720
    again = agent_readings(2, 5, 1.0, seed=3)
    assert (rows.whole == again.whole).all()
    assert (rows.late_ms == again.late_ms).all()
    by_series = {s: rows.whole[rows.series_id == s] for s in range(1, 31)}
    for meter in (1, 16):
        assert (np.diff(by_series[meter]) >= 0).all()
        for phase in (1, 2, 3):
            assert ((by_series[meter + phase] > 2150) & (by_series[meter + phase] < 2450)).all()
        power = by_series[meter + 11].sum() * 5 / 3.6e6
        advance = (by_series[meter][-1] - by_series[meter][0]) * 0.01
        assert abs(power - advance) < 0.03
    assert 0 < rows.late_ms.min() < rows.late_ms.max() < 1000
    # Series of one block share the delay.
    assert (rows.late_ms[rows.series_id == 2] == rows.late_ms[rows.series_id == 9]).all()
    grid = imported_readings(1, 900, 2.0, seed=3)
    assert (grid.ts_us % 900_000_000 == 0).all()
    assert not grid.late_ms.any()
