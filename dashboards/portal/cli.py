"""``enpilot portal``: the web pages."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import warnings

import cyclopts
import structlog

from dashboards.portal.access.cli import add_commands, address_of
from dashboards.portal.access.links import first_link
from dashboards.portal.database import check_roles
from enpilot.database import DatabaseUnavailableError, connect, database_url
from enpilot.listening import is_loopback, listen
from enpilot.logs import configure_logs

__all__ = ["app"]

app = cyclopts.App(name="portal", help="Pages for the plant: overview and performance.")
add_commands(app)
_log = structlog.get_logger(__name__)


@app.command
def run(*, host: str = "127.0.0.1", port: int = 8080, behind_proxy: bool = False) -> None:
    """Serve the pages until stopped (SIGINT or SIGTERM).

    As long as there is no person, it prints a one-time link for the first administrator.
    ``ENPILOT_OIDC_ISSUER``, ``ENPILOT_OIDC_CLIENT_ID`` and ``ENPILOT_OIDC_CLIENT_SECRET`` name the
    enterprise's identity provider, if people shall sign in by it too.

    Parameters
    ----------
    host
        Address to listen on. Other than this machine, put a proxy that speaks TLS before it:
        passwords would travel in the clear.
    port
        Port to listen on.
    behind_proxy
        A reverse proxy in front speaks TLS, and its forwarded headers are believed.
    """
    configure_logs()
    url = database_url()
    if not behind_proxy and not is_loopback(host):
        _log.warning(
            "reachable from outside this machine without TLS: passwords travel in the clear;"
            " put a proxy before the portal and say --behind-proxy", host=host,
        )  # fmt: skip
    listening = listen("portal", host, port)
    # uvicorn repeats the signal after its clean end; it must not end us before ours.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        contextlib.closing(listening),
        tempfile.TemporaryDirectory(prefix="enpilot-portal-") as kept,
    ):
        # Our preferences are cookies; NiceGUI should never store, and if so not beside the code.
        os.environ["NICEGUI_STORAGE_PATH"] = kept
        _welcome(url, listening)
        _serve(url, listening, behind_proxy=behind_proxy)


def _welcome(url: str, listening: socket.socket) -> None:
    """See that pages can be read as a person, and print the first administrator's link."""
    try:
        with connect(url, "portal", autocommit=True) as connection:
            check_roles(connection)
            path = first_link(connection, "first start")
    except DatabaseUnavailableError as error:
        _log.warning("no database yet: a first administrator's link is printed by a start with one",
                     error=str(error))  # fmt: skip
        return
    if path is not None:
        address = address_of(path, listening.getsockname()[1])
        print(f"no person yet; the first administrator, once, for 24 hours: {address}", flush=True)


def _serve(url: str, listening: socket.socket, *, behind_proxy: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries, while they load
        import uvicorn  # slow to load, and useless where the address is refused

        from dashboards.portal.access.oidc import settings_from
        from dashboards.portal.app import create_app

    shown, number = listening.getsockname()[:2]
    print(f"portal on http://{shown}:{number}/", flush=True)
    config = uvicorn.Config(
        create_app(url, settings_from()), log_level="warning", access_log=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="*" if behind_proxy else None, timeout_graceful_shutdown=3,
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
