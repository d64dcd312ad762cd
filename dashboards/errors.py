"""Errors of this room.

::

    EnpilotError
    └── ConfigurationError
        ├── HostRefusedError    an address that would open unsigned pages to a network
        └── PortRefusedError    another program listens there, or this one may not
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError

__all__ = ["HostRefusedError", "PortRefusedError"]


class HostRefusedError(ConfigurationError):
    """The portal has no sign-in of its own and does not listen beyond this machine unasked."""


class PortRefusedError(ConfigurationError):
    """The address cannot be listened on; names host, port and the system's reason."""
