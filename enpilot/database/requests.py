"""What people ask the services to do: taken one at a time, done once, answered.

The portal may read and ask; what changes facts belongs to the room that owns them. A request's
effect and its answer are one transaction: a service that is killed in the middle has done nothing,
and the request waits for the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec
import psycopg
import structlog
from psycopg.types.json import Jsonb

from enpilot.database.service_loop import run_connected
from enpilot.errors import EnpilotError, RetryableError
from enpilot.forms import form_mistakes

__all__ = [
    "Handler",
    "Request",
    "RequestRefusedError",
    "read_arguments",
    "serve_one",
    "serve_requests",
]

_WAIT_S = 5.0  # without a notification, which may be lost with a connection
_Form = TypeVar("_Form")
_log = structlog.get_logger(__name__)


class RequestRefusedError(EnpilotError):
    """A request that cannot be done as it is; the sentence is for the one who asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for; ``author`` is her login, kept with whatever comes of it."""

    request_id: int
    kind: str
    site_id: int
    site: str
    author: str
    arguments: Mapping[str, Any]


Handler: TypeAlias = Callable[[psycopg.Connection[Any], Request], Mapping[str, Any]]


def read_arguments(request: Request, form: type[_Form]) -> _Form:
    """Return a request's arguments as a struct.

    Raises
    ------
    RequestRefusedError
        With every mistake and its path.
    """
    try:
        return msgspec.convert(request.arguments, form, strict=False)
    except msgspec.ValidationError as error:
        mistakes = form_mistakes(dict(request.arguments), form) or [str(error)]
        raise RequestRefusedError("; ".join(mistakes)) from error


def serve_one(connection: psycopg.Connection[Any], handlers: Mapping[str, Handler]) -> bool:
    """Do the oldest request that waits for one of the handlers.

    Parameters
    ----------
    connection
        In autocommit mode.
    handlers
        By kind. Each runs inside the request's transaction and returns the outcome (JSON). An
        error of ours refuses the request; a retryable one, or a lost database, leaves it waiting.

    Returns
    -------
    bool
        Whether there was one.
    """
    request: Request | None = None
    try:
        with connection.transaction():
            request = _claim(connection, list(handlers))
            if request is None:
                return False
            with connection.transaction():  # what a refused request began is undone
                outcome = handlers[request.kind](connection, request)
            _answer(connection, request, "done", outcome, None)
    except (RetryableError, psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except EnpilotError as error:
        assert request is not None  # only a handler raises it
        _refuse(connection, request, "refused", str(error))
    except Exception as error:
        if request is None:
            raise
        # A defect of ours: said once, kept with the request, and not tried for ever.
        _log.exception("a request failed", request=request.request_id, kind=request.kind)
        _refuse(connection, request, "failed", f"{type(error).__name__}: {error}")
    return True


def serve_requests(
    url: str, service: str, handlers: Mapping[str, Handler], stop: threading.Event
) -> None:
    """Do requests until stopped; a new one is begun as soon as it is there.

    Parameters
    ----------
    url, service
        See `enpilot.database.connect`.
    handlers
        See `serve_one`.
    stop
        Ends the loop.
    """
    listening: list[int] = []

    def step(connection: psycopg.Connection[Any]) -> float:
        if listening != [connection.info.backend_pid]:
            connection.execute("LISTEN enpilot_request")
            listening[:] = [connection.info.backend_pid]
        while not stop.is_set() and serve_one(connection, handlers):
            pass
        for _ in connection.notifies(timeout=min(_WAIT_S, 1.0), stop_after=1):
            pass
        return 0.0

    run_connected(url, service, stop, step)


def _claim(connection: psycopg.Connection[Any], kinds: list[str]) -> Request | None:
    row = connection.execute(
        "SELECT r.request_id, r.kind, r.site_id, s.code, r.asked_by, r.arguments"
        " FROM work_request r JOIN site s USING (site_id)"
        " WHERE r.state = 'waiting' AND r.kind = ANY(%s)"
        " ORDER BY r.request_id LIMIT 1 FOR UPDATE OF r SKIP LOCKED",
        (kinds,),
    ).fetchone()
    return None if row is None else Request(*row)


def _answer(
    connection: psycopg.Connection[Any],
    request: Request,
    state: str,
    outcome: Mapping[str, Any] | None,
    refusal: str | None,
) -> None:
    said = None if outcome is None else Jsonb(msgspec.to_builtins(dict(outcome)))
    connection.execute(
        "UPDATE work_request SET state = %s, outcome = %s, refusal = %s,"
        " finished_at = clock_timestamp() WHERE request_id = %s AND state = 'waiting'",
        (state, said, refusal, request.request_id),
    )


def _refuse(
    connection: psycopg.Connection[Any], request: Request, state: str, sentence: str
) -> None:
    with connection.transaction():
        _answer(connection, request, state, None, sentence)
