"""``enpilot alerts test``, ``deliveries`` and ``morning``: whether messages reach people."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from analytics.alerts.delivery.letters import Row, letter_of, letter_of_test
from analytics.alerts.delivery.listed import DeliveryRow, list_deliveries
from analytics.alerts.delivery.recipients import load_recipients
from analytics.alerts.morning import load_morning
from analytics.alerts.rules import AlertSite, load_alert_site
from analytics.alerts.service import portal_address
from analytics.errors import ChannelError
from analytics.printed import table_lines
from analytics.settings import AlertSettings
from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError, PermanentError
from enpilot.settings import load_settings

__all__ = ["send_test_messages", "show_deliveries", "show_morning"]


def send_test_messages(settings: Path | None = None, *, group: str | None = None) -> None:
    """Send a test message through every channel, and print what came of each.

    Parameters
    ----------
    settings
        TOML file; defaults without one.
    group
        Of one group of recipients only.
    """
    chosen = load_settings(settings, AlertSettings)
    groups = load_recipients(chosen)
    if not groups:
        raise ConfigurationError(
            f"nobody to send to: name a `[[group]]` in the settings, or set"
            f" {chosen.notify_variable} to apprise addresses"
        )
    asked = [g for g in groups if group in (None, g.settings.name)]
    if not asked:
        names = ", ".join(g.settings.name for g in groups)
        raise ConfigurationError(f"no group {group!r}; there are {names}")
    refused = 0
    rows = [("group", "channel", "", "")]
    for one in asked:
        for channel in one.channels:
            letter = letter_of_test(one.settings.language, one.settings.name, channel.name)
            try:
                channel.send(letter)
                rows.append((one.settings.name, channel.name, "sent", ""))
            except ChannelError as error:
                refused += 1
                rows.append((one.settings.name, channel.name, "failed", str(error)))
    for line in table_lines(rows):
        print(line)
    if refused:
        raise PermanentError(f"{refused} of {len(rows) - 1} channels did not take the test message")


def show_deliveries(*, site: str | None = None, days: int = 7, every: bool = False) -> None:
    """Print attempts to send messages that failed, the latest first.

    Parameters
    ----------
    site
        Code of one site.
    days
        How far to look back.
    every
        Those that were taken too.
    """
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    with connect(database_url(), "alerts", autocommit=True) as connection:
        found = list_deliveries(connection, since, site=site, every=every)
    if not found:
        print(f"no {'' if every else 'failed '}attempt in {days} days")
    for line in _delivery_lines(found):
        print(line)


def _delivery_lines(found: list[DeliveryRow]) -> list[str]:
    if not found:
        return []
    rows = [("at", "message", "kind", "group", "channel", "attempt", "state", "next", "")]
    for d in found:
        zone = ZoneInfo(d.timezone)
        rows.append(
            (
                f"{d.at.astimezone(zone):%Y-%m-%d %H:%M:%S}", f"{d.site}-{d.message_id}", d.kind,
                d.group, d.channel, str(d.attempt), d.state,
                "" if d.next_at is None else f"{d.next_at.astimezone(zone):%H:%M}", d.error or "",
            )
        )  # fmt: skip
    return table_lines(rows, right=(5,))


def show_morning(site: str, *, date: dt.date | None = None, portal: str | None = None) -> None:
    """Print the morning message about a day in both languages; nothing is sent.

    Parameters
    ----------
    site
        Code of the site.
    date
        The day it is about; yesterday if it is left out.
    portal
        Address of the portal, for the link; ENPILOT_PORTAL_ADDRESS if it is left out.
    """
    now = dt.datetime.now(dt.UTC)
    with connect(database_url(), "alerts", autocommit=True) as connection:
        facts = _site(connection, site)
        day = date or facts.today(now) - dt.timedelta(days=1)
        said = load_morning(connection, facts, day)
        shown = _demonstration(connection, facts.site_id)
    told = Row(
        0, "morning", "note", said.facts(), now, site, facts.name_zh, facts.name_en, facts.zone,
        *shown,
    )  # fmt: skip
    address = portal or portal_address(AlertSettings())
    for letter in (letter_of(told, "zh", address), letter_of(told, "en", address)):
        print(f"{letter.subject}\n{letter.text}\n")


def _site(connection: psycopg.Connection[Any], code: str) -> AlertSite:
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (code,)).fetchone()
    if row is None:
        raise ConfigurationError(f"no site {code!r}")
    return load_alert_site(connection, row[0])


def _demonstration(
    connection: psycopg.Connection[Any], site_id: int
) -> tuple[str | None, str | None]:
    row = connection.execute(
        "SELECT demonstration_zh, demonstration_en FROM site_record WHERE site_id = %s"
        " AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (site_id,),
    ).fetchone()
    return (None, None) if row is None else (row[0], row[1])
