"""Whether a meter's power agrees with its own voltages, currents and power factors.

P = ΣU·I·PF holds within one meter whatever its transformers are, so it finds registers that are not
what a profile says. Reading them takes a moment and each has a resolution: both are in the limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["PHASES", "Measured", "NotComparable", "PowerCheck", "check_power", "phase_volt_amperes"]

PHASES: Final = ("L1", "L2", "L3")
NotComparable: TypeAlias = Literal["no_power", "no_voltage_or_current", "three_wire", "little_load"]
# Of the expected power: two values of class 1, read up to a second apart under a moving load.
_SHARE: Final = 0.05
# Up to where the resolution may be part of the expected power and still tell anything.
_MAX_RESOLUTION_SHARE: Final = 0.2
# A load between two phases turns a phase's power round only below cos(60°).
_TURNING_POWER_FACTOR: Final = 0.5
# A total power factor may be P over the vector sum of the phases' apparent powers, which is smaller
# than ΣU·I; between -60° and 85° it is at least cos(72.5°) of it.
_VECTOR_SHARE: Final = 0.25


class Measured(NamedTuple):
    """A number in its quantity's own unit, and the step of its register in that unit."""

    value: float
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class PowerCheck:
    """Power against ΣU·I·PF.

    Attributes
    ----------
    power_kw, expected_kw, limit_kw
        What the meter says, what follows from the other registers, and how far apart they may be.
    basis
        Which power factors were used: those of the phases, the total one, or none, in which case
        ``expected_kw`` is ΣU·I, the most that the power can be.
    agrees
        None if they differ in a way that a right meter may show too: a total power factor may
        contain the asymmetry of the phases, and without one there is only the upper bound.
    """

    power_kw: float
    expected_kw: float
    limit_kw: float
    basis: Literal["phases", "total", "bound"]
    agrees: bool | None

    @property
    def ratio(self) -> float:
        """Power over what is expected [1]."""
        return self.power_kw / self.expected_kw


def check_power(
    values: Mapping[str, Measured], share: float = _SHARE
) -> PowerCheck | NotComparable:
    """Compare a meter's active power with ΣU·I·PF.

    Parameters
    ----------
    values
        Numbers by ``quantity.channel`` [kW, V, A, 1], all of one side of the transformers: phases
        ``L1`` to ``L3`` as far as the meter has them, or ``total`` of a single-phase meter.
    share
        How far they may differ beyond the registers' resolution [1 of the expected power].

    Returns
    -------
    PowerCheck or str
        The comparison; or why there is none: "no_power", "no_voltage_or_current", "three_wire" (two
        elements and a total power factor: the sum is not ΣU·I·PF), "little_load" (the resolution
        of the registers is more than a fifth of the power).
    """
    power = values.get("active_power.total") or _single(values)
    if power is None:
        return "no_power"
    phases = phase_volt_amperes(values)
    if not phases:
        return "no_voltage_or_current"
    apparent_kva = sum(p.value for p in phases.values())
    resolution_kw = power.step + sum(p.step for p in phases.values())
    factors = {x: values.get(f"power_factor.{x}") for x in phases}
    total = values.get("power_factor.total")
    sums: list[float]
    basis: Literal["phases", "total", "bound"]
    if all(f is not None for f in factors.values()):
        basis = "phases"
        resolution_kw += sum(phases[x].value * f.step for x, f in factors.items() if f is not None)
        sums = list(_phase_sums(phases, {x: f for x, f in factors.items() if f}, values))
    elif total is not None:
        if _two_elements(values):
            return "three_wire"
        basis = "total"
        resolution_kw += apparent_kva * total.step
        sums = [apparent_kva * abs(total.value)]
    else:
        basis, sums = "bound", [apparent_kva]
    # Which way it flows is the sign's business, unless the phases say so themselves.
    shown = abs(power.value)
    expected = min((abs(s) for s in sums), key=lambda s: abs(s - shown))
    limit = share * expected + resolution_kw
    result = PowerCheck(
        power.value, expected if power.value >= 0 else -expected, limit, basis,
        _verdict(shown, expected, limit, basis, _is_arithmetic(values, apparent_kva, share)),
    )  # fmt: skip
    if result.agrees is False and shown > expected:
        return result if expected > 0 else "little_load"
    return "little_load" if resolution_kw > _MAX_RESOLUTION_SHARE * expected else result


def phase_volt_amperes(values: Mapping[str, Measured]) -> dict[str, Measured]:
    """Return U·I of each phase that has both [kVA], with the resolution that follows."""
    found: dict[str, Measured] = {}
    for channel in (*PHASES, "total"):
        u, i = values.get(f"voltage.{channel}"), values.get(f"current.{channel}")
        if u is None or i is None or (channel == "total" and found):
            continue
        step = u.value * i.step + abs(i.value) * u.step
        found[channel] = Measured(u.value * abs(i.value) / 1e3, step / 1e3)
    return found


def _single(values: Mapping[str, Measured]) -> Measured | None:
    """Return the power of a meter that has one phase only."""
    has = [x for x in PHASES if f"active_power.{x}" in values]
    return values[f"active_power.{has[0]}"] if len(has) == 1 else None


def _phase_sums(
    phases: Mapping[str, Measured],
    factors: Mapping[str, Measured],
    values: Mapping[str, Measured],
) -> Iterator[float]:
    """Yield each ΣU·I·PF that the phases allow, where a sign is not known [kW]."""
    choices: list[tuple[float, ...]] = []
    for x, f in factors.items():
        power = values.get(f"active_power.{x}")
        size = phases[x].value * abs(f.value)
        if power is not None and power.value:
            choices.append((size if power.value > 0 else -size,))
        elif f.value < 0:
            choices.append((-size,))
        elif f.value < _TURNING_POWER_FACTOR:
            choices.append((size, -size))
        else:
            choices.append((size,))
    for signed in product(*choices):
        yield sum(signed)


def _two_elements(values: Mapping[str, Measured]) -> bool:
    """Whether it looks like three wires: nothing at all on the middle phase."""
    outer = all(f"voltage.{x}" in values for x in ("L1", "L3"))
    if not outer:
        return False
    middle_u, middle_i = values.get("voltage.L2"), values.get("current.L2")
    top = max(values["voltage.L1"].value, values["voltage.L3"].value)
    return middle_u is None or (
        middle_u.value < 0.1 * top and (middle_i is None or middle_i.value <= 2 * middle_i.step)
    )


def _verdict(
    shown_kw: float,
    expected_kw: float,
    limit_kw: float,
    basis: str,
    is_arithmetic: bool,
) -> bool | None:
    if shown_kw - expected_kw > limit_kw:
        return False
    if basis == "bound":
        return None
    if expected_kw - shown_kw <= limit_kw:
        return True
    if basis == "phases" or is_arithmetic or shown_kw < _VECTOR_SHARE * expected_kw - limit_kw:
        return False
    return None


def _is_arithmetic(values: Mapping[str, Measured], apparent_kva: float, share: float) -> bool:
    """Whether the meter's own apparent power is ΣU·I, and with it its total power factor."""
    own = values.get("apparent_power.total")
    return own is not None and abs(own.value - apparent_kva) <= share / 2 * apparent_kva + own.step
