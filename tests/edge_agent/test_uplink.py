"""The uplink over a real broker: receipts pace it, silence turns it into a probe (D13)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiomqtt
import msgspec
import pytest
from structlog.testing import capture_logs

from edge_agent.outbox import Outbox
from edge_agent.settings import UplinkSettings
from edge_agent.uplink import Uplink
from enpilot.demo.processes import free_port
from enpilot.settings import MqttSettings, SettingsError
from enpilot.wire import (
    Receipt,
    StreamReceipt,
    decode_data,
    decode_status,
    encode,
    sha256_hex,
    topic,
)
from tests.services.certificates import Authority
from tests.services.mosquitto import Broker, running_mosquitto

BIRTH = b'{"v":1,"agent":"gw-1","software":"test","groups":[]}'
HASH = sha256_hex(BIRTH)
WINDOW = 3
PROBE_S = 0.4


@dataclass
class Platform:
    """Stands where ingest stands: hears everything, answers when the test says so."""

    client: aiomqtt.Client
    outbox: Outbox
    numbers: list[int] = field(default_factory=list)
    births: list[bytes] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    commit_no: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            match message.topic.value.rsplit("/", 1)[1]:
                case "data":
                    data = decode_data(message.payload)
                    assert (data.agent, data.stream) == ("gw-1", self.outbox.stream)
                    assert not message.retain
                    assert bytes(data.batch) == b'{"birth":"%s","groups":[]}' % HASH.encode()
                    self.numbers.append(data.seq)
                    self.firsts.append(data.first)
                case "birth":
                    self.births.append(message.payload)
                case "status":
                    self.states.append(decode_status(message.payload).state)
            self.news.set()

    async def answer(self, through: int, need: list[str] | None = None) -> None:
        self.commit_no += 1
        streams = [StreamReceipt(stream=self.outbox.stream, through=through)]
        receipt = Receipt(
            v=1, agent="gw-1", db="db", commit_no=self.commit_no, streams=streams, need=need or []
        )
        await self.client.publish(topic("gw-1", "receipt"), encode(receipt), qos=1, retain=True)

    async def until(self, numbers: list[int]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(8):
                while self.numbers[: len(numbers)] != numbers:
                    self.news.clear()
                    await self.news.wait()
        assert self.numbers[: len(numbers)] == numbers


@contextlib.asynccontextmanager
async def going(
    broker: Broker,
    folder: Path,
    batches: int,
    mqtt: MqttSettings | None = None,
    silence_warning_s: float = 300.0,
) -> AsyncIterator[Platform]:
    outbox = Outbox(folder / "outbox.sqlite", "gw-1")
    outbox.keep_birth(HASH, BIRTH)
    for _ in range(batches):
        outbox.append(HASH, b'{"birth":"%s","groups":[]}' % HASH.encode(), 1, 1, 1)
    chosen = UplinkSettings(
        window=WINDOW, probe_first_s=PROBE_S, probe_last_s=2.0, silence_warning_s=silence_warning_s
    )
    uplink = Uplink(
        mqtt or broker.settings, chosen, outbox, "gw-1", [(HASH, BIRTH)], lambda _: None
    )
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("enpilot/v1/gw-1/+", qos=1)
        platform = Platform(client, outbox)
        tasks = [asyncio.create_task(platform.listen()), asyncio.create_task(uplink.run())]
        try:
            yield platform
        finally:
            open_tasks = set(tasks)
            while open_tasks:  # a cancellation may be forgotten, see edge_agent.agent
                for task in open_tasks:
                    task.cancel()
                _, open_tasks = await asyncio.wait(open_tasks, timeout=0.5)
            tasks[0].cancelled() or tasks[0].exception()
    outbox.close()


async def test_at_most_a_window_is_sent_until_a_receipt_comes(
    mosquitto: Broker, tmp_path: Path
) -> None:
    async with going(mosquitto, tmp_path, 8) as platform:
        await platform.until([1, 2, 3])
        await asyncio.sleep(PROBE_S / 2)
        assert platform.numbers == [1, 2, 3]  # acknowledged by the broker, confirmed by nobody
        assert platform.births == [BIRTH]
        assert platform.states[0] == "online"
        await platform.answer(2)
        await platform.until([1, 2, 3, 4, 5])
        await platform.answer(5)
        await platform.until([1, 2, 3, 4, 5, 6, 7, 8])
        await platform.answer(8)
        await asyncio.sleep(PROBE_S * 1.5)
        assert platform.numbers == [1, 2, 3, 4, 5, 6, 7, 8]  # nothing waits: no probe
        assert platform.outbox.load().batches == 0


async def test_after_silence_the_oldest_and_the_newest_are_asked_for_in_turn(
    mosquitto: Broker, tmp_path: Path
) -> None:
    async with going(mosquitto, tmp_path, 8) as platform:
        await platform.until([1, 2, 3, 1, 8])
        probes = len(platform.numbers)
        await platform.answer(1)  # the answer to a probe says where to go on
        await platform.until([*platform.numbers[:probes], 2, 3])
        assert set(platform.firsts) == {1}  # the first is confirmed, and kept


async def test_a_birth_that_is_asked_for_comes_before_its_batches_again(
    mosquitto: Broker, tmp_path: Path
) -> None:
    async with going(mosquitto, tmp_path, 2) as platform:
        await platform.until([1, 2])
        await platform.answer(0, need=[HASH, "00" * 32])
        await platform.until([1, 2, 1, 2])
        assert platform.births == [BIRTH, BIRTH]


async def test_a_receipt_that_cannot_be_read_is_passed_over(
    mosquitto: Broker, tmp_path: Path
) -> None:
    async with going(mosquitto, tmp_path, 4) as platform:
        await platform.until([1, 2, 3])
        beyond = b'{"stream":"s","through":99999999999999999999}'
        too_far = b'{"v":1,"agent":"gw-1","db":"d","commit_no":1,"streams":[%s]}' % beyond
        for payload in (b"?", b'{"v":2}', too_far):
            await platform.client.publish(topic("gw-1", "receipt"), payload, qos=1)
        await platform.answer(3)
        await platform.until([1, 2, 3, 4])
        assert platform.outbox.load().batches == 1


async def test_a_broker_that_is_killed_and_comes_back_gets_everything(
    mosquitto: Broker, tmp_path: Path
) -> None:
    async with going(mosquitto, tmp_path, 2) as platform:
        await platform.until([1, 2])
        with contextlib.suppress(aiomqtt.MqttError):
            mosquitto.kill()
            mosquitto.start()
            async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
                await client.subscribe("enpilot/v1/gw-1/data", qos=1)
                again = Platform(client, platform.outbox)
                listening = asyncio.create_task(again.listen())
                # Whether the first sends or only a probe was heard depends on who was back first.
                await again.until([1])
                await again.answer(0)
                async with asyncio.timeout(8):
                    while 2 not in again.numbers:
                        again.news.clear()
                        await again.news.wait()
                listening.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await listening


TLS = """\
cafile {ca}
certfile {cert}
keyfile {key}
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {acl}
persistence false
listener {plain} 127.0.0.1
allow_anonymous true
acl_file {acl}
"""


async def test_a_broker_that_asks_for_a_certificate_knows_the_agent_by_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, own = authority.issue("127.0.0.1"), authority.issue("gw-1")
    # Who the broker takes the agent for: it may write its own topics, nobody else's.
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite enpilot/v1/+/receipt\ntopic read enpilot/v1/#\n"
                   "user gw-1\ntopic readwrite enpilot/v1/gw-1/#\n")  # fmt: skip
    acl.chmod(0o600)
    plain = free_port()
    configuration = TLS.format(
        ca=authority.certificate, cert=server.certificate, key=server.key, acl=acl, plain=plain
    )
    with running_mosquitto(tmp_path, configuration, "per_listener_settings true\n") as broker:
        for protocol in ("3.1.1", "5"):
            mqtt = MqttSettings(
                host="127.0.0.1", port=broker.port, tls_ca_file=authority.certificate,
                tls_cert_file=own.certificate, tls_key_file=own.key,
                protocol=msgspec.convert(protocol, Literal["3.1.1", "5"]),
            )  # fmt: skip
            folder = tmp_path / protocol
            folder.mkdir()
            watching = dataclasses.replace(broker, port=plain)
            async with going(watching, folder, 2, mqtt) as platform:
                await platform.until([1, 2])
                await platform.answer(2)
                async with asyncio.timeout(8):
                    while platform.outbox.load().batches:  # noqa: ASYNC110  # it sets no event
                        await asyncio.sleep(0.02)


def test_a_certificate_that_cannot_be_used_is_said_with_its_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, other = authority.issue("gw-1"), authority.issue("gw-2")
    ca = authority.certificate
    for mqtt, said in (
        (MqttSettings(tls_cert_file=own.certificate), "a certificate needs `tls_ca_file`"),
        (MqttSettings(tls_ca_file=ca, tls_key_file=own.key), "a key needs its certificate"),
        (
            MqttSettings(tls_ca_file=ca, tls_cert_file=own.certificate, tls_key_file=other.key),
            f"{own.certificate}: the certificate and its key .* cannot be used",
        ),
        (MqttSettings(tls_ca_file=ca, tls_cert_file=tmp_path / "none.pem"), "No such file"),
        (
            MqttSettings(
                tls_ca_file=ca, tls_cert_file=own.certificate, tls_key_file=authority.locked(own)
            ),
            "the key is encrypted",
        ),
    ):
        with pytest.raises(SettingsError, match=said):
            mqtt.tls_context()


async def test_what_nobody_confirms_is_said_once_and_shown(
    mosquitto: Broker, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with going(mosquitto, tmp_path, 2, silence_warning_s=1.0) as platform:
            await platform.until([1, 2])
            await asyncio.sleep(2.5)
            await platform.answer(2)
            async with asyncio.timeout(8):
                while "again" not in logs[-1]["event"]:  # noqa: ASYNC110  # it sets no event
                    await asyncio.sleep(0.02)
    said = [e["event"] for e in logs if "confirm" in e["event"]]
    assert said == [
        (
            "the broker takes what is published, but nobody confirms it: check the broker's ACL "
            "for this agent, and whether ingest runs"
        ),
        "the platform confirms again",
    ]


async def test_another_agent_under_our_name_is_noticed(mosquitto: Broker, tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with going(mosquitto, tmp_path, 1) as platform:
            await platform.until([1])
            streams = [StreamReceipt(stream="another", through=3)]
            other = Receipt(v=1, agent="gw-1", db="db", commit_no=1, streams=streams)
            for _ in range(2):
                await platform.client.publish(topic("gw-1", "receipt"), encode(other), qos=1)
            await platform.answer(1)
            async with asyncio.timeout(8):
                while platform.outbox.load().batches:  # noqa: ASYNC110  # it sets no event
                    await asyncio.sleep(0.02)
    assert [e["stream"] for e in logs if "under our name" in e["event"]] == ["another"]
