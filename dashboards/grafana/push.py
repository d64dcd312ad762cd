"""Push folders, data sources and boards to a running Grafana; what is there already stays."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias

import httpx

from dashboards.grafana.boards import BOARDS, board_json
from dashboards.grafana.colours import Theme
from dashboards.grafana.errors import GrafanaAwayError, GrafanaRefusedError, GrafanaSettingsError
from dashboards.grafana.panels import Look
from dashboards.grafana.render import FOLDERS, LANGUAGES
from dashboards.grafana.sources import EnterpriseSource

__all__ = ["Grafana", "Pushed", "push"]

Change: TypeAlias = Literal["created", "updated", "unchanged"]
_TIMEOUT_S: Final = 15.0
# Grafana numbers what it stores, and lifts the schema of boards to its own.
_OF_GRAFANA: Final = ("id", "version", "schemaVersion")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one thing."""

    kind: Literal["folder", "data source", "board"]
    uid: str
    change: Change
    note: str = ""


class Grafana:
    """A Grafana that is spoken to over HTTP.

    Parameters
    ----------
    url
        Its address, with the path below which it is served.
    token
        Of a service account.

    Raises
    ------
    GrafanaSettingsError
        If the address cannot be one.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise GrafanaSettingsError(
                "ENPILOT_GRAFANA_URL is no address of a Grafana: write it like"
                " https://grafana.example.org, without a user"
            )
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_S
        )

    def __enter__(self) -> Self:
        """Return itself; leaving closes the connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str) -> Any:
        """Return what is at a path, None if nothing is."""
        return self._ask("GET", path, None, absent=True)

    def send(self, method: Literal["POST", "PUT"], path: str, body: dict[str, Any]) -> Any:
        """Send something and return the answer."""
        return self._ask(method, path, body, absent=False)

    def data_source_fault(self, uid: str) -> str | None:
        """Return why a data source does not reach its database, None if it does."""
        answer = self._request("GET", f"/api/datasources/uid/{uid}/health", None)
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            self._refused(answer, uid)
        found = self._json(answer)
        if answer.is_success and found.get("status") == "OK":
            return None
        return str(found.get("message") or f"HTTP {answer.status_code}")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, *, absent: bool) -> Any:
        answer = self._request(method, path, body)
        if absent and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            self._refused(answer, f"{method} {path}")
        return self._json(answer)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise GrafanaAwayError(
                f"Grafana at {self.url} does not answer: {error or type(error).__name__}; is it up,"
                " and ENPILOT_GRAFANA_URL its address?"
            ) from error
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise GrafanaAwayError(
                f"Grafana at {self.url} cannot now: HTTP {answer.status_code} to {method} {path};"
                " try again, and see its log"
            )
        return answer

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise GrafanaRefusedError(
                f"what answers at {self.url} is not Grafana's API (HTTP {answer.status_code}, no"
                " JSON): ENPILOT_GRAFANA_URL takes the address without /login or /api"
            ) from error

    def _said(self, answer: httpx.Response) -> str:
        found = self._json(answer)
        return str(found.get("message", "")) if isinstance(found, dict) else ""

    def _refused(self, answer: httpx.Response, what: str) -> None:
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise GrafanaSettingsError(
                f"Grafana at {self.url} does not know the token in ENPILOT_GRAFANA_TOKEN: make one"
                " under Administration, Service accounts"
            )
        said = self._said(answer)
        from_files = any(word in said.lower() for word in ("provisioned", "read-only"))
        if answer.status_code == httpx.codes.FORBIDDEN and not from_files:
            raise GrafanaSettingsError(
                f"the token in ENPILOT_GRAFANA_TOKEN may not {what}: give its service account the"
                " role Admin, data sources need it"
            )
        remedy = (
            "; it comes from files there: take the provisioning files away, or render again"
            " instead of pushing" if from_files else ""
        )  # fmt: skip
        raise GrafanaRefusedError(
            f"Grafana at {self.url} refused {what}: HTTP {answer.status_code} {said}{remedy}"
        )


def push(
    grafana: Grafana,
    sources: Sequence[EnterpriseSource],
    database: dict[str, str],
    *,
    timezone: str,
    portal: str,
    theme: Theme,
) -> list[Pushed]:
    """Bring a Grafana to what this version has; a second time changes nothing.

    Parameters
    ----------
    grafana
        Where to.
    sources
        Of the enterprises whose sites are shown.
    database
        ``host``, ``database`` and ``sslmode`` as Grafana reaches the database.
    timezone
        The sites' time zone.
    portal
        Address of the portal.
    theme
        Of Grafana.

    Raises
    ------
    GrafanaSettingsError
        If address, token or a password is missing or wrong.
    GrafanaRefusedError
        If Grafana says no for another reason.
    GrafanaAwayError
        If it does not answer.
    """
    found = grafana.get("/api/health")
    if not isinstance(found, dict) or "database" not in found:
        raise GrafanaRefusedError(
            f"what answers at {grafana.url} is not Grafana: it has no /api/health"
        )
    done = [_folder(grafana, *FOLDERS[language]) for language in LANGUAGES]
    done += [_data_source(grafana, source, source.settings(**database)) for source in sources]
    for language in LANGUAGES:
        look = Look(language, theme, portal)
        for board in BOARDS:
            model = board_json(board, look, timezone)
            done.append(_board(grafana, model, FOLDERS[language][0]))
    return done


def _folder(grafana: Grafana, uid: str, title: str) -> Pushed:
    found = grafana.get(f"/api/folders/{uid}")
    if found is None:
        grafana.send("POST", "/api/folders", {"uid": uid, "title": title})
        return Pushed("folder", uid, "created")
    if found["title"] == title:
        return Pushed("folder", uid, "unchanged")
    grafana.send("PUT", f"/api/folders/{uid}", {"title": title, "overwrite": True})
    return Pushed("folder", uid, "updated")


def _data_source(grafana: Grafana, source: EnterpriseSource, wanted: dict[str, Any]) -> Pushed:
    """Write a data source that differs, or whose password does not work any more."""
    path = f"/api/datasources/uid/{source.uid}"
    found = grafana.get(path)
    password = source.password()
    body = wanted | ({"secureJsonData": {"password": password}} if password else {})
    change: Change = "unchanged"
    if found is None:
        if password is None:
            raise GrafanaSettingsError(
                f"{source.password_variable} is not set, and data source {source.name!r} is new:"
                f" `enpilot grafana role {source.code}` makes the role and says its password"
            )
        grafana.send("POST", "/api/datasources", body)
        change = "created"
    elif not _holds(wanted, found):
        # Without a password in it, Grafana keeps the one that it has.
        grafana.send("PUT", path, body)
        change = "updated"
    # A password cannot be read back: whether it is the right one is seen by using it.
    fault = grafana.data_source_fault(source.uid)
    if fault is not None and change == "unchanged" and password is not None:
        grafana.send("PUT", path, body)
        change, fault = "updated", grafana.data_source_fault(source.uid)
    note = "" if fault is None else f"does not reach its database: {fault}"
    return Pushed("data source", source.uid, change, note)


def _board(grafana: Grafana, model: dict[str, Any], folder: str) -> Pushed:
    uid = model["uid"]
    found = grafana.get(f"/api/dashboards/uid/{uid}")
    wanted = {name: value for name, value in model.items() if name not in _OF_GRAFANA}
    there = found is not None and found["meta"].get("folderUid") == folder
    if there and _holds(wanted, found["dashboard"]):
        return Pushed("board", uid, "unchanged")
    grafana.send(
        "POST",
        "/api/dashboards/db",
        {"dashboard": model, "folderUid": folder, "overwrite": True, "message": "enpilot push"},
    )
    return Pushed("board", uid, "created" if found is None else "updated")


def _holds(wanted: Any, found: Any) -> bool:
    """Say whether everything wanted is there: Grafana adds fields of its own to what it stores."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and _holds(value, found[name]) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(map(_holds, wanted, found))
        )
    return bool(wanted == found)
