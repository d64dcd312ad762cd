"""Every route, for everyone: what each role, a token and a stranger are answered, here and there.

The answers are written down by rule below; a route that no rule knows fails the test.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from dashboards.portal.access import api_tokens, grants, links, people
from dashboards.portal.access.grants import ROLES, Scope
from dashboards.portal.access.identity import Identity
from dashboards.portal.catalogue import PAGES
from enpilot.database import connect

OWN, FOREIGN = "steel", "glycerine"
MANAGERS = {"manager_of_all", "administrator"}
# Which permission each role has at its own site: typed in, not read from what is tested.
SEES = {"see", "see_trade_secrets", "see_crew"}
WORKS = SEES | {"acknowledge_alert", "enter_output", "propose_correction"}
MANAGES = WORKS | {
    "approve_correction", "close_period", "edit_rules", "decide_waste", "manage_plant"
}  # fmt: skip
MAY = {
    "viewer": SEES, "regulator": SEES, "operator": WORKS, "energy_manager": MANAGES,
    "administrator": MANAGES | {"manage_people", "read_access_log"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who asks: signed in with a role at a place, by a token, or not at all."""

    name: str
    role: str | None
    client: httpx.Client
    everywhere: bool = False
    token: str | None = None  # its scope


@pytest.fixture(scope="module")
def callers(portal: str, portal_database: str) -> Iterator[list[Caller]]:
    made: list[Caller] = []
    with connect(portal_database, "test", autocommit=True) as connection:
        site = grants.find_scope(connection, f"site/{OWN}")
        made.extend(_signed_in(connection, portal, role, role, site) for role in ROLES)
        made.append(_signed_in(connection, portal, "of_owner", "viewer",
                               _enterprise(connection)))  # fmt: skip
        everything = Scope(everything=True)
        made.append(_signed_in(connection, portal, "manager_of_all", "administrator", everything))
        person = people.find_person(connection, "viewer")
        assert person is not None
        identity = Identity(person_id=person.person_id, login="viewer", name="Viewer")
        for scope in ("read", "export"):
            token = api_tokens.make_token(connection, identity, "test", [scope], 1)  # type: ignore[list-item]  # one of both
            bearer = {"authorization": f"Bearer {token}"}
            client = httpx.Client(base_url=portal, headers=bearer)
            made.append(Caller(f"token_{scope}", "viewer", client, token=scope))
    made.append(Caller("stranger", None, httpx.Client(base_url=portal)))
    yield made
    for caller in made:
        caller.client.close()


def _enterprise(connection: psycopg.Connection[Any]) -> Scope:
    """Return an enterprise that owns the own site now, and did own the foreign one."""
    row = connection.execute(
        "INSERT INTO enterprise (code) VALUES ('owner') RETURNING enterprise_id"
    ).fetchone()
    assert row is not None
    for code, until in ((OWN, None), (FOREIGN, dt.timedelta(days=-1))):
        connection.execute(
            "INSERT INTO site_enterprise (site_id, enterprise_id, share, valid_from, valid_to,"
            " author, reason, commit_no) SELECT site_id, %s, 1, '2020-01-01', now() + %s::interval,"
            " 'test', 'test', 1 FROM site WHERE code = %s",
            (row[0], until, code),
        )
    return Scope(enterprise_id=int(str(row[0])))


def _signed_in(
    connection: psycopg.Connection[Any], portal: str, login: str, role: Any, scope: Scope
) -> Caller:
    person_id = people.make_person(connection, login, login, "test")
    grants.make_grant(
        connection, person_id, role, scope, trade_secrets=True, crew_figures=True, author="test",
        reason="test", valid_to=dt.datetime.now(dt.UTC) + dt.timedelta(days=1),
    )  # fmt: skip
    client = httpx.Client(base_url=portal)
    path = links.make_link(connection, "sign_in", person_id, "test")
    assert client.post(path).status_code == 303
    return Caller(login, role, client, everywhere=scope.everything)


# Open to all: what leads in, files without a figure, health.
FREE = {
    ("GET", "/healthz"): 200,
    ("GET", "/login"): 200,
    ("POST", "/login"): 401,
    ("GET", "/login/oidc"): 404,  # no provider is set up
    ("GET", "/login/oidc/callback"): 404,
    ("GET", "/link/{token}"): 404,
    ("POST", "/link/{token}"): 404,
    ("GET", "/portal/{name}"): 404,
}
# For whoever is signed in; forms without the session's word are refused.
SIGNED_IN = {
    ("GET", "/"): 307,
    ("GET", "/account"): 200,
    ("POST", "/logout"): 403,
    ("POST", "/account/password"): 403,
    ("POST", "/account/sessions/{session_id}/end"): 403,
    ("POST", "/account/tokens"): 403,
    ("POST", "/account/tokens/{token_id}/revoke"): 403,
}
PEOPLE = {
    ("GET", "/people"): 200,
    ("POST", "/people/invite"): 403,
    ("POST", "/people/{person_id}/grants"): 403,
    ("POST", "/people/grants/{grant_id}/revoke"): 403,
    ("POST", "/people/{person_id}/disable"): 403,
    ("POST", "/people/{person_id}/enable"): 403,
    ("POST", "/people/{person_id}/reset"): 403,
}
EVERYWHERE_ONLY = {("GET", "/people/log"): 200}
# An interface's description holds no figure, but is not for strangers either.
DESCRIPTION = {("GET", "/api/v1/openapi.json"): 200}


def expected(caller: Caller, method: str, path: str, site: str) -> int:
    """Return the status that the rules give; KeyError: no rule knows the route."""
    key = (method, path)
    if key in FREE:
        return FREE[key]
    api = path.startswith("/api/")
    signed_in = caller.role is not None and (api or caller.token is None)
    if not signed_in:
        return 401 if api else 303
    if api and caller.token not in (None, "read"):
        return 403
    if key in DESCRIPTION:
        return DESCRIPTION[key]
    if key in SIGNED_IN:
        return SIGNED_IN[key]
    if key in PEOPLE:
        return PEOPLE[key] if caller.name in MANAGERS else 403
    if key in EVERYWHERE_ONLY:
        return EVERYWHERE_ONLY[key] if caller.everywhere else 403
    asked = _asking(caller, path)
    if asked is not None:
        return asked
    if site == FOREIGN and not caller.everywhere:
        return 404
    if re.search(r"\{(series|point|rule)\}", path) and site == FOREIGN:
        return 404  # they are of the own site
    if path.endswith("/s/{site}/live"):
        return 200
    page = next(p for p in PAGES if path.removeprefix("/api/v1").removeprefix("/s/{site}/")
                in (p.path, p.entry))  # fmt: skip
    assert caller.role is not None
    return 200 if page.permission in MAY[caller.role] else 403


def _asking(caller: Caller, path: str) -> int | None:
    """Return what asking a service for something unheard of is answered."""
    if path == "/s/{site}/ask/{kind}":
        return 403  # without the session's word
    if path.endswith("/requests/{kind}"):
        return 400 if caller.token is None else 403  # no JSON was sent; a token reads
    return 404 if path.endswith("/requests/{request_id}") else None


def _routes() -> list[tuple[str, str]]:
    from nicegui import app as pages

    from dashboards.portal.app import create_app

    outer: FastAPI = create_app("postgresql://nobody@127.0.0.1:1/none")
    found = set()
    for route in (*_flat(outer.routes), *pages.routes):
        if isinstance(route, Mount):
            assert route.path in ("", "/_nicegui_ws") or route.path.endswith("/static"), route.path
            continue  # the pages themselves; the library's socket and files
        assert isinstance(route, Route), route
        if not route.path.startswith("/_nicegui"):  # scripts and styles of the library
            found |= {(m, route.path) for m in route.methods or () if m not in ("HEAD", "OPTIONS")}
    return sorted(found)


def _flat(routes: Sequence[Any]) -> Iterator[Any]:
    for route in routes:
        included = getattr(route, "original_router", None)  # of newer releases of FastAPI
        if included is None:
            yield route
        else:
            yield from _flat(included.routes)


def _filled(path: str, site: str, series: str) -> str:
    indicator = {OWN: "electricity-per-tonne", FOREIGN: "steam-per-tonne"}[site]
    words = {
        "site": site,
        "indicator": indicator,
        "series": series,
        "point": "main",
        "rule": "high-power",
    }
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: words.get(m[1], "999999"), path)


def test_every_route_answers_everyone_by_rule(
    callers: list[Caller], connection: psycopg.Connection[Any]
) -> None:
    series = connection.execute(
        "SELECT min(series_id) FROM series JOIN site USING (site_id) WHERE code = %s", (OWN,)
    ).fetchone()
    assert series is not None
    routes = _routes()
    assert len(routes) > len(FREE | SIGNED_IN | PEOPLE | EVERYWHERE_ONLY)
    wrong = []
    for method, path in routes:
        for site in (OWN, FOREIGN) if "{site}" in path else (OWN,):
            for caller in callers:
                try:
                    due = expected(caller, method, path, site)
                except StopIteration:
                    pytest.fail(f"no rule says who may {method} {path}")
                got = caller.client.request(
                    method,
                    _filled(path, site, str(series[0])),
                    timeout=30,
                    data={"login": caller.name} if method == "POST" else None,
                ).status_code
                if got != due:
                    wrong.append(f"{caller.name} {method} {path} at {site}: {got}, not {due}")
    assert wrong == []


def test_a_form_of_another_site_or_another_session_changes_nothing(callers: list[Caller]) -> None:
    manager = next(c for c in callers if c.name == "manager_of_all")
    word = _word(manager.client)
    other = next(c for c in callers if c.name == "administrator")
    for headers in (
        {"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"},
        {"origin": "null"},
    ):  # fmt: skip
        sent = manager.client.post("/logout", data={"csrf": word}, headers=headers)
        assert sent.status_code == 403
    assert other.client.post("/logout", data={"csrf": word}).status_code == 403
    assert manager.client.get("/account").status_code == 200


def _word(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)
    assert found is not None
    return found[1]


def test_an_administrator_of_a_site_reaches_nobody_who_may_more(
    callers: list[Caller], portal_database: str
) -> None:
    local = next(c for c in callers if c.name == "administrator")
    csrf = _word(local.client)
    with connect(portal_database, "test", autocommit=True) as connection:
        numbers = {p.login: p.person_id for p in people.list_people(connection)}
        held = {g.person_id: g.person_grant_id for g in grants.list_grants(connection)}
        above, below = numbers["manager_of_all"], numbers["viewer"]

        def sent(path: str, **fields: str) -> int:
            return local.client.post(path, data={"csrf": csrf, **fields}).status_code

        for act in ("reset", "disable"):
            assert sent(f"/people/{above}/{act}") == 404
        assert sent(f"/people/grants/{held[above]}/revoke") == 404
        wanted = {"role": "administrator", "reason": "x"}
        for scope in ("*", f"site/{FOREIGN}", "enterprise/owner"):
            assert sent(f"/people/{below}/grants", scope=scope, **wanted) == 404
        own = numbers["administrator"]
        assert sent(f"/people/{own}/grants", scope=f"site/{OWN}", **wanted) == 404
        assert sent(f"/people/{below}/grants", scope=f"site/{OWN}", **wanted) == 303
        assert sent("/people/invite", login="new", role="viewer", scope=f"site/{OWN}",
                    reason="trial") == 200  # fmt: skip
        after = {p.login: p for p in people.list_people(connection)}
        assert after["manager_of_all"].disabled_at is None
        assert [g.role for g in grants.grants_of(connection, after["new"].person_id)] == ["viewer"]
        # Undone, for the tests that share these people.
        grants.revoke_grant(connection, grants.grants_of(connection, below)[-1], "test")


@pytest.mark.parametrize("address", ["//elsewhere.example", "https://elsewhere.example", "/\\x",
                                     "/a\nb", "", None, "/login?next=/"])  # fmt: skip
def test_after_the_sign_in_it_goes_on_within_the_portal(address: str | None) -> None:
    from dashboards.portal.access.middleware import local_path

    assert local_path(address) == "/"
    assert local_path("/s/steel/overview?t=2025-09") == "/s/steel/overview?t=2025-09"
