"""A gateway in a test's hands: publishes exact bytes over real MQTT and keeps the receipts."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from enpilot.wire import (
    Batch,
    Birth,
    DataMessage,
    GroupDeclaration,
    GroupReadings,
    Receipt,
    SeriesDeclaration,
    Status,
    decode_receipt,
    encode,
    sha256_hex,
    topic,
)

PLANT = """\
schema = 1
[site]
code = "works"
name = {zh = "厂", en = "Works"}
timezone = "Asia/Shanghai"
from = 2026-01-01
[[agent]]
id = "gw1"
[[agent]]
id = "gw2"
[[line]]
code = "l1"
agent = "gw1"
host = "127.0.0.1"
[[device]]
code = "m1"
line = "l1"
unit = 1
profile = "acrel-adl400"
[[point]]
code = "main"
name = {zh = "总", en = "Main"}
medium = "electricity"
role = "boundary"
commissioning = "accepted"
[[installation]]
point = "main"
device = "m1"
ct_ratio = "40"
"""
START_US = 1_790_000_100_000_000  # 2026-09-21T13:35Z, on the quarter-hour grid


def declaration(**other: object) -> SeriesDeclaration:
    said: dict[str, object] = {
        "point": "main", "quantity": "active_energy", "channel": "total", "unit": "kWh",
        "raw_type": "uint32", "register_scale": "0.01", "side": "secondary",
        "counter": "lifetime", "modulus": "100000000",
    }  # fmt: skip
    return msgspec.convert({**said, **other}, SeriesDeclaration)


class Messages:
    """Makes the messages of one agent."""

    def __init__(self, agent: str = "gw1") -> None:
        self.agent = agent
        self.stream = str(uuid.uuid4())
        self.birth = b""

    def make_birth(self, *series: SeriesDeclaration, period_s: float = 1.0) -> bytes:
        columns = list(series) or [declaration()]
        self.birth = encode(
            Birth(
                v=1, agent=self.agent, software="test",
                groups=[GroupDeclaration(group=0, period_s=period_s, series=columns)],
            )
        )  # fmt: skip
        return self.birth

    def message(
        self,
        seq: int,
        values: list[int],
        *,
        start_us: int | None = None,
        first: int = 1,
        birth: str | None = None,
        agent: str | None = None,
        stream: str | None = None,
        previous: str | None = None,
        compress: bool = False,
    ) -> bytes:
        start = START_US + (seq - 1) * 60_000_000 if start_us is None else start_us
        body = encode(
            Batch(
                birth=birth or sha256_hex(self.birth),
                groups=[
                    GroupReadings(
                        group=0, ts=start, dt=[1_000_000 * i for i in range(len(values))],
                        late_ms=[0] * len(values), values=[list(values)],
                    )
                ],
            )
        )  # fmt: skip
        return encode(
            DataMessage(
                v=1, agent=agent or self.agent, stream=stream or self.stream, seq=seq,
                first=first, sent_us=time.time_ns() // 1000, batch=msgspec.Raw(body),
                previous=previous,
            ),
            compress=compress,
        )  # fmt: skip


class Gateway(Messages):
    """One agent's connection to the broker."""

    def __init__(self, port: int, agent: str = "gw1") -> None:
        super().__init__(agent)
        self.receipts: list[Receipt] = []
        self._arrived = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"test-{self.stream}")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(topic(agent, "receipt"), 1)
        self._client.loop_start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None  # see ingest.subscriber

    def _on_message(self, _c: object, _d: object, message: mqtt.MQTTMessage) -> None:
        with self._arrived:
            self.receipts.append(decode_receipt(bytes(message.payload)))
            self._arrived.notify_all()

    def publish(self, kind: str, payload: bytes, *, agent: str | None = None) -> None:
        name = f"enpilot/v1/{agent or self.agent}/{kind}"
        self._client.publish(name, payload, qos=1).wait_for_publish(10)

    def send(self, payload: bytes, name: str | None = None) -> None:
        """Publish data without waiting for the broker."""
        self._client.publish(name or topic(self.agent, "data"), payload, qos=1)

    def flush(self) -> None:
        """Wait until the broker has everything that was sent."""
        self.publish("status", self.status())

    def covered(self) -> set[int]:
        """Numbers that some receipt covers."""
        with self._arrived:
            streams = [s for r in self.receipts for s in r.streams if s.stream == self.stream]
        through = max((s.through for s in streams), default=0)
        ahead = {n for s in streams for low, high in s.ahead for n in range(low, high + 1)}
        return ahead | set(range(1, through + 1))

    def is_through(self, seq: int) -> bool:
        """Whether a receipt says that everything up to ``seq`` is covered."""
        with self._arrived:
            return any(
                s.through >= seq for r in self.receipts for s in r.streams
                if s.stream == self.stream
            )  # fmt: skip

    def unconfirmed(self, numbers: Iterable[int]) -> list[int]:
        """Return those that no receipt covers; the last one too while it hangs on a hole."""
        return sorted(set(numbers) - self.covered()) or [max(numbers)]

    def status(self, confirmed_streams: Sequence[str] = ()) -> bytes:
        return encode(
            Status(
                v=1, agent=self.agent, state="online", since_us=time.time_ns() // 1000,
                confirmed_streams=list(confirmed_streams),
            )
        )  # fmt: skip

    def send_birth(self, *series: SeriesDeclaration, period_s: float = 1.0) -> str:
        self.publish("birth", self.make_birth(*series, period_s=period_s))
        return sha256_hex(self.birth)

    def wait_for(self, condition: Callable[[Receipt], bool], timeout_s: float = 15.0) -> Receipt:
        """Wait for a receipt that fits, among those already here too."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                for receipt in self.receipts:
                    if condition(receipt):
                        return receipt
                left = deadline - time.monotonic()
                assert left > 0, f"no such receipt among {self.receipts}"
                self._arrived.wait(left)

    def through(self, seq: int, stream: str | None = None) -> Receipt:
        """Wait until the receipt says that everything up to ``seq`` is covered."""
        return self.wait_for(
            lambda r: any(
                s.stream == (stream or self.stream) and s.through >= seq for s in r.streams
            )
        )
