"""What a person says against the registers: proposed, decided by two where it matters, revocable.

F1-F3 and F20. Nothing is edited: a decision inserts rows that take effect, or supersedes them, and
marks the span dirty. What a decision would change is shown by ``enpilot analyze preview``.
"""

from ingest.corrections.decision import approve, reject, revoke
from ingest.corrections.proposal import (
    MEANING_KEYS,
    Proposal,
    Proposed,
    SeriesAtSite,
    find_series,
    propose,
)

__all__ = [
    "MEANING_KEYS",
    "Proposal",
    "Proposed",
    "SeriesAtSite",
    "approve",
    "find_series",
    "propose",
    "reject",
    "revoke",
]
