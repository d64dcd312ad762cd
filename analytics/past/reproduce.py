"""Figures computed again of the data version they name, and compared with what was stored (F36)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from analytics.engine import mark_dirty, perform, plan_groups
from analytics.errors import NoSuchSiteError, PastError
from analytics.past.shadow import shadow
from analytics.signed import FIGURES
from analytics.workers import SiteFigures, Task
from enpilot.archive import ArchiveUnavailableError
from enpilot.database import connect, data_version
from enpilot.progress import Tell

__all__ = ["Difference", "Reproduction", "reproduce"]

# A signature names the data it was given for, but comes after them.
_OF_CLOSING: Final = ("closing_version", "provisional")
_Contents = dict[tuple[str, str], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a figure that is not what was stored.

    Attributes
    ----------
    kind, figure
        Table, and the columns that name the figure.
    field
        Its column; empty if one of the two has no such figure at all.
    stored, computed
        What was stored then, and what the data of then give now.
    """

    kind: str
    figure: str
    field: str
    stored: object
    computed: object


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of computing a site's figures of a data version again.

    Attributes
    ----------
    version
        Data version that the figures shown then were computed of.
    equal
        Figures that are the same in every field.
    differences
        Fields of the others.
    code_versions
        Releases that had computed what was stored.
    """

    version: int
    equal: int
    differences: tuple[Difference, ...]
    code_versions: tuple[str, ...]


def reproduce(
    url: str,
    site: str,
    version: int,
    period: tuple[dt.date, dt.date] | None = None,
    tell: Tell | None = None,
) -> Reproduction:
    """Compute a site's figures as they were at a data version, and compare with what was stored.

    Parameters
    ----------
    url
        The database; a session of its own is opened, and nothing is written that another sees.
    site
        Code of the site.
    version
        The data version.
    period
        Only figures inside of these local days, the second excluded.
    tell
        Is told how far it is.

    Returns
    -------
    Reproduction
        How many figures are equal, and every field that is not (F36).

    Raises
    ------
    NoSuchSiteError
        If the code names no site.
    PastError
        If nothing was computed at that version, or it lies ahead.
    enpilot.archive.ArchiveUnavailableError
        If readings of then lie in an archive that cannot be read.
    """
    with connect(url, "reproduce", autocommit=True) as connection:
        site_id, computed_of = _shown_then(connection, site, version)
        stored, code_versions = _stored(connection, site_id, computed_of)
        shadow(connection, computed_of)
        _compute(connection, site, site_id, computed_of, tell)
        computed = _computed(connection, site_id)
    stored, computed = (_within(contents, period) for contents in (stored, computed))
    differences: list[Difference] = []
    equal = 0
    for key in sorted(stored.keys() | computed.keys()):
        found = list(_compare(key, stored.get(key), computed.get(key)))
        equal += not found
        differences += found
    return Reproduction(computed_of, equal, tuple(differences), code_versions)


def _shown_then(connection: psycopg.Connection[Any], site: str, version: int) -> tuple[int, int]:
    """Return the site, and the last version up to the given one of which figures were computed."""
    row = connection.execute("SELECT site_id FROM site WHERE code = %s", (site,)).fetchone()
    if row is None:
        raise NoSuchSiteError(f"no site {site!r}: see `enpilot import plant`")
    newest = data_version(connection)
    if version > newest:
        raise PastError(f"data version {version} lies ahead: the newest is {newest}")
    known = connection.execute(
        "SELECT max(data_version) FILTER (WHERE data_version <= %s), min(data_version)"
        " FROM (SELECT data_version FROM figure_version WHERE site_id = %s"
        "  UNION ALL SELECT data_version FROM computation WHERE site_id = %s) v",
        (version, row[0], row[0]),
    ).fetchone()
    assert known is not None  # an aggregate has one row
    if known[0] is None:
        first = "" if known[1] is None else f"; the first was of data version {known[1]}"
        raise PastError(f"site {site!r} had no figures of data version {version} or before{first}")
    return row[0], known[0]


def _stored(
    connection: psycopg.Connection[Any], site_id: int, version: int
) -> tuple[_Contents, tuple[str, ...]]:
    rows = connection.execute(
        "SELECT DISTINCT ON (kind, figure_key) kind,"
        " content - %s::text[], code_version FROM figure_version"
        " WHERE site_id = %s AND data_version <= %s"
        " ORDER BY kind, figure_key, figure_version_id DESC",
        (list(_OF_CLOSING), site_id, version),
    ).fetchall()
    shown = [row for row in rows if row[1] is not None]
    contents = {_key(kind, content): content for kind, content, _ in shown}
    return contents, tuple(sorted({row[2] for row in shown}))


def _computed(connection: psycopg.Connection[Any], site_id: int) -> _Contents:
    return {
        _key(kind, content): content
        for kind in FIGURES
        for (content,) in connection.execute(
            f"SELECT to_jsonb(t) - %s::text[] FROM {kind} t"
            " WHERE site_id = %s AND (period_kind = 'month' OR %s <> 'energy_period')",
            (["data_version", "computed_at", *_OF_CLOSING], site_id, kind),
        )
    }


def _key(kind: str, content: Mapping[str, object]) -> tuple[str, str]:
    return kind, " ".join(f"{column}={content[column]}" for column in FIGURES[kind])


def _within(contents: _Contents, period: tuple[dt.date, dt.date] | None) -> _Contents:
    if period is None:
        return contents
    first, after = (day.isoformat() for day in period)
    return {
        key: content
        for key, content in contents.items()
        if first <= str(content["period_from"]) and str(content["period_to"]) <= after
    }


def _compute(
    connection: psycopg.Connection[Any], site: str, site_id: int, version: int, tell: Tell | None
) -> None:
    row = connection.execute(
        "SELECT min(a), max(b) FROM ("
        " SELECT e.valid_from AS a, l.ts AS b FROM series s JOIN series_epoch e USING (series_id)"
        "  LEFT JOIN latest l USING (series_id) WHERE s.site_id = %(s)s"
        " UNION ALL SELECT from_ts, to_ts FROM energy_ledger WHERE site_id = %(s)s"
        " UNION ALL SELECT from_ts, to_ts FROM output WHERE site_id = %(s)s) spans",
        {"s": site_id},
    ).fetchone()
    assert row is not None  # an aggregate has one row
    if row[0] is None or row[1] is None:
        return
    mark_dirty(connection, [site], row[0], row[1])
    tasks: list[Task] = [*plan_groups(connection, version), SiteFigures(site_id, version)]
    for number, task in enumerate(tasks, 1):
        for _, reason in perform(connection, task).waiting:
            raise ArchiveUnavailableError(reason)
        if tell is not None:
            tell("computing", number / len(tasks))


def _compare(
    key: tuple[str, str], stored: dict[str, object] | None, computed: dict[str, object] | None
) -> list[Difference]:
    if stored is None or computed is None:
        there = ("missing" if found is None else "there" for found in (stored, computed))
        return [Difference(*key, "", *there)]
    return [
        Difference(*key, field, stored.get(field), computed.get(field))
        for field in sorted(stored.keys() | computed.keys())
        if stored.get(field) != computed.get(field)
    ]
