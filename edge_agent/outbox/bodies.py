"""Bodies of batches on disk: compressed where that is smaller, hashed over the plain bytes."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

__all__ = ["packed", "unpacked"]

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_LEVEL: Final = 3


class _Codecs(threading.local):
    """One pair a thread: making them costs as much as their work, and they are not to be shared."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


def packed(body: bytes) -> bytes:
    """Return a body as it is kept."""
    smaller = _codecs.compress(body)
    return smaller if len(smaller) < len(body) else body


def unpacked(kept: bytes) -> bytes:
    """Return the plain bytes of a kept body."""
    return _codecs.decompress(kept) if kept[:4] == _MAGIC else kept
