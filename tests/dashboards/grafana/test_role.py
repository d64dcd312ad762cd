"""The role of an enterprise: what it may, what it may not, and from when until when."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dashboards.grafana.cli import app
from dashboards.grafana.errors import GrafanaSettingsError
from dashboards.grafana.role import make_role
from dashboards.grafana.sources import EnterpriseSource, enterprise_sources
from enpilot.database import connect

PASSWORD = "not-a-secret-0123456789"


class Owned:
    """A database with two enterprises, their names unique: roles belong to the server."""

    def __init__(self, url: str) -> None:
        self.url = url
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        self.ours = EnterpriseSource(f"{name}-a")
        self.theirs = EnterpriseSource(f"{name}-b")
        with self.owner() as owner:
            for source, site in ((self.ours, "one"), (self.theirs, "two")):
                owner.execute("INSERT INTO site (code) VALUES (%s)", (site,))
                owner.execute("INSERT INTO enterprise (code) VALUES (%s)", (source.code,))
                self.own(owner, source, site, "2024-01-01Z", None)

    def owner(self) -> psycopg.Connection[Any]:
        return connect(self.url, "owner", autocommit=True)

    @staticmethod
    def own(
        owner: psycopg.Connection[Any], source: EnterpriseSource, site: str, since: str,
        until: str | None,
    ) -> None:  # fmt: skip
        owner.execute(
            "INSERT INTO site_enterprise (site_id, enterprise_id, share, valid_from, valid_to,"
            " author, reason, commit_no) SELECT site_id, enterprise_id, 1, %s, %s, 'test', 'test',"
            " 1 FROM site, enterprise WHERE site.code = %s AND enterprise.code = %s",
            (since, until, site, source.code),
        )

    def signed_in(self, source: EnterpriseSource) -> psycopg.Connection[Any]:
        """Sign in as the role; the tests' server trusts whoever reaches its socket."""
        return psycopg.connect(make_conninfo(self.url, user=source.role), autocommit=True)

    def takes(self, source: EnterpriseSource, password: str) -> bool:
        """Say whether the server would let the role in with a password (RFC 5803)."""
        with self.owner() as owner:
            row = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s",
                                (source.role,)).fetchone()  # fmt: skip
        assert row is not None
        kind, rounds, keys = row[0].split("$")
        assert kind == "SCRAM-SHA-256"
        count, salt = rounds.split(":")
        salted = hashlib.pbkdf2_hmac(
            "sha256", password.encode(), base64.b64decode(salt), int(count)
        )
        key = hmac.digest(salted, b"Client Key", "sha256")
        return hmac.compare_digest(
            hashlib.sha256(key).digest(), base64.b64decode(keys.split(":")[0])
        )

    def sites(self, source: EnterpriseSource) -> list[str]:
        with self.signed_in(source) as reader:
            return [r[0] for r in reader.execute("SELECT code FROM site JOIN granted_site"
                                                 " USING (site_id) ORDER BY 1")]  # fmt: skip


@pytest.fixture
def owned(postgres_url: str) -> Iterator[Owned]:
    made = Owned(postgres_url)
    yield made
    with made.owner() as owner:
        for source in (made.ours, made.theirs):
            if owner.execute("SELECT FROM pg_roles WHERE rolname = %s", (source.role,)).fetchone():
                owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(source.role)))


def grants(owned: Owned) -> list[tuple[Any, ...]]:
    with owned.owner() as owner:
        return owner.execute(
            "SELECT code, valid_from, valid_to > now() IS NOT FALSE FROM role_grant"
            " JOIN site USING (site_id) ORDER BY recorded_at, 1, 2"
        ).fetchall()


def test_a_role_reads_its_sites_and_cannot_do_more(owned: Owned) -> None:
    with owned.owner() as owner:
        owner.execute(sql.SQL("CREATE ROLE {} CREATEDB BYPASSRLS").format(
            sql.Identifier(owned.ours.role)))  # fmt: skip
        # Whatever it had before: the owner's rights would show it every site.
        owner.execute(sql.SQL("GRANT pg_read_all_data, {} TO {}").format(
            sql.Identifier(owner.info.user), sql.Identifier(owned.ours.role)))  # fmt: skip
        made = make_role(owner, owned.ours, PASSWORD, "test")
        make_role(owner, owned.theirs, PASSWORD, "test")
    assert not made.created
    assert owned.sites(owned.ours) == ["one"]
    assert owned.sites(owned.theirs) == ["two"]
    with owned.signed_in(owned.ours) as reader:
        row = reader.execute(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls,"
            " rolconnlimit, (SELECT array_agg(roleid::regrole::text) FROM pg_auth_members"
            " WHERE member = pg_roles.oid), current_setting('statement_timeout'),"
            " current_setting('default_transaction_read_only'), current_setting('TimeZone')"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, 20, ["enpilot_reader"], "30s", "on", "UTC")
        reader.execute("SET default_transaction_read_only = off")
        for statement in ("INSERT INTO site (code) VALUES ('x')", "DELETE FROM enpi_period",
                          "UPDATE role_grant SET valid_to = NULL", "SELECT 1 FROM reading",
                          "CREATE TABLE enpilot.mine ()"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement.encode())


def test_grants_follow_ownership_and_nothing_is_deleted(owned: Owned) -> None:
    with owned.owner() as owner:
        make_role(owner, owned.ours, PASSWORD, "test")
        assert make_role(owner, owned.ours, None, "test").ended == 0
        first = grants(owned)
        assert [(code, open_) for code, _, open_ in first] == [("one", True)]
        owner.execute("UPDATE site_enterprise SET superseded_commit_no = 2 FROM enterprise e"
                      " WHERE e.enterprise_id = site_enterprise.enterprise_id AND e.code = %s",
                      (owned.ours.code,))  # fmt: skip
        ends = (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).isoformat()
        owned.own(owner, owned.ours, "two", "2025-01-01Z", "2025-06-01Z")  # over
        owned.own(owner, owned.ours, "one", "2024-01-01Z", ends)  # sold in a month
        owned.own(owner, owned.ours, "two", ends, None)  # bought in a month
        assert make_role(owner, owned.ours, None, "test").ended == 1
    assert owned.sites(owned.ours) == ["one"]
    assert [(c, o) for c, _, o in grants(owned)] == [("one", False), ("one", True), ("two", True)]


def test_a_password_is_never_sent_as_it_is_and_never_short(owned: Owned) -> None:
    with owned.owner() as owner:
        with pytest.raises(GrafanaSettingsError, match="shorter than 16"):
            make_role(owner, owned.ours, "short", "test")
        with pytest.raises(GrafanaSettingsError, match="has " + owned.ours.code):
            make_role(owner, EnterpriseSource("nobody"), PASSWORD, "test")
        make_role(owner, owned.ours, PASSWORD, "test")
    assert owned.takes(owned.ours, PASSWORD)
    assert not owned.takes(owned.ours, PASSWORD + "x")


def test_the_command_says_a_password_once(
    owned: Owned, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[str, str]:
        app(["role", owned.ours.code, *words], result_action="return_value")
        said = capsys.readouterr()
        return said.out, said.err

    monkeypatch.setenv("ENPILOT_DATABASE_URL", owned.url)
    monkeypatch.setenv("LOGNAME", "somebody")
    said, beside = run()
    name, _, password = said.strip().partition("=")
    assert name == owned.ours.password_variable
    assert password not in beside
    assert owned.takes(owned.ours, password)
    assert owned.sites(owned.ours) == ["one"]
    with owned.owner() as owner:
        assert owner.execute("SELECT author FROM role_grant").fetchall() == [("somebody",)]
    said, beside = run()
    assert said == ""
    assert "its password stays" in beside
    said, _ = run("--renew")
    other = said.strip().partition("=")[2]
    assert owned.takes(owned.ours, other)
    assert not owned.takes(owned.ours, password)
    monkeypatch.setenv(name, PASSWORD)
    said, beside = run()
    assert said == ""
    assert PASSWORD not in beside
    assert owned.takes(owned.ours, PASSWORD)
    run("--revoke")
    with pytest.raises(psycopg.OperationalError):
        owned.signed_in(owned.ours)
    assert [(c, o) for c, _, o in grants(owned)] == [("one", False)]


def test_a_grant_needs_an_author(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user may have no name; nobody stands behind such a grant."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    with pytest.raises(GrafanaSettingsError, match="LOGNAME"):
        app(["role", "works"], result_action="return_value")


def test_names_fit_and_do_not_meet() -> None:
    long = EnterpriseSource("a" * 63)
    assert len(long.uid) == 40
    assert len(long.role) == 63
    assert EnterpriseSource("a" * 62).uid != long.uid
    with pytest.raises(GrafanaSettingsError, match="would share the password"):
        enterprise_sources(["a-b", "a_b"])
    for wrong in ([], ["A"], ['x"; DROP ROLE y']):
        with pytest.raises(GrafanaSettingsError):
            enterprise_sources(wrong)
