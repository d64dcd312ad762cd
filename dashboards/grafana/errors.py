"""Errors of Grafana's part.

::

    EnpilotError
    ├── ConfigurationError
    │   └── GrafanaSettingsError    an address, a token, a password or a name that cannot be used
    ├── PermanentError
    │   └── GrafanaRefusedError     Grafana understood and said no
    └── RetryableError
        └── GrafanaAwayError        nobody answers there, or not now
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError, PermanentError, RetryableError

__all__ = ["GrafanaAwayError", "GrafanaRefusedError", "GrafanaSettingsError"]


class GrafanaSettingsError(ConfigurationError):
    """The message names the setting and the remedy."""


class GrafanaRefusedError(PermanentError):
    """The message repeats what Grafana said."""


class GrafanaAwayError(RetryableError):
    """Grafana does not answer, or is not ready."""
