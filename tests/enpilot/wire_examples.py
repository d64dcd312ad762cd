"""The messages that docs/reference/wire.md shows: one morning of a meter with one failed read."""

from __future__ import annotations

import msgspec

from enpilot.wire import (
    Batch,
    Birth,
    DataMessage,
    GroupDeclaration,
    GroupReadings,
    Quality,
    Receipt,
    Refusal,
    SeriesDeclaration,
    Status,
    StreamReceipt,
    encode,
    sha256_hex,
)

STREAM = "019b76da-a800-7c3e-9d51-6f0e6a1c2b3d"
BEFORE = "019b7199-6c00-7a10-8f22-0c4d5e6f7a8b"

BIRTH = Birth(
    v=1,
    agent="gateway-1",
    software="enpilot 0.1.0",
    groups=[
        GroupDeclaration(
            group=0,
            period_s=5.0,
            series=[
                SeriesDeclaration(
                    point="main",
                    quantity="active_energy",
                    channel="total",
                    unit="kWh",
                    raw_type="uint32",
                    register_scale="0.01",
                    side="secondary",
                    counter="lifetime",
                    modulus="100000000",
                    device="meter-main",
                    register="holding:0x0000",
                )
            ],
        )
    ],
)
BATCH = Batch(
    birth=sha256_hex(encode(BIRTH)),
    groups=[
        GroupReadings(
            group=0,
            ts=1_767_225_600_000_000,
            dt=[0, 5_000_000, 10_000_000],
            late_ms=[4, 3, 0],
            values=[[98_500_000, 98_500_002, None]],
            quality=[[Quality.GOOD, Quality.GOOD, Quality.NO_RESPONSE]],
        )
    ],
)
DATA = DataMessage(
    v=1,
    agent="gateway-1",
    stream=STREAM,
    seq=42,
    first=40,
    sent_us=1_767_225_615_120_000,
    previous=BEFORE,
    batch=msgspec.Raw(encode(BATCH)),
)
RECEIPT = Receipt(
    v=1,
    agent="gateway-1",
    db="7461036418254719283/1/16384",
    commit_no=90_417,
    streams=[
        StreamReceipt(
            stream=STREAM, through=40, ahead=[(42, 42)], refused=[(17, Refusal.FUTURE_TIMESTAMP)]
        )
    ],
)
STATUS = Status(
    v=1,
    agent="gateway-1",
    state="online",
    since_us=1_767_225_000_000_000,
    stream=STREAM,
    held_batches=2,
    held_readings=36,
    oldest_held_us=1_767_225_605_000_000,
    units_down=1,
)
EXAMPLES: dict[str, msgspec.Struct] = {
    "birth": BIRTH,
    "data": DATA,
    "receipt": RECEIPT,
    "status": STATUS,
}


def shown(message: msgspec.Struct) -> str:
    """Return a message as a person reads it."""
    return msgspec.json.format(encode(message), indent=2).decode()
