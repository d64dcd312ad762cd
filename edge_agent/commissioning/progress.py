"""How far a commissioning has come: kept on disk, so that a walk can be interrupted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.commissioning.record import Check, EvidenceFile
from edge_agent.power_check import Measured
from enpilot.errors import ConfigurationError

__all__ = ["Progress", "SavedPair", "Stretch", "load_progress", "save_progress"]

_MAX_GAP_S: Final = 60.0
_KEPT: Final = 8


class SavedPair(msgspec.Struct, frozen=True, kw_only=True):
    """A display reading beside the register [unit of the quantity], see `DisplayPair`."""

    at_s: float
    display: Measured
    register: Measured
    rate_per_h: float


class Stretch(msgspec.Struct, kw_only=True):
    """A counter and the integral of its rate over a time without gaps.

    Attributes
    ----------
    advance, integral
        Of the counter, and of power or flow [unit of the quantity].
    step
        One step of the counter [the same unit].
    seconds, samples
        How long and how often it was looked at.
    turned
        Whether the rate changed its direction, so that the two cannot be compared.
    max_gap_s
        Between two looks [s].
    """

    advance: float = 0.0
    integral: float = 0.0
    step: float = 0.0
    seconds: float = 0.0
    samples: int = 0
    turned: bool = False
    last: tuple[float, float, float] | None = None
    max_gap_s: float = _MAX_GAP_S

    def add(self, at_s: float, level: Measured, rate_per_h: float) -> bool:
        """Add one look; returns False, and changes nothing, if there is a gap before it."""
        if self.last is not None:
            last_s, last_level, last_rate = self.last
            if not 0 < at_s - last_s <= self.max_gap_s or level.value < last_level:
                return False
            self.advance += level.value - last_level
            self.integral += (abs(last_rate) + abs(rate_per_h)) / 2 * (at_s - last_s) / 3600
            self.seconds += at_s - last_s
            self.turned |= last_rate * rate_per_h < 0
        self.step = level.step
        self.samples += 1
        self.last = (at_s, level.value, rate_per_h)
        return True


class Progress(msgspec.Struct, kw_only=True):
    """All that is known so far of one commissioning."""

    schema: int = 1
    point: str
    plant_sha256: str
    began_s: float
    answers: dict[str, str] = {}
    files: list[EvidenceFile] = []
    pairs: list[SavedPair] = []
    checks: dict[str, Check] = {}
    values: list[dict[str, Measured]] = []
    by_clamp: dict[str, Measured] = {}
    refused: bool = False
    shifted: dict[int, dict[str, Measured]] = {}
    twins: dict[str, int] = {}
    seen_as: list[str] = []
    moved: list[str] = []
    stretch: Stretch = msgspec.field(default_factory=Stretch)
    requests: int = 0
    errors: int = 0

    def keep(self, values: dict[str, Measured]) -> None:
        """Keep readings for the wiring findings: a few, spread over the whole time."""
        self.values.append(values)
        if len(self.values) > _KEPT:
            del self.values[1::2]


def load_progress(file: Path, point: str, plant_sha256: str, now_s: float) -> Progress:
    """Return what an interrupted walk left, or a new beginning.

    Raises
    ------
    ConfigurationError
        If it belongs to another point, or to another state of the plant file.
    """
    try:
        progress = msgspec.json.decode(file.read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress(point=point, plant_sha256=plant_sha256, began_s=now_s)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            f"{file}: what an earlier walk left cannot be read: {error}; delete it to begin anew"
        ) from error
    if (progress.point, progress.plant_sha256) != (point, plant_sha256):
        raise ConfigurationError(
            f"{file}: an earlier walk was for point {progress.point!r} or another state of the "
            "plant file; delete it to begin anew"
        )
    return progress


def save_progress(file: Path, progress: Progress) -> None:
    """Write what is known so far, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    with new.open("wb") as handle:
        handle.write(msgspec.json.encode(progress))
        handle.flush()
        os.fsync(handle.fileno())
    new.replace(file)
