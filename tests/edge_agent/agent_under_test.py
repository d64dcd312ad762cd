"""A plant of one meter, laid out for an agent, and patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from edge_agent.settings import ClockSettings, EdgeSettings
from enpilot.demo.processes import free_port
from enpilot.settings import MqttSettings

__all__ = ["lay_out", "until"]

PLANT = """
schema = 1
[site]
code = "s"
name = {{ zh = "厂", en = "site" }}
timezone = "Asia/Shanghai"
from = 2026-01-01
[[agent]]
id = "gw-1"
simulated = true
[[line]]
code = "l"
agent = "gw-1"
host = "127.0.0.1"
port = {port}
[[device]]
code = "d"
line = "l"
unit = 1
profile = "p.toml"
period_s = 1
[[point]]
code = "p"
name = {{ zh = "点", en = "point" }}
medium = "electricity"
role = "check"
[[installation]]
point = "p"
device = "d"
"""
PROFILE = """
code = "p"
maker = "none"
models = []
source = "none"
verified = false
"""


def register_text(address: int) -> str:
    return (
        f'[[register]]\naddress = {address}\ntype = "uint16"\nquantity = "status"\n'
        f'channel = "c{address}"\nunit = "1"\n'
    )


def lay_out(folder: Path, port: int, addresses: list[int]) -> EdgeSettings:
    (folder / "plant.toml").write_text(PLANT.format(port=port), "utf-8")
    registers = "".join(map(register_text, addresses))
    (folder / "p.toml").write_text(PROFILE + registers, "utf-8")
    return EdgeSettings(
        plant=folder / "plant.toml",
        agent="gw-1",
        outbox=folder / "outbox.sqlite",
        mqtt=MqttSettings(port=free_port()),
        batch_s=0.05,
        drain_s=0.0,
        clock=ClockSettings(wait_for_sync_s=0.0),
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0.01)
