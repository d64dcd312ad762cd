"""``enpilot analyze desk``: what people ask for in the portal that analytics does.

Closing and what waits after it, decisions about waste, what a correction would change. Each is a
request (enpilot.database.requests), done here in the name of the person who asked.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import psycopg
from msgspec import Meta

from analytics.alerts import acknowledge, replay
from analytics.alerts.quiet import Mute, add_mute, end_mute
from analytics.closing import closing
from analytics.closing.checks import Check, check_period
from analytics.closing.differences import decide as decide_difference
from analytics.preview import preview
from analytics.waste.stored import Decision
from analytics.waste.stored import decide as decide_waste
from enpilot.database import database_url, draw_commit_no
from enpilot.database.requests import (
    Handler,
    Request,
    RequestRefusedError,
    read_arguments,
    serve_requests,
)
from enpilot.logs import configure_logs

__all__ = ["handlers", "run"]

_CHARTED = 5  # subjects of a back-test whose series an answer holds
_Reason = Annotated[str, Meta(min_length=1, max_length=2000)]


class _Period(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["month", "year"]
    day: dt.date  # any of the period
    reason: str = ""
    accept: list[int] = []


class _Difference(msgspec.Struct, forbid_unknown_fields=True):
    difference: int
    decision: Literal["accepted", "refused"]
    reason: _Reason


class _Waste(msgspec.Struct, forbid_unknown_fields=True):
    waste: int
    state: Decision
    reason: _Reason


class _Correction(msgspec.Struct, forbid_unknown_fields=True):
    correction: int


class _Acknowledged(msgspec.Struct, forbid_unknown_fields=True):
    rule: str
    note: str = ""
    subject: str | None = None


class _Muted(msgspec.Struct, forbid_unknown_fields=True):
    hours: Annotated[float, Meta(gt=0, le=24 * 92)]
    reason: _Reason
    rule: str | None = None
    subject: str | None = None


class _Unmuted(msgspec.Struct, forbid_unknown_fields=True):
    mute: int
    reason: _Reason


class _Replayed(msgspec.Struct, forbid_unknown_fields=True):
    rule: str
    since: dt.datetime
    until: dt.datetime
    threshold: float | None = None


def run() -> None:
    """Do what people ask for in the portal until stopped, by SIGINT or SIGTERM (D19)."""
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    serve_requests(database_url(), "analyze desk", handlers(), stop)


def handlers() -> dict[str, Handler]:
    """Return what this room does for people, each by its own function (D19).

    Returns
    -------
    dict
        By the kind of request.
    """
    return {
        "closing.check": _check,
        "closing.prepare": _prepare,
        "closing.approve": _approve,
        "closing.withdraw": _withdraw,
        "closing.reopen": _reopen,
        "closing.decide": _decide_difference,
        "waste.decide": _decide_waste,
        "correction.preview": _preview,
        "alert.acknowledge": _acknowledge,
        "alert.mute": _mute,
        "alert.unmute": _unmute,
        "alert.replay": _replay,
    }


def _period(
    connection: psycopg.Connection[Any], request: Request
) -> tuple[_Period, closing.Period]:
    asked = read_arguments(request, _Period)
    return asked, closing.period_of(connection, request.site, asked.kind, asked.day)


def _checks(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(check) for check in checks]


def _check(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked, period = _period(connection, request)
    span = period.first, period.after
    found = check_period(
        connection, period.site_id, period.kind, span, period.calendar, asked.accept
    )
    return {"checks": _checks(found)}


def _prepare(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked, period = _period(connection, request)
    found = closing.prepare(
        connection, period, request.author, asked.reason or "complete", asked.accept
    )
    return {"checks": _checks(found), "prepared": all(c.level != "block" for c in found)}


def _approve(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked, period = _period(connection, request)
    return {"version": closing.approve(connection, period, request.author, asked.reason)}


def _withdraw(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked, period = _period(connection, request)
    closing.withdraw(connection, period, request.author, _needed(asked.reason))
    return {}


def _reopen(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked, period = _period(connection, request)
    closing.reopen(connection, period, request.author, _needed(asked.reason))
    return {}


def _needed(reason: str) -> str:
    if not reason.strip():
        raise RequestRefusedError("give a reason: it is kept with the step")
    return reason


def _decide_difference(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Difference)
    row = connection.execute(
        "SELECT p.kind, p.period_from, p.period_to FROM pending_difference d"
        " JOIN period_closing p USING (closing_id)"
        " WHERE d.difference_id = %s AND d.site_id = %s",
        (asked.difference, request.site_id),
    ).fetchone()
    if row is None:
        raise RequestRefusedError(f"site {request.site!r} has no difference {asked.difference}")
    last = row[2] - dt.timedelta(days=1)  # a reporting month is named by the day it ends on
    period = closing.period_of(connection, request.site, row[0], last)
    decide_difference(
        connection, asked.difference, asked.decision, request.author, asked.reason, period
    )
    return {}


def _decide_waste(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Waste)
    _of_site(connection, request, "waste_finding", "waste_id", asked.waste)
    decide_waste(connection, asked.waste, asked.state, request.author, asked.reason)
    return {}


def _preview(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Correction)
    _of_site(connection, request, "correction", "correction_id", asked.correction)
    return {"changes": [dataclasses.asdict(c) for c in preview(connection, asked.correction)]}


def _acknowledge(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Acknowledged)
    taken = acknowledge(
        connection, request.site, asked.rule, request.author, asked.note, subject=asked.subject
    )
    return {"subjects": taken}


def _mute(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Muted)
    rule_id = None
    if asked.rule is not None:
        row = connection.execute(
            "SELECT alert_rule_id FROM alert_rule WHERE site_id = %s AND code = %s",
            (request.site_id, asked.rule),
        ).fetchone()
        if row is None:
            raise RequestRefusedError(f"site {request.site!r} has no rule {asked.rule!r}")
        rule_id = int(row[0])
    begins = dt.datetime.now(dt.UTC)
    window = Mute(begins, begins + dt.timedelta(hours=asked.hours), rule_id, asked.subject)
    number = add_mute(
        connection, request.site_id, window, request.author, asked.reason,
        draw_commit_no(connection),
    )  # fmt: skip
    return {"mute": number}


def _unmute(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Unmuted)
    end_mute(
        connection, request.site_id, asked.mute, dt.datetime.now(dt.UTC), request.author,
        asked.reason, draw_commit_no(connection),
    )  # fmt: skip
    return {}


def _replay(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Replayed)
    if asked.since.tzinfo is None or asked.until.tzinfo is None or asked.since >= asked.until:
        raise RequestRefusedError("give two instants with their offsets, the first one before")
    told = replay(
        connection, request.site, asked.rule, asked.since, asked.until, threshold=asked.threshold
    ).to_json()
    return {**told, "subjects": len(told["seen"]), "seen": told["seen"][:_CHARTED]}


def _of_site(
    connection: psycopg.Connection[Any], request: Request, table: str, key: str, number: int
) -> None:
    """Refuse what belongs to another site than the one it was asked at."""
    found = connection.execute(
        f"SELECT 1 FROM {table} WHERE {key} = %s AND site_id = %s".encode(),
        (number, request.site_id),
    ).fetchone()
    if found is None:
        raise RequestRefusedError(f"site {request.site!r} has no {key} {number}")
