"""Reasons for which ingest refuses a message; the code travels in receipts and quarantine."""

from enum import StrEnum

__all__ = ["Refusal"]


class Refusal(StrEnum):
    """Codes are part of wire version 1: never renamed."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_VERSION = "unknown_version"
    WRONG_IDENTITY = "wrong_identity"
    NO_GRANT = "no_grant"
    UNKNOWN_GROUP = "unknown_group"
    SHAPE = "shape"
    OVERFLOW = "overflow"
    FUTURE_TIMESTAMP = "future_timestamp"
    FORK = "fork"
    WRITE_FAILED = "write_failed"
