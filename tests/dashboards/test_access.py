"""Signing in: the first administrator, passwords, waits, links and sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher

from dashboards.errors import PortalRoleError
from dashboards.portal.access import links, lockout, people, sessions
from dashboards.portal.access.middleware import COOKIE
from dashboards.portal.access.passwords import check_password, hash_password
from dashboards.portal.access.words import EVENTS, PERMISSIONS
from dashboards.portal.database import check_roles
from enpilot.database import connect
from tests.dashboards.conftest import running_portal

Connection = psycopg.Connection[Any]
ROOT = Path(__file__).parents[2]
GOOD = "correct horse battery"


@pytest.fixture
def portal_login(postgres_url: str) -> Iterator[str]:
    """An empty database's address for the portal's own login, made as an installation makes it."""
    script = (ROOT / "deploy/postgres/portal_role.sh").read_text("utf-8")
    statements = script.split("<<'SQL'\n")[1].removesuffix("SQL\n").splitlines()
    with connect(postgres_url, "test", autocommit=True) as owner:
        login = f"portal_{owner.info.dbname}"
        for statement in statements:
            if "ROLE enpilot_portal NOLOGIN" in statement:
                continue  # roles are the whole server's: the migration made it here
            owner.execute(
                statement.replace("ROLE portal ", f"ROLE {login} ")
                .replace(":'password'", "'x'").encode()
            )  # fmt: skip
        yield psycopg.conninfo.make_conninfo(postgres_url, user=login, password="x")
        owner.execute(f"DROP ROLE {login}")


def _word(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
    assert found is not None
    return found[1]


def _log_in(client: httpx.Client, login: str, password: str) -> httpx.Response:
    return client.post("/login?lang=en", data={"login": login, "password": password})


def test_from_the_first_start_to_a_person_who_is_let_in_no_more(
    portal_login: str, tmp_path: Path
) -> None:
    with (
        running_portal(portal_login, tmp_path) as address,
        httpx.Client(base_url=address, timeout=20) as admin,
        httpx.Client(base_url=address, timeout=20) as guest,
        httpx.Client(base_url=address, timeout=20) as stranger,
    ):
        printed = re.findall(rf"{address}(/link/\S+)", (tmp_path / "log").read_text())
        assert len(printed) == 1
        assert "The first administrator" in admin.get(printed[0] + "?lang=en").text
        fields = {"login": "Zhang.San", "name": "张三", "password": "short", "again": "short"}
        assert admin.post(printed[0], data=fields).status_code == 422
        fields |= {"password": GOOD, "again": GOOD}
        entered = admin.post(printed[0], data=fields)
        assert entered.status_code == 303
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert stranger.post(printed[0], data=fields | {"login": "second"}).status_code == 404
        assert "张三" in admin.get("/account").text

        csrf = _word(admin)
        invited = {"csrf": csrf, "login": "inspector", "role": "regulator", "scope": "*",
                   "reason": "audit"}  # fmt: skip
        refused = admin.post("/people/invite", data=invited)
        assert refused.status_code == 422  # a regulator's grant ends
        made = admin.post("/people/invite", data=invited | {"valid_to": "2999-01-01"})
        path = re.search(rf"<code>{address}(/link/[^<]+)</code>", made.text)
        assert path is not None
        assert guest.post(path[1], data={"password": GOOD, "again": GOOD}).status_code == 303
        assert guest.get("/people").status_code == 403
        before = guest.cookies[COOKIE]
        assert _log_in(guest, " Inspector", GOOD).status_code == 303
        assert guest.cookies[COOKIE] != before  # a new session at each sign-in; the old one ends
        old = httpx.get(f"{address}/account", cookies={COOKIE: before})
        assert old.status_code == 303

        # Whether there is such a login is not told, and enough wrong ones make wait, right or not.
        for login in ("inspector", "nobody"):
            answers = [_log_in(stranger, login, "wrong password") for _ in range(6)]
            assert [a.status_code for a in answers] == [401] * 5 + [429]
            assert "wrong" in answers[0].text
        assert _log_in(stranger, "inspector", GOOD).status_code == 429
        assert COOKIE not in stranger.cookies
        assert guest.get("/account").status_code == 200  # who is in stays in

        number = re.search(r"/people/(\d+)/disable", admin.get("/people").text)
        assert number is not None
        off = admin.post(f"/people/{number[1]}/disable", data={"csrf": csrf})
        assert off.status_code == 303
        left = guest.get("/account?lang=en")
        assert left.status_code == 303
        assert left.headers["location"] == "/login?next=%2Faccount%3Flang%3Den"
        log = admin.get("/people/log?lang=en").text
        for words in ("person made", "granted", "signed in", "sign-in failed", "locked for a time",
                      "person disabled", "inspector", "zhang.san", "127.0.0.1"):  # fmt: skip
            assert words in log, words
        assert "nobody" not in log  # it may have been a password
        assert admin.post("/logout", data={"csrf": csrf}).headers["location"] == "/login"
        assert admin.get("/").headers["location"] == "/login?next=%2F"
        words = (tmp_path / "log").read_text()
        assert GOOD not in words
        assert "Traceback" not in words


@pytest.mark.parametrize(
    ("failures", "since", "wait"),
    [(4, 0, 0), (5, 0, 30), (5, 29.5, 1), (5, 30, 0), (6, 0, 60), (9, 0, 480), (99, 0, 3600)],
)
def test_each_failure_doubles_the_wait_up_to_an_hour(
    failures: int, since: float, wait: int
) -> None:
    assert lockout.wait_s(failures, since, 5) == wait


def test_an_address_that_tries_many_logins_waits_too(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        for number in range(20):
            attempt, wait, _ = lockout.begin_attempt(connection, f"guess{number}", "203.0.113.9")
            assert (attempt is None, wait) == (False, 0)
        attempt, wait, _ = lockout.begin_attempt(connection, "another", "203.0.113.9")
        assert attempt is None
        assert 0 < wait <= 30
        assert lockout.begin_attempt(connection, "another", "203.0.113.10")[0] is not None


def test_a_hash_of_weaker_parameters_is_renewed_and_nobody_has_a_password() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8192).hash(GOOD)
    right, renewed = check_password(weak, GOOD)
    assert right
    assert renewed is not None
    assert check_password(renewed, GOOD) == (True, None)
    assert check_password(hash_password(GOOD), GOOD + " ") == (False, None)
    # What an unknown login is compared with, to take as long, lets nobody in.
    assert check_password(None, "nobody's") == (False, None)


def test_a_session_ends_idle_and_at_the_latest_after_a_week(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        person_id = people.make_person(connection, "sitting", "Sitting", "test")
        token = sessions.start_session(connection, person_id, "127.0.0.1", "a browser")

        def moved(interval: str) -> bool:
            connection.execute(
                "UPDATE portal_session SET seen_at = seen_at - %(by)s::interval,"
                " idle_to = idle_to - %(by)s::interval, valid_to = valid_to - %(by)s::interval"
                " WHERE person_id = %(person)s",
                {"by": interval, "person": person_id},
            )
            return sessions.find_session(connection, token) is not None

        assert [moved("11 hours") for _ in range(15)] == [True] * 15  # each visit moves its end
        assert not moved("11 hours")  # 176 hours: more than a week
        other = sessions.start_session(connection, person_id, "127.0.0.1", "a browser")
        assert sessions.find_session(connection, other) is not None
        token = other
        assert not moved("13 hours")
        assert sessions.find_session(connection, token[:-1]) is None


def test_a_link_opens_once_for_a_time_and_the_latest_only(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        person_id = people.make_person(connection, "invited", "Invited", "test")

        def made(purpose: links.Purpose = "invitation") -> str:
            whose = None if purpose == "first_start" else person_id
            return links.make_link(connection, purpose, whose, "test").removeprefix("/link/")

        former, latest = made(), made()
        assert links.use_link(connection, former) is None
        opened = links.use_link(connection, latest)
        assert opened is not None
        assert (opened.login, opened.purpose) == ("invited", "invitation")
        assert links.use_link(connection, latest) is None
        # No second first administrator: there are people.
        assert links.peek_link(connection, made("first_start")) is None
        ended = made("reset")
        connection.execute("UPDATE sign_in_link SET valid_to = now() WHERE person_id = %s",
                           (person_id,))  # fmt: skip
        assert links.peek_link(connection, ended) is None
        last = made("sign_in")
        people.set_disabled(connection, person_id, "test", disabled=True)
        assert links.use_link(connection, last) is None
        kept = connection.execute("SELECT token_sha256 FROM sign_in_link").fetchall()
        assert all(latest.encode() not in bytes(row[0]) for row in kept)


def test_without_the_right_to_read_as_a_person_it_says_what_to_do(
    connection: Connection, portal_database: str
) -> None:
    login = f"other_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {login}".encode())
    try:
        with connect(portal_database, "test", autocommit=True) as other:
            other.execute(f"SET SESSION AUTHORIZATION {login}".encode())
            with pytest.raises(PortalRoleError, match=r"db migrate.*GRANT enpilot_portal TO"):
                check_roles(other)
    finally:
        connection.execute(f"DROP ROLE {login}".encode())


def test_the_reference_says_what_each_role_may(connection: Connection) -> None:
    page = (ROOT / "docs/reference/access.md").read_text("utf-8")
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")]
            for line in page.splitlines() if line.startswith("|")]  # fmt: skip
    heads = next(row for row in rows if row[0] == "permission")
    told = {
        (role, row[0])
        for row in rows if row[0] in PERMISSIONS
        for role, cell in zip(heads[1:6], row[1:6], strict=True) if cell
    }  # fmt: skip
    stored = {(r[0], r[1]) for r in connection.execute("TABLE role_permission")}
    assert told == stored
    assert {permission for _, permission in stored} == set(PERMISSIONS)
    for event in EVENTS:
        assert f"`{event}`" in page
