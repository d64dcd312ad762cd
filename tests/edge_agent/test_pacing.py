"""Receipts pace, silence turns into probes, the backlog comes behind (D13)."""

from __future__ import annotations

import itertools

from edge_agent.pacing import Pacing, Turn
from edge_agent.settings import UplinkSettings

SETTINGS = UplinkSettings(
    window=8, probe_first_s=5.0, probe_last_s=300.0, backlog_batches_per_s=2.0, backlog_jitter_s=0.0
)


class Conversation:
    def __init__(self, settings: UplinkSettings = SETTINGS) -> None:
        self.now_s = 1000.0
        self.pacing = Pacing(settings, lambda: self.now_s)
        self.pacing.begin()

    def wait(self, seconds: float) -> Turn:
        self.now_s += seconds
        return self.pacing.turn()

    def send(self, *numbers: int) -> None:
        self.pacing.sent([("s", n) for n in numbers])

    def answer(self, through: int) -> None:
        self.pacing.heard()
        self.pacing.covered("s", [(1, through)])


def test_at_most_a_window_waits_for_a_receipt() -> None:
    talk = Conversation()
    assert talk.wait(0).most == 8
    talk.send(*range(1, 9))
    assert talk.wait(1).most == 0
    talk.answer(3)
    assert talk.wait(1).most == 3


def test_the_backlog_has_a_rate_of_its_own_and_begins_with_jitter() -> None:
    talk = Conversation()
    assert talk.wait(0) == Turn(8, 0)
    assert talk.wait(1) == Turn(8, 2)
    talk.pacing.sent([("old", 1), ("old", 2)], backlog=2)
    assert talk.wait(0.4).backlog == 0
    assert talk.wait(0.2).backlog == 1
    talk.pacing.heard()
    talk.pacing.covered("old", [(1, 2)])
    assert talk.wait(60).backlog == 2  # what was not used is not saved up
    spread = {
        Conversation(UplinkSettings(backlog_jitter_s=30.0)).pacing._backlog_from_s
        for _ in range(10)
    }
    assert len(spread) == 10
    assert all(1000 <= start <= 1030 for start in spread)


def test_probes_grow_rarer_and_ask_for_the_oldest_and_the_newest_in_turn() -> None:
    talk = Conversation()
    talk.send(1, 2, 3)
    probes: list[tuple[float, str]] = []
    while len(probes) < 12:
        turn = talk.wait(0.5)
        if turn.probe is not None:
            probes.append((talk.now_s, turn.probe))
            talk.send(1)
        elif probes:
            assert turn == Turn(0, 0)
    assert [which for _, which in probes[:4]] == ["oldest", "newest", "oldest", "newest"]
    pauses = [b - a for (a, _), (b, _) in itertools.pairwise(probes)]
    assert 5 <= probes[0][0] - 1000 <= 5.5
    assert all(b > a * 1.4 for a, b in itertools.pairwise(pauses[:5]))
    assert pauses[-1] == 300
    assert not talk.pacing.answered
    assert talk.pacing.unanswered_s == talk.now_s - 1000
    talk.answer(1)
    assert talk.pacing.answered
    assert talk.wait(0).most == 8  # the window is open again, with everything to be sent


def test_a_batch_that_is_passed_over_is_sent_again_with_patience() -> None:
    talk = Conversation()
    talk.send(1, 2)
    waited: list[float] = []
    sent_at = talk.now_s
    for _ in range(400):
        talk.now_s += 1
        talk.pacing.heard()
        talk.pacing.covered("s", [(2, 1000)])
        talk.pacing.turn()
        if ("s", 1) not in talk.pacing.in_flight:
            waited.append(talk.now_s - sent_at)
            sent_at = talk.now_s
            talk.send(1)
    assert waited[:5] == [10, 20, 40, 60, 60]


def test_who_is_owed_nothing_does_not_probe() -> None:
    talk = Conversation()
    talk.send(1)
    talk.answer(1)
    assert talk.pacing.unanswered_s == 0
    assert talk.wait(3600).probe is None
