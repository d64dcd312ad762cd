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

from dashboards.errors import HostRefusedError
from enpilot.database import database_url
from enpilot.listening import is_loopback, listen
from enpilot.logs import configure_logs

__all__ = ["app"]

app = cyclopts.App(name="portal", help="Pages for the plant: overview and performance.")


@app.command
def run(*, host: str = "127.0.0.1", port: int = 8080, behind_proxy: bool = False) -> None:
    """Serve the pages until stopped (SIGINT or SIGTERM).

    Parameters
    ----------
    host
        Address to listen on. The portal has no sign-in: other than this machine only with
        ``--behind-proxy``.
    port
        Port to listen on.
    behind_proxy
        A reverse proxy in front signs users in, and its forwarded headers are believed.
    """
    configure_logs()
    url = database_url()
    if not behind_proxy and not is_loopback(host):
        raise HostRefusedError(
            f"portal: {host} is reachable from outside this machine, and the portal has no sign-in:"
            " listen on 127.0.0.1, or put a proxy that signs users in before it and say"
            " --behind-proxy"
        )
    listening = listen("portal", host, port)
    # uvicorn repeats the signal after its clean end; it must not end us before ours.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        contextlib.closing(listening),
        tempfile.TemporaryDirectory(prefix="enpilot-portal-") as kept,
    ):
        # Our preferences are cookies; NiceGUI should never store, and if so not beside the code.
        os.environ["NICEGUI_STORAGE_PATH"] = kept
        _serve(url, listening, behind_proxy=behind_proxy)


def _serve(url: str, listening: socket.socket, *, behind_proxy: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries, while they load
        import uvicorn  # slow to load, and useless where the address is refused

        from dashboards.portal.app import create_app

    shown, number = listening.getsockname()[:2]
    print(f"portal on http://{shown}:{number}/", flush=True)
    config = uvicorn.Config(
        create_app(url), log_level="warning", access_log=False, proxy_headers=behind_proxy,
        forwarded_allow_ips="*" if behind_proxy else None, timeout_graceful_shutdown=3,
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
