"""How a message is put: a subject and labelled lines, rendered for mail, chat and SMS."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from enpilot.text import (
    Language,
    clock,
    day,
    duration,
    money,
    number,
    pick,
    significant,
    unit_name,
)

__all__ = [
    "Line",
    "Wording",
    "amount",
    "amount_beside",
    "lasting",
    "local_time",
    "to_markdown",
    "to_text",
]

_WHOLE: Final = re.compile(r"\.0 ")
_MARKS: Final = re.compile(r"([\\`*_\[\]<>])")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it is about, and what is said; ``link`` leads there."""

    label: str
    said: str
    link: str | None = None
    bullet: bool = False


@dataclass(frozen=True, slots=True)
class Wording:
    """A message in one language."""

    subject: str
    lines: Sequence[Line]
    short: str


def to_text(language: Language, wording: Wording) -> str:
    """Render a message as plain text.

    Parameters
    ----------
    language
        Of the message.
    wording
        What it says.

    Returns
    -------
    str
        Lines without the subject (F38).
    """
    colon = pick(language, "：", ": ")
    return "\n".join(
        f"{'- ' if line.bullet else ''}{f'{line.label}{colon}' if line.label else ''}"
        f"{line.link or line.said}"
        for line in wording.lines
    )


def to_markdown(language: Language, wording: Wording) -> str:
    """Render a message as Markdown, as chat robots take it.

    Parameters
    ----------
    language
        Of the message.
    wording
        What it says.

    Returns
    -------
    str
        Paragraphs without the subject; what names hold of Markdown is shown as it is (F38).
    """
    colon = pick(language, "：", ": ")
    out = ""
    for line in wording.lines:
        said = _escaped(line.said)
        if line.link is not None:
            said = f"[{said}]({line.link})"
        label = f"**{_escaped(line.label)}**{colon}" if line.label else ""
        # Robots run lines together that no empty line parts; items of a list stay lines.
        out += ("\n" if line.bullet else "\n\n") if out else ""
        out += f"{'- ' if line.bullet else ''}{label}{said}"
    return out


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)


def amount(language: Language, value: float | None, unit: str) -> str:
    """Write a value with its unit as people say it.

    Parameters
    ----------
    language
        Of the message.
    value
        In ``unit`` [unit]; None if it is not known.
    unit
        As the rule has it.

    Returns
    -------
    str
        Seconds as a duration, yuan as money; the others with three to four digits (F36).
    """
    if value is None:
        return pick(language, "未知", "not known")
    if unit == "s":
        return lasting(language, value)
    if unit == "元":
        return money(language, value)
    return _with_unit(language, _trimmed(significant(value)), unit)


def lasting(language: Language, seconds: float) -> str:
    """Write how long something is or was.

    Parameters
    ----------
    language
        Of the message.
    seconds
        How long [s].

    Returns
    -------
    str
        In the unit that fits, without a zero behind the point: 7 分钟, 1.5 h (F36).
    """
    return _WHOLE.sub(" ", duration(language, seconds))


def _trimmed(value: str) -> str:
    return value.rstrip("0").rstrip(".") if "." in value else value


def amount_beside(language: Language, value: float | None, limit: float, unit: str) -> str:
    """Write a value so that it does not read like the limit that it is beyond.

    Parameters
    ----------
    language
        Of the message.
    value, limit
        In ``unit`` [unit].
    unit
        As the rule has it.

    Returns
    -------
    str
        With more digits than usual where they are needed for that (F36).
    """
    said = amount(language, value, unit)
    if value is None or value == limit or said != amount(language, limit, unit) or unit == "s":
        return said
    digits = next((n for n in range(1, 9) if number(value, n) != number(limit, n)), 9)
    return _with_unit(language, number(value, digits), "CNY" if unit == "元" else unit)


def _with_unit(language: Language, value: str, unit: str) -> str:
    if unit == "%":
        return f"{value}%"
    if unit in ("h", "d"):
        return f"{value} {pick(language, {'h': '小时', 'd': '天'}[unit], unit)}"
    return f"{value} {unit_name(language, unit)}".rstrip()


def local_time(language: Language, at: dt.datetime, zone: ZoneInfo) -> str:
    """Write an instant by the site's clock, with its day and its distance from UTC.

    Parameters
    ----------
    language
        Of the message.
    at, zone
        The instant, and the site's zone.

    Returns
    -------
    str
        2026年3月2日 周一 09:03 (UTC+8), Mon 2 Mar 2026 09:03 (UTC+8); F21.
    """
    local = at.astimezone(zone)
    offset = local.utcoffset() or dt.timedelta(0)
    minutes = round(offset.total_seconds() / 60)
    sign = "+" if minutes >= 0 else "−"
    hours, rest = divmod(abs(minutes), 60)
    return f"{day(language, local.date())} {clock(local)} (UTC{sign}{hours}" + (
        f":{rest:02d})" if rest else ")"
    )
