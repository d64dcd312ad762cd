"""Data items: what a DL/T 645-2007 or CJ/T 188 meter says under a data identifier.

They stand in a profile where a Modbus profile has registers, and become numbers the same way:
unscaled, with a quality each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from edge_agent._profile_errors import quantity_mistakes
from edge_agent.decode import BlockDecoder
from enpilot.forms import PositiveDecimalText, form_mistakes
from enpilot.wire import Quality
from enpilot.wire.messages import CounterKind, RawType

if TYPE_CHECKING:
    from edge_agent.profile import Profile

__all__ = [
    "DataItem",
    "MeterProtocol",
    "checked_meter_profile",
    "compile_item_decoder",
    "encode_item",
]

MeterProtocol = Literal["dlt645", "cjt188"]
_IDENTIFIER_DIGITS: Final = {"dlt645": 8, "cjt188": 4}
_OF_THE_PROFILE: Final = ("protocol", "meter_type")
_MODBUS: Final = frozenset(
    {"register", "base", "forbidden", "max_gap", "max_registers_per_request"}
)
_MOST_INT32_DIGITS: Final = 9
_GOOD: Final = int(Quality.GOOD)
_ABSENT: Final = (None, int(Quality.NOT_AVAILABLE))
_NO_NUMBER: Final = (None, int(Quality.NOT_FINITE))
# A number in another unit than the profile's would be wrong by some power of ten.
_OTHER_UNIT: Final = (None, int(Quality.OVERFLOW))


class DataItem(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One value under a data identifier: binary coded decimal, the low byte first.

    ``at`` is where it begins after the identifier (and the serial number of CJ/T 188) [bytes],
    ``digits`` how many it has; a ``signed`` one is negative where the highest bit is set.
    ``unit_code`` is the byte that must follow it. ``protocol`` and ``meter_type`` are the
    profile's. The rest is as in `edge_agent.profile.ProfileRegister`.
    """

    protocol: MeterProtocol
    meter_type: Annotated[int, Meta(ge=0, le=255)] = 0
    data_id: Annotated[str, Meta(pattern=r"^([0-9A-F]{4}){1,2}\Z")]
    at: Annotated[int, Meta(ge=0, le=199)] = 0
    digits: Annotated[int, Meta(ge=2, le=14, multiple_of=2)]
    signed: bool = False
    unit_code: Annotated[int, Meta(ge=0, le=255)] | None = None
    quantity: str
    channel: str
    unit: str
    scale: PositiveDecimalText = "1"
    side: Literal["primary", "secondary"] = "primary"
    counter: CounterKind | None = None
    modulus: PositiveDecimalText | None = None
    rated_min: float | None = None
    rated_max: float | None = None
    rated_max_per_h: Annotated[float, Meta(gt=0)] | None = None
    note: str | None = None

    @property
    def offset(self) -> str:
        """What is added after scaling: nothing."""
        return "0"

    @property
    def identifier(self) -> int:
        """The data identifier as a request names it; of CJ/T 188 with the type in front."""
        return (self.meter_type << 16 if self.protocol == "cjt188" else 0) | int(self.data_id, 16)

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.at + self.digits // 2 + (self.unit_code is not None)

    @property
    def type(self) -> str:
        """How its bytes are meant, for people."""
        return f"bcd {self.digits}" + (" signed" if self.signed else "")

    @property
    def raw_type(self) -> RawType:
        """As what its decoded number travels."""
        small = self.digits <= _MOST_INT32_DIGITS
        if self.signed:
            return "int32" if small else "int64"
        return "uint32" if small else "uint64"

    @property
    def name(self) -> str:
        """Name for people and messages."""
        return f"{self.quantity}.{self.channel}"

    @property
    def place(self) -> str:
        """Protocol, identifier, and how the bytes are meant."""
        kind = f" type {self.meter_type:02X}" if self.protocol == "cjt188" else ""
        return f"{self.protocol}:{self.data_id}{kind} byte {self.at} {self.type}"


def checked_meter_profile(
    written: dict[str, Any], profile_type: type[Profile]
) -> tuple[Profile | None, list[str]]:
    """Return a profile whose protocol is not Modbus, and every mistake with its path.

    Parameters
    ----------
    written
        The TOML file; keys of its table ``defaults`` hold for each item that does not say
        otherwise.
    profile_type
        The structure to build.

    Returns
    -------
    tuple
        None instead of the profile if a key has the wrong form; the list is empty if all is well.
    """
    head = {k: v for k, v in written.items() if k not in ("item", "defaults")}
    form = list(form_mistakes(head, profile_type, "$"))
    mistakes = form + [
        f"`{key}` belongs to a profile of Modbus - at `$.{key}`" for key in _MODBUS & head.keys()
    ]
    if (written["protocol"] == "cjt188") != ("meter_type" in written):
        mistakes.append(
            "a profile of cjt188 says the `meter_type`, 0x10 for cold water, and no other does - "
            "at `$.meter_type`"
        )
    defaults = written.get("defaults", {})
    if not isinstance(defaults, dict):
        return None, [*mistakes, "`defaults` is a table of item keys - at `$.defaults`"]
    items, wrong = _checked_items(written, defaults)
    mistakes += wrong
    if form or not items:
        return None, mistakes
    return msgspec.convert({**head, "item": items}, profile_type), mistakes


def _checked_items(
    written: dict[str, Any], defaults: dict[str, Any]
) -> tuple[list[DataItem], list[str]]:
    entries = written.get("item")
    if not isinstance(entries, list) or not entries:
        return [], [f"a profile of {written['protocol']} needs at least one [[item]] - at `$.item`"]
    head = {k: written[k] for k in _OF_THE_PROFILE if k in written}
    items: dict[int, DataItem] = {}
    mistakes: list[str] = []
    for i, entry in enumerate(entries):
        path = f"$.item[{i}]"
        if not isinstance(entry, dict):
            mistakes.append(f"an item is a table - at `{path}`")
            continue
        mistakes += [
            f"`{key}` is said once, for the whole profile - at `{path}`"
            for key in _OF_THE_PROFILE
            if key in entry
        ]
        merged = defaults | entry | head
        wrong = list(form_mistakes(merged, DataItem, path))
        mistakes += wrong
        if not wrong:
            items[i] = msgspec.convert(merged, DataItem)
    for i, item in items.items():
        mistakes += [f"{m} - at `$.item[{i}]`" for m in _item_mistakes(item)]
        mistakes += [
            f"{item.name} and {other.name} are the same bytes of {item.data_id} - at `$.item[{i}]`"
            for j, other in items.items()
            if j < i and other.data_id == item.data_id
            and other.at < item.end and item.at < other.end
        ]  # fmt: skip
    names = [r.name for r in items.values()]
    mistakes += [f"{n} is described twice" for n in sorted(set(names)) if names.count(n) > 1]
    return list(items.values()), mistakes


def _item_mistakes(item: DataItem) -> Iterator[str]:
    yield from quantity_mistakes(item)
    digits = _IDENTIFIER_DIGITS[item.protocol]
    if len(item.data_id) != digits:
        yield f"{item.name}: a data identifier of {item.protocol} has {digits} digits"
    if item.modulus is not None and Decimal(item.modulus) > 10**item.digits:
        yield (
            f"{item.name}: {item.digits} digits start again after {10**item.digits} counts at the "
            f"latest, `modulus` says {item.modulus}"
        )


def compile_item_decoder(items: Sequence[DataItem]) -> BlockDecoder:
    """Return the function that turns one data identifier's bytes into numbers and qualities.

    Parameters
    ----------
    items
        The values under the identifier.

    Returns
    -------
    BlockDecoder
        Takes the bytes after the identifier and returns values and qualities in the order of
        ``items``. Never raises: what a short reply lacks, and what is all 0xFF, is NOT_AVAILABLE;
        what holds no digits NOT_FINITE; what is in another unit OVERFLOW.
    """
    steps = [_reader(item) for item in items]

    def decoder(data: bytes) -> tuple[list[int | float | None], list[int]]:
        found = [step(data) for step in steps]
        return [value for value, _ in found], [quality for _, quality in found]

    return decoder


def _reader(item: DataItem) -> Callable[[bytes], tuple[int | None, int]]:
    first, last = item.at, item.at + item.digits // 2
    end, unit_code, signed = item.end, item.unit_code, item.signed
    absent = b"\xff" * (last - first)

    def read(data: bytes) -> tuple[int | None, int]:
        number = data[first:last]
        if len(data) < end or number == absent:
            return _ABSENT
        if unit_code is not None and data[last] != unit_code:
            return _OTHER_UNIT
        high = number[-1]
        negative = signed and high & 0x80
        if negative:
            number = number[:-1] + bytes([high & 0x7F])
        digits = number[::-1].hex()
        if not digits.isdecimal():
            return _NO_NUMBER
        return (-int(digits) if negative else int(digits)), _GOOD

    return read


def encode_item(number: int, item: DataItem) -> bytes:
    """Return the bytes of a number, its unit's behind it; what `compile_item_decoder` undoes.

    Raises
    ------
    ValueError
        If the number does not fit.
    """
    digits = f"{abs(number):0{item.digits}d}"
    if len(digits) > item.digits or (number < 0 and not item.signed):
        raise ValueError(f"{number} does not fit {item.type}")
    coded = bytearray(bytes.fromhex(digits)[::-1])
    if item.signed:
        if coded[-1] & 0x80:
            raise ValueError(f"{number} does not fit {item.type}")
        coded[-1] |= 0x80 if number < 0 else 0
    return bytes(coded) + (b"" if item.unit_code is None else bytes([item.unit_code]))
