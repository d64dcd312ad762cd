"""Open pages end with their session, and begin anew when what their person may see changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any, Final

import psycopg
import structlog
from nicegui import Client

from dashboards.portal.access.identity import Identity
from dashboards.portal.access.sessions import live_sessions
from dashboards.portal.database import AccessDatabase
from enpilot.errors import RetryableError

__all__ = ["ClientSweep", "close_clients"]

_EVERY_S: Final = 5.0
_log = structlog.get_logger(__name__)


def close_clients(
    *, session_ids: set[int] | None = None, person_ids: set[int] | None = None
) -> None:
    """Reload the open pages of sessions or persons; without rights they end at the sign-in."""
    for client, identity in _open():
        if identity.session_id in (session_ids or ()) or identity.person_id in (person_ids or ()):
            # The server's side goes at once: no event and no live value reaches it any more.
            client.run_javascript("window.location.reload()")
            asyncio.get_running_loop().call_later(1.0, _delete, client)


def _delete(client: Client) -> None:
    if client.id in Client.instances:
        client.delete()


def _open() -> list[tuple[Client, Identity]]:
    found = []
    for client in list(Client.instances.values()):
        # The page that NiceGUI makes by itself has no request.
        with contextlib.suppress(RuntimeError, AttributeError):
            identity = client.request.scope.get("state", {}).get("identity")
            if isinstance(identity, Identity):
                found.append((client, identity))
    return found


class ClientSweep:
    """Looks every few seconds whether open pages may stay: other processes revoke, too.

    Parameters
    ----------
    database
        Where sessions and grants are.
    """

    def __init__(self, database: AccessDatabase) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self._seen: dict[int, str] = {}  # a person's permissions, as they were when last looked at

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="portal client sweep")

    async def close(self) -> None:
        """Stop and wait until it has."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def once(self) -> None:
        """Look once."""
        by_person: dict[int, set[int]] = defaultdict(set)
        for _, identity in _open():
            if identity.session_id is not None:
                by_person[identity.person_id].add(identity.session_id)
        every = sorted(set().union(*by_person.values()))
        if not every:
            self._seen = {}
            return
        live, now = await self._database.run(
            lambda c: (live_sessions(c, every), _permissions(c, sorted(by_person)))
        )
        changed = {p for p in by_person if p in self._seen and self._seen[p] != now.get(p, "")}
        self._seen = {p: now.get(p, "") for p in by_person}
        ended = set(every) - live
        if ended or changed:
            close_clients(session_ids=ended, person_ids=changed)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            # The live task says that the database is away; here the next look will do.
            with contextlib.suppress(RetryableError, psycopg.Error):
                await self.once()


def _permissions(connection: psycopg.Connection[Any], person_ids: list[int]) -> dict[int, str]:
    rows = connection.execute(
        "SELECT person_id, md5(string_agg(DISTINCT site_id || permission, ',' ORDER BY"
        " site_id || permission)) FROM person_permission WHERE person_id = ANY (%s)"
        " GROUP BY person_id",
        (person_ids,),
    )
    return {row[0]: row[1] for row in rows}
