"""Errors of the analytics room.

::

    PermanentError
    └── AnalyticsError
        ├── ClusterError              a Dask cluster that cannot be asked
        ├── ConversionCycleError      in-house media that only feed each other
        ├── CounterError              readings or rules that cannot be accounted
        │   ├── LevelRangeError       a register value that the 1e-6 count grid cannot hold
        │   ├── ReadingOrderError     read instants that do not strictly increase
        │   └── RecodeError           a type that takes other registers than were read
        ├── FactorError               standard coal cannot be computed
        │   ├── FactorUnitError       the factor is per another unit
        │   └── MissingFactorError    no factor holds on that day
        ├── NoSuchCorrectionError     nothing to show the effect of
        ├── NoSuchSiteError           a code that names no site
        ├── PastError                 a data version of which nothing can be computed
        └── TargetError               a target that cannot be judged by anybody
"""

from __future__ import annotations

from enpilot.errors import PermanentError

__all__ = [
    "AnalyticsError",
    "ClusterError",
    "ConversionCycleError",
    "CounterError",
    "FactorError",
    "FactorUnitError",
    "LevelRangeError",
    "MissingFactorError",
    "NoSuchCorrectionError",
    "NoSuchSiteError",
    "PastError",
    "ReadingOrderError",
    "RecodeError",
    "TargetError",
]


class AnalyticsError(PermanentError):
    """Base of what analytics refuses to compute."""


class ClusterError(AnalyticsError):
    """A Dask cluster that does not answer, or that works on something else."""


class ConversionCycleError(AnalyticsError):
    """Conversions that feed each other with all that they make."""


class CounterError(AnalyticsError):
    """Readings, rules or a window that cannot be accounted."""


class LevelRangeError(CounterError):
    """A register value that is not a number or outside the 1e-6 count grid."""


class PastError(AnalyticsError):
    """A data version that lies ahead or before all figures, or a table without a past."""


class ReadingOrderError(CounterError):
    """Read instants of one series do not strictly increase."""


class RecodeError(CounterError):
    """Registers of one width cannot be taken for a number of another."""


class FactorError(AnalyticsError):
    """Energy that cannot be converted to standard coal."""


class FactorUnitError(FactorError):
    """The factor is per another unit than the amount."""


class MissingFactorError(FactorError):
    """No factor of the scheme holds for the medium on that day."""


class NoSuchCorrectionError(AnalyticsError):
    """A correction that is not there, or that no decision can change any more."""


class NoSuchSiteError(AnalyticsError):
    """A code that names no site."""


class TargetError(AnalyticsError):
    """A target or period that is contradictory in itself."""
