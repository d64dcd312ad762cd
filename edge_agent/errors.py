"""Errors of this room.

::

    EnpilotError
    ├── ConfigurationError
    │   ├── ProfileError       a profile file that cannot be used
    │   └── WiringError        a plant file whose wiring this agent cannot read
    ├── PermanentError
    │   └── OutboxError        the outbox file is damaged or not ours
    └── RetryableError
        ├── ReadError          a unit did not give its registers this time
        └── OutboxWriteError   the disk takes nothing now: full, or read-only
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError, PermanentError, RetryableError
from enpilot.wire import Quality

__all__ = ["OutboxError", "OutboxWriteError", "ProfileError", "ReadError", "WiringError"]


class ProfileError(ConfigurationError):
    """A meter profile that cannot be used; names file, register and remedy."""


class WiringError(ConfigurationError):
    """Lines, devices and profiles that do not fit together; names the plant file."""


class OutboxError(PermanentError):
    """The outbox cannot be used; names its file."""


class OutboxWriteError(RetryableError):
    """The outbox is whole but cannot be written now; names its file and the remedy."""


class ReadError(RetryableError):
    """A block that was not read.

    Attributes
    ----------
    quality
        What to store for its series instead of numbers.
    exception_code
        Of a Modbus reply, if there was one: 2 is "illegal data address" (Modbus Application
        Protocol 1.1b3, section 7).
    absent
        Whether a meter of another protocol says that it does not have what was asked for.
    """

    def __init__(
        self,
        quality: Quality,
        sentence: str,
        exception_code: int | None = None,
        *,
        absent: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.quality = quality
        self.exception_code = exception_code
        self.absent = absent
