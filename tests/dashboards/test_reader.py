"""The reader survives a lost connection and never lets a page write."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from dashboards.portal.access.identity import Identity, acting_as
from dashboards.portal.database import Reader
from dashboards.portal.live import LiveState, LiveTask
from enpilot.database import DatabaseUnavailableError


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_connection_that_died_is_replaced(
    portal_database: str, connection: psycopg.Connection[Any]
) -> None:
    reader = Reader(portal_database)
    first = await reader.read(_backend)
    assert await reader.read(_backend) == first  # kept
    connection.execute("SELECT pg_terminate_backend(%s, 5000)", (first,))
    assert await reader.read(_backend) != first
    reader.close()


async def test_a_page_cannot_write(portal_database: str) -> None:
    reader = Reader(portal_database)
    refused = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)
    with pytest.raises(refused):
        await reader.read(lambda c: c.execute("DELETE FROM finding"))
    reader.close()


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    reader = Reader("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1") as caught:
        await reader.read(_backend)
    assert "secret" not in str(caught.value)


async def test_one_task_serves_all_who_watch_and_forgets_who_left(portal_database: str) -> None:
    reader = Reader(portal_database)
    task = LiveTask(reader)
    seen: list[LiveState] = []
    twice = asyncio.Event()
    left: list[LiveState] = []

    def show(state: LiveState) -> None:
        seen.append(state)
        if len(seen) == 2:
            twice.set()

    with acting_as(Identity(person_id=1, login="tester", name="Tester")):
        task.watch(1, show, lambda: True)
        task.watch(1, left.append, lambda: False)
    task.start()
    async with asyncio.timeout(10):
        await twice.wait()
    await task.close()
    reader.close()
    assert left == []
    assert seen[1].now > seen[0].now


async def test_who_is_not_signed_in_sees_nothing(portal_database: str) -> None:
    def sites(connection: psycopg.Connection[Any]) -> int:
        row = connection.execute("SELECT count(*) FROM granted_site").fetchone()
        assert row is not None
        return int(row[0])

    reader = Reader(portal_database)
    assert await reader.read(sites) == 0
    with acting_as(Identity(person_id=1, login="tester", name="Tester")):
        assert await reader.read(sites) > 0
    with acting_as(Identity(person_id=999_999, login="nobody", name="Nobody")):
        assert await reader.read(sites) == 0
    assert await reader.read(sites) == 0
    reader.close()
