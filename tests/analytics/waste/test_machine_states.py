"""Idle energy by power bands, by output, and loads that have no bands."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.waste.machine_states import (
    PowerBands,
    find_power_bands,
    idle_energy,
    states_by_output,
    states_by_power,
)
from analytics.waste.quarter_hours import QuarterHours


def machine(*spans: tuple[float, float], noise: float = 0.0, seed: int = 0) -> QuarterHours:
    """Return a machine that draws (kW, hours) one after the other."""
    random = np.random.default_rng(seed)
    kw = np.concatenate([np.full(round(hours * 4), power) for power, hours in spans])
    kw = np.maximum(kw * (1 + noise * random.standard_normal(len(kw))), 0)
    return QuarterHours(kw / 4, np.ones(len(kw), dtype=np.bool_))


# A day: off 8 h, idle 3 h at 12 kW, running 13 h at 50 kW.
DAY = ((0.0, 8.0), (12.0, 1.5), (50.0, 6.5), (12.0, 1.5), (50.0, 6.5))


def test_bands_are_found_and_idle_energy_is_what_was_planted() -> None:
    used = machine(*DAY * 14)
    bands = find_power_bands(used)
    assert bands is not None
    assert 0 < bands.idle_from < 12 < bands.running_from < 50
    found = idle_energy(used, states_by_power(used, bands))
    assert found.amount == pytest.approx(14 * 3 * 12)  # 504 kWh
    assert (found.hours, found.running_hours) == (14 * 3, 14 * 13)
    assert found.share == pytest.approx(36 / (36 + 650))


def test_bands_are_found_under_noise() -> None:
    used = machine(*DAY * 28, noise=0.08)
    bands = find_power_bands(used)
    assert bands is not None
    found = idle_energy(used, states_by_power(used, bands))
    assert found.amount == pytest.approx(28 * 36, rel=0.01)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["one mode", "even", "ramp", "broad"])
def test_a_load_without_modes_has_no_idle_band(kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    kw = {
        "one mode": lambda: 50 + 4 * random.standard_normal(2_000),
        "even": lambda: random.uniform(5, 50, 2_000),
        "ramp": lambda: np.tile(np.linspace(2, 50, 100), 20),
        "broad": lambda: np.abs(30 + 12 * random.standard_normal(2_000)),
    }[kind]()
    assert find_power_bands(QuarterHours(kw / 4, np.ones(2_000, dtype=np.bool_))) is None


def test_a_short_record_has_no_band() -> None:
    assert find_power_bands(machine((12.0, 8.0), (50.0, 8.0))) is None


def test_power_without_output_is_idle() -> None:
    used = machine((0.0, 2.0), (30.0, 4.0), (30.0, 4.0))
    made = QuarterHours(
        np.concatenate([np.zeros(24), np.full(16, 5.0)]), np.ones(40, dtype=np.bool_)
    )
    found = idle_energy(used, states_by_output(used, made, 1.0))
    assert (found.amount, found.hours, found.running_hours) == (120.0, 4.0, 4.0)


def test_unknown_time_is_no_state() -> None:
    used = machine((12.0, 4.0))
    half = QuarterHours(used.amount, np.arange(16) < 8)
    assert idle_energy(half, states_by_power(half, PowerBands(1, 30))).hours == 2.0
