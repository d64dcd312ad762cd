"""Those who get messages in tests: a mail server and an HTTP server that really listen."""

from __future__ import annotations

import email
import http.server
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from enpilot.demo.processes import free_port

__all__ = ["Mailbox", "Webhook", "mailbox", "webhook"]


class Mailbox:
    """A mail server; what it took, in order."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.arrived: queue.SimpleQueue[EmailMessage] = queue.SimpleQueue()
        self.address = ""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.arrived.put(mail)
        return "250 OK"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        box.address = (
            f"mailto://127.0.0.1:{port}/?mode=insecure&from=enpilot@example.org&to=duty@example.org"
        )
        yield box
    finally:
        controller.stop()


class Webhook:
    """An HTTP server; what it took, in order. ``answers`` are its next ones; then 200."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.keys: list[str | None] = []
        self.answers: list[tuple[int, bytes]] = []
        self.open = threading.Event()
        self.open.set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/"


@contextmanager
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.asked += 1
            hook.keys.append(self.headers.get("X-Enpilot-Message"))
            hook.open.wait(30)
            status, answer = hook.answers.pop(0) if hook.answers else (200, b"")
            if status == 200:
                hook.taken.append(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hook
    finally:
        hook.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
