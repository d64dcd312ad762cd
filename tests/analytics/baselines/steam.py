"""The steam data of 1966: 25 months of a factory."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "steam_1966.csv"


def steam_columns() -> dict[str, NDArray[np.float64]]:
    """Return each column, and heating degree days to 65 °F by monthly means."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    columns["hdd65"] = columns["days"] * np.maximum(0.0, 65.0 - columns["temperature"])
    return columns
