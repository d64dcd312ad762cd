"""The MQTT side: messages in, receipts and acknowledgements out, nothing acknowledged early.

paho runs the socket in its own thread. Its callback blocks when the queue is full, so the socket is
no longer read and the broker keeps what it has: memory stays bounded and nothing is dropped.
"""

from __future__ import annotations

import itertools
import queue
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from enpilot.settings import MqttSettings
from enpilot.wire import Receipt, encode, topic
from ingest.errors import BrokerUnavailableError

__all__ = ["Message", "Subscriber"]

_log = structlog.get_logger("ingest")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, with the connection it came on: an acknowledgement is only valid there."""

    topic: str
    payload: bytes
    mid: int
    connection_no: int


class Subscriber:
    """A clean session on birth, data and status of every agent (D12: the outbox is durable)."""

    def __init__(self, settings: MqttSettings, client_id: str, max_waiting: int) -> None:
        self._settings = settings
        self._waiting: queue.Queue[Message] = queue.Queue(max_waiting)
        self._connections = itertools.count(1)
        self._connection_no = 0
        self._down = False
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True, manual_ack=True
        )
        if settings.username is not None:
            self._client.username_pw_set(settings.username, settings.password())
        if (tls := settings.tls_context()) is not None:
            self._client.tls_set_context(tls)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect and subscribe.

        Raises
        ------
        BrokerUnavailableError
            If the broker does not answer at the start; later it is waited for.
        """
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self._client.connect(
                self._settings.host, self._settings.port, self._settings.keepalive_s
            )
        except (OSError, socket.gaierror, ssl.SSLError) as error:
            raise BrokerUnavailableError(f"no MQTT broker at {where}: {error}") from error
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect; what is not acknowledged comes again from the outbox."""
        self._client.disconnect()
        # The callback may be waiting for room in the queue.
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._client.loop_stop()

    def take(self, most: int, most_bytes: int, wait_s: float) -> list[Message]:
        """Return what waits, in order of arrival; an empty list if nothing came in ``wait_s``."""
        try:
            messages = [self._waiting.get(timeout=wait_s)]
        except queue.Empty:
            return []
        size = len(messages[0].payload)
        while len(messages) < most and size < most_bytes:
            try:
                message = self._waiting.get_nowait()
            except queue.Empty:
                break
            messages.append(message)
            size += len(message.payload)
        return messages

    def acknowledge(self, messages: list[Message]) -> None:
        """Acknowledge what is committed; a message of an earlier connection is left alone."""
        for message in messages:
            if message.connection_no == self._connection_no:
                self._client.ack(message.mid, 1)

    def send(self, receipt: Receipt) -> None:
        """Publish a receipt; retained if it confirms anything, for an agent that comes back."""
        retain = bool(receipt.streams)
        self._client.publish(topic(receipt.agent, "receipt"), encode(receipt), qos=1, retain=retain)

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            _log.error("broker refuses us", reason=str(reason))
            return
        self._connection_no = next(self._connections)
        client.subscribe([(topic("+", kind), 1) for kind in ("birth", "data", "status")])
        if self._down:
            _log.info("broker is back")
        self._down = False

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure and not self._down:
            self._down = True
            _log.warning("broker is away", reason=str(reason))

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._waiting.put(
            Message(message.topic, bytes(message.payload), message.mid, self._connection_no)
        )
