"""What people ask the services to do: written as a request in their name, then waited for.

The portal changes nothing itself. A form or the API writes a row of ``work_request`` as the person;
the database lets it in only where the person may; the room that owns the work does it and answers.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from psycopg.types.json import Jsonb
from starlette.datastructures import FormData

from dashboards.portal.access.identity import Identity
from dashboards.portal.access.layout import identity_of, read_form, value_of
from dashboards.portal.access.middleware import local_path
from dashboards.portal.answers import Answer, find_answer
from dashboards.portal.database import Asker
from dashboards.portal.pages.output.entry import output_arguments
from dashboards.portal.routes import forbidden, json_answer, language_of, not_found
from dashboards.portal.site import load_site

__all__ = ["add_requests", "arguments_of", "ask"]

_WAIT_S: Final = 10.0  # a page waits so long for its answer; then it says that it waits
_POLL_S: Final = 0.1
_PREFIX: Final = "arguments."
_LONGEST_JSON: Final = 4_500_000  # a plant file and what surrounds it [bytes]
# Forms whose fields are not their request's arguments.
_READ: Final[Mapping[str, Callable[[FormData], dict[str, Any]]]] = {
    "output.enter": output_arguments,
}


class _NotAllowedError(Exception):
    """The person may not ask for this here."""


def add_requests(app: FastAPI, asker: Asker) -> None:
    """Take requests from forms below ``/s/{site}/ask`` and as JSON below ``/api/v1``."""

    @app.post("/s/{site}/ask/{kind}", include_in_schema=False)
    async def by_form(request: Request, site: str, kind: str) -> Response:
        identity = identity_of(request)
        longest = _LONGEST_JSON if kind.startswith("plant.") else None
        sent = await read_form(request, identity, longest)
        back = local_path(value_of(sent, "back"))
        arguments = _READ[kind](sent) if kind in _READ else arguments_of(sent)
        key = value_of(sent, "key")
        try:
            number = await ask(asker, identity, site, kind, arguments, _key(key))
        except _NotAllowedError:
            return forbidden(language_of(request))
        if number is None:
            return not_found(language_of(request))
        await _answer(asker, site, number, _WAIT_S)
        path, _, query = back.partition("?")
        kept = [p for p in query.split("&") if p and not p.startswith("asked=")]
        return RedirectResponse(f"{path}?{'&'.join([*kept, f'asked={number}'])}", 303)

    @app.post("/api/v1/s/{site}/requests/{kind}", tags=["requests"],
              summary="Ask a service to do something")  # fmt: skip
    async def by_api(request: Request, site: str, kind: str) -> Response:
        identity = identity_of(request)
        if identity.scopes is not None:
            return json_answer({"error": "a token reads; sign in to ask for something"}, 403)
        body = await request.body()
        if len(body) > _LONGEST_JSON:
            return json_answer({"error": "the request is too long"}, 413)
        try:
            arguments = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            return json_answer({"error": f"not a JSON object: {error}"}, 400)
        try:
            key = _key(request.headers.get("idempotency-key", ""))
            number = await ask(asker, identity, site, kind, arguments, key)
        except _NotAllowedError:
            return json_answer({"error": "forbidden"}, 403)
        if number is None:
            return json_answer({"error": "not found"}, 404)
        asked_s = request.query_params.get("wait", "")
        wait_s = min(_WAIT_S, float(asked_s)) if asked_s.isdecimal() else _WAIT_S
        found = await _answer(asker, site, number, wait_s)
        waiting = found is None or found.state == "waiting"
        return json_answer(found, 202 if waiting else 200)

    @app.get("/api/v1/s/{site}/requests/{request_id}", tags=["requests"],
             summary="What came of a request")  # fmt: skip
    async def by_number(site: str, request_id: str) -> Response:
        found = await asker.run(lambda c: _find(c, site, request_id))
        if found is None:
            return json_answer({"error": "not found"}, 404)
        return json_answer(found)


def arguments_of(sent: FormData) -> dict[str, Any]:
    """Return a form's fields as arguments: ``arguments.reason``, ``arguments.accept[]:int``.

    A name may say what its text is: ``:int`` a whole number, ``:json`` JSON; ``[]`` collects all
    of the name in a list; ``detail.amount`` stands within ``detail``. An empty text leaves the
    argument out.
    """
    arguments: dict[str, Any] = {}
    for name, value in sent.multi_items():
        if not name.startswith(_PREFIX) or not isinstance(value, str):
            continue
        key, _, kind = name.removeprefix(_PREFIX).partition(":")
        text = value.replace("\0", "").strip()
        if not text:
            continue
        read: Any = text
        if kind == "int":
            read = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
        elif kind == "json":
            try:
                read = msgspec.json.decode(text)
            except msgspec.DecodeError:
                read = text  # the service says what is wrong with it
        held, _, key = key.rpartition(".")
        place = arguments.setdefault(held, {}) if held else arguments
        if key.endswith("[]"):
            place.setdefault(key[:-2], []).append(read)
        else:
            place[key] = read
    return arguments


async def ask(
    asker: Asker, identity: Identity, site: str, kind: str, arguments: Mapping[str, Any],
    key: uuid.UUID,
) -> int | None:  # fmt: skip
    """Write a request in a person's name and return its number.

    Parameters
    ----------
    key
        The same request sent twice is one.

    Returns
    -------
    int or None
        None if there is no such site or kind.
    """

    def write(connection: psycopg.Connection[Any]) -> int | None:
        known = load_site(connection, site)
        if (
            known is None
            or connection.execute("SELECT 1 FROM request_kind WHERE kind = %s", (kind,)).fetchone()
            is None
        ):
            return None
        try:
            with connection.transaction():
                row = connection.execute(
                    "INSERT INTO work_request (request_key, site_id, person_id, asked_by, kind,"
                    " arguments) VALUES (%s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (request_key) DO NOTHING RETURNING request_id",
                    (
                        key,
                        known.site_id,
                        identity.person_id,
                        identity.login,
                        kind,
                        Jsonb(dict(arguments)),
                    ),
                ).fetchone()
        except psycopg.errors.InsufficientPrivilege as error:
            raise _NotAllowedError from error
        if row is None:
            row = connection.execute(
                "SELECT request_id FROM work_request WHERE request_key = %s", (key,)
            ).fetchone()
        return None if row is None else int(row[0])

    return await asker.run(write)


def _key(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid4()


def _find(connection: psycopg.Connection[Any], site: str, number: str) -> Answer | None:
    known = load_site(connection, site)
    return None if known is None else find_answer(connection, known.site_id, number)


async def _answer(asker: Asker, site: str, number: int, wait_s: float) -> Answer | None:
    """Return what came of a request, waiting for it a while."""
    until = time.monotonic() + wait_s
    while True:
        found = await asker.run(lambda c: _find(c, site, str(number)))
        if found is None or found.state != "waiting" or time.monotonic() >= until:
            return found
        await asyncio.sleep(_POLL_S)
