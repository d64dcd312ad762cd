"""Addresses of files and rows: ``/api/v1/s/{site}/export/{dataset}.csv``, ``…/rows/{dataset}``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.background import BackgroundTask

from dashboards.errors import ExportsBusyError, NotPermittedError
from dashboards.portal.access.identity import acting
from dashboards.portal.database import Reader
from dashboards.portal.exports.datasets import DATASETS, Dataset
from dashboards.portal.exports.explored import EXPLORED, EXPLORED_PERMISSION, open_explored
from dashboards.portal.exports.formats import MEDIA_TYPES
from dashboards.portal.exports.jobs import Asked, Export, Exports
from dashboards.portal.exports.statements import decode_after, open_slice, open_table
from dashboards.portal.markup import join, tag
from dashboards.portal.routes import (
    answer,
    json_answer,
    language_of,
    not_found,
    parameter,
    permitted_site,
)
from dashboards.portal.shell import document
from enpilot.text import Language, number, pick, share

__all__ = ["ExportState", "add_exports", "progress_page"]

_LIMIT, _MOST = 500, 5000  # rows of an answer
_BUSY_S = 30


class ExportState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export is, for programs."""

    export: str
    state: str
    rows: int
    rows_written: int
    file: str | None
    failure: str | None


def add_exports(app: FastAPI, reader: Reader, exports: Exports) -> None:
    """Serve every dataset as files and as pages of rows, and the state of long exports."""
    for dataset in DATASETS.values():
        _add_rows(app, reader, dataset)
        _add_files(app, exports, dataset)
    _add_files(app, exports, None)
    _add_states(app, reader, exports)


def _add_rows(app: FastAPI, reader: Reader, dataset: Dataset) -> None:
    async def rows(request: Request) -> Response:
        asked = {**request.query_params, **request.path_params}
        missing = [name for name in dataset.required if not asked.get(name)]
        if missing:
            return json_answer({"error": f"say {' and '.join(missing)}"}, 400)
        text = asked.get("limit", str(_LIMIT))
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST):
            return json_answer({"error": f"limit is 1 to {_MOST}"}, 400)
        after = decode_after(asked["after"]) if asked.get("after") else None
        if asked.get("after") and (after is None or len(after) != len(dataset.key)):
            return json_answer({"error": "after is what the page before said as next"}, 400)

        def load(connection: psycopg.Connection[Any]) -> object | None:
            site = permitted_site(connection, asked["site"], dataset.permission)
            if site is None:
                return None
            return open_slice(connection, site, dataset, asked, int(text), after)

        return await answer(request, reader, load)

    app.add_api_route(
        f"/api/v1/s/{{site}}/rows/{dataset.code}", rows, methods=["GET"],
        operation_id=f"rows_{dataset.code}", summary=f"{dataset.names[1]}, page by page",
        description="Columns, rows in their order, and `next`: what `after` of the following"
        " page is; null at the end.",
        tags=["rows"],
        openapi_extra={"parameters": [
            *_parameters(dataset),
            parameter("limit", "query", f"rows at most, 1 to {_MOST}; {_LIMIT} if left out"),
            parameter("after", "query", "`next` of the page before"),
        ]},
    )  # fmt: skip


def _parameters(dataset: Dataset | None) -> list[dict[str, object]]:
    period = "a day, week, month, year or span as 2018-08-01..2018-09-13"
    named = [parameter("site", "path", ""), parameter("t", "query", period)]
    if dataset is None:
        return [
            *named, parameter("series", "query", "codes, as in the explorer's address"),
            parameter("step", "query", "15min, hour or day; 15min if left out"),
        ]  # fmt: skip
    named += [parameter(name, "query", f"only this {name}") for name in dataset.wanted]
    if "series" in dataset.required:
        named.append(parameter("series", "query", "number of the series"))
    return named


def _add_files(app: FastAPI, exports: Exports, dataset: Dataset | None) -> None:
    code = EXPLORED if dataset is None else dataset.code
    open_: Callable[..., Any] = open_explored
    if dataset is not None:

        def open_(c: Any, site: Any, asked: Any) -> Any:
            return open_table(c, site, dataset, asked)

    async def export(request: Request, site: str, kind: str) -> Response:
        language = language_of(request)
        required = ("series",) if dataset is None else dataset.required
        missing = [name for name in required if not request.query_params.get(name)]
        if kind not in MEDIA_TYPES:
            return json_answer({"error": "csv, xlsx or parquet"}, 404)
        if missing:
            return json_answer({"error": f"say {' and '.join(missing)}"}, 400)
        permission = EXPLORED_PERMISSION if dataset is None else dataset.permission
        asked = Asked(
            site=site, kind=kind, permission=permission, open=open_,
            query=dict(request.query_params), language=language, owner=_owner(),
        )  # fmt: skip
        try:
            begun = exports.begin(asked)
        except ExportsBusyError as error:
            busy = json_answer({"error": str(error)}, 503)
            busy.headers["retry-after"] = str(_BUSY_S)
            return busy
        return await _first_answer(exports, begun, language)

    app.add_api_route(
        f"/api/v1/s/{{site}}/export/{code}.{{kind}}", export, methods=["GET"],
        operation_id=f"export_{code}",
        summary=f"{'Explorer' if dataset is None else dataset.names[1]} as a file",
        description="CSV, Excel or Parquet. A long one answers 303 to a page with its progress.",
        tags=["exports"],
        openapi_extra={"parameters": [
            *_parameters(dataset),
            parameter("kind", "path", "csv, xlsx or parquet"),
            parameter("lang", "query", "zh or en: of the titles"),
            parameter("bom", "query", "1: a CSV that Excel knows to be UTF-8"),
        ]},
    )  # fmt: skip


async def _first_answer(exports: Exports, export: Export, language: Language) -> Response:
    await export.counted.wait()
    if export.state != "failed" and not export.at_once:
        target = f"/s/{export.site}/export/{export.export_id}?lang={language}"
        return RedirectResponse(target, 303)
    export.awaited = True
    await exports.finished(export)
    if export.state == "failed":
        exports.forget(export)
        return json_answer({"error": export.failure}, export.status)
    return _file(export, BackgroundTask(exports.forget, export))


def _file(export: Export, then: BackgroundTask | None = None) -> Response:
    return FileResponse(
        export.path, media_type=MEDIA_TYPES[export.kind], filename=export.name, background=then,
        headers={"cache-control": "private, no-store"},
    )  # fmt: skip


def _add_states(app: FastAPI, reader: Reader, exports: Exports) -> None:
    async def found(site: str, export: str) -> Export | None:
        """Return an export of the acting person, who must still be allowed to see it."""
        kept = exports.find(export, _owner())
        if kept is None or kept.site != site:
            return None
        try:
            seen = await reader.read(lambda c: permitted_site(c, site, kept.permission))
        except NotPermittedError:
            return None
        return None if seen is None else kept

    @app.get("/api/v1/s/{site}/export/state/{export}", tags=["exports"],
             summary="How far a long export is")  # fmt: skip
    async def state(site: str, export: str) -> Response:
        kept = await found(site, export)
        if kept is None:
            return json_answer({"error": "not found"}, 404)
        file = f"/api/v1/s/{site}/export/file/{export}" if kept.state == "done" else None
        return json_answer(
            ExportState(export=export, state=kept.state, rows=kept.count,
                        rows_written=kept.written, file=file, failure=kept.failure or None)
        )  # fmt: skip

    @app.get("/api/v1/s/{site}/export/file/{export}", tags=["exports"],
             summary="The file of a long export, for an hour")  # fmt: skip
    async def file(site: str, export: str) -> Response:
        kept = await found(site, export)
        if kept is None or kept.state != "done":
            return json_answer({"error": "not found"}, 404)
        return _file(kept)

    @app.get("/s/{site}/export/{export}", include_in_schema=False)
    async def progress(request: Request, site: str, export: str) -> Response:
        language = language_of(request)
        kept = await found(site, export)
        return not_found(language) if kept is None else progress_page(language, kept)


def progress_page(language: Language, export: Export) -> HTMLResponse:
    """Return a page that reloads itself until the file is there."""
    title = f"{export.name} · Enpilot"
    back = tag(
        "a", pick(language, "回到厂区", "Back to the site"), href=f"/s/{export.site}/overview"
    )
    if export.state == "failed":
        sentence = pick(language, "导出没有完成。", "The export was not finished.")
        return HTMLResponse(document(language, title, sentence, join(export.failure, " ", back)))
    if export.state == "done":
        link = tag("a", f"{export.name}（{number(export.size / 1e6, 1)} MB）" if language == "zh"
                   else f"{export.name} ({number(export.size / 1e6, 1)} MB)",
                   href=f"/api/v1/s/{export.site}/export/file/{export.export_id}")  # fmt: skip
        kept = pick(language, "保留一小时。", "It is kept for an hour.")
        sentence = pick(language, "文件写好了。", "The file is ready.")
        return HTMLResponse(document(language, title, sentence, join(link, " ", kept, " ", back)))
    rows = f"{number(export.written)} / {number(export.count)}"
    done = share(export.progress, 0)
    bar = tag("progress", done, value=export.written, max=max(1, export.count))
    sentence = pick(language, f"正在写 {export.name}：{done}", f"Writing {export.name}: {done}")
    words = pick(language, f"{rows} 行；本页自动更新。", f"{rows} rows; this page reloads itself.")
    answer = HTMLResponse(document(language, title, sentence, join(bar, " ", words)))
    answer.headers["refresh"] = "2"
    return answer


def _owner() -> int | None:
    identity = acting()
    return None if identity is None else identity.person_id
