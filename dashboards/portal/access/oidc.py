"""Sign-in by the enterprise's own identity provider: OpenID Connect, code flow with PKCE.

Optional, and for people who are invited already: the first time a verified address has to be a
person's login, from then on the provider's subject is the person. Nobody is made here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import psycopg
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dashboards.errors import OidcAwayError, OidcRefusedError
from enpilot.errors import ConfigurationError
from enpilot.listening import is_loopback

__all__ = ["CALLBACK", "Claims", "OidcSettings", "Provider", "find_person", "settings_from"]

CALLBACK: Final = "/login/oidc/callback"
_TIMEOUT_S: Final = 10.0
_KEPT_S: Final = 3600.0  # a provider's metadata and keys
_LEEWAY_S: Final = 60
_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA"]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """A provider and what it knows the portal as.

    Attributes
    ----------
    issuer
        As it names itself, an https address.
    portal
        Address of the portal, whose callback is registered with the provider.
    name
        What its button says.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    portal: str
    name: str

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to."""
        return self.portal.rstrip("/") + CALLBACK


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider's token says of somebody."""

    issuer: str
    subject: str
    email: str | None  # verified


def settings_from(environment: Mapping[str, str] = os.environ) -> OidcSettings | None:
    """Read the settings; None if no provider is named.

    Raises
    ------
    ConfigurationError
        If something is missing, or the issuer is not reached by TLS.
    """
    issuer = environment.get("ENPILOT_OIDC_ISSUER", "").rstrip("/")
    if not issuer:
        return None
    parts = urllib.parse.urlsplit(issuer)
    if parts.scheme != "https" and not (parts.hostname and is_loopback(parts.hostname)):
        raise ConfigurationError(f"ENPILOT_OIDC_ISSUER {issuer!r} must begin with https://")
    needed = {
        name: environment.get(name, "")
        for name in (
            "ENPILOT_OIDC_CLIENT_ID", "ENPILOT_OIDC_CLIENT_SECRET", "ENPILOT_PORTAL_ADDRESS"
        )
    }  # fmt: skip
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(f"ENPILOT_OIDC_ISSUER is set, so set {', '.join(missing)} too")
    return OidcSettings(
        issuer=issuer, client_id=needed["ENPILOT_OIDC_CLIENT_ID"],
        client_secret=needed["ENPILOT_OIDC_CLIENT_SECRET"],
        portal=needed["ENPILOT_PORTAL_ADDRESS"],
        name=environment.get("ENPILOT_OIDC_NAME") or parts.hostname or issuer,
    )  # fmt: skip


class Provider:
    """One identity provider; its metadata and keys are read when first needed, and kept an hour."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = -_KEPT_S
        self._lock = asyncio.Lock()

    async def begin(self) -> tuple[str, str]:
        """Return where to send somebody, and what the browser keeps until it is back."""
        metadata = await self._known()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code", "client_id": self.settings.client_id,
            "redirect_uri": self.settings.redirect_uri, "scope": "openid email", "state": state,
            "nonce": nonce, "code_challenge_method": "S256",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }  # fmt: skip
        endpoint = metadata["authorization_endpoint"]
        address = f"{endpoint}{'&' if '?' in endpoint else '?'}{urllib.parse.urlencode(asked)}"
        return address, f"{state}.{nonce}.{verifier}"

    async def finish(self, kept: str, state: str, code: str) -> Claims:
        """Exchange a code for who it is.

        Parameters
        ----------
        kept
            What the browser kept.
        state, code
            As the provider sent them back.

        Raises
        ------
        OidcRefusedError
            If anything does not fit together: the state, the token's signature, issuer, audience,
            nonce or time.
        OidcAwayError
            If the provider does not answer.
        """
        expected, _, rest = kept.partition(".")
        nonce, _, verifier = rest.partition(".")
        if not verifier or not secrets.compare_digest(expected, state):
            raise OidcRefusedError("the sign-in was begun in another browser, or too long ago")
        metadata = await self._known()
        sent = {
            "grant_type": "authorization_code", "code": code, "code_verifier": verifier,
            "redirect_uri": self.settings.redirect_uri,
        }  # fmt: skip
        known = (self.settings.client_id, self.settings.client_secret)
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S, auth=known) as client:
                answer = await client.post(metadata["token_endpoint"], data=sent)
                token = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise OidcAwayError(f"{self.settings.issuer} does not answer: {error}") from error
        if not answer.is_success or not isinstance(token, dict):
            raise OidcRefusedError(f"the provider refused the code: HTTP {answer.status_code}")
        return await self._claims(str(token.get("id_token", "")), nonce)

    async def _claims(self, text: str, nonce: str) -> Claims:
        for fresh in (False, True):  # a provider may have changed its keys within the hour
            await self._known(fresh=fresh)
            assert self._keys is not None  # known by now
            try:
                token = jwt.decode(text, self._keys, algorithms=_ALGORITHMS)
                break
            except (JoseError, ValueError) as error:
                if fresh:
                    raise OidcRefusedError(f"the provider's token is not valid: {error}") from error
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S, iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id}, sub={"essential": True},
            exp={"essential": True}, nonce={"essential": True, "value": nonce},
        )  # fmt: skip
        try:
            registry.validate(token.claims)
        except JoseError as error:
            raise OidcRefusedError(f"the provider's token is not for this: {error}") from error
        email = token.claims.get("email")
        verified = token.claims.get("email_verified") is True and isinstance(email, str)
        return Claims(
            self.settings.issuer, str(token.claims["sub"]),
            str(email).strip().lower() if verified else None,
        )  # fmt: skip

    async def _known(self, *, fresh: bool = False) -> dict[str, Any]:
        async with self._lock:
            if not fresh and time.monotonic() - self._read_at < _KEPT_S:
                return self._metadata
            issuer = self.settings.issuer
            try:
                async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                    found = await client.get(f"{issuer}/.well-known/openid-configuration")
                    metadata = found.raise_for_status().json()
                    if metadata.get("issuer", "").rstrip("/") != issuer:
                        raise OidcRefusedError(f"{issuer} calls itself {metadata.get('issuer')!r}")
                    keys = (await client.get(metadata["jwks_uri"])).raise_for_status().json()
            except (httpx.HTTPError, KeyError, ValueError) as error:
                raise OidcAwayError(f"{issuer} does not answer as a provider: {error}") from error
            self._metadata, self._keys = metadata, KeySet.import_key_set(keys)
            self._read_at = time.monotonic()
            return self._metadata


def find_person(connection: psycopg.Connection[Any], claims: Claims) -> tuple[int, str] | None:
    """Return the person and login that a token is of; None if nobody was invited.

    The first time the verified address leads to the login, and the subject is kept: an address
    that later belongs to somebody else leads to nobody.
    """
    row = connection.execute(
        "SELECT p.person_id, p.login FROM person_identity i JOIN person p USING (person_id)"
        " WHERE i.issuer = %s AND i.subject = %s AND p.disabled_at IS NULL",
        (claims.issuer, claims.subject),
    ).fetchone()
    if row is not None:
        return int(row[0]), str(row[1])
    if claims.email is None:
        return None
    row = connection.execute(
        "SELECT p.person_id, p.login FROM person p WHERE p.login = %s AND p.disabled_at IS NULL"
        " AND NOT EXISTS (SELECT FROM person_identity i WHERE i.person_id = p.person_id"
        "  AND i.issuer = %s)",
        (claims.email, claims.issuer),
    ).fetchone()
    if row is None:
        return None
    connection.execute(
        "INSERT INTO person_identity (issuer, subject, person_id) VALUES (%s, %s, %s)",
        (claims.issuer, claims.subject, row[0]),
    )
    return int(row[0]), str(row[1])
