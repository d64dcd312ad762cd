"""The explorer's address as a typed struct; whatever cannot be read is the default, and said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal, cast, get_args

import msgspec

from dashboards.portal.period import Period, parse_period
from dashboards.portal.site import Site
from dashboards.portal.tracks import Step

__all__ = ["MOST_SERIES", "QUERY", "Compare", "Filters", "Form", "parse_filters", "step_of"]

Form = Literal["lines", "heat", "scatter", "duration"]
Compare = Literal["previous", "year-before"]
MOST_SERIES = 6
_MOST_DAYS = 1100
_POINTS, _POINTS_ASKED = 1500, 3000  # of a series: chosen by the page, and at most
_DEFAULT_DAYS = 7
QUERY = {
    "series": "up to six: a point's code, point.quantity.channel, or output.product",
    "t": "a day, week, month, year or a span as 2018-08-01..2018-09-13; a week if left out",
    "cmp": "previous or year-before: drawn light grey",
    "form": "lines, heat, scatter or duration",
    "step": "auto, 15min, hour or day",
    "add": "one more series, by code, name, or a part of it that only one has",
}


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    series: list[str]
    period: Period
    form: Form
    compare: Compare | None
    step: Step | None  # None: chosen by the length of the period
    misread: str | None = None


def parse_filters(site: Site, asked: Mapping[str, str]) -> Filters:
    """Read the query of an address."""
    text = asked.get("t")
    period = parse_period(text, site.today)
    misread = text[:40] if text and (period is None or period.days > _MOST_DAYS) else None
    if period is None or misread is not None:
        period = _last_days(site)
    codes = [c.strip() for c in asked.get("series", "").split(",") if c.strip()]
    if asked.get("add", "").strip():
        codes.append(asked["add"].strip())
    return Filters(
        series=list(dict.fromkeys(codes)), period=period, misread=misread,
        form=cast(Form, _one_of(asked.get("form"), Form) or "lines"),
        compare=cast("Compare | None", _one_of(asked.get("cmp"), Compare)),
        step=cast("Step | None", _one_of(asked.get("step"), Step)),
    )  # fmt: skip


def step_of(form: Form, period: Period, asked: Step | None) -> Step:
    """Return the step to draw: what was asked for, unless that is more than can be seen."""
    if form == "heat":
        return "hour"
    if form == "scatter":
        return "day"
    if form == "duration":
        return "15min" if period.days <= 31 and asked in (None, "15min") else "hour"
    allowed = _POINTS if asked is None else _POINTS_ASKED
    steps: list[tuple[Step, int]] = [("15min", 96), ("hour", 24), ("day", 1)]
    names = [name for name, _ in steps]
    finest = 0 if asked is None else names.index(asked)
    return next((s for s, a_day in steps[finest:] if period.days * a_day <= allowed), "day")


def _last_days(site: Site) -> Period:
    known = site.now if site.data_through is None else site.data_through
    end = known.astimezone(site.zone).date()
    return Period(kind="span", first=end - dt.timedelta(days=_DEFAULT_DAYS), end=end)


def _one_of(text: str | None, kinds: object) -> str | None:
    return text if text in get_args(kinds) else None
