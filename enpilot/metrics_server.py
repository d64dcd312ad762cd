"""A small server in a running service: Prometheus metrics at /metrics, and what else it shows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from enpilot.errors import ConfigurationError

__all__ = ["Shown", "serving_metrics"]


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer: HTTP status, type and body."""

    status: int
    content_type: str
    body: bytes


@contextlib.contextmanager
def serving_metrics(
    service: str,
    collector: Collector,
    address: tuple[str, int | None],
    *,
    setting: str,
    pages: Mapping[str, Callable[[], Shown]] | None = None,
) -> Iterator[int | None]:
    """Serve until left; yields the port, None if none is wanted.

    Parameters
    ----------
    service
        Whose log says where it listens.
    collector
        What /metrics shows.
    address
        Host and port; without a port nothing is served, port 0 is a free one.
    setting
        Where the address is set, for the message of an error.
    pages
        Further paths and what they answer.

    Raises
    ------
    ConfigurationError
        If the address cannot be listened on.
    """
    host, port = address
    if port is None:
        yield None
        return
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    answers: dict[str, Callable[[], Shown]] = {
        "/metrics": lambda: Shown(200, "text/plain; version=0.0.4", generate_latest(registry)),
        **(pages or {}),
    }
    missing = Shown(404, "text/plain", " or ".join(answers).encode() + b"\n")

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            shown = answers.get(self.path, lambda: missing)()
            self.send_response(shown.status)
            self.send_header("Content-Type", shown.content_type)
            self.send_header("Content-Length", str(len(shown.body)))
            self.end_headers()
            self.wfile.write(shown.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # inherited name
            """Say nothing: a scrape every few seconds is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}: name another port - at `{setting}`"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    structlog.get_logger(service).info("metrics", address=f"{host}:{server.server_port}")
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
