"""A session that sees the database as it was at a data version, and computes into the void.

PostgreSQL looks in a session's temporary schema first. Every fact is hidden behind a temporary view
of the same name that ends at the version, and everything computed behind an empty temporary table;
then the same code as ever computes what it computed then, and nobody else sees a thing.
"""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from analytics.errors import PastError

__all__ = ["Relations", "classify", "shadow"]

# Written by computing, or to have it done. Further ones are known by their column data_version.
_QUEUES: Final = frozenset({"dirty", "dirty_site"})
# These carry a data version, but are not computed anew.
_NOT_COMPUTED: Final = frozenset({"archive_file", "figure_version", "period_closing"})
# Followed by readings; `shadow` sets them up by hand.
_BY_BATCH: Final = frozenset({"reading", "kept_reading", "latest", "retraction"})
# Names that never die, and the platform's own bookkeeping: no figure changes with them.
_TIMELESS: Final = frozenset({
    "access_log", "account", "agent", "agent_status", "alert_delivery", "alert_event",
    "alert_message", "alert_preset", "alert_progress", "alert_rule", "alert_state", "api_token",
    "archive_file", "area", "baseline", "batch_fold", "catalog", "closed_figure", "correction",
    "device", "dropped_span", "enpi", "enterprise", "figure_version", "import_run",
    "ingest_count", "ingest_worker", "invoice_line", "non_routine_adjustment", "person",
    "person_grant", "person_identity", "point", "portal_session", "product", "programme",
    "publisher", "quarantine", "quarantine_count", "relevant_variable", "request_kind",
    "retrofit", "role_grant", "role_permission", "scheme", "series", "shift", "sign_in_attempt",
    "sign_in_link", "site", "source_content", "source_value", "stream", "stream_state", "tariff",
    "virtual_point", "work_request",
})  # fmt: skip
# Charts are of all readings and stand behind no figure; their views need not be followed.
_CHARTS: Final = ("chart_", "visible_chart_")
_LAST_SEQ: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Relations:
    """Tables of the schema by what becomes of them when the past is looked at.

    Attributes
    ----------
    facts
        End at the version: rows say when they became known, and mostly since when no more.
    computed
        Empty at first.
    unknown
        Say neither; they are seen as they are now.
    """

    facts: tuple[str, ...]
    computed: tuple[str, ...]
    unknown: tuple[str, ...]


def classify(connection: psycopg.Connection[Any]) -> Relations:
    """Sort the tables of the schema by their columns, so that tables to come are covered.

    Parameters
    ----------
    connection
        To a migrated database.

    Returns
    -------
    Relations

    Raises
    ------
    PastError
        If a table says when its rows were superseded, but not when they became known.
    """
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'enpilot'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND a.attnum > 0 AND NOT a.attisdropped AND c.relname !~ 'yoyo'"
    ):
        columns.setdefault(table, set()).add(column)
    computed = {
        t for t, has in columns.items() if "data_version" in has and t not in _NOT_COMPUTED
    } | _QUEUES
    facts = {
        t for t, has in columns.items()
        if "commit_no" in has and t not in computed and t not in _BY_BATCH
    }  # fmt: skip
    for table, has in columns.items():
        if "superseded_commit_no" in has and "commit_no" not in has:
            raise PastError(
                f"table {table} says when a row was superseded, not when it became known: it needs"
                " a column commit_no"
            )
    known = computed | facts | _BY_BATCH | _TIMELESS
    return Relations(
        tuple(sorted(facts)), tuple(sorted(computed)), tuple(sorted(columns.keys() - known))
    )


def shadow(connection: psycopg.Connection[Any], version: int) -> None:
    """Let a session see the database as it was at a data version, until it ends.

    Parameters
    ----------
    connection
        In autocommit mode, and for nothing else.
    version
        Commits up to this one are seen.
    """
    relations = classify(connection)
    views = _views(connection)
    with connection.transaction():
        for table in relations.computed:
            connection.execute(
                sql.SQL("CREATE TEMP TABLE {0} (LIKE enpilot.{0} INCLUDING ALL)").format(
                    sql.Identifier(table)
                )
            )
        _shadow_readings(connection, version)
        for table in relations.facts:
            _shadow_facts(connection, table, version)
        for name, definition in views:
            connection.execute(
                sql.SQL("CREATE TEMP VIEW {} AS ").format(sql.Identifier(name))
                + sql.SQL(definition)
            )


def _shadow_facts(connection: psycopg.Connection[Any], table: str, version: int) -> None:
    columns = [
        row[0]
        for row in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = ('enpilot.' || %s)::regclass"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (table,),
        )
    ]
    shown = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {0} <= {1} THEN {0} END AS {0}").format(
            sql.Identifier(column), sql.Literal(version)
        )
        if column == "superseded_commit_no"
        else sql.Identifier(column)
        for column in columns
    )
    connection.execute(
        sql.SQL(
            "CREATE TEMP VIEW {0} AS SELECT {1} FROM enpilot.{0} WHERE commit_no <= {2}"
        ).format(sql.Identifier(table), shown, sql.Literal(version))
    )


def _shadow_readings(connection: psycopg.Connection[Any], version: int) -> None:
    """Hide readings of later batches: they count as if they were retracted.

    Retractions reach every place where readings come from, the archive's files included. Batches of
    a stream that is not there yet are cut off by their number.
    """
    row = connection.execute("SELECT coalesce(max(stream_no), 0) FROM enpilot.stream").fetchone()
    assert row is not None  # an aggregate has one row
    beyond = sql.Literal((row[0] + 1) << 32)
    for table in ("reading", "kept_reading"):
        connection.execute(
            sql.SQL("CREATE TEMP VIEW {0} AS SELECT * FROM enpilot.{0} WHERE batch < {1}").format(
                sql.Identifier(table), beyond
            )
        )
    connection.execute("CREATE TEMP TABLE retraction (LIKE enpilot.retraction INCLUDING ALL)")
    connection.execute(
        "INSERT INTO pg_temp.retraction (stream_no, from_seq, to_seq, author, reason, commit_no)"
        " SELECT stream_no, from_seq, to_seq, author, reason, commit_no FROM enpilot.retraction"
        " WHERE commit_no <= %(v)s"
        " AND (superseded_commit_no IS NULL OR superseded_commit_no > %(v)s)",
        {"v": version},
    )
    connection.execute(
        "WITH known AS (SELECT stream_no, seq FROM enpilot.batch_ledger WHERE commit_no <= %(v)s"
        "  UNION ALL SELECT f.stream_no, f.from_seq + u.n - 1 FROM enpilot.batch_fold f,"
        "  unnest(f.commit_nos) WITH ORDINALITY u(c, n) WHERE u.c <= %(v)s),"
        " holes AS (SELECT stream_no, lag(seq, 1, 0::bigint) OVER w + 1 AS from_seq,"
        "  seq - 1 AS to_seq FROM known WINDOW w AS (PARTITION BY stream_no ORDER BY seq))"
        " INSERT INTO pg_temp.retraction"
        "  (stream_no, from_seq, to_seq, author, reason, commit_no)"
        " SELECT stream_no, from_seq, to_seq, 'past', 'not known yet', 0 FROM holes"
        " WHERE from_seq <= to_seq"
        " UNION ALL SELECT s.stream_no, coalesce(max(k.seq), 0) + 1, %(last)s, 'past',"
        "  'not known yet', 0 FROM enpilot.stream s LEFT JOIN known k USING (stream_no)"
        " GROUP BY s.stream_no HAVING coalesce(max(k.seq), 0) < %(last)s",
        {"v": version, "last": _LAST_SEQ},
    )
    connection.execute("CREATE INDEX ON pg_temp.retraction (stream_no)")
    connection.execute("ANALYZE pg_temp.retraction")
    connection.execute(
        "CREATE TEMP VIEW latest AS SELECT s.series_id, l.ts, l.raw_int, l.raw_real, l.quality,"
        " l.batch FROM enpilot.series s CROSS JOIN LATERAL (SELECT * FROM reading r"
        "  WHERE r.series_id = s.series_id AND NOT EXISTS (SELECT FROM retraction x"
        "   WHERE x.stream_no = (r.batch >> 32)"
        "   AND (r.batch & 4294967295) BETWEEN x.from_seq AND x.to_seq)"
        "  ORDER BY r.ts DESC LIMIT 1) l"
    )


def _views(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return the views of the schema with their texts, each after those it looks at.

    A view names its tables by number, not by name, so that it would look past the shadows.
    """
    texts: dict[str, str] = dict(
        connection.execute(
            "SELECT relname, pg_get_viewdef(oid) FROM pg_class"
            " WHERE relnamespace = 'enpilot'::regnamespace AND relkind = 'v'"
        ).fetchall()
    )
    looks_at: dict[str, set[str]] = {name: set() for name in texts if not name.startswith(_CHARTS)}
    for name, other in connection.execute(
        "SELECT DISTINCT v.relname, o.relname FROM pg_rewrite r JOIN pg_class v"
        " ON v.oid = r.ev_class JOIN pg_depend d ON d.objid = r.oid"
        " AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
        " JOIN pg_class o ON o.oid = d.refobjid AND o.oid <> v.oid AND o.relkind = 'v'"
        " WHERE v.relnamespace = 'enpilot'::regnamespace"
    ):
        if name in looks_at and other in looks_at:
            looks_at[name].add(other)
    return [(name, texts[name]) for name in graphlib.TopologicalSorter(looks_at).static_order()]
