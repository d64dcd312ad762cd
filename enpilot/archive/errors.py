"""Errors of the archive.

::

    ConfigurationError
    └── RetentionError              a retention that the law or a figure to be judged forbids
    PermanentError
    └── ArchiveError                a month that cannot be archived or dropped
        └── ArchiveMismatchError    a file is not what the manifest or the database says
    RetryableError
    └── ArchiveUnavailableError     the folder is not named, not mounted, or a file is not there
"""

from __future__ import annotations

from enpilot.errors import ConfigurationError, PermanentError, RetryableError

__all__ = ["ArchiveError", "ArchiveMismatchError", "ArchiveUnavailableError", "RetentionError"]


class RetentionError(ConfigurationError):
    """Fewer months on line than must be kept."""


class ArchiveError(PermanentError):
    """A month that cannot be archived or dropped; the message says which and what to do."""


class ArchiveMismatchError(ArchiveError):
    """A file, the manifest and the database do not agree."""


class ArchiveUnavailableError(RetryableError):
    """The archive cannot be read now; what needs it waits, and is not computed from the rest."""
