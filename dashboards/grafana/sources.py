"""One data source, and behind it one database role, for each enterprise (D19)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dashboards.grafana.errors import GrafanaSettingsError
from dashboards.grafana.panels import SOURCE_TYPE

__all__ = ["DATABASE_VARIABLES", "EnterpriseSource", "database_settings", "enterprise_sources"]

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_UID_LENGTH, _ROLE_LENGTH = 40, 63  # most that Grafana and PostgreSQL take

# Where Grafana finds the database. Without a choice of its own, TLS is not optional.
DATABASE_VARIABLES: Final = {
    "ENPILOT_GRAFANA_DATABASE_HOST": None,
    "ENPILOT_GRAFANA_DATABASE": "enpilot",
    "ENPILOT_GRAFANA_DATABASE_SSLMODE": "require",
}


@dataclass(frozen=True, slots=True)
class EnterpriseSource:
    """What an enterprise's data source is called everywhere.

    Attributes
    ----------
    code
        The enterprise, as the plant file names it.
    """

    code: str

    @property
    def uid(self) -> str:
        """Grafana's name of the data source in addresses."""
        return _within(f"enpilot-{self.code}", _UID_LENGTH)

    @property
    def name(self) -> str:
        """What people choose it by."""
        return f"Enpilot {self.code}"

    @property
    def role(self) -> str:
        """The database role that it signs in as."""
        return _within(f"grafana_{self.code}", _ROLE_LENGTH)

    @property
    def password_variable(self) -> str:
        """The environment variable that holds the role's password."""
        return f"ENPILOT_GRAFANA_PASSWORD_{self.code.upper().replace('-', '_')}"

    def password(self) -> str | None:
        """Return the password from the environment, None if none is set."""
        return os.environ.get(self.password_variable) or None

    def settings(self, host: str, database: str, sslmode: str) -> dict[str, Any]:
        """Return what Grafana stores of the data source, apart from the password."""
        return {
            "name": self.name,
            "uid": self.uid,
            "type": SOURCE_TYPE,
            "access": "proxy",
            "url": host,
            "user": self.role,
            "jsonData": {
                "database": database,
                "sslmode": sslmode,
                "postgresVersion": 1500,
                "timescaledb": False,
                # Fewer than the role may have, so that a second Grafana finds some left.
                "maxOpenConns": 8,
                "maxIdleConns": 2,
                "connMaxLifetime": 3600,
            },
        }


def enterprise_sources(codes: Iterable[str]) -> list[EnterpriseSource]:
    """Return the data sources of enterprises.

    Raises
    ------
    GrafanaSettingsError
        Without a code, with one that no plant file could hold, or with two that would share a
        password's variable.
    """
    found = [EnterpriseSource(code) for code in dict.fromkeys(codes)]
    if not found:
        raise GrafanaSettingsError(
            "no enterprise is named, so there would be no data source: say --enterprise CODE, with"
            " the `code` of [[enterprise]] in the plant file"
        )
    for source in found:
        if not _CODE.fullmatch(source.code):
            raise GrafanaSettingsError(
                f"--enterprise {source.code!r}: not a code of [[enterprise]] in a plant file"
            )
    variables: dict[str, str] = {}
    for source in found:
        other = variables.setdefault(source.password_variable, source.code)
        if other != source.code:
            raise GrafanaSettingsError(
                f"enterprises {other!r} and {source.code!r} would share the password in"
                f" {source.password_variable}: render or push them apart"
            )
    return found


def database_settings() -> dict[str, str]:
    """Return host, database and TLS mode from the environment, as Grafana is to use them.

    Raises
    ------
    GrafanaSettingsError
        If the host is not set.
    """
    values = {name: os.environ.get(name) or value for name, value in DATABASE_VARIABLES.items()}
    host, database, sslmode = values.values()
    if host is None or database is None or sslmode is None:
        raise GrafanaSettingsError(
            "ENPILOT_GRAFANA_DATABASE_HOST is not set: the database as Grafana reaches it, for"
            " instance timescaledb:5432"
        )
    return {"host": host, "database": database, "sslmode": sslmode}


def _within(name: str, length: int) -> str:
    if len(name) <= length:
        return name
    return f"{name[: length - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
