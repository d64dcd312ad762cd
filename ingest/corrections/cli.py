"""``enpilot correct``: propose, approve, reject, revoke, list."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import cyclopts

from enpilot.database import connect, database_url
from ingest.corrections import decision
from ingest.corrections.proposal import Kind, Proposal, Proposed, find_series
from ingest.corrections.proposal import propose as record_proposal
from ingest.errors import CorrectionError

__all__ = ["app"]

app = cyclopts.App(name="correct", help="What a person says against the registers, by two.")

_From = Annotated[str, cyclopts.Parameter(name="--from")]
_To = Annotated[str, cyclopts.Parameter(name="--to")]
_OpenTo = Annotated[str | None, cyclopts.Parameter(name="--to")]
State = Literal["proposed", "in_force", "rejected", "revoked"]


@app.command
def void(
    site: str,
    point: str,
    *,
    since: _From,
    until: _To,
    reason: str,
    evidence: str,
    quantity: str = "active_energy",
    channel: str = "total",
) -> None:
    """Propose that readings of a span do not count.

    Parameters
    ----------
    site, point
        Codes of the plant file.
    since, until
        The span, its end excluded; without an offset, in the site's zone.
    reason, evidence
        Why, and what others can look at.
    quantity, channel
        Which series of the point.
    """
    _propose(site, point, (quantity, channel), "void", (since, until), {}, evidence, reason)


@app.command
def replace(
    site: str,
    point: str,
    *,
    at: str,
    raw: str,
    reason: str,
    evidence: str,
    batch: int | None = None,
    quantity: str = "active_energy",
    channel: str = "total",
) -> None:
    """Propose that the register of one reading was another.

    Parameters
    ----------
    site, point
        Codes of the plant file.
    at
        Instant of the reading.
    raw
        What stood on the register [register counts].
    reason, evidence
        Why, and what others can look at.
    batch
        Which reading, if several have that instant.
    quantity, channel
        Which series of the point.
    """
    detail: dict[str, Any] = {"raw": raw} | ({} if batch is None else {"batch": batch})
    _propose(site, point, (quantity, channel), "replace", (at, None), detail, evidence, reason)


@app.command
def substitute(
    site: str,
    point: str,
    *,
    since: _From,
    until: _To,
    amount: str,
    unit: str,
    reason: str,
    evidence: str,
    shape: Literal["even", "registers"] = "even",
    quantity: str = "active_energy",
    channel: str = "total",
) -> None:
    """Propose what a span took, where its registers cannot say it.

    Parameters
    ----------
    site, point
        Codes of the plant file.
    since, until
        The span, on quarter hours, its end excluded.
    amount, unit
        What the span took in all.
    reason, evidence
        Why, and what others can look at.
    shape
        "even" over the span, or in the shape of what the registers said.
    quantity, channel
        Which series of the point.
    """
    detail = {"amount": amount, "unit": unit, "shape": shape}
    span = (since, until)
    _propose(site, point, (quantity, channel), "substitute", span, detail, evidence, reason)


@app.command
def meaning(
    site: str,
    point: str,
    *,
    since: _From,
    until: _OpenTo = None,
    reason: str,
    evidence: str,
    said: Annotated[dict[str, str], cyclopts.Parameter(name="--set")],
    quantity: str = "active_energy",
    channel: str = "total",
) -> None:
    """Propose that numbers mean something else: ``--set.ratio 60``, ``--set.decoding words``.

    Parameters
    ----------
    site, point
        Codes of the plant file.
    since, until
        The span; without an end it goes on to hold.
    reason, evidence
        Why, and what others can look at.
    said
        What is different: see docs/corrections.md for the keys.
    quantity, channel
        Which series of the point.
    """
    span = (since, until)
    _propose(site, point, (quantity, channel), "meaning", span, said, evidence, reason)


@app.command
def approve(number: int, *, reason: str) -> None:
    """Let a correction take effect."""
    with connect(database_url(), "correct", autocommit=True) as connection:
        alone = decision.approve(connection, number, getpass.getuser(), reason)
    note = "; approved by who proposed it, which figures will say" if alone else ""
    print(f"correction {number} is in force{note}")


@app.command
def reject(number: int, *, reason: str) -> None:
    """End a proposal without effect."""
    with connect(database_url(), "correct", autocommit=True) as connection:
        decision.reject(connection, number, getpass.getuser(), reason)
    print(f"correction {number} is rejected")


@app.command
def revoke(number: int, *, reason: str) -> None:
    """Take a correction that is in force back."""
    with connect(database_url(), "correct", autocommit=True) as connection:
        decision.revoke(connection, number, getpass.getuser(), reason)
    print(f"correction {number} is revoked")


@app.command(name="list")
def list_corrections(*, site: str | None = None, state: State | None = None) -> None:
    """List corrections, the newest first."""
    with connect(database_url(), "correct") as connection:
        rows = connection.execute(
            "SELECT c.correction_id, c.state, c.kind, s.code, p.code, r.quantity, r.channel,"
            " c.from_ts, c.to_ts, c.detail, c.author, c.approver, c.self_approved,"
            " c.second_person, c.reason, c.evidence, (SELECT timezone FROM site_record"
            " WHERE site_id = c.site_id AND superseded_commit_no IS NULL"
            " ORDER BY valid_from DESC LIMIT 1) FROM correction_state c"
            " JOIN site s USING (site_id) JOIN point p USING (point_id)"
            " JOIN series r ON r.series_id = c.series_id"
            " WHERE (%(site)s::text IS NULL OR s.code = %(site)s)"
            " AND (%(state)s::text IS NULL OR c.state = %(state)s)"
            " ORDER BY c.correction_id DESC",
            {"site": site, "state": state},
        ).fetchall()
    for row in rows:
        _show(row)
    if not rows:
        print("no corrections")


def _show(row: tuple[Any, ...]) -> None:
    number, state, kind, site, point, quantity, channel, since, until, detail, *who = row
    author, approver, alone, second_person, reason, evidence, timezone = who
    zone = ZoneInfo(timezone)
    began = since.astimezone(zone)
    end = "on" if until is None else f"to {until.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    said = ", ".join(f"{name} {value}" for name, value in detail.items())
    print(f"#{number} {state:9} {kind} {site}/{point} {quantity} {channel}")
    print(f"    from {began:%Y-%m-%d %H:%M:%S} {end} {timezone}: {said}")
    print(f"    {author}: {reason} ({evidence})")
    if state == "proposed" and second_person:
        print(f"    somebody else has to approve: {', '.join(second_person)}")
    if approver is not None:
        print(f"    approved by {approver}{', the same person' if alone else ''}")


def _propose(
    site: str,
    point: str,
    series: tuple[str, str],
    kind: Kind,
    span: tuple[str, str | None],
    detail: Mapping[str, Any],
    evidence: str,
    reason: str,
) -> None:
    with connect(database_url(), "correct", autocommit=True) as connection:
        found = find_series(connection, site, point, *series)
        since = _instant(span[0], found.zone)
        until = None if span[1] is None else _instant(span[1], found.zone)
        if kind == "replace":
            until = since + dt.timedelta(microseconds=1)
        proposed = record_proposal(
            connection,
            Proposal(found, kind, since, until, detail, evidence, getpass.getuser(), reason),
        )
    _say(proposed)


def _instant(text: str, zone: dt.tzinfo) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CorrectionError(f"{text!r} is no time such as 2026-03-01T14:15") from error
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(dt.UTC)


def _say(proposed: Proposed) -> None:
    number = proposed.correction_id
    print(
        f"correction {number} is proposed; what it would change: enpilot analyze preview {number}"
    )
    if proposed.second_person:
        print(f"somebody else has to approve it: {', '.join(proposed.second_person)}")
    else:
        print(f"one person may approve it: enpilot correct approve {number} --reason …")
