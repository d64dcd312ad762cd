"""Output of a product over a window (F12, F25, F28): zero is an entry, missing is not.

At the stage "counted" the counters of PLCs tell, where a product has some; what people book tells
at every other stage. Of one product both are never added. Rework adds energy, never output.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import psycopg

from analytics.accounting.energy_parts import covered_share
from analytics.intervals.sums import SummedSeries

__all__ = [
    "OutputEntry",
    "OutputTotal",
    "ProductOutput",
    "ProductionCounter",
    "ProductionShape",
    "load_output",
    "output_total",
    "product_total",
]

_STEP = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """One booked span of production at one stage; ``good`` is what counts as output."""

    quantity: Fraction
    good: bool
    since: dt.datetime
    until: dt.datetime
    synthetic: bool
    line: str = ""
    lot: str = ""


@dataclass(frozen=True, slots=True)
class ProductionCounter:
    """A counter whose advance is output.

    Attributes
    ----------
    series_id
        Of the counter.
    good
        Whether it counts good pieces.
    per_count
        Units of the product in one unit counted.
    valid_from, valid_to
        When it counts this product.
    line
        Of the plant; empty if it has none.
    """

    series_id: int
    good: bool
    per_count: Fraction
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    line: str = ""


@dataclass(frozen=True, slots=True)
class ProductOutput:
    """What is known of a product's output at one stage.

    Attributes
    ----------
    product_id
        The product.
    unit
        It is counted in.
    weight
        What one unit counts in an energy index: its frozen base intensity; 1 where nothing is
        weighed; None if the product has no base yet.
    entries
        Booked by people or a system.
    counters
        Of PLCs; they come before entries.
    """

    product_id: int
    unit: str
    weight: Fraction | None
    entries: Sequence[OutputEntry]
    counters: Sequence[ProductionCounter] = field(default=())


@dataclass(frozen=True, slots=True)
class ProductionShape:
    """Energy of the ledger lies inside its span as a product's entries of output do (F5)."""

    entries: tuple[OutputEntry, ...]

    def weight(self, since: dt.datetime, until: dt.datetime) -> Fraction | None:
        """Return the good output in [since, until) [unit of the product].

        Parameters
        ----------
        since, until
            Any instants.

        Returns
        -------
        Fraction or None
            None if it is not entered for all of the time.
        """
        found = output_total(self.entries, since, until)
        return found.exact if found.coverage >= 1.0 else None


@dataclass(frozen=True, slots=True)
class OutputTotal:
    """Output in a window; None if nothing is known there.

    ``missing`` holds the spans of the window in which nothing is booked.
    """

    quantity: float | None
    coverage: float
    synthetic: bool
    missing: tuple[tuple[dt.datetime, dt.datetime], ...] = ()
    exact: Fraction | None = None


def product_total(
    product: ProductOutput,
    intervals: Callable[[int], SummedSeries | None],
    since: dt.datetime,
    until: dt.datetime,
) -> OutputTotal:
    """Return the good output of a product in [since, until) [unit of the product].

    Parameters
    ----------
    product
        Entries and counters of one stage.
    intervals
        Gives the intervals of a counter's series.
    since, until
        On the 15-minute grid where a counter tells.

    Returns
    -------
    OutputTotal
        Coverage is the booked share of the time, or the counters' coverage. Where a counter begins
        or ends within the window, each part of it is told by what counted then.
    """
    ends = {at for c in product.counters for at in (c.valid_from, c.valid_to) if at is not None}
    cuts = [since, *sorted(at for at in ends if since < at < until), until]
    parts = [
        (_piece(product, intervals, low, high), (high - low) / (until - since))
        for low, high in itertools.pairwise(cuts)
    ]
    if len(parts) == 1:
        return parts[0][0]
    known = [part.exact for part, _ in parts if part.exact is not None]
    exact = sum(known, Fraction(0)) if known else None
    return OutputTotal(
        None if exact is None else float(exact),
        # Of whole pieces, lest a sum of shares falls short of 1.
        1.0 if all(p.coverage == 1.0 for p, _ in parts) else sum(p.coverage * w for p, w in parts),
        any(part.synthetic for part, _ in parts),
        tuple(span for part, _ in parts for span in part.missing),
        exact,
    )


def _piece(
    product: ProductOutput,
    intervals: Callable[[int], SummedSeries | None],
    since: dt.datetime,
    until: dt.datetime,
) -> OutputTotal:
    """Ask those counters that count all of a window; without any, what was booked."""
    held = [
        c
        for c in product.counters
        if c.valid_from < until and (c.valid_to is None or since < c.valid_to)
    ]
    return _counted(held, intervals, since, until) if held else output_total(
        product.entries, since, until
    )  # fmt: skip


def _counted(
    counters: Sequence[ProductionCounter],
    intervals: Callable[[int], SummedSeries | None],
    since: dt.datetime,
    until: dt.datetime,
) -> OutputTotal:
    quantity, coverage, synthetic = Fraction(0), 1.0, False
    seen = False
    for counter in counters:
        rows = intervals(counter.series_id)
        summed = None if rows is None else rows.over(since, until)
        if summed is None or summed.amount is None:
            coverage = 0.0
            continue
        seen = True
        coverage = min(coverage, summed.coverage)
        synthetic |= summed.simulated
        if counter.good:
            quantity += summed.amount * counter.per_count
    if not seen:
        return OutputTotal(None, 0.0, synthetic=False)
    return OutputTotal(float(quantity), coverage, synthetic, (), quantity)


def output_total(
    entries: Sequence[OutputEntry], since: dt.datetime, until: dt.datetime
) -> OutputTotal:
    """Add up good booked output in [since, until).

    Parameters
    ----------
    entries
        Of one product at one stage, any order.
    since, until
        A span across an end counts by its time inside.

    Returns
    -------
    OutputTotal
        Coverage is the booked share of the time.
    """
    quantity = Fraction(0)
    spans: list[tuple[dt.datetime, dt.datetime]] = []
    synthetic = False
    for entry in entries:
        low, high = max(since, entry.since), min(until, entry.until)
        if low >= high:
            continue
        spans.append((low, high))
        synthetic |= entry.synthetic
        if entry.good:
            inside = Fraction((high - low) // _STEP, (entry.until - entry.since) // _STEP)
            quantity += entry.quantity * inside
    if not spans:
        return OutputTotal(None, 0.0, synthetic=False, missing=((since, until),))
    return OutputTotal(
        float(quantity),
        covered_share(spans, since, until),
        synthetic,
        tuple(_missing(spans, since, until)),
        quantity,
    )


def _missing(
    spans: Sequence[tuple[dt.datetime, dt.datetime]], since: dt.datetime, until: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime]]:
    found, reached = [], since
    for low, high in sorted(spans):
        if low > reached:
            found.append((reached, low))
        reached = max(reached, high)
    if reached < until:
        found.append((reached, until))
    return found


def load_output(
    connection: psycopg.Connection[Any], product_id: int, stage: str, line: str = ""
) -> list[OutputEntry]:
    """Load the current output entries of a product at a stage, in order of time.

    Parameters
    ----------
    connection
        To the platform's database.
    product_id, stage
        What was made, and where it was counted.
    line
        Only what was made there; everything if empty.

    Returns
    -------
    list of OutputEntry
        Quantities in the unit of the product [unit of the product].
    """
    return [
        OutputEntry(Fraction(quantity), disposition == "good", since, until, synthetic, on, lot)
        for quantity, disposition, since, until, synthetic, on, lot in connection.execute(
            "SELECT quantity, disposition, from_ts, to_ts, synthetic, line, lot FROM output"
            " WHERE product_id = %s AND stage = %s AND superseded_commit_no IS NULL"
            " AND (%s = '' OR line = %s) ORDER BY from_ts, output_id",
            (product_id, stage, line, line),
        )
    ]
