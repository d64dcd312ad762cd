"""What changes by the second: power, alerts, gateways. Read once for all open pages of a person.

One task for the application reads each site that someone looks at, about once a second, as that
person sees it, and hands the state to the pages that show it; pages have no timers of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg.rows import class_row

from dashboards.portal.access.identity import Identity, acting, acting_as
from dashboards.portal.database import Reader
from enpilot.errors import EnpilotError

__all__ = ["Alert", "Gateway", "LiveState", "LiveTask", "Power", "load_live"]

_log = structlog.get_logger(__name__)
_EVERY_S = 1.0


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """The latest active power of one point."""

    point: str
    name_zh: str
    name_en: str
    at: dt.datetime
    value: float | None  # [unit]
    unit: str
    quality: int  # low byte 0 is good
    period_s: int | None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and the state it is in, for one of the things that it watches."""

    code: str
    subject: str | None = None
    name_zh: str
    name_en: str
    severity: str
    comparison: str
    threshold: float  # [unit]
    unit: str | None
    state: str | None  # None: never evaluated
    since: dt.datetime | None
    value: float | None  # [unit]
    evaluated_at: dt.datetime | None


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """An edge agent and what it last said of itself."""

    agent_id: str
    simulated: bool
    state: str | None  # None: never heard of
    said_at: dt.datetime | None
    held_readings: int | None
    units_down: int | None
    last_received_at: dt.datetime | None
    last_reading_ts: dt.datetime | None
    messages_refused: int


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a site that is shown as of this second."""

    now: dt.datetime
    power: list[Power]
    alerts: list[Alert]
    gateways: list[Gateway]


def load_live(connection: psycopg.Connection[Any], site_id: int) -> LiveState:
    """Read the live state of a site."""
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None  # now() has one row
    power = (
        connection.cursor(row_factory=class_row(Power))
        .execute(
            "SELECT p.code AS point, r.name_zh, r.name_en, v.ts AS at, v.value, v.unit, v.quality,"
            " (SELECT period_s FROM current_epoch e WHERE e.series_id = v.series_id"
            "  AND e.valid_from <= v.ts ORDER BY e.valid_from DESC LIMIT 1) AS period_s"
            " FROM latest_value v JOIN point p USING (point_id)"
            " JOIN LATERAL (SELECT * FROM point_record r WHERE r.point_id = p.point_id"
            "  AND r.superseded_commit_no IS NULL AND r.valid_from <= now()"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE v.site_id = %s AND v.quantity = 'active_power' AND v.channel = 'total'"
            " ORDER BY r.role <> 'boundary', p.code",
            (site_id,),
        )
        .fetchall()
    )
    alerts = (
        connection.cursor(row_factory=class_row(Alert))
        .execute(
            # A rule that watches much is shown by what of it fires; else by one of its states.
            "SELECT a.code, s.subject,"
            " r.name_zh || CASE WHEN s.is_named THEN ' · ' || s.subject_zh ELSE '' END AS name_zh,"
            " r.name_en || CASE WHEN s.is_named THEN ' · ' || s.subject_en ELSE '' END AS name_en,"
            " r.severity, r.comparison,"
            " coalesce(s.threshold, r.threshold::double precision) AS threshold,"
            " coalesce(nullif(s.unit, ''), (SELECT unit FROM current_epoch e"
            "  WHERE e.series_id = r.series_id ORDER BY e.valid_from DESC LIMIT 1)) AS unit,"
            " s.state, s.since, s.value, s.evaluated_at"
            " FROM alert_rule a JOIN alert_rule_record r ON r.alert_rule_id = a.alert_rule_id"
            "  AND r.superseded_commit_no IS NULL AND r.valid_from <= now()"
            "  AND (r.valid_to IS NULL OR r.valid_to > now())"
            " LEFT JOIN LATERAL (SELECT x.*, r.kind <> 'threshold'"
            "   AND x.state IN ('firing', 'acknowledged', 'pending') AS is_named,"
            "   row_number() OVER (ORDER BY x.evaluated_at DESC, x.subject) AS nth,"
            "   bool_or(x.state IN ('firing', 'acknowledged', 'pending'))"
            "   OVER () AS any_open FROM alert_state x WHERE x.alert_rule_id = a.alert_rule_id) s"
            "  ON s.state IN ('firing', 'acknowledged', 'pending') OR NOT s.any_open AND s.nth = 1"
            # Presets are in the list while they fire; a site's own rules always are.
            " WHERE a.site_id = %s"
            "  AND (r.origin = 'plant' OR s.state IN ('firing', 'acknowledged', 'pending'))"
            " ORDER BY array_position(ARRAY['firing', 'acknowledged', 'pending', 'resolved', 'ok'],"
            "  s.state), array_position(ARRAY['fault', 'warning', 'note'], r.severity), s.since,"
            " a.code, s.subject",
            (site_id,),
        )
        .fetchall()
    )
    gateways = (
        connection.cursor(row_factory=class_row(Gateway))
        .execute(
            "SELECT name AS agent_id, simulated, state, said_at, held_readings, units_down,"
            " last_received_at, last_reading_ts, messages_refused FROM visible_intake"
            " WHERE site_id = %s AND kind = 'gateway' ORDER BY name",
            (site_id,),
        )
        .fetchall()
    )
    return LiveState(now=row[0], power=power, alerts=alerts, gateways=gateways)


@dataclass(slots=True, eq=False)
class Watcher:
    """A page that shows a site's live state."""

    site_id: int
    show: Callable[[LiveState], None]
    alive: Callable[[], bool]
    identity: Identity | None


@dataclass(slots=True)
class LiveTask:
    """Reads the live state for every watched site and hands it on, until closed."""

    reader: Reader
    _watchers: list[Watcher] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _down: bool = False

    def watch(
        self, site_id: int, show: Callable[[LiveState], None], alive: Callable[[], bool]
    ) -> None:
        """Call ``show`` with each new state, as the acting person sees it, while ``alive``."""
        self._watchers.append(Watcher(site_id, show, alive, acting()))

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="portal live state")

    async def close(self) -> None:
        """Stop and wait until it has."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                await self._once()
            except (EnpilotError, psycopg.Error) as error:
                if not self._down:  # once when it goes down, once when it comes back
                    _log.warning("live state not readable", error=str(error))
                self._down = True
            else:
                if self._down:
                    _log.info("live state readable again")
                self._down = False
            await asyncio.sleep(max(0.1, _EVERY_S - (loop.time() - begun)))

    async def _once(self) -> None:
        self._watchers = [w for w in self._watchers if w.alive()]
        # Whoever sees the same is read for once; a person's pages see the same.
        seen_alike: dict[tuple[int, int | None], list[Watcher]] = defaultdict(list)
        for watcher in self._watchers:
            person_id = None if watcher.identity is None else watcher.identity.person_id
            seen_alike[watcher.site_id, person_id].append(watcher)
        for (site_id, _), watchers in seen_alike.items():
            with acting_as(watchers[0].identity):
                state = await self.reader.read(lambda c, wanted=site_id: load_live(c, wanted))  # type: ignore[misc]  # a default binds the loop's value
            for watcher in watchers:
                if watcher.alive():
                    watcher.show(state)
