"""Currents on the wrong phase or the wrong way round, from the angles to their voltages.

A load shared by three phases has nearly the same angle on each. Exchanged or reversed transformers
turn the angles by multiples of 60° in a pattern that no such load makes. Where a right plant could
make it too, nothing is said: a consumer's phase never gives back more than half of its apparent
power (a purely reactive load between two phases does), a plant with generation may do anything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from edge_agent.commissioning.findings import Finding, make_finding
from edge_agent.power_check import PHASES, Measured, phase_volt_amperes

__all__ = ["Flow", "PhaseLoad", "angle_findings", "phase_loads"]

Flow: TypeAlias = Literal["import", "export", "either"]
# Below it a phase gives back more than a load between two phases can.
_GIVES_BACK: Final = -0.55
_ALL_BACK: Final = -0.3
_FIT: Final = 0.12
_MAX_RESOLUTION: Final = 0.05
_MAX_CURRENT_RATIO: Final = 3.0
# A consumer's current lags its voltage by so much [degrees].
_LAGS_DEG: Final = range(-30, 76, 5)


@dataclass(frozen=True, slots=True)
class PhaseLoad:
    """A phase's current against its voltage.

    Attributes
    ----------
    current_a, power_kw
        As shown.
    cosine
        Power over U·I, with its sign.
    sine
        Reactive power over U·I, where the meter shows it for the phase.
    """

    current_a: float
    power_kw: float
    cosine: float
    sine: float | None


def phase_loads(values: Mapping[str, Measured]) -> dict[str, PhaseLoad]:
    """Return the loads of the phases whose power is known well enough."""
    found: dict[str, PhaseLoad] = {}
    for x, apparent in phase_volt_amperes(values).items():
        power = values.get(f"active_power.{x}")
        factor = values.get(f"power_factor.{x}")
        if power is None and factor is not None and factor.value < 0:
            power = Measured(apparent.value * factor.value, apparent.value * factor.step)
        if power is None or x not in PHASES or apparent.value <= 0:
            continue
        if apparent.step + power.step > _MAX_RESOLUTION * apparent.value:
            continue
        reactive = values.get(f"reactive_power.{x}")
        found[x] = PhaseLoad(
            values[f"current.{x}"].value,
            power.value,
            power.value / apparent.value,
            None if reactive is None else reactive.value / apparent.value,
        )
    return found


def angle_findings(values: Mapping[str, Measured], flow: Flow) -> list[Finding]:
    """Return reversed transformers and currents on the wrong phase.

    Parameters
    ----------
    values
        Amounts at the point by ``quantity.channel`` [kW, kvar, V, A, 1].
    flow
        Which way energy certainly flows: "import" (power is positive), "export", or "either", for
        which nothing can be said.

    Returns
    -------
    list of Finding
        At most one; empty also where the phases' powers are not known or too small.
    """
    loads = phase_loads(values)
    if flow == "either" or any(abs(x.cosine) > 1.1 for x in loads.values()):
        return []
    turn = 1.0 if flow == "import" else -1.0
    cosines = {x: turn * load.cosine for x, load in loads.items()}
    if len(loads) < len(PHASES):
        return _reversed_total(values, turn) if not loads else _alone(cosines)
    back = [x for x, c in cosines.items() if c <= _GIVES_BACK]
    if all(c <= _ALL_BACK for c in cosines.values()):
        return [_reversed(list(PHASES), cosines, "likely")]
    # Resistive loads on exchanged transformers give back exactly half on both.
    balanced = _are_balanced(loads)
    halves = sum(c <= -0.4 for c in cosines.values()) >= 2
    if not back and not (balanced and halves):
        return []
    fits = list(_fits(loads, turn)) if balanced else []
    if not fits:
        return [_reversed(back, cosines, "possible")] if back else []
    best = min(cost for cost, *_ in fits)
    simplest = [(places, turned) for cost, places, turned in fits if cost == best]
    places, turned = simplest[0]
    confidence: Literal["likely", "possible"] = "likely" if len(simplest) == 1 else "possible"
    if places == (0, 1, 2):
        return [_reversed([PHASES[j] for j in turned], cosines, confidence)]
    return [_wrong_phase(places, turned, cosines, confidence, len(simplest))]


def _fits(
    loads: Mapping[str, PhaseLoad], turn: float
) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Yield cost, phase of each current, and reversed currents of each wiring that explains all."""
    for places in itertools.permutations(range(3)):
        for turned in _subsets():
            cost = sum(k != j for j, k in enumerate(places)) + len(turned)
            if cost and any(_error(loads, turn, places, turned, lag) < _FIT for lag in _LAGS_DEG):
                yield cost, places, turned


def _subsets() -> Iterator[tuple[int, ...]]:
    for size in range(3):  # all three reversed is the other direction
        yield from itertools.combinations(range(3), size)


def _error(
    loads: Mapping[str, PhaseLoad],
    turn: float,
    places: tuple[int, ...],
    turned: tuple[int, ...],
    lag_deg: int,
) -> float:
    worst = 0.0
    for j, x in enumerate(PHASES):
        angle = math.radians(lag_deg + 120 * (places[j] - j) + (180 if j in turned else 0))
        load = loads[x]
        worst = max(worst, abs(turn * load.cosine - math.cos(angle)))
        if load.sine is not None:
            worst = max(worst, abs(turn * load.sine - math.sin(angle)))
    return worst


def _are_balanced(loads: Mapping[str, PhaseLoad]) -> bool:
    currents = [load.current_a for load in loads.values()]
    return min(currents) > 0 and max(currents) <= _MAX_CURRENT_RATIO * min(currents)


def _alone(cosines: Mapping[str, float]) -> list[Finding]:
    back = [x for x, c in cosines.items() if c <= _GIVES_BACK]
    return [_reversed(back, cosines, "possible")] if back else []


def _reversed_total(values: Mapping[str, Measured], turn: float) -> list[Finding]:
    power = values.get("active_power.total")
    apparent = sum(p.value for p in phase_volt_amperes(values).values())
    if power is None or not apparent or turn * power.value / apparent > _ALL_BACK:
        return []
    if power.step > _MAX_RESOLUTION * apparent:
        return []
    return [_reversed([], {"total": turn * power.value / apparent}, "likely")]


def _evidence(cosines: Mapping[str, float]) -> dict[str, float | str]:
    return {f"p_over_ui_{x}": c for x, c in cosines.items()}


def _reversed(
    phases: list[str], cosines: Mapping[str, float], confidence: Literal["likely", "possible"]
) -> Finding:
    which = "、".join(phases) or "总"
    return make_finding(
        "reversed_ct",
        (
            f"{which} 相功率与用电方向相反：电流互感器可能接反。",
            (
                f"Power of {', '.join(phases) or 'the total'} flows against the direction of use: "
                "the current transformer may be reversed."
            ),
        ),
        _evidence(cosines),
        confidence,
        phases=phases,
    )


def _wrong_phase(
    places: tuple[int, ...],
    turned: tuple[int, ...],
    cosines: Mapping[str, float],
    confidence: Literal["likely", "possible"],
    explanations: int,
) -> Finding:
    moved = [x for j, x in enumerate(PHASES) if places[j] != j]
    pairs = ", ".join(f"{PHASES[j]}: {PHASES[k]}" for j, k in enumerate(places) if j != k)
    evidence = _evidence(cosines) | {"current_carries": pairs, "explanations": str(explanations)}
    if turned:
        evidence["reversed_too"] = ", ".join(PHASES[j] for j in turned)
    return make_finding(
        "ct_wrong_phase",
        (
            f"{'、'.join(moved)} 的电流接在别的相电压上（{pairs}）。",
            (
                f"The currents of {', '.join(moved)} are measured against another phase's voltage "
                f"({pairs})."
            ),
        ),
        evidence,
        confidence,
        phases=moved,
    )
