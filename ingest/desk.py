"""``enpilot ingest desk``: what people ask for in the portal that changes facts.

Production counts, corrections, and the plant file. Each is a request (enpilot.database.requests),
done here with the same functions as on the command line, in the name of the person who asked.
"""

from __future__ import annotations

import datetime as dt
import signal
import threading
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import psycopg
from msgspec import Meta

from enpilot.database import database_url
from enpilot.database.requests import (
    Handler,
    Request,
    RequestRefusedError,
    read_arguments,
    serve_requests,
)
from enpilot.forms import DecimalText
from enpilot.logs import configure_logs
from enpilot.plant import read_plant
from ingest.api.production import Production, Reported, Reporter, write_production
from ingest.corrections import decision
from ingest.corrections.proposal import Kind, Proposal, find_series, propose
from ingest.imports.plant import PlantChanges, import_plant

__all__ = ["handlers", "run"]

_Text = Annotated[str, Meta(min_length=1, max_length=2000)]
_TIME: Final = "an instant such as 2026-03-01T14:15:00+08:00"


class _Count(msgspec.Struct, forbid_unknown_fields=True):
    product: str
    since: dt.datetime
    until: dt.datetime
    quantity: DecimalText
    line: str = ""
    stage: Literal["counted", "qualified", "warehoused", "shipped"] = "qualified"
    disposition: Literal["good", "scrap", "rework"] = "good"
    lot: str = ""


class _Counts(msgspec.Struct, forbid_unknown_fields=True):
    entries: Annotated[list[_Count], Meta(min_length=1, max_length=2000)]
    reason: _Text = "entered in the portal"
    supersede: bool = False


class _Correction(msgspec.Struct, forbid_unknown_fields=True):
    point: str
    kind: Kind
    since: dt.datetime
    evidence: _Text
    reason: _Text
    until: dt.datetime | None = None
    detail: dict[str, Any] = {}
    quantity: str = "active_energy"
    channel: str = "total"


class _Decision(msgspec.Struct, forbid_unknown_fields=True):
    correction: int
    reason: _Text


class _PlantText(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, Meta(max_length=4_000_000)]
    reason: _Text = "plant file applied in the portal"
    reopen_reason: str | None = None


def run() -> None:
    """Do what people ask for in the portal until stopped (SIGINT or SIGTERM)."""
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    serve_requests(database_url(), "ingest desk", handlers(), stop)


def handlers() -> dict[str, Handler]:
    """Return what this room does for people, by the kind of request."""
    return {
        "output.enter": partial(_enter_output, Production()),
        "correction.propose": _propose,
        "correction.approve": _approve,
        "correction.reject": _reject,
        "correction.revoke": _revoke,
        "plant.check": _check_plant,
        "plant.apply": _apply_plant,
    }


def _enter_output(
    production: Production, connection: psycopg.Connection[Any], request: Request
) -> Mapping[str, Any]:
    asked = read_arguments(request, _Counts)
    reporter = Reporter(
        key=f"person {request.author}", source="portal", author=request.author,
        reason=asked.reason, site_id=request.site_id, site=request.site,
    )  # fmt: skip
    entries = [
        Reported(
            e.product, e.line, e.stage, e.disposition, Decimal(e.quantity), _instant(e.since),
            _instant(e.until), None, e.lot,
        )
        for e in asked.entries
    ]  # fmt: skip
    done = write_production(
        connection, production, reporter, entries, body=msgspec.json.encode(asked),
        supersede=asked.supersede,
    )  # fmt: skip
    return {"written": done.written, "present": done.present, "conflicts": done.conflicts}


def _propose(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _Correction)
    series = find_series(connection, request.site, asked.point, asked.quantity, asked.channel)
    since = _instant(asked.since)
    until = None if asked.until is None else _instant(asked.until)
    if asked.kind == "replace":
        until = since + dt.timedelta(microseconds=1)
    proposed = propose(
        connection,
        Proposal(series, asked.kind, since, until, asked.detail, asked.evidence, request.author,
                 asked.reason),
    )  # fmt: skip
    return {"correction": proposed.correction_id, "second_person": proposed.second_person}


def _approve(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = _decided(connection, request)
    alone = decision.approve(connection, asked.correction, request.author, asked.reason)
    return {"self_approved": alone}


def _reject(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = _decided(connection, request)
    decision.reject(connection, asked.correction, request.author, asked.reason)
    return {}


def _revoke(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = _decided(connection, request)
    decision.revoke(connection, asked.correction, request.author, asked.reason)
    return {}


def _decided(connection: psycopg.Connection[Any], request: Request) -> _Decision:
    """Return the decision, if it is about a correction of the site at which it was asked."""
    asked = read_arguments(request, _Decision)
    found = connection.execute(
        "SELECT 1 FROM correction_state WHERE correction_id = %s AND site_id = %s",
        (asked.correction, request.site_id),
    ).fetchone()
    if found is None:
        raise RequestRefusedError(f"site {request.site!r} has no correction {asked.correction}")
    return asked


def _check_plant(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _PlantText)
    with connection.transaction(force_rollback=True):
        changes = _import(connection, request, asked, reopen_reason="only looked at")
    return _changes(changes)


def _apply_plant(connection: psycopg.Connection[Any], request: Request) -> Mapping[str, Any]:
    asked = read_arguments(request, _PlantText)
    return _changes(_import(connection, request, asked, reopen_reason=asked.reopen_reason))


def _import(
    connection: psycopg.Connection[Any],
    request: Request,
    asked: _PlantText,
    reopen_reason: str | None,
) -> PlantChanges:
    plant = read_plant(asked.text, Path("plant.toml"))
    if plant.site.code != request.site:
        raise RequestRefusedError(
            f"the file is of site {plant.site.code!r}, not {request.site!r} - at `$.site.code`"
        )
    return import_plant(
        connection, plant, request.author, asked.reason, reopen_reason=reopen_reason
    )


def _changes(changes: PlantChanges) -> Mapping[str, Any]:
    return {
        "changes": {kind: count for kind, count in changes.changes.items() if count},
        "months": changes.months,
        "closed": [str(period) for period in changes.closed],
    }


def _instant(at: dt.datetime) -> dt.datetime:
    if at.tzinfo is None:
        raise RequestRefusedError(f"{at.isoformat()} has no offset: give {_TIME}")
    return at.astimezone(dt.UTC)
