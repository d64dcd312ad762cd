"""The loop of a service that works on the database again and again, and outlives its outages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from enpilot.database.connection import DatabaseUnavailableError, connect

__all__ = ["run_connected"]

_RETRY_S = 2.0
_OUTAGES = (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailableError)


def run_connected(
    url: str,
    service: str,
    stop: threading.Event,
    step: Callable[[psycopg.Connection[Any]], float],
) -> None:
    """Call ``step`` until stopped, on a connection in autocommit mode.

    Parameters
    ----------
    url, service
        See `connect`.
    stop
        Ends the loop; waited on between steps.
    step
        Does one round and returns how long to wait for the next [s]. What it had begun when the
        database went away is rolled back there and done again by the next round.
    """
    log = structlog.get_logger(service)
    down = False
    while not stop.is_set():
        try:
            with connect(url, service, autocommit=True) as connection:
                if down:
                    log.info("database is back")
                down = False
                while not stop.is_set():
                    stop.wait(step(connection))
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            DatabaseUnavailableError,
        ) as error:
            if not down:
                log.warning("database is away", error=str(error).splitlines()[0])
            down = True
            stop.wait(_RETRY_S)
