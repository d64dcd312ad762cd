"""Reading the database without ever holding up the event loop.

Queries run in worker threads on a few kept connections, each read in one snapshot: the figures, the
data version and the charts of a page are of the same moment.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from enpilot.database import DatabaseUnavailableError, connect

__all__ = ["Reader"]

_Result = TypeVar("_Result")
_KEPT = 4  # connections; pages beyond that wait, they do not fail


class Reader:
    """A few read-only connections that are opened when first needed and replaced when broken.

    Parameters
    ----------
    url
        The database.
    kept
        Connections at most; who comes when all are taken waits.
    """

    def __init__(self, url: str, kept: int = _KEPT) -> None:
        self._url = url
        self._idle: queue.SimpleQueue[psycopg.Connection[Any]] = queue.SimpleQueue()
        self._places = asyncio.Semaphore(kept)

    async def read(self, load: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        """Run ``load`` on a connection in one read-only snapshot, off the event loop.

        Raises
        ------
        DatabaseUnavailableError
            If the server cannot be reached or went away.
        """
        async with self._places:
            return await asyncio.to_thread(self._read, load)

    def close(self) -> None:
        """Close what is open; call it after the last read."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _read(self, load: Callable[[psycopg.Connection[Any]], _Result]) -> _Result:
        # A kept connection may have died with a restarted server: the second try opens a new one.
        for kept in (True, False):
            connection = self._take(kept=kept)
            try:
                with connection.transaction():
                    result = load(connection)
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
        connection = connect(self._url, "portal", autocommit=True)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection
