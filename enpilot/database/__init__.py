"""The database that rooms meet in: connections, migrations, capabilities, commit order.

Needs the extra ``server``; an edge gateway never imports this package.
"""

from enpilot.database.capabilities import Capabilities, read_capabilities
from enpilot.database.commit_order import data_version, database_identity, draw_commit_no
from enpilot.database.connection import DatabaseUnavailableError, connect, database_url
from enpilot.database.migrate import (
    MigrationStatus,
    migrate,
    migrate_connection,
    migration_status,
)
from enpilot.database.reconcile import PERSON_ROLE, PORTAL_ROLE
from enpilot.database.service_loop import run_connected

__all__ = [
    "PERSON_ROLE",
    "PORTAL_ROLE",
    "Capabilities",
    "DatabaseUnavailableError",
    "MigrationStatus",
    "connect",
    "data_version",
    "database_identity",
    "database_url",
    "draw_commit_no",
    "migrate",
    "migrate_connection",
    "migration_status",
    "read_capabilities",
    "run_connected",
]
