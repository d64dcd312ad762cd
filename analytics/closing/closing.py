"""Prepare, approve, withdraw and reopen: who signs a period, and what exactly (F13, F18, F29).

A preparer fixes the figures, an approver signs the same bytes. Every step is a row that carries the
hash of the one before it, so that a changed row is found by reading the chain.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from analytics.accounting.site_calendar import SiteCalendar, month_after
from analytics.accounting.site_facts import load_site_facts
from analytics.closing.checks import Check, check_period
from analytics.errors import ClosingError
from analytics.past.inputs import inputs_hash
from analytics.signed import apply_closings, figures_of
from enpilot import __version__
from enpilot.database import data_version, draw_commit_no

__all__ = ["Period", "approve", "broken_links", "period_of", "prepare", "reopen", "withdraw"]


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a year of a site's reporting calendar, local dates [first, after)."""

    site_id: int
    kind: str
    first: dt.date
    after: dt.date
    calendar: SiteCalendar


@dataclass(frozen=True, slots=True)
class _Step:
    """The last step that was taken about a period."""

    closing_id: int
    version: int
    action: str
    author: str
    inputs: bytes
    snapshot: bytes


def period_of(connection: psycopg.Connection[Any], site: str, kind: str, day: dt.date) -> Period:
    """Return the period of a site that a day lies in.

    Parameters
    ----------
    connection
        To the platform's database.
    site
        Its code.
    kind
        "month" or "year".
    day
        Local; the reporting month named by it where months begin on another day than the first.

    Returns
    -------
    Period
        By the site's reporting calendar.

    Raises
    ------
    ClosingError
        If there is no such site.
    """
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise ClosingError(f"no site {site!r}: see `enpilot import plant`")
    calendar = load_site_facts(connection, row[0]).calendars["civil"]
    # A reporting month is named by the month it ends in, which holds its last days.
    first = calendar.month_start(day)
    while calendar.month_number(first) != day.month:
        first = month_after(first, calendar.month_day)
    if kind == "month":
        return Period(row[0], kind, first, month_after(first, calendar.month_day), calendar)
    year = calendar.year_start(first)
    return Period(row[0], kind, year, year.replace(year=year.year + 1), calendar)


def prepare(
    connection: psycopg.Connection[Any],
    period: Period,
    author: str,
    reason: str,
    accepted: Sequence[int] = (),
) -> list[Check]:
    """Fix the figures of a period for somebody else to approve.

    Parameters
    ----------
    connection
        Not inside a transaction.
    period
        The month or year.
    author, reason
        Who says that it is complete, and anything that should be known.
    accepted
        Numbers of faults that were looked at and do not stand against closing.

    Returns
    -------
    list of Check
        What was looked at; if something blocks, nothing was prepared.

    Raises
    ------
    ClosingError
        If it is closed already, or prepared.
    """
    with connection.transaction():
        last = _locked(connection, period)
        if last is not None and last.action in ("prepared", "closed"):
            raise ClosingError(
                f"{_named(period)} is {last.action} already (version {last.version}):"
                " approve, withdraw or reopen it"
            )
        checks = check_period(
            connection, period.site_id, period.kind, (period.first, period.after),
            period.calendar, accepted,
        )  # fmt: skip
        if any(c.level == "block" for c in checks):
            return checks
        figures = _figures(connection, period)
        version = 1 if last is None else last.version + 1
        step = _Step(0, version, "prepared", author, _inputs(connection, period), _hash(figures))
        closing_id = _write(connection, period, step, reason, accepted=accepted)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO closed_figure (closing_id, kind, figure_key, content)"
                " VALUES (%s, %s, %s, %s)",
                [(closing_id, kind, Jsonb(key), Jsonb(content)) for kind, key, content in figures],
            )
    return checks


def approve(connection: psycopg.Connection[Any], period: Period, author: str, reason: str) -> int:
    """Sign a prepared period: its figures are final from now on.

    Parameters
    ----------
    connection
        Not inside a transaction.
    period
        The month or year.
    author, reason
        Who signs; somebody else than the preparer, unless the site allows one person to.

    Returns
    -------
    int
        The version that was closed.

    Raises
    ------
    ClosingError
        If it is not prepared, if the figures changed since, or if preparer and approver are one.
    """
    with connection.transaction():
        last = _locked(connection, period)
        if last is None or last.action != "prepared":
            raise ClosingError(f"{_named(period)} is not prepared: `enpilot close prepare`")
        alone = last.author == author
        if alone and not _self_approval(connection, period.site_id):
            raise ClosingError(
                f"{author} prepared {_named(period)}: another person approves it, or the site says"
                " `self_approval = true`"
            )
        if _hash(_figures(connection, period)) != last.snapshot:
            raise ClosingError(
                f"figures of {_named(period)} changed since it was prepared: withdraw it, look at"
                " them and prepare it again"
            )
        step = _Step(0, last.version, "closed", author, last.inputs, last.snapshot)
        _write(connection, period, step, reason, self_approved=alone)
        _settle(connection, period)
        apply_closings(connection, period.site_id, period.first, data_version(connection))
    return last.version


def withdraw(connection: psycopg.Connection[Any], period: Period, author: str, reason: str) -> None:
    """Take a preparation back.

    Parameters
    ----------
    connection
        Not inside a transaction.
    period, author, reason
        See `approve`.

    Raises
    ------
    ClosingError
        If it is not prepared.
    """
    _take_back(connection, period, author, reason, "prepared", "withdrawn")


def reopen(connection: psycopg.Connection[Any], period: Period, author: str, reason: str) -> None:
    """Open a closed period again; its figures follow the data until it is closed anew.

    Parameters
    ----------
    connection
        Not inside a transaction.
    period, author, reason
        See `approve`.

    Raises
    ------
    ClosingError
        If it is not closed.
    """
    _take_back(connection, period, author, reason, "closed", "reopened")


def _take_back(
    connection: psycopg.Connection[Any],
    period: Period,
    author: str,
    reason: str,
    held: str,
    action: str,
) -> None:
    if not reason.strip():
        raise ClosingError("a reason is needed")
    with connection.transaction():
        last = _locked(connection, period)
        if last is None or last.action != held:
            raise ClosingError(f"{_named(period)} is not {held}")
        step = _Step(0, last.version, action, author, last.inputs, last.snapshot)
        number = _write(connection, period, step, reason)
        if action == "reopened":
            row = connection.execute(
                "SELECT commit_no FROM period_closing WHERE closing_id = %s", (number,)
            ).fetchone()
            assert row is not None
            connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, now(), %s)",
                (period.site_id, period.calendar.begins(period.first), row[0]),
            )


def broken_links(connection: psycopg.Connection[Any], site_id: int) -> list[int]:
    """Return the steps of a site whose rows, or whose signed figures, are not what was written.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.

    Returns
    -------
    list of int
        Their numbers, in order; none if nothing was changed.
    """
    broken, before = [], None
    for row in connection.execute(
        "SELECT closing_id, kind, period_from, period_to, version, action, author, reason,"
        " self_approved, accepted_findings, data_version, code_version, inputs_sha256,"
        " recorded_at, snapshot_sha256, previous_sha256, sha256 FROM period_closing"
        " WHERE site_id = %s ORDER BY closing_id",
        (site_id,),
    ).fetchall():
        closing_id, *said, previous, digest = row
        figures = connection.execute(
            "SELECT kind, figure_key, content FROM closed_figure WHERE closing_id = %s"
            " ORDER BY kind DESC, figure_key",
            (closing_id,),
        ).fetchall()
        wrong = said[4] == "prepared" and _hash(figures) != said[-1]
        if wrong or previous != before or _chained(said, previous) != digest:
            broken.append(closing_id)
        before = digest
    return broken


def _locked(connection: psycopg.Connection[Any], period: Period) -> _Step | None:
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.site', %s))", (period.site_id,)
    )
    row = connection.execute(
        "SELECT closing_id, version, action, author, inputs_sha256, snapshot_sha256"
        " FROM period_closing WHERE site_id = %s AND kind = %s AND period_from = %s"
        " ORDER BY closing_id DESC LIMIT 1",
        (period.site_id, period.kind, period.first),
    ).fetchone()
    return None if row is None else _Step(*row)


def _figures(
    connection: psycopg.Connection[Any], period: Period
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    return figures_of(connection, period.site_id, period.kind, period.first, period.after)


def _inputs(connection: psycopg.Connection[Any], period: Period) -> bytes:
    return inputs_hash(
        connection, period.site_id, period.calendar.begins(period.first),
        period.calendar.begins(period.after),
    )  # fmt: skip


def _hash(figures: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> bytes:
    """Hash figures in an order of their own, so that it is the same wherever they come from."""
    lines = sorted(
        json.dumps([kind, key, content], sort_keys=True, ensure_ascii=False)
        for kind, key, content in figures
    )
    return hashlib.sha256("\n".join(lines).encode()).digest()


def _chained(said: Sequence[Any], previous: bytes | None) -> bytes:
    text = json.dumps([_said(v) for v in said], default=str, ensure_ascii=False)
    return hashlib.sha256((previous or b"") + text.encode()).digest()


def _said(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()  # whatever zone a session speaks in
    return value.hex() if isinstance(value, bytes) else value


def _write(
    connection: psycopg.Connection[Any],
    period: Period,
    step: _Step,
    reason: str,
    *,
    self_approved: bool = False,
    accepted: Sequence[int] = (),
) -> int:
    row = connection.execute(
        "SELECT sha256 FROM period_closing WHERE site_id = %s ORDER BY closing_id DESC LIMIT 1",
        (period.site_id,),
    ).fetchone()
    previous = None if row is None else row[0]
    now = connection.execute("SELECT now()").fetchone()
    assert now is not None
    version = data_version(connection)
    said = [
        period.kind, period.first, period.after, step.version, step.action, step.author, reason,
        self_approved, sorted(accepted), version, __version__, step.inputs, now[0], step.snapshot,
    ]  # fmt: skip
    written = connection.execute(
        "INSERT INTO period_closing (site_id, kind, period_from, period_to, version, action,"
        " author, reason, self_approved, accepted_findings, data_version, code_version,"
        " inputs_sha256, recorded_at, snapshot_sha256, previous_sha256, sha256, commit_no)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " RETURNING closing_id",
        (
            period.site_id, *said, previous, _chained(said, previous), draw_commit_no(connection)
        ),
    ).fetchone()  # fmt: skip
    assert written is not None
    return int(written[0])


def _settle(connection: psycopg.Connection[Any], period: Period) -> None:
    """End what waited about earlier versions of a period: the new one has taken it in."""
    connection.execute(
        "UPDATE pending_difference SET state = 'gone', decided_by = NULL, reason = NULL"
        " WHERE state IN ('pending', 'refused') AND closing_id IN (SELECT closing_id"
        "  FROM period_closing WHERE site_id = %s AND kind = %s AND period_from = %s)",
        (period.site_id, period.kind, period.first),
    )


def _self_approval(connection: psycopg.Connection[Any], site_id: int) -> bool:
    row = connection.execute(
        "SELECT self_approval FROM site_record WHERE site_id = %s"
        " AND superseded_commit_no IS NULL AND valid_from <= now()"
        " AND (valid_to IS NULL OR now() < valid_to)",
        (site_id,),
    ).fetchone()
    return row == (True,)


def _named(period: Period) -> str:
    end = period.after - dt.timedelta(days=1)
    return f"{period.kind} {period.first} to {end}"
