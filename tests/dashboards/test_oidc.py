"""Sign-in by an identity provider that really listens: the whole way, and every way to forge it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from dashboards.portal.access import grants, people
from dashboards.portal.access.oidc import settings_from
from enpilot.database import connect
from enpilot.errors import ConfigurationError
from tests.dashboards.conftest import running_portal

CLIENT, SECRET = "enpilot-portal", "of-the-test-only"


class Idp(ThreadingHTTPServer):
    """A provider with one key; what it says of people is up to the test."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = RSAKey.generate_key(2048, {"kid": "k1"})
        self.signing = self.key
        self.claims: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.secrets: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def authorize(self, address: str) -> str:
        """Do what a person does at the provider; return where the browser is sent back to."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        query = urllib.parse.urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}?{query}"

    def token(self, sent: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(sent["code"], None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest())
        if asked is None or proof.rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": "s-1", "nonce": asked["nonce"],
            "exp": int(time.time()) + 300, "iat": int(time.time()),
        } | self.claims  # fmt: skip
        text = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.signing)
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": text}


class _Handler(BaseHTTPRequestHandler):
    server: Idp

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url = self.server.url
        if self.path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": f"{url}/authorize",
                    "token_endpoint": f"{url}/token", "jwks_uri": f"{url}/keys"}  # fmt: skip
            self._send(200, {"issuer": url, **ends})
        else:
            self._send(200, {"keys": [self.server.key.as_dict(private=False)]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.secrets.append(self.headers.get("Authorization", ""))
        self._send(*self.server.token(dict(urllib.parse.parse_qsl(body))))

    def _send(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture(scope="module")
def idp() -> Iterator[Idp]:
    server = Idp()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def portal_with_idp(
    portal_database: str, idp: Idp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with connect(portal_database, "test", autocommit=True) as connection:
        person = people.make_person(connection, "wang@works.example", "Wang", "test")
        grants.make_grant(
            connection, person, "viewer", grants.find_scope(connection, "site/mill"),
            trade_secrets=True, crew_figures=True, author="test", reason="test",
        )  # fmt: skip
    settings = {
        "ENPILOT_OIDC_ISSUER": idp.url, "ENPILOT_OIDC_CLIENT_ID": CLIENT,
        "ENPILOT_OIDC_CLIENT_SECRET": SECRET, "ENPILOT_OIDC_NAME": "Works SSO",
    }  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("oidc-portal")
    with running_portal(portal_database, folder, settings) as address:
        yield address


@pytest.fixture
def sign_in(portal_with_idp: str, idp: Idp) -> Iterator[Any]:
    """Go the way to the provider and back; returns the browser and what it was answered."""
    with ExitStack() as browsers:

        def go(**claims: Any) -> tuple[httpx.Client, httpx.Response]:
            idp.claims = claims
            client = httpx.Client(base_url=portal_with_idp, timeout=20)
            browsers.enter_context(client)
            begun = client.get("/login/oidc?next=/s/mill/waste")
            assert begun.status_code == 303
            return client, client.get(idp.authorize(begun.headers["location"]))

        yield go


VERIFIED = {"email": "Wang@works.example", "email_verified": True}


def test_who_is_invited_signs_in_and_goes_on(
    sign_in: Any, portal_with_idp: str, idp: Idp, connection: psycopg.Connection[Any]
) -> None:
    offered = httpx.get(f"{portal_with_idp}/login?lang=en")
    assert "Works SSO" in offered.text
    client, answer = sign_in(**VERIFIED)
    assert (answer.status_code, answer.headers["location"]) == (303, "/s/mill/waste")
    assert client.get("/s/mill/waste").status_code == 200
    assert client.get("/s/steel/waste").status_code == 404  # a grant is still a grant
    # From now on the subject is the person, whatever address it has.
    _, again = sign_in(email="new@works.example", email_verified=True)
    assert again.status_code == 303
    # And the address, given to somebody else, leads to nobody.
    _, other = sign_in(sub="s-2", **VERIFIED)
    assert other.status_code == 403
    assert connection.execute(
        "SELECT subject FROM person_identity WHERE issuer = %s", (idp.url,)
    ).fetchall() == [("s-1",)]


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "wang@works.example"},  # not verified
        {"email": "nobody@works.example", "email_verified": True},
        {**VERIFIED, "aud": "another-client"},
        {**VERIFIED, "iss": "https://evil.example"},
        {**VERIFIED, "nonce": "of another sign-in"},
        {**VERIFIED, "exp": 1_700_000_000},
    ],
    ids=["unverified", "uninvited", "audience", "issuer", "nonce", "expired"],
)
def test_a_token_that_does_not_fit_signs_nobody_in(sign_in: Any, claims: dict[str, Any]) -> None:
    client, answer = sign_in(**({"sub": "s-9"} | claims))
    assert answer.status_code == 403
    assert client.get("/s/mill/waste").status_code == 303


def test_another_key_another_state_and_a_used_code_sign_nobody_in(
    sign_in: Any, portal_with_idp: str, idp: Idp
) -> None:
    idp.signing = RSAKey.generate_key(2048, {"kid": "k1"})
    try:
        assert sign_in(**VERIFIED)[1].status_code == 403
    finally:
        idp.signing = idp.key
    idp.claims = dict(VERIFIED)
    with httpx.Client(base_url=portal_with_idp, timeout=20) as client:
        back = idp.authorize(client.get("/login/oidc").headers["location"])
        assert httpx.get(back).status_code == 403  # a browser that never began it
        assert client.get(back.replace("state=", "state=x")).status_code == 403
    with httpx.Client(base_url=portal_with_idp, timeout=20) as client:
        back = idp.authorize(client.get("/login/oidc").headers["location"])
        kept = client.cookies.get("enpilot_oidc", path="/login/oidc/callback")
        assert client.get(back).status_code == 303
        cookie = {"cookie": f"enpilot_oidc={kept}"}
        assert httpx.get(back, headers=cookie).status_code == 403  # the code was used


def test_without_a_provider_there_is_no_way_in_by_it(portal: str) -> None:
    assert httpx.get(f"{portal}/login/oidc").status_code == 404
    assert httpx.get(f"{portal}/login/oidc/callback?code=x&state=y").status_code == 404


def test_settings_that_are_half_there_are_refused() -> None:
    assert settings_from({}) is None
    with pytest.raises(ConfigurationError, match="ENPILOT_OIDC_CLIENT_SECRET"):
        settings_from({"ENPILOT_OIDC_ISSUER": "https://idp.example"})
    with pytest.raises(ConfigurationError, match="https"):
        settings_from({"ENPILOT_OIDC_ISSUER": "http://idp.example"})
    whole = {
        "ENPILOT_OIDC_ISSUER": "https://idp.example/", "ENPILOT_OIDC_CLIENT_ID": "c",
        "ENPILOT_OIDC_CLIENT_SECRET": "hidden", "ENPILOT_PORTAL_ADDRESS": "https://p.example/",
    }  # fmt: skip
    settings = settings_from(whole)
    assert settings is not None
    assert settings.redirect_uri == "https://p.example/login/oidc/callback"
    assert "hidden" not in repr(settings)
