"""Readings of levels outside of what a device can measure: kept, and flagged (D6).

Counters have no range of their own; a jump beyond rated power is the accounting's to judge.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enpilot.wire import QualityFlag, SeriesDeclaration
from ingest.rows import KIND_INT, KIND_NULL, Block

__all__ = ["RawLimits", "flag_out_of_range", "raw_limits"]


@dataclass(frozen=True, slots=True)
class RawLimits:
    """Limits of some columns of a group.

    ``at`` are their positions, ``lowest`` and ``highest`` the limits [register counts], infinite
    where there is none; all of shape (L,).
    """

    at: NDArray[np.intp]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]


def raw_limits(declarations: Sequence[SeriesDeclaration]) -> RawLimits | None:
    """Return the limits of a group's columns in register counts; None if no column has any."""
    found = [
        (position, *_counts(d))
        for position, d in enumerate(declarations)
        if d.counter is None and (d.rated_min is not None or d.rated_max is not None)
    ]
    if not found:
        return None
    at, lowest, highest = zip(*found, strict=True)
    return RawLimits(np.array(at, np.intp), np.array(lowest), np.array(highest))


def _counts(declared: SeriesDeclaration) -> tuple[float, float]:
    scale, offset = float(declared.register_scale), float(declared.offset)
    # The last digit of a register at its very limit is not outside.
    slack = 0.5 if "int" in declared.raw_type else 0.0
    lowest = (
        -np.inf if declared.rated_min is None else (declared.rated_min - offset) / scale - slack
    )
    highest = (
        np.inf if declared.rated_max is None else (declared.rated_max - offset) / scale + slack
    )
    return lowest, highest


def flag_out_of_range(block: Block, limits: RawLimits | None) -> Block:
    """Return a block with `QualityFlag.OUT_OF_RANGE` where a number is outside its limits."""
    n = len(block.ts_us)
    if limits is None or n == 0:
        return block
    index = limits.at[:, np.newaxis] * n + np.arange(n)
    kind = block.kind[index]
    numbers = np.where(kind == KIND_INT, block.whole[index], block.real[index])
    outside = (numbers < limits.lowest[:, np.newaxis]) | (numbers > limits.highest[:, np.newaxis])
    outside &= kind != KIND_NULL
    if not outside.any():
        return block
    quality = block.quality.copy()
    quality[index[outside]] |= QualityFlag.OUT_OF_RANGE
    return dataclasses.replace(block, quality=quality)
