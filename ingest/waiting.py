"""What waits between two threads, bounded: who brings too much waits, nothing is dropped."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, Protocol, TypeVar

__all__ = ["Sized", "Waiting"]


class Sized(Protocol):
    """What waits: how many messages it is, and how large."""

    @property
    def message_count(self) -> int:
        """Messages in it."""

    @property
    def size(self) -> float:
        """Size by which the queue is bounded."""

    @property
    def since_s(self) -> float:
        """When it came [s, monotonic]."""


_Item = TypeVar("_Item", bound=Sized)


class Waiting(Generic[_Item]):
    """A queue bounded by messages and by size; one item is always let in."""

    def __init__(self, most_messages: int, most_size: float) -> None:
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._most_messages, self._most_size = most_messages, most_size
        self._size = 0.0
        self._closed = False
        self._nudged = False
        self.messages = 0

    def put(self, item: _Item) -> bool:
        """Add an item, waiting for room; False if the queue was closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room())
            if self._closed:
                return False
            self._items.append(item)
            self.messages += item.message_count
            self._size += item.size
            self._changed.notify_all()
            return True

    def take(self, most_messages: int, wait_s: float, age_s: float = 0.0) -> list[_Item]:
        """Return what waits, in order.

        Parameters
        ----------
        most_messages
            Stop before more than this; one item is always taken.
        wait_s
            Return an empty list if nothing came for so long, or as soon as somebody nudges.
        age_s
            Wait until the oldest is that old, or there is no room for more.
        """
        deadline = time.monotonic() + wait_s
        with self._changed:
            while not self._closed and not self._nudged:
                now = time.monotonic()
                ripe = self._items[0].since_s + age_s if self._items else deadline
                if (self._items and (ripe <= now or not self._has_room())) or deadline <= now:
                    break
                self._changed.wait(min(deadline, ripe) - now)
            self._nudged = False
            taken: list[_Item] = []
            ready = self._items and (
                not self._has_room() or self._items[0].since_s + age_s <= time.monotonic()
            )
            while ready and self._items:
                count = self._items[0].message_count
                if taken and count > most_messages:
                    break
                item = self._items.popleft()
                most_messages -= count
                self.messages -= count
                self._size -= item.size
                taken.append(item)
            if taken:
                self._changed.notify_all()
            return taken

    def nudge(self) -> None:
        """Let the taker return, now or when it next would wait, so that it looks around."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody go who waits; nothing comes in any more."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self.messages, self._size = 0, 0.0
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return not self._items or (
            self.messages < self._most_messages and self._size < self._most_size
        )
