"""The uplink: publishes what the outbox holds, paced by receipts, and applies what they say."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import aiomqtt
import msgspec
import structlog

from edge_agent.errors import OutboxWriteError
from edge_agent.outbox import Applied, HeldBatch, Outbox
from edge_agent.pacing import Pacing
from edge_agent.settings import UplinkSettings
from enpilot.settings import MqttSettings
from enpilot.wire import (
    WIRE_VERSION,
    DataMessage,
    Receipt,
    Status,
    WireError,
    decode_receipt,
    encode,
    topic,
)

__all__ = ["Uplink"]

_log = structlog.get_logger("edge")
_FIRST_RECONNECT_S: Final = 1.0
_LAST_RECONNECT_S: Final = 60.0
_IDLE_S: Final = 0.5
_GATHER_S: Final = 0.05
_STORAGE_AGAIN_S: Final = 10.0
_PROTOCOLS: Final = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}


class Uplink:
    """One agent's conversation with the platform.

    Parameters
    ----------
    births
        SHA-256 and bytes of the births in force.
    describe
        Fills in what a status message says of the rest of the agent.
    """

    def __init__(
        self,
        mqtt: MqttSettings,
        settings: UplinkSettings,
        outbox: Outbox,
        agent: str,
        births: Sequence[tuple[str, bytes]],
        describe: Callable[[Status], None],
    ) -> None:
        self._mqtt = mqtt
        self._tls = mqtt.tls_context()
        self._settings = settings
        self._outbox = outbox
        self._agent = agent
        self._births = births
        self._births_are_new = False
        self._describe = describe
        self._since_us = time.time_ns() // 1000
        self._pacing = Pacing(settings)
        self._wake = asyncio.Event()
        self._warned = False
        self._stopping = False
        self._storage_failed = False
        self._foreign: set[str] = set()
        self.connected = False
        self.confirmed_batches = 0
        self.sent_batches = 0

    @property
    def unconfirmed_s(self) -> float:
        """For how long the platform has owed an answer [s]."""
        return self._pacing.unanswered_s

    def wake(self) -> None:
        """Say that a new batch is in the outbox."""
        self._wake.set()

    def stop(self) -> None:
        """Say that `run` is about to be cancelled."""
        self._stopping = True

    def change_births(self, births: Sequence[tuple[str, bytes]]) -> None:
        """Announce other births from now on; batches that quote earlier ones still go out."""
        self._births = births
        self._births_are_new = True
        self._wake.set()

    async def run(self) -> None:
        """Stay connected until cancelled, after `stop`."""
        delay_s = _FIRST_RECONNECT_S
        down = False
        while True:
            try:
                async with self._client() as client:
                    if down:
                        _log.info("broker is back")
                    down, delay_s = False, _FIRST_RECONNECT_S
                    self.connected = True
                    await self._serve(client)
            except* aiomqtt.MqttError as errors:  # the tasks of a connection fail as a group
                if not down:
                    _log.warning(
                        "broker is away", broker=f"{self._mqtt.host}:{self._mqtt.port}",
                        reason=str(errors.exceptions[0]),
                    )  # fmt: skip
                down = True
            finally:
                self.connected = False
            # Jitter: a thousand gateways must not come back in the same second.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
            delay_s = min(delay_s * 2, _LAST_RECONNECT_S)

    def _client(self) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._mqtt.host,
            self._mqtt.port,
            identifier=f"enpilot-edge-{self._agent}",
            protocol=_PROTOCOLS[self._mqtt.protocol],
            username=self._mqtt.username,
            password=self._mqtt.password(),
            tls_context=self._tls,
            keepalive=self._mqtt.keepalive_s,
            timeout=self._settings.reply_timeout_s,
            max_inflight_messages=self._settings.window + 8,
            max_concurrent_outgoing_calls=self._settings.window + 8,
            will=aiomqtt.Will(
                topic(self._agent, "status"), encode(self._status("offline")), qos=1, retain=True
            ),
        )
        # A whole window under way is what is wanted, and no news.
        client.pending_calls_threshold = self._settings.window + 8
        return client

    async def _serve(self, client: aiomqtt.Client) -> None:
        await client.subscribe(topic(self._agent, "receipt"), qos=1)
        await self._announce(client)
        self._pacing.begin()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(client))
            tasks.create_task(self._send(client))
            tasks.create_task(self._report(client))

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                receipt = decode_receipt(message.payload)
            except WireError as error:
                _log.warning("a receipt cannot be read", reason=str(error))
                continue
            try:
                await self._apply(client, receipt, retained=bool(message.retain))
            except OutboxWriteError as error:
                self._storage_refuses(error)  # the batches are sent, and answered, again

    async def _apply(self, client: aiomqtt.Client, receipt: Receipt, *, retained: bool) -> None:
        applied = await asyncio.to_thread(self._outbox.apply_receipt, receipt, retained=retained)
        if not retained:
            self._pacing.heard()
            if self._warned:
                _log.info("the platform confirms again")
            self._warned = False
            self._tell_of_others(set(applied.foreign))
        self._tell(applied)
        for entry in receipt.streams:
            refused = ((seq, seq) for seq, _ in entry.refused)
            self._pacing.covered(entry.stream, [(1, entry.through), *entry.ahead, *refused])
        if receipt.need:
            await self._announce(client, set(receipt.need))
            self._pacing.send_again()
        self._wake.set()

    async def _announce(self, client: aiomqtt.Client, needed: set[str] | None = None) -> None:
        """Publish births: those needed of the quoted ones, and last, for the broker to keep, ours.

        Without ``needed`` all that held batches quote.
        """
        self._births_are_new = False
        current = [sha256 for sha256, _ in self._births]
        for sha256, body in await asyncio.to_thread(self._outbox.births, current):
            if needed is None or sha256 in needed or sha256 in current:
                await self._publish(client, topic(self._agent, "birth"), body, retain=True)

    def _tell(self, applied: Applied) -> None:
        self.confirmed_batches += applied.confirmed
        for stream, seq, code in applied.dead:
            _log.warning(
                "a batch is set apart: see `enpilot edge outbox`", stream=stream, seq=seq, code=code
            )
        if applied.other_database:
            _log.warning(
                "the platform's database is another one, or fell back: what it may have lost is "
                "sent again", batches=applied.revived,
            )  # fmt: skip
        elif applied.revived:
            _log.warning("the platform lost batches: sent again", batches=applied.revived)
        if applied.renumbered:
            _log.warning(
                "other readings have our numbers: this outbox was copied, or put back while its "
                "agent ran; numbered anew", batches=applied.renumbered, stream=applied.stream,
            )  # fmt: skip

    def _tell_of_others(self, streams: set[str]) -> None:
        if streams - self._foreign and not self._foreign:
            _log.error(
                "another agent sends under our name: is this outbox, or this machine, a copy?",
                agent=self._agent, stream=min(streams),
            )  # fmt: skip
        self._foreign |= streams

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._wake.clear()
            try:
                batches = await asyncio.to_thread(self._next)
                await asyncio.to_thread(
                    self._outbox.note_sent, batches, answered=self._pacing.answered
                )
                self._storage_failed = False
            except OutboxWriteError as error:
                self._storage_refuses(error)
                await asyncio.sleep(_STORAGE_AGAIN_S)
                continue
            if self._births_are_new:
                await self._announce(client, set())
            self._pacing.sent(
                ((b.stream, b.seq) for b in batches), sum(not b.live for b in batches)
            )
            await self._publish_all(client, batches)
            self._warn_of_silence()
            if not batches:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_S):
                        await self._wake.wait()
            # What comes together goes together: one turn of disk and broker for several batches.
            await asyncio.sleep(_GATHER_S)

    def _next(self) -> list[HeldBatch]:
        turn = self._pacing.turn()
        if turn.probe is not None:
            batch = self._outbox.probe(newest=turn.probe == "newest")
            return [] if batch is None else [batch]
        if turn.most == 0:
            return []
        return self._outbox.next_held(turn.most, self._pacing.in_flight, backlog=turn.backlog)

    async def _publish_all(self, client: aiomqtt.Client, batches: Sequence[HeldBatch]) -> None:
        if len(batches) == 1:
            await self._publish_batch(client, batches[0])
            return
        async with asyncio.TaskGroup() as tasks:  # not one round trip after another
            for batch in batches:
                tasks.create_task(self._publish_batch(client, batch))
        self._end_if_stopping()

    async def _publish_batch(self, client: aiomqtt.Client, batch: HeldBatch) -> None:
        await self._publish(client, topic(self._agent, "data"), self._message(batch), retain=False)
        self.sent_batches += 1

    def _warn_of_silence(self) -> None:
        silent_s = self._pacing.unanswered_s
        if silent_s >= self._settings.silence_warning_s and not self._warned:
            self._warned = True
            _log.warning(
                "the broker takes what is published, but nobody confirms it: check the broker's "
                "ACL for this agent, and whether ingest runs", silent_s=round(silent_s),
            )  # fmt: skip

    def _storage_refuses(self, error: OutboxWriteError) -> None:
        if not self._storage_failed:
            self._storage_failed = True
            _log.error("sending waits for the disk", reason=str(error))

    def _message(self, batch: HeldBatch) -> bytes:
        return encode(
            DataMessage(
                v=WIRE_VERSION,
                agent=self._agent,
                stream=batch.stream,
                seq=batch.seq,
                first=min(batch.first, batch.seq),
                sent_us=time.time_ns() // 1000,
                previous=batch.previous,
                batch=msgspec.Raw(batch.body),
            ),
            compress=self._settings.compress,
        )

    async def _publish(
        self, client: aiomqtt.Client, name: str, body: bytes, *, retain: bool
    ) -> None:
        await client.publish(name, body, qos=1, retain=retain)
        self._end_if_stopping()

    def _end_if_stopping(self) -> None:
        # aiomqtt waits with asyncio.wait_for, which before Python 3.12 forgets a cancellation that
        # comes together with the result; the task would then never end.
        if self._stopping:
            raise asyncio.CancelledError

    async def _report(self, client: aiomqtt.Client) -> None:
        while True:
            body = encode(await asyncio.to_thread(self._full_status))
            await self._publish(client, topic(self._agent, "status"), body, retain=True)
            await asyncio.sleep(self._settings.status_s)

    def _full_status(self) -> Status:
        status = self._status("online")
        load, usage = self._outbox.load(), self._outbox.usage()
        status.held_batches = load.batches
        status.held_readings = load.readings
        status.oldest_held_us = load.oldest_us
        status.dead_batches = load.dead
        status.outbox_bytes = usage.used_bytes
        status.dropped_readings = usage.dropped_readings
        status.thinned_readings = usage.thinned_readings
        hours = self._outbox.hours_left()
        status.outbox_hours = None if hours is None else round(hours, 1)
        status.findings = [*status.findings, *(("agent_cloned", s) for s in self._foreign)]
        status.unconfirmed_s = round(self.unconfirmed_s, 1)
        status.confirmed_streams = self._outbox.confirmed_streams()
        return status

    def _status(self, state: str) -> Status:
        status = Status(
            v=WIRE_VERSION,
            agent=self._agent,
            state="online" if state == "online" else "offline",
            since_us=self._since_us,
            stream=self._outbox.stream,
        )
        self._describe(status)
        return status
