"""Units whose numbers go wrong on a script: rollover, reset, glitch, frozen."""

from __future__ import annotations

from edge_agent.simulator.meters import SimulatedUnit
from edge_agent.simulator.scenario import Scenario, Unit
from edge_agent.simulator.steel_load import SteelLoad

__all__ = ["FaultyUnit"]


class FaultyUnit(SimulatedUnit):
    """A unit whose numbers go wrong by its faults; without any they are the simulated meter's."""

    def __init__(self, scenario: Scenario, unit: Unit, load: SteelLoad, began_s: float) -> None:
        super().__init__(scenario, unit, load)
        self._began_s = began_s

    def numbers(self, at_s: float) -> dict[str, float]:
        """Return the register numbers [register counts] by ``quantity.channel``."""
        elapsed_s = at_s - self._began_s
        frozen_s = self._frozen_s(elapsed_s)
        numbers = super().numbers(at_s if frozen_s is None else self._began_s + frozen_s)
        for fault in self.unit.fault:
            for register in self.profile.register:
                name = register.name
                if fault.register not in (None, name):
                    continue
                if fault.kind == "glitch" and fault.window(elapsed_s) is not None:
                    numbers[name] = self._raw(register, {name: float(fault.value)})
                elif register.counter is None:
                    continue
                elif fault.kind == "rollover" or (
                    fault.kind == "reset" and elapsed_s >= fault.from_s
                ):
                    zero = super().numbers(self._began_s + fault.from_s)[name]
                    numbers[name] = (numbers[name] - zero) % self._modulus(name)
        return numbers

    def _frozen_s(self, elapsed_s: float) -> float | None:
        """Return since when every number stands still [s after the beginning]."""
        for fault in self.unit.fault:
            number = fault.window(elapsed_s) if fault.kind == "frozen" else None
            if number is not None:
                return fault.from_s + number * (fault.every_s or 0.0)
        return None
