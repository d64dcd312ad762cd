"""A connection to the database that outlives outages: what is at hand is held, and tried again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
import structlog

from enpilot.database import DatabaseUnavailableError, connect

__all__ = ["OUTAGES", "HeldConnection", "StoppedError", "first_line"]

_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
# Whoever lets a database error out of what it does says that no data caused it: it passes, or
# somebody mends it.
OUTAGES: Final = (psycopg.Error, DatabaseUnavailableError)
_Result = TypeVar("_Result")


class StoppedError(Exception):
    """Asked to stop while the database was away."""


class HeldConnection:
    """A connection that is opened when it is needed.

    Parameters
    ----------
    url
        The database.
    service
        Name shown in ``pg_stat_activity``, and of the log.
    stop
        Ends waiting for the database.
    """

    def __init__(self, url: str, service: str, stop: threading.Event) -> None:
        self._url = url
        self._service = service
        self._stop = stop
        self._log = structlog.get_logger(service)
        self._open: psycopg.Connection[Any] | None = None
        self._expired = False
        self.is_up = True

    @property
    def is_open(self) -> bool:
        """Whether a connection is there, as far as anybody knows."""
        return self._open is not None and not self._open.closed

    def expire(self) -> None:
        """Let the next `get` open another; safe from any thread."""
        self._expired = True

    def get(self) -> psycopg.Connection[Any]:
        """Return the connection, opening it if need be."""
        if self._expired:
            self._expired = False
            self.close()
        if self._open is None or self._open.closed:
            self._open = connect(self._url, self._service, autocommit=True)
        return self._open

    def close(self) -> None:
        """Close it; the next `get` opens another."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def hold(self, action: Callable[[], _Result], waiting: int) -> _Result:
        """Do something with the database, again and again while it is away.

        Logged once on going down and once on coming back.

        Parameters
        ----------
        action
            Asks for the connection itself, since it may be another one each time.
        waiting
            How many messages wait for it, for the log.

        Raises
        ------
        StoppedError
            If asked to stop meanwhile.
        """
        attempt = 0
        while True:
            try:
                result = action()
            except OUTAGES as error:
                self.close()
                self.is_up = False
                if attempt == 0:
                    self._log.warning(
                        "database is away; holding messages",
                        waiting=waiting, reason=first_line(error),
                    )  # fmt: skip
                pause_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)] * random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries
                if self._stop.wait(pause_s):
                    raise StoppedError from error
                attempt += 1
            else:
                self.is_up = True
                if attempt:
                    self._log.info("database is back")
                return result


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
