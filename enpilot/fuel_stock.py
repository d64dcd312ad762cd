"""Stock of what no register counts: consumption between stock-takes (F5).

Consumption = opening + in - out - closing. An opening stock was there when its span begins, a
closing stock when its span ends; a stock-take that is only noted as one is the other too.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

__all__ = [
    "LEDGER_KINDS",
    "StockEntry",
    "StockPart",
    "StockPeriod",
    "StockTake",
    "overlap_share",
    "stock_periods",
    "stock_takes",
]

LEDGER_KINDS = (
    "opening", "purchase", "own_production", "transfer_in", "transfer_out", "sale", "feedstock",
    "non_industrial", "loss", "closing",
)  # fmt: skip
_STEP = dt.timedelta(microseconds=1)


class StockEntry(Protocol):
    """What an entry of the energy ledger must say here."""

    @property
    def kind(self) -> str: ...  # noqa: D102  # the name says it
    @property
    def since(self) -> dt.datetime: ...  # noqa: D102  # the name says it
    @property
    def until(self) -> dt.datetime: ...  # noqa: D102  # the name says it


_Entry = TypeVar("_Entry", bound=StockEntry)


@dataclass(frozen=True, slots=True)
class StockTake(Generic[_Entry]):
    """What was counted at one instant: as the end of a time, as the beginning of one, or both."""

    at: dt.datetime
    closing: _Entry | None
    opening: _Entry | None


@dataclass(frozen=True, slots=True)
class StockPart(Generic[_Entry]):
    """An entry's part in a period: as what it counts (a closing may serve as opening), how much."""

    entry: _Entry
    kind: str
    share: Fraction


@dataclass(frozen=True, slots=True)
class StockPeriod(Generic[_Entry]):
    """The time between two stock-takes, with everything that makes its consumption."""

    since: dt.datetime
    until: dt.datetime
    parts: list[StockPart[_Entry]]


def stock_takes(entries: Sequence[_Entry]) -> list[StockTake[_Entry]]:
    """Return the stock-takes among the entries of one medium, in order of time."""
    opening = {e.since: e for e in entries if e.kind == "opening"}
    closing = {e.until: e for e in entries if e.kind == "closing"}
    return [
        StockTake(at, closing.get(at), opening.get(at))
        for at in sorted(opening.keys() | closing.keys())
    ]


def stock_periods(
    entries: Sequence[_Entry],
) -> tuple[list[StockPeriod[_Entry]], list[StockPeriod[_Entry]]]:
    """Divide the entries of one medium by its stock-takes.

    Returns
    -------
    periods
        Between each two neighbouring stock-takes. A movement across a stock-take counts on either
        side by its time there.
    loose
        What lies outside of all of them: movements without a stock before or after.
    """
    takes = stock_takes(entries)
    flows = [e for e in entries if e.kind not in ("opening", "closing")]
    periods = []
    for before, after in itertools.pairwise(takes):
        parts = [
            StockPart(e, e.kind, share)
            for e in flows
            if (share := overlap_share(e, before.at, after.at)) > 0
        ]
        first, last = before.opening or before.closing, after.closing or after.opening
        assert first is not None  # a stock-take is one or the other
        assert last is not None
        parts.append(StockPart(first, "opening", Fraction(1)))
        parts.append(StockPart(last, "closing", Fraction(1)))
        periods.append(StockPeriod(before.at, after.at, parts))
    return periods, [piece for e in flows for piece in _outside(e, takes)]


def _outside(entry: _Entry, takes: Sequence[StockTake[_Entry]]) -> Iterator[StockPeriod[_Entry]]:
    """Yield what of a movement lies before the first and after the last stock-take."""
    first, last = (takes[0].at, takes[-1].at) if takes else (entry.until, entry.until)
    for since, until in (
        (entry.since, min(entry.until, first)),
        (max(entry.since, last), entry.until),
    ):
        if since < until:
            share = overlap_share(entry, since, until)
            yield StockPeriod(since, until, [StockPart(entry, entry.kind, share)])


def overlap_share(entry: StockEntry, since: dt.datetime, until: dt.datetime) -> Fraction:
    """Return the share of an entry's span that lies in [since, until); 0 .. 1."""
    inside = min(until, entry.until) - max(since, entry.since)
    return max(Fraction(0), Fraction(inside // _STEP, (entry.until - entry.since) // _STEP))
