"""Each page of the catalogue as a page, and its model as JSON at the same address below /api/v1."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from nicegui import ui

from dashboards.errors import NotPermittedError
from dashboards.portal.access.identity import acting
from dashboards.portal.answers import Answer, find_answer
from dashboards.portal.database import Reader
from dashboards.portal.live import LiveTask, load_live
from dashboards.portal.markup import tag
from dashboards.portal.page import OfSite, Page, Visit
from dashboards.portal.shell import Frame, block, document, frame
from dashboards.portal.site import Site, load_site
from dashboards.portal.state import failed
from enpilot.errors import RetryableError
from enpilot.text import Language, pick

__all__ = [
    "LANGUAGE_COOKIE", "add_api", "add_pages", "answer", "broken", "forbidden", "json_answer",
    "language_of", "not_found", "notice", "parameter", "permitted_site", "unavailable",
]  # fmt: skip

LANGUAGE_COOKIE = "enpilot_language"
_HERE = Path(__file__).parent
_PATIENCE_S = 20.0
_ONCE = ("lang", "asked")  # said once: no link of the page repeats it
_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_log = structlog.get_logger(__name__)
_Model = TypeVar("_Model", bound=OfSite)


class _Read(NamedTuple):
    """A page's model, and the numbers in the rail of the same moment."""

    model: Any
    counts: dict[str, int]
    pages: list[Page[Any]]  # that the person may open
    permissions: frozenset[str]
    answered: Answer | None


def language_of(request: Request) -> Language:
    """Return the language asked for, else the remembered one, else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return "en" if chosen == "en" else "zh"


def add_pages(pages: Sequence[Page[Any]], reader: Reader, live: LiveTask) -> None:
    """Serve every page of the catalogue below ``/s/{site}/``."""
    for page in pages:
        _add_page(page, pages, reader, live)


def add_api(app: FastAPI, pages: Sequence[Page[Any]], reader: Reader) -> None:
    """Serve every page's model, and the live values, below ``/api/v1/s/{site}/``."""
    for page in pages:
        _add_model(app, page, reader)

    @app.get("/api/v1/s/{site}/live", summary="Live values of a site", tags=["live"])
    async def live(request: Request, site: str) -> Response:
        def load(connection: psycopg.Connection[Any]) -> object | None:
            known = load_site(connection, site)
            return None if known is None else load_live(connection, known.site_id)

        return await answer(request, reader, load)


def _add_page(
    page: Page[_Model], pages: Sequence[Page[Any]], reader: Reader, live: LiveTask
) -> None:
    async def show(request: Request) -> Response | None:
        language = language_of(request)
        asked = _asked(request)

        def load(connection: psycopg.Connection[Any]) -> _Read | None:
            model = _model(connection, page, asked)
            if model is None:
                return None
            site_id = model.site.site_id
            permissions = _permissions(connection, site_id)
            open_ = [p for p in pages if p.permission in permissions]
            answered = find_answer(connection, site_id, request.query_params.get("asked"))
            counts = _counts(connection, open_, site_id)
            return _Read(model, counts, open_, permissions, answered)

        try:
            read = await reader.read(load)
        except NotPermittedError:
            return forbidden(language)
        except (RetryableError, psycopg.OperationalError) as error:
            return unavailable(language, error)
        except Exception:  # noqa: BLE001  # said in words, logged with its traceback
            number = _number()
            _log.exception("a page failed", page=page.code, number=number)
            return broken(language, number)
        if read is None:
            return not_found(language)
        visit = Visit(
            language=language, site=read.model.site, path=request.url.path,
            query={k: v for k, v in request.query_params.items() if k not in _ONCE}, live=live,
            pages=read.pages, permissions=read.permissions, person=_person(), csrf=_csrf(),
            answered=read.answered,
        )  # fmt: skip
        _head(language)
        shown = Frame(page=page, head=page.head(read.model, visit), counts=read.counts)
        with frame(shown, visit):
            try:
                page.build(read.model, visit)
            except Exception:  # noqa: BLE001  # said and logged; what was built before stays
                number = _number()
                _log.exception("a page failed", page=page.code, number=number)
                block(failed(language, number))
        return None

    for path in _paths(page):
        # A busy moment is slow; it is no error.
        ui.page(f"/s/{{site}}/{path}", language="zh-CN", response_timeout=_PATIENCE_S)(show)


def _number() -> str:
    """Return the number under which a defect of ours is found in the log."""
    return uuid.uuid4().hex[:8]


def _add_model(app: FastAPI, page: Page[_Model], reader: Reader) -> None:
    async def show(request: Request) -> Response:
        asked = _asked(request)
        return await answer(request, reader, lambda c: _model(c, page, asked))

    for path in _paths(page):
        words = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = [parameter(name, "path", "") for name in ("site", *words)]
        parameters += [parameter(name, "query", what) for name, what in page.query.items()]
        app.add_api_route(
            f"/api/v1/s/{{site}}/{path}", show, methods=["GET"],
            operation_id="_".join((page.code, *words)), summary=page.names[1],
            description=page.question[1], tags=["pages"],
            openapi_extra={"parameters": parameters},
        )  # fmt: skip


def _paths(page: Page[Any]) -> list[str]:
    return [page.path] if page.entry is None else [page.entry, page.path]


def parameter(name: str, place: str, what: str) -> dict[str, object]:
    """Return a parameter as OpenAPI describes it."""
    return {"name": name, "in": place, "required": place == "path", "description": what,
            "schema": {"type": "string"}}  # fmt: skip


def _asked(request: Request) -> dict[str, str]:
    return {**request.query_params, **request.path_params}


def _model(
    connection: psycopg.Connection[Any], page: Page[_Model], asked: Mapping[str, str]
) -> _Model | None:
    site = permitted_site(connection, asked["site"], page.permission)
    return None if site is None else page.load(connection, site, asked)


def permitted_site(connection: psycopg.Connection[Any], code: str, permission: str) -> Site | None:
    """Return a site at which the acting person has a permission, None if there is no such site.

    Raises
    ------
    NotPermittedError
        If the person sees the site and may not do this there.
    """
    site = load_site(connection, code)
    # Every visitor sees the site: only what asks for more is looked up.
    if (
        site is not None
        and permission != "see"
        and permission not in _permissions(connection, site.site_id)
    ):
        raise NotPermittedError(f"{code}: it takes the permission {permission}")
    return site


def _permissions(connection: psycopg.Connection[Any], site_id: int) -> frozenset[str]:
    rows = connection.execute(
        "SELECT permission FROM granted_permission WHERE site_id = %s", (site_id,)
    )
    return frozenset(row[0] for row in rows)


def _person() -> str | None:
    identity = acting()
    return None if identity is None else identity.name


def _csrf() -> str:
    identity = acting()
    return "" if identity is None else identity.csrf


def _counts(
    connection: psycopg.Connection[Any], pages: Sequence[Page[Any]], site_id: int
) -> dict[str, int]:
    """Read the numbers behind the names in the rail, all in one statement."""
    counted = [page for page in pages if page.count is not None]
    if not counted:
        return {}
    columns = ", ".join(f"({page.count})" for page in counted)
    row = connection.execute(f"SELECT {columns}".encode(), {"site_id": site_id}).fetchone()
    assert row is not None  # a select without a table has one row
    return {page.code: int(value) for page, value in zip(counted, row, strict=True)}


async def answer(
    request: Request, reader: Reader, load: Callable[[psycopg.Connection[Any]], object | None]
) -> Response:
    """Return what ``load`` reads as JSON, 304 if the asker has it; None is a 404."""
    try:
        model = await reader.read(load)
    except NotPermittedError:
        return json_answer({"error": "forbidden"}, 403)
    except (RetryableError, psycopg.OperationalError) as error:
        _log.warning("database is away", error=str(error).splitlines()[0])
        return json_answer({"error": "database unavailable"}, 503)
    except Exception:  # noqa: BLE001  # said in words, logged with its traceback
        number = _number()
        _log.exception("an answer failed", path=request.url.path, number=number)
        return json_answer({"error": "internal", "number": number}, 500)
    if model is None:
        return json_answer({"error": "not found"}, 404)
    answered = json_answer(model)
    tag_of_it = _etag(model)
    headers = {"etag": tag_of_it, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag_of_it:
        return Response(status_code=304, headers=headers)
    answered.headers.update(headers)
    return answered


def _etag(model: object) -> str:
    """Return what changes when an answer does, the moment of asking apart."""
    if isinstance(model, msgspec.Struct) and hasattr(model, "site"):
        model = msgspec.structs.replace(model, site=msgspec.structs.replace(model.site, now=_NEVER))
    return f'"{hashlib.sha256(msgspec.json.encode(model)).hexdigest()[:32]}"'


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


def json_answer(content: object, status: int = 200) -> Response:
    """Return a struct, or anything that msgspec knows, as JSON."""
    body = msgspec.json.encode(content)
    return Response(body, status_code=status, media_type="application/json")


def notice(
    language: Language, status: int, said: tuple[str, str], action: tuple[str, str]
) -> HTMLResponse:
    """Return a whole page of one sentence and what to do, each in Chinese and English."""
    body = document(
        language, "Enpilot", pick(language, *said), tag("span", pick(language, *action))
    )
    return HTMLResponse(body, status_code=status)


def not_found(language: Language) -> HTMLResponse:
    """Return the page for an address that leads nowhere, or to what is not for this visitor."""
    home = tag("a", pick(language, "回到首页", "Go to the first page"), href="/")
    sentence = pick(language, "没有这个页面。", "There is no such page.")
    return HTMLResponse(document(language, "404 · Enpilot", sentence, home), status_code=404)


def forbidden(language: Language) -> HTMLResponse:
    """Return the page for what is there, but not for this person."""
    home = tag("a", pick(language, "回到首页", "Go to the first page"), href="/")
    sentence = pick(language, "您没有这个权限；请管理员授权。",
                    "You have no right to this; ask an administrator for it.")  # fmt: skip
    return HTMLResponse(document(language, "403 · Enpilot", sentence, home), status_code=403)


def broken(language: Language, number: str) -> HTMLResponse:
    """Return the page for a defect of ours; the number leads to the log."""
    return notice(
        language, 500, ("这个页面出错了。", "This page failed."),
        (f"其他页面不受影响；请把编号 {number} 告诉管理员。",
         f"Other pages are not touched; tell the administrator the number {number}."),
    )  # fmt: skip


def unavailable(language: Language, error: Exception) -> HTMLResponse:
    """Return the page for a database that does not answer."""
    _log.warning("database is away", error=str(error).splitlines()[0])
    return notice(
        language, 503, ("暂时连不上数据库。", "The database cannot be reached just now."),
        ("数据仍在采集端保存；请稍后刷新。",
         "Readings are kept at the gateways; reload in a moment."),
    )  # fmt: skip
