"""Who does the tasks of a pass: this process, all of its cores, or a Dask cluster (D1, D11).

A task is a few numbers, so that it can go anywhere; what it works on lies in the database. The same
function does it everywhere, and what comes out is the same.
"""

from __future__ import annotations

import importlib
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

import psycopg

from analytics.errors import ClusterError
from enpilot import __version__
from enpilot.database import connect, database_identity, database_url
from enpilot.errors import ConfigurationError

__all__ = [
    "Cluster",
    "Cores",
    "Done",
    "Here",
    "Perform",
    "PointGroup",
    "SiteFigures",
    "Task",
    "Workers",
    "available_cores",
]

_ANSWER_S: Final = 10


@dataclass(frozen=True, slots=True)
class PointGroup:
    """Points of one site whose dirty spans are computed in one transaction."""

    site_id: int
    point_ids: tuple[int, ...]
    version: int


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """A site whose figures are computed where they are dirty."""

    site_id: int
    version: int


Task: TypeAlias = PointGroup | SiteFigures


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task.

    Attributes
    ----------
    points, intervals, figures
        How many were computed.
    waiting
        Points that stay dirty, and why.
    """

    points: int = 0
    intervals: int = 0
    figures: int = 0
    waiting: tuple[tuple[int, str], ...] = ()


# Does a task on a connection in autocommit mode; an importable function, so that it can travel.
Perform: TypeAlias = Callable[[psycopg.Connection[Any], Task], Done]


class Workers(Protocol):
    """Does tasks, in any order and some at once."""

    def run(self, perform: Perform, tasks: Sequence[Task]) -> Iterator[Done]:
        """Yield what came of each as soon as it is done; the first error ends it."""
        ...


def available_cores() -> int:
    """Return how many processors this process may use.

    Returns
    -------
    int
        At least 1.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Here:
    """One after the other on one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def run(self, perform: Perform, tasks: Sequence[Task]) -> Iterator[Done]:
        """See `Workers`."""
        for task in tasks:
            yield perform(self._connection, task)


class Cores:
    """Some at once in this process, each on its own connection.

    Threads do, because the work is the server's, the kernels' and numpy's, and none of them holds
    the interpreter for long.

    Parameters
    ----------
    connection
        Does a task that is alone.
    url
        Where further connections go.
    count
        How many at once; 0 for as many as there are cores.
    """

    def __init__(self, connection: psycopg.Connection[Any], url: str, count: int = 0) -> None:
        self._connection = connection
        self._url = url
        self._count = count or available_cores()

    def run(self, perform: Perform, tasks: Sequence[Task]) -> Iterator[Done]:
        """See `Workers`."""
        count = min(self._count, len(tasks))
        if count < 2:
            yield from Here(self._connection).run(perform, tasks)
            return
        free: queue.SimpleQueue[psycopg.Connection[Any]] = queue.SimpleQueue()
        connections: list[psycopg.Connection[Any]] = []

        def do(task: Task) -> Done:
            connection = free.get()
            try:
                return perform(connection, task)
            finally:
                free.put(connection)

        try:
            for _ in range(count):
                connections.append(connect(self._url, "analyze", autocommit=True))
                free.put(connections[-1])
            with ThreadPoolExecutor(count, "enpilot-analyze") as threads:
                try:
                    for future in as_completed([threads.submit(do, task) for task in tasks]):
                        yield future.result()
                finally:
                    threads.shutdown(wait=True, cancel_futures=True)
        finally:
            for connection in connections:
                connection.close()


class Cluster:
    """On the workers of a Dask cluster.

    Each opens its own connection by its own ``ENPILOT_DATABASE_URL``, so that no secret travels.

    Parameters
    ----------
    address
        Of the scheduler, "tcp://host:8786".
    connection
        To the database that all workers must be on.

    Raises
    ------
    ConfigurationError
        If Dask is not installed.
    ClusterError
        If the scheduler does not answer, has no worker, or a worker runs another release or is on
        another database.
    """

    def __init__(self, address: str, connection: psycopg.Connection[Any]) -> None:
        try:
            # An extra, and without types.
            distributed: Any = importlib.import_module("distributed")
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "--dask needs Dask's distributed scheduler: pip install 'enpilot[dask]'"
            ) from error
        try:
            self._client: Any = distributed.Client(address, timeout=_ANSWER_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from error
        self._completed = distributed.as_completed
        try:
            self._check(address, (__version__, database_identity(connection)))
        except BaseException:
            self._client.close()
            raise

    def _check(self, address: str, expected: tuple[str, str]) -> None:
        found = self._client.run(_who, on_error="return")
        if not found:
            raise ClusterError(f"the Dask scheduler at {address} has no worker")
        for worker, said in found.items():
            if isinstance(said, BaseException):
                raise ClusterError(f"Dask worker {worker}: {said}")
            if tuple(said) != expected:
                raise ClusterError(
                    f"Dask worker {worker} runs enpilot {said[0]} on database {said[1]}, this is"
                    f" {expected[0]} on {expected[1]}: install the same, set the same"
                    " ENPILOT_DATABASE_URL"
                )

    def run(self, perform: Perform, tasks: Sequence[Task]) -> Iterator[Done]:
        """See `Workers`."""
        futures = [self._client.submit(_remote, perform, task, pure=False) for task in tasks]
        try:
            for future in self._completed(futures, loop=self._client.loop):
                yield future.result()
        except BaseException:
            self._client.cancel(futures)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()


def _who() -> tuple[str, str]:
    with connect(database_url(), "analyze", autocommit=True) as connection:
        return __version__, database_identity(connection)


def _remote(perform: Perform, task: Task) -> Done:
    with connect(database_url(), "analyze", autocommit=True) as connection:
        return perform(connection, task)
