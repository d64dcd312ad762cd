"""A row of ``alert_message`` as a letter, in the language of those who get it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from analytics.alerts.delivery.channels import Letter
from analytics.alerts.morning.said import Morning
from analytics.alerts.words import (
    Line,
    Wording,
    alert_wording,
    morning_wording,
    to_markdown,
    to_text,
)
from enpilot.text import Language, pick

__all__ = ["Row", "letter_of", "letter_of_test"]

_TONES: Final = {"resolved": "success", "morning": "info", "test": "info"}
_SEVERITY_TONES: Final = {"note": "info", "warning": "warning", "fault": "failure"}


@dataclass(frozen=True, slots=True)
class Row:
    """A message, and what is to be known of its site."""

    message_id: int
    kind: str
    severity: str
    facts: Mapping[str, Any]
    due_at: dt.datetime
    site: str
    site_zh: str
    site_en: str
    zone: ZoneInfo
    demonstration_zh: str | None = None
    demonstration_en: str | None = None

    @property
    def key(self) -> str:
        """By which a receiver knows a message that comes twice."""
        return f"{self.site}-{self.message_id}"


def letter_of(row: Row, languages: Literal["zh", "en", "both"], portal: str | None) -> Letter:
    """Put a message into words.

    Parameters
    ----------
    row
        The message.
    languages
        Of its receivers.
    portal
        Address of the portal; without it there are no links.

    Returns
    -------
    Letter
        In the forms that channels take; its key is the same at each attempt (F38).
    """
    asked: Sequence[Language] = ("zh", "en") if languages == "both" else (languages,)
    wordings = [(language, _wording(language, row, portal)) for language in asked]
    return _letter(
        row.key, wordings, _TONES.get(row.kind) or _SEVERITY_TONES[row.severity],
        (row.site, row.kind),
        {
            "kind": row.kind, "severity": row.severity, "site": row.site,
            "due_at": row.due_at.astimezone(dt.UTC).isoformat(), "facts": dict(row.facts),
            "demonstration": row.demonstration_en is not None,
        },
    )  # fmt: skip


def letter_of_test(languages: Literal["zh", "en", "both"], group: str, channel: str) -> Letter:
    """Return a message that says nothing but that it arrives.

    Parameters
    ----------
    languages
        Of its receivers.
    group, channel
        Whom it shall reach.

    Returns
    -------
    Letter
        Of the kind "test" (F38).
    """
    asked: Sequence[Language] = ("zh", "en") if languages == "both" else (languages,)
    wordings = []
    for language in asked:
        subject = pick(language, "【测试】告警通道畅通", "[Test] Alerts reach you")
        said = pick(
            language,
            f"这是给 {group} 组、通道 {channel} 的测试消息，无需处理。",
            f"A test message for group {group}, channel {channel}. There is nothing to do.",
        )
        wordings.append((language, Wording(subject, [Line("", said)], subject)))
    return _letter("test", wordings, "info", ("test", "test"), {"kind": "test", "group": group})


def _wording(language: Language, row: Row, portal: str | None) -> Wording:
    site = pick(language, row.site_zh, row.site_en)
    page = row.facts.get("page")
    link = None
    if portal and page:
        # A rule may name its page below the site.
        path = page if page.startswith("/") else f"/s/{row.site}/{page}"
        link = f"{portal.rstrip('/')}{path}"
    if row.kind == "morning":
        wording = morning_wording(language, Morning.of(row.facts), site, link, row.key)
    else:
        wording = alert_wording(
            language, row.kind, row.severity, row.facts, (site, row.zone), link, row.key
        )
    shown = pick(language, row.demonstration_zh or "", row.demonstration_en or "")
    if not shown:
        return wording
    mark = pick(language, "演示", "Demo")
    return Wording(
        f"{mark} {wording.subject}", [*wording.lines, Line("", shown)], f"{mark} {wording.short}"
    )


def _letter(
    key: str,
    wordings: Sequence[tuple[Language, Wording]],
    tone: str,
    topic: tuple[str, str],
    content: Mapping[str, Any],
) -> Letter:
    return Letter(
        key,
        " ".join(" / ".join(w.subject for _, w in wordings).split()),  # a header is one line
        "\n\n".join(to_text(language, w) for language, w in wordings),
        "\n\n---\n\n".join(to_markdown(language, w) for language, w in wordings),
        " / ".join(w.short for _, w in wordings),
        tone,
        topic,
        content,
    )
