"""The load: agents with births and batches made as agents make them, and a plant for them.

All numbers are synthetic, and labelled so in births, streams and the site's record.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import psycopg

from enpilot.database import draw_commit_no
from enpilot.wire import (
    Batch,
    Birth,
    DataMessage,
    GroupDeclaration,
    GroupReadings,
    SeriesDeclaration,
    encode,
    sha256_hex,
)

__all__ = ["Load", "Shape", "lay_out_plant"]

# One meter: ten series read in one request.
_COLUMNS: Final = (
    ("active_energy", "total", "kWh", "0.01", "lifetime"),
    *(("voltage", phase, "V", "0.1", None) for phase in ("L1", "L2", "L3")),
    *(("current", phase, "A", "0.001", None) for phase in ("L1", "L2", "L3")),
    *(("active_power", phase, "kW", "0.001", None) for phase in ("L1", "L2", "L3")),
)


class Shape(msgspec.Struct, kw_only=True):
    """What is sent: each batch has ``meters`` groups of ten series at ``samples`` instants.

    Every fifth meter has float registers. ``window`` is how many batches of an agent may wait for
    their receipt.
    """

    agents: int = 100
    meters: int = 2
    samples: int = 5
    period_s: float = 1.0
    window: int = 32

    @property
    def points(self) -> int:
        """Readings in a message."""
        return self.meters * len(_COLUMNS) * self.samples


class Load:
    """The messages of all agents, in the order in which they are sent."""

    def __init__(self, shape: Shape, first_us: int) -> None:
        self._shape = shape
        self._first_us = first_us
        self.agents = [f"bench-{number:03}" for number in range(shape.agents)]
        self.births = {agent: self._birth(agent) for agent in self.agents}
        self.streams = {agent: str(uuid.uuid4()) for agent in self.agents}
        self._hashes = {agent: sha256_hex(body) for agent, body in self.births.items()}

    def _birth(self, agent: str) -> bytes:
        groups = [
            GroupDeclaration(
                group=meter,
                period_s=self._shape.period_s,
                series=[
                    SeriesDeclaration(
                        point=f"{agent}-{meter}", quantity=quantity, channel=channel, unit=unit,
                        raw_type="float32" if meter % 5 == 4 else "uint32", register_scale=scale,
                        counter=counter,  # type: ignore[arg-type]  # a literal of the table above
                    )
                    for quantity, channel, unit, scale, counter in _COLUMNS
                ],
            )
            for meter in range(self._shape.meters)
        ]  # fmt: skip
        return encode(
            Birth(v=1, agent=agent, software="enpilot bench", groups=groups, simulated=True)
        )

    def messages(self, rounds: int) -> Iterator[tuple[str, int, bytes]]:
        """Yield agent, seq and payload, round after round over all agents."""
        shape = self._shape
        draw = np.random.default_rng(20_260_101)
        levels = draw.integers(100_000, 90_000_000, (shape.agents, shape.meters, len(_COLUMNS)))
        step_us = round(shape.period_s * 1e6)
        for seq in range(1, rounds + 1):
            start_us = self._first_us + (seq - 1) * shape.samples * step_us
            for number, agent in enumerate(self.agents):
                grown = np.cumsum(
                    draw.integers(0, 9, (shape.samples, shape.meters, len(_COLUMNS))), axis=0
                )
                values = levels[number] + grown
                levels[number] = values[-1]
                late = draw.integers(0, 20, (shape.meters, shape.samples)).tolist()
                body = encode(
                    Batch(
                        birth=self._hashes[agent],
                        groups=[
                            GroupReadings(
                                group=meter, ts=start_us,
                                dt=[i * step_us for i in range(shape.samples)],
                                late_ms=late[meter],
                                values=(
                                    (values[:, meter] * 0.5).T.tolist()
                                    if meter % 5 == 4
                                    else values[:, meter].T.tolist()
                                ),
                            )
                            for meter in range(shape.meters)
                        ],
                    )
                )  # fmt: skip
                message = DataMessage(
                    v=1, agent=agent, stream=self.streams[agent], seq=seq, first=1,
                    sent_us=time.time_ns() // 1000, batch=msgspec.Raw(body),
                )  # fmt: skip
                yield agent, seq, encode(message, compress=True)


def lay_out_plant(connection: psycopg.Connection[Any], shape: Shape) -> None:
    """Create a site whose agents may publish what they send; labelled as synthetic."""
    agents = [f"bench-{number:03}" for number in range(shape.agents)]
    points = [f"{agent}-{meter}" for agent in agents for meter in range(shape.meters)]
    with connection.transaction():
        commit_no = draw_commit_no(connection)
        connection.execute("INSERT INTO site (code) VALUES ('bench')")
        connection.execute(
            "INSERT INTO site_record (site_id, name_zh, name_en, timezone, demonstration_zh,"
            " demonstration_en, valid_from, author, reason, commit_no)"
            " SELECT site_id, '测速', 'Bench', 'UTC', '合成数据', 'synthetic data', 'epoch',"
            " 'bench', 'bench', %s FROM site",
            (commit_no,),
        )
        connection.execute(
            "INSERT INTO point (site_id, code, medium)"
            " SELECT site_id, p, 'electricity' FROM site, unnest(%s::text[]) AS p",
            (points,),
        )
        connection.execute(
            "INSERT INTO agent (agent_id, site_id, simulated)"
            " SELECT a, site_id, true FROM site, unnest(%s::text[]) AS a",
            (agents,),
        )
        connection.execute(
            "INSERT INTO agent_grant (agent_id, point_id, valid_from, author, commit_no)"
            " SELECT a.agent_id, p.point_id, 'epoch', 'bench', %s FROM agent a"
            " JOIN point p ON p.code LIKE a.agent_id || '-%%'",
            (commit_no,),
        )
