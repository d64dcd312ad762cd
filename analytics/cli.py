"""``enpilot analyze``: keep figures up to date, or compute a span anew."""

from __future__ import annotations

import datetime as dt
import signal
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
import psycopg
import structlog

from analytics.cost.cli import bill, demand, invoice
from analytics.engine import Pass, mark_site_dirty, run_once
from analytics.preview import preview
from analytics.settings import AnalyzeSettings
from enpilot.archive import ArchiveUnavailableError
from enpilot.database import connect, database_url, run_connected
from enpilot.errors import ConfigurationError
from enpilot.logs import configure_logs
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="analyze", help="Readings to energy, EnPIs and verdicts.")
app.command(bill)
app.command(demand)
app.command(invoice)
_log = structlog.get_logger("analytics")
# The first pass, or a long correction; a running plant touches a handful a round.
_WORTH_SAYING: Final = 100


@app.command
def run(settings: Path | None = None, *, once: bool = False) -> None:
    """Compute what has changed, again and again until stopped (SIGINT or SIGTERM).

    Parameters
    ----------
    settings
        TOML file; defaults without one.
    once
        Compute until nothing is dirty, and end.
    """
    configure_logs()
    chosen = load_settings(settings, AnalyzeSettings)
    url = database_url()
    if once:
        with connect(url, "analyze", autocommit=True) as connection:
            while (done := run_once(connection)).did_anything:
                _say(done)
        _refuse_to_wait(done)
        return
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    waiting: set[str] = set()

    def step(connection: psycopg.Connection[Any]) -> float:
        done = run_once(connection)
        now = set(done.waiting.values())
        for reason in sorted(now - waiting):
            _log.warning("figures wait for the archive", reason=reason)
        if waiting and not now:
            _log.info("the archive can be read again")
        waiting.clear()
        waiting.update(now)
        if done.figures > _WORTH_SAYING:
            _say(done)
        return chosen.every_s

    run_connected(url, "analyze", stop, step)


@app.command
def recompute(
    site: str,
    *,
    since: Annotated[dt.datetime, cyclopts.Parameter(name="--from")],
    until: Annotated[dt.datetime, cyclopts.Parameter(name="--to")],
) -> None:
    """Compute a site's span anew; instants without an offset are UTC.

    Parameters
    ----------
    site
        Code of the site.
    since, until
        The span.
    """
    span = [at if at.tzinfo else at.replace(tzinfo=dt.UTC) for at in (since, until)]
    if span[0] >= span[1]:
        raise ConfigurationError(f"--from {since} is not before --to {until}")
    with connect(database_url(), "analyze", autocommit=True) as connection:
        marked = mark_site_dirty(connection, site, span[0], span[1])
        if marked < 0:
            raise ConfigurationError(f"no site {site!r}: see `enpilot import plant`")
        done = run_once(connection)
    _refuse_to_wait(done)
    print(f"{marked} counters, {done.intervals} intervals, {done.figures} figures")


def _refuse_to_wait(done: Pass) -> None:
    for reason in done.waiting.values():
        raise ArchiveUnavailableError(f"figures stay as they were: {reason}")


@app.command(name="preview")
def preview_correction(number: int) -> None:
    """Show what approving a correction, or revoking one in force, would change; nothing is kept.

    Parameters
    ----------
    number
        The correction, see `enpilot correct list`.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        changes = preview(connection, number)
    for c in changes:
        verdict = f"  {c.verdict_before} → {c.verdict_after}" if c.verdict_after else ""
        print(
            f"{c.what:32} {c.period_kind:26} {c.period_from}  {_figure(c.before)} → "
            f"{_figure(c.after)} {c.unit}{verdict}"
        )
    if not changes:
        print("no figure would change")


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:,.4f}"


def _say(done: Pass) -> None:
    _log.info("computed", points=done.points, intervals=done.intervals, figures=done.figures)
