"""``enpilot edge diagnose``: what a stranger needs to help, in one file without secrets."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import platform
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from edge_agent.check_cli import check
from edge_agent.clock import kernel_clock_is_synchronised
from edge_agent.outbox import read_dead_letters, read_streams, read_usage
from edge_agent.settings import EdgeSettings
from enpilot.errors import EnpilotError
from enpilot.settings import load_settings

__all__ = ["diagnose"]

_PACKAGES: Final = ("enpilot", "aiomqtt", "paho-mqtt", "msgspec", "zstandard", "structlog")
# A key that sounds like a secret, in TOML, and what stands behind it.
_SECRET: Final = re.compile(
    r"(?im)^(\s*#?\s*[\w.\"-]*(?:password|secret|token|api_?key|credential)[\w.\"-]*\s*=\s*)(.+)$"
)
_NAME_OF_A_VARIABLE: Final = re.compile(r"password_variable|token_variable", re.IGNORECASE)
_IN_A_URL: Final = re.compile(r"(\w+://[^\s/:@\"']*):[^\s/@\"']+@")
_ASK_S: Final = 5.0


def diagnose(settings: Path, *, out: Path | None = None) -> None:
    """Put settings, plant, plan, outbox figures and metrics into one ZIP file, without secrets.

    Parameters
    ----------
    settings
        TOML file of the agent; it may be running.
    out
        Where to write; left out, a file in the current folder named after agent and time.
    """
    chosen = load_settings(settings, EdgeSettings)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    file = out or Path(f"enpilot-diagnosis-{chosen.agent}-{stamp}.zip")
    parts: dict[str, Callable[[], str]] = {
        "machine.json": lambda: _json(_machine(chosen)),
        "settings.toml": lambda: _without_secrets(settings.read_text("utf-8")),
        "plant.toml": lambda: _without_secrets(chosen.plant.read_text("utf-8")),
        "check.txt": lambda: _output_of(
            lambda: check(chosen.plant, agent=chosen.agent, settings=settings)
        ),
        "learned.json": lambda: _text_of(chosen.outbox.with_suffix(".learned.json")),
        "outbox.json": lambda: _json(
            {
                "usage": read_usage(chosen.outbox, chosen.limits),
                "streams": read_streams(chosen.outbox),
                "dead": read_dead_letters(chosen.outbox),
            }
        ),
        "health.json": lambda: _ask(chosen, "/health"),
        "metrics.txt": lambda: _ask(chosen, "/metrics"),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, make in parts.items():
            try:
                content = make()
            except (EnpilotError, OSError, UnicodeDecodeError) as error:
                name, content = f"{name}.missing.txt", f"{error}\n"
            bundle.writestr(name, content)
    print(f"{file}: {len(parts)} parts; read it before you pass it on")


def _without_secrets(text: str) -> str:
    def hide(found: re.Match[str]) -> str:
        if _NAME_OF_A_VARIABLE.search(found[1]):
            return found[0]
        return f'{found[1]}"(removed)"'

    return _IN_A_URL.sub(r"\1:(removed)@", _SECRET.sub(hide, text))


def _machine(settings: EdgeSettings) -> dict[str, Any]:
    disk = shutil.disk_usage(settings.outbox.parent if settings.outbox.parent.exists() else ".")
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel_clock_synchronised": kernel_clock_is_synchronised(),
        "seconds_since_boot": round(time.clock_gettime(time.CLOCK_BOOTTIME)),
        "python": sys.version,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "disk_free_bytes": disk.free,
        "disk_bytes": disk.total,
        "packages": versions,
        # Whether they are set, never to what.
        "environment": {name: "set" for name in sorted(os.environ) if name.startswith("ENPILOT_")},
    }


def _json(content: object) -> str:
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def _text_of(file: Path) -> str:
    return file.read_text("utf-8")


def _output_of(act: Callable[[], None]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            act()
        except EnpilotError as error:
            print(error)
    return printed.getvalue()


def _ask(settings: EdgeSettings, path: str) -> str:
    if settings.web.port is None:
        raise OSError("the agent has no port - at `$.web.port`")
    url = f"http://{settings.web.host}:{settings.web.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=_ASK_S) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())
