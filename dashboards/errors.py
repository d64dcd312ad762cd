"""Errors of this room.

::

    EnpilotError
    ├── BenchError              a measurement that did not come about
    ├── ConfigurationError
    │   ├── PortalRoleError     the database cannot show pages as a person
    │   └── AccessError         a person, grant or link that cannot be
    ├── PermanentError
    │   ├── NotPermittedError   there for the person who asks is the site, but not this of it
    │   └── ExportTooLongError  more than a file of that kind, or the disk set apart, can hold
    ├── OidcRefusedError        a sign-in by an identity provider that does not hold
    └── RetryableError
        ├── OidcAwayError       the identity provider does not answer
        └── ExportsBusyError    as many long exports run, or wait to be fetched, as may
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError, EnpilotError, PermanentError, RetryableError

__all__ = [
    "AccessError", "BenchError", "ExportTooLongError", "ExportsBusyError", "NotPermittedError",
    "OidcAwayError", "OidcRefusedError", "PortalRoleError",
]  # fmt: skip


class BenchError(EnpilotError):
    """A measurement that did not come about."""


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


class NotPermittedError(PermanentError):
    """The site is there for the person who asks, but not what is asked for."""


class ExportTooLongError(PermanentError):
    """An export has more rows or bytes than its file may have; the message says what helps."""


class ExportsBusyError(RetryableError):
    """No further long export is begun before one of those that are kept is done or gone."""


class OidcRefusedError(EnpilotError):
    """A sign-in by an identity provider that does not hold; what is wrong is for the log."""


class OidcAwayError(RetryableError):
    """The identity provider does not answer."""
