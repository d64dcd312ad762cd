"""Errors of the analytics room.

::

    PermanentError
    └── AnalyticsError
        ├── CounterError              readings or rules that cannot be accounted
        │   ├── LevelRangeError       a register value that the 1e-6 count grid cannot hold
        │   ├── ReadingOrderError     read instants that do not strictly increase
        │   └── RecodeError           a type that takes other registers than were read
        ├── CostError                 a price, demand or bill that cannot be computed
        │   └── NoTariffError         no tariff of the account holds on that day
        ├── FactorError               standard coal cannot be computed
        │   ├── FactorUnitError       the factor is per another unit
        │   └── MissingFactorError    no factor holds on that day
        ├── NoSuchCorrectionError     nothing to show the effect of
        └── TargetError               a target that cannot be judged by anybody
"""

from __future__ import annotations

from enpilot.errors import PermanentError

__all__ = [
    "AnalyticsError",
    "CostError",
    "CounterError",
    "FactorError",
    "FactorUnitError",
    "LevelRangeError",
    "MissingFactorError",
    "NoSuchCorrectionError",
    "NoTariffError",
    "ReadingOrderError",
    "RecodeError",
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


class RecodeError(CounterError):
    """Registers of one width cannot be taken for a number of another."""


class CostError(AnalyticsError):
    """A price, a demand or a bill that cannot be computed as asked."""


class NoTariffError(CostError):
    """No tariff of the account holds on some day of the period."""


class FactorError(AnalyticsError):
    """Energy that cannot be converted to standard coal."""


class FactorUnitError(FactorError):
    """The factor is per another unit than the amount."""


class MissingFactorError(FactorError):
    """No factor of the scheme holds for the medium on that day."""


class NoSuchCorrectionError(AnalyticsError):
    """A correction that is not there, or that no decision can change any more."""


class TargetError(AnalyticsError):
    """A target or period that is contradictory in itself."""
