"""A reader of simulated time: real batcher, outbox and uplink, and a meter whose clock runs fast.

Usage: ``python -m tests.torture.reader JSON``. Ended by SIGTERM (what it holds goes out first) or
killed. Each batch that the outbox has committed is then written to the journal, one line each.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import sys
from pathlib import Path
from typing import TextIO

import msgspec
import structlog

from edge_agent.batcher import Batcher
from edge_agent.outbox import Outbox
from edge_agent.poller import Sample
from edge_agent.settings import UplinkSettings
from edge_agent.uplink import Uplink
from enpilot.settings import MqttSettings
from enpilot.wire import Birth, GroupDeclaration, SeriesDeclaration, encode, sha256_hex

__all__ = ["CHANNELS", "ReaderOrder"]

CHANNELS = 10
_SCANS_A_BATCH = 5
_PROBE_S = 0.3


class ReaderOrder(msgspec.Struct, kw_only=True):
    """What a reader is to do: ``scans`` seconds from ``first_us`` at ``speed`` times their pace."""

    outbox: str
    journal: str
    port: int
    first_us: int
    scans: int
    speed: float


def _append_to(file: str) -> TextIO:
    return Path(file).open("a", encoding="utf-8")


def birth() -> bytes:
    series = [
        SeriesDeclaration(
            point="main", quantity="active_energy" if i == 0 else "voltage",
            channel="total" if i == 0 else f"c{i}", unit="kWh" if i == 0 else "V",
            raw_type="uint32", register_scale="0.01", counter="lifetime" if i == 0 else None,
            modulus="4294967296" if i == 0 else None,
        )
        for i in range(CHANNELS)
    ]  # fmt: skip
    groups = [GroupDeclaration(group=0, period_s=1.0, series=series)]
    return encode(Birth(v=1, agent="gw1", software="torture", simulated=True, groups=groups))


async def read(order: ReaderOrder) -> None:
    body = birth()
    name = sha256_hex(body)
    outbox = Outbox(Path(order.outbox), "gw1")
    outbox.keep_birth(name, body)
    chosen = UplinkSettings(
        probe_first_s=_PROBE_S,
        probe_last_s=1.0,
        backlog_batches_per_s=400,
        backlog_jitter_s=0.2,
        status_s=2.0,
    )
    uplink = Uplink(
        MqttSettings(port=order.port), chosen, outbox, "gw1", [(name, body)], lambda _: None
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sending = asyncio.create_task(uplink.run())
    batcher = Batcher(name, 1000)
    newest = outbox.newest_us()
    last_us = order.first_us + (order.scans - 1) * 1_000_000
    ts = order.first_us if newest is None else max(order.first_us, newest + 1_000_000)
    with _append_to(order.journal) as journal:
        while ts <= last_us and not stop.is_set():
            for _ in range(_SCANS_A_BATCH):
                count = (ts - order.first_us) // 1_000_000
                batcher.add(Sample(0, ts, 3, [count, *range(count, count + CHANNELS - 1)], None))
                ts += 1_000_000
            while (cut := batcher.cut()) is not None:
                seq = await asyncio.to_thread(
                    outbox.append, cut.birth, cut.body, cut.readings, cut.first_us, cut.last_us
                )
                digest = hashlib.sha256(cut.body).hexdigest()
                journal.write(f"{outbox.stream} {seq} {digest} {cut.readings}\n")
                journal.flush()
                uplink.wake()
            await asyncio.sleep(_SCANS_A_BATCH / order.speed)
    await stop.wait()
    while outbox.load().batches:  # noqa: ASYNC110  # the outbox sets no event
        await asyncio.sleep(0.05)
    uplink.stop()
    while not sending.done():
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([sending], timeout=1)
    outbox.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(read(msgspec.json.decode(sys.argv[1], type=ReaderOrder)))
