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


# What stays true of the place when plant file or profile were corrected.
_OF_THE_PLACE: Final = (
    "engineer", "serial", "ct.", "photo.", "display.side", "display.unit", "clamp.instrument",
)  # fmt: skip
# Which answers a check rests on: they are asked again if it did not pass.
_RESTS_ON: Final = {
    "nameplate": ("serial", "ct."),
    "photos": ("photo.",),
    "display": ("display.",),
    "clamp": ("clamp.",),
    "signs": ("flow",),
    "load_step": ("load_step.",),
}


class Progress(msgspec.Struct, kw_only=True):
    """All that is known so far of one commissioning.

    ``state_sha256`` stands for the plant file and the profile, ``ended`` says that a record was
    made, which left something open.
    """

    schema: int = 1
    point: str
    state_sha256: str
    ended: bool = False
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

    def begin_again(self, began_s: float) -> Progress:
        """Return what the next walk starts from, after one whose record left something open.

        What has passed stays; everything else, its answers too, is done anew.
        """
        passed = {code: c for code, c in self.checks.items() if c.result == "passed"}
        again = tuple(p for code, keys in _RESTS_ON.items() if code not in passed for p in keys)
        return Progress(
            point=self.point,
            state_sha256=self.state_sha256,
            began_s=began_s,
            answers={
                k: v
                for k, v in self.answers.items()
                if not k.startswith(again) or k in ("display.side", "display.unit")
            },
            files=self.files if "photos" in passed else [],
            pairs=self.pairs if "display" in passed else [],
            checks=passed,
            stretch=self.stretch if "energy_integral" in passed else Stretch(),
        )


def load_progress(file: Path, point: str, state_sha256: str, now_s: float) -> Progress:
    """Return what a walk begins with: nothing, what an interrupted one left, or what has passed.

    With another state of plant file or profile only what is true of the place is kept.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or belongs to another point.
    """
    try:
        progress = msgspec.json.decode(file.read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress(point=point, state_sha256=state_sha256, began_s=now_s)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            f"{file}: what an earlier walk left cannot be read: {error}; delete it to begin anew"
        ) from error
    if progress.point != point:
        raise ConfigurationError(
            f"{file}: an earlier walk was for point {progress.point!r}; delete it to begin anew"
        )
    if progress.state_sha256 != state_sha256:
        kept = {k: v for k, v in progress.answers.items() if k.startswith(_OF_THE_PLACE)}
        return Progress(point=point, state_sha256=state_sha256, began_s=now_s, answers=kept)
    return progress.begin_again(now_s) if progress.ended else progress


def save_progress(file: Path, progress: Progress) -> None:
    """Write what is known so far, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    with new.open("wb") as handle:
        handle.write(msgspec.json.encode(progress))
        handle.flush()
        os.fsync(handle.fileno())
    new.replace(file)
