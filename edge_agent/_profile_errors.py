"""Everything that is wrong with a profile file, found in one pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.decode import WIDTH
from enpilot.forms import form_mistakes
from enpilot.quantities import QUANTITIES, UnitError, unit_ratio

if TYPE_CHECKING:
    from edge_agent.data_items import DataItem
    from edge_agent.profile import Profile, ProfileRegister

__all__ = ["checked_profile", "form_mistakes", "quantity_mistakes"]

_ADDRESSES = 1 << 16


def checked_profile(
    written: dict[str, Any],
    profile_type: type[Profile],
    register_type: type[ProfileRegister],
) -> tuple[Profile | None, list[str]]:
    """Return the profile, and every mistake with its path and what would be right.

    Parameters
    ----------
    written
        The TOML file; keys of its table ``defaults`` hold for each register that does not say
        otherwise.
    profile_type, register_type
        The structures to build.

    Returns
    -------
    tuple
        None instead of the profile if a key has the wrong form; the list is empty if all is well.
    """
    head = {k: v for k, v in written.items() if k not in ("register", "defaults")}
    defaults = written.get("defaults", {})
    mistakes = list(form_mistakes(head, profile_type))
    if not isinstance(defaults, dict):
        return None, [*mistakes, "`defaults` is a table of register keys - at `$.defaults`"]
    known = {f.encode_name for f in msgspec.structs.fields(register_type)}
    mistakes += [
        f"Object contains unknown field `{key}` - at `$.defaults`"
        for key in defaults.keys() - known
    ]
    mistakes += [
        f"`{key}` belongs to a profile of DL/T 645 or CJ/T 188, which names its `protocol` - at "
        f"`$.{key}`"
        for key in ("item", "meter_type")
        if key in written
    ]
    entries = written.get("register")
    if not isinstance(entries, list) or not entries:
        return None, [*mistakes, "a profile needs at least one [[register]] - at `$.register`"]
    base = written.get("base", 0)
    registers: dict[int, ProfileRegister] = {}
    for i, entry in enumerate(entries):
        path = f"$.register[{i}]"
        if not isinstance(entry, dict):
            mistakes.append(f"a register is a table - at `{path}`")
            continue
        merged = _placed({k: v for k, v in defaults.items() if k in known} | entry, base)
        wrong = list(form_mistakes(merged, register_type, path))
        mistakes += wrong
        if not wrong:
            registers[i] = msgspec.convert(merged, register_type)
    for i, register in registers.items():
        mistakes += [f"{m} - at `$.register[{i}]`" for m in _meaning_mistakes(register)]
    names = [r.name for r in registers.values()]
    mistakes += [f"{n} is described twice" for n in sorted(set(names)) if names.count(n) > 1]
    mistakes += _overlap_mistakes(registers)
    if list(form_mistakes(head, profile_type)):
        return None, mistakes
    if not registers:
        return None, mistakes
    profile = msgspec.convert({**head, "register": list(registers.values())}, profile_type)
    mistakes += _request_mistakes(profile, registers)
    return profile, mistakes


def _placed(entry: dict[str, Any], base: object) -> dict[str, Any]:
    """Return a register with the profile's base added to its addresses."""
    if type(base) is not int:
        return entry  # said by the check of the profile's own keys
    places = {k: v + base for k in _PLACES if type(v := entry.get(k)) is int}
    return entry | places


_PLACES = ("address", "scale_register")


def quantity_mistakes(r: ProfileRegister | DataItem) -> Iterator[str]:
    """Yield what is wrong with quantity, unit, counter and rated range of a value."""
    try:
        unit_ratio(r.quantity, r.unit)
    except UnitError as error:
        yield str(error)
    else:
        cumulative = QUANTITIES[r.quantity].cumulative
        if cumulative != (r.counter is not None):
            yield f"{r.name} {'needs' if cumulative else 'has no'} `counter`"
    if r.rated_max_per_h is not None and r.counter is None:
        yield f"{r.name} has a `rated_max_per_h` but counts nothing"
    if r.modulus is not None and r.counter is None:
        yield f"{r.name} has a `modulus` but counts nothing"
    if r.rated_min is not None and r.rated_max is not None and r.rated_min >= r.rated_max:
        yield f"{r.name}: `rated_min` {r.rated_min:g} is not below `rated_max` {r.rated_max:g}"


def _meaning_mistakes(r: ProfileRegister) -> Iterator[str]:
    yield from quantity_mistakes(r)
    if r.address + r.width > _ADDRESSES:
        yield (
            f"{r.name} ({r.address:#06x}, {r.width} registers) goes beyond the last address 0xffff"
        )
    yield from _counting_mistakes(r)
    yield from _coding_mistakes(r)
    limit = 1 << (16 * r.width)
    for marker in r.not_available:
        if isinstance(marker, float):
            if not math.isnan(marker) or not r.type.startswith("float"):
                yield (
                    f"{r.name}: `not_available` takes bit patterns such as 0x8000, and nan for a "
                    f"float type; not {marker} for {r.type}"
                )
        elif not 0 <= marker < limit:
            yield f"{r.name}: `not_available` {marker:#x} does not fit {16 * r.width} bits"


def _counting_mistakes(r: ProfileRegister) -> Iterator[str]:
    if r.counter is not None and Decimal(r.offset) != 0:
        yield f"{r.name} counts: an `offset` has no meaning"
    if r.modulus is None or r.counter is None:
        return
    if r.scale_register is not None:
        yield (
            f"{r.name}: its scale is in register {r.scale_register:#06x}, so no `modulus` can be "
            "said in counts of the profile's scale; leave it out"
        )
    elif Decimal(r.modulus) > (most := _capacity(r)):
        yield (
            f"{r.name}: a {r.type} starts again after {most} counts at the latest, `modulus` says "
            f"{r.modulus}"
        )


def _capacity(r: ProfileRegister) -> Decimal:
    if r.bits is not None:
        return Decimal(2 ** r.bits[1])
    if r.type.startswith(("bcd", "m10k")):
        return Decimal(10 ** (4 * WIDTH[r.type]))
    if r.type.startswith("float"):
        return Decimal("Infinity")
    return Decimal(2 ** (16 * WIDTH[r.type]))


def _coding_mistakes(r: ProfileRegister) -> Iterator[str]:
    special = [r.bits is not None, r.coding != "plain", r.scale_register is not None]
    if sum(special) > 1:
        yield f"{r.name}: only one of `bits`, `coding` and `scale_register`"
    if r.bits is not None:
        low, count = r.bits
        if not r.type.startswith("uint"):
            yield f"{r.name}: `bits` need an unsigned type, not {r.type}"
        elif low < 0 or count < 1 or low + count > 16 * r.width:
            yield (
                f"{r.name}: `bits` are the lowest bit and how many, within {16 * r.width}; not "
                f"[{low}, {count}]"
            )
    ten = Decimal(r.scale).normalize().as_tuple().digits == (1,)
    if r.scale_register is not None:
        if "int" not in r.type:
            yield f"{r.name}: a `scale_register` belongs to an integer type, not {r.type}"
        if not ten:
            yield f"{r.name}: with a `scale_register` the `scale` is a power of ten, not {r.scale}"
        if r.address <= r.scale_register < r.address + r.width:
            yield f"{r.name}: `scale_register` {r.scale_register:#06x} is the value's own register"
    if r.coding == "power_factor_4q":
        if r.quantity != "power_factor" or "uint" in r.type or r.type not in _FOLDABLE:
            yield f"{r.name}: power_factor_4q is for a power_factor of a signed or float type"
        elif not ten:
            yield f"{r.name}: power_factor_4q needs a `scale` that is a power of ten"


_FOLDABLE = frozenset({"int16", "int32", "float32", "float64"})


def _request_mistakes(profile: Profile, registers: dict[int, ProfileRegister]) -> Iterator[str]:
    most = profile.max_registers_per_request
    for i, r in registers.items():
        if r.end - r.first > most:
            yield (
                f"{r.name} ({r.first:#06x}, {r.end - r.first} registers) does not fit one request "
                f"of {most} - at `$.register[{i}]`"
            )
        for a, b in profile.forbidden:
            if a < r.end and r.first <= b:
                yield (
                    f"{r.name} ({r.first:#06x}, {r.end - r.first} registers) needs registers of "
                    f"the forbidden range {a:#06x} to {b:#06x} - at `$.register[{i}]`"
                )
    for j, (a, b) in enumerate(profile.forbidden):
        if a > b:
            yield (
                f"a range is its first and its last address, not [{a}, {b}] - at `$.forbidden[{j}]`"
            )


def _overlap_mistakes(registers: dict[int, ProfileRegister]) -> Iterator[str]:
    for function in ("holding", "input"):
        ordered = sorted((r.address, i, r) for i, r in registers.items() if r.function == function)
        before: list[ProfileRegister] = []
        for _, i, r in ordered:
            before = [a for a in before if a.address + a.width > r.address]
            for a in before:
                if not _shares_bits(a, r):
                    yield (
                        f"{r.name} ({function} {r.address:#06x}) overlaps {a.name} "
                        f"({a.address:#06x}, {a.width} registers) - at `$.register[{i}]`"
                    )
            before.append(r)


def _shares_bits(a: ProfileRegister, b: ProfileRegister) -> bool:
    """Two values may be different bits of the same registers."""
    if a.bits is None or b.bits is None:
        return False
    same = (a.address, a.type, a.word_order, a.byte_order) == (
        b.address, b.type, b.word_order, b.byte_order,
    )  # fmt: skip
    return same and (a.bits[0] + a.bits[1] <= b.bits[0] or b.bits[0] + b.bits[1] <= a.bits[0])
