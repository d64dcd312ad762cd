"""Bytes to messages and back: JSON, compressed with zstd where it pays, told apart by first bytes.

A batch is hashed over its exact JSON bytes inside the message, so that the same batch sent again,
compressed or not, with another ``first``, is the same batch (D2, D15).
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any, Final, TypeVar

import msgspec
import zstandard

from enpilot.wire.messages import WIRE_VERSION, Batch, Birth, DataMessage, Receipt, Status
from enpilot.wire.refusal import Refusal

__all__ = [
    "MAX_INFLATED_BYTES",
    "MAX_WIRE_BYTES",
    "WireError",
    "decode_batch",
    "decode_birth",
    "decode_data",
    "decode_receipt",
    "decode_status",
    "encode",
    "sha256_hex",
]

MAX_WIRE_BYTES: Final = 64 * 1024
MAX_INFLATED_BYTES: Final = 1024 * 1024
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# Below this a compressed frame saves less than its own header and tables cost.
_COMPRESS_FROM_BYTES: Final = 512
_UNKNOWN_SIZES: Final = (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR)

_Message = TypeVar("_Message", Birth, DataMessage, Receipt, Status, Batch)


class WireError(ValueError):
    """A payload that is not a message of wire version 1.

    Attributes
    ----------
    code
        The refusal code to keep with the payload.
    """

    def __init__(self, code: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class _Compressor(threading.local):
    """One a thread: making it costs as much as its work, and it is not to be shared."""

    def __init__(self) -> None:
        self.of_this_thread = zstandard.ZstdCompressor(level=3)


_compressor = _Compressor()
_encoder = msgspec.json.Encoder()
_decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Birth, DataMessage, Receipt, Status, Batch)
}
_version = msgspec.json.Decoder(msgspec.defstruct("_Versioned", [("v", int)]))


def encode(message: msgspec.Struct, *, compress: bool = False) -> bytes:
    """Return the bytes of a message.

    Parameters
    ----------
    message
        Any structure of `enpilot.wire`.
    compress
        Allow a zstd frame if it is smaller. Births stay plain, so that their hash is the hash of
        what a person sees on the broker.
    """
    plain = _encoder.encode(message)
    if compress and len(plain) >= _COMPRESS_FROM_BYTES:
        packed = _compressor.of_this_thread.compress(plain)
        if len(packed) < len(plain):
            return packed
    return plain


def sha256_hex(body: bytes | msgspec.Raw) -> str:
    """Return the hash by which a birth or a batch is known, as 64 hexadecimal digits."""
    return hashlib.sha256(memoryview(body)).hexdigest()


def decode_birth(payload: bytes) -> Birth:
    """Decode a birth; raises `WireError`."""
    return _decode(payload, Birth)


def decode_data(payload: bytes) -> DataMessage:
    """Decode a data message; ``batch`` stays raw for hashing. Raises `WireError`."""
    return _decode(payload, DataMessage)


def decode_receipt(payload: bytes) -> Receipt:
    """Decode a receipt; raises `WireError`."""
    return _decode(payload, Receipt)


def decode_status(payload: bytes) -> Status:
    """Decode a status; raises `WireError`."""
    return _decode(payload, Status)


def decode_batch(body: bytes | msgspec.Raw) -> Batch:
    """Decode the batch inside a data message; raises `WireError`."""
    return _parse(bytes(body), Batch)


def _decode(payload: bytes, kind: type[_Message]) -> _Message:
    if len(payload) > MAX_WIRE_BYTES:
        raise WireError(
            Refusal.TOO_LARGE, f"{len(payload)} bytes on the wire, at most {MAX_WIRE_BYTES}"
        )
    body = _inflate(payload) if payload[:4] == _ZSTD_MAGIC else payload
    try:
        version: int = _version.decode(body).v  # type: ignore[attr-defined]  # defstruct is untyped
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(Refusal.MALFORMED, f"not a versioned JSON object: {error}") from error
    if version != WIRE_VERSION:
        raise WireError(
            Refusal.UNKNOWN_VERSION, f"version {version}, this side speaks {WIRE_VERSION}"
        )
    return _parse(body, kind)


def _parse(body: bytes, kind: type[_Message]) -> _Message:
    try:
        message: _Message = _decoders[kind].decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(Refusal.MALFORMED, f"not a {kind.__name__}: {error}") from error
    return message


def _inflate(payload: bytes) -> bytes:
    # A frame may announce any size, so look before the decompressor allocates it.
    try:
        announced = zstandard.get_frame_parameters(payload).content_size
        if announced not in _UNKNOWN_SIZES and announced > MAX_INFLATED_BYTES:
            raise WireError(
                Refusal.TOO_LARGE, f"{announced} bytes inflated, at most {MAX_INFLATED_BYTES}"
            )
        return zstandard.ZstdDecompressor().decompress(
            payload, MAX_INFLATED_BYTES, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise WireError(
            Refusal.MALFORMED, f"not a zstd frame of at most {MAX_INFLATED_BYTES} bytes: {error}"
        ) from error
