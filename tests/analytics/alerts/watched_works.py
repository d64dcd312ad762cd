"""The test works on a clock: what is heard of gateways and read from meters, round by round."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import psycopg

from analytics.alerts import Evaluator
from analytics.alerts.presets import sync_presets

START = dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC)  # a Monday, 09:00 in Shanghai
SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
STALE = dt.timedelta(minutes=5)
POWER = {
    "quantity": "active_power", "unit": "kW", "register_scale": "1", "side": "primary",
    "counter": None, "modulus": None,
}  # fmt: skip
RULE = """
[[rule]]
code = "high"
name = {zh = "功率过高", en = "Power high"}
point = "main"
quantity = "active_power"
comparison = "above"
threshold = "500"
hysteresis = "20"
for_s = 120
period_s = 30
owner = "shift lead"
runbook = {zh = "查看负荷", en = "Look at the load"}
[[rule.escalation]]
after_min = 20
severity = "fault"
recipients = "managers"
"""

_METERS = """
INSERT INTO point (site_id, code, medium)
    SELECT site_id, 'm' || to_char(n, 'FM000'), 'electricity'
    FROM site, generate_series(1, {meters}) n WHERE site.code = 'works';
INSERT INTO point_record (point_id, name_zh, name_en, role, direction, commissioning, valid_from,
                          author, reason, commit_no)
    SELECT point_id, '表' || code, 'Meter ' || code, 'sub', 'import', 'accepted', '2026-01-01',
           'tester', 'test', 1 FROM point WHERE code ~ '^m[0-9]';
INSERT INTO agent_grant (agent_id, point_id, valid_from, author, commit_no)
    SELECT 'gw1', point_id, '2026-01-01', 'tester', 1 FROM point WHERE code ~ '^m[0-9]';
INSERT INTO series (site_id, point_id, quantity, channel)
    SELECT site_id, point_id, 'active_power', 'total' FROM point WHERE code ~ '^m[0-9]';
INSERT INTO series_epoch (series_id, raw_type, register_scale, unit, period_s, origin, valid_from,
                          author, reason, commit_no)
    SELECT series_id, 'int32', 1, 'kW', 15, 'birth', '2026-01-01', 'tester', 'test', 1
    FROM series JOIN point USING (point_id) WHERE code ~ '^m[0-9]';
INSERT INTO latest (series_id, ts, raw_int, quality, batch)
    SELECT series_id, '{at}', 7, 0, 1
    FROM series JOIN point USING (point_id) WHERE code ~ '^m[0-9]'
"""


class Clock:
    """Rounds of evaluation at instants of a clock, and what is heard between them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.at = START
        self.evaluator = Evaluator(STALE)

    def add_meters(self, number: int) -> None:
        with self.connection.transaction():
            self.connection.execute(_METERS.format(meters=number, at=self.at).encode())
        sync_presets(self.connection, self.at)

    def say(self, state: str) -> None:
        """Let gateway gw1 say that it is online, or its broker that it is offline."""
        self.connection.execute(
            "INSERT INTO agent_status AS a (agent_id, state, since, held_batches, held_readings,"
            " units_down, received_at) VALUES ('gw1', %(state)s, %(at)s, 0, 0, 0, %(at)s)"
            " ON CONFLICT (agent_id) DO UPDATE SET state = excluded.state,"
            " received_at = excluded.received_at,"
            " since = CASE WHEN a.state = excluded.state THEN a.since ELSE excluded.since END",
            {"state": state, "at": self.at},
        )

    def read(self, but: Sequence[str] = ()) -> None:
        """Let every meter be read but some."""
        self.connection.execute(
            "UPDATE latest SET ts = %s WHERE series_id IN (SELECT series_id FROM series"
            " JOIN point USING (point_id) WHERE code <> ALL(%s))",
            (self.at, list(but)),
        )

    def run(
        self, minutes: float, *, heard: bool = True, read: bool = True, but: Sequence[str] = ()
    ) -> None:
        """Let time pass, a round every 15 s."""
        for _ in range(round(minutes * 4)):
            self.at += 15 * SECOND
            if heard:
                self.say("online")
            if heard and read:
                self.read(but)
            assert self.evaluator.run(self.connection, self.at) is not None

    def told(self) -> list[tuple[str, str, int]]:
        """Return kind, rule and number of subjects of each message so far."""
        return self.connection.execute(
            "SELECT m.kind, r.code, (m.facts ->> 'group_size')::int FROM alert_message m"
            " JOIN alert_rule r USING (alert_rule_id) ORDER BY message_id"
        ).fetchall()
