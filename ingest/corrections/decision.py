"""Approve, reject or revoke a correction; what takes effect is inserted, never edited (F20)."""

from __future__ import annotations

import zoneinfo
from typing import Any

import psycopg

from enpilot.database import draw_commit_no
from ingest.errors import CorrectionError
from ingest.imports.closed import closed_periods

__all__ = ["approve", "reject", "revoke"]


def approve(
    connection: psycopg.Connection[Any], correction_id: int, author: str, reason: str
) -> bool:
    """Let a proposal take effect.

    Parameters
    ----------
    connection
        Not inside a transaction.
    author
        Who approves; where it matters, somebody else than who proposed it.

    Returns
    -------
    bool
        Whether somebody approved her own proposal where a second person should have, as a plant
        with ``self_approval`` allows; its figures say so.

    Raises
    ------
    CorrectionError
        If it is decided already, needs another person, or cannot take effect beside what else does.
    """
    with connection.transaction():
        proposer, second_person, site_id = _proposed(connection, correction_id)
        alone = bool(second_person) and author == proposer
        if alone and not _allows_self_approval(connection, site_id):
            raise CorrectionError(
                f"somebody else than {proposer} has to approve correction {correction_id} "
                f"({', '.join(second_person)}); a plant with one person says `self_approval` in "
                "its plant file"
            )
        commit_no = draw_commit_no(connection)
        _decide(connection, correction_id, "approved", (author, reason), commit_no, alone)
        try:
            connection.execute("SELECT put_correction_in_force(%s, %s)", (correction_id, commit_no))
        except psycopg.errors.ExclusionViolation as error:
            raise CorrectionError(
                f"correction {correction_id} overlaps another substitution that is in force: "
                "revoke that one first"
            ) from error
        except psycopg.errors.NoDataFound as error:
            raise CorrectionError(f"correction {correction_id}: {_sentence(error)}") from error
    return alone


def reject(
    connection: psycopg.Connection[Any], correction_id: int, author: str, reason: str
) -> None:
    """End a proposal without effect; raises `CorrectionError` if it is decided already."""
    with connection.transaction():
        _proposed(connection, correction_id)
        commit_no = draw_commit_no(connection)
        _decide(connection, correction_id, "rejected", (author, reason), commit_no)


def revoke(
    connection: psycopg.Connection[Any], correction_id: int, author: str, reason: str
) -> None:
    """Take a correction that is in force back; its rows stay, superseded.

    Raises
    ------
    CorrectionError
        If it is not in force, or a later one rests on it.
    """
    with connection.transaction():
        if _state(connection, correction_id) != {"approved"}:
            raise CorrectionError(f"correction {correction_id} is not in force")
        commit_no = draw_commit_no(connection)
        _decide(connection, correction_id, "revoked", (author, reason), commit_no)
        try:
            connection.execute("SELECT take_correction_out(%s, %s)", (correction_id, commit_no))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise CorrectionError(
                f"correction {correction_id} cannot be revoked: {_sentence(error)}; revoke that "
                "one first"
            ) from error


def _proposed(
    connection: psycopg.Connection[Any], correction_id: int
) -> tuple[str, list[str], int]:
    decided = _state(connection, correction_id)
    if decided:
        raise CorrectionError(
            f"correction {correction_id} is decided already: {', '.join(sorted(decided))}"
        )
    row = connection.execute(
        "SELECT c.author, c.second_person, c.site_id, c.from_ts, c.to_ts, r.timezone"
        " FROM correction c JOIN site_record r USING (site_id) WHERE c.correction_id = %s"
        " AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1",
        (correction_id,),
    ).fetchone()
    assert row is not None  # _state has locked it
    author, second_person, site_id, since, until, zone = row
    # A period may have been closed since it was proposed.
    if "closed_period" not in second_person and closed_periods(
        connection, site_id, zoneinfo.ZoneInfo(zone), [(since, until)]
    ):
        second_person = ["closed_period", *second_person]
    return author, second_person, site_id


def _state(connection: psycopg.Connection[Any], correction_id: int) -> set[str]:
    """Lock a correction against other decisions and return those that were taken."""
    found = connection.execute(
        "SELECT 1 FROM correction WHERE correction_id = %s FOR UPDATE", (correction_id,)
    ).fetchone()
    if found is None:
        raise CorrectionError(f"there is no correction {correction_id}")
    return {
        row[0]
        for row in connection.execute(
            "SELECT decision FROM correction_decision WHERE correction_id = %s", (correction_id,)
        )
    }


def _allows_self_approval(connection: psycopg.Connection[Any], site_id: int) -> bool:
    row = connection.execute(
        "SELECT self_approval FROM site_record WHERE site_id = %s"
        " AND superseded_commit_no IS NULL AND valid_from <= now()"
        " AND (valid_to IS NULL OR now() < valid_to)",
        (site_id,),
    ).fetchone()
    return row == (True,)


def _decide(
    connection: psycopg.Connection[Any],
    correction_id: int,
    decision: str,
    by: tuple[str, str],
    commit_no: int,
    self_approved: bool = False,
) -> None:
    author, reason = by
    if not reason.strip():
        raise CorrectionError("a decision needs a reason")
    connection.execute(
        "INSERT INTO correction_decision"
        " (correction_id, decision, author, reason, self_approved, commit_no)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (correction_id, decision, author, reason, self_approved, commit_no),
    )


def _sentence(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)
