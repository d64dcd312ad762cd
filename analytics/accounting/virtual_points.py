"""Virtual points: sums of points by the formula that is valid in each interval (F2)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import psycopg

from analytics.accounting.energy_parts import MeteredPoint
from enpilot.plant.formula import parse_formula

__all__ = ["FormulaSpan", "VirtualPoint", "expand", "load_virtual_points"]

_Time: TypeAlias = tuple[dt.datetime, dt.datetime | None]


@dataclass(frozen=True, slots=True)
class FormulaSpan:
    """Coefficients of points from .. to."""

    points: Mapping[str, Fraction]
    valid_from: dt.datetime
    valid_to: dt.datetime | None


@dataclass(frozen=True, slots=True)
class VirtualPoint:
    """A virtual point with its dated formulas, in order of time."""

    virtual_point_id: int
    code: str
    medium: str
    spans: Sequence[FormulaSpan]


def load_virtual_points(connection: psycopg.Connection[Any], site_id: int) -> list[VirtualPoint]:
    """Load the virtual points of a site.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.

    Returns
    -------
    list of VirtualPoint
        By code.
    """
    spans: dict[tuple[int, str, str], list[FormulaSpan]] = defaultdict(list)
    for number, code, medium, formula, since, until in connection.execute(
        "SELECT v.virtual_point_id, v.code, v.medium, r.formula, r.valid_from, r.valid_to"
        " FROM virtual_point v JOIN virtual_point_record r USING (virtual_point_id)"
        " WHERE v.site_id = %s AND r.superseded_commit_no IS NULL ORDER BY v.code, r.valid_from",
        (site_id,),
    ):
        spans[number, code, medium].append(FormulaSpan(parse_formula(formula), since, until))
    return [VirtualPoint(*key, found) for key, found in spans.items()]


def expand(
    virtual: Sequence[VirtualPoint], points: Mapping[str, Sequence[MeteredPoint]]
) -> dict[str, list[MeteredPoint]]:
    """Return virtual points as sums of real ones.

    Parameters
    ----------
    virtual
        In any order; one may be a part of another.
    points
        Real ones, by code.

    Returns
    -------
    dict
        By code; a virtual point is left out while a part of its formula does not count: a sum
        without it would be wrong.
    """
    by_code = {v.code: v for v in virtual}
    known: dict[str, list[MeteredPoint]] = {}

    def parts_of(code: str) -> Sequence[MeteredPoint]:
        if code in by_code:
            if code not in known:
                known[code] = []  # a circle, which the plant file refuses, ends here
                known[code] = list(_expanded(by_code[code], parts_of))
            return known[code]
        return points.get(code, ())

    for v in virtual:
        parts_of(v.code)
    return {code: found for code, found in known.items() if found}


def _expanded(virtual: VirtualPoint, parts_of: Any) -> list[MeteredPoint]:
    found: list[MeteredPoint] = []
    for span in virtual.spans:
        parts = {code: parts_of(code) for code in span.points}
        if not all(parts.values()):
            continue
        together: list[_Time] = [(span.valid_from, span.valid_to)]
        for counted in parts.values():
            together = _overlaps(together, [(p.valid_from, p.valid_to) for p in counted])
        for code, coefficient in sorted(span.points.items()):
            for part in parts[code]:
                for since, until in _overlaps(together, [(part.valid_from, part.valid_to)]):
                    clipped = replace(part, valid_from=since, valid_to=until)
                    found.append(replace(clipped.signed(coefficient), boundary=False))
    return found


def _overlaps(some: Sequence[_Time], others: Sequence[_Time]) -> list[_Time]:
    """Return the times that are in one of each, without doubles, in order."""
    found: set[_Time] = set()
    for low, high in some:
        for since, until in others:
            begin = max(low, since)
            ends = [end for end in (high, until) if end is not None]
            end = min(ends) if ends else None
            if end is None or begin < end:
                found.add((begin, end))
    return sorted(found, key=lambda time: time[0])
