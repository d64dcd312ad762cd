"""A person sees by grants: whose, where, when, and without the secrets that a grant leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from enpilot.database import connect
from tests.enpilot import test_site_guards as sites
from tests.enpilot.test_site_guards import ALL, GUARDED, NOTHING, seen

Connection = psycopg.Connection[Any]
owner = sites.owner  # the fixture: two sites with a row in each relation

SECRET = {
    "granted_secret", "visible_reading", "visible_interval_advance", "visible_chart_1m",
    "visible_chart_15m", "latest_value", "output", "demand_day", "lot_energy",
}  # fmt: skip
# Grants of a person, as values of person_grant, and whether ours is seen.
BY_GRANT = {
    "of the site": ("site_id", "'-1 day'", "NULL", True),
    "of its owner": ("enterprise_id", "'-1 day'", "NULL", True),
    "of everything": ("everything", "'-1 day'", "NULL", True),
    "of the former owner": ("former", "'-1 day'", "NULL", False),
    "that ended": ("site_id", "'-2 days'", "'-1 day'", False),
    "to come": ("site_id", "'1 day'", "NULL", False),
}


@pytest.fixture
def portal(owner: Connection, database_url: str) -> Iterator[Connection]:
    """A connection as the portal's own login, which is not the owner."""
    login = f"portal_{owner.info.dbname}"
    owner.execute(f"CREATE ROLE {login} IN ROLE enpilot_portal")
    with connect(database_url, "portal", autocommit=True) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {login}")
        yield connection
    owner.execute(f"DROP ROLE {login}")


def person(owner: Connection, login: str) -> int:
    row = owner.execute(
        "INSERT INTO person (login, name, created_by) VALUES (%s, 'N', 'test') RETURNING person_id",
        (login,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def grant(
    owner: Connection, person_id: int, place: str = "site_id", since: str = "'-1 day'",
    until: str = "NULL", *, secrets: bool = True, crew: bool = True, role: str = "viewer",
) -> None:  # fmt: skip
    value = {
        "site_id": "(SELECT site_id FROM site WHERE code = 'ours')",
        "enterprise_id": "(SELECT enterprise_id FROM enterprise WHERE code = 'owner')",
        "former": "(SELECT enterprise_id FROM enterprise WHERE code = 'former')",
        "everything": "true",
    }[place]
    column = "enterprise_id" if place == "former" else place
    owner.execute(
        f"INSERT INTO person_grant (person_id, role, {column}, trade_secrets, crew_figures,"
        f" valid_from, valid_to, author, reason) VALUES ({person_id}, '{role}', {value},"
        f" {secrets}, {crew}, now() + {since}::interval, now() + {until}::interval, 't', 't')"
    )


def answer(portal: Connection, person_id: int, statement: str) -> set[Any]:
    """Return the first column of what the database answers a person."""
    with portal.transaction():
        portal.execute("SET LOCAL ROLE enpilot_person")
        portal.execute("SELECT set_config('enpilot.person_id', %s, true)", (str(person_id),))
        return {row[0] for row in portal.execute(statement.encode())}


def own(owner: Connection) -> None:
    """Give ours an owner, and a former one."""
    for code, until in (("owner", "NULL"), ("former", "'-1 day'")):
        owner.execute(f"INSERT INTO enterprise (code) VALUES ('{code}')")
        owner.execute(
            "INSERT INTO site_enterprise (site_id, enterprise_id, share, valid_from, valid_to,"
            " author, reason, commit_no) SELECT site_id, enterprise_id, 1, '2020-01-01',"
            f" now() + {until}::interval, 't', 't', 1 FROM site, enterprise"
            f" WHERE site.code = 'ours' AND enterprise.code = '{code}'"
        )


def as_person(portal: Connection, person_id: int | None, code: str, only: int = 0) -> Any:
    """Return what a person sees of a site, as the portal asks for a page."""
    with portal.transaction():
        portal.execute("SET LOCAL ROLE enpilot_person")
        if person_id is not None:
            portal.execute("SELECT set_config('enpilot.person_id', %s, true)", (str(person_id),))
            portal.execute("SELECT set_config('enpilot.only_site_id', %s, true)",
                           (str(only or ""),))  # fmt: skip
        return seen(portal, code)


def test_a_person_sees_where_a_grant_is_in_force(owner: Connection, portal: Connection) -> None:
    own(owner)
    for number, (words, (place, since, until, sees)) in enumerate(BY_GRANT.items()):
        someone = person(owner, f"person{number}")
        grant(owner, someone, place, since, until)
        assert as_person(portal, someone, "ours") == (ALL if sees else NOTHING), words
        elsewhere = ALL if place == "everything" else NOTHING
        assert as_person(portal, someone, "theirs") == elsewhere, words
        # A token for one site narrows what its person sees.
        row = owner.execute("SELECT site_id FROM site WHERE code = 'theirs'").fetchone()
        assert row is not None
        assert as_person(portal, someone, "ours", only=row[0]) == NOTHING, words
    assert as_person(portal, None, "ours") == NOTHING
    assert as_person(portal, 999, "ours") == NOTHING
    seeing = person(owner, "leaving")
    grant(owner, seeing)
    assert as_person(portal, seeing, "ours") == ALL
    owner.execute("UPDATE person SET disabled_at = now(), disabled_by = 't' WHERE person_id = %s",
                  (seeing,))  # fmt: skip
    assert as_person(portal, seeing, "ours") == NOTHING
    owner.execute("UPDATE person SET disabled_at = NULL, disabled_by = NULL")
    owner.execute("UPDATE person_grant SET revoked_at = now(), revoked_by = 't'")
    assert as_person(portal, seeing, "ours") == NOTHING


def test_secrets_and_crews_are_not_there_for_whom_the_grant_leaves_them_out(
    owner: Connection, portal: Connection
) -> None:
    # An EnPI of one shift beside the period's; the trigger keeps what it was.
    owner.execute("CREATE TEMP TABLE crew AS SELECT * FROM enpi_period")
    owner.execute("UPDATE crew SET period_kind = 'shift', shift = 'A'")
    owner.execute("INSERT INTO enpi_period SELECT * FROM crew")
    whole = ALL | {"enpi_period": 2, "figure_version": 5}
    without_secrets = {name: 0 if name in SECRET else rows for name, rows in whole.items()}
    without_crew = ALL
    for number, (secrets, crew, due) in enumerate((
        (True, True, whole), (False, True, without_secrets), (True, False, without_crew),
        (False, False, without_secrets | {"enpi_period": 1, "figure_version": 4}),
    )):  # fmt: skip
        someone = person(owner, f"outsider{number}")
        grant(owner, someone, secrets=secrets, crew=crew, until="'1 day'", role="regulator")
        assert as_person(portal, someone, "ours") == due
    # The same for a database role with a data source of its own.
    reader = f"reader_{owner.info.dbname}"
    owner.execute(f"CREATE ROLE {reader} IN ROLE enpilot_reader")
    try:
        owner.execute(
            "INSERT INTO role_grant (role_name, site_id, valid_from, author, trade_secrets,"
            " crew_figures) SELECT %s, site_id, now(), 't', false, true FROM site"
            " WHERE code = 'ours'", (reader,),
        )  # fmt: skip
        with owner.transaction():
            owner.execute(f"SET LOCAL ROLE {reader}")
            # Nor does naming a person help whoever is not the portal.
            owner.execute("SELECT set_config('enpilot.person_id', '1', true)")
            assert seen(owner, "ours") == without_secrets
            assert seen(owner, "theirs") == NOTHING
    finally:
        owner.execute(f"DROP ROLE {reader}")


def test_the_portals_login_reads_no_figure_and_nobody_rewrites_the_log(
    owner: Connection, portal: Connection
) -> None:
    denied = psycopg.errors.InsufficientPrivilege
    for relation in set(GUARDED) | {"reading", "interval_advance"}:
        with pytest.raises(denied):
            portal.execute(f"SELECT 1 FROM {relation} LIMIT 1")
    someone = person(owner, "someone")
    grant(owner, someone, role="administrator", place="everything")
    for statement in (
        "SELECT password_hash FROM person", "SELECT * FROM portal_session",
        "SELECT * FROM sign_in_link", "SELECT * FROM api_token", "SELECT * FROM access_log",
        "INSERT INTO output (site_id) SELECT site_id FROM output", "UPDATE person SET name = 'x'",
        "DELETE FROM finding",
    ):  # fmt: skip
        with pytest.raises(denied):
            answer(portal, someone, statement)
    portal.execute("INSERT INTO access_log (event, actor) VALUES ('sign_in', 't')")
    for statement in ("UPDATE access_log SET actor = 'x'", "DELETE FROM access_log"):
        with pytest.raises(denied):
            portal.execute(statement.encode())
        with pytest.raises(psycopg.errors.RestrictViolation):
            owner.execute(statement.encode())
    with pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute("TRUNCATE access_log")
    # A grant is ended, never widened or taken back from the record.
    for statement in ("UPDATE person_grant SET everything = true", "DELETE FROM person_grant",
                      "INSERT INTO role_permission VALUES ('viewer', 'manage_people')",
                      "INSERT INTO role_grant SELECT * FROM role_grant"):  # fmt: skip
        with pytest.raises(denied):
            portal.execute(statement.encode())


def test_what_a_grant_opens_is_the_roles_and_no_more(owner: Connection, portal: Connection) -> None:
    clerk = person(owner, "clerk")
    grant(owner, clerk, role="operator", secrets=False)

    def permissions(person_id: int) -> set[str]:
        return answer(portal, person_id, "SELECT permission FROM granted_permission")

    assert permissions(clerk) == {
        "see", "see_crew", "acknowledge_alert", "enter_output", "propose_correction"
    }  # fmt: skip
    outsider = person(owner, "outsider")
    with pytest.raises(psycopg.errors.CheckViolation):
        grant(owner, outsider, role="regulator")  # without an end
    with pytest.raises(psycopg.errors.CheckViolation):
        owner.execute("INSERT INTO role_grant (role_name, site_id, valid_from, author)"
                      " SELECT 'enpilot_person', site_id, now(), 't' FROM site")  # fmt: skip
