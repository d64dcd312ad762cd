"""The path of a target, and the verdict on one period (F7-F9, F25, F36, F37).

A part of a year is judged against the same part of the base year, brought forward along the path:
I_target = I_base(same months) x (1 - r)^k, k whole years. Nothing here is rounded.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from analytics.errors import TargetError

__all__ = [
    "Status",
    "Verdict",
    "annual_rate_of",
    "cumulative_progress",
    "judge",
    "progress_ratio",
    "target_intensity",
    "within_uncertainty",
]

# Our own choice: the cut-offs of the official lights are not published.
SLOW_FROM = 0.8
ON_TRACK_FROM = 1.0


class Status(enum.StrEnum):
    """What is said of an EnPI in a period.

    ``joint``: January and February of an official or assigned target are judged together, by the
    year to date (F8).
    """

    ON_TRACK = "on_track"
    SLOW = "slow"
    BEHIND = "behind"
    BASE = "base"
    NO_TARGET = "no_target"
    NO_BASE = "no_base"
    JOINT = "joint"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement.

    Attributes
    ----------
    status
        See `Status`.
    target_intensity
        What the path allows in this period [energy unit per output unit].
    progress_ratio
        ln(I/I0) / (k ln(1-r)): 1 is exactly on the path, negative when intensity rose.
    cumulative_progress
        ln(I/I0) / ln(1-D), D the whole decline promised up to the target's end.
    """

    status: Status
    target_intensity: float | None = None
    progress_ratio: float | None = None
    cumulative_progress: float | None = None


def annual_rate_of(base_value: float, end_value: float, years: int) -> float:
    """Return the annual rate of decline that leads from base to end value (F7).

    Parameters
    ----------
    base_value, end_value
        Above 0, in one unit [energy per output].
    years
        From the base year to the end, at least 1.

    Returns
    -------
    float
        0.04 for 4 %, below 1 [1/year].

    Raises
    ------
    TargetError
        If a value is not positive or the target ends with its base.
    """
    if base_value <= 0 or end_value <= 0 or years < 1:
        raise TargetError(
            f"no annual rate leads from {base_value} to {end_value} in {years} years: give the"
            " target positive values and an end after its base"
        )
    return float(1.0 - (end_value / base_value) ** (1.0 / years))


def target_intensity(base_intensity: float, annual_rate: float, years: float) -> float:
    """Return the base intensity brought ``years`` along the path.

    Parameters
    ----------
    base_intensity
        Of the same months of the base year.
    annual_rate
        Decline a year, 0.04 for 4 %; below 1.
    years
        Since the base year, >= 0: whole ones, but for rolling twelve months (F8).

    Returns
    -------
    float
        base x (1 - r)^k [unit of the base]. A legitimately negative base is to fall by the same
        share of its size: base x (2 - (1 - r)^k) (F9).

    Raises
    ------
    TargetError
        If the rate is 1 or more, or the years are negative.
    """
    if annual_rate >= 1 or years < 0:
        raise TargetError(f"no path with a rate of {annual_rate} over {years} years")
    left = float((1.0 - annual_rate) ** years)
    return base_intensity * left if base_intensity >= 0 else base_intensity * (2.0 - left)


def progress_ratio(
    intensity: float, base_intensity: float, annual_rate: float, years: float
) -> float | None:
    """Return ln(I/I0) / (k ln(1-r)): how much of the decline promised so far is reached (F9).

    Parameters
    ----------
    intensity, base_intensity
        Of the period and of the same months of the base year, one unit.
    annual_rate
        Decline a year; 0 .. 1.
    years
        Since the base year.

    Returns
    -------
    float or None
        1 exactly on the path, negative when intensity rose; None where logarithms are not defined.
    """
    if intensity <= 0 or base_intensity <= 0 or years <= 0 or not 0 < annual_rate < 1:
        return None
    return math.log(intensity / base_intensity) / (years * math.log(1.0 - annual_rate))


def cumulative_progress(
    intensity: float, base_intensity: float, annual_rate: float, total_years: int
) -> float | None:
    """Return the share of the whole promised decline that is reached (F9).

    Parameters
    ----------
    intensity, base_intensity, annual_rate
        See `progress_ratio` [energy per output, 1/year].
    total_years
        From the base year to the target's end.

    Returns
    -------
    float or None
        ln(I/I0) / ln(1-D); None where logarithms are not defined.
    """
    return progress_ratio(intensity, base_intensity, annual_rate, total_years)


def judge(
    intensity: float,
    base_intensity: float | None,
    annual_rate: float,
    years: float,
    total_years: int,
    *,
    slow_from: float = SLOW_FROM,
    on_track_from: float = ON_TRACK_FROM,
) -> Verdict:
    """Judge a period.

    Parameters
    ----------
    intensity
        Of the period [energy per output].
    base_intensity
        Of the same months of the base year, same scheme; None if it cannot be given.
    annual_rate, years, total_years
        Rate of decline, years since the base year, and from the base year to the end.
    slow_from, on_track_from
        Progress ratios at which the light turns.

    Returns
    -------
    Verdict
        ``base`` for the base year itself, ``no_base`` without base months. Where logarithms are not
        defined (a legitimately negative intensity, a rate of zero) the difference to the target
        decides and the two progress figures stay empty.
    """
    if years <= 0:
        return Verdict(Status.BASE)
    if base_intensity is None:
        return Verdict(Status.NO_BASE)
    target = target_intensity(base_intensity, annual_rate, years)
    progress = progress_ratio(intensity, base_intensity, annual_rate, years)
    if progress is None:
        status = Status.ON_TRACK if intensity <= target else Status.BEHIND
    elif progress >= on_track_from:
        status = Status.ON_TRACK
    elif progress >= slow_from:
        status = Status.SLOW
    else:
        status = Status.BEHIND
    return Verdict(
        status,
        target,
        progress,
        cumulative_progress(intensity, base_intensity, annual_rate, total_years),
    )


def within_uncertainty(
    intensity: float, target: float, relative_uncertainty: float | None
) -> bool | None:
    """Say whether the distance to the target is finer than the meters (F37).

    Parameters
    ----------
    intensity, target
        In one unit [energy per output].
    relative_uncertainty
        Of the energy, 0 .. 1; None if a meter's class is not known.

    Returns
    -------
    bool or None
        None if the uncertainty is not known.
    """
    if relative_uncertainty is None:
        return None
    return abs(intensity - target) <= relative_uncertainty * abs(intensity)
