"""The role that an enterprise's data source signs in as: it reads its sites, and nothing else."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from dashboards.grafana.errors import GrafanaSettingsError
from dashboards.grafana.sources import EnterpriseSource
from enpilot.database.reconcile import READER_ROLE

__all__ = ["LEAST_PASSWORD", "GrantSpan", "RoleMade", "make_role", "revoke_role"]

LEAST_PASSWORD: Final = 16  # characters
_CONNECTIONS = 20
_SETTINGS = {
    "search_path": "enpilot, public",
    "timezone": "UTC",
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}


@dataclass(frozen=True, slots=True)
class GrantSpan:
    """From when until when the role may read a site; open without an end."""

    site_id: int
    site: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class RoleMade:
    """What `make_role` did."""

    role: str
    created: bool
    password_set: bool
    grants: list[GrantSpan]
    ended: int


def make_role(
    connection: psycopg.Connection[Any], source: EnterpriseSource, password: str | None, author: str
) -> RoleMade:
    """Create or renew a role, and grant it the sites that the enterprise owns, while it owns them.

    Parameters
    ----------
    connection
        As a role that may create roles; everything happens in one transaction.
    source
        The enterprise.
    password
        Of the role; None leaves the one that it has. Only its SCRAM verifier goes to the server, so
        that no log of statements holds it.
    author
        Who grants.

    Raises
    ------
    GrafanaSettingsError
        If there is no such enterprise, it owns no site, the password is short or missing, or the
        connection may not create roles.
    """
    if password is not None and len(password) < LEAST_PASSWORD:
        raise GrafanaSettingsError(
            f"{source.password_variable} is shorter than {LEAST_PASSWORD} characters: unset it, and"
            " one is generated"
        )
    try:
        with connection.transaction():
            spans = _owned(connection, source.code)
            created = _login_role(connection, source, password)
            ended = _grant(connection, source.role, spans, author)
    except psycopg.errors.InsufficientPrivilege as error:
        raise GrafanaSettingsError(
            f"role {connection.info.user!r} of ENPILOT_DATABASE_URL may not create {source.role!r}:"
            f" use the owner of the schema with CREATEROLE ({error.diag.message_primary})"
        ) from error
    return RoleMade(source.role, created, password is not None, spans, ended)


def revoke_role(connection: psycopg.Connection[Any], source: EnterpriseSource) -> int:
    """End every grant of a role and let it sign in no more; return how many grants ended.

    Raises
    ------
    GrafanaSettingsError
        If there is no such role.
    """
    with connection.transaction():
        if not _exists(connection, source.role):
            raise GrafanaSettingsError(f"there is no role {source.role!r} to revoke")
        ended = _grant(connection, source.role, [], "")
        connection.execute(
            sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(source.role))
        )
    return ended


def _owned(connection: psycopg.Connection[Any], code: str) -> list[GrantSpan]:
    """Return the spans of ownership, whatever the share, that are not over yet."""
    known = [row[0] for row in connection.execute("SELECT code FROM enterprise ORDER BY code")]
    if code not in known:
        raise GrafanaSettingsError(
            f"there is no enterprise {code!r} in the database: it has {', '.join(known) or 'none'};"
            " `enpilot import plant` brings one"
        )
    rows = connection.execute(
        "WITH owned AS (SELECT site_id, unnest(range_agg(tstzrange(valid_from, valid_to))) AS span"
        " FROM site_enterprise JOIN enterprise USING (enterprise_id)"
        " WHERE code = %s AND superseded_commit_no IS NULL GROUP BY site_id)"
        " SELECT site_id, code, lower(span), upper(span) FROM owned JOIN site USING (site_id)"
        " WHERE upper_inf(span) OR upper(span) > now() ORDER BY 2, 3",
        (code,),
    ).fetchall()
    if not rows:
        raise GrafanaSettingsError(
            f"enterprise {code!r} owns no site any more: add [[ownership]] to a plant file and"
            " import it, or end the role with --revoke"
        )
    return [GrantSpan(*row) for row in rows]


def _exists(connection: psycopg.Connection[Any], role: str) -> bool:
    row = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    return row is not None


def _login_role(
    connection: psycopg.Connection[Any], source: EnterpriseSource, password: str | None
) -> bool:
    role = sql.Identifier(source.role)
    created = not _exists(connection, source.role)
    if created:
        if password is None:
            raise GrafanaSettingsError(f"the new role {source.role!r} needs a password")
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    # Whatever somebody gave it meanwhile, it is this and no more afterwards.
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT {}").format(
            role, sql.Literal(_CONNECTIONS)
        )
    )
    unusual = connection.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s"
        " AND (rolsuper OR rolreplication OR rolbypassrls)",
        (source.role,),
    ).fetchone()
    if unusual:
        # Only a superuser may take these away, so it is not tried where none is set.
        connection.execute(
            sql.SQL("ALTER ROLE {} NOSUPERUSER NOREPLICATION NOBYPASSRLS").format(role)
        )
    for (other,) in connection.execute(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        " JOIN pg_roles g ON g.oid = m.member WHERE g.rolname = %s AND r.rolname <> %s",
        (source.role, READER_ROLE),
    ).fetchall():
        connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(other), role))
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(READER_ROLE), role))
    for name, value in _SETTINGS.items():
        said = sql.SQL(value) if name == "search_path" else sql.Literal(value)
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(name), said)
        )
    if password is not None:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), source.role.encode(), b"scram-sha-256"
        )
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(verifier.decode()))
        )
    return created


def _grant(
    connection: psycopg.Connection[Any], role: str, spans: list[GrantSpan], author: str
) -> int:
    """Let the grants that hold be those of ``spans``; return how many ended before their time."""
    wanted = {(span.site_id, span.valid_from, span.valid_to) for span in spans}
    held = set(
        connection.execute(
            "SELECT site_id, valid_from, valid_to FROM role_grant"
            " WHERE role_name = %s AND (valid_to IS NULL OR valid_to > now())",
            (role,),
        ).fetchall()
    )
    for grant in held - wanted:
        # One that never began ends as it begins: a grant is ended, not deleted.
        connection.execute(
            "UPDATE role_grant SET valid_to = greatest(now(), valid_from + interval '1 us')"
            " WHERE role_name = %s AND site_id = %s AND valid_from = %s"
            " AND valid_to IS NOT DISTINCT FROM %s",
            (role, *grant),
        )
    for grant in sorted(wanted - held, key=str):
        connection.execute(
            "INSERT INTO role_grant (role_name, site_id, valid_from, valid_to, author)"
            " VALUES (%s, %s, %s, %s, %s)",
            (role, *grant, author),
        )
    return len(held - wanted)
