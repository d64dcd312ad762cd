"""Browsers without a screen: they ask for pages as one does, and keep their sockets open."""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import socketio

__all__ = ["Walk", "held_open", "percentile", "repeat", "walk"]

_QUERY: Final = re.compile(r"query: (\{.*?\}),\n")
_WORD: Final = re.compile(r"'(\w+)': (?:'([^']*)'|(\w+))")
_TIMEOUT_S: Final = 20.0


@dataclass(slots=True)
class Walk:
    """What some visitors saw.

    Attributes
    ----------
    seconds
        How long each page took [s].
    errors
        What went wrong, in words.
    """

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def percentile(seconds: Sequence[float], share: int) -> float:
    """Return a percentile of durations in milliseconds [ms].

    Parameters
    ----------
    seconds
        Durations [s], two at least.
    share
        1 .. 99.
    """
    return round(statistics.quantiles(seconds, n=100, method="inclusive")[share - 1] * 1000, 1)


async def _page(client: httpx.AsyncClient, path: str, seen: Walk) -> str:
    begin = time.perf_counter()
    try:
        answer = await client.get(path)
    except httpx.HTTPError as error:
        seen.errors.append(f"{path}: {error!r}")
        return ""
    seen.seconds.append(time.perf_counter() - begin)
    whole = path.startswith("/api/") or "bottom" in answer.text
    if answer.status_code != 200 or not whole:
        seen.errors.append(f"{path}: {answer.status_code}")
    return answer.text


async def repeat(base: str, cookies: httpx.Cookies, path: str, times: int) -> Walk:
    """Ask for one page again and again, one visitor alone."""
    seen = Walk()
    async with _client(base, cookies) as client:
        await _page(client, path, Walk())  # the first opens connections
        for _ in range(times):
            await _page(client, path, seen)
    return seen


async def walk(
    base: str, cookies: httpx.Cookies, paths: Sequence[str], users: int, seconds: float
) -> Walk:
    """Let users walk through pages for a time, each from another one on and without a pause."""
    seen = Walk()
    end = time.monotonic() + seconds

    async def one(index: int) -> None:
        async with _client(base, cookies) as client:
            at = index
            while time.monotonic() < end:
                await _page(client, paths[at % len(paths)], seen)
                at += 1

    await asyncio.gather(*(one(i) for i in range(users)))
    return seen


@contextlib.asynccontextmanager
async def held_open(
    base: str, cookies: httpx.Cookies, path: str, count: int
) -> AsyncIterator[Walk]:
    """Open pages with their sockets, as many browsers do, and hold them inside the block."""
    seen = Walk()
    sockets = []
    try:
        async with _client(base, cookies) as client:
            for _ in range(count):
                text = await _page(client, path, seen)
                sockets.append(await _socket(base, cookies, text, seen))
        yield seen
    finally:
        for socket in sockets:
            if socket is not None:
                await socket.disconnect()


async def _socket(base: str, cookies: httpx.Cookies, text: str, seen: Walk) -> Any:
    found = _QUERY.search(text)
    if found is None:
        seen.errors.append("a page without a socket")
        return None
    # The page's own words, as its script would send them.
    query = "&".join(
        f"{name}={quoted or bare.lower()}" for name, quoted, bare in _WORD.findall(found[1])
    )
    socket = socketio.AsyncClient(reconnection=False)
    cookie = "; ".join(f"{c.name}={c.value}" for c in cookies.jar)
    try:
        await socket.connect(
            f"{base}?{query}&tab_id=bench&document_id=bench", transports=["websocket"],
            socketio_path="/_nicegui_ws/socket.io", headers={"cookie": cookie} if cookie else {},
        )  # fmt: skip
    except socketio.exceptions.ConnectionError as error:
        seen.errors.append(f"socket: {error}")
        return None
    return socket


def _client(base: str, cookies: httpx.Cookies) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base, cookies=cookies, timeout=_TIMEOUT_S)
