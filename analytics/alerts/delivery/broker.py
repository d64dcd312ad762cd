"""Messages over MQTT: one topic a site and kind, for systems of the plant that listen."""

from __future__ import annotations

import threading

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from analytics.alerts.delivery.channels import Letter
from analytics.errors import ChannelError
from enpilot.settings import MqttSettings
from enpilot.wire.topics import alert_topic

__all__ = ["BrokerChannel"]


class BrokerChannel:
    """The broker of the settings; each letter makes its own connection, since letters are rare.

    Parameters
    ----------
    name
        In the settings.
    settings
        How to reach the broker.
    timeout_s
        To be connected, and to have the letter confirmed [s].
    """

    def __init__(self, name: str, settings: MqttSettings, timeout_s: float) -> None:
        self.name = name
        self._settings = settings
        self._timeout_s = timeout_s
        self._tls = settings.tls_context()

    def send(self, letter: Letter) -> None:
        """Publish what the letter says as data, with QoS 1, not retained.

        Raises
        ------
        ChannelError
            If the broker did not confirm it.
        """
        settings = self._settings
        version = mqtt.MQTTv5 if settings.protocol == "5" else mqtt.MQTTv311
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=version)
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password())
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.connect_timeout = self._timeout_s
        answered = threading.Event()
        refused: list[str] = []

        def on_connect(_client: object, _data: object, _flags: object, reason: object,
                       _properties: object) -> None:  # fmt: skip
            if getattr(reason, "is_failure", False):
                refused.append(str(reason))
            answered.set()

        client.on_connect = on_connect
        try:
            client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
            client.loop_start()
            if not answered.wait(self._timeout_s) or refused:
                raise ChannelError(f"broker: {refused[0] if refused else 'no answer'}")
            payload = msgspec.json.encode({"v": 1, "id": letter.key, **letter.content})
            sent = client.publish(alert_topic(*letter.topic), payload, qos=1)
            sent.wait_for_publish(self._timeout_s)
            if not sent.is_published():
                raise ChannelError("broker: not confirmed")
        except (OSError, ValueError, RuntimeError) as error:
            raise ChannelError(f"broker: {error}") from error
        finally:
            client.disconnect()
            client.loop_stop()
