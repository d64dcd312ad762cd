"""Rules against the latest values: state and event are written in one transaction."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from analytics.alerts.rule_state import RuleState, State, Threshold, advance

__all__ = ["evaluate"]


def evaluate(
    connection: psycopg.Connection[Any], now: dt.datetime, stale_after: dt.timedelta
) -> int:
    """Evaluate every rule that holds now.

    A value that is bad or too old decides nothing: a gateway that hiccups neither fires nor
    resolves a rule.

    Parameters
    ----------
    connection
        Not inside a transaction.
    now
        The instant of the evaluation.
    stale_after
        Age from which a value decides nothing.

    Returns
    -------
    int
        Rules that changed in a way to tell people.
    """
    with connection.transaction():
        # One evaluator at a time; a second process takes turns.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('enpilot.alerts', 0))")
        rules = connection.execute(
            "SELECT i.site_id, r.alert_rule_id, r.comparison, r.threshold, r.hysteresis, r.for_s,"
            " v.value, v.ts, s.state, s.since, s.evaluated_at FROM alert_rule i"
            " JOIN alert_rule_record r USING (alert_rule_id)"
            " JOIN latest_value v USING (series_id)"
            " LEFT JOIN alert_state s USING (alert_rule_id)"
            " WHERE r.superseded_commit_no IS NULL AND r.valid_from <= %(now)s"
            " AND (r.valid_to IS NULL OR %(now)s < r.valid_to) AND v.value IS NOT NULL"
            " AND v.quality & 255 = 0 AND v.ts > %(now)s - %(stale)s"
            " AND (s.evaluated_at IS NULL OR v.ts > s.evaluated_at)",
            {"now": now, "stale": stale_after},
        ).fetchall()
        changed = 0
        for site_id, rule_id, comparison, limit, hysteresis, for_s, value, at, *held in rules:
            state, since, _ = held
            rule = Threshold(
                comparison, float(limit), float(hysteresis), dt.timedelta(seconds=for_s)
            )
            before = RuleState(State(state or "ok"), since or at)
            after, transition = advance(rule, before, value, at)
            connection.execute(
                "INSERT INTO alert_state (alert_rule_id, state, since, value, evaluated_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (alert_rule_id) DO UPDATE SET"
                " state = excluded.state, since = excluded.since, value = excluded.value,"
                " evaluated_at = excluded.evaluated_at",
                (rule_id, after.state, after.since, value, at),
            )
            if transition is not None:
                changed += 1
                connection.execute(
                    "INSERT INTO alert_event (site_id, alert_rule_id, at_ts, from_state, to_state,"
                    " value, threshold) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    (
                        site_id, rule_id, transition.at, transition.before, transition.after,
                        transition.value, limit,
                    ),
                )  # fmt: skip
        return changed
