"""``enpilot alerts``: watch thresholds, or try out where messages go."""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading
from pathlib import Path
from typing import Any, Final

import apprise
import cyclopts
import psycopg
import structlog

from analytics.alerts.evaluate import evaluate
from analytics.alerts.notify import Notifier, notify_pending
from analytics.settings import AlertSettings
from enpilot.database import database_url, run_connected
from enpilot.errors import ConfigurationError, PermanentError
from enpilot.logs import configure_logs
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="alerts", help="Threshold rules and their messages.")
_log = structlog.get_logger("alerts")
_AFTER_FAILURE_S: Final = 30.0


@app.command
def run(settings: Path | None = None) -> None:
    """Evaluate rules and send messages until stopped (SIGINT or SIGTERM).

    Parameters
    ----------
    settings
        TOML file; defaults without one.
    """
    configure_logs()
    chosen = load_settings(settings, AlertSettings)
    url = database_url()
    notifier = _notifier(chosen)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if not len(notifier):
        _log.warning("no address to send to: events are only kept", set=chosen.notify_variable)
    stale_after = dt.timedelta(seconds=chosen.stale_after_s)
    unsent = False

    def step(connection: psycopg.Connection[Any]) -> float:
        nonlocal unsent
        evaluate(connection, dt.datetime.now(dt.UTC), stale_after)
        sent, failed = notify_pending(connection, notifier)
        if failed and not unsent:
            _log.warning("a message was not taken; it stays and is tried again")
        if sent and unsent and not failed:
            _log.info("messages go out again")
        unsent = bool(failed) or (unsent and not sent)
        # A dead webhook is not hammered.
        return _AFTER_FAILURE_S if failed else chosen.every_s

    run_connected(url, "alerts", stop, step)


@app.command(name="test")
def send_test_message(settings: Path | None = None) -> None:
    """Send one test message to every address.

    Parameters
    ----------
    settings
        TOML file; defaults without one.
    """
    chosen = load_settings(settings, AlertSettings)
    notifier = _notifier(chosen)
    if not len(notifier):
        raise ConfigurationError(f"set {chosen.notify_variable}: apprise addresses, spaces between")
    if not notifier.send("Enpilot", "测试消息 / test message", apprise.NotifyType.INFO):
        raise PermanentError("a test message was not taken by every address")
    print(f"sent to {len(notifier)} addresses")


def _notifier(settings: AlertSettings) -> Notifier:
    notifier = Notifier(os.environ.get(settings.notify_variable, "").split())
    if notifier.refused:
        raise ConfigurationError(
            f"{settings.notify_variable}: {notifier.refused} of the addresses are not apprise"
            " addresses (see the apprise documentation)"
        )
    return notifier
