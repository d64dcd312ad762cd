"""What a filled-in ledger asks for: every cell that changed becomes an entry."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from starlette.datastructures import FormData

__all__ = ["output_arguments"]


def output_arguments(sent: FormData) -> dict[str, Any]:
    """Return the changed cells of the ledger's form as the arguments of ``output.enter``.

    A cell is named ``2026-11-03|line-1|16:00|00:00`` and has what it was in ``was|…``. What is not
    understood goes on as it is: the service says what is wrong with it.
    """
    zone = _zone(str(sent.get("zone")))
    entries = []
    for name, value in sent.multi_items():
        parts = name.split("|")
        if len(parts) != 4 or not isinstance(value, str):
            continue
        text = value.replace(",", "").replace("\0", "").strip()
        if not text or text == sent.get(f"was|{name}"):
            continue
        day, line, begin, end = parts
        entries.append(
            {
                "product": sent.get("product"), "line": line, "stage": sent.get("stage"),
                "disposition": "good", "quantity": text,
                "since": _instant(day, begin, zone, after=None),
                "until": _instant(day, end, zone, after=begin),
            }
        )  # fmt: skip
    reason = str(sent.get("reason") or "").strip() or "entered in the portal"
    return {"entries": entries, "reason": reason, "supersede": sent.get("supersede") == "1"}


def _zone(name: str) -> zoneinfo.ZoneInfo | None:
    """Return the zone that the ledger was of; without one instants have no offset, and are said."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _instant(day: str, clock: str, zone: zoneinfo.ZoneInfo | None, *, after: str | None) -> str:
    try:
        at = dt.datetime.combine(dt.date.fromisoformat(day), dt.time.fromisoformat(clock), zone)
    except ValueError:
        return f"{day}T{clock}"
    if after is not None and clock <= after:
        at = dt.datetime.combine(at.date() + dt.timedelta(days=1), at.timetz())
    return at.isoformat()
