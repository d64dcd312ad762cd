"""Reading the database without ever holding up the event loop.

Queries run in worker threads on a few kept connections. A page's run in one snapshot, so that its
figures, its data version and its charts are of the same moment, and as the role ``enpilot_person``
for the person who asks: what that person may not see is not there, whatever a page forgets.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from dashboards.errors import PortalRoleError
from dashboards.portal.access.identity import acting
from enpilot.database import PERSON_ROLE, DatabaseUnavailableError, connect

__all__ = ["AccessDatabase", "Asker", "Reader", "check_roles"]

_Result = TypeVar("_Result")
_KEPT = 4  # connections; pages beyond that wait, they do not fail
_AS_PERSON = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(PERSON_ROLE))


def check_roles(connection: psycopg.Connection[Any]) -> None:
    """See that queries can run as a person.

    Raises
    ------
    PortalRoleError
        If the role is missing, or this login must not change to it; says what to do.
    """
    try:
        with connection.transaction():
            connection.execute(_AS_PERSON)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        reason = str(error).strip().splitlines()[0]
        raise PortalRoleError(
            f"portal: pages are read as the database role {PERSON_ROLE}, and {reason}: run"
            " `enpilot db migrate` as a role that may create roles, then"
            " GRANT enpilot_portal TO the portal's login"
        ) from error


class _Connections:
    """A few connections that are opened when first needed and replaced when broken."""

    def __init__(self, url: str, kept: int) -> None:
        self._url = url
        self._idle: queue.SimpleQueue[psycopg.Connection[Any]] = queue.SimpleQueue()
        self._places = asyncio.Semaphore(kept)

    def close(self) -> None:
        """Close what is open; call it after the last use."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    async def _run(self, work: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        async with self._places:
            return await asyncio.to_thread(self._in_transaction, work)

    def _in_transaction(self, work: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        # A kept connection may have died with a restarted server: the second try opens a new one.
        for kept in (True, False):
            connection = self._take(kept=kept)
            try:
                with connection.transaction():
                    result = work(connection)
            except psycopg.OperationalError as error:
                connection.close()
                if not kept:
                    raise DatabaseUnavailableError(str(error).strip()) from error
                continue
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)
            return result
        raise AssertionError("the second try returns or raises")

    def _take(self, *, kept: bool) -> psycopg.Connection[Any]:
        if kept:
            try:
                return self._idle.get_nowait()
            except queue.Empty:
                pass
        return self._open()

    def _open(self) -> psycopg.Connection[Any]:
        return connect(self._url, "portal", autocommit=True)


def _as_person(
    work: Callable[[psycopg.Connection[Any]], _Result],
) -> Callable[[psycopg.Connection[Any]], _Result]:
    """Return ``work`` as the acting person does it; without one it sees nothing."""
    identity = acting()

    def doing(connection: psycopg.Connection[Any]) -> _Result:
        connection.execute(_AS_PERSON)
        if identity is not None:
            connection.execute(
                "SELECT set_config('enpilot.person_id', %s, true),"
                " set_config('enpilot.only_site_id', %s, true)",
                (str(identity.person_id), str(identity.only_site_id or "")),
            )
        return work(connection)

    return doing


class Reader(_Connections):
    """Read-only connections for what people see.

    Parameters
    ----------
    url
        The database.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, _KEPT)

    async def read(self, load: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        """Run ``load`` as the acting person in one read-only snapshot, off the event loop.

        Without an acting person (`dashboards.portal.access.identity`) nothing is seen.

        Raises
        ------
        DatabaseUnavailableError
            If the server cannot be reached or went away.
        """
        return await self._run(_as_person(load))

    def _open(self) -> psycopg.Connection[Any]:
        connection = super()._open()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection


class Asker(_Connections):
    """Connections for what people ask the services to do: a request is all that they write.

    Parameters
    ----------
    url
        The database.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, 2)

    async def run(self, work: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        """Run ``work`` as the acting person in a transaction, off the event loop.

        Raises
        ------
        DatabaseUnavailableError
            If the server cannot be reached or went away.
        """
        return await self._run(_as_person(work))


class AccessDatabase(_Connections):
    """Connections for who signs in and what they may: the portal's own login.

    Parameters
    ----------
    url
        The database.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, 2)

    async def run(self, work: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        """Run ``work`` in a transaction, off the event loop.

        Raises
        ------
        DatabaseUnavailableError
            If the server cannot be reached or went away.
        """
        return await self._run(work)
