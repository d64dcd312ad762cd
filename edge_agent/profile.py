"""Meter profiles: which register of a meter family holds what, as data with its source.

One TOML file a family in ``edge_agent/profiles``. Addresses are the zero-based ones of the
protocol, whatever the manual counts from.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.decode import WIDTH
from edge_agent.errors import ProfileError
from enpilot.quantities import QUANTITIES, UnitError, unit_ratio
from enpilot.wire.messages import CounterKind, RawType

__all__ = ["Profile", "ProfileRegister", "load_profile", "profile_codes"]

_ADDRESSES = 1 << 16

_Positive = Annotated[str, Meta(pattern=r"^(?=.*[1-9])[0-9]+(\.[0-9]+)?\Z")]


class ProfileRegister(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One value of a meter.

    ``scale`` turns the register's number into ``unit`` as the meter sees it; ``modulus`` is the
    number of counts after which a counter starts at zero again; with side "secondary" the ratios
    of the transformers still have to be applied.
    """

    address: Annotated[int, Meta(ge=0, le=65535)]
    function: Literal["holding", "input"] = "holding"
    type: RawType
    word_order: Literal["big", "little"] = "big"
    quantity: str
    channel: str
    unit: str
    scale: _Positive = "1"
    side: Literal["primary", "secondary"] = "primary"
    counter: CounterKind | None = None
    modulus: _Positive | None = None
    rated_max_per_h: Annotated[float, Meta(gt=0)] | None = None
    note: str | None = None

    @property
    def width(self) -> int:
        """Registers that the value takes."""
        return WIDTH[self.type]

    @property
    def name(self) -> str:
        """Name for people and messages."""
        return f"{self.quantity}.{self.channel}"


class Profile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A meter family. ``max_gap`` unused registers may be read along to save a request."""

    code: str
    maker: str
    models: list[str]
    source: str
    verified: bool
    max_registers_per_request: Annotated[int, Meta(ge=1, le=125)] = 125
    max_gap: Annotated[int, Meta(ge=0, le=124)] = 16
    register: Annotated[list[ProfileRegister], Meta(min_length=1)]


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
        profile = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Profile)
    except FileNotFoundError as error:
        raise ProfileError(f"{file}: there is no such file") from error
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(f"{file}: {error}") from error
    errors = [*_word_errors(profile), *_space_errors(profile), *_overlap_errors(profile)]
    if errors:
        raise ProfileError(f"{file}: " + "; ".join(errors))
    return profile


def _word_errors(profile: Profile) -> list[str]:
    errors = []
    for i, register in enumerate(profile.register):
        path = f"at `$.register[{i}]`"
        try:
            unit_ratio(register.quantity, register.unit)
        except UnitError as error:
            errors.append(f"{error} - {path}")
            continue
        cumulative = QUANTITIES[register.quantity].cumulative
        if cumulative != (register.counter is not None):
            need = "needs" if cumulative else "has no"
            errors.append(f"{register.name} {need} `counter` - {path}")
        if register.modulus is not None and register.counter is None:
            errors.append(f"{register.name} has a `modulus` but counts nothing - {path}")
    names = [r.name for r in profile.register]
    errors += [f"{n} is described twice" for n in sorted(set(names)) if names.count(n) > 1]
    return errors


def _space_errors(profile: Profile) -> list[str]:
    errors = []
    for i, register in enumerate(profile.register):
        where = f"{register.name} ({register.address:#06x}, {register.width} registers)"
        if register.address + register.width > _ADDRESSES:
            errors.append(f"{where} goes beyond the last address 0xffff - at `$.register[{i}]`")
        if register.width > profile.max_registers_per_request:
            errors.append(
                f"{where} does not fit one request of {profile.max_registers_per_request} - at "
                f"`$.register[{i}]`"
            )
    return errors


def _overlap_errors(profile: Profile) -> list[str]:
    errors = []
    for function in ("holding", "input"):
        ordered = sorted(
            (r.address, i, r) for i, r in enumerate(profile.register) if r.function == function
        )
        errors += [
            f"{b.name} ({function} {b.address:#06x}) overlaps {a.name} ({a.address:#06x}, "
            f"{a.width} registers) - at `$.register[{j}]`"
            for (_, _i, a), (_, j, b) in pairwise(ordered)
            if a.address + a.width > b.address
        ]
    return errors
