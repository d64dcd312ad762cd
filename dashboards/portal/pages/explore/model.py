"""What the explorer draws: the chosen courses on one grid, and the period beside them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg

from dashboards.portal.pages.explore.filters import (
    MOST_SERIES,
    Compare,
    Filters,
    Form,
    parse_filters,
    step_of,
)
from dashboards.portal.period import Period
from dashboards.portal.points import Point, load_points, main_import
from dashboards.portal.site import Site
from dashboards.portal.tracks import (
    Course,
    Step,
    Track,
    find_track,
    grid_of,
    load_course,
    load_tracks,
)

__all__ = ["Chosen", "ExplorePage", "load_explore"]

_AXES = 2


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A chosen series: its course, and that of the period beside it on the same steps."""

    course: Course
    before: Course | None = None
    axis: int | None  # None: nothing is known, or a third unit


class ExplorePage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    period: Period
    other: Period | None  # that it is compared with
    form: Form
    compare: Compare | None
    step: Step
    asked_step: Step | None
    starts: list[dt.datetime]
    chosen: list[Chosen]
    across: Course | None  # of a scatter: the horizontal axis
    offered: list[Track]  # what each meter is for, and output
    others: dict[str, list[Track]]  # further series of the chosen meters, by the meter's code
    unknown: list[str]
    left_out: list[str]  # more than can be drawn
    codes: list[str]  # what was chosen, as the address names it
    misread: str | None = None


def load_explore(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> ExplorePage:
    """Read what an address asks for; without series, what the plant draws from the grid."""
    filters = parse_filters(site, asked)
    points = load_points(connection, site)
    tracks = load_tracks(connection, site, points)
    found = {code: find_track(tracks, code) for code in filters.series}
    wanted = list({t.code: t for t in found.values() if t is not None}.values())
    if not filters.series:
        wanted = _default(points, tracks)
    drawn = wanted[:MOST_SERIES]
    across = None
    if filters.form == "scatter":
        drawn, across = _across(drawn, tracks)
    step = step_of(filters.form, filters.period, filters.step)
    grid = grid_of(site, filters.period, step)
    other = _other(filters)
    beside = None if other is None else grid_of(site, other, step)
    courses = [load_course(connection, site, points, t, grid) for t in drawn]
    # An axis is for something: a series without data takes none.
    axes = list(dict.fromkeys(c.unit for c in courses if c.known))[:_AXES]
    chosen = []
    for course in courses:
        before = None
        if beside is not None:
            loaded = load_course(connection, site, points, course.track, beside)
            before = _as_long(loaded, len(grid.starts))
        axis = axes.index(course.unit) if course.known and course.unit in axes else None
        chosen.append(Chosen(course=course, before=before, axis=axis))
    return ExplorePage(
        site=site, period=filters.period, other=other, form=filters.form, compare=filters.compare,
        step=step, asked_step=filters.step, starts=grid.starts, chosen=chosen,
        across=None if across is None else load_course(connection, site, points, across, grid),
        offered=[t for t in tracks if t.code.count(".") < 2],
        others=_others([t for t in (*drawn, across) if t is not None], points, tracks),
        unknown=[code[:40] for code, track in found.items() if track is None],
        left_out=[t.code for t in wanted[MOST_SERIES:]],
        codes=[t.code for t in wanted[:MOST_SERIES]], misread=filters.misread,
    )  # fmt: skip


def _default(points: Sequence[Point], tracks: Sequence[Track]) -> list[Track]:
    codes = [p.code for p in main_import(list(points))]
    return [t for t in tracks if t.code in codes][:1] or list(tracks[:1])


def _across(drawn: list[Track], tracks: Sequence[Track]) -> tuple[list[Track], Track | None]:
    """Return what goes up and what goes along: output if there is any, else the last chosen."""
    output = next((t for t in drawn if t.kind == "output"), None)
    if output is None and len(drawn) > 1:
        return drawn[:-1], drawn[-1]
    if output is None:
        output = next((t for t in tracks if t.kind == "output"), None)
    return [t for t in drawn if t != output], output


def _other(filters: Filters) -> Period | None:
    if filters.form != "lines" or filters.compare is None:
        return None
    if filters.compare == "previous":
        return filters.period.previous()
    return filters.period.year_before()


def _as_long(course: Course, length: int) -> Course:
    """Return a course with as many steps as the one it lies beside: months differ in length."""
    missing = length - len(course.values)
    return msgspec.structs.replace(
        course, values=(course.values + [None] * missing)[:length],
        estimated=(course.estimated + [False] * missing)[:length],
    )  # fmt: skip


def _others(
    drawn: Sequence[Track], points: Sequence[Point], tracks: Sequence[Track]
) -> dict[str, list[Track]]:
    codes = {p.point_id: p.code for p in points}
    others: dict[str, list[Track]] = {}
    for track in drawn:
        if track.point_id is None or codes[track.point_id] in others:
            continue
        others[codes[track.point_id]] = [
            t for t in tracks if t.point_id == track.point_id and t not in drawn
        ]
    return others
