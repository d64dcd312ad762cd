"""Errors of this room.

::

    EnpilotError
    ├── BenchError              a measurement that did not come about
    ├── ConfigurationError
    │   └── HostRefusedError    an address that would open unsigned pages to a network
    ├── PermanentError
    │   └── ExportTooLongError  more than a file of that kind, or the disk set apart, can hold
    └── RetryableError
        └── ExportsBusyError    as many long exports run, or wait to be fetched, as may
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError, EnpilotError, PermanentError, RetryableError

__all__ = ["BenchError", "ExportTooLongError", "ExportsBusyError", "HostRefusedError"]


class BenchError(EnpilotError):
    """A measurement that did not come about."""


class HostRefusedError(ConfigurationError):
    """The portal has no sign-in of its own and does not listen beyond this machine unasked."""


class ExportTooLongError(PermanentError):
    """An export has more rows or bytes than its file may have; the message says what helps."""


class ExportsBusyError(RetryableError):
    """No further long export is begun before one of those that are kept is done or gone."""
