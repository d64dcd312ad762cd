"""Register numbers as amounts at the point: scaled, with transformers and sign applied.

Only for looking at wiring. What is stored and published stays the register's own number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from edge_agent.blocks import Block
from edge_agent.data_items import DataItem
from edge_agent.plan import UnitPart
from edge_agent.power_check import Measured
from edge_agent.profile import ProfileRegister
from enpilot.plant import Installation, Plant
from enpilot.quantities import unit_ratio

__all__ = ["BlockScaling", "installation_of", "ratio_at_point", "scalings_of"]

_PLAIN: Final = Installation(point="none", device="none")


@dataclass(frozen=True, slots=True)
class BlockScaling:
    """What turns the numbers of one block into amounts, by part of the unit.

    ``columns`` are part, name, factor and offset of each register.
    """

    columns: tuple[tuple[int, str, float, float], ...]

    def apply(
        self, values: Sequence[float | None], quality: Sequence[int] | None
    ) -> list[dict[str, Measured]]:
        """Return the amounts by ``quantity.channel`` for each part; bad readings are left out."""
        found: list[dict[str, Measured]] = [{} for _ in range(self._parts)]
        for i, (part, name, factor, offset) in enumerate(self.columns):
            number = values[i]
            if number is not None and (quality is None or not quality[i] & 0xFF):
                found[part][name] = Measured(number * factor + offset, abs(factor))
        return found

    @property
    def _parts(self) -> int:
        return 1 + max((part for part, *_ in self.columns), default=0)


def installation_of(plant: Plant, device: str, now: dt.datetime) -> Installation:
    """Return the installation of a device that is in force, else the next; a plain one if none."""
    first = dt.datetime.min.replace(tzinfo=dt.UTC)
    standing = [
        i for i in plant.installation if i.device == device and (not i.valid_to or i.valid_to > now)
    ]
    return min(standing, key=lambda i: i.valid_from or first, default=_PLAIN)


def ratio_at_point(quantity: str, side: str, installation: Installation) -> Decimal:
    """Return what an installation multiplies a register by, as the platform does it.

    Energy and power contain current and voltage and have a direction; the others have none.
    """
    directed = quantity.endswith(("energy", "power"))
    ratio = Decimal(installation.sign) if directed else Decimal(1)
    if side == "secondary":
        ct, pt = Decimal(installation.ct_ratio), Decimal(installation.pt_ratio)
        ratio *= ct * pt if directed else {"current": ct, "voltage": pt}.get(quantity, Decimal(1))
    return ratio


def scalings_of(
    blocks: Iterable[Block], parts: Sequence[UnitPart], installed: Mapping[str, Installation]
) -> dict[int, BlockScaling]:
    """Return the scaling of each block of a unit by its group.

    Parameters
    ----------
    blocks
        The unit's blocks.
    parts
        Its parts.
    installed
        The installation of each part by the code of its device; left out, ratios are 1.
    """
    return {
        block.group: BlockScaling(
            tuple(
                (part, register.name, *_line(register, installed.get(parts[part].device.code)))
                for register, part in zip(
                    block.registers, block.parts or (0,) * len(block.registers), strict=True
                )
            )
        )
        for block in blocks
    }


def _line(
    register: ProfileRegister | DataItem, installation: Installation | None
) -> tuple[float, float]:
    unit = unit_ratio(register.quantity, register.unit)
    ratio = ratio_at_point(register.quantity, register.side, installation or _PLAIN)
    to_amount = ratio * unit.numerator / unit.denominator
    return float(Decimal(register.scale) * to_amount), float(Decimal(register.offset) * to_amount)
