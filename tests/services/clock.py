"""Days for tests that lay out the demo, so that they do not hang on today's date."""

from __future__ import annotations

import datetime as dt


def a_day_in(year: int) -> dt.datetime:
    return dt.datetime(year, 6, 1, tzinfo=dt.UTC)
