"""Numbers read under a wrong type or word order, turned into what stood on the registers (F3).

A stored number is the lossless decoding of its registers, so their bytes can be had again and
taken for what they are. The edge and its profile stay as they were until somebody mends them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.errors import RecodeError

__all__ = ["Recoding"]

_LAYOUT: Final = {
    "int16": ">i2", "uint16": ">u2", "int32": ">i4", "uint32": ">u4", "int64": ">i8",
    "uint64": ">u8", "float32": ">f4", "float64": ">f8",
}  # fmt: skip
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Recoding:
    """How registers were read, and how they should have been.

    Attributes
    ----------
    read_type
        What they were taken for: "int16" … "float64".
    raw_type
        What they are; as wide as ``read_type``.
    decoding
        "big": bytes in order. "words": registers the other way round. "bytes": the two bytes of
        each register the other way round. "words_and_bytes": both.
    """

    read_type: str
    raw_type: str
    decoding: str

    def __post_init__(self) -> None:
        if self._width(self.read_type) != self._width(self.raw_type):
            raise RecodeError(f"{self.raw_type} takes other registers than {self.read_type}")

    @staticmethod
    def _width(name: str) -> int:
        return np.dtype(_LAYOUT[name]).itemsize

    @property
    def reads_whole(self) -> bool:
        """Whether the stored numbers are integers."""
        return "int" in self.read_type

    @property
    def changes(self) -> bool:
        """Whether anything is different."""
        return self.read_type != self.raw_type or self.decoding != "big"

    def apply(
        self, stored: NDArray[np.int64] | NDArray[np.float64]
    ) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return what stood on the registers.

        Parameters
        ----------
        stored
            Numbers as they were read, shape (n,): integers if `reads_whole`, else floats [counts].

        Returns
        -------
        ndarray
            Shape (n,), integers or floats as ``raw_type`` says [counts]; integers beyond 2^63 - 1
            stand at that end, floats may be no number.
        """
        if not self.changes:
            return stored
        width = self._width(self.read_type)
        with np.errstate(over="ignore", invalid="ignore"):
            octets = stored.astype(_LAYOUT[self.read_type]).view(np.uint8)
        words = octets.reshape(len(stored), width // 2, 2)
        if self.decoding in ("words", "words_and_bytes"):
            words = words[:, ::-1, :]
        if self.decoding in ("bytes", "words_and_bytes"):
            words = words[:, :, ::-1]
        numbers = np.ascontiguousarray(words).reshape(-1).view(_LAYOUT[self.raw_type])
        if "float" in self.raw_type:
            real: NDArray[np.float64] = numbers.astype(np.float64)
            return real
        if self.raw_type == "uint64":
            numbers = np.minimum(numbers, np.uint64(_INT64_MAX))
        whole: NDArray[np.int64] = numbers.astype(np.int64)
        return whole
