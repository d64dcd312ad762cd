"""Seven meters of one works that do all that meters do, and what was computed of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import psycopg

from enpilot.database import connect
from ingest.corrections import Proposal, approve, find_series, propose
from ingest.imports.retract import retract
from tests.analytics.conftest import WORKS
from tests.imported import apply_plant, import_counts, import_production

ZONE = dt.timezone(dt.timedelta(hours=8))
MINUTE = dt.timedelta(minutes=1)
DAY = dt.datetime(2026, 3, 1, tzinfo=ZONE)
END = DAY + dt.timedelta(days=2)
TIMES = [DAY + i * 7 * MINUTE for i in range(2 * 1440 // 7 + 1)]
EXTRA = ("p2", "p3", "p4", "p5", "p6", "p7")
PLANT = WORKS + "".join(
    f'[[point]]\ncode = "{code}"\nname = {{zh = "{code}", en = "{code}"}}\nmedium = "electricity"\n'
    'role = "sub"\nparent = "main"\ncommissioning = "accepted"\n'
    for code in EXTRA
)
_COMPUTED = {
    "interval_advance": "*",
    "gap": "*",
    "finding": "site_id, point_id, series_id, code, at_ts, to_ts, severity, evidence::text,"
    " data_version, withdrawn_version",
    "energy_period": "to_jsonb(t) - 'computed_at'",
    "enpi_period": "to_jsonb(t) - 'computed_at'",
}


def build(url: str, folder: Path) -> None:
    apply_plant(url, folder, PLANT)
    steady = [i * 5 for i in range(len(TIMES))]
    reset = [c if i < 150 else (i - 150) * 9 for i, c in enumerate(steady)]
    rollover = [(99_999_000 + c) % 100_000_000 for c in steady]
    glitch = [c if i not in (90, 91) else 3 for i, c in enumerate(steady)]
    holes = [(t, c) for i, (t, c) in enumerate(zip(TIMES, steady, strict=True))
             if not 100 < i < 160]  # fmt: skip

    def add(point: str, counts: list[int], times: list[dt.datetime] = TIMES, **other: Any) -> Any:
        return import_counts(
            url, folder, times, counts, period_s=420, point=point,
            side="primary" if point != "main" else "secondary", **other,
        )  # fmt: skip

    add("main", steady)
    add("p2", reset)
    add("p3", rollover)
    add("p4", glitch, synthetic=True)
    add("p5", [c for _, c in holes], [t for t, _ in holes])
    add("p6", steady)
    add("p7", [f"{c}.25" for c in steady], raw_type="float32", modulus=None)  # type: ignore[arg-type]  # read as text
    late = add("p3", [7, 8], [TIMES[40] + MINUTE, TIMES[41] + MINUTE])
    add("p6", [c + 1 for c in steady[20:24]], TIMES[20:24], supersede=True)
    import_production(url, folder, [(DAY, END, "100")])
    with connect(url, "test", autocommit=True) as connection:
        retract(connection, late, "tester", "wrong file")
        for point, kind, detail in (
            ("p2", "void", {}),
            ("p5", "substitute", {"amount": "12", "unit": "kWh"}),
            ("p6", "meaning", {"ratio": "3"}),
        ):
            series = find_series(connection, "works", point, "active_energy", "total")
            span = (DAY + dt.timedelta(hours=6), DAY + dt.timedelta(hours=9))
            said = Proposal(series, kind, *span, detail, "note", "wang", "checked")  # type: ignore[arg-type]  # a kind of correction
            approve(connection, propose(connection, said).correction_id, "li", "seen")


def computed(connection: psycopg.Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """All computed rows but when, and under which number, they were written."""
    return {
        table: connection.execute(f"SELECT {columns} FROM {table} t ORDER BY 1, 2, 3".replace(
            "ORDER BY 1, 2, 3", "ORDER BY 1" if "jsonb" in columns else "ORDER BY 1, 2, 3, 4, 5")
            .encode()).fetchall()
        for table, columns in _COMPUTED.items()
    }  # fmt: skip
