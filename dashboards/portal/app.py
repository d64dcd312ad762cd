"""The portal's application: one for each process, on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.portal.access import account, oidc_pages, people_pages, sign_in
from dashboards.portal.access.clients import ClientSweep
from dashboards.portal.access.middleware import AccessMiddleware
from dashboards.portal.access.oidc import OidcSettings, Provider
from dashboards.portal.asking import add_requests
from dashboards.portal.catalogue import PAGES
from dashboards.portal.database import AccessDatabase, Asker, Reader
from dashboards.portal.live import LiveTask
from dashboards.portal.routes import (
    LANGUAGE_COOKIE,
    add_api,
    add_pages,
    forbidden,
    json_answer,
    language_of,
    not_found,
    notice,
    unavailable,
)
from dashboards.portal.site import first_site
from enpilot import __version__
from enpilot.errors import RetryableError

__all__ = ["create_app"]

_HERE = Path(__file__).parent
_YEAR_S = 365 * 86400


def create_app(url: str, oidc: OidcSettings | None = None) -> FastAPI:
    """Make the application on a database; NiceGUI allows one in a process.

    Parameters
    ----------
    url
        The database.
    oidc
        The enterprise's identity provider, if there is one.
    """
    reader = Reader(url)
    access = AccessDatabase(url)
    asker = Asker(url)
    live = LiveTask(reader)
    sweep = ClientSweep(access)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.start()
        sweep.start()
        yield
        await sweep.close()
        await live.close()
        reader.close()
        access.close()
        asker.close()

    app = FastAPI(
        title="Enpilot", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )  # fmt: skip
    app.state.access = access
    app.state.hashing = asyncio.Semaphore(2)
    app.add_middleware(_Language)
    app.add_middleware(
        AccessMiddleware, database=access,
        unavailable=lambda request, error: unavailable(language_of(request), error),
    )  # fmt: skip
    app.state.oidc = None if oidc is None else Provider(oidc)
    for area in (sign_in, oidc_pages, account, people_pages):
        app.include_router(area.router)
    _refusals(app)
    _plain_routes(app, reader)
    add_api(app, PAGES, reader)
    add_requests(app, asker)
    add_pages(PAGES, reader, live)

    @nicegui_app.exception_handler(404)
    async def missing(request: Request, _: Exception) -> Response:
        return not_found(language_of(request))

    ui.run_with(
        app, title="Enpilot", favicon=_HERE / "favicon.svg", dark=False, language="zh-CN",
        reconnect_timeout=30, tailwind=False, show_welcome_message=False,
    )  # fmt: skip
    return app


def _refusals(app: FastAPI) -> None:
    """Say in words what must not be, or cannot be just now."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith("/api/") or error.status_code not in (403, 404):
            return json_answer({"error": error.detail}, error.status_code)
        language = language_of(request)
        return forbidden(language) if error.status_code == 403 else not_found(language)

    @app.exception_handler(RetryableError)
    @app.exception_handler(psycopg.Error)
    async def away(request: Request, error: Exception) -> Response:
        return unavailable(language_of(request), error)


class _Language:
    """Remembers ``?lang=`` in a cookie, so that a link may carry it once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Request(scope).query_params.get("lang")
        if asked not in ("zh", "en"):
            await self._app(scope, receive, send)
            return

        async def remembering(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{LANGUAGE_COOKIE}={asked}; Path=/; Max-Age={_YEAR_S}; SameSite=Lax"
                message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
            await send(message)

        await self._app(scope, receive, remembering)


def _plain_routes(app: FastAPI, reader: Reader) -> None:
    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        language = language_of(request)
        try:
            code = await reader.read(first_site)
        except (RetryableError, psycopg.Error) as error:
            return unavailable(language, error)
        if code is None:
            return notice(
                language, 200, ("还没有您可以查看的厂区", "There is no site yet that you may see"),
                ("用 enpilot import plant 导入工厂文件，或请管理员授权。",
                 "Import a plant file: enpilot import plant; or ask an administrator for it."),
            )  # fmt: skip
        lang = request.query_params.get("lang")
        return RedirectResponse(f"/s/{code}/overview" + (f"?lang={language}" if lang else ""), 307)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        try:
            await reader.read(lambda c: c.execute("SELECT 1 FROM site LIMIT 1").fetchone())
        except (RetryableError, psycopg.Error) as error:
            return json_answer({"status": "database", "detail": str(error).splitlines()[0]}, 503)
        return json_answer({"status": "ok", "version": __version__})

    @app.get("/portal/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        kinds = {
            "tokens.css": "text/css",
            "preferences.js": "text/javascript",
            "ledger.js": "text/javascript",
        }
        if name not in kinds:
            return Response(status_code=404)
        headers = {"cache-control": "public, max-age=3600"}
        return FileResponse(_HERE / name, media_type=kinds[name], headers=headers)
