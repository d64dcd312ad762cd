"""What a file's numbers mean, against what is recorded: an import never changes a meaning (D5)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import psycopg

from enpilot.wire import SeriesDeclaration
from ingest.imports.series_checks import shown_time
from ingest.imports.site import ImportSite
from ingest.meaning import Meaning, open_epoch, ratio_of

__all__ = ["cover", "find_series", "mean_per_h", "meaning_mistake", "ratio_at"]

_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class _Epoch:
    whole_number: bool
    register_scale: Decimal
    side: str
    unit: str
    counter: str | None
    valid_from: dt.datetime
    valid_to: dt.datetime | None

    def differs(self, d: SeriesDeclaration) -> list[str]:
        pairs = (
            ("unit", self.unit, d.unit),
            ("register_scale", self.register_scale, Decimal(d.register_scale)),
            ("side", self.side, d.side),
            ("whole numbers", self.whole_number, "int" in d.raw_type),
            ("counter", self.counter or "none", d.counter or "none"),
        )
        return [f"{name} {held} there, {said} here" for name, held, said in pairs if held != said]


def find_series(
    connection: psycopg.Connection[Any], site: ImportSite, point: str, quantity: str, channel: str
) -> int | None:
    """Return a series if it is there; unlike `ingest.meaning.series_of` it creates none."""
    row = connection.execute(
        "SELECT series_id FROM series WHERE point_id = %s AND quantity = %s AND channel = %s",
        (site.points[point], quantity, channel),
    ).fetchone()
    return None if row is None else int(row[0])


def meaning_mistake(
    connection: psycopg.Connection[Any],
    series_id: int,
    declared: SeriesDeclaration,
    first_us: int,
    last_us: int,
    site: ImportSite,
) -> str | None:
    """Say where a file's numbers would be taken for something else, None if nowhere."""
    for epoch in _epochs(connection, series_id, _instant(first_us), _instant(last_us)):
        wrong = epoch.differs(declared)
        if wrong:
            since = (epoch.valid_from - _UNIX) // dt.timedelta(microseconds=1)
            return (
                f"the series' numbers mean something else from {shown_time(since, site.zone)} on: "
                f"{', '.join(wrong)}; import what the register itself shows, or retract what "
                "declared it wrongly"
            )
    return None


def cover(
    connection: psycopg.Connection[Any],
    meaning: Meaning,
    first_us: int,
    last_us: int,
    commit_no: int,
) -> None:
    """See that each reading of a span has a meaning; what is recorded stays as it is.

    A span across a change of the installation gets an epoch for each side.
    """
    position, last = _instant(first_us), _instant(last_us)
    while position <= last:
        row = connection.execute(
            "SELECT valid_to FROM series_epoch WHERE series_id = %s AND valid_from <= %s"
            " AND (valid_to IS NULL OR %s < valid_to) AND superseded_commit_no IS NULL",
            (meaning.series_id, position, position),
        ).fetchone()
        if row is None:
            open_epoch(connection, meaning, position, commit_no)
        elif row[0] is None:
            return
        else:
            position = row[0]


def ratio_at(
    connection: psycopg.Connection[Any], point_id: int, declared: SeriesDeclaration, at_us: int
) -> float:
    """Return what the installation of an instant multiplies a register by; 1 without one."""
    row = connection.execute(
        "SELECT ct_ratio, pt_ratio, sign FROM installation WHERE point_id = %s"
        " AND superseded_commit_no IS NULL AND valid_from <= %s"
        " AND (valid_to IS NULL OR %s < valid_to)",
        (point_id, _instant(at_us), _instant(at_us)),
    ).fetchone()
    return 1.0 if row is None else float(ratio_of(declared.quantity, declared.side, *row))


def mean_per_h(connection: psycopg.Connection[Any], series_id: int) -> float | None:
    """Return the mean rate over the last known days [own unit of the quantity per hour]."""
    row = connection.execute(
        "SELECT avg(abs(amount)) / 24 FROM (SELECT e.amount FROM series s JOIN energy_period e"
        "  USING (point_id, quantity, channel) WHERE s.series_id = %s AND e.period_kind = 'day'"
        "  AND e.amount IS NOT NULL ORDER BY e.period_from DESC LIMIT 30) days",
        (series_id,),
    ).fetchone()
    return None if row is None or row[0] is None else float(row[0])


def _epochs(
    connection: psycopg.Connection[Any], series_id: int, since: dt.datetime, until: dt.datetime
) -> list[_Epoch]:
    return [
        _Epoch("int" in raw_type, *rest)
        for raw_type, *rest in connection.execute(
            "SELECT raw_type, register_scale, side, unit, counter_kind, valid_from, valid_to"
            " FROM series_epoch WHERE series_id = %s AND superseded_commit_no IS NULL"
            " AND valid_from <= %s AND (valid_to IS NULL OR %s < valid_to) ORDER BY valid_from",
            (series_id, until, since),
        )
    ]


def _instant(us: int) -> dt.datetime:
    return _UNIX + dt.timedelta(microseconds=us)
