"""Output of a product over a window (F12, F25): zero is an entry, missing is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import psycopg

from analytics.accounting.scheme_energy import covered_share

__all__ = ["OutputEntry", "OutputTotal", "load_output", "output_total"]


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """One booked span of production at one stage; ``good`` is what counts as output."""

    quantity: Fraction
    good: bool
    since: dt.datetime
    until: dt.datetime
    synthetic: bool


@dataclass(frozen=True, slots=True)
class OutputTotal:
    """Output in a window [unit of the product]; None if nothing is booked there."""

    quantity: float | None
    coverage: float
    synthetic: bool


def output_total(
    entries: Sequence[OutputEntry], since: dt.datetime, until: dt.datetime
) -> OutputTotal:
    """Add up good output in [since, until); a span across an end counts by its time inside."""
    quantity = Fraction(0)
    spans: list[tuple[dt.datetime, dt.datetime]] = []
    synthetic = False
    step = dt.timedelta(microseconds=1)
    for entry in entries:
        low, high = max(since, entry.since), min(until, entry.until)
        if low >= high:
            continue
        spans.append((low, high))
        synthetic |= entry.synthetic
        if entry.good:
            inside = Fraction((high - low) // step, (entry.until - entry.since) // step)
            quantity += entry.quantity * inside
    if not spans:
        return OutputTotal(None, 0.0, synthetic=False)
    return OutputTotal(float(quantity), covered_share(spans, since, until), synthetic)


def load_output(
    connection: psycopg.Connection[Any], product_id: int, stage: str
) -> list[OutputEntry]:
    """Load the current output entries of a product at a stage, in order of time."""
    return [
        OutputEntry(Fraction(quantity), disposition == "good", since, until, synthetic)
        for quantity, disposition, since, until, synthetic in connection.execute(
            "SELECT quantity, disposition, from_ts, to_ts, synthetic FROM output"
            " WHERE product_id = %s AND stage = %s AND superseded_commit_no IS NULL"
            " ORDER BY from_ts",
            (product_id, stage),
        )
    ]
