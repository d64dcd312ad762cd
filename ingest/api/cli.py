"""``enpilot ingest api`` and ``enpilot ingest token``: write over HTTP, and who may."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import signal
import sys
from pathlib import Path

import cyclopts

from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError
from enpilot.listening import is_loopback, listen
from enpilot.logs import configure_logs
from ingest.api import tokens
from ingest.publishers import load_source

__all__ = ["serve", "token"]

token = cyclopts.App(name="token", help="Who may write over HTTP: tokens for one site each.")


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8090,
    behind_proxy: bool = False,
    source: list[Path] | None = None,
) -> None:
    """Take production counts and readings over HTTP until stopped (SIGINT or SIGTERM).

    Parameters
    ----------
    host
        Address to listen on. Tokens travel in the clear without TLS: other than this machine only
        with ``--behind-proxy``.
    port
        Port to listen on.
    behind_proxy
        A reverse proxy in front speaks TLS.
    source
        A source file of kind "rest" whose readings are taken; repeat for several.
    """
    configure_logs()
    url = database_url()
    sources = [load_source(file) for file in source or []]
    for file, described in zip(source or [], sources, strict=True):
        if described.kind != "rest":
            raise ConfigurationError(
                f"{file}: does not come over HTTP: `enpilot ingest publishers run` - at `$.kind`"
            )
    if not behind_proxy and not is_loopback(host):
        raise ConfigurationError(
            f"api: {host} is reachable from outside this machine, and tokens would travel in the "
            "clear: listen on 127.0.0.1, or put a proxy that speaks TLS before it and say "
            "--behind-proxy"
        )
    listening = listen("api", host, port)
    # uvicorn repeats the signal after its clean end; it must not end us before ours.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.closing(listening):
        import uvicorn  # slow to load, and useless where the address is refused

        from ingest.api.app import create_app

        shown, number = listening.getsockname()[:2]
        print(f"api on http://{shown}:{number}/openapi.json", flush=True)
        config = uvicorn.Config(
            create_app(url, sources),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


@token.command
def create(site: str, name: str, *, scope: list[tokens.Scope], days: int = 365) -> None:
    """Make a token and show it, this once.

    Parameters
    ----------
    site
        Code of the only site that it opens.
    name
        Who will hold it, such as "mes-hall-2": the source of what it writes.
    scope
        What it may write; repeat for several.
    days
        For how long it holds.
    """
    valid_to = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    with connect(database_url(), "token", autocommit=True) as connection:
        made = tokens.create_token(connection, site, name, scope, valid_to, getpass.getuser())
    print(f"token {made.token_id} for {name}, until {valid_to:%Y-%m-%d}; it is not shown again:")
    print(made.text)


@token.command(name="list")
def list_tokens() -> None:
    """List tokens, without what they are."""
    with connect(database_url(), "token") as connection:
        rows = connection.execute(
            "SELECT t.token_id, s.code, t.name, array_to_string(t.scopes, ', '), t.valid_to,"
            " t.last_used_at, t.created_by, t.revoked_by, t.revoked_at"
            " FROM api_token t JOIN site s USING (site_id) ORDER BY t.token_id"
        ).fetchall()
    for number, site, name, scopes, valid_to, used, maker, revoker, revoked in rows:
        last = "never used" if used is None else f"used {used:%Y-%m-%d %H:%M} UTC"
        end = (
            f"until {valid_to:%Y-%m-%d}"
            if revoked is None
            else f"revoked {revoked:%Y-%m-%d} by {revoker}"
        )
        print(f"{number:4} {site} {name} ({scopes}): {end}, {last}, by {maker}")
    if not rows:
        print("no tokens")


@token.command
def revoke(number: int) -> None:
    """End a token at once."""
    with connect(database_url(), "token", autocommit=True) as connection:
        tokens.revoke_token(connection, number, getpass.getuser())
    print(f"token {number} is revoked")
