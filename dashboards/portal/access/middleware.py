"""The gate before every page, answer and socket: no one passes unsigned but to what is listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
import psycopg
import structlog
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.portal.access import api_tokens, people, sessions
from dashboards.portal.access.identity import Identity, acting_as
from dashboards.portal.database import AccessDatabase
from enpilot.errors import RetryableError

__all__ = ["COOKIE", "AccessMiddleware", "local_path", "scope_of"]

COOKIE: Final = "enpilot_session"
THEME_COOKIE: Final = "enpilot_theme"
# Files without a figure, the health check, and what leads in.
_FREE: Final = re.compile(
    r"/(healthz|login(/oidc(/callback)?)?|favicon\.ico|link/[A-Za-z0-9_-]{1,64}|portal/[^/]+"
    r"|_nicegui/(?!client/)[^?]*)\Z"
)
_API: Final = "/api/"
_SOCKET: Final = "/_nicegui_ws/"
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_EXPORT: Final = re.compile(r"(\.(csv|xlsx|parquet|zip)|/export(/.*)?)\Z")
_log = structlog.get_logger(__name__)


def local_path(text: str | None) -> str:
    """Return an address of this portal to go on to; anything else is the first page."""
    if not text or not text.startswith("/") or text[1:2] in ("/", "\\"):
        return "/"
    if any(ord(c) < 32 or c == "\\" for c in text) or urlsplit(text).netloc:
        return "/"
    return "/" if text.startswith(("/login", "/link/", "/logout")) else text


def scope_of(path: str) -> str:
    """Return the scope that a token needs for a path of the API."""
    return "export" if _EXPORT.search(path) else "read"


class AccessMiddleware:
    """Signs requests in by cookie or token, and turns the others away.

    Parameters
    ----------
    app
        What is guarded.
    database
        Where sessions and tokens are.
    unavailable
        Makes the answer for a page when the database is away.
    """

    def __init__(
        self,
        app: ASGIApp,
        database: AccessDatabase,
        unavailable: Callable[[Request, Exception], Response],
    ) -> None:
        self._app = app
        self._database = database
        self._unavailable = unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through with an acting person, or answer at once."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if request.method in _UNSAFE and _from_elsewhere(request):
            await _json("a form of another site", 403)(scope, receive, send)
            return
        if _FREE.match(request.url.path):
            await self._app(scope, receive, send)
            return
        answer: Response | None
        try:
            identity = await self._identity(request)
            answer = self._refusal(request, identity)
        except (RetryableError, psycopg.Error) as error:
            answer = (
                _json("database unavailable", 503)
                if request.url.path.startswith(_API)
                else self._unavailable(request, error)
            )
        if answer is not None:
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["identity"] = identity
        with acting_as(identity):
            await self._app(scope, receive, _unstored(send))

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A page's socket carries its events: it lives no longer than the session (`clients`).
        request = Request({**scope, "type": "http", "method": "GET"})
        identity = None
        try:
            if not _from_elsewhere(request):
                identity = await self._session(request)
        except (RetryableError, psycopg.Error):
            pass  # the browser tries again
        if identity is None:
            await receive()
            await send({"type": "websocket.close", "code": 4401})
            return
        scope.setdefault("state", {})["identity"] = identity
        with acting_as(identity):
            await self._app(scope, receive, send)

    async def _identity(self, request: Request) -> Identity | None:
        bearer = request.headers.get("authorization", "")
        if request.url.path.startswith(_API) and bearer[:7].lower() == "bearer ":
            text = bearer[7:].strip()
            return await self._database.run(lambda c: api_tokens.find_token(c, text))
        return await self._session(request)

    async def _session(self, request: Request) -> Identity | None:
        token = request.cookies.get(COOKIE)
        if not token:
            return None  # said without asking the database
        identity = await self._database.run(lambda c: sessions.find_session(c, token))
        if identity is None:
            return None
        language = request.query_params.get("lang")
        if language not in ("zh", "en") or language == identity.language:
            language = None
        theme = request.cookies.get(THEME_COOKIE)
        if theme not in ("auto", "light", "dark") or theme == identity.theme:
            theme = None
        if language or theme:
            await self._database.run(
                lambda c: people.set_preference(c, identity.person_id, language, theme)
            )
        return identity

    def _refusal(self, request: Request, identity: Identity | None) -> Response | None:
        path = request.url.path
        if path.startswith(_API):
            if identity is None:
                refused = _json("sign in, or send a token", 401)
                refused.headers["www-authenticate"] = "Bearer"
                return refused
            if identity.scopes is not None and scope_of(path) not in identity.scopes:
                return _json(f"the token lacks the scope {scope_of(path)}", 403)
            return None
        if identity is not None:
            return None
        if path.startswith(_SOCKET):
            return _json("sign in", 401)
        whole = path + (f"?{request.url.query}" if request.url.query else "")
        asked = f"?next={quote(local_path(whole), safe='')}" if request.method == "GET" else ""
        return RedirectResponse(f"/login{asked}", 303)


def _from_elsewhere(request: Request) -> bool:
    """Return whether a browser says that another site's page sends this."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _json(error: str, status: int) -> Response:
    body = msgspec.json.encode({"error": error})
    return Response(body, status_code=status, media_type="application/json")


def _unstored(send: Send) -> Send:
    """Let no cache keep what only one person may see."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"private, no-cache"))
            message = {**message, "headers": headers}
        await send(message)

    return sending
