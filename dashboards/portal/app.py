"""The portal's application: routes, language, theme, the live task; one for each process."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.portal.database import Reader
from dashboards.portal.live import LiveTask, load_live
from dashboards.portal.markup import tag
from dashboards.portal.pages.enpi import view as enpi_view
from dashboards.portal.pages.enpi.filters import parse_enpi
from dashboards.portal.pages.enpi.model import EnpiPage, load_enpi
from dashboards.portal.pages.intake import view as intake_view
from dashboards.portal.pages.intake.model import Intake, load_intake
from dashboards.portal.pages.overview import view as overview_view
from dashboards.portal.pages.overview.filters import parse_overview
from dashboards.portal.pages.overview.model import Overview, load_overview
from dashboards.portal.pages.overview.words import period_name
from dashboards.portal.shell import Frame, PeriodControl, document, frame
from dashboards.portal.site import first_site, load_site
from dashboards.portal.text import Language, pick
from enpilot import __version__
from enpilot.errors import RetryableError

__all__ = ["create_app"]

_HERE = Path(__file__).parent
_LANGUAGE_COOKIE = "enpilot_language"
_YEAR_S = 365 * 86400
_log = structlog.get_logger(__name__)
_Model = TypeVar("_Model")


def create_app(url: str) -> FastAPI:
    """Make the application on a database; NiceGUI allows one in a process.

    Parameters
    ----------
    url
        The database.
    """
    reader = Reader(url)
    live = LiveTask(reader)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.start()
        yield
        await live.close()
        reader.close()

    app = FastAPI(
        title="Enpilot", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.add_middleware(_Language)
    _plain_routes(app, reader)
    _api_routes(app, reader)
    _pages(reader, live)
    ui.run_with(
        app, title="Enpilot", favicon=_HERE / "favicon.svg", dark=False, language="zh-CN",
        reconnect_timeout=30, tailwind=False, show_welcome_message=False,
    )  # fmt: skip
    return app


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
                cookie = f"{_LANGUAGE_COOKIE}={asked}; Path=/; Max-Age={_YEAR_S}; SameSite=Lax"
                message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
            await send(message)

        await self._app(scope, receive, remembering)


def _language(request: Request) -> Language:
    chosen = request.query_params.get("lang") or request.cookies.get(_LANGUAGE_COOKIE)
    return "en" if chosen == "en" else "zh"


def _plain_routes(app: FastAPI, reader: Reader) -> None:
    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        language = _language(request)
        try:
            code = await reader.read(first_site)
        except (RetryableError, psycopg.Error) as error:
            return _unavailable(language, error)
        if code is None:
            return _notice(
                language, 200, "还没有厂区", "There is no site yet",
                "用 enpilot import plant 导入工厂文件。",
                "Import a plant file: enpilot import plant.",
            )  # fmt: skip
        lang = request.query_params.get("lang")
        return RedirectResponse(f"/s/{code}/overview" + (f"?lang={language}" if lang else ""), 307)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        try:
            await reader.read(lambda c: c.execute("SELECT 1 FROM site LIMIT 1").fetchone())
        except (RetryableError, psycopg.Error) as error:
            return _json({"status": "database", "detail": str(error).splitlines()[0]}, 503)
        return _json({"status": "ok", "version": __version__})

    @app.get("/portal/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        kinds = {"tokens.css": "text/css", "preferences.js": "text/javascript"}
        if name not in kinds:
            return Response(status_code=404)
        headers = {"cache-control": "public, max-age=3600"}
        return FileResponse(_HERE / name, media_type=kinds[name], headers=headers)


def _api_routes(app: FastAPI, reader: Reader) -> None:
    async def answer(load: Callable[[psycopg.Connection[Any]], object | None]) -> Response:
        try:
            model = await reader.read(load)
        except (RetryableError, psycopg.Error) as error:
            _log.warning("database is away", error=str(error).splitlines()[0])
            return _json({"error": "database unavailable"}, 503)
        return _json({"error": "not found"}, 404) if model is None else _json(model)

    @app.get("/api/v1/s/{site}/overview")
    async def overview(site: str, t: str | None = None) -> Response:
        return await answer(lambda c: _overview(c, site, t))

    @app.get("/api/v1/s/{site}/enpi/{indicator}")
    async def enpi(
        site: str, indicator: str, t: str | None = None, month: str | None = None
    ) -> Response:
        return await answer(lambda c: _enpi(c, site, indicator, t, month))

    @app.get("/api/v1/s/{site}/intake")
    async def intake(site: str) -> Response:
        return await answer(lambda c: _intake(c, site))

    @app.get("/api/v1/s/{site}/live")
    async def live(site: str) -> Response:
        def load(connection: psycopg.Connection[Any]) -> object | None:
            known = load_site(connection, site)
            return None if known is None else load_live(connection, known.site_id)

        return await answer(load)


def _pages(reader: Reader, live: LiveTask) -> None:
    async def shown(
        request: Request,
        load: Callable[[psycopg.Connection[Any]], _Model | None],
        describe: Callable[[_Model, Language, Request], Frame],
        build: Callable[[_Model, Language], None],
    ) -> Response | None:
        language = _language(request)
        try:
            model = await reader.read(load)
        except (RetryableError, psycopg.Error) as error:
            return _unavailable(language, error)
        if model is None:
            return _not_found(language)
        _head(language)
        with frame(describe(model, language, request), language):
            build(model, language)
        return None

    @ui.page("/s/{site}/overview", language="zh-CN")
    async def overview(request: Request, site: str, t: str | None = None) -> Response | None:
        return await shown(
            request,
            lambda c: _overview(c, site, t),
            _overview_frame,
            lambda page, language: overview_view.build(page, language, live),
        )

    @ui.page("/s/{site}/enpi/{indicator}", language="zh-CN")
    async def enpi(
        request: Request, site: str, indicator: str, t: str | None = None, month: str | None = None
    ) -> Response | None:
        return await shown(
            request,
            lambda c: _enpi(c, site, indicator, t, month),
            _enpi_frame,
            enpi_view.build,
        )

    @ui.page("/s/{site}/intake", language="zh-CN")
    async def intake(request: Request, site: str) -> Response | None:
        return await shown(request, lambda c: _intake(c, site), _intake_frame, intake_view.build)

    @nicegui_app.exception_handler(404)
    async def missing(request: Request, _: Exception) -> Response:
        return _not_found(_language(request))


def _overview(connection: psycopg.Connection[Any], code: str, t: str | None) -> Overview | None:
    site = load_site(connection, code)
    return None if site is None else load_overview(connection, site, parse_overview(t))


def _enpi(
    connection: psycopg.Connection[Any], code: str, name: str, t: str | None, month: str | None
) -> EnpiPage | None:
    site = load_site(connection, code)
    if site is None:
        return None
    indicator = next((i for i in site.indicators if i.code == name), None)
    if indicator is None:
        return None
    return load_enpi(connection, site, indicator, parse_enpi(t, month))


def _intake(connection: psycopg.Connection[Any], code: str) -> Intake | None:
    site = load_site(connection, code)
    return None if site is None else load_intake(connection, site)


def _intake_frame(page: Intake, language: Language, request: Request) -> Frame:
    return Frame(
        site=page.site, page="intake", path=request.url.path, query=_query(request),
        title=pick(language, "数据接入", "Data intake"), period=None, indicator=None,
        completeness=None, factor_verified=True,
    )  # fmt: skip


def _overview_frame(page: Overview, language: Language, request: Request) -> Frame:
    def address(period: Any) -> str | None:
        if period is None:
            return None
        text = f"{period:%Y-%m-%d}" if page.kind == "day" else f"{period:%Y-%m}"
        return f"{request.url.path}?t={text}"

    figure = page.figure
    return Frame(
        site=page.site, page="overview", path=request.url.path, query=_query(request),
        title=pick(language, "总览", "Overview"),
        period=PeriodControl(
            name=period_name(language, page),
            previous=address(page.previous), following=address(page.following),
            latest=None if page.defaulted else request.url.path,
        ),
        indicator=page.indicator,
        completeness=None if figure is None else figure.reporting_completeness,
        factor_verified=figure is None or figure.factor_verified,
    )  # fmt: skip


def _enpi_frame(page: EnpiPage, language: Language, request: Request) -> Frame:
    figure = page.year_to_date
    chosen = [(str(y), f"{request.url.path}?t={y}", y == page.year) for y in page.years]
    return Frame(
        site=page.site, page="enpi", path=request.url.path, query=_query(request),
        title=pick(language, "能效", "Performance"),
        period=PeriodControl(
            name=str(page.year), previous=None, following=None, latest=None, choices=chosen
        ),
        indicator=page.indicator,
        completeness=None if figure is None else figure.reporting_completeness,
        factor_verified=figure is None or figure.factor_verified,
    )  # fmt: skip


def _query(request: Request) -> dict[str, str]:
    return {k: v for k, v in request.query_params.items() if k != "lang"}


def _head(language: Language) -> None:
    style = _HERE / "tokens.css"
    version = hashlib.sha256(style.read_bytes()).hexdigest()[:12]
    script = (_HERE / "preferences.js").read_text("utf-8")
    if language == "en":
        client = ui.context.client
        client.page = copy.copy(client.page)  # the original is every visitor's
        client.page.language = "en-US"
    ui.add_head_html(
        f'<script>{script}</script><link rel="stylesheet" href="/portal/tokens.css?v={version}">'
    )


def _json(content: object, status: int = 200) -> Response:
    body = msgspec.json.encode(content)
    return Response(body, status_code=status, media_type="application/json")


def _notice(
    language: Language, status: int, zh: str, en: str, action_zh: str, action_en: str
) -> HTMLResponse:
    sentence = pick(language, zh, en)
    return HTMLResponse(
        document(language, "Enpilot", sentence, tag("span", pick(language, action_zh, action_en))),
        status_code=status,
    )


def _not_found(language: Language) -> HTMLResponse:
    home = tag("a", pick(language, "回到首页", "Go to the first page"), href="/")
    sentence = pick(language, "没有这个页面。", "There is no such page.")
    return HTMLResponse(document(language, "404 · Enpilot", sentence, home), status_code=404)


def _unavailable(language: Language, error: Exception) -> HTMLResponse:
    _log.warning("database is away", error=str(error).splitlines()[0])
    return _notice(
        language, 503, "暂时连不上数据库。", "The database cannot be reached just now.",
        "数据仍在采集端保存；请稍后刷新。",
        "Readings are kept at the gateways; reload in a moment.",
    )  # fmt: skip
