"""Names of findings: what the accounting decided about readings, and how data came."""

from __future__ import annotations

from typing import Final

from enpilot.code_words import FINDINGS, FLOW_FINDINGS
from enpilot.text import Language, pick
from enpilot.waste_words import REMEDIES

__all__ = ["FLOW_CODES", "finding_name", "finding_remedy"]

FLOW_CODES: Final = tuple(FLOW_FINDINGS)


def finding_name(language: Language, code: str) -> str:
    """Name a finding; an unknown code as it is."""
    return pick(language, *FINDINGS[code]) if code in FINDINGS else code


def finding_remedy(language: Language, code: str) -> str | None:
    """Say what to do about a finding; None where there is nothing to do, or nothing known."""
    return pick(language, *REMEDIES[code]) if code in REMEDIES else None
