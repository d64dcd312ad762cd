"""Send what changed through apprise: at least once, the oldest first, in both languages.

The event is in the database before anything is sent, so a crash between the two repeats a message
and never loses one; each message carries the event's number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import apprise
import psycopg

__all__ = ["Notifier", "notify_pending"]

_WORDS = {"firing": ("告警触发", "firing"), "resolved": ("告警恢复", "resolved")}
_TYPES = {
    "firing": apprise.NotifyType.WARNING,
    "resolved": apprise.NotifyType.SUCCESS,
}


class Notifier:
    """Where messages go."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._apprise = apprise.Apprise()
        # Counted, not shown: an address is a secret.
        self.refused = sum(not self._apprise.add(address) for address in addresses)

    def __len__(self) -> int:
        return len(self._apprise)

    def send(self, title: str, body: str, kind: apprise.NotifyType) -> bool:
        """Send one message; return whether every address took it."""
        return bool(self._apprise.notify(body=body, title=title, notify_type=kind))


def notify_pending(connection: psycopg.Connection[Any], notifier: Notifier) -> tuple[int, int]:
    """Send events that nobody was told of.

    Stops at the first failure, so that order is kept and a dead webhook is tried once a round.

    Parameters
    ----------
    connection
        In autocommit mode.
    notifier
        With the addresses; nothing is done without any.

    Returns
    -------
    int, int
        Events sent, and failed.
    """
    if not len(notifier):
        return 0, 0
    sent = 0
    rows = connection.execute(
        "SELECT e.event_id, e.to_state, e.at_ts, e.value, e.threshold, r.name_zh, r.name_en,"
        " s.name_zh, s.name_en, s.timezone, s.demonstration_zh, s.demonstration_en,"
        " (SELECT unit FROM current_epoch c WHERE c.series_id = r.series_id"
        "  ORDER BY valid_from DESC LIMIT 1)"
        " FROM alert_event e JOIN alert_rule_record r USING (alert_rule_id)"
        " JOIN site_record s USING (site_id) WHERE e.notified_at IS NULL"
        " AND r.superseded_commit_no IS NULL AND s.superseded_commit_no IS NULL"
        " ORDER BY e.event_id LIMIT 100"
    ).fetchall()
    for row in rows:
        event_id, state = row[0], row[1]
        title, body = _message(*row)
        if not notifier.send(title, body, _TYPES[state]):
            connection.execute(
                "UPDATE alert_event SET notify_error = 'not taken by every address'"
                " WHERE event_id = %s",
                (event_id,),
            )
            return sent, 1
        connection.execute(
            "UPDATE alert_event SET notified_at = now(), notify_error = NULL WHERE event_id = %s",
            (event_id,),
        )
        sent += 1
    return sent, 0


def _message(
    event_id: int,
    state: str,
    at: dt.datetime,
    value: float,
    threshold: object,
    rule_zh: str,
    rule_en: str,
    site_zh: str,
    site_en: str,
    timezone: str,
    demonstration_zh: str | None,
    demonstration_en: str | None,
    unit: str | None,
) -> tuple[str, str]:
    zh, en = _WORDS[state]
    local = at.astimezone(ZoneInfo(timezone))
    lines = [
        f"{local:%Y-%m-%d %H:%M:%S} {timezone}",
        f"{value:,.1f} {unit or ''} · 限值 / limit {threshold} {unit or ''}",
        f"#{event_id}",
    ]
    if demonstration_zh is not None:
        lines += [f"{demonstration_zh}。{demonstration_en}."]
    return f"{zh} / {en}: {rule_zh} / {rule_en} · {site_zh} / {site_en}", "\n".join(lines)
