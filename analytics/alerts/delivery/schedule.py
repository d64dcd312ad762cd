"""Which message a channel is given next: in order, with growing waits, at most for a day.

A channel that is down is tried with its first message only. A message that a channel refuses again
and again while it takes those behind it holds them up no longer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["GIVEN_UP_AFTER", "WAITS", "Waiting", "next_for", "wait_after"]

WAITS: Final = tuple(dt.timedelta(minutes=m) for m in (1, 5, 15, 60))
GIVEN_UP_AFTER: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits for a channel.

    Attributes
    ----------
    attempts
        Made so far, all without success.
    next_at
        Not to be tried again before; None if it was never tried.
    last_at
        Of the last attempt.
    overtaken
        A later one was taken by the channel since this one was first tried.
    """

    message_id: int
    attempts: int = 0
    next_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    overtaken: bool = False


def wait_after(attempts: int) -> dt.timedelta:
    """Return how long to wait after failed attempts.

    Parameters
    ----------
    attempts
        At least 1.

    Returns
    -------
    timedelta
        1, 5, 15 minutes, then an hour each time (F38).
    """
    return WAITS[min(attempts, len(WAITS)) - 1]


def next_for(queue: Sequence[Waiting], now: dt.datetime) -> int | None:
    """Choose the message that a channel is given next.

    Parameters
    ----------
    queue
        What waits for the channel, in the order of writing.
    now
        The instant.

    Returns
    -------
    int or None
        The first one, by its own waits; while it waits, none. Each time that it failed after the
        waits have grown, one behind it is tried too: if that is taken, the first one holds up
        nobody any more, and is tried in its own time (F38).
    """
    apart = [w for w in queue if w.overtaken and w.attempts >= len(WAITS)]
    line = [w for w in queue if w not in apart]
    if line:
        head, *behind = line
        if head.next_at is None or now >= head.next_at:
            return head.message_id
        last = head.last_at or now
        tried = any(w.last_at is not None and w.last_at >= last for w in behind)
        if head.attempts >= len(WAITS) and behind and not tried:
            return min(behind, key=lambda w: (w.attempts, w.message_id)).message_id
    return next((w.message_id for w in apart if w.next_at is None or now >= w.next_at), None)
