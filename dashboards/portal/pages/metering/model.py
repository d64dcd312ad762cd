"""What the page on data intake shows, out of guarded views."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.findings import FLOW_CODES
from dashboards.portal.gateways import condition
from dashboards.portal.site import Site

__all__ = ["FlowFinding", "Intake", "Metered", "Origin", "Refusals", "Worker", "load_intake"]

_SHOWN_FINDINGS = 12
_LATE_S = 120.0  # outbox, broker and group commit take seconds
_LATE_PERIODS = 3.0


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway or another publisher, what it last said, and what was counted of it.

    Counters are None for one that has never sent anything.
    """

    name: str
    kind: str  # gateway, mqtt, rest
    simulated: bool
    due_s: float | None  # how often a reading is due [s]; None: nobody has said yet
    state: str | None  # of a gateway: online, offline; None: never heard of
    since: dt.datetime | None  # its start
    said_at: dt.datetime | None
    held_batches: int | None
    held_readings: int | None
    oldest_held_ts: dt.datetime | None
    units_down: int | None
    batches_received: int | None
    batches_stored: int | None
    batches_duplicated: int | None
    batches_refused: int | None
    births_needed: int | None
    readings_stored: int | None
    readings_duplicated: int | None
    readings_refused: int | None
    last_received_at: dt.datetime | None
    last_reading_ts: dt.datetime | None
    reading_lag_ms: int | None
    sent_lag_ms: int | None
    group_batches: int | None
    group_readings: int | None
    messages_refused: int
    batches_lost: int

    @property
    def gateway(self) -> bool:
        """Whether it is an edge agent, which says when it comes and goes."""
        return self.kind == "gateway"

    def late_s(self, now: dt.datetime) -> float | None:
        """Return the age [s] of its newest reading if that is too old, else None."""
        if self.last_reading_ts is None or self.due_s is None:
            return None
        old_s = (now - self.last_reading_ts).total_seconds()
        return old_s if old_s > max(_LATE_S, _LATE_PERIODS * self.due_s) else None


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """An ingest worker and its last group."""

    number: int
    started_at: dt.datetime
    last_commit_at: dt.datetime
    groups: int
    batches: int
    readings: int
    group_batches: int
    group_readings: int
    commit_ms: float
    direct_compress: int


class Refusals(msgspec.Struct, frozen=True, kw_only=True):
    """What was refused of one origin for one reason; ``kept`` payloads can be tried again."""

    name: str
    code: str
    messages: int
    last_at: dt.datetime
    sentence: str | None
    kept: int


class FlowFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding about how data came."""

    code: str
    severity: str
    at: dt.datetime
    point_zh: str | None
    point_en: str | None
    evidence: dict[str, Any]


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """A point with the device that stands there now and its newest reading."""

    code: str
    name_zh: str
    name_en: str
    medium: str
    commissioning: str
    device: str | None
    maker: str | None
    model: str | None
    serial: str | None
    ct_ratio: float | None
    pt_ratio: float | None
    simulated: bool
    registers: int
    at: dt.datetime | None
    bad: int  # registers whose newest reading is not good
    period_s: int | None

    def late(self, now: dt.datetime) -> bool:
        """Whether its newest reading is too old."""
        if self.at is None or self.period_s is None:
            return False
        return (now - self.at).total_seconds() > max(_LATE_S, _LATE_PERIODS * self.period_s)


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page."""

    site: Site
    origins: list[Origin]
    meters: list[Metered]
    workers: list[Worker]
    refusals: list[Refusals]
    findings: list[FlowFinding]  # the newest
    findings_more: int

    def gateways(self, *conditions: str) -> list[Origin]:
        """Return the gateways in one of these conditions."""
        now = self.site.now
        return [o for o in self.origins if o.gateway and condition(o, now) in conditions]


def load_intake(connection: psycopg.Connection[Any], site: Site) -> Intake:
    """Read the page of a site."""

    def rows(kind: type[Any], query: str, *values: object) -> list[Any]:
        return connection.cursor(row_factory=class_row(kind)).execute(query, values).fetchall()

    origins = rows(
        Origin,
        f"SELECT {', '.join(Origin.__struct_fields__)} FROM visible_intake"
        " WHERE site_id = %s ORDER BY kind <> 'gateway', name",
        site.site_id,
    )
    workers = rows(
        Worker, f"SELECT {', '.join(Worker.__struct_fields__)} FROM ingest_speed ORDER BY number"
    )
    refusals = rows(
        Refusals,
        f"SELECT {', '.join(Refusals.__struct_fields__)} FROM visible_refusal"
        " WHERE site_id = %s ORDER BY last_at DESC, name, code",
        site.site_id,
    )
    findings = rows(
        FlowFinding,
        "SELECT f.code, f.severity, f.at_ts AS at, r.name_zh AS point_zh, r.name_en AS point_en,"
        " f.evidence FROM finding f LEFT JOIN LATERAL (SELECT name_zh, name_en FROM point_record r"
        "  WHERE r.point_id = f.point_id AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE f.site_id = %s AND f.code = ANY(%s) AND f.withdrawn_version IS NULL"
        " ORDER BY f.at_ts DESC LIMIT %s",
        site.site_id, list(FLOW_CODES), _SHOWN_FINDINGS,
    )  # fmt: skip
    count = connection.execute(
        "SELECT count(*) FROM finding"
        " WHERE site_id = %s AND code = ANY(%s) AND withdrawn_version IS NULL",
        (site.site_id, list(FLOW_CODES)),
    ).fetchone()
    assert count is not None  # count has one row
    return Intake(
        site=site, origins=origins, meters=_meters(connection, site), workers=workers,
        refusals=refusals, findings=findings,
        findings_more=count[0] - len(findings),
    )  # fmt: skip


def _meters(connection: psycopg.Connection[Any], site: Site) -> list[Metered]:
    return (
        connection.cursor(row_factory=class_row(Metered))
        .execute(
            "SELECT p.code, r.name_zh, r.name_en, p.medium, r.commissioning, i.device, i.maker,"
            " i.model, i.serial, i.ct_ratio::double precision AS ct_ratio,"
            " i.pt_ratio::double precision AS pt_ratio, coalesce(i.simulated, false) AS simulated,"
            " s.registers, s.at, s.bad, s.period_s"
            " FROM point p JOIN LATERAL (SELECT * FROM point_record r"
            "  WHERE r.point_id = p.point_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " LEFT JOIN LATERAL (SELECT * FROM visible_installation i"
            "  WHERE i.point_id = p.point_id AND i.valid_to IS NULL LIMIT 1) i ON true"
            " JOIN LATERAL (SELECT count(*) AS registers, max(l.ts) AS at,"
            "  count(*) FILTER (WHERE l.quality & 255 <> 0) AS bad,"
            "  min(e.period_s) AS period_s FROM series x LEFT JOIN latest_value l USING (series_id)"
            "  LEFT JOIN current_epoch e ON e.series_id = x.series_id AND e.valid_to IS NULL"
            "  WHERE x.point_id = p.point_id) s ON true"
            " WHERE p.site_id = %s ORDER BY p.code",
            (site.site_id,),
        )
        .fetchall()
    )
