"""Anything of a site that has a course in time: counters, gauges, output; on one grid.

A track is named in addresses as people would: ``main`` is what the meter is for,
``main.voltage.l1`` another of its series, ``output.billet`` what was made.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import psycopg

from dashboards.portal.period import Period
from dashboards.portal.points import Point
from dashboards.portal.quantity_words import gauge_unit, quantity_name, rate_unit
from dashboards.portal.rates import QUARTER_S, load_curve
from dashboards.portal.site import Site
from enpilot.database.charts import read_chart
from enpilot.quantities import QUANTITIES
from enpilot.text import Language

__all__ = ["STEP_S", "Course", "Grid", "Step", "Track", "find_track", "grid_of", "load_course",
           "load_tracks"]  # fmt: skip

Step = Literal["15min", "hour", "day"]
STEP_S: dict[Step, int] = {"15min": QUARTER_S, "hour": 3600, "day": 86400}
_HALF = 0.5  # a day more than half guessed is drawn as guessed
_ONE_DAY = dt.timedelta(hours=26)  # a longer booking says nothing of a single day
_STAGES = "'warehoused', 'qualified', 'counted', 'shipped'"  # the official one first (F12)


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be drawn."""

    code: str
    kind: Literal["counter", "gauge", "output"]
    name_zh: str
    name_en: str
    unit: str  # of the amounts of counters and output, of the level of a gauge
    quantity: str = ""
    channel: str = "total"
    point_id: int | None = None
    series_id: int | None = None
    product_id: int | None = None

    def name(self, language: Language) -> str:
        """Return its name."""
        return self.name_zh if language == "zh" else self.name_en

    def shown_unit(self, step: Step) -> str:
        """Return the unit in which it is drawn: a mean rate, of whole days the amount."""
        return self.unit if self.kind == "gauge" else rate_unit(self.unit, daily=step == "day")


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of a period: true time, or whole local days."""

    step: Step
    starts: list[dt.datetime]
    end: dt.datetime


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """A track on a grid; None where nothing, or not all, is known."""

    track: Track
    unit: str
    values: list[float | None]
    estimated: list[bool]
    simulated: bool = False

    @property
    def known(self) -> int:
        """How many steps are known."""
        return sum(v is not None for v in self.values)


def grid_of(site: Site, period: Period, step: Step) -> Grid:
    """Return the steps of a period; quarter hours and hours are true time, days the site's."""
    begin, end = site.midnight(period.first), site.midnight(period.end)
    if step == "day":
        days = (period.first + dt.timedelta(days=i) for i in range(period.days))
        return Grid(step=step, starts=[site.midnight(day) for day in days], end=end)
    width = dt.timedelta(seconds=STEP_S[step])
    # Of instants, not of clock times: local arithmetic would skip or repeat an hour twice a year.
    first = begin.astimezone(dt.UTC)
    count = -(-(end.astimezone(dt.UTC) - first) // width)
    return Grid(
        step=step, end=end, starts=[(first + i * width).astimezone(site.zone) for i in range(count)]
    )


def load_tracks(
    connection: psycopg.Connection[Any], site: Site, points: Sequence[Point]
) -> list[Track]:
    """Return every series and product of a site; what a meter is for stands before its others."""
    by_id = {p.point_id: p for p in points}
    rows = connection.execute(
        "SELECT series_id, point_id, quantity, channel FROM series WHERE site_id = %s"
        " ORDER BY point_id, channel <> 'total', quantity, channel",
        (site.site_id,),
    ).fetchall()
    mains: dict[int, int] = {}  # of a point without a total, its first counter (good pieces)
    for series_id, point_id, quantity, _ in rows:
        if point_id in by_id and quantity == by_id[point_id].quantity:
            mains.setdefault(point_id, series_id)
    tracks = []
    for series_id, point_id, quantity, channel in rows:
        point = by_id.get(point_id)
        if point is None or quantity not in QUANTITIES:
            continue
        main = mains.get(point_id) == series_id
        counts = QUANTITIES[quantity].cumulative
        named = "" if main and channel == "total" else quantity_name("zh", quantity, channel)
        said = "" if main and channel == "total" else quantity_name("en", quantity, channel)
        tracks.append(
            Track(
                code=point.code if main else f"{point.code}.{quantity}.{channel}",
                kind="counter" if counts else "gauge",
                name_zh=" · ".join(filter(None, (point.name_zh, named))),
                name_en=" · ".join(filter(None, (point.name_en, said))),
                unit=QUANTITIES[quantity].unit if counts else gauge_unit(quantity),
                quantity=quantity, channel=channel, point_id=point_id, series_id=series_id,
            )
        )  # fmt: skip
    tracks.sort(key=lambda t: (by_id[t.point_id or 0].code, "." in t.code, t.code))
    return tracks + _products(connection, site)


def _products(connection: psycopg.Connection[Any], site: Site) -> list[Track]:
    rows = connection.execute(
        "SELECT p.product_id, p.code, p.unit, r.name_zh, r.name_en FROM product p"
        " JOIN LATERAL (SELECT * FROM product_record r WHERE r.product_id = p.product_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE p.site_id = %s ORDER BY p.code",
        (site.site_id,),
    )
    return [
        Track(code=f"output.{code}", kind="output", name_zh=f"{zh} · 产量",
              name_en=f"{en} · output", unit=unit, product_id=product_id)
        for product_id, code, unit, zh, en in rows
    ]  # fmt: skip


def find_track(tracks: Sequence[Track], text: str) -> Track | None:
    """Return the track of a code, of a name, or of a part that only one of them has."""
    wanted = text.strip().casefold()
    if not wanted:
        return None
    for track in tracks:
        if wanted in (track.code.casefold(), track.name_zh.casefold(), track.name_en.casefold()):
            return track
    found = [
        t
        for t in tracks
        if wanted in t.code.casefold()
        or wanted in t.name_zh.casefold()
        or wanted in t.name_en.casefold()
    ]
    main = [t for t in found if "." not in t.code]
    return next((some[0] for some in (found, main) if len(some) == 1), None)


def load_course(
    connection: psycopg.Connection[Any],
    site: Site,
    points: Sequence[Point],
    track: Track,
    grid: Grid,
) -> Course:
    """Read a track on a grid.

    Counters are mean rates, of whole days what the engine computed for them; gauges are means of
    their readings; output lies evenly inside what was booked (F25).
    """
    if track.kind == "gauge":
        return _gauge(connection, track, grid)
    if track.kind == "output":
        return _output(connection, track, grid)
    if grid.step == "day":
        return _daily(connection, site, track, grid)
    point = next(p for p in points if p.point_id == track.point_id)
    point = msgspec.structs.replace(point, quantity=track.quantity, series_id=track.series_id)
    curve = load_curve(
        connection, [point], grid.starts[0], grid.end, step_s=STEP_S[grid.step],
        known_to=site.data_through,
    )  # fmt: skip
    return Course(
        track=track, unit=track.shown_unit(grid.step), values=curve.rates,
        estimated=curve.estimated, simulated=curve.simulated,
    )  # fmt: skip


def _daily(connection: psycopg.Connection[Any], site: Site, track: Track, grid: Grid) -> Course:
    values: list[float | None] = [None] * len(grid.starts)
    estimated = [False] * len(grid.starts)
    simulated = False
    first = grid.starts[0].date()
    for day, amount, guessed, made_up in connection.execute(
        "SELECT period_from, amount, estimated_share, simulated FROM energy_period"
        " WHERE point_id = %s AND quantity = %s AND channel = %s AND period_kind = 'day'"
        " AND period_from >= %s AND period_from < %s",
        (track.point_id, track.quantity, track.channel, first, grid.end.date()),
    ):
        index = (day - first).days
        ends = grid.starts[index + 1] if index + 1 < len(grid.starts) else grid.end
        if site.data_through is not None and ends > site.data_through:
            continue  # the running day is still being filled
        values[index] = amount
        estimated[index] = (guessed or 0.0) > _HALF
        simulated = simulated or made_up
    return Course(track=track, unit=track.shown_unit("day"), values=values, estimated=estimated,
                  simulated=simulated)  # fmt: skip


def _gauge(connection: psycopg.Connection[Any], track: Track, grid: Grid) -> Course:
    assert track.series_id is not None  # a gauge is a series
    width_s = min(STEP_S[grid.step], 3600)
    if any(start.timestamp() % width_s for start in (grid.starts[0], grid.end)):
        width_s = QUARTER_S  # a zone half an hour off: its hours begin inside those of UTC
    chart = read_chart(connection, track.series_id, grid.starts[0], grid.end, width_s)
    sums, counts = [0.0] * len(grid.starts), [0] * len(grid.starts)
    begins = [start.timestamp() for start in grid.starts]
    for start, mean, count in zip(chart.start, chart.mean, chart.readings, strict=True):
        index = bisect.bisect_right(begins, start.timestamp()) - 1
        if mean is None or index < 0 or start >= grid.end:
            continue
        sums[index] += mean * count
        counts[index] += count
    values = [s / n if n else None for s, n in zip(sums, counts, strict=True)]
    return Course(
        track=track, unit=track.shown_unit(grid.step), values=values,
        estimated=[False] * len(values),
    )  # fmt: skip


def _output(connection: psycopg.Connection[Any], track: Track, grid: Grid) -> Course:
    """Spread bookings of good output over the steps; a step that is not booked whole is None."""
    rows = connection.execute(
        "SELECT quantity::double precision, disposition = 'good', from_ts, to_ts, synthetic"
        " FROM output WHERE product_id = %(product)s AND superseded_commit_no IS NULL"
        " AND from_ts < %(end)s AND to_ts > %(begin)s AND stage = (SELECT o.stage FROM output o"
        "  WHERE o.product_id = %(product)s AND o.superseded_commit_no IS NULL"
        f"  ORDER BY array_position(ARRAY[{_STAGES}], o.stage) LIMIT 1) ORDER BY from_ts",
        {"product": track.product_id, "begin": grid.starts[0], "end": grid.end},
    ).fetchall()
    edges = [start.timestamp() for start in (*grid.starts, grid.end)]
    amounts, booked = [0.0] * len(grid.starts), [0.0] * len(grid.starts)
    estimated = [False] * len(grid.starts)
    covered_to = edges[0]
    for quantity, good, since, until, _ in rows:
        low, high = since.timestamp(), until.timestamp()
        index = max(0, bisect.bisect_right(edges, low) - 1)
        while index < len(amounts) and edges[index] < high:
            inside = min(high, edges[index + 1]) - max(low, edges[index])
            amounts[index] += quantity * inside / (high - low) if good else 0.0
            # Bookings of several lines lie over each other: time counts once.
            fresh = min(high, edges[index + 1]) - max(low, covered_to, edges[index])
            booked[index] += max(0.0, fresh)
            estimated[index] |= grid.step == "day" and until - since > _ONE_DAY
            index += 1
        covered_to = max(covered_to, high)
    factor = 1.0 if grid.step == "day" else 3600.0 / STEP_S[grid.step]
    values = [
        amount * factor if done >= edges[i + 1] - edges[i] - 1e-6 else None
        for i, (amount, done) in enumerate(zip(amounts, booked, strict=True))
    ]
    return Course(
        track=track, unit=track.shown_unit(grid.step), values=values, estimated=estimated,
        simulated=any(row[4] for row in rows),
    )  # fmt: skip
