"""From when to when a plant file says something else, where a figure depends on it (F2)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

__all__ = ["FactSpan", "OpenSpan", "changed_spans"]

OpenSpan: TypeAlias = tuple[dt.datetime, dt.datetime | None]
# Facts by column, and when they hold.
FactSpan: TypeAlias = tuple[Mapping[str, Any], dt.datetime, dt.datetime | None]

# No figure depends on them: who may send, what rings, names.
_NO_FIGURE: Final = frozenset({
    "agent_grant", "alert_preset_record", "alert_rule_record", "enterprise_record",
    "product_record", "programme_record",
})  # fmt: skip
# A new one of these makes figures of its own and changes none that is there.
_NEW_CHANGES_NOTHING: Final = frozenset({
    "account_record", "baseline_record", "calibration", "enpi_record", "flat_price", "installation",
    "machine", "opening_hours", "ratio_check", "relevant_variable_record", "retrofit_record",
    "scheme_record", "shift_record", "site_record", "tariff_record", "virtual_point_record",
})  # fmt: skip
# What holds last is applied to all time.
_LAST_FOR_ALL: Final = frozenset({"enpi_record", "scheme_record", "site_record"})
_SAID_ONLY: Final = frozenset({
    "authority", "demonstration_en", "demonstration_zh", "document", "evidence", "metering_level",
    "name_en", "name_zh", "phase_map", "self_approval", "source", "why",
})  # fmt: skip
_COUNTED_ROLES: Final = ("boundary", "generation")
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


def changed_spans(table: str, held: Sequence[FactSpan], said: Sequence[FactSpan]) -> list[OpenSpan]:
    """Return the spans in which figures would be computed of other facts.

    Parameters
    ----------
    table
        Where the facts are kept.
    held, said
        What the database says of one thing now, and what the file says.

    Returns
    -------
    list
        Disjoint and in order, None for no end. A record that only ends earlier differs from its new
        end on; another name changes nothing.
    """
    if table in _NO_FIGURE or (not held and table in _NEW_CHANGES_NOTHING):
        return []
    before, after = ([_counted(row) for row in rows] for rows in (held, said))
    if table == "point_record" and not held:
        after = [r for r in after if r[0].get("role") in _COUNTED_ROLES]
    if table in _LAST_FOR_ALL:
        before, after = [_for_all(before)], [_for_all(after)]
    borders = sorted({at for _, since, until in (*before, *after) for at in (since, until) if at})
    found: list[OpenSpan] = []
    for i, since in enumerate(borders):
        until = borders[i + 1] if i + 1 < len(borders) else None
        if _same(_holding(before, since), _holding(after, since)):
            continue
        if found and found[-1][1] == since:
            found[-1] = (found[-1][0], until)
        else:
            found.append((since, until))
    return found


def _counted(row: FactSpan) -> FactSpan:
    facts, since, until = row
    return {name: v for name, v in facts.items() if name not in _SAID_ONLY}, since, until


def _for_all(rows: Sequence[FactSpan]) -> FactSpan:
    facts, _, _ = max(rows, key=lambda row: row[1])
    return facts, _FIRST, None


def _holding(rows: Sequence[FactSpan], at: dt.datetime) -> list[Mapping[str, Any]]:
    return [f for f, since, until in rows if since <= at and (until is None or at < until)]


def _same(one: list[Mapping[str, Any]], other: list[Mapping[str, Any]]) -> bool:
    """Compare as sets; facts may be lists and documents, which have no hash."""
    return all(f in other for f in one) and all(f in one for f in other)
