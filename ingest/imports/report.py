"""The findings table of an import, the same after a rehearsal and after the real thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ingest.imports.result import ImportResult
from ingest.imports.series_checks import SeriesSummary

__all__ = ["months_line", "report_lines"]

_MOST_SERIES: Final = 50
_MOST_MONTHS: Final = 24


def report_lines(file: Path, result: ImportResult) -> Iterator[str]:
    """Yield the lines of the table.

    Parameters
    ----------
    file
        What was imported.
    result
        What came of it.
    """
    if result.dry_run:
        yield f"{file.name}: dry run, nothing was written; this is what an import would do"
    else:
        yield f"{file.name}: import {result.stream}"
    would = "would be written" if result.dry_run else "written"
    yield (
        f"  {result.rows_read:,} values read, {result.rows_written:,} {would}, "
        f"{result.rows_present:,} there already, {result.conflicts:,} in conflict"
    )
    if result.first is not None and result.last is not None:
        yield f"  from {result.first.isoformat(' ')} to {result.last.isoformat(' ')}"
    yield from _months(result)
    yield from _series(result.series)
    yield from _findings(result)


def months_line(months: Sequence[str]) -> str:
    """Return the line that names months whose figures change."""
    if not months:
        return "  no month's figures change"
    more = len(months) - _MOST_MONTHS
    return f"  figures change of: {', '.join(months[:_MOST_MONTHS])}" + (
        f" and {more} more months" if more > 0 else ""
    )


def _months(result: ImportResult) -> Iterator[str]:
    yield months_line(result.months)
    if result.closed:
        shown = ", ".join(result.closed[:_MOST_MONTHS])
        yield f"  closed: what changes of {shown} waits as a difference"


def _series(series: list[SeriesSummary]) -> Iterator[str]:
    if not series:
        return
    rows = [("series", "unit", "values", "least", "most", "fastest /h", "rated /h")]
    rows += [
        (
            s.name, s.unit, f"{s.values:,}", _number(s.least), _number(s.most),
            _number(s.largest_per_h), _number(s.rated_per_h),
        )
        for s in series[:_MOST_SERIES]
    ]  # fmt: skip
    yield ""
    yield from _aligned(rows, left=2)
    if len(series) > _MOST_SERIES:
        yield f"  and {len(series) - _MOST_SERIES:,} more series"


def _findings(result: ImportResult) -> Iterator[str]:
    findings = list(result.findings)
    yield ""
    if not findings:
        yield "  nothing odd was found"
        return
    rows = [("finding", "grade", "count", "of", "which is to say")]
    rows += [(f.code, f.severity, f"{f.count:,}", f.subject, f.sentence) for f in findings]
    lines = list(_aligned(rows, left=5, right=(2,)))
    yield lines[0]
    for line, finding in zip(lines[1:], findings, strict=True):
        yield line
        for evidence in finding.first:
            yield f"      {evidence}"
        if finding.count > len(finding.first) > 1:
            yield f"      and {finding.count - len(finding.first):,} more"


def _aligned(
    rows: Sequence[tuple[str, ...]], *, left: int, right: tuple[int, ...] = ()
) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if i < left and i not in right else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(cells)).rstrip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"
