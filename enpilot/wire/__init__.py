"""Wire messages, version 1: what agents and the platform say to each other over MQTT.

Topics are ``enpilot/v1/{agent}/{birth|data|status|receipt}``. Everything is QoS 1; birth, status
and receipt are retained, data never is. See docs/reference/wire.md for the messages in full.
"""

from enpilot.wire.codec import (
    MAX_INFLATED_BYTES,
    MAX_WIRE_BYTES,
    WireError,
    decode_batch,
    decode_birth,
    decode_data,
    decode_receipt,
    decode_status,
    encode,
    sha256_hex,
)
from enpilot.wire.messages import (
    WIRE_VERSION,
    Batch,
    Birth,
    DataMessage,
    GroupDeclaration,
    GroupReadings,
    Receipt,
    SeriesDeclaration,
    Status,
    StreamReceipt,
)
from enpilot.wire.quality import Quality, QualityFlag
from enpilot.wire.refusal import Refusal
from enpilot.wire.topics import TopicError, parse_topic, topic

__all__ = [
    "MAX_INFLATED_BYTES",
    "MAX_WIRE_BYTES",
    "WIRE_VERSION",
    "Batch",
    "Birth",
    "DataMessage",
    "GroupDeclaration",
    "GroupReadings",
    "Quality",
    "QualityFlag",
    "Receipt",
    "Refusal",
    "SeriesDeclaration",
    "Status",
    "StreamReceipt",
    "TopicError",
    "WireError",
    "decode_batch",
    "decode_birth",
    "decode_data",
    "decode_receipt",
    "decode_status",
    "encode",
    "parse_topic",
    "sha256_hex",
    "topic",
]
