"""Spans of time that lie near each other, as one; those far apart stay apart (D11)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

__all__ = ["merge_spans"]


def merge_spans(
    spans: Iterable[tuple[dt.datetime, dt.datetime]], apart: dt.timedelta
) -> list[tuple[dt.datetime, dt.datetime]]:
    """Return the fewest spans that cover the given ones without bridging more than ``apart``.

    A late reading of last year and a live one of now must not make a year dirty.

    Parameters
    ----------
    spans
        [since, until] in any order.
    apart
        Distance that is still bridged.

    Returns
    -------
    list of (since, until)
        In order of time.
    """
    merged: list[tuple[dt.datetime, dt.datetime]] = []
    for since, until in sorted(spans):
        if merged and since - merged[-1][1] <= apart:
            merged[-1] = (merged[-1][0], max(merged[-1][1], until))
        else:
            merged.append((since, until))
    return merged
