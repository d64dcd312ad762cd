"""Ways to reach people through apprise: mail, webhooks, chat robots, SMS gateways."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import unquote

import apprise
import requests

from analytics.errors import ChannelError
from analytics.settings import Form
from enpilot.settings import SettingsError

__all__ = ["AppriseChannel", "Channel", "Letter", "redacted"]

# Of what an SMS can hold; a service that takes no more gets the short form.
_SHORT_BELOW: Final = 1201
_PLAIN: Final = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
# Values of settings in an address, which are words of sentences too.
_PLAIN_VALUES: Final = frozenset(
    {
        "yes",
        "text",
        "html",
        "markdown",
        "insecure",
        "starttls",
        "ssl",
        "upstream",
        "split",
        "truncate",
    }
)
_LIBRARY: Final = logging.getLogger("apprise")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in the forms that channels take.

    Attributes
    ----------
    key
        The same at each attempt, so that a receiver can tell a repeated one.
    tone
        "info", "success", "warning" or "failure".
    topic
        Site and kind, for the broker.
    content
        What it says as data, for machines; JSON.
    """

    key: str
    subject: str
    text: str
    markdown: str
    short: str
    tone: str
    topic: tuple[str, str]
    content: Mapping[str, Any]


class Channel(Protocol):
    """Where letters go."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    def send(self, letter: Letter) -> None:
        """Send a letter, or raise ChannelError; at most some seconds."""


class AppriseChannel:
    """An apprise address.

    Parameters
    ----------
    name
        In the settings.
    address
        The apprise address: a secret.
    where
        Where the address comes from, for people.
    form
        Of the text; "auto" is chosen by the service.
    timeout_s
        To connect, and for each answer [s].

    Raises
    ------
    SettingsError
        If apprise knows no such service; the address is not shown.
    """

    def __init__(self, name: str, address: str, where: str, form: Form, timeout_s: float) -> None:
        self.name = name
        self._secrets = _secrets(address)
        with _reasons() as reasons:
            service = apprise.Apprise.instantiate(address, asset=_asset(), suppress_exceptions=True)
        if service is None:
            why = f": {redacted('; '.join(reasons), self._secrets)}" if reasons else ""
            raise SettingsError(f"{where}: not an apprise address (see docs/reference){why}")
        service.socket_connect_timeout = service.socket_read_timeout = timeout_s
        self._service = service
        self._scheme = address.split(":", 1)[0].strip().lower()
        if self._scheme.startswith("mailto"):
            service.request_rate_per_sec = 0.0  # robots are given their pauses, mail needs none
        self._form = self._formed(form)
        _check_answers(service)

    def _formed(self, form: Form) -> str:
        if form != "auto":
            return form
        if self._service.body_maxlen < _SHORT_BELOW:
            return "short"
        formats: Any = self._service.notify_format  # one, or several in a tuple
        takes = formats if isinstance(formats, tuple) else (formats,)
        chat = self._scheme not in _PLAIN and not self._scheme.startswith("mailto")
        return "markdown" if chat and apprise.NotifyFormat.MARKDOWN in takes else "text"

    def send(self, letter: Letter) -> None:
        """Send a letter.

        Raises
        ------
        ChannelError
            If it was not taken.
        """
        service: Any = self._service
        if hasattr(service, "headers"):  # mail and webhooks
            service.headers["X-Enpilot-Message"] = letter.key
        if self._scheme in ("json", "jsons"):
            service.payload_extras.update(id=letter.key, **letter.content)
        body = {"markdown": letter.markdown, "short": letter.short}.get(self._form, letter.text)
        as_format = "markdown" if self._form == "markdown" else "text"
        with _reasons() as reasons:
            try:
                taken = service.notify(
                    title="" if self._form == "short" else letter.subject,
                    body=body,
                    notify_type=apprise.NotifyType(letter.tone),
                    body_format=apprise.NotifyFormat(as_format),
                )
            except Exception as error:  # noqa: BLE001  # whatever a service's code raises
                reasons.append(f"{type(error).__name__}: {error}")
                taken = False
        if not taken:
            said = "; ".join(dict.fromkeys(reasons)) or "the service did not take it"
            raise ChannelError(redacted(said, self._secrets))


def _asset() -> apprise.AppriseAsset:
    return apprise.AppriseAsset(
        app_id="Enpilot", app_desc="Enpilot", app_url="", secure_logging=True,
        async_mode=False, storage_mode=apprise.PersistentStoreMode.MEMORY,
    )  # fmt: skip


def _secrets(address: str) -> list[str]:
    """Return the parts of an address that nobody shall read, the longest first."""
    place, _, query = address.partition("://")[2].partition("?")
    parts = re.split(r"[/:@,#\s]+", place)
    for pair in query.split("&"):
        parts += re.split(r"[@,\s]+", pair.partition("=")[2])
    # As they stand in the address, and as they are meant: %40 is an @.
    both = {*parts, *map(unquote, parts), address}
    return sorted((p for p in both if len(p) > 2 and p not in _PLAIN_VALUES), key=len)[::-1]


def redacted(text: str, secrets: list[str]) -> str:
    """Return a sentence without secrets, in one line.

    Parameters
    ----------
    text
        What a service or the library said.
    secrets
        Parts of the address; those of one or two characters are not hidden.

    Returns
    -------
    str
        At most 300 characters, each secret as "***" (D19).
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"\s+", " ", text).strip()[:300]


class _Reasons(logging.Handler):
    """Keeps what the library logs in the thread that sends: it returns true or false, no reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.held = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        reasons: list[str] | None = getattr(self.held, "reasons", None)
        if reasons is not None:
            reasons.append(record.getMessage())


_HANDLER: Final = _Reasons()
_LIBRARY.addHandler(_HANDLER)
_LIBRARY.propagate = False  # its lines name hosts and people


@contextlib.contextmanager
def _reasons() -> Iterator[list[str]]:
    reasons: list[str] = []
    _HANDLER.held.reasons = reasons
    try:
        yield reasons
    finally:
        _HANDLER.held.reasons = None


# These services answer 200 to what they refuse, and say so inside; apprise looks at the status.
_ANSWERING: Final = {
    "dingtalk": ("errcode", "errmsg"), "wecombot": ("errcode", "errmsg"),
    "feishu": ("code", "msg"), "lark": ("code", "msg"),
}  # fmt: skip


class _Answers:
    """Stands for the HTTP library in a plugin: a refusal inside of an answer becomes its status."""

    def __init__(self, code: str, message: str) -> None:
        self._code, self._message = code, message

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.post(*args, **kwargs)  # noqa: S113  # the plugin gives its timeout
        with contextlib.suppress(ValueError, AttributeError):
            said = json.loads(response.content)
            if response.status_code == requests.codes.ok and said.get(self._code, 0) != 0:
                _LIBRARY.warning("refused: %s %s", said[self._code], said.get(self._message, ""))
                response.status_code = 502
        return response


def _check_answers(service: Any) -> None:
    plugin: Any = sys.modules[type(service).__module__]
    keys = _ANSWERING.get(plugin.__name__.rsplit(".", 1)[-1])
    if keys is not None and not isinstance(plugin.requests, _Answers):
        plugin.requests = _Answers(*keys)
