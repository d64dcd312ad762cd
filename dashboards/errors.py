"""Errors of this room.

::

    EnpilotError
    ├── ConfigurationError
    │   ├── PortalRoleError     the database cannot show pages as a person
    │   └── AccessError         a person, grant or link that cannot be
    ├── OidcRefusedError        a sign-in by an identity provider that does not hold
    └── RetryableError
        └── OidcAwayError       the identity provider does not answer
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError, EnpilotError, RetryableError

__all__ = ["AccessError", "OidcAwayError", "OidcRefusedError", "PortalRoleError"]


class PortalRoleError(ConfigurationError):
    """The portal's login cannot change to the role that pages are read as; says what to do."""


class AccessError(ConfigurationError):
    """A person, a grant, a link or a token cannot be made or ended; says why.

    Parameters
    ----------
    en, zh
        Why, in a sentence; a command says the English one, a page that of its language.
    """

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en, self.zh = en, zh


class OidcRefusedError(EnpilotError):
    """A sign-in by an identity provider that does not hold; what is wrong is for the log."""


class OidcAwayError(RetryableError):
    """The identity provider does not answer."""
