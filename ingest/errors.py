"""Errors of this room.

::

    EnpilotError
    ├── ConfigurationError
    │   ├── ImportRefusedError     a file cannot be imported as it is; nothing was written
    │   ├── ClosedPeriodError      a plant file would change what signed figures were made of
    │   ├── CorrectionError        a correction that cannot be proposed or decided like this
    │   ├── SourceError            a publisher's file that does not fit the plant
    │   └── TokenError             a token that cannot be made or ended like this
    ├── PermanentError
    │   ├── EntriesRefusedError    a report over HTTP that does not fit the plant
    │   └── RefusedError           one message cannot be accepted: quarantine, acknowledge, go on
    └── RetryableError
        └── BrokerUnavailableError
"""

from __future__ import annotations

from pathlib import Path

from enpilot.errors import ConfigurationError, PermanentError, RetryableError
from enpilot.wire import Refusal

__all__ = [
    "BrokerUnavailableError",
    "ClosedPeriodError",
    "CorrectionError",
    "EntriesRefusedError",
    "ImportRefusedError",
    "RefusedError",
    "SourceError",
    "TokenError",
]


class RefusedError(PermanentError):
    """A message that goes to quarantine.

    Attributes
    ----------
    code
        Reason code, sent in the receipt.
    """

    def __init__(self, code: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ImportRefusedError(ConfigurationError):
    """An import file or mapping that does not fit; names file, row or path, and the remedy."""

    def __init__(self, file: Path, errors: list[str]) -> None:
        super().__init__(f"{file}: " + "; ".join(errors))
        self.file = file
        self.errors = errors


class ClosedPeriodError(ConfigurationError):
    """A plant file that would change what closed periods were computed of; nothing was applied."""

    def __init__(self, site: str, periods: list[str]) -> None:
        super().__init__(
            f"site {site}: the file changes what closed periods were computed of:"
            f" {', '.join(periods)}; date the change after them, or say why with `--reopen-reason`:"
            " their figures stay signed and the differences wait"
        )
        self.periods = periods


class CorrectionError(ConfigurationError):
    """A correction that cannot be proposed or decided like this; nothing was changed."""


class SourceError(ConfigurationError):
    """A publisher's source file that names a site or point which the plant does not have."""


class TokenError(ConfigurationError):
    """A token that cannot be made or ended like this."""


class EntriesRefusedError(PermanentError):
    """A report that does not fit the plant; ``errors`` has a sentence for each wrong entry."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class BrokerUnavailableError(RetryableError):
    """The MQTT broker cannot be reached."""
