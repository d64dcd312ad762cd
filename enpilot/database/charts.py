"""Charts of gauges: raw counts by bucket first, scaled by epoch then (D18).

Whole buckets come from the continuous aggregates where the server has them. Buckets in which the
meaning changes, or which a retraction may touch, come from readings, on every server.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from enpilot.database.reconcile import CHARTS, aggregate_name
from enpilot.errors import ConfigurationError
from enpilot.quantities import QUANTITIES, unit_ratio

__all__ = ["Chart", "ChartError", "chart_width_s", "read_chart"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MINUTE: Final = dt.timedelta(minutes=1)
_QUARTER: Final = dt.timedelta(minutes=15)
_NICE_S: Final = (60, 120, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


class ChartError(ConfigurationError):
    """A chart that cannot be drawn: no such series, a counter, a width off the grid."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A gauge by bucket; all tuples have one entry a bucket, in order of time.

    A bucket without a good reading, or without a recorded meaning, has no values: None, never
    zero and never the neighbour's.

    Attributes
    ----------
    start
        Begin of each bucket, UTC.
    readings
        Good readings in it.
    mean, low, high, first, last
        Over them [unit]. The mean is that of the readings, not weighted by time.
    unit
        The unit of the series' quantity.
    width_s
        Length of a bucket [s].
    """

    start: tuple[dt.datetime, ...]
    readings: tuple[int, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    first: tuple[float | None, ...]
    last: tuple[float | None, ...]
    unit: str
    width_s: int


@dataclass(frozen=True, slots=True)
class _Epoch:
    since: dt.datetime
    until: dt.datetime | None
    scale: float  # raw to the quantity's unit
    offset: float


@dataclass(frozen=True, slots=True)
class _Part:
    """Readings of one bucket and one epoch, raw."""

    bucket: dt.datetime
    epoch: int
    count: int
    total: float
    low: float
    high: float
    first: float
    first_at: dt.datetime
    last: float
    last_at: dt.datetime


_Span = tuple[dt.datetime, dt.datetime]


def chart_width_s(
    since: dt.datetime, until: dt.datetime, period_s: int | None = None, most: int = 800
) -> int:
    """Return the finest bucket that a chart of some width in pixels can show.

    Parameters
    ----------
    since, until
        The span.
    period_s
        Scheduled distance of readings [s]; a finer bucket would show holes that are none.
    most
        Buckets that fit.

    Returns
    -------
    int
        Seconds: 1 minute to 1 day, or whole days.
    """
    least = max((until - since).total_seconds() / most, period_s or 0)
    for width_s in _NICE_S:
        if width_s >= least:
            return width_s
    return int(-(-least // 86400) * 86400)


def read_chart(
    connection: psycopg.Connection[Any],
    series_id: int,
    since: dt.datetime,
    until: dt.datetime,
    width_s: int,
) -> Chart:
    """Read a gauge by bucket, scaled by the meaning that held, with gaps as gaps.

    Sees what the connection's role is granted, through the guarded views.

    Parameters
    ----------
    connection
        Of any role that may read.
    series_id
        The series; a gauge.
    since, until
        The span; widened to whole buckets.
    width_s
        Length of a bucket [s], a multiple of 60. Buckets begin at multiples of it since 1970, UTC.

    Returns
    -------
    Chart
        Every bucket of the span, also those without a reading.

    Raises
    ------
    ChartError
        If there is no such series, it is a counter (its level times a scale is no energy; chart
        its advances), or the width is not a multiple of a minute.
    """
    if width_s <= 0 or width_s % 60:
        raise ChartError(f"buckets of {width_s} s: the width must be a multiple of 60 s")
    width = dt.timedelta(seconds=width_s)
    since, until = _floor(since, width), _ceil(until, width)
    unit, epochs = _meaning(connection, series_id, since, until)
    parts: list[_Part] = []
    if epochs:
        chart = "chart_15m" if width_s % 900 == 0 else "chart_1m"
        anew: list[_Span] = [(since, until)]
        if _has_aggregate(connection, chart):
            base = _QUARTER if chart == "chart_15m" else _MINUTE
            anew = _not_whole(connection, chart, series_id, (since, until), epochs, base)
            parts = _aggregated(connection, chart, series_id, (since, until), epochs, anew, width)
        for span in anew:
            parts += _from_readings(connection, series_id, span, epochs, width)
    return _chart(parts, epochs, (since, until), unit, width)


def _meaning(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> tuple[str, list[_Epoch]]:
    row = connection.execute(
        "SELECT quantity FROM series WHERE series_id = %s", (series_id,)
    ).fetchone()
    if row is None:
        raise ChartError(f"there is no series {series_id}")
    quantity = str(row[0])
    epochs = []
    for begin, end, scale, offset, unit, counter in connection.execute(
        'SELECT valid_from, valid_to, scale, "offset", unit, counter_kind FROM current_epoch'
        " WHERE series_id = %s AND valid_from < %s AND (valid_to IS NULL OR valid_to > %s)"
        " ORDER BY valid_from",
        (series_id, until, since),
    ):
        if counter is not None:
            raise ChartError(
                f"series {series_id} ({quantity}) is a counter: its level times a scale is no"
                " amount; chart the advances of interval_advance"
            )
        ratio = unit_ratio(quantity, unit)
        epochs.append(
            _Epoch(
                _utc(begin), end and _utc(end),
                float(scale * ratio.numerator / ratio.denominator),
                float(offset * ratio.numerator / ratio.denominator),
            )
        )  # fmt: skip
    return QUANTITIES[quantity].unit, epochs


def _has_aggregate(connection: psycopg.Connection[Any], chart: str) -> bool:
    row = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", (f"enpilot.{aggregate_name(chart)}",)
    ).fetchone()
    return row == (True,)


def _not_whole(
    connection: psycopg.Connection[Any],
    chart: str,
    series_id: int,
    span: _Span,
    epochs: list[_Epoch],
    base: dt.timedelta,
) -> list[_Span]:
    """Return what an aggregate cannot say: buckets with a border of an epoch or a retraction."""
    assert chart in CHARTS  # a name of ours, put into the statement below
    buckets = {
        _floor(border, base)
        for epoch in epochs
        for border in (epoch.since, epoch.until)
        if border is not None and border != _floor(border, base)
        and span[0] <= _floor(border, base) < span[1]
    }  # fmt: skip
    buckets.update(
        _utc(row[0])
        for row in connection.execute(
            f"SELECT bucket FROM visible_{chart} c WHERE series_id = %s AND bucket >= %s"
            " AND bucket < %s AND EXISTS (SELECT 1 FROM retracted_batch r"
            " WHERE c.highest_batch >= r.from_batch AND c.lowest_batch <= r.to_batch)",
            (series_id, *span),
        )
    )
    spans: list[_Span] = []
    for bucket in sorted(buckets):
        if spans and spans[-1][1] == bucket:
            spans[-1] = (spans[-1][0], bucket + base)
        else:
            spans.append((bucket, bucket + base))
    return spans


def _aggregated(
    connection: psycopg.Connection[Any],
    chart: str,
    series_id: int,
    span: _Span,
    epochs: list[_Epoch],
    anew: list[_Span],
    width: dt.timedelta,
) -> list[_Part]:
    assert chart in CHARTS  # a name of ours, put into the statement below
    rows = connection.execute(
        "SELECT date_bin(%(width)s, c.bucket, 'epoch'), e.no - 1, sum(c.readings)::bigint,"
        " sum(coalesce(c.sum_int, 0) + coalesce(c.sum_real, 0)),"
        " min(least(c.min_int::float8, c.min_real)), max(greatest(c.max_int::float8, c.max_real)),"
        " (array_agg(coalesce(c.first_int::float8, c.first_real) ORDER BY c.bucket))[1],"
        " min(c.bucket),"
        " (array_agg(coalesce(c.last_int::float8, c.last_real) ORDER BY c.bucket DESC))[1],"
        " max(c.bucket)"
        f" FROM visible_{chart} c"
        " JOIN unnest(%(since)s::timestamptz[], %(until)s::timestamptz[])"
        "  WITH ORDINALITY AS e(since, until, no)"
        "  ON c.bucket >= e.since AND c.bucket < coalesce(e.until, 'infinity')"
        " WHERE c.series_id = %(series)s AND c.bucket >= %(a)s AND c.bucket < %(b)s"
        " AND NOT EXISTS (SELECT 1 FROM unnest(%(from)s::timestamptz[], %(to)s::timestamptz[])"
        "  AS n(since, until) WHERE c.bucket >= n.since AND c.bucket < n.until)"
        " GROUP BY 1, 2",
        {"series": series_id, "a": span[0], "b": span[1], "width": width, **_arrays(epochs),
         "from": [s[0] for s in anew], "to": [s[1] for s in anew]},
    )  # fmt: skip
    return [_Part(*row) for row in rows]


def _from_readings(
    connection: psycopg.Connection[Any],
    series_id: int,
    span: _Span,
    epochs: list[_Epoch],
    width: dt.timedelta,
) -> list[_Part]:
    rows = connection.execute(
        "SELECT date_bin(%(width)s, r.ts, 'epoch'), e.no - 1, count(*), sum(r.value),"
        " min(r.value), max(r.value), (array_agg(r.value ORDER BY r.ts, r.batch))[1], min(r.ts),"
        " (array_agg(r.value ORDER BY r.ts DESC, r.batch DESC))[1], max(r.ts)"
        " FROM (SELECT ts, batch, coalesce(raw_int::float8, raw_real) AS value"
        "  FROM visible_reading WHERE series_id = %(series)s AND ts >= %(a)s AND ts < %(b)s"
        "  AND quality & 255 = 0) r"
        " JOIN unnest(%(since)s::timestamptz[], %(until)s::timestamptz[])"
        "  WITH ORDINALITY AS e(since, until, no)"
        "  ON r.ts >= e.since AND r.ts < coalesce(e.until, 'infinity')"
        " WHERE NOT EXISTS (SELECT 1 FROM retracted_batch t"
        "  WHERE r.batch BETWEEN t.from_batch AND t.to_batch)"
        " GROUP BY 1, 2",
        {"series": series_id, "a": span[0], "b": span[1], "width": width, **_arrays(epochs)},
    )
    return [_Part(*row) for row in rows]


def _arrays(epochs: list[_Epoch]) -> dict[str, list[dt.datetime] | list[dt.datetime | None]]:
    return {"since": [e.since for e in epochs], "until": [e.until for e in epochs]}


def _chart(
    parts: Iterable[_Part], epochs: list[_Epoch], span: _Span, unit: str, width: dt.timedelta
) -> Chart:
    by_bucket: dict[dt.datetime, list[_Part]] = defaultdict(list)
    for part in parts:
        by_bucket[_utc(part.bucket)].append(part)
    starts = [span[0] + i * width for i in range((span[1] - span[0]) // width)]
    rows = [_scaled(by_bucket.get(start, []), epochs) for start in starts]
    readings, mean, low, high, first, last = zip(*rows, strict=True) if rows else ((),) * 6
    return Chart(
        tuple(starts), readings, mean, low, high, first, last, unit, int(width.total_seconds())
    )


def _scaled(
    parts: list[_Part], epochs: list[_Epoch]
) -> tuple[int, float | None, float | None, float | None, float | None, float | None]:
    if not parts:
        return 0, None, None, None, None, None
    count = sum(part.count for part in parts)
    total = 0.0
    ends: list[float] = []
    for part in sorted(parts, key=lambda p: p.first_at):
        epoch = epochs[part.epoch]
        total += part.total * epoch.scale + part.count * epoch.offset
        # A negative scale turns low and high round.
        ends += [v * epoch.scale + epoch.offset for v in (part.low, part.high)]
    begin, end = min(parts, key=lambda p: p.first_at), max(parts, key=lambda p: p.last_at)
    return (
        count, total / count, min(ends), max(ends),
        begin.first * epochs[begin.epoch].scale + epochs[begin.epoch].offset,
        end.last * epochs[end.epoch].scale + epochs[end.epoch].offset,
    )  # fmt: skip


def _utc(at: dt.datetime) -> dt.datetime:
    # In the hour that a session's zone has twice, an instant equals none of another zone (PEP 495).
    return at.astimezone(dt.UTC)


def _floor(at: dt.datetime, width: dt.timedelta) -> dt.datetime:
    return _EPOCH + (at - _EPOCH) // width * width


def _ceil(at: dt.datetime, width: dt.timedelta) -> dt.datetime:
    return _EPOCH - (_EPOCH - at) // width * width
