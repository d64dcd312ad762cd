"""Quality of a site's months: numbers from the database, judged and written."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg

from analytics.accounting.site_calendar import Period, midnight, months_of
from analytics.accounting.site_facts import SiteFacts, class_share
from analytics.accounting.withheld import WithheldCode
from analytics.quality.boundary_timing import load_boundary_timing
from analytics.quality.criteria import Outcome, QualityIndex, judge, load_rules, worst
from analytics.quality.fitting import Fitting, accuracy_margin, edition_on, fitting_rates

__all__ = ["MonthQuality", "forget_quality_figures", "month_quality", "write_quality_figures"]

_DAY: Final = dt.timedelta(days=1)
_MARGIN_DIGITS: Final = 9


class _Span(Protocol):
    """Local days [since, until) that a change touches, and the first that is not finished."""

    @property
    def since(self) -> dt.date: ...
    @property
    def until(self) -> dt.date: ...
    @property
    def complete_until(self) -> dt.date: ...


@dataclass(frozen=True, slots=True)
class MonthQuality:
    """How good the data of a month are, of each accepted point and of the site.

    Attributes
    ----------
    month
        Local days [first, after).
    site
        Judged by its worst boundary point, and by what only a site has.
    points
        By code of the point.
    fitting
        Fitting rates by medium and level.
    edition
        Of GB 17167 in force at the month's end; "" if none is known.
    simulated
        Some reading came from a simulated source.
    """

    month: Period
    site: QualityIndex
    points: Mapping[str, QualityIndex]
    fitting: Sequence[Fitting]
    edition: str
    simulated: bool


@dataclass(slots=True)
class _Energy:
    """Rows of energy_period of a point in a month, over its registers."""

    amount: float = 0.0
    day_sum: float = 0.0
    is_whole: bool = True
    completeness: float | None = None
    coverage: float | None = None
    estimated: float | None = None
    simulated: bool = False


def month_quality(
    connection: psycopg.Connection[Any], facts: SiteFacts, month: Period
) -> MonthQuality:
    """Judge the data of a month; nothing is written.

    Parameters
    ----------
    connection
        To the database; the month's energy is computed.
    facts
        Of the site.
    month
        A calendar month, or what of it is finished.

    Returns
    -------
    MonthQuality
        What nobody can tell is not known, and named.
    """
    rules = load_rules()
    edition = edition_on(month.after - _DAY)
    # Of a running month the figure reaches further than its finished days.
    is_whole = month.after.day == 1
    energy = _energy(connection, facts.site_id, month)
    ids: dict[str, int] = dict(
        connection.execute(
            "SELECT code, point_id FROM point WHERE site_id = %s", (facts.site_id,)
        ).fetchall()
    )
    series: dict[str, list[int]] = {}
    since, until = midnight(month.first, facts.zone), midnight(month.after, facts.zone)
    for code, parts in facts.metered.items():
        held = [
            p.series_id
            for p in parts
            if code in ids and p.valid_from < until and (p.valid_to is None or since < p.valid_to)
        ]
        if held:
            series[code] = held
    midnights = [
        midnight(month.first + n * _DAY, facts.zone)
        for n in range((month.after - month.first).days + 1)
    ]
    timing = load_boundary_timing(
        connection, [s for own in series.values() for s in own], midnights
    )
    calibrated = _calibrated_share(connection, facts.site_id, month)
    classes = _classes(connection, facts.site_id, until)
    findings = _open_findings(connection, facts.site_id, since, until)
    values: dict[str, dict[str, float | None]] = {}
    for code, own in series.items():
        e = energy.get(ids[code])
        near = [timing[s] for s in own]
        held_clocks = [t.clock_held_share for t in near if t.clock_held_share is not None]
        # Nobody said how often a register that is read by hand should be read.
        scheduled = e is not None and e.completeness is not None
        medium = facts.metered[code][0].medium
        values[code] = {
            "reporting_completeness": None if e is None else e.completeness,
            "coverage": None if e is None else e.coverage,
            "estimated_share": None if e is None else e.estimated,
            "day_sum_deviation": _deviation(e) if e is not None and is_whole else None,
            "day_boundary_s": max(t.day_s for t in near) if scheduled else None,
            "month_boundary_s": None if e is None else max(t.month_s for t in near),
            "clock_held_share": max(held_clocks) if held_clocks else None,
            "calibrated_share": calibrated.get(ids[code]),
            "accuracy_margin": _rounded(accuracy_margin(medium, classes.get(ids[code]), edition)),
            "open_findings": float(findings.get(ids[code], 0)) if e is not None else None,
        }
    points = {
        code: judge(rules.of("point"), of_point, rules.least_known_share)
        for code, of_point in values.items()
    }
    boundary = sorted({p.code for p in facts.points if p.code in values})
    fitting = fitting_rates(_levels(connection, facts.site_id, until), edition)
    margins = [f.margin for f in fitting if f.margin is not None]
    of_site = {
        r.code: worst(r, [values[code][r.code] for code in boundary]) for r in rules.of("point")
    }
    of_site["declared_deviation"] = (
        _declared_deviation(facts, month, energy, ids) if is_whole else None
    )
    of_site["fitting_margin"] = _rounded(min(margins)) if margins else None
    return MonthQuality(
        month,
        judge(rules.of("site"), of_site, rules.least_known_share),
        points,
        fitting,
        "" if edition is None else edition.edition,
        any(e.simulated for e in energy.values()),
    )


def _rounded(value: float | None) -> float | None:
    """Return a difference of decimal fractions without the noise of binary ones."""
    return None if value is None else round(value, _MARGIN_DIGITS)


def _deviation(energy: _Energy) -> float | None:
    """Return by how much the day figures differ from the month's."""
    if not energy.is_whole:
        return None
    if energy.amount == 0:
        return 0.0 if energy.day_sum == 0 else None
    return abs(energy.day_sum - energy.amount) / abs(energy.amount)


def _energy(connection: psycopg.Connection[Any], site_id: int, month: Period) -> dict[int, _Energy]:
    found: dict[int, _Energy] = defaultdict(_Energy)
    for point_id, kind, amount, completeness, coverage, estimated, simulated in connection.execute(
        "SELECT point_id, period_kind, amount, reporting_completeness, coverage, estimated_share,"
        " simulated FROM energy_period WHERE site_id = %s AND period_from >= %s"
        " AND period_from < %s ORDER BY point_id, period_kind, period_from",
        (site_id, month.first, month.after),
    ):
        own = found[point_id]
        own.simulated |= simulated
        if kind == "day":
            own.day_sum += amount or 0.0
            continue
        own.amount += amount or 0.0
        own.is_whole &= amount is not None
        own.completeness = _least(own.completeness, completeness)
        own.coverage = _least(own.coverage, coverage)
        own.estimated = estimated if own.estimated is None else max(own.estimated, estimated or 0.0)
    return dict(found)


def _least(one: float | None, other: float | None) -> float | None:
    known = [v for v in (one, other) if v is not None]
    return min(known) if known else None


def _calibrated_share(
    connection: psycopg.Connection[Any], site_id: int, month: Period
) -> dict[int, float]:
    """Return by point the share of the days on which a calibration of its device held."""
    found: dict[int, float] = {
        point_id: float(share)
        for point_id, share in connection.execute(
            "SELECT i.point_id, avg(CASE WHEN EXISTS (SELECT FROM calibration c"
            "  WHERE c.device_id = i.device_id AND c.superseded_commit_no IS NULL"
            "  AND c.calibrated_on <= d::date AND d::date <= c.due_on) THEN 1 ELSE 0 END)"
            " FROM installation i JOIN point p USING (point_id) JOIN generate_series(%s::date,"
            " %s::date - 1, interval '1 day') d ON i.valid_from < d + interval '1 day'"
            " AND (i.valid_to IS NULL OR d < i.valid_to) WHERE p.site_id = %s"
            " AND i.superseded_commit_no IS NULL"
            # Of a device that nobody said anything of, nothing is known.
            " AND EXISTS (SELECT FROM calibration c WHERE c.device_id = i.device_id"
            "  AND c.superseded_commit_no IS NULL AND c.due_on IS NOT NULL)"
            " GROUP BY i.point_id",
            (month.first, month.after, site_id),
        )
    }
    return found


def _classes(
    connection: psycopg.Connection[Any], site_id: int, at: dt.datetime
) -> dict[int, float]:
    """Return by point the class of the meter that is there at an instant [%]."""
    found = {}
    for point_id, text in connection.execute(
        "SELECT i.point_id, d.accuracy_class FROM installation i JOIN device d USING (device_id)"
        " WHERE d.site_id = %s AND i.superseded_commit_no IS NULL AND i.valid_from < %s"
        " AND (i.valid_to IS NULL OR i.valid_to >= %s) ORDER BY i.valid_from",
        (site_id, at, at),
    ):
        share = class_share(text)
        if share is not None:
            found[point_id] = 100 * share
    return found


def _open_findings(
    connection: psycopg.Connection[Any], site_id: int, since: dt.datetime, until: dt.datetime
) -> dict[int, int]:
    return dict(
        connection.execute(
            "SELECT coalesce(f.point_id, s.point_id), count(*) FROM finding f"
            " LEFT JOIN series s ON s.series_id = f.series_id WHERE f.site_id = %s"
            " AND f.withdrawn_version IS NULL AND f.severity IN ('warning', 'fault')"
            " AND f.at_ts < %s AND coalesce(f.to_ts, f.at_ts) >= %s"
            " AND coalesce(f.point_id, s.point_id) IS NOT NULL GROUP BY 1",
            (site_id, until, since),
        ).fetchall()
    )


def _levels(
    connection: psycopg.Connection[Any], site_id: int, at: dt.datetime
) -> list[tuple[str, int, bool]]:
    return [
        (medium, level, commissioning == "accepted")
        for medium, level, commissioning in connection.execute(
            "SELECT p.medium, r.metering_level, r.commissioning FROM point p"
            " JOIN point_record r USING (point_id) WHERE p.site_id = %s"
            " AND r.superseded_commit_no IS NULL AND r.metering_level IS NOT NULL"
            " AND r.valid_from < %s AND (r.valid_to IS NULL OR r.valid_to >= %s)"
            " ORDER BY p.point_id",
            (site_id, at, at),
        )
    ]


def _declared_deviation(
    facts: SiteFacts,
    month: Period,
    energy: Mapping[int, _Energy],
    ids: Mapping[str, int],
) -> float | None:
    """Return the largest difference of metered from declared purchases, over the media of both.

    Only entries that lie in the month tell of it (F5); both stand side by side (F15).
    """
    low, high = midnight(month.first, facts.zone), midnight(month.after, facts.zone)
    declared: dict[tuple[str, str], float] = defaultdict(float)
    for entry in facts.ledger:
        if entry.kind == "purchase" and low <= entry.since and entry.until <= high:
            declared[entry.medium, entry.unit] += float(entry.quantity)
    metered: dict[tuple[str, str], float] = defaultdict(float)
    for code, point in {p.code: p for p in facts.points if not p.generation}.items():
        own = energy.get(ids.get(code, 0))
        if own is not None and own.is_whole:
            metered[point.medium, point.unit] += float(point.sign) * own.amount
    both = [
        abs(metered[key] - amount) / amount
        for key, amount in declared.items()
        if key in metered and amount > 0
    ]
    return max(both) if both else None


def write_quality_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, span: _Span, version: int
) -> int:
    """Judge and write the months that a span touches, up to the last finished day.

    Parameters
    ----------
    connection
        In the site's transaction, after the month's energy and findings.
    facts
        Of the site.
    span
        What a change touches.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    until = min(span.until, span.complete_until)
    if span.since >= until:
        return 0  # of a running day nothing is judged yet
    first = span.since.replace(day=1)
    connection.execute(
        "DELETE FROM quality_period WHERE site_id = %s AND period_from >= %s AND period_from < %s",
        (facts.site_id, first, span.until),
    )
    ids: dict[str, int] = dict(
        connection.execute(
            "SELECT code, point_id FROM point WHERE site_id = %s", (facts.site_id,)
        ).fetchall()
    )
    rows: list[tuple[Any, ...]] = []
    for month in months_of(first, until):
        found = month_quality(connection, facts, month.cut(span.complete_until))
        provisional = span.complete_until < month.after
        judged = [(None, found.site), *((ids[code], q) for code, q in found.points.items())]
        rows += [
            (
                facts.site_id, point_id, month.first, month.after, q.index, q.known_share,
                q.codes(Outcome.FAILED), q.codes(Outcome.NOT_KNOWN), _document(q), provisional,
                found.simulated, WithheldCode.COVERAGE_LOW if q.index is None else None, version,
            )
            for point_id, q in judged
        ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO quality_period (site_id, point_id, period_from, period_to, index_share,"
            " known_share, failed, not_known, criteria, provisional, simulated, withheld_code,"
            " data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
    return len(rows)


def forget_quality_figures(connection: psycopg.Connection[Any], site_id: int) -> None:
    """Delete the quality of a site whose data were all retracted.

    Parameters
    ----------
    connection
        In the site's transaction.
    site_id
        The site.
    """
    connection.execute("DELETE FROM quality_period WHERE site_id = %s", (site_id,))


def _document(quality: QualityIndex) -> str:
    return json.dumps(
        [
            {
                "code": c.rule.code, "value": c.value, "outcome": c.outcome, "kind": c.rule.kind,
                "limit": c.rule.limit, "unit": c.rule.unit, "weight": c.rule.weight,
                "verified": c.rule.verified,
            }
            for c in quality.criteria
        ]
    )  # fmt: skip
