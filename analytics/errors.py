"""Errors of the analytics room.

::

    PermanentError
    └── AnalyticsError
        ├── BenchError                a measurement that did not come about, or came out wrong
        ├── ClosingError              a period that cannot be signed or opened like this
        ├── ClusterError              a Dask cluster that cannot be asked
        ├── BaselineError             a model or a comparison that the data do not allow
        ├── ConversionCycleError      in-house media that only feed each other
        ├── CounterError              readings or rules that cannot be accounted
        │   ├── LevelRangeError       a register value that the 1e-6 count grid cannot hold
        │   ├── ReadingOrderError     read instants that do not strictly increase
        │   └── RecodeError           a type that takes other registers than were read
        ├── CostError                 a price, demand or bill that cannot be computed
        │   └── NoTariffError         no tariff of the account holds on that day
        ├── FactorError               standard coal cannot be computed
        │   ├── FactorUnitError       the factor is per another unit
        │   └── MissingFactorError    no factor holds on that day
        ├── NoSuchAlertError          no such rule, or nothing of it fires
        ├── NoSuchBaselineError       a baseline or retrofit that no plant file declares
        ├── NoSuchCorrectionError     nothing to show the effect of
        ├── NoSuchSiteError           a code that names no site
        ├── NoSuchWasteError          a number that names no waste
        ├── PastError                 a data version of which nothing can be computed
        ├── SavingError               savings that the figures at hand cannot prove
        └── TargetError               a target that cannot be judged by anybody

    RetryableError
    └── ChannelError                  a message that a channel did not take
"""

from __future__ import annotations

import enum

from enpilot.errors import PermanentError, RetryableError

__all__ = [
    "AnalyticsError",
    "BaselineError",
    "BenchError",
    "ChannelError",
    "ClosingError",
    "ClusterError",
    "ConversionCycleError",
    "CostError",
    "CounterError",
    "FactorError",
    "FactorUnitError",
    "LevelRangeError",
    "MissingFactorError",
    "ModelFault",
    "NoSuchAlertError",
    "NoSuchBaselineError",
    "NoSuchCorrectionError",
    "NoSuchSiteError",
    "NoSuchWasteError",
    "NoTariffError",
    "PastError",
    "ReadingOrderError",
    "RecodeError",
    "SavingError",
    "TargetError",
]


class AnalyticsError(PermanentError):
    """Base of what analytics refuses to compute."""


class BenchError(AnalyticsError):
    """A measurement that did not come about, or whose result is wrong."""


class ChannelError(RetryableError):
    """A message that a channel did not take; the sentence holds no secret."""


class ClosingError(AnalyticsError):
    """A period that cannot be prepared, signed or opened like this."""


class ClusterError(AnalyticsError):
    """A Dask cluster that does not answer, or that works on something else."""


class ConversionCycleError(AnalyticsError):
    """Conversions that feed each other with all that they make."""


class ModelFault(enum.StrEnum):
    """Why there is no model; a page says each code in two languages."""

    TOO_FEW_POINTS = "too_few_points"
    MISSING_VALUE = "missing_value"
    CONSTANT_ENERGY = "constant_energy"
    CONSTANT_VARIABLE = "constant_variable"
    COLLINEAR = "collinear"
    EXACT_FIT = "exact_fit"
    NO_CHANGE_POINT = "no_change_point"
    WINDOW_OVERLAP = "window_overlap"
    WINDOW_INCOMPLETE = "window_incomplete"


class BaselineError(AnalyticsError):
    """A model that cannot be computed from these data, or does not fit the question.

    Attributes
    ----------
    fault
        The code of the reason.
    """

    def __init__(self, fault: ModelFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


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


class NoSuchAlertError(AnalyticsError):
    """There is no such rule, or nothing of it fires."""


class NoSuchBaselineError(AnalyticsError):
    """A baseline or retrofit of a code that no plant file declares."""


class NoSuchCorrectionError(AnalyticsError):
    """A correction that is not there, or that no decision can change any more."""


class NoSuchSiteError(AnalyticsError):
    """A code that names no site."""


class NoSuchWasteError(AnalyticsError):
    """Waste that was never found."""


class SavingError(AnalyticsError):
    """Savings whose windows or figures contradict each other."""


class TargetError(AnalyticsError):
    """A target or period that is contradictory in itself."""
