"""The MQTT side: messages in, receipts and acknowledgements out, nothing acknowledged early.

paho runs the socket in its own thread. Its callback blocks when too much waits, so the socket is
no longer read and the broker keeps what it has: memory stays bounded and nothing is dropped.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from enpilot.wire import Receipt, encode, topic
from ingest.errors import BrokerUnavailableError
from ingest.settings import IngestSettings
from ingest.waiting import Waiting

__all__ = ["Message", "Subscriber"]

_log = structlog.get_logger("ingest")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, with the connection it came on: an acknowledgement is only valid there.

    ``received_us`` is when it came [µs since 1970], ``since_s`` the same on the monotonic clock.
    """

    topic: str
    payload: bytes
    mid: int
    connection_no: int
    received_us: int
    since_s: float

    @property
    def message_count(self) -> int:
        """One."""
        return 1

    @property
    def size(self) -> float:
        """Size of the payload [bytes]."""
        return len(self.payload)


class Subscriber:
    """A clean session on birth, data and status of every agent (D12: the outbox is durable).

    Parameters
    ----------
    settings
        Broker, and how much may wait.
    client_id
        Under which the broker knows this connection.
    filters
        Other topics than the agents', with their quality of service.
    """

    def __init__(
        self,
        settings: IngestSettings,
        client_id: str,
        filters: list[tuple[str, int]] | None = None,
    ) -> None:
        self._settings = settings.mqtt
        self._receive_maximum = settings.receive_maximum
        # Retained messages do not reach shared subscriptions: births and statuses go to all (D14).
        share = "" if settings.share is None else f"$share/{settings.share}/"
        self._filters = filters or [
            (topic("+", "birth"), 1), (topic("+", "status"), 1), (share + topic("+", "data"), 1),
        ]  # fmt: skip
        self.waiting: Waiting[Message] = Waiting(
            settings.max_waiting_messages, settings.max_waiting_bytes
        )
        self._connections = itertools.count(1)
        self._connection_no = 0
        self._down = False
        self.connected = False
        self._v5 = self._settings.protocol == "5"
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if self._v5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if self._settings.username is not None:
            self._client.username_pw_set(self._settings.username, self._settings.password())
        if (tls := self._settings.tls_context()) is not None:
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
            self._connect()
        except (OSError, socket.gaierror, ssl.SSLError) as error:
            raise BrokerUnavailableError(f"no MQTT broker at {where}: {error}") from error
        self._client.loop_start()

    def _connect(self) -> None:
        where = (self._settings.host, self._settings.port, self._settings.keepalive_s)
        if not self._v5:
            self._client.connect(*where)
            return
        # Else the broker takes its own default, and that is far less than a group.
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
        properties.ReceiveMaximum = self._receive_maximum
        self._client.connect(*where, clean_start=True, properties=properties)

    def stop(self) -> None:
        """Disconnect; what is not acknowledged comes again from the outbox."""
        self._client.disconnect()
        self.waiting.close()  # the callback may be waiting for room
        self._client.loop_stop()
        # paho closes its sockets when it is forgotten, which a circle of callbacks would delay.
        self._client.on_connect = None
        self._client.on_disconnect = None
        self._client.on_message = None

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
        client.subscribe(self._filters)
        self.connected = True
        if self._down:
            _log.info("broker is back")
        self._down = False

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self.connected = False
        if reason.is_failure and not self._down:
            self._down = True
            _log.warning("broker is away", reason=str(reason))

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.waiting.put(
            Message(
                message.topic, bytes(message.payload), message.mid, self._connection_no,
                time.time_ns() // 1000, time.monotonic(),
            )
        )  # fmt: skip
