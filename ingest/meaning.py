"""Which series a birth's columns are, and what their numbers mean from which day on (D5, D14).

A birth or an import may open an epoch; it never overrides one that a person recorded. A number
whose meaning is unknown is stored all the same and its figures are withheld.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import numpy as np
import psycopg

from enpilot.quantities import UnitError, unit_ratio
from enpilot.wire import Birth, Refusal, SeriesDeclaration
from ingest.errors import RefusedError
from ingest.physical_range import RawLimits, raw_limits
from ingest.rows import Columns

__all__ = [
    "GroupColumns",
    "Meaning",
    "agree",
    "open_epoch",
    "ratio_of",
    "resolve_birth",
    "series_of",
]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MOST_DIGITS = 100
_MOST_CHANNEL = 63
_MOST_PERIOD_S = 2**31 - 1
_FOREVER_US = 2**63 - 1
_SeriesKey = tuple[int, str, str]  # point, quantity, channel
_WHOLE_TYPES = frozenset({"int16", "uint16", "int32", "uint32", "int64", "uint64"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a source says of the numbers it delivers for one series."""

    series_id: int
    declaration: SeriesDeclaration
    period_s: int | None  # None: there is no schedule
    origin: Literal["birth", "import"]
    source: bytes | None  # SHA-256 of the birth
    author: str


@dataclass(frozen=True, slots=True, eq=False)  # known by identity: one object a group of a birth
class GroupColumns:
    """The columns of one group of a birth, in order: what they mean, and what rows need of them."""

    meanings: list[Meaning]
    layout: Columns
    limits: RawLimits | None


def resolve_birth(
    connection: psycopg.Connection[Any], birth: Birth, sha256: bytes
) -> dict[int, GroupColumns]:
    """Return the columns of each group, creating series that the agent may publish.

    Raises
    ------
    RefusedError
        NO_GRANT if a point is unknown or not granted to the agent, MALFORMED if a unit, scale or
        quantity does not exist.
    """
    points = {
        code: (point_id, site_id)
        for code, point_id, site_id in connection.execute(
            "SELECT p.code, p.point_id, p.site_id FROM agent a"
            " JOIN agent_grant g USING (agent_id) JOIN point p USING (point_id)"
            " WHERE a.agent_id = %s AND g.superseded_commit_no IS NULL"
            " AND now() >= g.valid_from AND (g.valid_to IS NULL OR now() < g.valid_to)",
            (birth.agent,),
        )
    }
    keys: set[_SeriesKey] = set()
    for group in birth.groups:
        for declared in group.series:
            _check(declared)
            if declared.point not in points:
                raise RefusedError(
                    Refusal.NO_GRANT,
                    f"agent {birth.agent!r} may not publish point {declared.point!r}: import a "
                    "plant file whose lines and devices give it that point",
                )
            keys.add((points[declared.point][0], declared.quantity, declared.channel))
    series = _series_of_all(connection, keys, dict(points.values()))
    groups = {}
    for group in birth.groups:
        period_s = min(max(1, round(group.period_s)), _MOST_PERIOD_S)
        meanings = [
            Meaning(
                series[points[d.point][0], d.quantity, d.channel],
                d, period_s, "birth", sha256, f"agent {birth.agent}",
            )
            for d in group.series
        ]  # fmt: skip
        groups[group.group] = GroupColumns(meanings, _layout(meanings), raw_limits(group.series))
    return groups


def _layout(meanings: list[Meaning]) -> Columns:
    whole = [m.declaration.raw_type in _WHOLE_TYPES for m in meanings]
    return Columns(
        np.array([m.series_id for m in meanings], np.int32),
        [i for i, w in enumerate(whole) if w],
        [i for i, w in enumerate(whole) if not w],
    )


def _series_of_all(
    connection: psycopg.Connection[Any], keys: set[_SeriesKey], sites: dict[int, int]
) -> dict[_SeriesKey, int]:
    """Return the series of points' quantities and channels, creating those that are new."""
    found = _known_series(connection, sites, keys)
    if missing := sorted(keys - found.keys()):  # in one order for all workers: no deadlock
        connection.execute(
            "INSERT INTO series (site_id, point_id, quantity, channel)"
            " SELECT * FROM unnest(%s::int[], %s::int[], %s::text[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            (
                [sites[point_id] for point_id, _, _ in missing],
                *(list(column) for column in zip(*missing, strict=True)),
            ),
        )
        found = _known_series(connection, sites, keys)
    return found


def _known_series(
    connection: psycopg.Connection[Any], sites: dict[int, int], keys: set[_SeriesKey]
) -> dict[_SeriesKey, int]:
    return {
        (point_id, quantity, channel): series_id
        for point_id, quantity, channel, series_id in connection.execute(
            "SELECT point_id, quantity, channel, series_id FROM series WHERE point_id = ANY(%s)",
            (list(sites),),
        )
        if (point_id, quantity, channel) in keys
    }


def series_of(
    connection: psycopg.Connection[Any], site_id: int, point_id: int, quantity: str, channel: str
) -> int:
    """Return the series of a point's quantity and channel, creating it if it is new."""
    key = (site_id, point_id, quantity, channel)
    connection.execute(
        "INSERT INTO series (site_id, point_id, quantity, channel) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        key,
    )
    row = connection.execute(
        "SELECT series_id FROM series WHERE site_id = %s AND point_id = %s AND quantity = %s"
        " AND channel = %s",
        key,
    ).fetchone()
    assert row is not None  # inserted above, or there before
    return int(row[0])


def _check(declared: SeriesDeclaration) -> None:
    name = f"{declared.point} {declared.quantity} {declared.channel}"
    if not declared.channel.isprintable() or len(declared.channel) > _MOST_CHANNEL:
        raise RefusedError(Refusal.MALFORMED, f"{name[:80]!r}: the channel is no name")
    try:
        unit_ratio(declared.quantity, declared.unit)
        scale = Decimal(declared.register_scale)
        for number in (declared.register_scale, declared.offset, declared.modulus or "1"):
            if not Decimal(number).is_finite() or abs(Decimal(number).adjusted()) > _MOST_DIGITS:
                raise RefusedError(
                    Refusal.MALFORMED, f"{name}: {number[:40]} is no scale, offset or modulus"
                )
        if declared.modulus is not None and Decimal(declared.modulus) <= 0:
            raise RefusedError(Refusal.MALFORMED, f"{name}: the modulus must be above zero")
    except UnitError as error:
        raise RefusedError(Refusal.MALFORMED, f"{name}: {error}") from error
    except InvalidOperation as error:
        raise RefusedError(Refusal.MALFORMED, f"{name}: a scale is not a decimal number") from error
    if not scale > 0:
        raise RefusedError(Refusal.MALFORMED, f"{name}: the scale must be above zero")


def agree(
    connection: psycopg.Connection[Any], meanings: list[Meaning], first_us: int, commit_no: int
) -> tuple[int, int]:
    """See that each series has the meaning that its source declares; open epochs where it has none.

    Parameters
    ----------
    meanings
        What one source declares of series whose first reading is at one instant.
    first_us
        That instant [µs since 1970].
    commit_no
        Number of the running transaction.

    Returns
    -------
    tuple of int
        From when on and until when [µs since 1970] there is nothing more to do for these series.
    """
    first = _EPOCH + dt.timedelta(microseconds=first_us)
    covered = _epochs_at(connection, meanings, first)
    strange = [
        m for m in meanings if m.series_id not in covered or covered[m.series_id].source != m.source
    ]
    for meaning in strange:
        open_epoch(connection, meaning, first, commit_no)
    if strange:
        covered = _epochs_at(connection, meanings, first)
    return (
        max((span.since_us for span in covered.values()), default=first_us),
        min((span.until_us for span in covered.values()), default=_FOREVER_US),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    source: bytes | None
    since_us: int
    until_us: int


def _epochs_at(
    connection: psycopg.Connection[Any], meanings: list[Meaning], at: dt.datetime
) -> dict[int, _Span]:
    return {
        series_id: _Span(
            None if sha256 is None else bytes(sha256),
            since_us,
            _FOREVER_US if until_us is None else until_us,
        )
        for series_id, sha256, since_us, until_us in connection.execute(
            "SELECT series_id, birth_sha256, (extract(epoch FROM valid_from) * 1000000)::bigint,"
            " (extract(epoch FROM valid_to) * 1000000)::bigint"
            " FROM series_epoch WHERE series_id = ANY(%s) AND superseded_commit_no IS NULL"
            " AND valid_from <= %s AND (valid_to IS NULL OR %s < valid_to)",
            ([m.series_id for m in meanings], at, at),
        )
    }


def open_epoch(
    connection: psycopg.Connection[Any], meaning: Meaning, first: dt.datetime, commit_no: int
) -> None:
    """See that the series has a meaning from its first reading on.

    Parameters
    ----------
    meaning
        What the source declares.
    first
        Instant of the first reading under it.
    commit_no
        Number of the running transaction.
    """
    current = _current(connection, meaning.series_id, first)
    ratio, installation_id, installed_to = _ratio(connection, meaning, first)
    if current is None:
        first = _since_the_device_before(connection, meaning, installation_id, first)
    if current is not None:
        if current.facts == _facts(meaning, ratio):
            return
        if current.origin == "human":
            _disagreement(connection, meaning, current, first, commit_no)
            return
        connection.execute(
            "UPDATE series_epoch SET superseded_commit_no = %s WHERE epoch_id = %s",
            (commit_no, current.epoch_id),
        )
        if current.valid_from < first:
            _copy_until(connection, current.epoch_id, first, commit_no)
    valid_to = _earliest(
        current.valid_to if current is not None else _next_epoch(connection, meaning, first),
        installed_to,
    )
    d = meaning.declaration
    connection.execute(
        "INSERT INTO series_epoch (series_id, installation_id, raw_type, side, register_scale,"
        ' ratio, "offset", unit, modulus, counter_kind, rated_max_per_h, period_s, origin,'
        " birth_sha256, valid_from, valid_to, author, reason, commit_no)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            meaning.series_id, installation_id, d.raw_type, d.side, d.register_scale, ratio,
            d.offset, d.unit, d.modulus, d.counter, d.rated_max_per_h, meaning.period_s,
            meaning.origin, meaning.source, first, valid_to, meaning.author,
            "declared with its first readings" if current is None else "declared anew",
            commit_no,
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch_id: int
    origin: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    facts: tuple[object, ...]


def _facts(meaning: Meaning, ratio: Decimal) -> tuple[object, ...]:
    d = meaning.declaration
    return (
        d.raw_type,
        Decimal(d.register_scale),
        ratio,
        Decimal(d.offset),
        d.unit,
        None if d.modulus is None else Decimal(d.modulus),
        d.counter,
    )


def _current(connection: psycopg.Connection[Any], series_id: int, at: dt.datetime) -> _Epoch | None:
    row = connection.execute(
        "SELECT epoch_id, origin, valid_from, valid_to, raw_type, register_scale, ratio,"
        ' "offset", unit, modulus, counter_kind FROM series_epoch'
        " WHERE series_id = %s AND superseded_commit_no IS NULL"
        " AND valid_from <= %s AND (valid_to IS NULL OR %s < valid_to)",
        (series_id, at, at),
    ).fetchone()
    return None if row is None else _Epoch(row[0], row[1], row[2], row[3], tuple(row[4:]))


def _ratio(
    connection: psycopg.Connection[Any], meaning: Meaning, at: dt.datetime
) -> tuple[Decimal, int | None, dt.datetime | None]:
    row = connection.execute(
        "SELECT i.installation_id, i.ct_ratio, i.pt_ratio, i.sign, i.valid_to FROM installation i"
        " JOIN series s USING (point_id) WHERE s.series_id = %s"
        " AND i.superseded_commit_no IS NULL AND i.valid_from <= %s"
        " AND (i.valid_to IS NULL OR %s < i.valid_to)",
        (meaning.series_id, at, at),
    ).fetchone()
    if row is None:
        return Decimal(1), None, None
    installation_id, ct, pt, sign, valid_to = row
    d = meaning.declaration
    return ratio_of(d.quantity, d.side, ct, pt, sign), installation_id, valid_to


def _since_the_device_before(
    connection: psycopg.Connection[Any],
    meaning: Meaning,
    installation_id: int | None,
    first: dt.datetime,
) -> dt.datetime:
    """Return when the installation began if another ended just then, else the first reading.

    What the new device counted up to its first reading belongs to it, not to nobody.
    """
    row = connection.execute(
        "SELECT i.valid_from FROM installation i JOIN series_epoch e ON e.valid_to = i.valid_from"
        " WHERE i.installation_id = %s AND e.series_id = %s AND e.superseded_commit_no IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM series_epoch b WHERE b.series_id = e.series_id"
        " AND b.superseded_commit_no IS NULL AND b.valid_from >= i.valid_from"
        " AND b.valid_from < %s)",
        (installation_id, meaning.series_id, first),
    ).fetchone()
    return first if row is None else row[0]


def ratio_of(quantity: str, side: str, ct: Decimal, pt: Decimal, sign: int) -> Decimal:
    """Return what an installation multiplies a register by.

    Parameters
    ----------
    quantity
        Energy and power contain current and voltage and have a direction; the others have none.
    side
        "secondary" if the register counts what the meter sees behind its transformers.
    ct, pt
        Ratios of the current and voltage transformers [1].
    sign
        -1 where the wiring reverses the direction.
    """
    directed = quantity.endswith(("energy", "power"))
    ratio = Decimal(sign) if directed else Decimal(1)
    if side == "secondary":
        ratio *= ct * pt if directed else {"current": ct, "voltage": pt}.get(quantity, Decimal(1))
    return ratio


def _next_epoch(
    connection: psycopg.Connection[Any], meaning: Meaning, after: dt.datetime
) -> dt.datetime | None:
    row = connection.execute(
        "SELECT min(valid_from) FROM series_epoch WHERE series_id = %s"
        " AND superseded_commit_no IS NULL AND valid_from > %s",
        (meaning.series_id, after),
    ).fetchone()
    return None if row is None else row[0]


def _earliest(*instants: dt.datetime | None) -> dt.datetime | None:
    return min((i for i in instants if i is not None), default=None)


def _copy_until(
    connection: psycopg.Connection[Any], epoch_id: int, end: dt.datetime, commit_no: int
) -> None:
    connection.execute(
        "SELECT insert_epoch(e, e.valid_from, %s, e.author, e.reason, %s) FROM series_epoch e"
        " WHERE epoch_id = %s",
        (end, commit_no, epoch_id),
    )


def _disagreement(
    connection: psycopg.Connection[Any],
    meaning: Meaning,
    current: _Epoch,
    first: dt.datetime,
    commit_no: int,
) -> None:
    evidence = {
        "declared": [str(f) for f in _facts(meaning, Decimal(1))],
        "recorded": [str(f) for f in current.facts],
        "source": meaning.author,
    }
    connection.execute(
        "INSERT INTO finding (site_id, point_id, series_id, code, at_ts, severity, evidence,"
        " data_version) SELECT site_id, point_id, series_id, 'meaning_disagrees', %s, 'warning',"
        " %s, %s FROM series WHERE series_id = %s ON CONFLICT DO NOTHING",
        (first, json.dumps(evidence), commit_no, meaning.series_id),
    )
