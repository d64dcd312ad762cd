"""The service of alerts: one loop evaluates, one delivers, each on its own connection.

What hangs in a channel, or in the database's answer to one loop, delays the other one not at all.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading
from typing import Any, Final

import psycopg
import structlog

from analytics.alerts.delivery import Delivery, Recipients, load_recipients
from analytics.alerts.evaluate import Evaluator
from analytics.alerts.morning import MorningTimes, write_morning_messages
from analytics.alerts.presets import sync_presets
from analytics.alerts.turns import DELIVERS, take_turn
from analytics.settings import AlertSettings
from enpilot.database import run_connected
from enpilot.settings import SettingsError

__all__ = ["portal_address", "run_alerts"]

_PRESETS_EVERY: Final = dt.timedelta(seconds=60)
_MORNING_EVERY: Final = dt.timedelta(seconds=30)
# What is under way when the service stops is waited for, so that it is not sent twice.
_FINISH_S: Final = 3.0
_log = structlog.get_logger("alerts")


def portal_address(settings: AlertSettings) -> str | None:
    """Return the address with which the links of messages begin.

    Parameters
    ----------
    settings
        As written.

    Returns
    -------
    str or None
        That of the settings, else of ENPILOT_PORTAL_ADDRESS; without either there are no links.
        F38.
    """
    return settings.portal_address or os.environ.get("ENPILOT_PORTAL_ADDRESS") or None


def run_alerts(settings: AlertSettings, url: str) -> None:
    """Evaluate and deliver until a signal to stop.

    Parameters
    ----------
    settings
        How often, and who is told.
    url
        Of the database.

    Raises
    ------
    SettingsError
        If an address cannot be used (F38).
    """
    groups = load_recipients(settings)
    if not groups:
        _log.warning("nobody to send to: messages are only kept", set=settings.notify_variable)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    evaluate = _Evaluate(settings)
    if not groups:
        run_connected(url, "alerts", stop, evaluate.step)
        return
    deliver = _Deliver(settings, groups, stop)
    faults: list[BaseException] = []

    def delivering() -> None:
        try:
            run_connected(url, "alert-delivery", stop, deliver.step)
        except BaseException as fault:  # noqa: BLE001  # ends the service, with its reason
            faults.append(fault)
            stop.set()

    thread = threading.Thread(target=delivering, name="delivery")
    thread.start()
    try:
        run_connected(url, "alerts", stop, evaluate.step)
    finally:
        stop.set()
        thread.join()
    if faults:
        raise faults[0]


def _morning_times(settings: AlertSettings) -> MorningTimes:
    at, until = (dt.time.fromisoformat(t) for t in (settings.morning_at, settings.morning_until))
    if at >= until:
        raise SettingsError(
            f"no message can be sent from {at:%H:%M} until {until:%H:%M} - at `$.morning_until`"
        )
    return MorningTimes(at, until)


class _Evaluate:
    """What one round of evaluation needs to know of the rounds before."""

    def __init__(self, settings: AlertSettings) -> None:
        self._every_s = settings.every_s
        self._evaluator = Evaluator(dt.timedelta(seconds=settings.stale_after_s))
        self._presets_at: dt.datetime | None = None
        self._active: bool | None = None

    def step(self, connection: psycopg.Connection[Any]) -> float:
        """Do one round; return how long to wait for the next [s]."""
        now = dt.datetime.now(dt.UTC)
        active = take_turn(connection)
        if active is not self._active:
            _log.info("evaluating" if active else "another process evaluates; standing by")
            self._active = active
        if not active:
            return self._every_s
        if self._presets_at is None or now - self._presets_at >= _PRESETS_EVERY:
            sync_presets(connection, now)
            self._presets_at = now
        self._evaluator.run(connection, dt.datetime.now(dt.UTC))
        return self._every_s


class _Deliver:
    """The same of delivery."""

    def __init__(
        self, settings: AlertSettings, groups: list[Recipients], stop: threading.Event
    ) -> None:
        self._every_s = settings.every_s
        self._delivery = Delivery(groups, portal_address(settings))
        self._times = _morning_times(settings)
        self._morning = any(g.settings.morning for g in groups)
        self._morning_at: dt.datetime | None = None
        self._failed: list[tuple[int, dt.date]] = []
        self._stop = stop

    def step(self, connection: psycopg.Connection[Any]) -> float:
        """Do one round; return how long to wait for the next [s]."""
        now = dt.datetime.now(dt.UTC)
        if not take_turn(connection, DELIVERS):
            return self._every_s
        due = self._morning_at is None or now - self._morning_at >= _MORNING_EVERY
        if self._morning and due:
            self._failed = write_morning_messages(connection, now, self._times, self._failed)
            self._morning_at = now
        ended = self._delivery.step(connection, dt.datetime.now(dt.UTC), self._every_s)
        if self._stop.is_set():
            self._delivery.finish(connection, _FINISH_S)
        # After an attempt there may be another letter; what is under way was waited for above.
        return 0.0 if ended or self._delivery.busy else self._every_s
