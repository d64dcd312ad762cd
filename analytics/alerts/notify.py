"""Send what is to be said through apprise: at least once, the oldest first, in both languages.

The message is in the database before anything is sent, so a crash between the two repeats one and
never loses one; each carries its number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import apprise
import psycopg

__all__ = ["Notifier", "notify_pending"]

_WORDS: Final = {
    "firing": ("告警触发", "firing"),
    "resolved": ("告警恢复", "resolved"),
    "reminder": ("告警提醒", "still firing"),
    "escalation": ("告警升级", "escalated"),
    "morning": ("早间简报", "morning message"),
    "test": ("测试消息", "test message"),
}
_RESOLVED: Final = "resolved"


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


def notify_pending(
    connection: psycopg.Connection[Any], notifier: Notifier, now: dt.datetime
) -> tuple[int, int]:
    """Send messages that are due.

    Stops at the first failure, so that order is kept and a dead webhook is tried once a round.

    Parameters
    ----------
    connection
        In autocommit mode.
    notifier
        With the addresses; nothing is done without any.
    now
        Messages that are due later wait.

    Returns
    -------
    int, int
        Messages sent, and failed.
    """
    if not len(notifier):
        return 0, 0
    sent = 0
    rows = connection.execute(
        "SELECT m.message_id, m.kind, m.severity, m.facts, s.name_zh, s.name_en, s.timezone,"
        " s.demonstration_zh, s.demonstration_en FROM alert_message m"
        " JOIN LATERAL (SELECT * FROM site_record r WHERE r.site_id = m.site_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) s ON true"
        " WHERE m.notified_at IS NULL AND m.due_at <= %s ORDER BY m.message_id LIMIT 100",
        (now,),
    ).fetchall()
    for message_id, kind, severity, facts, *site in rows:
        title, body = _message(message_id, kind, facts, *site)
        if not notifier.send(title, body, _type_of(kind, severity)):
            connection.execute(
                "UPDATE alert_message SET notify_error = 'not taken by every address'"
                " WHERE message_id = %s",
                (message_id,),
            )
            return sent, 1
        connection.execute(
            "UPDATE alert_message SET notified_at = now(), notify_error = NULL"
            " WHERE message_id = %s",
            (message_id,),
        )
        sent += 1
    return sent, 0


def _type_of(kind: str, severity: str) -> apprise.NotifyType:
    if kind == _RESOLVED:
        return apprise.NotifyType.SUCCESS
    if kind in ("morning", "test"):
        return apprise.NotifyType.INFO
    return apprise.NotifyType.FAILURE if severity == "fault" else apprise.NotifyType.WARNING


def _message(
    message_id: int,
    kind: str,
    facts: Mapping[str, Any],
    site_zh: str,
    site_en: str,
    timezone: str,
    demonstration_zh: str | None,
    demonstration_en: str | None,
) -> tuple[str, str]:
    zh, en = _WORDS[kind]
    lines = []
    if facts.get("at"):
        local = dt.datetime.fromisoformat(facts["at"]).astimezone(ZoneInfo(timezone))
        lines.append(f"{local:%Y-%m-%d %H:%M:%S} {timezone}")
    subjects = facts.get("subjects", [])
    lines += [_line(s, facts.get("unit") or "") for s in subjects or [facts]]
    more = facts.get("group_size", 1) - len(subjects)
    if subjects and more > 0:
        lines.append(f"另有 {more} 项 / and {more} more")
    if facts.get("synthetic"):
        lines.append("合成或模拟数据 / synthetic or simulated data")
    lines += [text for key in ("runbook_zh", "runbook_en") if (text := facts.get(key))]
    lines.append(f"#{message_id}")
    if demonstration_zh is not None:
        lines += [f"{demonstration_zh}。{demonstration_en}."]
    title = f"{zh} / {en}: {facts.get('name_zh', '')} / {facts.get('name_en', '')}"
    return f"{title} · {site_zh} / {site_en}", "\n".join(lines)


def _line(said: Mapping[str, Any], unit: str) -> str:
    names = [n for key in ("subject_zh", "subject_en") if (n := said.get(key))]
    value, limit = said.get("value"), said.get("limit")
    known = "—" if value is None else f"{value:,.1f} {unit}".rstrip()
    edge = "" if limit is None else f" · 限值 / limit {f'{limit:,g} {unit}'.rstrip()}"
    return f"{' / '.join(dict.fromkeys(names))} {known}{edge}".strip()
