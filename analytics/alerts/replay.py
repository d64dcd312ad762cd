"""Back-test: when a rule would have fired over the past, and for how long (F38).

The same evaluation as of the present: the same sources, the same states, hours and maintenance.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from analytics.alerts.evaluate import due_instants
from analytics.alerts.quiet import is_muted, load_mutes
from analytics.alerts.rule_state import Observation, RuleState, State, advance
from analytics.alerts.rules import Rule, load_alert_site, load_rules
from analytics.alerts.sources import STREAMS, see
from analytics.errors import NoSuchAlertError

__all__ = ["Firing", "Replay", "SeenSubject", "replay"]

# Due instants that are looked at; of a longer span every n-th is.
_MOST_DUE: Final = 5000
# Points of a chart for each subject: of more, the highest and lowest of each stretch.
_MOST_POINTS: Final = 2000


@dataclass(frozen=True, slots=True)
class Firing:
    """A time in which a rule would have fired; ``until`` is None if it went on."""

    subject: str
    since: dt.datetime
    until: dt.datetime | None
    worst: float | None


@dataclass(frozen=True, slots=True)
class SeenSubject:
    """What was seen of a subject, for a chart: instants, values and limits [unit]."""

    subject: str
    name_zh: str
    name_en: str
    unit: str
    at: tuple[dt.datetime, ...]
    value: tuple[float | None, ...]
    limit: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a rule would have done over [since, until].

    Attributes
    ----------
    step_s
        Distance of the instants that were looked at [s]; 0 of readings, which all are.
    firings
        In the order in which they began.
    seen
        What was seen, by subject.
    """

    site: str
    rule: str
    threshold: float
    since: dt.datetime
    until: dt.datetime
    step_s: float
    firings: tuple[Firing, ...]
    seen: tuple[SeenSubject, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, instants in ISO 8601."""

        def plain(value: Any) -> Any:
            if isinstance(value, dt.datetime):
                return value.astimezone(dt.UTC).isoformat()
            if isinstance(value, dict):
                return {k: plain(v) for k, v in value.items()}
            return [plain(v) for v in value] if isinstance(value, list | tuple) else value

        document: dict[str, Any] = plain(dataclasses.asdict(self))
        return document


def replay(
    connection: psycopg.Connection[Any],
    site: str,
    rule: str,
    since: dt.datetime,
    until: dt.datetime,
    *,
    threshold: float | None = None,
) -> Replay:
    """Tell when a rule would have fired.

    Parameters
    ----------
    connection
        To the database; nothing is written.
    site, rule
        Their codes; the rule as it is now.
    since, until
        The span.
    threshold
        Another limit to try [unit of the rule].

    Returns
    -------
    Replay
        With what was seen. Figures and findings are those that stand now.

    Raises
    ------
    NoSuchAlertError
        If there is no such site or rule, or the rule watches what is known of the present only.
    """
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise NoSuchAlertError(f"no site {site!r}")
    now = dt.datetime.now(dt.UTC)
    found = next((r for r in load_rules(connection, now, row[0]) if r.code == rule), None)
    if found is None:
        raise NoSuchAlertError(f"site {site!r} has no rule {rule!r}: see `enpilot alerts list`")
    if found.kind == "gateway":
        raise NoSuchAlertError(
            f"rule {rule!r} cannot be replayed: only when a gateway was heard of last is kept"
        )
    if since >= until:
        raise NoSuchAlertError(f"the span ends at {until} before it begins at {since}")
    if threshold is not None:
        found = replace(found, threshold=replace(found.threshold, limit=threshold))
    return _replay(connection, site, found, since, until)


def _replay(
    connection: psycopg.Connection[Any],
    site_code: str,
    rule: Rule,
    since: dt.datetime,
    until: dt.datetime,
) -> Replay:
    site = load_alert_site(connection, rule.site_id)
    mutes = load_mutes(connection, rule.site_id, since)
    n = max(1, -(-((until - since) // rule.period) // _MOST_DUE))
    step = rule.period * n
    states: dict[str, RuleState] = {}
    seen: dict[str, SeenSubject] = {}
    points: dict[str, list[tuple[dt.datetime, float | None, float]]] = {}
    open_: dict[str, Firing] = {}
    closed: list[Firing] = []
    for due, sightings in see(
        connection, site, rule, since, due_instants(since, until, step), until
    ):
        there = {s.subject.code for s in sightings}
        for code in [c for c in open_ if due is not None and c not in there]:
            closed.append(replace(open_.pop(code), until=due))
            states[code] = RuleState(State.RESOLVED, due or until, None, states[code].fired)
        for s in sightings:
            code = s.subject.code
            limit = rule.threshold.limit if s.limit is None else s.limit
            muted = is_muted(site, rule, mutes, code, s.at)
            held = states.get(code) or RuleState(State.OK, s.at)
            states[code], change = advance(
                rule.threshold, held, Observation(s.at, s.value, s.limit, muted)
            )
            seen.setdefault(
                code,
                SeenSubject(code, s.subject.name_zh, s.subject.name_en, s.subject.unit, (), (), ()),
            )
            points.setdefault(code, []).append((s.at, s.value, limit))
            if change is not None and change.after is State.FIRING:
                open_[code] = Firing(code, s.at, None, s.value)
            elif change is not None:
                closed.append(replace(open_.pop(code), until=s.at))
            elif code in open_ and s.value is not None:
                open_[code] = _worse(rule, open_[code], s.value)
    firings = sorted([*closed, *open_.values()], key=lambda f: (f.since, f.subject))
    return Replay(
        site_code, rule.code, rule.threshold.limit, since, until,
        0.0 if rule.kind in STREAMS else step.total_seconds(), tuple(firings),
        tuple(_charted(seen[code], points[code]) for code in seen),
    )  # fmt: skip


def _worse(rule: Rule, firing: Firing, value: float) -> Firing:
    if firing.worst is None:
        return replace(firing, worst=value)
    choose = max if rule.threshold.comparison == "above" else min
    return replace(firing, worst=choose(firing.worst, value))


def _charted(
    subject: SeenSubject, points: list[tuple[dt.datetime, float | None, float]]
) -> SeenSubject:
    if len(points) > _MOST_POINTS:
        width = -(-2 * len(points) // _MOST_POINTS)
        kept = []
        for low in range(0, len(points), width):
            chunk = points[low : low + width]
            known = [p for p in chunk if p[1] is not None]
            ends = {min(known, key=_value), max(known, key=_value)} if known else {chunk[0]}
            kept += sorted(ends, key=lambda p: p[0])
        points = kept
    at, value, limit = zip(*points, strict=True)
    return replace(subject, at=at, value=value, limit=limit)


def _value(point: tuple[dt.datetime, float | None, float]) -> float:
    return 0.0 if point[1] is None else point[1]
