"""``enpilot alerts``: evaluate rules, see them, take and mute them, try them on the past."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import cyclopts
import msgspec
import psycopg

from analytics.accounting.site_calendar import midnight
from analytics.alerts.acknowledge import acknowledge
from analytics.alerts.delivery_cli import send_test_messages, show_deliveries, show_morning
from analytics.alerts.listed import ListedRule, list_rules
from analytics.alerts.quiet import Mute, add_mute, end_mute, load_mutes
from analytics.alerts.replay import Replay, replay
from analytics.alerts.rules import AlertSite, load_alert_site, load_rules
from analytics.alerts.service import run_alerts
from analytics.printed import printed, table_lines
from analytics.settings import AlertSettings
from enpilot.database import connect, database_url, draw_commit_no
from enpilot.errors import ConfigurationError
from enpilot.logs import configure_logs
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="alerts", help="Alert rules and their messages.")


@app.command
def run(settings: Path | None = None) -> None:
    """Evaluate rules and send messages until stopped (SIGINT or SIGTERM).

    Started twice, one of them stands by and takes over when the other ends.

    Parameters
    ----------
    settings
        TOML file; defaults without one.
    """
    configure_logs()
    chosen = load_settings(settings, AlertSettings)
    run_alerts(chosen, database_url())


app.command(send_test_messages, name="test")
app.command(show_deliveries, name="deliveries")
app.command(show_morning, name="morning")


@app.command(name="list")
def show_rules(site: str, *, firing: bool = False) -> None:
    """Print every rule of a site and every preset: on, or why not, and what fires.

    Parameters
    ----------
    site
        Code of the site.
    firing
        Only what fires or is about to.
    """
    with connect(database_url(), "alerts", autocommit=True) as connection:
        facts = _site(connection, site)
        now = dt.datetime.now(dt.UTC)
        listed = list_rules(connection, facts.site_id, now)
        codes = {r.code: r.rule_id for r in load_rules(connection, now, facts.site_id)}
        mutes = load_mutes(connection, facts.site_id, now)
    for line in _rule_lines(listed, facts.zone, only_firing=firing):
        print(line)
    for m in mutes:
        rule = next((code for code, number in codes.items() if number == m.rule_id), "every rule")
        print(f"muted {_span(m, facts.zone)}: {rule}, {m.subject or 'every subject'}")


def _span(window: Mute, zone: ZoneInfo) -> str:
    since, until = window.since.astimezone(zone), window.until.astimezone(zone)
    return f"{window.number}, {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"


def _rule_lines(listed: list[ListedRule], zone: ZoneInfo, *, only_firing: bool) -> list[str]:
    rows = [("rule", "kind", "severity", "limit", "state", "")]
    for r in listed:
        if only_firing and not r.states:
            continue
        sign = "above" if r.comparison == "above" else "below"
        rows.append((r.code, r.kind, r.severity, f"{sign} {r.threshold:g}", r.state, r.reason))
        rows += [
            (
                "", f"  {s.subject.code}", "", printed(s.value, 2), s.state.state.value,
                f"since {s.state.since.astimezone(zone):%Y-%m-%d %H:%M}"
                + (f", {s.acknowledged_by}: {s.note}" if s.acknowledged_by else "")
                + (", muted" if s.muted else ""),
            )
            for s in r.states
        ]  # fmt: skip
    return table_lines(rows, right=(3,))


@app.command
def ack(site: str, rule: str, *, author: str, note: str, subject: str | None = None) -> None:
    """Take what fires of a rule: it fires on, but nobody else is told.

    Parameters
    ----------
    site, rule
        Codes.
    author, note
        Who takes it, and what is done about it.
    subject
        One subject, as `enpilot alerts list` prints it; all that fire if it is left out.
    """
    with connect(database_url(), "alerts", autocommit=True) as connection:
        taken = acknowledge(connection, site, rule, author, note, subject=subject)
    print(f"{rule}: acknowledged {', '.join(taken)}")


@app.command
def mute(
    site: str,
    *,
    author: str,
    reason: str,
    hours: float | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    rule: str | None = None,
    subject: str | None = None,
) -> None:
    """Say when nobody wants to hear of a site, a rule or a subject: maintenance.

    Parameters
    ----------
    site
        Code of the site.
    author, reason
        Who says so, and why.
    hours
        From now, or from ``since``.
    since, until
        Local times of the site.
    rule
        Code of one rule; every rule if it is left out.
    subject
        One subject; every subject if it is left out.
    """
    with connect(database_url(), "alerts", autocommit=True) as connection:
        facts = _site(connection, site)
        begins = _instant(since, facts.zone) or dt.datetime.now(dt.UTC)
        ends = _instant(until, facts.zone)
        if (hours is None) == (ends is None):
            raise ConfigurationError("say either `--hours` or `--until`")
        ends = ends or begins + dt.timedelta(hours=hours or 0.0)
        if ends <= begins:
            raise ConfigurationError(f"a window that ends at {ends} before it begins at {begins}")
        rule_id = None
        if rule is not None:
            known = {r.code: r.rule_id for r in load_rules(connection, begins, facts.site_id)}
            if rule not in known:
                raise ConfigurationError(
                    f"site {site!r} has no rule {rule!r}: see `enpilot alerts list {site}`"
                )
            rule_id = known[rule]
        window = Mute(begins, ends, rule_id, subject)
        with connection.transaction():
            number = add_mute(
                connection, facts.site_id, window, author, reason, draw_commit_no(connection)
            )
    print(f"muted {_span(replace(window, number=number), facts.zone)}")


@app.command
def unmute(site: str, number: int, *, author: str, reason: str) -> None:
    """End a maintenance window now.

    Parameters
    ----------
    site
        Code of the site.
    number
        Of the window, as `enpilot alerts list` prints it.
    author, reason
        Who says so, and why.
    """
    with connect(database_url(), "alerts", autocommit=True) as connection:
        facts = _site(connection, site)
        now = dt.datetime.now(dt.UTC)
        with connection.transaction():
            ended = end_mute(
                connection, facts.site_id, number, now, author, reason, draw_commit_no(connection)
            )
    if not ended:
        raise ConfigurationError(f"site {site!r} has no window {number} that is not over")
    print(f"ended {number}")


@app.command(name="replay")
def show_replay(
    rule: str,
    *,
    site: str,
    since: Annotated[dt.date, cyclopts.Parameter(name="--from")],
    until: Annotated[dt.date, cyclopts.Parameter(name="--to")],
    threshold: float | None = None,
    json: bool = False,
) -> None:
    """Print when a rule would have fired, and for how long.

    Parameters
    ----------
    rule
        Code of the rule, as `enpilot alerts list` prints it.
    site
        Code of the site.
    since, until
        Local days, the last one included.
    threshold
        Another limit to try [unit of the rule].
    json
        Print all of it, with what was seen, as JSON.
    """
    with connect(database_url(), "alerts", autocommit=True) as connection:
        facts = _site(connection, site)
        last = midnight(until + dt.timedelta(days=1), facts.zone)
        found = replay(
            connection, site, rule, midnight(since, facts.zone),
            min(last, dt.datetime.now(dt.UTC)), threshold=threshold,
        )  # fmt: skip
    if json:
        print(msgspec.json.encode(found.to_json()).decode())
        return
    for line in _replay_lines(found, facts.zone):
        print(line)


def _replay_lines(found: Replay, zone: ZoneInfo) -> list[str]:
    units = {s.subject: s.unit for s in found.seen}
    rows = [("subject", "from", "to", "hours", "worst", "")]
    for f in found.firings:
        end = f.until or found.until
        rows.append(
            (
                f.subject, f"{f.since.astimezone(zone):%Y-%m-%d %H:%M}",
                "still firing" if f.until is None else f"{end.astimezone(zone):%Y-%m-%d %H:%M}",
                printed((end - f.since).total_seconds() / 3600.0, 2), printed(f.worst, 1),
                units.get(f.subject, ""),
            )
        )  # fmt: skip
    step = f", every {found.step_s:g} s" if found.step_s else ", every reading"
    seen = sum(len(s.at) for s in found.seen)
    head = f"{found.rule}, limit {found.threshold:g}: {len(found.firings)} times{step}"
    if not seen:
        return [f"{head}; nothing was seen in this span"]
    return [head, *(table_lines(rows, right=(3, 4)) if found.firings else [])]


def _instant(local: dt.datetime | None, zone: ZoneInfo) -> dt.datetime | None:
    if local is None:
        return None
    return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(dt.UTC)


def _site(connection: psycopg.Connection[Any], code: str) -> AlertSite:
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (code,)).fetchone()
    if row is None:
        raise ConfigurationError(f"no site {code!r}")
    return load_alert_site(connection, row[0])
