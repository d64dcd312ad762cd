"""Anything on the data topic: nothing stops the worker, and every message is accounted for."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import time
from collections.abc import Callable

import zstandard

from enpilot.database import connect
from ingest.service import Worker
from tests.ingest.gateway import Gateway, Messages, declaration

PAYLOADS = int(os.environ.get("ENPILOT_TEST_PAYLOADS", "3000"))

STRANGE = (
    None, True, -1, 0, 2**31, 2**53 + 1, 2**63, 2**64, -(2**70), 10**400, 1.5, -0.0, 1e308, "", "x",
    "9" * 30, "nan", "inf", "\x00", "\U0001f600", "\ud800", math.nan, math.inf, [], [[]], {},
    [None], "2026-01-01", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip


def mutated(draw: random.Random, message: bytes) -> bytes:
    """A message with some of its values, at any depth, replaced, dropped or repeated."""
    document = json.loads(message)
    for _ in range(draw.randrange(1, 4)):
        holder: object = document
        while True:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))  # type: ignore[arg-type]  # decoded JSON of any shape
            if not keys:
                break
            key = draw.choice(list(keys))
            below = holder[key]  # type: ignore[index]  # decoded JSON of any shape
            if isinstance(below, (dict, list)) and below and draw.random() < 0.75:
                holder = below
                continue
            if isinstance(holder, dict) and draw.random() < 0.3:
                del holder[key]
            elif isinstance(holder, list) and draw.random() < 0.3:
                holder.append(copy.deepcopy(below))
            else:
                holder[key] = copy.deepcopy(draw.choice(STRANGE))  # type: ignore[index]  # decoded JSON of any shape
            break
    return json.dumps(document).encode()  # writes NaN and halves of surrogate pairs too


def cut(draw: random.Random, message: bytes) -> bytes:
    return message[: draw.randrange(len(message))]


def flipped(draw: random.Random, message: bytes) -> bytes:
    changed = bytearray(message)
    for _ in range(draw.randrange(1, 5)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def packed(_draw: random.Random, message: bytes) -> bytes:
    return zstandard.compress(message)


def packed_and_cut(draw: random.Random, message: bytes) -> bytes:
    return cut(draw, packed(draw, message))


def bomb(draw: random.Random, message: bytes) -> bytes:
    filling = b" " * draw.choice((10, 500_000, 1_040_000, 1_100_000, 8_000_000))
    return zstandard.compress(filling + message)


def deep(draw: random.Random, message: bytes) -> bytes:
    depth = draw.choice((10, 500, 5000, 20_000))
    return message.replace(b'"groups":[', b'"groups":' + b"[" * depth, 1)


def noise(draw: random.Random, _message: bytes) -> bytes:
    return draw.randbytes(draw.randrange(200))


def unchanged(_draw: random.Random, message: bytes) -> bytes:
    return message


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    mutated, mutated, mutated, mutated, cut, flipped, packed, packed_and_cut, deep, noise,
    unchanged, unchanged,
)  # fmt: skip
# What is under the subscription and yet no agent's, or not the message's agent.
FOREIGN = (
    "enpilot/v1/gw2/data",
    "enpilot/v1/UPPER/data",
    "enpilot/v1/ /data",
    "enpilot/v1/-x/data",
)


def valid(draw: random.Random, makers: list[Messages], seq: int) -> bytes:
    """A message as an agent sends it: sometimes an old number, sometimes an unknown birth."""
    maker = draw.choice(makers)
    number = draw.choice((seq, seq, seq, max(1, seq - draw.randrange(5)), seq + draw.randrange(3)))
    birth = None if draw.random() < 0.9 else draw.choice(("0" * 64, "rubbish", "F" * 64))
    first = draw.choice((1, 1, 1, max(1, number - 2)))
    values = [draw.randrange(10**6) for _ in range(draw.randrange(4))]
    return maker.message(number, values, first=first, birth=birth)


def test_every_payload_is_accounted_for(worker: Worker, gateway: Gateway, works: str) -> None:
    seed = int(os.environ.get("ENPILOT_TEST_SEED", "20260101"))
    draw = random.Random(seed)
    makers: list[Messages] = [gateway, Messages()]
    gateway.send_birth()
    makers[1].make_birth(declaration(channel="L1", raw_type="float32", counter=None, modulus=None))
    gateway.publish("birth", makers[1].birth)
    for number in range(PAYLOADS):
        message = valid(draw, makers, number // 4 + 1)
        change = bomb if draw.random() < 0.004 else draw.choice(MUTATIONS)
        name = draw.choice(FOREIGN) if draw.random() < 0.03 else None
        gateway.send(change(draw, message), name)
        if number % 500 == 499:
            wait_for_received(worker, works, number + 1 - 400)  # the broker drops what piles up
    wait_for_received(worker, works, PAYLOADS)
    with connect(works, "test") as connection:
        counted = connection.execute(
            "SELECT sum(batches_received), sum(batches_stored), sum(batches_duplicated),"
            " sum(batches_refused), sum(births_needed), sum(readings_stored) FROM ingest_count"
        ).fetchone()
        assert counted is not None
        received, stored, duplicated, refused, needed, readings = (int(str(n)) for n in counted)
        assert received == PAYLOADS == stored + duplicated + refused + needed, seed
        assert min(stored, duplicated, refused, needed) > 0
        assert connection.execute("SELECT sum(messages) FROM quarantine_count").fetchone() == (
            refused,
        )
        assert connection.execute("SELECT count(*) FROM reading").fetchone() == (readings,)
        assert connection.execute(
            "SELECT count(*) FROM batch_ledger WHERE state = 'stored'"
        ).fetchone() == (stored,)
    # And it still does its work.
    gateway.send_birth()
    gateway.stream = Messages().stream
    gateway.publish("data", gateway.message(1, [1]))
    gateway.through(1)


def wait_for_received(worker: Worker, url: str, number: int) -> None:
    deadline = time.monotonic() + 60
    with connect(url, "test", autocommit=True) as connection:
        while True:
            row = connection.execute(
                "SELECT coalesce(sum(batches_received), 0) FROM ingest_count"
            ).fetchone()
            assert row is not None
            if int(str(row[0])) >= number:
                return
            assert time.monotonic() < deadline, (row, number)
            time.sleep(0.02)
