"""Tables that commands print, and the months that people type."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from enpilot.errors import ConfigurationError

__all__ = ["parse_month", "printed", "table_lines"]


def table_lines(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return rows as lines with aligned columns.

    Parameters
    ----------
    rows
        Of equal length; the first may be the headings.
    right
        Columns that are aligned to the right.

    Returns
    -------
    list of str
        A line a row, without blanks at its end.
    """
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def printed(value: float | None, digits: int = 3) -> str:
    """Return a number for people.

    Parameters
    ----------
    value
        In any unit, which the table's heading says [any]; None if it is not given.
    digits
        After the point.

    Returns
    -------
    str
        A dash for None.
    """
    return "—" if value is None else f"{value:,.{digits}f}"


def parse_month(text: str) -> dt.date:
    """Return the first day of a month.

    Parameters
    ----------
    text
        Such as 2025-03.

    Returns
    -------
    date
        Its first day.

    Raises
    ------
    ConfigurationError
        If it is no month.
    """
    try:
        return dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise ConfigurationError(f"--month {text!r} is no month such as 2025-03") from error
