"""The uplink: batches out as fast as receipts come back, never faster (D13).

A broker acknowledges what nobody may have stored, so PUBACK paces nothing here. At most ``window``
batches wait for a receipt; after silence only the oldest is sent again, as a probe, with backoff.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import aiomqtt
import msgspec
import structlog

from edge_agent.outbox import HeldBatch, Outbox
from edge_agent.settings import UplinkSettings
from enpilot.settings import MqttSettings, SettingsError
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
_FIRST_RECONNECT_S = 1.0
_LAST_RECONNECT_S = 60.0


class Uplink:
    """Publish what the outbox holds and apply what receipts say."""

    def __init__(
        self,
        mqtt: MqttSettings,
        settings: UplinkSettings,
        outbox: Outbox,
        agent: str,
        birth: tuple[str, bytes],
        units_down: Callable[[], int],
    ) -> None:
        self._mqtt = mqtt
        self._tls = _tls_context(mqtt.tls_ca_file)
        self._settings = settings
        self._outbox = outbox
        self._agent = agent
        self._birth = birth
        self._units_down = units_down
        self._since_us = time.time_ns() // 1000
        self._in_flight: set[tuple[str, int]] = set()
        self._wake = asyncio.Event()
        self._heard_at = time.monotonic()
        self._probe_s = settings.probe_first_s
        self._probing = False
        self._warned = False
        self._stopping = False

    def wake(self) -> None:
        """Say that a new batch is in the outbox."""
        self._wake.set()

    def stop(self) -> None:
        """Say that `run` is about to be cancelled."""
        self._stopping = True

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
                    await self._serve(client)
            except* aiomqtt.MqttError as errors:  # the tasks of a connection fail as a group
                if not down:
                    _log.warning(
                        "broker is away", broker=f"{self._mqtt.host}:{self._mqtt.port}",
                        reason=str(errors.exceptions[0]),
                    )  # fmt: skip
                down = True
            # Jitter: a thousand gateways must not come back in the same second.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
            delay_s = min(delay_s * 2, _LAST_RECONNECT_S)

    def _client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._mqtt.host,
            self._mqtt.port,
            identifier=f"enpilot-edge-{self._agent}",
            username=self._mqtt.username,
            password=self._mqtt.password(),
            tls_context=self._tls,
            keepalive=self._mqtt.keepalive_s,
            timeout=self._settings.reply_timeout_s,
            max_concurrent_outgoing_calls=self._settings.window + 8,
            will=aiomqtt.Will(
                topic(self._agent, "status"), encode(self._status("offline")), qos=1, retain=True
            ),
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        await client.subscribe(topic(self._agent, "receipt"), qos=1)
        for _, body in await asyncio.to_thread(self._outbox.births, self._birth[0]):
            await self._publish(client, topic(self._agent, "birth"), body, retain=True)
        # Whatever was on its way when the connection broke is sent again.
        self._in_flight.clear()
        self._probing = False
        self._heard_at = time.monotonic()
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
            await self._apply(client, receipt)

    async def _apply(self, client: aiomqtt.Client, receipt: Receipt) -> None:
        self._heard_at = time.monotonic()
        self._probe_s = self._settings.probe_first_s
        self._warned = False
        await asyncio.to_thread(self._outbox.apply_receipt, receipt)
        for entry in receipt.streams:
            for seq, code in entry.refused:
                if (entry.stream, seq) in self._in_flight:
                    _log.warning("platform refuses a batch", seq=seq, code=code)
            covered = [(1, entry.through), *entry.ahead, *((s, s) for s, _ in entry.refused)]
            self._in_flight = {
                (stream, seq)
                for stream, seq in self._in_flight
                if stream != entry.stream or not any(a <= seq <= b for a, b in covered)
            }
        if receipt.need:
            bodies = dict(await asyncio.to_thread(self._outbox.births, self._birth[0]))
            for needed in receipt.need:
                if needed in bodies:
                    await self._publish(
                        client, topic(self._agent, "birth"), bodies[needed], retain=True
                    )
            self._in_flight.clear()
        self._probing = False
        self._wake.set()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._wake.clear()
            silent_s = time.monotonic() - self._heard_at
            if self._in_flight and silent_s >= self._probe_s:
                self._begin_probe()
            window = 1 if self._probing else self._settings.window
            room = window - len(self._in_flight)
            batches = (
                await asyncio.to_thread(self._outbox.next_held, room, self._in_flight)
                if room > 0
                else []
            )
            if batches and not self._in_flight:
                self._heard_at = time.monotonic()  # silence counts from the first unanswered send
            for batch in batches:
                self._in_flight.add((batch.stream, batch.seq))
                await self._publish(
                    client, topic(self._agent, "data"), self._message(batch), retain=False
                )
                await asyncio.to_thread(self._outbox.note_sent, batch)
            if not batches:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await self._wake.wait()

    def _begin_probe(self) -> None:
        """Nothing was heard: forget what is in flight, ask with the oldest batch only."""
        self._in_flight.clear()
        self._probing = True
        self._heard_at = time.monotonic()
        if self._probe_s >= self._settings.silence_warning_s and not self._warned:
            self._warned = True
            _log.warning("published but never confirmed: check the broker's ACL, or ingest")
        jitter = random.uniform(0.8, 1.2)  # noqa: S311  # no secret
        self._probe_s = min(self._probe_s * 2 * jitter, self._settings.probe_last_s)

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
        # aiomqtt waits with asyncio.wait_for, which before Python 3.12 forgets a cancellation that
        # comes together with the result; the task would then never end.
        if self._stopping:
            raise asyncio.CancelledError

    async def _report(self, client: aiomqtt.Client) -> None:
        while True:
            load = await asyncio.to_thread(self._outbox.load)
            status = self._status("online")
            status.held_batches = load.batches
            status.held_readings = load.readings
            status.oldest_held_us = load.oldest_us
            await self._publish(client, topic(self._agent, "status"), encode(status), retain=True)
            await asyncio.sleep(self._settings.status_s)

    def _status(self, state: str) -> Status:
        return Status(
            v=WIRE_VERSION,
            agent=self._agent,
            state="online" if state == "online" else "offline",
            since_us=self._since_us,
            stream=self._outbox.stream,
            units_down=self._units_down(),
        )


def _tls_context(ca_file: Path | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # also what ssl raises for a file without certificates
        raise SettingsError(
            f"{ca_file}: no certificates of an authority can be read: {error} - at "
            "`$.mqtt.tls_ca_file`"
        ) from error
