"""What the server can do beyond portable SQL, added as soon as it can, again and again (D8, D20).

Every step looks first and acts only if something is missing, so a database that moves from plain
PostgreSQL to TimescaleDB, or from the Apache edition to Community, catches up at the next
``enpilot db migrate``.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from enpilot.database.capabilities import Capabilities, read_capabilities

__all__ = ["reconcile"]

# Chunks of a week keep a plant of some hundred meters well under a quarter of memory.
_HYPERTABLES = {"reading": "7 days", "interval_advance": "90 days"}
_COLUMNSTORE = {"reading": "ts", "interval_advance": "ts"}

# Readable by people's roles: guarded views, policy-guarded tables, and names without figures.
_READABLE = (
    "granted_site", "visible_reading", "visible_interval_advance", "current_epoch", "latest_value",
    "output", "energy_ledger", "finding", "energy_period", "enpi_period", "alert_event",
    "computation", "site", "site_record", "point", "point_record", "product", "product_record",
    "scheme", "scheme_record", "enpi", "enpi_record", "target", "factor", "series",
    "series_epoch", "alert_rule", "alert_rule_record", "alert_state", "visible_intake",
    "visible_refusal", "ingest_speed",
)  # fmt: skip

READER_ROLE = "enpilot_reader"


def reconcile(connection: psycopg.Connection[Any]) -> Capabilities:
    """Add what the server can do and does not do yet.

    Parameters
    ----------
    connection
        In autocommit mode: some steps must not run inside a transaction.
    """
    capabilities = read_capabilities(connection)
    if capabilities.timescaledb is None and capabilities.timescaledb_available is not None:
        try:
            connection.execute("CREATE EXTENSION timescaledb WITH SCHEMA public")
        except psycopg.Error:
            # Not preloaded, or not our right: plain PostgreSQL it stays, and capabilities say so.
            connection.rollback()
        capabilities = read_capabilities(connection)
    if capabilities.timescaledb is not None:
        _hypertables(connection)
    if capabilities.community:
        _columnstore(connection)
    _reader_role(connection)
    return capabilities


def _hypertables(connection: psycopg.Connection[Any]) -> None:
    existing = {
        row[0]
        for row in connection.execute(
            "SELECT hypertable_name FROM timescaledb_information.hypertables"
            " WHERE hypertable_schema = current_schema"
        )
    }
    for table, chunk in _HYPERTABLES.items():
        if table not in existing:
            connection.execute(
                "SELECT create_hypertable(format('%%I.%%I', current_schema, %s::text)::regclass,"
                " 'ts', chunk_time_interval => %s::interval,"
                " create_default_indexes => false, migrate_data => true)",
                (table, chunk),
            )


def _columnstore(connection: psycopg.Connection[Any]) -> None:
    enabled = {
        row[0]
        for row in connection.execute(
            "SELECT hypertable_name FROM timescaledb_information.hypertables"
            " WHERE hypertable_schema = current_schema AND compression_enabled"
        )
    }
    for table, order in _COLUMNSTORE.items():
        if table not in enabled:
            connection.execute(
                sql.SQL(
                    "ALTER TABLE {} SET (timescaledb.compress,"
                    " timescaledb.compress_segmentby = 'series_id',"
                    " timescaledb.compress_orderby = {})"
                ).format(sql.Identifier(table), sql.Literal(order))
            )


def _reader_role(connection: psycopg.Connection[Any]) -> None:
    # Roles belong to the whole server: another database's migration may create it right now.
    connection.execute(
        sql.SQL(
            "DO $$ BEGIN CREATE ROLE {} NOLOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege"
            " THEN NULL; END $$"
        ).format(sql.Identifier(READER_ROLE))
    )
    found = connection.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s", (READER_ROLE,)
    ).fetchone()
    if found is None:
        return  # no right to create roles; the owner still sees everything
    role = sql.Identifier(READER_ROLE)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA enpilot TO {}").format(role))
    for relation in _READABLE:
        connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(relation), role)
        )
