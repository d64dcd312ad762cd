"""The bounded room between two threads."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from ingest.waiting import Waiting


@dataclass
class Thing:
    message_count: int = 1
    size: float = 1.0
    since_s: float = field(default_factory=time.monotonic)


def test_who_brings_too_much_waits_and_nothing_is_dropped() -> None:
    waiting: Waiting[Thing] = Waiting(3, 1e9)
    things = [Thing() for _ in range(20)]
    bringing = threading.Thread(target=lambda: [waiting.put(thing) for thing in things])
    bringing.start()
    taken: list[Thing] = []
    while len(taken) < len(things):
        assert waiting.messages <= 3
        taken += waiting.take(2, 5)
    bringing.join(10)
    assert taken == things


def test_size_bounds_too_and_one_item_is_always_let_in() -> None:
    waiting: Waiting[Thing] = Waiting(100, 10)
    assert waiting.put(Thing(size=1000))
    blocked = threading.Thread(target=waiting.put, args=(Thing(),))
    blocked.start()
    assert [thing.size for thing in waiting.take(10, 5)] == [1000]
    blocked.join(10)
    assert len(waiting.take(10, 5)) == 1


def test_an_age_lets_a_group_grow_but_not_beyond_its_room() -> None:
    waiting: Waiting[Thing] = Waiting(3, 1e9)
    waiting.put(Thing())
    assert waiting.take(10, 0.0, age_s=60) == []
    waiting.put(Thing())
    waiting.put(Thing())
    assert len(waiting.take(10, 0.0, age_s=60)) == 3
    waiting.put(Thing(since_s=time.monotonic() - 61))
    assert len(waiting.take(10, 0.0, age_s=60)) == 1


def test_a_nudge_is_not_lost() -> None:
    waiting: Waiting[Thing] = Waiting(3, 1e9)
    waiting.nudge()
    assert waiting.take(10, 3600) == []


def test_closing_lets_everybody_go() -> None:
    waiting: Waiting[Thing] = Waiting(1, 1e9)
    waiting.put(Thing())
    said: list[bool] = []
    blocked = threading.Thread(target=lambda: said.append(waiting.put(Thing())))
    blocked.start()
    waiting.close()
    blocked.join(10)
    assert said == [False]
    assert waiting.take(10, 3600) == []
