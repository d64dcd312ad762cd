"""Pushing to a server that speaks the endpoints used and keeps what it is given."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dashboards.grafana.errors import GrafanaAwayError, GrafanaRefusedError, GrafanaSettingsError
from dashboards.grafana.push import Grafana, Pushed, push
from dashboards.grafana.sources import enterprise_sources

TOKEN = "glsa-test"
VARIABLE = "ENPILOT_GRAFANA_PASSWORD_WORKS"
DATABASE = {"host": "db:5432", "database": "enpilot", "sslmode": "require"}


class Server(ThreadingHTTPServer):
    """Holds folders, data sources and boards, and counts what was written."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folders: dict[str, Any] = {}
        self.sources: dict[str, Any] = {}
        self.boards: dict[str, Any] = {}
        self.password = "right"  # what the database takes
        self.writes: list[str] = []
        self.answer: tuple[int, Any] | None = None  # instead of any of its own

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/sub"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer("GET", {})

    def do_POST(self) -> None:
        self._answer("POST", self._body())

    def do_PUT(self) -> None:
        self._answer("PUT", self._body())

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, method: str, body: Any) -> None:
        status, said = self._found(method, body)
        text = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _found(self, method: str, body: Any) -> tuple[int, Any]:
        if self.server.answer is not None:
            return self.server.answer
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if method != "GET":
            self.server.writes.append(f"{method} {self.path}")
        parts = urllib.parse.urlsplit(self.path).path.removeprefix("/sub/api/").split("/")
        match method, parts:
            case "GET", ["health"]:
                return 200, {"database": "ok", "version": "12.2.1"}
            case _, ["folders", *rest]:
                return self._kept(self.server.folders, method, rest, body)
            case "GET", ["datasources", "uid", uid, "health"]:
                found = self.server.sources[uid].get("secureJsonData", {}).get("password")
                if found == self.server.password:
                    return 200, {"status": "OK", "message": "Database Connection OK"}
                return 400, {"status": "ERROR", "message": "password authentication failed"}
            case _, ["datasources", *rest]:
                return self._source(method, rest[1:], body)
            case "GET", ["dashboards", "uid", uid]:
                if uid not in self.server.boards:
                    return 404, {"message": "Dashboard not found"}
                return 200, self.server.boards[uid]
            case "POST", ["dashboards", "db"]:
                return self._board(body)
        return 404, {"message": "Not found"}

    def _kept(
        self, kept: dict[str, Any], method: str, rest: list[str], body: Any
    ) -> tuple[int, Any]:
        uid = rest[0] if rest else body["uid"]
        if method == "GET":
            return (200, kept[uid]) if uid in kept else (404, {"message": "not found"})
        if method == "POST" and uid in kept:
            return 412, {"message": "the folder has been changed by someone else"}
        kept[uid] = kept.get(uid, {}) | body | {"uid": uid, "id": len(kept) + 1}
        return 200, kept[uid]

    def _source(self, method: str, rest: list[str], body: Any) -> tuple[int, Any]:
        uid = rest[0] if rest else body["uid"]
        secret = self.server.sources.get(uid, {}).get("secureJsonData", {})
        if method != "GET":
            body = {**body, "secureJsonData": secret | body.get("secureJsonData", {})}
        status, found = self._kept(self.server.sources, method, [uid], body)
        # What is secret is never said again.
        return status, {k: v for k, v in found.items() if k != "secureJsonData"} | {
            "readOnly": False, "secureJsonFields": {"password": True},
        }  # fmt: skip

    def _board(self, body: Any) -> tuple[int, Any]:
        uid = body["dashboard"]["uid"]
        old = self.server.boards.get(uid)
        if old is not None and not body["overwrite"]:
            return 412, {"message": "a dashboard with the same uid already exists"}
        version = 1 if old is None else old["dashboard"]["version"] + 1
        # As Grafana: numbered, lifted to its newest schema, with fields of its own.
        stored = body["dashboard"] | {"id": 7, "version": version, "schemaVersion": 99}
        for panel in stored["panels"]:
            panel["pluginVersion"] = "12.2.1"
        self.server.boards[uid] = {"dashboard": stored, "meta": {"folderUid": body["folderUid"]}}
        return 200, {"uid": uid, "version": version, "status": "success"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv(VARIABLE, "right")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join(10)


def push_works(server: Server, **other: Any) -> list[Pushed]:
    with Grafana(server.url, other.pop("token", TOKEN)) as grafana:
        return push(
            grafana, enterprise_sources(["works"]), other.pop("database", DATABASE),
            timezone="Asia/Shanghai", portal="https://p.example", theme="light", **other,
        )  # fmt: skip


def changed(done: list[Pushed]) -> list[tuple[str, str]]:
    return [(one.uid, one.change) for one in done if one.change != "unchanged"]


def test_a_second_push_changes_nothing(server: Server) -> None:
    first = push_works(server)
    assert {one.change for one in first} == {"created"}
    assert len(first) == 2 + 1 + 10
    assert len(server.writes) == len(first)
    assert {b["meta"]["folderUid"] for b in server.boards.values()} == {"enpilot-zh", "enpilot-en"}
    server.writes.clear()
    second = push_works(server)
    assert changed(second) == []
    assert server.writes == []
    assert [one.note for one in second if one.note] == []


def test_what_somebody_changed_is_put_right_and_nothing_else(server: Server) -> None:
    push_works(server)
    server.writes.clear()
    server.boards["enpilot-wall-zh"]["dashboard"]["panels"][0]["title"] = "mine"
    server.boards["enpilot-load-en"]["meta"]["folderUid"] = "elsewhere"
    server.boards["enpilot-enpi-en"]["dashboard"]["panels"].pop()
    server.folders["enpilot-en"]["title"] = "mine"
    other = DATABASE | {"sslmode": "verify-full"}
    assert sorted(changed(push_works(server, database=other))) == [
        ("enpilot-en", "updated"), ("enpilot-enpi-en", "updated"), ("enpilot-load-en", "updated"),
        ("enpilot-wall-zh", "updated"), ("enpilot-works", "updated"),
    ]  # fmt: skip
    assert server.boards["enpilot-wall-zh"]["dashboard"]["version"] == 2
    assert changed(push_works(server, database=other)) == []


def test_a_renewed_password_is_written_and_a_wrong_one_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_works(server)
    server.password = "renewed"
    (source,) = [one for one in push_works(server) if one.kind == "data source"]
    assert "password authentication failed" in source.note
    monkeypatch.setenv(VARIABLE, "renewed")
    (source,) = [one for one in push_works(server) if one.kind == "data source"]
    assert (source.change, source.note) == ("updated", "")
    monkeypatch.delenv(VARIABLE)
    # Without it in the environment, Grafana keeps the one that it has.
    assert changed(push_works(server)) == []


def test_a_new_source_needs_its_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(GrafanaSettingsError, match="`enpilot grafana role works`"):
        push_works(server)
    assert server.sources == {}


def test_a_refusal_says_what_helps(server: Server) -> None:
    with pytest.raises(GrafanaSettingsError, match="does not know the token"):
        push_works(server, token="old")
    for answer, error, said in (
        ((403, {"message": "no"}), GrafanaSettingsError, "role Admin"),
        ((403, {"message": "Cannot update read-only data source"}), GrafanaRefusedError,
         "render again"),
        ((503, b"<html>"), GrafanaAwayError, "HTTP 503"),
        ((200, b"<html>"), GrafanaRefusedError, "is not Grafana's API"),
        ((200, {"status": "ok"}), GrafanaRefusedError, "is not Grafana"),
        ((400, {"message": "Cannot save provisioned dashboard"}), GrafanaRefusedError,
         "render again"),
    ):  # fmt: skip
        server.answer = answer
        with pytest.raises(error, match=said) as raised:
            push_works(server)
        assert TOKEN not in str(raised.value)


def test_nobody_there_is_tried_again_later() -> None:
    with (
        Grafana("http://127.0.0.1:9", TOKEN) as grafana,
        pytest.raises(GrafanaAwayError, match="ENPILOT_GRAFANA_URL"),
    ):
        grafana.get("/api/health")
    for address in ("grafana:3000", "ftp://g", "http://me:secret@g"):
        with pytest.raises(GrafanaSettingsError) as raised:
            Grafana(address, TOKEN)
        assert "secret" not in str(raised.value)
