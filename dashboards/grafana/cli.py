"""``enpilot grafana``: boards as code, and the database role behind each data source."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
import urllib.parse
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import cyclopts

from dashboards.grafana.colours import Theme
from dashboards.grafana.errors import GrafanaSettingsError
from dashboards.grafana.push import Grafana
from dashboards.grafana.push import push as push_to
from dashboards.grafana.render import render as render_files
from dashboards.grafana.role import make_role, revoke_role
from dashboards.grafana.sources import database_settings, enterprise_sources
from enpilot.database import connect, database_url
from enpilot.settings import require_environment

__all__ = ["app"]

app = cyclopts.App(name="grafana", help="Grafana boards as code, and their database roles.")

_PORTAL = "http://127.0.0.1:8080"
_Enterprises = Annotated[list[str], cyclopts.Parameter(negative="")]


@app.command
def render(
    folder: Path,
    *,
    enterprise: _Enterprises,
    timezone: str = "Asia/Shanghai",
    boards: str = "/etc/grafana/boards",
    portal: str | None = None,
    theme: Theme = "light",
) -> None:
    """Write boards, their providers and data sources below a folder.

    Parameters
    ----------
    folder
        Where to write.
    enterprise
        Code of an enterprise that gets a data source; once for each.
    timezone
        The sites' time zone; days and months on the boards are theirs.
    boards
        Folder of the boards as Grafana sees it.
    portal
        Address of the portal, for links; ENPILOT_PORTAL_ADDRESS if not given.
    theme
        Of Grafana: colours in boards do not follow it.
    """
    for file in render_files(
        folder, enterprise_sources(enterprise), timezone=_zone(timezone), boards=boards,
        portal=_portal(portal), theme=theme,
    ):  # fmt: skip
        print(file)


@app.command
def push(
    *,
    enterprise: _Enterprises,
    timezone: str = "Asia/Shanghai",
    portal: str | None = None,
    theme: Theme = "light",
) -> None:
    """Bring a running Grafana up to date: folders, data sources, boards; a second time is nothing.

    ENPILOT_GRAFANA_URL and ENPILOT_GRAFANA_TOKEN say where and as whom.

    Parameters
    ----------
    enterprise
        Code of an enterprise that gets a data source; once for each.
    timezone
        The sites' time zone; days and months on the boards are theirs.
    portal
        Address of the portal, for links; ENPILOT_PORTAL_ADDRESS if not given.
    theme
        Of Grafana: colours in boards do not follow it.
    """
    sources = enterprise_sources(enterprise)
    zone, address, database = _zone(timezone), _portal(portal), database_settings()
    url = require_environment("ENPILOT_GRAFANA_URL", "for instance https://grafana.example.org")
    token = require_environment("ENPILOT_GRAFANA_TOKEN", "of a service account with role Admin")
    with Grafana(url, token) as grafana:
        done = push_to(
            grafana, sources, database, timezone=zone, portal=address, theme=theme
        )  # fmt: skip
    for one in done:
        print(f"{one.change:10} {one.kind:12} {one.uid}" + (f"  {one.note}" if one.note else ""))


@app.command
def role(enterprise: str, *, renew: bool = False, revoke: bool = False) -> None:
    """Make the database role of an enterprise's data source, or bring its grants up to date.

    It reads the sites that the enterprise owns, while it owns them. The password is taken from
    ENPILOT_GRAFANA_PASSWORD_<CODE>, else generated and printed once as a line for an environment
    file; everything else goes to standard error.

    Parameters
    ----------
    enterprise
        Its code.
    renew
        Generate another password, though the role has one.
    revoke
        End its grants and let it sign in no more.
    """
    (source,) = enterprise_sources([enterprise])
    author = _author()
    with connect(database_url(), "grafana role", autocommit=True) as connection:
        if revoke:
            ended = revoke_role(connection, source)
            print(f"{source.role}: {ended} grants ended, it signs in no more", file=sys.stderr)
            return
        row = connection.execute(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (source.role,)
        ).fetchone()
        given = source.password()
        generated = given is None and (renew or row != (True,))
        password = secrets.token_urlsafe(24) if generated else given
        made = make_role(connection, source, password, author)
    said = "created" if made.created else "renewed"
    kept = "" if made.password_set else "; its password stays (--renew makes another)"
    print(f"{made.role}: {said}, {made.ended} grants ended{kept}", file=sys.stderr)
    for span in made.grants:
        until = "" if span.valid_to is None else f" until {span.valid_to:%Y-%m-%d %H:%M%z}"
        print(f"  {span.site} from {span.valid_from:%Y-%m-%d %H:%M%z}{until}", file=sys.stderr)
    if generated:
        print(f"{source.password_variable}={password}")


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # OSError from Python 3.13 on
        raise GrafanaSettingsError(
            "this user has no name, and a grant needs an author: set LOGNAME"
        ) from error


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise GrafanaSettingsError(f"--timezone {name!r}: no such time zone") from error
    return name


def _portal(given: str | None) -> str:
    address = given or os.environ.get("ENPILOT_PORTAL_ADDRESS") or _PORTAL
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or "$" in address:
        raise GrafanaSettingsError(
            f"--portal {address!r}: write the portal's address like https://energy.example.org"
        )
    return address.rstrip("/")
