"""Bodies of batches on disk: compressed where that is smaller, hashed over the plain bytes."""

from __future__ import annotations

from typing import Final

import zstandard

__all__ = ["packed", "unpacked"]

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_LEVEL: Final = 3


def packed(body: bytes) -> bytes:
    """Return a body as it is kept."""
    # One compressor is not for several threads; making one costs less than a lock would.
    smaller = zstandard.ZstdCompressor(level=_LEVEL).compress(body)
    return smaller if len(smaller) < len(body) else body


def unpacked(kept: bytes) -> bytes:
    """Return the plain bytes of a kept body."""
    if kept[:4] != _MAGIC:
        return kept
    return zstandard.ZstdDecompressor().decompress(kept)
