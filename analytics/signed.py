"""Closed figures held against what is computed now (F13).

The engine computes every figure of what is known. What a closed period signed is then put back in
its place, and the difference waits: a published figure never changes by itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

__all__ = ["FIGURES", "apply_closings", "figures_of"]

# Tables whose rows are signed, and the columns that name a row.
FIGURES: Final[Mapping[str, tuple[str, ...]]] = {
    "enpi_period": ("enpi_id", "period_kind", "period_from", "period_to", "shift"),
    "energy_period": ("point_id", "quantity", "channel", "period_kind", "period_from"),
    "scheme_energy_period": (
        "scheme_id", "period_kind", "period_from", "period_to", "carrier", "part",
    ),
    "carbon_period": ("scheme_id", "period_kind", "period_from", "period_to", "carrier"),
    "product_energy_period": (
        "scheme_id", "period_kind", "period_from", "period_to", "part", "code",
    ),
}  # fmt: skip
# Not part of what was signed: by what and when it was computed, and that it is signed.
_ABOUT: Final = ("data_version", "computed_at", "provisional", "closing_version")


def figures_of(
    connection: psycopg.Connection[Any], site_id: int, kind: str, first: dt.date, after: dt.date
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return the figures that a period signs, as they stand now.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.
    kind
        "month" signs what happened within it and the year up to its end; "year" the year.
    first, after
        Local dates [first, after).

    Returns
    -------
    list
        Table, key and content, in one order.
    """
    within = (
        "period_kind <> 'rolling_12' AND ((period_from >= %(first)s AND period_to <= %(after)s"
        " AND period_kind IN ('month', 'day', 'shift')) OR (period_to = %(after)s"
        " AND period_kind IN ('year_to_date', 'quarter')))"
        if kind == "month"
        else "period_kind IN ('year_to_date', 'rolling_12') AND period_from = %(first)s"
        " AND period_to = %(after)s"
    )
    found: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for table, columns in FIGURES.items():
        if table == "energy_period" and kind == "year":
            continue
        for (row,) in connection.execute(
            f"SELECT to_jsonb(t) FROM {table} t WHERE site_id = %(site)s AND {within}"
            f" ORDER BY {', '.join(columns)}",
            {"site": site_id, "first": first, "after": after},
        ).fetchall():
            found.append((table, {c: row[c] for c in columns}, _signed(row)))
    return found


def _signed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _ABOUT}


def apply_closings(
    connection: psycopg.Connection[Any], site_id: int, since: dt.date, version: int
) -> int:
    """Put signed figures back in their places, and note what would change them.

    Parameters
    ----------
    connection
        In the site's transaction, after its figures were computed.
    site_id
        The site.
    since
        First local day whose figures were computed anew; what came later may differ through its
        base or the year before.
    version
        Data version of the pass.

    Returns
    -------
    int
        Differences that wait for a decision.
    """
    return sum(_apply(connection, table, site_id, since, version) for table in FIGURES)


def _apply(
    connection: psycopg.Connection[Any], table: str, site_id: int, since: dt.date, version: int
) -> int:
    same = sql.SQL(" AND ").join(
        sql.SQL("t.{0} = k.{0}").format(sql.Identifier(c)) for c in FIGURES[table]
    )
    # Rows that were computed anew have no closing yet; those that are gone have no row.
    rows = connection.execute(
        sql.SQL(
            # Year and month may have signed the same figure: the later signature holds.
            "SELECT c.closing_id, c.version, p.data_version, c.period_from, c.period_to,"
            " c.figure_key, c.content, to_jsonb(t) FROM (SELECT DISTINCT ON (figure_key) *"
            "  FROM closed_content WHERE site_id = %s AND kind = %s AND period_to >= %s"
            "  ORDER BY figure_key, closing_id DESC) c"
            " JOIN period_closing p USING (closing_id)"
            " CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, c.figure_key) k"
            " LEFT JOIN {table} t ON {same}"
            " WHERE t.closing_version IS DISTINCT FROM c.version"
            " ORDER BY c.closing_id, c.figure_key"
        ).format(table=sql.Identifier(table), same=same),
        (site_id, table, since),
    ).fetchall()
    waiting = 0
    for closing_id, closing, as_of, first, after, key, content, now in rows:
        computed = None if now is None else _signed(now)
        if computed == content:
            connection.execute(
                "UPDATE pending_difference SET state = 'gone', decided_by = NULL, reason = NULL"
                " WHERE closing_id = %s AND kind = %s AND figure_key = %s"
                " AND state IN ('pending', 'refused')",
                (closing_id, table, Jsonb(key)),
            )
        else:
            waiting += _note(
                connection, (site_id, closing_id, table, key), content, computed,
                (as_of, version, first, after),
            )  # fmt: skip
        _put_back(connection, table, key, content, closing, version)
    return waiting


def _note(
    connection: psycopg.Connection[Any],
    figure: tuple[int, int, str, Mapping[str, Any]],
    closed: Mapping[str, Any],
    computed: Mapping[str, Any] | None,
    versions: tuple[int, int, dt.date, dt.date],
) -> int:
    site_id, closing_id, table, key = figure
    as_of, version, first, after = versions
    said = None if computed is None else Jsonb(dict(computed))
    held = connection.execute(
        "SELECT difference_id, computed IS NOT DISTINCT FROM %s::jsonb, state"
        " FROM pending_difference WHERE closing_id = %s AND kind = %s AND figure_key = %s"
        " AND state IN ('pending', 'refused')",
        (said, closing_id, table, Jsonb(dict(key))),
    ).fetchone()
    if held is not None and held[1]:
        return int(held[2] == "pending")  # it was decided, or it waits already
    if held is not None:
        connection.execute(
            "UPDATE pending_difference SET state = 'gone', decided_by = NULL, reason = NULL"
            " WHERE difference_id = %s",
            (held[0],),
        )
    connection.execute(
        "INSERT INTO pending_difference (site_id, closing_id, kind, figure_key, closed, computed,"
        " causes, state, data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, 'pending', %s)",
        (
            site_id, closing_id, table, Jsonb(dict(key)), Jsonb(dict(closed)), said,
            Jsonb(_causes(connection, site_id, as_of, first, after)), version,
        ),
    )  # fmt: skip
    return 1


def _causes(
    connection: psycopg.Connection[Any], site_id: int, as_of: int, first: dt.date, after: dt.date
) -> dict[str, Any]:
    """Say what became known after the closing: batches, corrections, output, ledger, plant."""
    row = connection.execute(
        "SELECT"
        " (SELECT count(*) FROM batch_ledger b JOIN stream s USING (stream_no)"
        "  LEFT JOIN agent a ON a.agent_id = s.agent_id"
        "  LEFT JOIN import_run i ON i.stream_no = s.stream_no"
        "  WHERE b.commit_no > %(v)s AND coalesce(i.kind, 'readings') = 'readings'"
        "  AND coalesce(a.site_id, i.site_id) = %(s)s"
        "  AND b.first_ts < %(b)s::date + 1 AND b.last_ts > %(a)s::date - 1),"
        " (SELECT count(*) FROM correction_decision d JOIN correction c USING (correction_id)"
        "  WHERE c.site_id = %(s)s AND d.commit_no > %(v)s),"
        " (SELECT count(*) FROM output WHERE site_id = %(s)s AND commit_no > %(v)s"
        "  AND from_ts < %(b)s::date + 1 AND to_ts > %(a)s::date - 1),"
        " (SELECT count(*) FROM energy_ledger WHERE site_id = %(s)s AND commit_no > %(v)s"
        "  AND from_ts < %(b)s::date + 1 AND to_ts > %(a)s::date - 1),"
        " (SELECT count(*) FROM ("
        "  SELECT commit_no FROM site_record WHERE site_id = %(s)s"
        "  UNION ALL SELECT r.commit_no FROM point_record r JOIN point USING (point_id)"
        "   WHERE site_id = %(s)s"
        "  UNION ALL SELECT commit_no FROM site_factor WHERE site_id = %(s)s"
        "  UNION ALL SELECT r.commit_no FROM area_record r JOIN area USING (area_id)"
        "   WHERE site_id = %(s)s"
        "  UNION ALL SELECT i.commit_no FROM installation i JOIN point USING (point_id)"
        "   WHERE site_id = %(s)s"
        "  UNION ALL SELECT r.commit_no FROM scheme_record r JOIN scheme USING (scheme_id)"
        "   WHERE site_id = %(s)s"
        "  UNION ALL SELECT r.commit_no FROM enpi_record r JOIN enpi USING (enpi_id)"
        "   WHERE site_id = %(s)s"
        "  UNION ALL SELECT t.commit_no FROM target t JOIN enpi USING (enpi_id)"
        "   WHERE site_id = %(s)s"
        "  UNION ALL SELECT a.commit_no FROM base_adjustment a JOIN enpi USING (enpi_id)"
        "   WHERE site_id = %(s)s) said WHERE commit_no > %(v)s)",
        {"s": site_id, "v": as_of, "a": first, "b": after},
    ).fetchone()
    assert row is not None
    names = ("late_batches", "corrections", "output_entries", "ledger_entries", "plant_records")
    return {name: count for name, count in zip(names, row, strict=True) if count}


def _put_back(
    connection: psycopg.Connection[Any],
    table: str,
    key: Mapping[str, Any],
    content: Mapping[str, Any],
    closing: int,
    version: int,
) -> None:
    row = dict(content) | {
        "closing_version": closing,
        "data_version": version,
        "computed_at": dt.datetime.now(dt.UTC).isoformat(),
    }
    if table == "enpi_period":
        row["provisional"] = False
    connection.execute(
        sql.SQL(
            "DELETE FROM {table} t USING jsonb_populate_record(NULL::{table}, %s) k WHERE {same}"
        ).format(
            table=sql.Identifier(table),
            same=sql.SQL(" AND ").join(
                sql.SQL("t.{0} = k.{0}").format(sql.Identifier(c)) for c in FIGURES[table]
            ),
        ),
        (Jsonb(dict(key)),),
    )
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, %s)"
        ).format(table=sql.Identifier(table)),
        (Jsonb(row),),
    )
