"""Grants: a role over everything, an enterprise or a site, for a time; revoked, never edited."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Literal, get_args

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.errors import AccessError
from dashboards.portal.access.log import record

__all__ = [
    "ROLES",
    "Grant",
    "Place",
    "Role",
    "Scope",
    "covers",
    "find_scope",
    "grants_of",
    "list_grants",
    "make_grant",
    "places",
    "revoke_grant",
]

Role = Literal["viewer", "operator", "energy_manager", "regulator", "administrator"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Where a grant holds: one of the three."""

    everything: bool = False
    enterprise_id: int | None = None
    site_id: int | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A scope to choose, and its code."""

    scope: Scope
    code: str  # *, enterprise/CODE or site/CODE
    name_zh: str
    name_en: str


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant and whether it is in force."""

    person_grant_id: int
    person_id: int
    role: Role
    everything: bool
    enterprise_id: int | None
    site_id: int | None
    scope_code: str
    trade_secrets: bool
    crew_figures: bool
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    author: str
    reason: str
    revoked_by: str | None
    revoked_at: dt.datetime | None
    over: bool  # revoked, or past its end
    in_force: bool
    owned_site_ids: list[int]  # of its enterprise, now

    @property
    def scope(self) -> Scope:
        """Where it holds."""
        return Scope(
            everything=self.everything, enterprise_id=self.enterprise_id, site_id=self.site_id
        )


_SELECT: Final = (
    "SELECT person_grant_id, person_id, role, everything, g.enterprise_id, g.site_id,"
    " CASE WHEN everything THEN '*' WHEN g.site_id IS NOT NULL THEN 'site/' || s.code"
    "  ELSE 'enterprise/' || e.code END AS scope_code,"
    " trade_secrets, crew_figures, valid_from, valid_to, author, reason, revoked_by, revoked_at,"
    " revoked_at IS NOT NULL OR coalesce(valid_to <= now(), false) AS over,"
    " revoked_at IS NULL AND valid_from <= now() AND coalesce(now() < valid_to, true) AS in_force,"
    " ARRAY(SELECT o.site_id FROM site_enterprise o WHERE o.enterprise_id = g.enterprise_id"
    "  AND o.superseded_commit_no IS NULL AND o.valid_from <= now()"
    "  AND coalesce(now() < o.valid_to, true)) AS owned_site_ids"
    " FROM person_grant g LEFT JOIN site s USING (site_id)"
    " LEFT JOIN enterprise e USING (enterprise_id)"
)


def list_grants(connection: psycopg.Connection[Any]) -> list[Grant]:
    """Return all grants, the oldest first."""
    return (
        connection.cursor(row_factory=class_row(Grant))
        .execute(f"{_SELECT} ORDER BY person_grant_id")
        .fetchall()
    )


def grants_of(connection: psycopg.Connection[Any], person_id: int) -> list[Grant]:
    """Return a person's grants, the oldest first."""
    return (
        connection.cursor(row_factory=class_row(Grant))
        .execute(f"{_SELECT} WHERE person_id = %s ORDER BY person_grant_id", (person_id,))
        .fetchall()
    )


def covers(grant: Grant, scope: Scope) -> bool:
    """Return whether a grant holds everywhere where a scope does."""
    if grant.everything:
        return True
    if scope.enterprise_id is not None:
        return grant.enterprise_id == scope.enterprise_id
    if scope.site_id is not None:
        return scope.site_id == grant.site_id or scope.site_id in grant.owned_site_ids
    return False


def places(connection: psycopg.Connection[Any]) -> list[Place]:
    """Return every scope that there is: everything, enterprises, sites."""
    found = [Place(scope=Scope(everything=True), code="*", name_zh="全部", name_en="everything")]
    for kind in ("enterprise", "site"):
        for number, code, zh, en in connection.execute(
            f"SELECT t.{kind}_id, t.code, coalesce(r.name_zh, t.code), coalesce(r.name_en, t.code)"
            f" FROM {kind} t LEFT JOIN LATERAL (SELECT name_zh, name_en FROM {kind}_record r"
            f"  WHERE r.{kind}_id = t.{kind}_id AND r.superseded_commit_no IS NULL"
            f"  ORDER BY r.valid_from DESC LIMIT 1) r ON true ORDER BY t.code"
        ):
            scope = Scope(enterprise_id=number) if kind == "enterprise" else Scope(site_id=number)
            found.append(Place(scope=scope, code=f"{kind}/{code}", name_zh=zh, name_en=en))
    return found


def find_scope(connection: psycopg.Connection[Any], code: str) -> Scope:
    """Return the scope of ``*``, ``enterprise/CODE`` or ``site/CODE``.

    Raises
    ------
    AccessError
        If there is none such.
    """
    known = {place.code: place.scope for place in places(connection)}
    if code not in known:
        raise AccessError(f"there is no {code!r}: one of {', '.join(known)}",
                          f"没有“{code}”：可用 {'、'.join(known)}")  # fmt: skip
    return known[code]


def make_grant(
    connection: psycopg.Connection[Any],
    person_id: int,
    role: Role,
    scope: Scope,
    *,
    trade_secrets: bool,
    crew_figures: bool,
    author: str,
    reason: str,
    valid_from: dt.datetime | None = None,
    valid_to: dt.datetime | None = None,
) -> int:
    """Give a person a role.

    Parameters
    ----------
    trade_secrets, crew_figures
        Whether the grant shows what is guarded so (F39).
    valid_from, valid_to
        From when, at once if left out; until when, which a regulator's must say.
    author, reason
        Who gives it, and why.

    Raises
    ------
    AccessError
        If the times contradict, or something is missing.
    """
    if role == "regulator" and valid_to is None:
        raise AccessError("a regulator's grant must end: say when",
                          "监管人员的授权须有截止日期")  # fmt: skip
    if not reason.strip():
        raise AccessError("a grant must say why", "授权须说明理由")
    now = dt.datetime.now(dt.UTC)
    if valid_to is not None and valid_to <= max(valid_from or now, now):
        raise AccessError(f"the grant would end at {valid_to:%Y-%m-%d} before it begins",
                          f"授权在 {valid_to:%Y-%m-%d} 截止，早于开始")  # fmt: skip
    row = connection.execute(
        "INSERT INTO person_grant (person_id, role, everything, enterprise_id, site_id,"
        " trade_secrets, crew_figures, valid_from, valid_to, author, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, coalesce(%s, now()), %s, %s, %s)"
        " RETURNING person_grant_id",
        (
            person_id, role, scope.everything, scope.enterprise_id, scope.site_id, trade_secrets,
            crew_figures, valid_from, valid_to, author, reason.strip(),
        ),
    ).fetchone()  # fmt: skip
    assert row is not None  # RETURNING
    record(connection, "granted", author, person_id, detail=f"{row[0]} {role}")
    return int(row[0])


def revoke_grant(connection: psycopg.Connection[Any], grant: Grant, author: str) -> None:
    """End a grant at once."""
    ended = connection.execute(
        "UPDATE person_grant SET revoked_by = %s, revoked_at = now()"
        " WHERE person_grant_id = %s AND revoked_at IS NULL",
        (author, grant.person_grant_id),
    ).rowcount
    if not ended:
        raise AccessError(f"the grant {grant.person_grant_id} is revoked already",
                          f"授权 {grant.person_grant_id} 已撤销")  # fmt: skip
    detail = f"{grant.person_grant_id} {grant.role} {grant.scope_code}"
    record(connection, "grant_revoked", author, grant.person_id, detail=detail)
