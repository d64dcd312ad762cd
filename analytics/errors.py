"""Errors of the analytics room.

::

    PermanentError
    └── AnalyticsError
        ├── CounterError              readings or rules that cannot be accounted
        │   ├── LevelRangeError       a register value that the 1e-6 count grid cannot hold
        │   └── ReadingOrderError     read instants that do not strictly increase
        ├── FactorError               standard coal cannot be computed
        │   ├── FactorUnitError       the factor is per another unit
        │   └── MissingFactorError    no factor holds on that day
        └── TargetError               a target that cannot be judged by anybody
"""

from __future__ import annotations

from enpilot.errors import PermanentError

__all__ = [
    "AnalyticsError",
    "CounterError",
    "FactorError",
    "FactorUnitError",
    "LevelRangeError",
    "MissingFactorError",
    "ReadingOrderError",
    "TargetError",
]


class AnalyticsError(PermanentError):
    """Base of what analytics refuses to compute."""


class CounterError(AnalyticsError):
    """Readings, rules or a window that cannot be accounted."""


class LevelRangeError(CounterError):
    """A register value that is not a number or outside the 1e-6 count grid."""


class ReadingOrderError(CounterError):
    """Read instants of one series do not strictly increase."""


class FactorError(AnalyticsError):
    """Energy that cannot be converted to standard coal."""


class FactorUnitError(FactorError):
    """The factor is per another unit than the amount."""


class MissingFactorError(FactorError):
    """No factor of the scheme holds for the medium on that day."""


class TargetError(AnalyticsError):
    """A target or period that is contradictory in itself."""
