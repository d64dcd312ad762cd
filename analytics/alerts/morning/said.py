"""What a morning message says, as data: facts of its row, from which alone it is put into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = ["Action", "Cause", "Morning"]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What moved most of the distance.

    ``code`` is a kind of waste or a withheld code, ``share`` the part of the distance, ``tce`` what
    it moved, positive above what was expected [tce]. "none": nothing moved enough of it.
    """

    kind: Literal["waste", "point", "shift", "withheld", "none"]
    code: str = ""
    name_zh: str = ""
    name_en: str = ""
    tce: float | None = None
    share: float | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about it; ``yuan_a_year`` of a waste that stands [yuan]."""

    kind: Literal["waste", "point", "shift", "withheld", "none"]
    code: str = ""
    name_zh: str = ""
    name_en: str = ""
    yuan_a_year: float | None = None


class Morning(msgspec.Struct, frozen=True, kw_only=True):
    """A day of a site.

    ``intensity`` in [energy_unit/output_unit] and ``energy`` in [energy_unit]; ``expected`` is an
    energy for the basis "baseline", else an intensity. ``distance`` is a ratio, positive above it.
    ``until`` is when the message is too late.
    """

    day: str
    name_zh: str = ""
    name_en: str = ""
    energy_unit: str = ""
    output_unit: str = ""
    intensity: float | None = None
    energy: float | None = None
    energy_tce: float | None = None
    output: float | None = None
    withheld_code: str | None = None
    electricity_kwh: float | None = None
    basis: Literal["baseline", "target", "like_days"] | None = None
    expected: float | None = None
    distance: float | None = None
    little_output: bool = False
    cost_yuan: float | None = None
    cost_withheld_code: str | None = None
    coverage: float | None = None
    reporting_completeness: float | None = None
    cause: Cause = msgspec.field(default_factory=lambda: Cause(kind="none"))
    action: Action = msgspec.field(default_factory=lambda: Action(kind="none"))
    synthetic: bool = False
    factor_verified: bool = True
    page: str = ""
    until: str | None = None

    @property
    def has_figure(self) -> bool:
        """Whether anything is known of the day."""
        return self.intensity is not None or self.energy is not None or bool(self.electricity_kwh)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        return facts

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Morning:
        """Return what facts of a row say."""
        return msgspec.convert(dict(facts), cls)
