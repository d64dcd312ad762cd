"""Find voltages, currents and powers that belong together among unknown registers.

Three numbers whose sum stands elsewhere, and each of which is a voltage times a current times at
most 1 (up to one power of ten for all), are hardly anything but the powers of a meter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from edge_agent.decode import WIDTH, Order, RegisterType
from edge_agent.probe_decodings import ORDERS, Layout, letters_of, numbers_in

__all__ = ["ElectricalSet", "find_set"]

_Triple = tuple[int, int, int]
_SUM_TOLERANCE: Final = 0.002
_SUM_COUNTS: Final = 2.0  # each integer is rounded by itself
_HIGHEST_FACTOR: Final = 1.03
_LOWEST_FACTOR: Final = 0.25
_FACTOR_TOLERANCE: Final = 0.02
# Counts of power by volt and count of current: MW and A, and W and mA with spare on both sides.
_LEAST_UNIT: Final = 1e-7
_MOST_UNIT: Final = 1e3
_POWER_TYPES: Final[dict[str, tuple[RegisterType, ...]]] = {
    "float32": ("float32",), "float64": ("float64",), "uint32": ("int32",),
    "uint16": ("int32", "int16"),
}  # fmt: skip
_FACTOR_TYPES: Final[dict[str, tuple[RegisterType, ...]]] = {
    "float32": ("float32",), "float64": ("float64",), "uint32": ("int16",), "uint16": ("int16",),
}  # fmt: skip


class ElectricalSet(msgspec.Struct, frozen=True):
    """Registers that belong together, by the addresses at which they begin.

    ``power_scale_kw`` is what one count of power is if a count of current is one ampere [kW].
    ``readings`` are in the platform's units as far as that is known: of integers only the quotient
    of the power's and the current's scale is.
    """

    voltages: _Triple
    currents: _Triple
    powers: _Triple
    total_power: int
    power_type: RegisterType
    power_letters: str
    power_scale_kw: float
    power_factor: int | None
    readings: dict[str, float]


def find_set(words: Mapping[int, int], layout: Layout) -> ElectricalSet | None:
    """Find the currents and powers that go with some voltages.

    Parameters
    ----------
    words
        16-bit words by address.
    layout
        The voltages, as `guess_layouts` found them.

    Returns
    -------
    ElectricalSet or None
        The one with a power factor that fits, then the one whose currents follow the voltages most
        closely; None if no three numbers have their sum among the registers.
    """
    word_order, byte_order = _order_of(layout)
    plain = numbers_in(words, layout.type, word_order, byte_order)
    reserved = _span(layout.voltages, WIDTH[layout.type])
    found: list[tuple[bool, bool, int, ElectricalSet]] = []
    for power_type in _POWER_TYPES[layout.type]:
        # One register of a voltage says nothing of the order of words.
        orders: tuple[Order, ...] = ("big", "little") if layout.type == "uint16" else (word_order,)
        for order in orders:
            powers = {
                a: v
                for a, v in numbers_in(words, power_type, order, byte_order).items()
                if not reserved & _span((a,), WIDTH[power_type])
            }
            letters = letters_of(power_type, order, byte_order)
            for triple, total in _summed(powers, power_type):
                found += _with_currents(
                    words, layout, plain, powers, (triple, total), (power_type, letters)
                )
    found.sort(key=lambda f: f[:3])
    return found[0][3] if found else None


def _with_currents(
    words: Mapping[int, int],
    layout: Layout,
    plain: Mapping[int, float],
    powers: Mapping[int, float],
    summed: tuple[_Triple, int],
    coding: tuple[RegisterType, str],
) -> Iterator[tuple[bool, bool, int, ElectricalSet]]:
    triple, total = summed
    power_type, letters = coding
    width = WIDTH[layout.type]
    used = _span(layout.voltages, width) | _span((*triple, total), WIDTH[power_type])
    for a in plain:
        places = (a, a + width, a + 2 * width)
        if used & _span(places, width) or not all(plain.get(p, 0.0) > 0 for p in places):
            continue
        va = [u * plain[p] for u, p in zip(layout.values_v, places, strict=True)]
        shares = [abs(powers[p]) / s for p, s in zip(triple, va, strict=True)]
        unit = 10.0 ** math.ceil(math.log10(max(shares) / _HIGHEST_FACTOR))
        if min(shares) / unit < _LOWEST_FACTOR or not _LEAST_UNIT <= unit <= _MOST_UNIT:
            continue
        # Those of the conductors follow those of the phases, and are no currents.
        like_voltages = any(
            342 <= plain[p] * layout.scale <= 440 or 198 <= plain[p] * layout.scale <= 253
            for p in places
        )
        factor = _factor_at(words, layout, abs(powers[total]) / unit / sum(va))
        values = {f"voltage.L{i}": v for i, v in enumerate(layout.values_v, 1)}
        # As if the currents were in A: only the product of their scale and the power's is known.
        values |= {f"current.L{i}": plain[p] for i, p in enumerate(places, 1)}
        values |= {f"active_power.L{i}": powers[p] / unit / 1000 for i, p in enumerate(triple, 1)}
        values["active_power.total"] = powers[total] / unit / 1000
        if factor is not None:
            values["power_factor.total"] = factor[1]
        yield (
            factor is None,
            like_voltages,
            abs(a - layout.voltages[-1]),
            ElectricalSet(
                layout.voltages, places, triple, total, power_type, letters,
                float(f"{1 / unit / 1000:.6g}"), None if factor is None else factor[0], values,
            ),
        )  # fmt: skip


def _summed(numbers: Mapping[int, float], kind: RegisterType) -> Iterator[tuple[_Triple, int]]:
    """Find three neighbours whose sum stands elsewhere; equal numbers prove nothing."""
    width = WIDTH[kind]
    is_float = kind.startswith("float")
    least = 1e-3 if is_float else 3.0
    for a in numbers:
        triple = (a, a + width, a + 2 * width)
        if not all(least <= abs(numbers.get(p, 0.0)) < 1e9 for p in triple):
            continue
        together = sum(numbers[p] for p in triple)
        slack = _SUM_TOLERANCE * abs(together) + (0.0 if is_float else _SUM_COUNTS)
        for at, value in numbers.items():
            apart = not _span(triple, width) & _span((at,), width)
            if apart and abs(value) >= least and abs(value - together) <= slack:
                yield triple, at


def _factor_at(words: Mapping[int, int], layout: Layout, wanted: float) -> tuple[int, float] | None:
    """Return where a power factor stands that fits P over the sum of U * I."""
    word_order, byte_order = _order_of(layout)
    for kind in _FACTOR_TYPES[layout.type]:
        one = 1.0 if kind.startswith("float") else 1000.0
        for a, value in sorted(numbers_in(words, kind, word_order, byte_order).items()):
            share = value / one
            if abs(share) <= 1 and abs(abs(share) - wanted) <= _FACTOR_TOLERANCE * wanted:
                return a, share
    return None


def _order_of(layout: Layout) -> tuple[Order, Order]:
    return next(o for o in ORDERS if letters_of(layout.type, *o) == layout.letters)


def _span(places: tuple[int, ...], width: int) -> set[int]:
    return {p + i for p in places for i in range(width)}
