"""Fitting rates and accuracy classes of meters (GB 17167), by the edition in force."""

from __future__ import annotations

import datetime as dt
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

import msgspec

__all__ = ["Edition", "Fitting", "accuracy_margin", "edition_on", "fitting_rates"]


class Edition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """What an edition of GB 17167 asks for [%], by medium."""

    edition: str
    since: dt.date
    verified: bool
    source: str
    fitting_percent: dict[str, tuple[float, float, float]]
    coarsest_class_percent: dict[str, float]
    to: dt.date | None = None


class _Editions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    edition: tuple[Edition, ...]


@dataclass(frozen=True, slots=True)
class Fitting:
    """How many points of a medium and level have an accepted meter.

    Attributes
    ----------
    medium, level
        Which points; level 1 .. 3.
    fitted, wanted
        Points with an accepted meter, and points that the plant describes.
    required
        Share that the edition asks for; 0 .. 1; None if it says nothing.
    """

    medium: str
    level: int
    fitted: int
    wanted: int
    required: float | None

    @property
    def rate(self) -> float:
        """Share of its points that are fitted; 0 .. 1."""
        return self.fitted / self.wanted

    @property
    def margin(self) -> float | None:
        """How far the rate lies above what is required; negative below."""
        return None if self.required is None else self.rate - self.required


def edition_on(day: dt.date) -> Edition | None:
    """Return the edition of GB 17167 in force on a day.

    Parameters
    ----------
    day
        A date.

    Returns
    -------
    Edition or None
        None before 2007.
    """
    return next((e for e in _editions() if e.since <= day and (e.to is None or day < e.to)), None)


def fitting_rates(
    points: Iterable[tuple[str, int, bool]], edition: Edition | None
) -> list[Fitting]:
    """Count the points with an accepted meter by medium and level.

    Parameters
    ----------
    points
        Medium, level 1 .. 3, and whether its meter is accepted, of each point with a level.
    edition
        In force.

    Returns
    -------
    list of Fitting
        By medium and level. What the plant does not describe is not missed: the file must name the
        points that have no meter yet as ``planned`` (GB 17167, F30).
    """
    counts: dict[tuple[str, int], list[bool]] = {}
    for medium, level, accepted in points:
        counts.setdefault((medium, level), []).append(accepted)
    required: Mapping[str, tuple[float, float, float]] = (
        {} if edition is None else edition.fitting_percent
    )
    return [
        Fitting(
            medium,
            level,
            sum(accepted),
            len(accepted),
            required[medium][level - 1] / 100 if medium in required else None,
        )
        for (medium, level), accepted in sorted(counts.items())
    ]


def accuracy_margin(
    medium: str, class_percent: float | None, edition: Edition | None
) -> float | None:
    """Return how much finer a meter is than the coarsest class allowed for its medium.

    Parameters
    ----------
    medium
        What it measures.
    class_percent
        Its accuracy class [%]; None if nobody said it.
    edition
        Of GB 17167 in force.

    Returns
    -------
    float or None
        Negative where it is coarser [%]; None if class or limit is not known.
    """
    if class_percent is None or edition is None or medium not in edition.coarsest_class_percent:
        return None
    return edition.coarsest_class_percent[medium] - class_percent


@functools.cache
def _editions() -> tuple[Edition, ...]:
    text = files("analytics.quality").joinpath("data/gb17167.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Editions).edition
