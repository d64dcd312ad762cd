"""What an import did, or would do, for people and for programs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from uuid import UUID

from ingest.imports.findings import Findings
from ingest.imports.series_checks import SeriesSummary

__all__ = ["ImportResult"]


@dataclass(slots=True)
class ImportResult:
    """Figures of one import.

    Attributes
    ----------
    stream
        By this name the import can be retracted.
    dry_run
        Nothing was written; the figures say what would have been.
    rows_read, rows_written, rows_present
        Values in the file, written now, and left out because the same value was there.
    first, last
        Extent in time.
    findings
        What was odd, counted, with its first lines.
    series
        One summary a series; only readings have them.
    months
        Months of the site whose figures change, "2026-03", in order.
    closed
        Those of them that are signed: their figures stay, what would change waits.
    """

    stream: UUID
    dry_run: bool = False
    rows_read: int = 0
    rows_written: int = 0
    rows_present: int = 0
    first: dt.datetime | None = None
    last: dt.datetime | None = None
    findings: Findings = field(default_factory=Findings)
    series: list[SeriesSummary] = field(default_factory=list)
    months: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> int:
        """Values that differ from what is there and were not written."""
        return self.findings.count("differs")
