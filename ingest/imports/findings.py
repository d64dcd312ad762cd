"""What an import found in a table: structured, counted, with the first lines as evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["FINDINGS", "Finding", "Findings", "Severity"]

Severity = Literal["note", "warning", "fault"]
_SHOWN: Final = 5

# Every code, how grave it is, and what it says; the reference page lists the same.
FINDINGS: MappingProxyType[str, tuple[Severity, str]] = MappingProxyType(
    {
        "differs": ("warning", "another value is there; use --supersede to replace it"),
        "superseded": ("note", "another value was there; the file's counts now"),
        "duplicate": ("note", "said again by another line of the file"),
        "not_available": ("note", "empty cell: no value, never zero"),
        "not_finite": ("warning", "not a number or infinite: kept without a value"),
        "gap": ("warning", "lines further apart than the period: nothing is known in between"),
        "disorder": ("note", "line earlier than the one before"),
        "fell": ("warning", "the register fell"),
        "above_rated": ("warning", "rose faster than the rated limit allows"),
        "implausible_unit": ("warning", "so much that unit or decimals are in doubt"),
        "clock_change": ("note", "wall clock time that came twice, placed by the mapping's rule"),
        "other_lines": ("note", "line of no series in the mapping, left out"),
        "unit_not_of_medium": ("fault", "the medium is not measured in this unit"),
        "stock_mismatch": ("warning", "closing stock is not the next opening stock"),
        "stock_missing": ("warning", "no stock-take: consumption cannot be told from the stock"),
        "consumption_negative": ("fault", "opening + in - out - closing is below zero"),
        "document_overlap": ("warning", "one document has overlapping spans of one kind"),
        "anchor_disagrees": ("warning", "telemetry does not pass through what a person read"),
        "anchor_unchecked": ("note", "no telemetry on both sides to compare with"),
        "register_below_previous": (
            "warning", "below an earlier register: kept as evidence, not used as a reading",
        ),
    }
)  # fmt: skip


@dataclass(slots=True)
class Finding:
    """One thing found, of one subject (a series, a medium, the file)."""

    code: str
    subject: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return FINDINGS[self.code][0]

    @property
    def sentence(self) -> str:
        """What it says."""
        return FINDINGS[self.code][1]


@dataclass(slots=True)
class Findings:
    """All findings of one import, in the order in which they were first met."""

    _by_key: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def add(self, code: str, subject: str, evidence: str, count: int = 1) -> None:
        """Note a finding; only the first few keep their evidence."""
        assert code in FINDINGS, code
        finding = self._by_key.setdefault((code, subject), Finding(code, subject))
        finding.count += count
        if len(finding.first) < _SHOWN:
            finding.first.append(evidence)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._by_key.values())

    def count(self, code: str) -> int:
        """Return how often something was found, over all subjects."""
        return sum(f.count for f in self._by_key.values() if f.code == code)
