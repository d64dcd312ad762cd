"""A line of the plant: one link, shared by all units on it, one request at a time.

The line is neutral: what a request and its reply look like is the exchange's business, so that
units of several protocols can share one pair of wires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from edge_agent.errors import ReadError
from edge_agent.lines.exchange import (
    BadFrameError,
    ExceptionReplyError,
    Exchange,
    MeterRefusalError,
    RegisterBlock,
    UnitAddress,
)
from edge_agent.lines.links import Link
from enpilot.wire import Quality

__all__ = ["FieldLine", "LineCounts", "LineTiming"]

_log = structlog.get_logger("edge")
# Modbus Application Protocol 1.1b3, section 7: the unit is there but busy; the gateway found no
# path to the unit, or got no answer from it.
_ACKNOWLEDGED, _BUSY = 0x05, 0x06
_NO_PATH, _NO_ANSWER = 0x0A, 0x0B
_CLOSE_AFTER_IDLE_S: Final = 0.2
_MAX_EXCHANGES: Final = 4096
_Key: TypeAlias = tuple[UnitAddress, str, int, int]


@dataclass(slots=True)
class LineCounts:
    """What a line did since it began, for metrics.

    ``stale`` are replies to earlier requests, ``bad_frames`` requests that were answered by bytes
    that are no reply, ``reconnects`` openings after the first, ``busy_s`` the time that it was
    taken by requests [s].
    """

    requests: int = 0
    replies: int = 0
    timeouts: int = 0
    exceptions: int = 0
    bad_frames: int = 0
    stale: int = 0
    reconnects: int = 0
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LineTiming:
    """How long a line waits [s].

    ``pause_s`` is the silence between a reply and the next request, ``byte_s`` what a byte takes on
    a serial line, ``guard_s`` how long a reply that did not come is still expected where only unit,
    function and length tell replies apart.
    """

    timeout_s: float = 1.0
    retries: int = 0
    pause_s: float = 0.0
    byte_s: float = 0.0
    guard_s: float = 0.0
    close_after_read: bool = False


class FieldLine:
    """Read blocks of registers from the units of one line.

    Parameters
    ----------
    code
        The line's code in the plant file.
    link
        What moves the bytes; opened when first used, and again after it broke.
    exchanges
        Makes the exchange for a unit and a block.
    timing
        How long to wait.
    unit_timing
        Timeout [s] and retries of units that differ from the line's.
    """

    def __init__(
        self,
        code: str,
        link: Link,
        exchanges: Callable[[UnitAddress, RegisterBlock], Exchange],
        timing: LineTiming,
        unit_timing: dict[UnitAddress, tuple[float, int]] | None = None,
    ) -> None:
        self.code = code
        self.counts = LineCounts()
        self._link = link
        self._make = exchanges
        self._timing = timing
        self._unit_timing = unit_timing or {}
        self._exchanges: dict[_Key, Exchange] = {}
        self._turn = asyncio.Lock()
        self._exchange: Exchange | None = None
        self._reply: asyncio.Future[bytes] | None = None
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_until_s = 0.0
        self._missing: tuple[_Key, float] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._opened = False
        self._down = False
        link.receive = self._receive
        link.lost = self._lost

    @property
    def where(self) -> str:
        """The address of its link, for people."""
        return self._link.where

    @property
    def is_open(self) -> bool:
        """Whether its link is open."""
        return self._link.is_open

    async def read(
        self,
        unit: UnitAddress,
        block: RegisterBlock,
        timeout_s: float | None = None,
        *,
        retry: bool = True,
    ) -> bytes:
        """Return a block as it came: of registers two bytes each, the high one first.

        Parameters
        ----------
        unit
            Address of the unit on the line; text for meters of DL/T 645 and CJ/T 188.
        block
            What to read.
        timeout_s
            How long to wait for the reply [s]; left out, the unit's or the line's timeout.
        retry
            Whether the unit's or the line's retries hold; not for one that is known to be silent.

        Raises
        ------
        ReadError
            If the unit does not answer in time, or answers with an exception or something else.
        """
        own_timeout_s, retries = self._unit_timing.get(
            unit, (self._timing.timeout_s, self._timing.retries)
        )
        wait_s = own_timeout_s if timeout_s is None else timeout_s
        async with self._turn:
            while True:
                try:
                    return await self._ask(unit, block, wait_s)
                except ReadError as error:
                    if not retry or retries <= 0 or not _may_pass(error):
                        raise
                    retries -= 1

    async def _ask(self, unit: UnitAddress, block: RegisterBlock, timeout_s: float) -> bytes:
        key = (unit, block.function, block.address, block.count)
        exchange = self._exchanges.get(key) or self._new_exchange(key, unit, block)
        if not self._link.is_open:
            await self._open(timeout_s)
        loop = asyncio.get_running_loop()
        if self._missing is not None or self._quiet_until_s:
            await self._wait_for_quiet(key, exchange, loop)
        reply: asyncio.Future[bytes] = loop.create_future()
        request = exchange.begin()
        began_s = loop.time()
        if self._timing.byte_s:
            timeout_s += self._timing.byte_s * (len(request) + exchange.reply_bytes)
        self._exchange, self._reply = exchange, reply
        self._expire_at(began_s + timeout_s, loop)
        counts = self.counts
        counts.requests += 1
        try:
            self._link.write(request)
            data = await reply
            counts.replies += 1
            return data
        except ExceptionReplyError as error:
            counts.exceptions += 1
            raise self._refusal(unit, block, error) from None
        except BadFrameError as error:
            counts.bad_frames += 1
            self._link.forget()
            raise self._no_response(unit, block, str(error)) from None
        except TimeoutError:
            counts.timeouts += 1
            self._missing = (key, loop.time() + self._timing.guard_s)
            said = self._said_instead(exchange)
            self._link.forget()
            raise self._no_response(unit, block, f"no reply within {timeout_s:g} s{said}") from None
        except OSError as error:
            raise self._no_response(unit, block, str(error)) from None
        except asyncio.CancelledError:
            # The reply is still on its way.
            self._missing = (key, loop.time() + self._timing.guard_s)
            self._link.forget()
            raise
        finally:
            self._exchange = self._reply = None
            ended_s = loop.time()
            counts.busy_s += ended_s - began_s
            counts.stale += exchange.stale
            if self._timing.pause_s:
                self._quiet_until_s = ended_s + self._timing.pause_s
            if self._timing.close_after_read:
                self._close_when_idle(loop)

    def _new_exchange(self, key: _Key, unit: UnitAddress, block: RegisterBlock) -> Exchange:
        if len(self._exchanges) >= _MAX_EXCHANGES:
            self._exchanges.clear()
        exchange = self._exchanges[key] = self._make(unit, block)
        return exchange

    async def _wait_for_quiet(
        self, key: _Key, exchange: Exchange, loop: asyncio.AbstractEventLoop
    ) -> None:
        until_s = self._quiet_until_s
        if self._missing is not None:
            (unit, function, address, count), guard_until_s = self._missing
            # Its late reply would look like the reply to this request.
            alike = (
                not exchange.names_block
                and (unit, function, count) == (key[0], key[1], key[3])
                and address != key[2]
            )
            if alike:
                until_s = max(until_s, guard_until_s)
            if alike or guard_until_s <= loop.time():
                self._missing = None
        self._quiet_until_s = 0.0
        wait_s = until_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _expire_at(self, deadline_s: float, loop: asyncio.AbstractEventLoop) -> None:
        """Arm the timer, which stays armed from one request to the next: that is cheaper."""
        self._deadline_s = deadline_s
        timer = self._timer
        if timer is not None:
            if timer.when() <= deadline_s:
                return
            timer.cancel()
        self._timer = loop.call_at(deadline_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        reply = self._reply
        if reply is None or reply.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline_s:
            self._timer = loop.call_at(self._deadline_s, self._expire)
        else:
            reply.set_exception(TimeoutError())

    def _receive(self, data: bytes) -> None:
        reply, exchange = self._reply, self._exchange
        if reply is None or exchange is None or reply.done():
            self.counts.stale += 1
            return
        try:
            found = exchange.take(data)
        except (ExceptionReplyError, BadFrameError) as error:
            reply.set_exception(error)
            return
        if found is not None:
            reply.set_result(found)

    def _lost(self, reason: str) -> None:
        reply = self._reply
        if reply is not None and not reply.done():
            reply.set_exception(ConnectionError(reason))

    async def _open(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._link.open()
        except (OSError, UnicodeError) as error:  # a host name may be no name at all
            reason = str(error) or f"no connection within {timeout_s:g} s"
            if not self._down:
                _log.warning("line is down", line=self.code, address=self.where, reason=reason)
            self._down = True
            raise ReadError(
                Quality.NO_RESPONSE, f"line {self.code}: no connection to {self.where}: {reason}"
            ) from error
        if self._opened:
            self.counts.reconnects += 1
        self._opened = True
        # What was missing cannot come through a new connection of a protocol that has no guard.
        if self._down:
            _log.info("line is back", line=self.code, address=self.where)
        self._down = False

    def _said_instead(self, exchange: Exchange) -> str:
        if not exchange.rest:
            return ""
        if exchange.is_stale_reply(exchange.rest):
            self.counts.stale += 1
            return "; a reply came that is not to this request"
        self.counts.bad_frames += 1
        return f"; {len(exchange.rest)} bytes came that are no reply"

    def _refusal(
        self, unit: UnitAddress, block: RegisterBlock, error: ExceptionReplyError
    ) -> ReadError:
        code = error.code
        if isinstance(error, MeterRefusalError):
            return ReadError(
                Quality.EXCEPTION_REPLY,
                f"{self._asked(unit, block)}: refused, error byte {code:#04x}",
                absent=error.absent,
            )
        # A gateway answers for a unit that is silent behind it.
        silent = code in (_NO_PATH, _NO_ANSWER)
        return ReadError(
            Quality.NO_RESPONSE if silent else Quality.EXCEPTION_REPLY,
            f"{self._asked(unit, block)}: exception {code:#04x}",
            code,
        )

    def _no_response(self, unit: UnitAddress, block: RegisterBlock, reason: str) -> ReadError:
        return ReadError(Quality.NO_RESPONSE, f"{self._asked(unit, block)}: {reason}")

    def _asked(self, unit: UnitAddress, block: RegisterBlock) -> str:
        if isinstance(unit, str):
            return f"line {self.code}, meter {unit}, {block.function} {block.address:08X}"
        return f"line {self.code}, unit {unit}, {block.function} {block.address:#06x}+{block.count}"

    def _close_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._closing = loop.call_later(_CLOSE_AFTER_IDLE_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._closing = None
        if self._reply is None:
            self._opened = False  # it is meant to be opened again, that is no reconnect
            self._link.close()

    def close(self) -> None:
        """Close the link and end the timers."""
        for timer in (self._timer, self._closing):
            if timer is not None:
                timer.cancel()
        self._timer = self._closing = None
        self._link.close()


def _may_pass(error: ReadError) -> bool:
    """Whether the same request may succeed at once: nothing came, or the unit was busy."""
    if error.exception_code is None:
        return error.quality == Quality.NO_RESPONSE
    return error.exception_code in (_ACKNOWLEDGED, _BUSY)
