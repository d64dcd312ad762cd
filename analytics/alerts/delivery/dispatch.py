"""Messages that are due go to their channels; each attempt is a row (F38).

One session delivers, in a loop of its own beside the evaluator: what hangs here delays no rule.
Each channel has one letter under way at a time, in a thread of its own: a channel that hangs delays
no other. A letter that was taken is written down afterwards, so a crash between the two sends it
twice and never loses it; its key is the same.
"""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
import structlog

from analytics.alerts.delivery.channels import Channel, Letter
from analytics.alerts.delivery.letters import Row, letter_of
from analytics.alerts.delivery.recipients import (
    Addressed,
    Recipients,
    is_quiet,
    named_groups,
    receivers,
)
from analytics.alerts.delivery.schedule import GIVEN_UP_AFTER, Waiting, next_for, wait_after
from analytics.errors import ChannelError

__all__ = ["Delivery"]

_Key = tuple[str, str]  # group and channel
_FINAL: Final = frozenset({"sent", "failed", "skipped"})
# Failures of a message in a row after which a channel is said to be down.
_DOWN_AFTER: Final = 2
_UNSAYABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_log = structlog.get_logger("alerts")


@dataclass(frozen=True, slots=True)
class _Open:
    """A message that is not done with."""

    message_id: int
    site_id: int
    to: Addressed
    zone: ZoneInfo
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class _Tried:
    attempts: int
    state: str
    at: dt.datetime
    next_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of an attempt."""

    key: _Key
    message_id: int
    site_id: int
    attempt: int
    until: dt.datetime
    error: str | None


@dataclass(slots=True)
class Delivery:
    """Sends messages; remembers what is under way and which channels are down.

    Attributes
    ----------
    groups
        Who is told; nothing is done without any.
    portal
        Address of the portal.
    clock
        The time of an attempt's end.
    """

    groups: Sequence[Recipients]
    portal: str | None = None
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    _busy: dict[_Key, int] = field(default_factory=dict)
    _ended: queue.SimpleQueue[_Outcome] = field(default_factory=queue.SimpleQueue)
    _unwritten: list[_Outcome] = field(default_factory=list)
    _down: set[_Key] = field(default_factory=set)
    _unknown: set[str] = field(default_factory=set)

    @property
    def busy(self) -> bool:
        """Whether a letter is under way, or its outcome not written yet."""
        return bool(self._busy or self._unwritten)

    def step(self, connection: psycopg.Connection[Any], now: dt.datetime, wait_s: float) -> int:
        """Write down what came of attempts, and begin those that are due.

        Parameters
        ----------
        connection
            In autocommit mode.
        now
            Messages that are due later wait.
        wait_s
            To wait for the end of an attempt at most [s].

        Returns
        -------
        int
            Attempts that ended (F38).
        """
        if not self.groups:
            return 0
        self._collect(wait_s=0)
        ended = self._write(connection)
        self._begin(
            connection,
            [(o, tried) for o, tried in self._open(connection, now)
             if not self._settle(connection, o, tried, now)],
            now,
        )  # fmt: skip
        if self._busy and wait_s > 0:
            self._collect(wait_s)
            ended += self._write(connection)
        return ended

    def finish(self, connection: psycopg.Connection[Any], wait_s: float) -> None:
        """Wait for what is under way, so that it is not sent twice.

        Parameters
        ----------
        connection
            In autocommit mode.
        wait_s
            For all of it at most [s]; what has not ended by then is sent again.
        """
        end = time.monotonic() + wait_s
        while self._busy and (left := end - time.monotonic()) > 0:
            self._collect(left)
            self._write(connection)

    def _collect(self, wait_s: float) -> None:
        try:
            self._unwritten.append(self._ended.get(timeout=wait_s) if wait_s else
                                   self._ended.get_nowait())  # fmt: skip
            while True:
                self._unwritten.append(self._ended.get_nowait())
        except queue.Empty:
            return

    def _write(self, connection: psycopg.Connection[Any]) -> int:
        written = 0
        while self._unwritten:
            self._write_one(connection, self._unwritten[0])
            done = self._unwritten.pop(0)
            self._busy.pop(done.key, None)
            written += 1
        return written

    def _write_one(self, connection: psycopg.Connection[Any], done: _Outcome) -> None:
        at = self.clock()
        state, next_at = "sent", None
        if done.error is not None:
            wait = at + wait_after(done.attempt)
            state, next_at = ("retry", wait) if wait <= done.until else ("failed", None)
        _insert(connection, done.site_id, done.message_id, done.key, done.attempt, at, state,
                next_at, done.error)  # fmt: skip
        name = {"group": done.key[0], "channel": done.key[1]}
        if done.error is None and done.key in self._down:
            self._down.discard(done.key)
            _log.info("a channel takes messages again", **name)
        elif done.error is not None and done.attempt >= _DOWN_AFTER and done.key not in self._down:
            self._down.add(done.key)
            _log.warning("a channel takes no messages; they are kept and tried again",
                         error=done.error, **name)  # fmt: skip

    def _open(
        self, connection: psycopg.Connection[Any], now: dt.datetime
    ) -> list[tuple[_Open, dict[_Key, _Tried]]]:
        """Take what is due, and return all that is not done with, with its last attempts."""
        connection.execute(
            "UPDATE alert_message SET taken_at = %(now)s WHERE message_id IN ("
            " SELECT message_id FROM alert_message WHERE notified_at IS NULL AND taken_at IS NULL"
            " AND due_at <= %(now)s ORDER BY message_id FOR UPDATE SKIP LOCKED)",
            {"now": now},
        )
        rows = connection.execute(
            "SELECT m.message_id, m.site_id, m.kind, m.severity, i.code, m.recipients,"
            " r.timezone, coalesce((m.facts ->> 'until')::timestamptz, m.due_at + %s)"
            " FROM alert_message m JOIN site i USING (site_id) JOIN LATERAL (SELECT timezone"
            "  FROM site_record r WHERE r.site_id = m.site_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE m.notified_at IS NULL AND m.taken_at IS NOT NULL ORDER BY m.message_id",
            (GIVEN_UP_AFTER,),
        ).fetchall()
        found = [
            _Open(number, site_id, Addressed(kind, severity, code, named), ZoneInfo(zone), until)
            for number, site_id, kind, severity, code, named, zone, until in rows
        ]
        tried: dict[int, dict[_Key, _Tried]] = {}
        for number, group, channel, attempts, state, at, next_at in connection.execute(
            "SELECT DISTINCT ON (message_id, recipient_group, channel) message_id,"
            " recipient_group, channel, attempt, state, at_ts, next_at FROM alert_delivery"
            " WHERE message_id = ANY(%s)"
            " ORDER BY message_id, recipient_group, channel, attempt DESC",
            ([o.message_id for o in found],),
        ):
            tried.setdefault(number, {})[group, channel] = _Tried(attempts, state, at, next_at)
        return [(o, tried.get(o.message_id, {})) for o in found]

    def _settle(
        self,
        connection: psycopg.Connection[Any],
        opened: _Open,
        tried: dict[_Key, _Tried],
        now: dt.datetime,
    ) -> bool:
        """Give up what is too late; return whether every channel is done with a message."""
        keys = [(r.settings.name, c.name) for r, c in self._routes(opened)]
        failed = []
        for key in keys:
            last = tried.get(key)
            if last is not None and last.state in _FINAL:
                failed += ["/".join(key)] if last.state == "failed" else []
                continue
            if now <= opened.until or self._busy.get(key) == opened.message_id:
                return False
            state, why = ("failed", "not taken in time") if last else ("skipped", "too old")
            attempt = 1 + (last.attempts if last else 0)
            _insert(connection, opened.site_id, opened.message_id, key, attempt, now, state, None,
                    why)  # fmt: skip
            failed += ["/".join(key)] if state == "failed" else []
        error = f"not taken by {', '.join(failed)}" if failed else None
        connection.execute(
            "UPDATE alert_message SET notified_at = %s, notify_error = %s WHERE message_id = %s",
            (now, error if keys else "no group takes it", opened.message_id),
        )
        return True

    def _routes(self, opened: _Open) -> list[tuple[Recipients, Channel]]:
        known = {g.settings.name for g in self.groups}
        for name in named_groups(opened.to.named) - known - self._unknown:
            self._unknown.add(name)
            _log.warning("a rule names a group that the settings do not have", group=name)
        return [(r, c) for r in receivers(self.groups, opened.to) for c in r.channels]

    def _begin(
        self,
        connection: psycopg.Connection[Any],
        found: Sequence[tuple[_Open, dict[_Key, _Tried]]],
        now: dt.datetime,
    ) -> None:
        waiting: dict[_Key, list[tuple[_Open, Recipients, Channel, _Tried | None]]] = {}
        for opened, tried in found:
            for group, channel in self._routes(opened):
                key = (group.settings.name, channel.name)
                last = tried.get(key)
                if last is not None and last.state in _FINAL:
                    continue
                if not is_quiet(group.settings, opened.to, now, opened.zone):
                    waiting.setdefault(key, []).append((opened, group, channel, last))
        overtaking = _last_sent(connection, waiting) if waiting else {}
        for key, line in waiting.items():
            if key in self._busy:
                continue
            chosen = next_for(
                [_waiting(o, last, overtaking.get(key, 0)) for o, _, _, last in line], now
            )
            for opened, group, channel, last in line:
                if opened.message_id == chosen:
                    attempt = 1 + (last.attempts if last else 0)
                    self._try(connection, group, channel, opened, attempt)

    def _try(
        self,
        connection: psycopg.Connection[Any],
        group: Recipients,
        channel: Channel,
        opened: _Open,
        attempt: int,
    ) -> None:
        key = (group.settings.name, channel.name)
        row = _row(connection, opened.message_id)
        try:
            letter = letter_of(row, group.settings.language, self.portal)
        except _UNSAYABLE as fault:
            # Facts of another version, say: no wait makes them better, and others shall not wait.
            error = f"cannot be put into words: {type(fault).__name__}: {fault}"[:300]
            _insert(connection, opened.site_id, opened.message_id, key, attempt, self.clock(),
                    "failed", None, error)  # fmt: skip
            _log.warning("a message cannot be put into words", message=row.key, error=error)
            return
        self._start(key, channel, letter, opened, attempt)

    def _start(
        self, key: _Key, channel: Channel, letter: Letter, opened: _Open, attempt: int
    ) -> None:
        self._busy[key] = opened.message_id

        def attempt_it() -> None:
            error: str | None = None
            try:
                channel.send(letter)
            except ChannelError as refusal:
                error = str(refusal)
            except Exception as fault:  # noqa: BLE001  # whatever it is, the attempt ended
                error = type(fault).__name__
            self._ended.put(
                _Outcome(key, opened.message_id, opened.site_id, attempt, opened.until, error)
            )

        name = f"alerts to {key[0]}/{key[1]}"
        threading.Thread(target=attempt_it, name=name, daemon=True).start()


def _waiting(opened: _Open, last: _Tried | None, last_sent: int) -> Waiting:
    if last is None:
        return Waiting(opened.message_id)
    return Waiting(
        opened.message_id, last.attempts, last.next_at, last.at, last_sent > opened.message_id
    )


def _last_sent(
    connection: psycopg.Connection[Any],
    waiting: dict[_Key, list[tuple[_Open, Recipients, Channel, _Tried | None]]],
) -> dict[_Key, int]:
    """Return the highest message that each channel with failures took since they began."""
    first = [
        last.at for line in waiting.values() for _, _, _, last in line if last is not None
    ]  # fmt: skip
    if not first:
        return {}
    rows = connection.execute(
        "SELECT recipient_group, channel, max(message_id) FROM alert_delivery"
        " WHERE state = 'sent' AND at_ts > %s GROUP BY recipient_group, channel",
        (min(first) - GIVEN_UP_AFTER,),
    ).fetchall()
    return {(group, channel): number for group, channel, number in rows}


def _row(connection: psycopg.Connection[Any], message_id: int) -> Row:
    row = connection.execute(
        "SELECT m.message_id, m.kind, m.severity, m.facts, m.due_at, i.code, r.name_zh,"
        " r.name_en, r.timezone, r.demonstration_zh, r.demonstration_en FROM alert_message m"
        " JOIN site i USING (site_id) JOIN LATERAL (SELECT * FROM site_record r"
        "  WHERE r.site_id = m.site_id AND r.superseded_commit_no IS NULL"
        "  ORDER BY r.valid_from DESC LIMIT 1) r ON true WHERE m.message_id = %s",
        (message_id,),
    ).fetchone()
    assert row is not None  # messages are never deleted
    number, kind, severity, facts, due_at, site, zh, en, zone, shown_zh, shown_en = row
    return Row(
        number, kind, severity, facts, due_at, site, zh, en, ZoneInfo(zone), shown_zh, shown_en
    )


def _insert(
    connection: psycopg.Connection[Any],
    site_id: int,
    message_id: int,
    key: _Key,
    attempt: int,
    at: dt.datetime,
    state: str,
    next_at: dt.datetime | None,
    error: str | None,
) -> None:
    # Another process may have taken the turn over while this attempt was under way.
    connection.execute(
        "INSERT INTO alert_delivery (site_id, message_id, recipient_group, channel, attempt,"
        " at_ts, state, next_at, error) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (message_id, recipient_group, channel, attempt) DO NOTHING",
        (site_id, message_id, *key, attempt, at, state, next_at, error),
    )
