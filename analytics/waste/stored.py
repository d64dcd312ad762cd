"""Waste of a site in the database: found once a finished day, kept while it is found again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import psycopg

from analytics.accounting.holidays import load_holidays
from analytics.accounting.site_calendar import midnight
from analytics.accounting.site_facts import SiteFacts
from analytics.cost.cost_facts import load_cost_facts
from analytics.errors import NoSuchWasteError
from analytics.intervals.finding_rows import FindingRow, keep_findings
from analytics.waste.declared import load_waste_facts
from analytics.waste.detect import BaseLoadRow, base_loads, find_waste
from analytics.waste.found import METER_KINDS, PricedWaste, Waste, WasteKind, rank
from analytics.waste.job import Job
from analytics.waste.prices import Priced, QuarterPrices, coal_equivalent
from analytics.waste.site_loads import SiteLoads
from analytics.waste.weekly_profile import HISTORY_DAYS
from enpilot.database import draw_commit_no

__all__ = [
    "DECISIONS",
    "Decision",
    "FoundWaste",
    "decide",
    "forget_waste_figures",
    "look_for_waste",
    "write_waste_figures",
]

# What is judged at a time: four whole weeks, so that each weekday weighs the same.
JUDGED_DAYS: Final = 28
# The same weekdays of the same season a year before.
_A_YEAR_BEFORE: Final = dt.timedelta(weeks=52)
_ONE_DAY: Final = dt.timedelta(days=1)
# A doubt about a meter is a finding too: the portal shows it where it shows the point.
_DOUBTS: Final = sorted({*METER_KINDS, WasteKind.RATIO_OUT_OF_RANGE})

Decision: TypeAlias = Literal["open", "planned", "done", "not_waste"]
DECISIONS: Final[tuple[str, ...]] = get_args(Decision)


class _Span(Protocol):
    """Local days [since, until) that a change touches, and the first that is not finished."""

    @property
    def since(self) -> dt.date: ...
    @property
    def until(self) -> dt.date: ...
    @property
    def complete_until(self) -> dt.date: ...


@dataclass(frozen=True, slots=True)
class FoundWaste:
    """What was found at a site over local days [since, until), ranked, and its base loads."""

    since: dt.date
    until: dt.date
    ranked: Sequence[PricedWaste]
    base_loads: Sequence[BaseLoadRow]


def look_for_waste(
    connection: psycopg.Connection[Any], facts: SiteFacts, since: dt.date, until: dt.date
) -> FoundWaste:
    """Look for waste in local days [since, until); nothing is written.

    Parameters
    ----------
    connection
        To the database.
    facts
        Of the site.
    since, until
        Finished local days; four weeks or more for most detectors.

    Returns
    -------
    FoundWaste
        Priced and ranked (F38).
    """
    declared = load_waste_facts(connection, facts.site_id)
    calendar = load_holidays(connection, facts.site_id, facts.zone)
    loads = SiteLoads(
        connection, facts, declared, calendar, since - dt.timedelta(days=HISTORY_DAYS), until
    )
    before = SiteLoads(
        connection, facts, declared, calendar, since - _A_YEAR_BEFORE, until - _A_YEAR_BEFORE
    )
    job = Job(loads, before, declared, facts.calendars["production"], since, until)
    costs = load_cost_facts(connection, facts.site_id, facts.zone)
    prices = QuarterPrices(costs, declared, loads.quarters)

    def priced(waste: Waste) -> PricedWaste:
        # What is not known is priced like nothing and withheld with it.
        amount = waste.amount
        if amount is None or waste.by_quarter is None:
            withheld = Priced(None, waste.withheld, "", verified=False)
            return PricedWaste(waste, withheld, withheld)
        return PricedWaste(
            waste,
            coal_equivalent(amount, waste.medium, waste.unit, declared.schemes, waste.since),
            prices.yuan(waste.point_id, waste.medium, waste.unit, waste.by_quarter),
        )

    found = rank([priced(waste) for waste in find_waste(job)])
    return FoundWaste(since, until, found, base_loads(job))


def write_waste_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: _Span, version: int
) -> int:
    """Look for waste in the last four finished weeks, if a span touches them.

    Parameters
    ----------
    connection
        In the site's transaction.
    facts
        Of the site.
    span
        What a change touches. The same span is looked at once for each last finished day: what
        comes late is found by the next day's look, since that takes in all four weeks again.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    until = span.complete_until
    since = until - dt.timedelta(days=JUDGED_DAYS)
    # A day that has just become complete is news although the span's other days are not.
    low, high = max(span.since, since), min(span.until, until)
    if low >= high or not _is_first(connection, facts.site_id, until, (low, high), version):
        return 0
    found = look_for_waste(connection, facts, since, until)
    rows = _keep_base_loads(connection, facts.site_id, found, version)
    window = (midnight(since, facts.zone), midnight(until, facts.zone))
    rows += _keep_waste(connection, facts.site_id, found.ranked, window, version)
    _keep_doubts(connection, facts.site_id, window[1], version)
    return rows


def forget_waste_figures(connection: psycopg.Connection[Any], site_id: int, version: int) -> None:
    """Withdraw what was found at a site whose data were all retracted.

    Parameters
    ----------
    connection
        In the site's transaction.
    site_id
        The site.
    version
        Data version that withdraws it.
    """
    connection.execute("DELETE FROM base_load WHERE site_id = %s", (site_id,))
    connection.execute("DELETE FROM waste_run WHERE site_id = %s", (site_id,))
    connection.execute(
        "UPDATE waste_finding SET withdrawn_version = %s WHERE site_id = %s"
        " AND withdrawn_version IS NULL",
        (version, site_id),
    )
    _keep_doubts(connection, site_id, dt.datetime.now(dt.UTC), version)


def _is_first(
    connection: psycopg.Connection[Any],
    site_id: int,
    until: dt.date,
    span: tuple[dt.date, dt.date],
    version: int,
) -> bool:
    return (
        connection.execute(
            "INSERT INTO waste_run (site_id, finished_until, span_from, span_to, data_version)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (site_id, until, *span, version),
        ).rowcount
        == 1
    )


def _keep_base_loads(
    connection: psycopg.Connection[Any], site_id: int, found: FoundWaste, version: int
) -> int:
    connection.execute("DELETE FROM base_load WHERE site_id = %s", (site_id,))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO base_load (site_id, point_id, hours, period_from, period_to, rate, low,"
            " high, share, rate_before, rise, rise_p, days, unit, simulated, data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    site_id, r.point_id, r.hours, found.since, found.until, r.load.rate, r.load.low,
                    r.load.high, r.load.share, r.rise and r.rise.before, r.rise and r.rise.rate,
                    r.rise and r.rise.p, r.load.days, f"{r.unit}/h", r.simulated, version,
                )
                for r in found.base_loads
            ],
        )  # fmt: skip
    return len(found.base_loads)


@dataclass(frozen=True, slots=True)
class _Row:
    waste_id: int
    first_seen: dt.datetime
    measured_from: dt.datetime
    measured_to: dt.datetime
    amount: float | None


def _keep_waste(
    connection: psycopg.Connection[Any],
    site_id: int,
    found: Sequence[PricedWaste],
    window: tuple[dt.datetime, dt.datetime],
    version: int,
) -> int:
    """Let a finding grow that is found again, insert a new one, withdraw what is gone.

    The same waste is of the same kind, at the same point, about the same subject, at a time that
    meets the other. What once happened before the window stays as it was found.
    """
    held = _held(connection, site_id)
    kept: set[int] = set()
    for one in found:
        w = one.waste
        same = next(
            (
                row
                for row in held.get((w.kind, w.point_id, w.subject, w.standing), ())
                if row.waste_id not in kept
                and row.measured_from <= w.until
                and w.since <= row.measured_to + _ONE_DAY
            ),
            None,
        )
        if same is None:
            kept.add(_insert(connection, site_id, one, version))
            continue
        kept.add(same.waste_id)
        if not w.standing and same.measured_from < w.since:
            # Its beginning lies before what was looked at: it has grown, or was told better then.
            if (w.amount or 0.0) > (same.amount or 0.0) or w.until > same.measured_to:
                _update(connection, same, one, version, since=same.measured_from)
            continue
        _update(connection, same, one, version, since=w.since)
    gone = [
        row.waste_id
        for (_, _, _, standing), rows in held.items()
        for row in rows
        if row.waste_id not in kept and (standing or row.measured_to > window[0])
    ]
    connection.execute(
        "UPDATE waste_finding SET withdrawn_version = %s WHERE waste_id = ANY(%s)", (version, gone)
    )
    return len(found)


def _held(
    connection: psycopg.Connection[Any], site_id: int
) -> dict[tuple[str, int, str, bool], list[_Row]]:
    held: dict[tuple[str, int, str, bool], list[_Row]] = {}
    for kind, point_id, subject, standing, *row in connection.execute(
        "SELECT kind, point_id, subject, standing, waste_id, first_seen, measured_from,"
        " measured_to, amount FROM waste_finding WHERE site_id = %s AND withdrawn_version IS NULL"
        " ORDER BY measured_from, waste_id",
        (site_id,),
    ):
        held.setdefault((kind, point_id, subject, standing), []).append(_Row(*row))
    return held


_MEASURED: Final = (
    "measured_from", "measured_to", "amount", "unit", "withheld_code", "tce", "tce_withheld_code",
    "yuan", "yuan_withheld_code", "amount_a_year", "tce_a_year", "yuan_a_year", "evidence",
    "simulated", "verified", "data_version",
)  # fmt: skip


def _measured(one: PricedWaste, since: dt.datetime, version: int) -> list[Any]:
    w = one.waste
    evidence = {
        **w.evidence, "days_measured": round(w.days, 3),
        "scheme": one.tce.source, "price": one.yuan.source,
    }  # fmt: skip
    return [
        since, w.until, w.amount, w.unit, w.withheld, one.tce.value, one.tce.withheld,
        _fen(one.yuan.value), one.yuan.withheld, one.a_year(w.amount), one.a_year(one.tce.value),
        _fen(one.a_year(one.yuan.value)), json.dumps(evidence), w.simulated,
        one.tce.verified and one.yuan.verified, version,
    ]  # fmt: skip


def _fen(yuan: float | None) -> Decimal | None:
    return None if yuan is None else Decimal(repr(yuan)).quantize(Decimal("0.01"))


def _insert(
    connection: psycopg.Connection[Any], site_id: int, one: PricedWaste, version: int
) -> int:
    w = one.waste
    columns = ("site_id", "point_id", "kind", "subject", "first_seen", "standing", *_MEASURED)
    row = connection.execute(
        f"INSERT INTO waste_finding ({', '.join(columns)})"
        f" VALUES ({', '.join(['%s'] * len(columns))}) RETURNING waste_id",
        [
            site_id, w.point_id, w.kind, w.subject, w.since, w.standing,
            *_measured(one, w.since, version),
        ],
    ).fetchone()  # fmt: skip
    assert row is not None  # an insert returns its row
    return int(row[0])


def _update(
    connection: psycopg.Connection[Any],
    row: _Row,
    one: PricedWaste,
    version: int,
    *,
    since: dt.datetime,
) -> None:
    connection.execute(
        "UPDATE waste_finding SET computed_at = now(), first_seen = least(first_seen, %s),"
        f" {', '.join(f'{c} = %s' for c in _MEASURED)} WHERE waste_id = %s",
        [one.waste.since, *_measured(one, since, version), row.waste_id],
    )


def _keep_doubts(
    connection: psycopg.Connection[Any], site_id: int, until: dt.datetime, version: int
) -> None:
    """Make findings of the meters in doubt exactly those that hold."""
    found = [
        FindingRow(kind, first_seen, to_ts, "warning", evidence, point_id, subject=subject)
        for kind, point_id, subject, first_seen, to_ts, evidence in connection.execute(
            "SELECT kind, point_id, subject, first_seen, measured_to, evidence FROM waste_finding"
            " WHERE site_id = %s AND withdrawn_version IS NULL AND kind = ANY(%s)"
            " ORDER BY waste_id",
            (site_id, _DOUBTS),
        )
    ]
    ever = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), until)
    keep_findings(connection, site_id, _DOUBTS, ever, found, version)


def decide(
    connection: psycopg.Connection[Any],
    waste_id: int,
    state: Decision,
    author: str,
    reason: str,
) -> None:
    """Record what becomes of a finding; an earlier decision is superseded, not edited.

    Parameters
    ----------
    connection
        Not inside a transaction.
    waste_id
        The finding.
    state
        "open", "planned", "done" or "not_waste".
    author, reason
        Who says so, and why.

    Raises
    ------
    NoSuchWasteError
        If there is no such finding.
    """
    with connection.transaction():
        known = connection.execute(
            "SELECT 1 FROM waste_finding WHERE waste_id = %s", (waste_id,)
        ).fetchone()
        if known is None:
            raise NoSuchWasteError(f"no waste {waste_id}: see `enpilot analyze waste`")
        commit_no = draw_commit_no(connection)
        connection.execute(
            "UPDATE waste_decision SET superseded_commit_no = %s WHERE waste_id = %s"
            " AND superseded_commit_no IS NULL",
            (commit_no, waste_id),
        )
        connection.execute(
            "INSERT INTO waste_decision (waste_id, state, author, reason, commit_no)"
            " VALUES (%s, %s, %s, %s, %s)",
            (waste_id, state, author, reason, commit_no),
        )
