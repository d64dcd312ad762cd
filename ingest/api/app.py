"""The HTTP application: bodies in, sentences out; who may do what is decided in the data layer."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import psycopg
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from enpilot import __version__
from enpilot.database import DatabaseUnavailableError, connect
from ingest.api.body_limit import BodyLimit
from ingest.api.production import Production, Reported, Reporter, write_production
from ingest.api.tokens import Grant, find_grant, looks_like_one
from ingest.errors import EntriesRefusedError, SourceError
from ingest.publishers import Arrived, Source, SourceWriter

__all__ = ["MAX_BODY_BYTES", "create_app"]

MAX_BODY_BYTES: Final = 1024 * 1024
_MAX_ENTRIES: Final = 5_000
_log = structlog.get_logger("api")
_routes = APIRouter(prefix="/api/v1")
_bearer = HTTPBearer(auto_error=False, description="a token of `enpilot ingest token create`")


class OutputEntry(BaseModel):
    """One count of one product."""

    model_config = ConfigDict(extra="forbid")

    product: str = Field(description="code of the product in the plant file", examples=["section"])
    line: str = Field("", description="which line made it", examples=["line-1"])
    stage: Literal["counted", "qualified", "warehoused", "shipped"] = Field(
        "qualified", description="how far it has got (合格入库 is `qualified`)"
    )
    disposition: Literal["good", "scrap", "rework"] = "good"
    quantity: Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=9)] = Field(
        description="in the product's unit; 0 is an entry, missing is not", examples=["118.4"]
    )
    since: AwareDatetime = Field(
        alias="from", description="start of the production span, with an offset",
        examples=["2026-03-01T08:00:00+08:00"],
    )  # fmt: skip
    until: AwareDatetime = Field(
        alias="to", description="end of the span, excluded",
        examples=["2026-03-01T16:00:00+08:00"],
    )  # fmt: skip
    booked_at: AwareDatetime | None = Field(None, description="left out: the end of the span")
    lot: str = Field("", max_length=100, description="production lot (batch, heat)")


class OutputReport(BaseModel):
    """Counts that are written together, or not at all."""

    model_config = ConfigDict(extra="forbid")

    entries: Annotated[list[OutputEntry], Field(min_length=1, max_length=_MAX_ENTRIES)]
    supersede: bool = Field(False, description="entries that differ become new versions")


class OutputAnswer(BaseModel):
    """What became of a report."""

    written: int = Field(description="entries that are new, or a new version")
    present: int = Field(description="entries that were there with the same quantity")


class ReadingsAnswer(BaseModel):
    """What became of a message."""

    stored: int
    duplicates: int = Field(description="sent before, within 72 hours")
    stale: int = Field(description="stored, but repeated by the source without reading anew")
    refused: list[str] = Field(description="parts that cannot be read; kept in quarantine")


class Refusal(BaseModel):
    """Why nothing was written."""

    code: str
    sentence: str
    details: list[str] = []


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, sentence: str, details: list[str] | None = None):
        super().__init__(sentence)
        self.status = status
        self.refusal = Refusal(code=code, sentence=sentence, details=details or [])


_NO_TOKEN: Final = _RefusedError(401, "no_token", "send a valid token: Authorization: Bearer enp_…")

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Refusal, "description": "no token, or one that is unknown, over or revoked"},
    403: {"model": Refusal, "description": "the token has another scope"},
    409: {"model": Refusal, "description": "entries are there with another quantity"},
    413: {"model": Refusal, "description": "the body is too long"},
    422: {"model": Refusal, "description": "the body is not what is described here"},
    503: {"model": Refusal, "description": "the database is away: send the same again later"},
}


_NO_SOURCE: Final = {"model": Refusal, "description": "the token's site has no such source here"}


@dataclass(frozen=True, slots=True)
class _OpenSource:
    """A source that is taken; its writer serves one request at a time."""

    source: Source
    writer: SourceWriter
    lock: threading.Lock = field(default_factory=threading.Lock)


def create_app(url: str, sources: Sequence[Source] = ()) -> FastAPI:
    """Make the application on a database.

    Parameters
    ----------
    url
        The database; a connection is opened for each request, reports are rare.
    sources
        Sources of kind "rest" whose readings are taken.
    """
    app = FastAPI(
        title="Enpilot ingest",
        version=__version__,
        summary="Production counts from MES and ERP systems, readings of other publishers.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.url = url
    app.state.production = Production()
    app.state.sources = {s.name: _OpenSource(s, SourceWriter(s)) for s in sources}
    app.add_middleware(BodyLimit, most_bytes=MAX_BODY_BYTES)
    _sentences(app)
    app.include_router(_routes)
    return app


def _no_token() -> _RefusedError:
    return _RefusedError(401, "no_token", "send a valid token: Authorization: Bearer enp_…")


def _token(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    # Before a connection is opened: strangers should cost us nothing.
    if sent is None or not looks_like_one(sent.credentials):
        raise _no_token()
    return sent.credentials


def _database(request: Request) -> Iterator[psycopg.Connection[Any]]:
    with connect(request.app.state.url, "api", autocommit=True) as connection:
        yield connection


_Database = Annotated[psycopg.Connection[Any], Depends(_database)]


def _granted(text: Annotated[str, Depends(_token)], connection: _Database) -> Grant:
    grant = find_grant(connection, text)
    if grant is None:
        raise _no_token()
    return grant


def _writes_output(grant: Annotated[Grant, Depends(_granted)]) -> Grant:
    if "output" not in grant.scopes:
        raise _RefusedError(403, "no_scope", f"token {grant.name!r} may not write output")
    return grant


def _writes_readings(grant: Annotated[Grant, Depends(_granted)]) -> Grant:
    if "readings" not in grant.scopes:
        raise _RefusedError(403, "no_scope", f"token {grant.name!r} may not write readings")
    return grant


async def _body(request: Request) -> bytes:
    return await request.body()


@_routes.post("/output", responses=_REFUSALS)
def post_output(
    report: OutputReport,
    request: Request,
    connection: _Database,
    grant: Annotated[Grant, Depends(_writes_output)],
) -> OutputAnswer:
    """Report production counts; the same report again changes nothing.

    An entry is known by site, product, line, stage, disposition and span, whoever reported it: two
    sources of one count are not added up. The same quantity again is `present`. Another quantity
    is refused with 409 and nothing of the report is written, unless `supersede` is true.
    """
    result = write_production(
        connection, request.app.state.production, _reporter(grant),
        [_reported(e) for e in report.entries],
        body=report.model_dump_json(by_alias=True).encode(), supersede=report.supersede,
    )  # fmt: skip
    if result.conflicts:
        raise _RefusedError(
            409, "conflict", "other quantities are there; send `supersede: true` to replace",
            result.conflicts,
        )  # fmt: skip
    return OutputAnswer(written=result.written, present=result.present)


@_routes.post(
    "/readings/{source}",
    responses={k: v for k, v in _REFUSALS.items() if k != 409} | {404: _NO_SOURCE},
    openapi_extra={
        "requestBody": {
            "description": "a message as the source's file describes it",
            "required": True,
            "content": {"application/json": {"schema": {}}},
        }
    },
)
def post_readings(
    source: str,
    body: Annotated[bytes, Depends(_body)],
    request: Request,
    connection: _Database,
    grant: Annotated[Grant, Depends(_writes_readings)],
) -> ReadingsAnswer:
    """Send a message of a publisher; what cannot be read of it is kept in quarantine.

    A message with its own time is stored once, however often it is sent within 72 hours.
    """
    found: _OpenSource | None = request.app.state.sources.get(source)
    if found is None or found.source.site != grant.site:
        raise _RefusedError(404, "no_source", f"site {grant.site!r} has no source {source!r} here")
    arrived = Arrived("", body, time.time_ns() // 1000)
    with found.lock:
        written = found.writer.write(connection, [arrived])
    if written.refused and not written.stored + written.duplicates:
        raise _RefusedError(422, "form", "nothing of it can be read", written.refused)
    return ReadingsAnswer(
        stored=written.stored, duplicates=written.duplicates, stale=written.stale,
        refused=written.refused,
    )  # fmt: skip


@_routes.get("/health", responses={503: _REFUSALS[503]})
def health(connection: _Database) -> dict[str, str]:
    """Say whether reports can be written."""
    connection.execute("SELECT 1")
    return {"status": "ok", "time": dt.datetime.now(dt.UTC).isoformat()}


def _reporter(grant: Grant) -> Reporter:
    return Reporter(
        key=f"token {grant.token_id}", source=grant.name,
        author=f"token {grant.token_id} ({grant.name})", reason="reported over HTTP",
        site_id=grant.site_id, site=grant.site,
    )  # fmt: skip


def _reported(entry: OutputEntry) -> Reported:
    return Reported(
        entry.product, entry.line, entry.stage, entry.disposition, entry.quantity, entry.since,
        entry.until, entry.booked_at, entry.lot,
    )  # fmt: skip


def _sentences(app: FastAPI) -> None:
    """Answer every error as `Refusal`; nothing that a caller sent is in a log."""

    @app.exception_handler(_RefusedError)
    def refused(_: Request, error: _RefusedError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return JSONResponse(error.refusal.model_dump(), error.status, headers)

    @app.exception_handler(EntriesRefusedError)
    def entries_refused(_: Request, error: EntriesRefusedError) -> JSONResponse:
        refusal = Refusal(code="entries", sentence="nothing was written", details=error.errors)
        return JSONResponse(refusal.model_dump(), 422)

    @app.exception_handler(SourceError)
    def source_does_not_fit(_: Request, error: SourceError) -> JSONResponse:
        _log.error("source does not fit the plant", reason=str(error))
        refusal = Refusal(code="source", sentence=str(error))
        return JSONResponse(refusal.model_dump(), 503, {"Retry-After": "60"})

    @app.exception_handler(RequestValidationError)
    def form(_: Request, error: RequestValidationError) -> JSONResponse:
        details = [
            f"{'.'.join(map(str, mistake['loc'][1:])) or 'body'}: {mistake['msg']}"
            for mistake in error.errors()[:50]
        ]
        refusal = Refusal(code="form", sentence="nothing was written", details=details)
        return JSONResponse(refusal.model_dump(), 422)

    @app.exception_handler(DatabaseUnavailableError)
    @app.exception_handler(psycopg.OperationalError)
    def away(_: Request, error: Exception) -> JSONResponse:
        _log.warning("database is away", error=type(error).__name__)
        refusal = Refusal(code="database_away", sentence="send the same again later")
        return JSONResponse(refusal.model_dump(), 503, {"Retry-After": "10"})
