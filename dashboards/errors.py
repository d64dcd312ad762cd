"""Errors of this room.

::

    EnpilotError
    └── ConfigurationError
        └── HostRefusedError    an address that would open unsigned pages to a network
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError

__all__ = ["HostRefusedError"]


class HostRefusedError(ConfigurationError):
    """The portal has no sign-in of its own and does not listen beyond this machine unasked."""
