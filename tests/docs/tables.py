"""Tables of a document in Markdown, read as its readers do."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

__all__ = ["EXAMPLES", "number", "table"]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def table(document: Path, heading: str) -> list[dict[str, str]]:
    """Return the first table below a heading: a dict a row, by column title."""
    lines = document.read_text("utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.lstrip("#").strip() == heading)
    rows: list[list[str]] = []
    for line in lines[at + 1 :]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows or line.startswith("#"):
            break
    assert len(rows) > 2, f"{document.name} has no table below {heading!r}"
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def number(cell: str) -> Fraction:
    """Return "−1,200" as a number."""
    return Fraction(cell.replace(",", "").replace("−", "-").split(" ")[0])
