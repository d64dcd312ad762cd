"""The agent's clock follows the wall, and never runs backwards (D17)."""

from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import Clock

S = 1_000_000_000
START = 1_767_225_600 * S  # 2026-01-01T00:00Z


class Machine:
    """A computer whose wall clock someone sets."""

    def __init__(self) -> None:
        self.wall_ns = START
        self.monotonic_ns = 5 * S
        self.clock = Clock(lambda: self.wall_ns, lambda: self.monotonic_ns)

    def run(self, seconds: float) -> None:
        self.wall_ns += int(seconds * S)
        self.monotonic_ns += int(seconds * S)

    def set_wall(self, seconds: float) -> None:
        self.wall_ns += int(seconds * S)

    @property
    def ahead_s(self) -> float:
        return self.clock.now_us() / 1e6 - self.wall_ns / 1e9


def test_it_is_the_wall_clock_of_this_machine() -> None:
    clock = Clock()
    for _ in range(3):
        assert abs(clock.now_us() - time.time_ns() // 1000) < 200_000
    assert not clock.held


def test_a_step_forward_is_followed_at_once() -> None:
    machine = Machine()
    machine.set_wall(3600)
    assert machine.ahead_s == 0
    assert not machine.clock.held


def test_after_a_step_back_it_goes_on_and_is_held_until_the_wall_catches_up() -> None:
    machine = Machine()
    before = machine.clock.now_us()
    machine.set_wall(-60)
    assert machine.clock.now_us() == before
    assert machine.clock.held
    machine.run(10)
    assert machine.clock.now_us() == before + 5_000_000  # at half speed
    for _ in range(200):
        machine.run(1)
    assert machine.ahead_s == 0
    assert not machine.clock.held


def test_a_small_correction_back_is_followed_gently_and_unflagged() -> None:
    machine = Machine()
    machine.clock.now_us()
    machine.set_wall(-0.4)
    assert not machine.clock.held
    machine.run(1)
    assert abs(machine.ahead_s - 0.3) < 1e-5
    for _ in range(5):
        machine.run(1)
    assert machine.ahead_s == 0


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.sampled_from([0.0, -0.1, -0.6, -20.0, 0.3, 50.0])),
        max_size=40,
    )
)
def test_it_never_runs_backwards_nor_behind_the_wall(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    seen = [machine.clock.now_us()]
    for run_s, set_s in steps:
        machine.run(run_s)
        machine.set_wall(set_s)
        seen.append(machine.clock.now_us())
        assert seen[-1] >= machine.wall_ns // 1000
    assert all(a <= b for a, b in itertools.pairwise(seen))
    machine.run(0.01)
    assert machine.clock.now_us() > seen[-1]
