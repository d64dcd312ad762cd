"""Production of yesterday that nobody entered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import Period
from analytics.alerts.rules import AlertSite, Rule, Sighting, Subject

__all__ = ["see_missing_output"]

_DAY: Final = dt.timedelta(days=1)
_TEN: Final = "10:00:00"
# A product is expected on a weekday if it was entered on half of these before.
_WEEKS: Final = 4


def see_missing_output(
    connection: psycopg.Connection[Any], site: AlertSite, rule: Rule, at: dt.datetime
) -> Iterator[Sighting]:
    """Yield which products of yesterday's production day are not entered by the rule's hour.

    Parameters
    ----------
    connection
        To the database.
    site, rule
        What is looked at; ``watch.by`` is the local time, 10:00 if it does not say.
    at
        The instant.

    Yields
    ------
    Sighting
        Value: shifts, or days of a site without shifts, that no entry touches; 0 before the hour.
        A product is expected if it was entered on half of the same weekdays before (F38).
    """
    local = at.astimezone(site.zone)
    due = local.time() >= dt.time.fromisoformat(rule.watch.get("by") or _TEN)
    day = site.calendar.day_of(at) - _DAY
    spans = _spans(site, day)
    for product_id, code, zh, en in connection.execute(
        "SELECT i.product_id, i.code, n.name_zh, n.name_en FROM product i JOIN LATERAL ("
        "  SELECT name_zh, name_en FROM product_record r WHERE r.product_id = i.product_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) n ON true"
        " WHERE i.site_id = %s ORDER BY i.code",
        (rule.site_id,),
    ).fetchall():
        before = [_entered(connection, product_id, _spans(site, day - 7 * k * _DAY), at)
                  for k in range(1, _WEEKS + 1)]  # fmt: skip
        if sum(any(entered) for entered in before) * 2 < _WEEKS:
            continue
        usual = [sum(e[n] for e in before if n < len(e)) * 2 >= _WEEKS for n in range(len(spans))]
        entered = _entered(connection, product_id, spans, at)
        missing = [
            name
            for (name, _, _), is_usual, there in zip(spans, usual, entered, strict=True)
            if is_usual and not there
        ]
        facts = {"day": str(day), "missing": missing}
        value = float(len(missing)) if due else 0.0
        yield Sighting(Subject(code, zh, en, ""), at, value, facts=facts)


def _spans(site: AlertSite, day: dt.date) -> list[tuple[str, dt.datetime, dt.datetime]]:
    shifts = list(site.calendar.shifts_of(day, day + _DAY))
    if not shifts:
        return [(str(day), *site.calendar.span(Period(day, day + _DAY, "day")))]
    return [(shift.shift, *site.calendar.span(shift)) for shift in shifts]


def _entered(
    connection: psycopg.Connection[Any],
    product_id: int,
    spans: list[tuple[str, dt.datetime, dt.datetime]],
    at: dt.datetime,
) -> list[bool]:
    rows = connection.execute(
        "SELECT from_ts, to_ts FROM output WHERE product_id = %s AND from_ts < %s AND to_ts > %s"
        " AND superseded_commit_no IS NULL AND recorded_at <= %s",
        (product_id, max(s[2] for s in spans), min(s[1] for s in spans), at),
    ).fetchall()
    return [any(a < until and b > since for a, b in rows) for _, since, until in spans]
