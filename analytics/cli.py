"""``enpilot analyze``: keep figures up to date, or compute a span anew."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
import psycopg
import structlog

from analytics.accounting.cli import balance, energy
from analytics.baselines.report import baseline_lines
from analytics.cost.cli import bill, demand, invoice
from analytics.engine import Pass, mark_dirty, run_once
from analytics.enpis.cli import enpi, output
from analytics.enpis.totals_cli import totals
from analytics.past import reproduce
from analytics.preview import preview
from analytics.quality.cli import quality
from analytics.savings.report import savings_lines
from analytics.settings import AnalyzeSettings
from analytics.waste.cli import decide_waste, waste
from analytics.workers import Cluster, Cores, Workers
from enpilot import __version__
from enpilot.archive import ArchiveUnavailableError
from enpilot.database import connect, database_url, run_connected
from enpilot.errors import ConfigurationError
from enpilot.logs import configure_logs
from enpilot.progress import progress_bar
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="analyze", help="Readings to energy, EnPIs and verdicts.")
app.command(enpi)
app.command(output)
app.command(totals)
app.command(balance)
app.command(energy)
app.command(bill)
app.command(demand)
app.command(invoice)
app.command(quality)
app.command(waste)
app.command(decide_waste)
app.command("analytics.desk:run", name="desk", help="Do what people ask for in the portal.")
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
            workers = Cores(connection, url, chosen.workers)
            while (done := run_once(connection, workers)).did_anything:
                _say(done)
        _refuse_to_wait(done)
        return
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    waiting: set[str] = set()

    def step(connection: psycopg.Connection[Any]) -> float:
        done = run_once(connection, Cores(connection, url, chosen.workers))
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
    site: list[str] | None = None,
    *,
    since: Annotated[dt.datetime, cyclopts.Parameter(name="--from")],
    until: Annotated[dt.datetime, cyclopts.Parameter(name="--to")],
    workers: Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=0))] = 0,
    dask: str | None = None,
) -> None:
    """Compute a span of every site, or of some, anew; instants without an offset are UTC.

    Parameters
    ----------
    site
        Codes of sites; all of them without any.
    since, until
        The span.
    workers
        Groups of points computed at once; as many as there are cores if 0.
    dask
        Scheduler of a Dask cluster that computes instead, "tcp://host:8786". Its workers need the
        same release and ENPILOT_DATABASE_URL.
    """
    span = [at if at.tzinfo else at.replace(tzinfo=dt.UTC) for at in (since, until)]
    if span[0] >= span[1]:
        raise ConfigurationError(f"--from {since} is not before --to {until}")
    url = database_url()
    with (
        connect(url, "analyze", autocommit=True) as connection,
        progress_bar("recompute") as tell,
        contextlib.ExitStack() as opened,
    ):
        chosen: Workers = Cores(connection, url, workers)
        if dask is not None:
            chosen = opened.enter_context(Cluster(dask, connection))
        marked = mark_dirty(connection, site or [], span[0], span[1])
        done = run_once(connection, chosen, tell)
    print(f"{marked} counters, {done.intervals} intervals, {done.figures} figures")
    _refuse_to_wait(done)


def _refuse_to_wait(done: Pass) -> None:
    for reason in done.waiting.values():
        raise ArchiveUnavailableError(f"figures stay as they were: {reason}")


@app.command(name="reproduce")
def reproduce_figures(
    *,
    site: str,
    version: int,
    period: str | None = None,
) -> None:
    """Compute a site's figures as they were at a data version, and compare with what was stored.

    Nothing is written. Ends with code 1 if a figure differs.

    Parameters
    ----------
    site
        Code of the site.
    version
        The data version that a figure or report names.
    period
        Only figures inside of a year, month or day: "2026", "2026-03", "2026-03-01".
    """
    with progress_bar("reproduce") as tell:
        done = reproduce(database_url(), site, version, _period(period), tell)
    if done.version != version:
        print(f"shown at data version {version} was what had been computed of {done.version}")
    releases = ", ".join(done.code_versions)
    print(f"computed by enpilot {releases or '—'}, now again by {__version__}")
    differing = {(d.kind, d.figure) for d in done.differences}
    print(f"{done.equal} figures equal, {len(differing)} differ")
    for d in done.differences:
        what = f" {d.field}" if d.field else ""
        print(f"{d.kind} {d.figure}{what}: stored {d.stored}, computed {d.computed}")
    if differing:
        raise SystemExit(1)


def _period(text: str | None) -> tuple[dt.date, dt.date] | None:
    if text is None:
        return None
    parts = text.split("-")
    try:
        first = dt.date.fromisoformat("-".join([*parts, "01", "01"][:3]))
    except ValueError as error:
        raise ConfigurationError(
            f"--period {text!r} is neither a year (2026), a month (2026-03) nor a day (2026-03-01)"
        ) from error
    if len(parts) == 3:
        return first, first + dt.timedelta(days=1)
    if len(parts) == 1:
        return first, first.replace(year=first.year + 1)
    return first, (first + dt.timedelta(days=31)).replace(day=1)


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


@app.command
def baseline(code: str, *, site: str | None = None) -> None:
    """Show a baseline's model with its tests, and what it expects of each period.

    Parameters
    ----------
    code
        Of the baseline in the plant file.
    site
        Code of the site, where several have such a baseline.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        for line in baseline_lines(connection, code, site):
            print(line)


@app.command
def savings(project: str | None = None, *, site: str | None = None) -> None:
    """Show what retrofits saved, with uncertainty, and the programmes they add up to.

    Parameters
    ----------
    project
        Code of a retrofit; all without one.
    site
        Code of a site; all without one.
    """
    with connect(database_url(), "analyze", autocommit=True) as connection:
        for line in savings_lines(connection, project, site):
            print(line)


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:,.4f}"


def _say(done: Pass) -> None:
    _log.info("computed", points=done.points, intervals=done.intervals, figures=done.figures)
