"""What every room's errors derive from.

::

    EnpilotError
    ├── ConfigurationError   the user wrote or set something that cannot work: exit code 2, one line
    ├── PermanentError       the same call fails again: keep the evidence, go on with the next
    └── RetryableError       the other side is away or busy: try again, with backoff and jitter
"""

__all__ = ["ConfigurationError", "EnpilotError", "PermanentError", "RetryableError"]


class EnpilotError(Exception):
    """Base of all errors that Enpilot raises on purpose."""


class ConfigurationError(EnpilotError):
    """The message names what, where (file and path) and the remedy."""


class PermanentError(EnpilotError):
    """Trying again does not help."""


class RetryableError(EnpilotError):
    """Trying again later helps."""
