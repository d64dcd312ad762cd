"""Split the meaning of a point's series where its installations begin and end (F1, F3, D5)."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from ingest.imports.records import Author
from ingest.meaning import ratio_of

__all__ = ["note_register", "split_by_installation"]

_INSTANT = dt.timedelta(microseconds=1)
_FAR = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class _Installed:
    installation_id: int
    ct_ratio: Decimal
    pt_ratio: Decimal
    sign: int
    valid_from: dt.datetime
    valid_to: dt.datetime


def split_by_installation(
    connection: psycopg.Connection[Any], point_id: int, author: Author
) -> int:
    """Give each current epoch the installation that holds in it, splitting it at borders.

    A piece under another installation than before is inserted anew, with that one's ratio, and its
    span is marked dirty.

    Returns
    -------
    int
        Epochs inserted or superseded.
    """
    installed = [
        _Installed(number, ct, pt, sign, since, until or _FAR)
        for number, ct, pt, sign, since, until in connection.execute(
            "SELECT installation_id, ct_ratio, pt_ratio, sign, valid_from, valid_to"
            " FROM installation"
            " WHERE point_id = %s AND superseded_commit_no IS NULL ORDER BY valid_from",
            (point_id,),
        )
    ]
    epochs = connection.execute(
        "SELECT e.epoch_id, e.series_id, s.quantity, e.side, e.installation_id, e.valid_from,"
        " e.valid_to"
        " FROM series_epoch e JOIN series s USING (series_id)"
        " WHERE s.point_id = %s AND e.superseded_commit_no IS NULL",
        (point_id,),
    ).fetchall()
    changed = 0
    for epoch_id, series_id, quantity, side, installation_id, since, until in epochs:
        end = until or _FAR
        pieces = _pieces(installed, since, end)
        if [(b, e, i and i.installation_id) for b, e, i in pieces] == [
            (since, end, installation_id)
        ]:
            continue
        connection.execute(
            "UPDATE series_epoch SET superseded_commit_no = %s WHERE epoch_id = %s",
            (author.commit_no, epoch_id),
        )
        for begin, stop, item in pieces:
            # Under the installation that it had, a piece keeps the ratio that a person may have
            # corrected.
            number = None if item is None else item.installation_id
            other = number != installation_id
            ratio = (
                Decimal(1)
                if item is None
                else ratio_of(quantity, side, item.ct_ratio, item.pt_ratio, item.sign)
            )
            if other:
                author.changed.append((begin, None if stop == _FAR else stop))
            _insert_piece(
                connection, epoch_id, (number, ratio) if other else None, (begin, stop), author
            )
        connection.execute(
            "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)"
            " VALUES (%s, %s, least(%s, now()), %s)",
            (series_id, since, end, author.commit_no),
        )
        changed += 1 + len(pieces)
    return changed


def _pieces(
    installed: list[_Installed], since: dt.datetime, end: dt.datetime
) -> list[tuple[dt.datetime, dt.datetime, _Installed | None]]:
    pieces: list[tuple[dt.datetime, dt.datetime, _Installed | None]] = []
    position = since
    for item in installed:
        begin, stop = max(item.valid_from, since), min(item.valid_to, end)
        if begin >= stop:
            continue
        if position < begin:
            pieces.append((position, begin, None))
        pieces.append((begin, stop, item))
        position = stop
    if position < end:
        pieces.append((position, end, None))
    return pieces


def _insert_piece(
    connection: psycopg.Connection[Any],
    epoch_id: int,
    installed: tuple[int | None, Decimal] | None,
    span: tuple[dt.datetime, dt.datetime],
    author: Author,
) -> None:
    changed = (
        {} if installed is None else {"installation_id": installed[0], "ratio": str(installed[1])}
    )
    connection.execute(
        "SELECT insert_epoch(jsonb_populate_record(e, %s), %s, %s, %s, %s, %s)"
        " FROM series_epoch e WHERE epoch_id = %s",
        (
            json.dumps(changed), span[0], None if span[1] == _FAR else span[1],
            author.name, author.reason, author.commit_no, epoch_id,
        ),
    )  # fmt: skip


def note_register(
    connection: psycopg.Connection[Any],
    point_id: int,
    installed_at: dt.datetime | None,
    series_id: int,
    levels: tuple[str | None, str | None],
    author: Author,
) -> int:
    """Note what stood on a register when a device came and went; another number supersedes.

    Parameters
    ----------
    installed_at
        When the installation begins.
    levels
        Opening and closing register [counts], None where nobody noted it.

    Returns
    -------
    int
        1 if something new was noted, else 0.
    """
    row = connection.execute(
        "SELECT i.installation_id, r.series_id, r.opening_raw, r.closing_raw, i.valid_to,"
        " i.commit_no"
        " FROM installation i LEFT JOIN installation_register r"
        " ON r.installation_id = i.installation_id AND r.series_id = %s"
        " AND r.superseded_commit_no IS NULL"
        " WHERE i.point_id = %s AND i.valid_from = %s AND i.superseded_commit_no IS NULL",
        (series_id, point_id, installed_at),
    ).fetchone()
    assert row is not None  # the installation was recorded just before
    installation_id, noted, opening, closing, until, commit_no = row
    said = tuple(None if level is None else Decimal(level) for level in levels)
    if noted is not None and (opening, closing) == said:
        return 0
    connection.execute(
        "UPDATE installation_register SET superseded_commit_no = %s"
        " WHERE installation_id = %s AND series_id = %s AND superseded_commit_no IS NULL",
        (author.commit_no, installation_id, series_id),
    )
    connection.execute(
        "INSERT INTO installation_register (installation_id, series_id, opening_raw, closing_raw,"
        " author, commit_no) VALUES (%s, %s, %s, %s, %s, %s)",
        (installation_id, series_id, *said, author.name, author.commit_no),
    )
    # What a new installation changes, its meaning says.
    if noted is not None or (commit_no < author.commit_no and said != (None, None)):
        author.changed.extend((at, at + _INSTANT) for at in (installed_at, until) if at is not None)
    # The advance at either end of the installation hangs on it.
    connection.execute(
        "INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)"
        " SELECT %s, at, at, %s FROM unnest(%s::timestamptz[]) AS at WHERE at <= now()",
        (series_id, author.commit_no, [at for at in (installed_at, until) if at is not None]),
    )
    return 1
