"""Bars in tables: static HTML that prints, needs no script and reads as its number."""

from __future__ import annotations

from typing import Literal

from dashboards.portal.markup import Safe, join, tag

__all__ = ["Tone", "bullet", "lane"]

Tone = Literal["actual", "open", "good", "warn", "bad"]


def lane(start: float, end: float, tone: Tone = "actual") -> Safe:
    """Return a bar in a lane of a table's cell.

    Parameters
    ----------
    start, end
        Where it begins and ends, as shares of the lane's width, 0 to 1, in either order.
    tone
        Its colour: actual and open are grey.
    """
    return tag("span", _bar(start, end, tone), cls="bar-lane")


def bullet(actual: float | None, target: float | None, tone: Tone = "actual") -> Safe:
    """Return a bar from zero with a tick where it should end, both as shares of the lane."""
    bar = None if actual is None else _bar(0.0, min(max(actual, 0.0), 1.0), tone)
    tick = None
    if target is not None:
        tick = tag("span", cls="bar-tick", style=f"left:{_percent(min(max(target, 0.0), 1.0))}")
    return tag("span", join(bar, tick), cls="bar-lane thin")


def _bar(start: float, end: float, tone: Tone) -> Safe:
    left, width = min(start, end), abs(end - start)
    return tag("span", cls=f"bar {tone}", style=f"left:{_percent(left)};width:{_percent(width)}")


def _percent(share: float) -> str:
    return f"{round(share * 100, 2)}%"
