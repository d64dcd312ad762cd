"""The portal's own process on a scratch database, and what its pages cost."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from dashboards.bench.made_up import SITE, make_up
from dashboards.bench.visitors import Walk, held_open, percentile, repeat, walk
from dashboards.errors import BenchError
from dashboards.portal.access import grants, links, people
from dashboards.portal.access.grants import Scope
from enpilot.database import connect, read_capabilities
from enpilot.demo.scratch import scratch_database

__all__ = ["measure_portal"]

_TIMES: Final = 40
_TARGETS: Final = {"overview_p95_ms": 300.0, "explorer_year_p95_ms": 500.0}
_S: Final = f"/s/{SITE}"
_PATHS: Final = (
    f"{_S}/overview", f"{_S}/explore", f"{_S}/enpi", f"{_S}/load", f"{_S}/waste",
    f"{_S}/explore?series=m002,m003&form=duration", f"{_S}/cost", f"{_S}/metering",
)  # fmt: skip
# The rows that the explorer's year reads, and those of its quarter hours.
_BARE: Final = {
    "sql_year_of_days_ms": "SELECT period_from, amount FROM energy_period WHERE point_id = 2"
    " AND quantity = 'active_energy' AND channel = 'total' AND period_kind = 'day'",
    "sql_year_of_quarters_ms": "SELECT ts, advance_micro FROM interval_advance WHERE series_id = 2",
}


def measure_portal(
    meters: int, days: int, users: int, seconds: float, pages: int
) -> dict[str, Any]:
    """Measure pages over HTTP, users at once, and memory of pages held open.

    Parameters
    ----------
    meters, days
        Of the works: quarter hours, days and months.
    users
        Who walk through the pages at once, without a pause.
    seconds
        How long they walk [s].
    pages
        Held open with their sockets.

    Returns
    -------
    dict
        Figures by name: milliseconds [ms], memory [MB]; targets; what else the machine did.

    Raises
    ------
    BenchError
        If the portal does not start.
    """
    load_before = os.getloadavg()[0]
    begun = time.monotonic()
    with scratch_database() as (url, server), connect(url, "bench", autocommit=True) as connection:
        intervals = make_up(connection, meters, days)
        made_up_s = time.monotonic() - begun
        bare = {name: _bare(connection, query) for name, query in _BARE.items()}
        with _portal(url) as (base, process):
            cookies = _signed_in(connection, base)
            figures = asyncio.run(_visit(base, cookies, process.pid, users, seconds, pages))
        met = all(figures[name] <= most for name, most in _TARGETS.items())
        return {
            **figures, **bare,
            "targets": {**_TARGETS, "errors": 0},
            "targets_met": met and not figures["errors"],
            "interval_rows": intervals,
            "made_up_s": round(made_up_s, 1),
            "server": server,
            "edition": read_capabilities(connection).edition,
            "load_average": [round(load_before, 2), round(os.getloadavg()[0], 2)],
            "cores": os.cpu_count(),
        }  # fmt: skip


def _bare(connection: psycopg.Connection[Any], query: str) -> float:
    taken = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        connection.execute(query.encode()).fetchall()
        taken.append(time.perf_counter() - begin)
    return percentile(taken, 95)


async def _visit(
    base: str, cookies: httpx.Cookies, pid: int, users: int, seconds: float, pages: int
) -> dict[str, Any]:
    alone = {
        "empty_page": f"{_S}/more",
        "overview": f"{_S}/overview",
        "explorer_year": f"{_S}/explore?series=m002&t=this-year",
        "explorer_year_of_hours": f"{_S}/explore?series=m002&t=last-year..this-year&form=duration",
        "explorer_week": f"{_S}/explore?series=m002",
    }
    figures: dict[str, Any] = {}
    errors: list[str] = []
    for name, path in alone.items():
        seen = await repeat(base, cookies, path, _TIMES)
        errors += seen.errors
        figures |= _percentiles(name, seen)
    before = _resident_mb(pid)
    async with held_open(base, cookies, f"{_S}/overview", pages) as opened:
        await asyncio.sleep(2)  # each has had its live values
        after = _resident_mb(pid)
        errors += opened.errors
    figures["memory_per_page_mb"] = round((after - before) / pages, 2)
    figures["memory_mb"] = round(after)
    seen = await walk(base, cookies, _PATHS, users, seconds)
    errors += seen.errors
    figures |= _percentiles("walk", seen)
    figures |= {
        "users": users,
        "pages_per_s": round(len(seen.seconds) / seconds, 1),
        "errors": len(errors),
        "first_errors": errors[:5],
        "memory_after_walk_mb": round(_resident_mb(pid)),
    }
    return figures


def _percentiles(name: str, seen: Walk) -> dict[str, float]:
    if len(seen.seconds) < 2:
        raise BenchError(f"bench: no answers of {name}: {seen.errors[:1]}")
    return {f"{name}_p50_ms": percentile(seen.seconds, 50),
            f"{name}_p95_ms": percentile(seen.seconds, 95)}  # fmt: skip


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchError("bench: the portal is gone")


def _signed_in(connection: psycopg.Connection[Any], base: str) -> httpx.Cookies:
    """Make a person who may see everything, and return the cookie of a session."""
    person_id = people.make_person(connection, "bench", "Bench", "bench")
    grants.make_grant(
        connection, person_id, "viewer", Scope(everything=True), trade_secrets=True,
        crew_figures=True, author="bench", reason="measurement",
        valid_to=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    )  # fmt: skip
    path = links.make_link(connection, "sign_in", person_id, "bench")
    with httpx.Client(base_url=base) as client:
        answer = client.post(path)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise BenchError(f"bench: signing in is answered {answer.status_code}")
        return client.cookies


@contextlib.contextmanager
def _portal(url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the portal as a user starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="enpilot-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "enpilot", "portal", "run", "--port", str(port)],
                env={**os.environ, "ENPILOT_DATABASE_URL": url}, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            _wait(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _wait(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{base}/healthz", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    last = (log.read_text("utf-8").strip().splitlines() or ["it said nothing"])[-1]
    raise BenchError(f"bench: the portal does not answer: {last}")
