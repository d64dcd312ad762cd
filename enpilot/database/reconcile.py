"""What the server can do beyond portable SQL, added as soon as it can, again and again (D8, D20).

Every step looks first and acts only if something is missing, so a database that moves from plain
PostgreSQL to TimescaleDB, or from the Apache edition to Community, catches up at the next
``enpilot db migrate``.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql

from enpilot.database.capabilities import Capabilities, read_capabilities
from enpilot.database.connection import SCHEMA

__all__ = [
    "CHARTS",
    "HYPERTABLES",
    "PERSON_ROLE",
    "PORTAL_ROLE",
    "aggregate_name",
    "reconcile",
]

# To begin with: chunks of a week keep a plant of some hundred meters well under a quarter of
# memory. `enpilot db maintain` measures and chooses for the chunks to come.
HYPERTABLES = {"reading": "7 days", "interval_advance": "90 days"}
_COLUMNSTORE = {"reading": "ts", "interval_advance": "ts"}

# Views of migration 0007 and the width of their buckets [s]; they begin on whole UTC minutes.
CHARTS = {"chart_1m": 60, "chart_15m": 900}
# A week of 1-minute buckets of 1,000 series is some 1.5 GB before it is compressed.
_CHART_CHUNK = "7 days"
_CHART_COLUMNS = (
    "readings", "sum_int", "min_int", "max_int", "first_int", "last_int", "sum_real", "min_real",
    "max_real", "first_real", "last_real", "lowest_batch", "highest_batch",
)  # fmt: skip

# Readable by people's roles: guarded views, policy-guarded tables, and names without figures.
_READABLE = (
    "granted_site", "granted_secret", "granted_permission",
    "visible_reading", "visible_interval_advance", "current_epoch", "latest_value",
    "output", "energy_ledger", "finding", "energy_period", "enpi_period", "alert_event",
    "computation", "site", "site_record", "point", "point_record", "product", "product_record",
    "scheme", "scheme_record", "enpi", "enpi_record", "target", "factor", "series",
    "series_epoch", "alert_rule", "alert_rule_record", "alert_state", "visible_intake",
    "visible_refusal", "ingest_speed", "visible_chart_1m", "visible_chart_15m", "retracted_batch",
    "shift", "shift_record", "production_counter", "base_adjustment", "value_added",
    "enterprise_enpi_period", "lot_energy", "virtual_point", "virtual_point_record",
    "virtual_point_period", "balance_period", "enpi_year_end", "period_state", "pending_difference",
    "declared_total", "reconciliation_period", "declared_enpi_period",
    "area", "area_record", "conversion", "allocation", "site_factor", "scheme_energy_period",
    "ledger_shape",
    "carbon_period", "product_energy_period", "medium_factor_period",
    "figure_version",
    "relevant_variable", "relevant_variable_record", "relevant_variable_value", "baseline",
    "baseline_record", "baseline_model", "baseline_period", "programme", "programme_record",
    "retrofit", "retrofit_record", "non_routine_adjustment", "non_routine_adjustment_record",
    "saving_period", "saving_result",
    "calendar_day", "tariff", "tariff_record", "account", "account_record", "medium_price",
    "demand_day", "cost_period", "invoice", "invoice_line",
    "machine", "opening_hours", "ratio_check", "flat_price", "calibration", "base_load",
    "waste_finding", "waste_decision", "quality_period", "correction_state",
    "acting_person", "request_kind", "work_request", "visible_closing", "visible_installation",
    "alert_preset_record", "alert_preset", "alert_mute", "alert_progress", "alert_message",
    "alert_delivery",
)  # fmt: skip

READER_ROLE = "enpilot_reader"
# A page's queries run as this one, for the person that the transaction names (0021).
PERSON_ROLE = "enpilot_person"
# The group of the portal's own login: knows who signs in, reads figures only as a person.
PORTAL_ROLE = "enpilot_portal"
_PORTAL_PRIVILEGES = (
    ("SELECT, INSERT, UPDATE (name, password_hash, language, theme, disabled_at, disabled_by)",
     "person"),
    ("SELECT, INSERT, UPDATE (revoked_by, revoked_at)", "person_grant"),
    ("SELECT, INSERT, UPDATE (seen_at, idle_to, revoked_at)", "portal_session"),
    ("SELECT, INSERT, UPDATE (used_at)", "sign_in_link"),
    ("SELECT, INSERT, UPDATE (succeeded), DELETE", "sign_in_attempt"),
    ("SELECT, INSERT", "access_log"),
    ("SELECT, INSERT", "person_identity"),
    ("SELECT, INSERT, UPDATE (revoked_by, revoked_at, last_used_at)", "api_token"),
    *(("SELECT", name) for name in ("role_permission", "person_permission", "site", "site_record",
                                    "enterprise", "enterprise_record", "site_enterprise")),
)  # fmt: skip


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
        for chart, width_s in CHARTS.items():
            _continuous_aggregate(connection, chart, width_s)
    _reader_role(connection)
    _portal_roles(connection)
    return capabilities


def _hypertables(connection: psycopg.Connection[Any]) -> None:
    existing = {
        row[0]
        for row in connection.execute(
            "SELECT hypertable_name FROM timescaledb_information.hypertables"
            " WHERE hypertable_schema = current_schema"
        )
    }
    for table, chunk in HYPERTABLES.items():
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


def aggregate_name(chart: str) -> str:
    """Return the continuous aggregate that stands behind a chart view on Community."""
    return f"{chart}_aggregate"


def _continuous_aggregate(connection: psycopg.Connection[Any], chart: str, width_s: int) -> None:
    """Put a chart's view over a continuous aggregate; it is filled by maintenance (D9, D18)."""
    aggregate = sql.Identifier(aggregate_name(chart))
    found = connection.execute(
        "SELECT view_name FROM timescaledb_information.continuous_aggregates"
        " WHERE view_schema = current_schema AND view_name = %s",
        (aggregate_name(chart),),
    ).fetchone()
    if found is None:
        # Real-time: what was not refreshed yet is read from the readings.
        connection.execute(
            sql.SQL(
                "CREATE MATERIALIZED VIEW {} WITH (timescaledb.continuous,"
                " timescaledb.materialized_only = false) AS"
                " SELECT series_id, time_bucket({} * interval '1 s', ts) AS bucket,"
                " count(*) AS readings,"
                " sum(raw_int::double precision) AS sum_int, min(raw_int) AS min_int,"
                " max(raw_int) AS max_int, first(raw_int, ts) AS first_int,"
                " last(raw_int, ts) AS last_int, sum(raw_real) AS sum_real,"
                " min(raw_real) AS min_real, max(raw_real) AS max_real,"
                " first(raw_real, ts) AS first_real, last(raw_real, ts) AS last_real,"
                " min(batch) AS lowest_batch, max(batch) AS highest_batch"
                " FROM reading WHERE quality & 255 = 0 GROUP BY 1, 2 WITH NO DATA"
            ).format(aggregate, sql.Literal(width_s))
        )
    # Each of these may be all that an earlier, interrupted run left to do.
    connection.execute(
        "SELECT set_chunk_time_interval(format('%%I.%%I', materialization_hypertable_schema,"
        " materialization_hypertable_name)::regclass, %s::interval)"
        " FROM timescaledb_information.continuous_aggregates"
        " WHERE view_schema = current_schema AND view_name = %s",
        (_CHART_CHUNK, aggregate_name(chart)),
    )
    compressed = connection.execute(
        "SELECT compression_enabled FROM timescaledb_information.continuous_aggregates"
        " WHERE view_schema = current_schema AND view_name = %s",
        (aggregate_name(chart),),
    ).fetchone()
    if compressed == (False,):
        connection.execute(
            sql.SQL(
                "ALTER MATERIALIZED VIEW {} SET (timescaledb.compress = true,"
                " timescaledb.compress_segmentby = 'series_id',"
                " timescaledb.compress_orderby = 'bucket')"
            ).format(aggregate)
        )
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT series_id, bucket, {} FROM {}").format(
            sql.Identifier(chart),
            sql.SQL(", ").join(map(sql.Identifier, _CHART_COLUMNS)),
            aggregate,
        )
    )


def _reader_role(connection: psycopg.Connection[Any]) -> None:
    if not _role(connection, READER_ROLE):
        return  # no right to create roles; the owner still sees everything
    role = sql.Identifier(READER_ROLE)
    for relation in _READABLE:
        connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(relation), role)
        )


def _portal_roles(connection: psycopg.Connection[Any]) -> None:
    # NOINHERIT: what a person sees comes with SET ROLE only, never with the portal's login itself.
    if not (_role(connection, PERSON_ROLE) and _role(connection, PORTAL_ROLE, "NOINHERIT")):
        return  # the portal says what is missing, and does not start
    _member(connection, READER_ROLE, sql.Identifier(PERSON_ROLE))
    _member(connection, PERSON_ROLE, sql.Identifier(PORTAL_ROLE))
    _member(connection, PERSON_ROLE, sql.SQL("CURRENT_USER"))
    connection.execute(
        sql.SQL("GRANT INSERT (request_key, site_id, person_id, asked_by, kind, arguments)"
                " ON work_request TO {}").format(sql.Identifier(PERSON_ROLE))
    )  # fmt: skip
    for privileges, relation in _PORTAL_PRIVILEGES:
        connection.execute(
            sql.SQL("GRANT {} ON {} TO {}").format(
                sql.SQL(privileges), sql.Identifier(relation), sql.Identifier(PORTAL_ROLE)
            )
        )


def _role(connection: psycopg.Connection[Any], name: str, attributes: LiteralString = "") -> bool:
    """Create a role that nobody signs in as, let it into the schema; False if we may not."""
    # Roles belong to the whole server: another database's migration may create it right now.
    connection.execute(
        sql.SQL(
            "DO $$ BEGIN CREATE ROLE {} NOLOGIN {};"
            " EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege"
            " THEN NULL; END $$"
        ).format(sql.Identifier(name), sql.SQL(attributes))
    )
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    if found is None:
        return False
    connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
            sql.Identifier(SCHEMA), sql.Identifier(name)
        )
    )
    return True


def _member(connection: psycopg.Connection[Any], group: str, member: sql.Composable) -> None:
    """Put a role into a group; another's migration may be doing it, or we may not."""
    connection.execute(
        sql.SQL(
            "DO $$ BEGIN GRANT {} TO {};"
            " EXCEPTION WHEN unique_violation OR insufficient_privilege OR internal_error"
            " OR invalid_grant_operation THEN NULL; END $$"
        ).format(sql.Identifier(group), member)
    )
