"""The explorer's courses as a table: one row a step, one column a series."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg

from dashboards.portal.exports.columns import Column
from dashboards.portal.exports.statements import BATCH, Table
from dashboards.portal.pages.explore.filters import MOST_SERIES, parse_filters
from dashboards.portal.period import Period, period_of
from dashboards.portal.points import load_points
from dashboards.portal.site import Site
from dashboards.portal.tracks import (
    Step,
    Track,
    find_track,
    grid_of,
    load_course,
    load_tracks,
)

__all__ = ["EXPLORED", "EXPLORED_PERMISSION", "open_explored"]

EXPLORED: Final = "explore"
EXPLORED_PERMISSION: Final = "see_trade_secrets"
_A_DAY: Final[dict[Step, int]] = {"15min": 96, "hour": 24, "day": 1}


def open_explored(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> Table:
    """Open the series of an explorer's address; without a step, by quarter hours.

    Months are read one after the other, so that years of quarter hours take little memory.
    """
    filters = parse_filters(site, asked)
    points = load_points(connection, site)
    tracks = load_tracks(connection, site, points)
    found = [find_track(tracks, code) for code in filters.series]
    wanted = list({t.code: t for t in found if t is not None}.values())[:MOST_SERIES]
    step: Step = filters.step or "15min"

    def batches() -> Iterator[Sequence[Sequence[Any]]]:
        for part in _months(filters.period):
            grid = grid_of(site, part, step)
            courses = [load_course(connection, site, points, t, grid) for t in wanted]
            columns: list[Sequence[Any]] = []
            for course in courses:
                columns += [course.values, course.estimated]
            rows: list[tuple[Any, ...]] = [
                (start, *row) for start, row in zip(grid.starts, zip(*columns, strict=True),
                                                    strict=True)
            ]  # fmt: skip
            yield from _cut(rows)

    return Table(
        dataset=EXPLORED, names=("探索", "Explorer"),
        columns=[Column(name="time", kind="time"), *itertools.chain.from_iterable(
            _columns(track, step) for track in wanted)],
        count=filters.period.days * _A_DAY[step] if wanted else 0, unverified=0, synthetic=0,
        period=filters.period, batches=batches() if wanted else iter(()),
        unknown=[code for code, t in zip(filters.series, found, strict=True) if t is None],
    )  # fmt: skip


def _columns(track: Track, step: Step) -> list[Column]:
    guessed = f"{track.code}.estimated"
    return [
        Column(name=track.code, kind="number", unit=track.shown_unit(step),
               title_zh=track.name_zh, title_en=track.name_en),
        Column(name=guessed, kind="flag", title_zh=f"{track.name_zh} 估算",
               title_en=f"{track.name_en} estimated"),
    ]  # fmt: skip


def _cut(rows: list[tuple[Any, ...]]) -> Iterator[Sequence[Sequence[Any]]]:
    for at in range(0, len(rows), BATCH):
        yield rows[at : at + BATCH]


def _months(period: Period) -> Iterator[Period]:
    at = period.first
    while at < period.end:
        end: dt.date = min(period_of("month", at).end, period.end)
        yield msgspec.structs.replace(period, kind="span", first=at, end=end)
        at = end
