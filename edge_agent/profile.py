"""Meter profiles: which register of a meter family holds what, as data with its source.

One TOML file a family in ``edge_agent/profiles``; the schema is in ``docs/reference/profiles.md``.
Addresses are the zero-based ones of the protocol, whatever the manual counts from.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from edge_agent._profile_errors import checked_profile
from edge_agent.data_items import DataItem, MeterProtocol, checked_meter_profile
from edge_agent.decode import RAW_TYPE, WIDTH, RegisterType
from edge_agent.errors import ProfileError
from enpilot.forms import DecimalText, PositiveDecimalText
from enpilot.wire.messages import CounterKind, RawType

__all__ = ["Profile", "ProfileRegister", "load_profile", "profile_codes"]

_Address = Annotated[int, Meta(ge=0, le=65535)]


class ProfileRegister(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One value of a meter.

    ``scale`` turns the register's number into ``unit`` as the meter sees it; ``modulus`` is the
    number of counts after which a counter starts at zero again; with side "secondary" the ratios
    of the transformers still have to be applied.
    """

    address: _Address
    function: Literal["holding", "input"] = "holding"
    type: RegisterType
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    bits: tuple[int, int] | None = None
    coding: Literal["plain", "power_factor_4q"] = "plain"
    quantity: str
    channel: str
    unit: str
    scale: PositiveDecimalText = "1"
    scale_register: _Address | None = None
    offset: DecimalText = "0"
    not_available: list[int | float] = []
    side: Literal["primary", "secondary"] = "primary"
    counter: CounterKind | None = None
    modulus: PositiveDecimalText | None = None
    rated_min: float | None = None
    rated_max: float | None = None
    rated_max_per_h: Annotated[float, Meta(gt=0)] | None = None
    note: str | None = None

    @property
    def width(self) -> int:
        """Registers that the value takes."""
        return WIDTH[self.type]

    @property
    def first(self) -> int:
        """Lowest register that one request must bring for this value."""
        factor = self.scale_register
        return self.address if factor is None else min(self.address, factor)

    @property
    def end(self) -> int:
        """The register after the highest one that the value needs."""
        own, factor = self.address + self.width, self.scale_register
        return own if factor is None else max(own, factor + 1)

    @property
    def raw_type(self) -> RawType:
        """As what its decoded number travels."""
        return "int64" if self.scale_register is not None else RAW_TYPE[self.type]

    @property
    def byte_letters(self) -> str:
        """Order of the bytes as engineers write it, A being the highest: ABCD, CDAB and so on."""
        letters = "ABCD" if self.word_order == "big" else "CDAB"
        if self.byte_order == "little":
            letters = letters[1::-1] + letters[:1:-1]
        return letters if self.width > 1 else ("AB" if self.byte_order == "big" else "BA")

    @property
    def name(self) -> str:
        """Name for people and messages."""
        return f"{self.quantity}.{self.channel}"

    @property
    def place(self) -> str:
        """Function, address, and how the bits are meant where that is not plain."""
        parts = [f"{self.function}:{self.address:#06x}"]
        unusual = self.byte_order == "little" or (self.word_order == "little" and self.width > 1)
        if unusual or RAW_TYPE[self.type] != self.type:
            parts += [self.type, self.byte_letters]
        if self.bits is not None:
            parts.append(f"bits {self.bits[0]}+{self.bits[1]}")
        if self.coding != "plain":
            parts.append(self.coding)
        if self.scale_register is not None:
            parts.append(f"scale factor {self.scale_register:#06x}")
        return " ".join(parts)


class Profile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A meter family.

    ``max_gap`` unused registers may be read along to save a request, but none in a ``forbidden``
    range (first and last address). ``base`` has been added to the registers' addresses when a
    profile is loaded.

    A meter of another ``protocol`` than Modbus has ``item`` instead of ``register``, and one of
    CJ/T 188 a ``meter_type``: the byte before its address, such as 0x10 for cold water.
    """

    code: str
    maker: str
    models: list[str]
    source: str
    verified: bool
    max_registers_per_request: Annotated[int, Meta(ge=1, le=125)] = 125
    max_gap: Annotated[int, Meta(ge=0, le=124)] = 16
    base: Annotated[int, Meta(ge=-65535, le=65535)] = 0
    forbidden: list[tuple[_Address, _Address]] = []
    note: str | None = None
    protocol: Literal["modbus", "dlt645", "cjt188"] = "modbus"
    meter_type: Annotated[int, Meta(ge=0, le=255)] | None = None
    register: list[ProfileRegister] = []
    item: list[DataItem] = []

    @property
    def values(self) -> list[ProfileRegister] | list[DataItem]:
        """What the meter gives, by whatever protocol."""
        return self.register or self.item


def profile_codes() -> list[str]:
    """Return the codes of the shipped profiles, sorted."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in files("edge_agent").joinpath("profiles").iterdir()
        if entry.name.endswith(".toml")
    )


def load_profile(code: str, folder: Path | None = None) -> Profile:
    """Read a profile: a shipped one by its code, or a file of one's own by its path.

    Parameters
    ----------
    code
        A code of `profile_codes`, or a path that ends in ``.toml``.
    folder
        Where a relative path begins: that of the plant file; left out, the current one.

    Raises
    ------
    ProfileError
        If it does not exist or cannot be used; the message names the file and every mistake.
    """
    file: Traversable
    if code.endswith(".toml"):
        file = (folder or Path()) / code
    elif code in profile_codes():
        file = files("edge_agent").joinpath("profiles", f"{code}.toml")
    else:
        raise ProfileError(
            f"no profile {code!r}; shipped are {', '.join(profile_codes())}; a file of your own is "
            "named by its path, ending in .toml"
        )
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ProfileError(f"{file}: there is no such file") from error
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file}: {error}") from error
    if written.get("protocol") in get_args(MeterProtocol):
        profile, mistakes = checked_meter_profile(written, Profile)
    else:
        profile, mistakes = checked_profile(written, Profile, ProfileRegister)
    if profile is None or mistakes:
        raise ProfileError(f"{file}: " + "; ".join(mistakes))
    return profile
