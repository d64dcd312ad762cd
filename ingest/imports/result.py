"""What an import did, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

__all__ = ["ImportResult"]


@dataclass(slots=True)
class ImportResult:
    """Figures of one import.

    Attributes
    ----------
    stream
        By this name the import can be retracted.
    rows_read, rows_written, rows_present
        Values in the file, written now, and left out because the same value was there.
    conflicts
        Sentences about values that differ from what is there; they need ``--supersede``.
    """

    stream: UUID
    rows_read: int = 0
    rows_written: int = 0
    rows_present: int = 0
    conflicts: list[str] = field(default_factory=list)
