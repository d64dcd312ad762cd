"""What energy costs: tariffs, utility accounts, prices of other media, days of the calendar.

Tariffs are data (F21, F26): an own one says everything itself, another names a shipped regime
(`enpilot/plant/data/tariff_regimes.toml`: hours and ratios as published) and gives its price level.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import tomllib
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from enpilot.forms import DecimalText, PositiveDecimalText
from enpilot.plant.base import Code, Dated, Names, Share, Strict
from enpilot.quantities import MEDIA, QUANTITIES, energy_quantity
from enpilot.tariff_hours import BANDS, Band, BandHours, hours_mistakes

if TYPE_CHECKING:
    from enpilot.plant.model import Plant

__all__ = [
    "Account",
    "CalendarDay",
    "IntensitySteps",
    "Losses",
    "MediumPrice",
    "PricePart",
    "Regime",
    "Step",
    "Tariff",
    "check_tariffs",
    "regimes",
    "with_regime",
]


class CalendarDay(Strict, kw_only=True):
    """A day that is not what the country's calendar says; ``date`` is a local day of the site."""

    date: dt.date
    kind: Literal["workday", "holiday", "shutdown"]
    name: Names


class PricePart(Strict, kw_only=True):
    """A part of the price of a kWh; only parts that float follow the bands' ratios.

    Parts that are not ``adjusted`` (government funds) stay out of the power factor's adjustment.
    """

    code: Code
    name: Names
    yuan_per_kwh: DecimalText
    floats: bool = False
    adjusted: bool = True


class Step(Strict, kw_only=True):
    """What is used in a month above ``above`` costs ``surcharge_yuan`` more for each unit."""

    above: PositiveDecimalText
    surcharge_yuan: PositiveDecimalText


class IntensitySteps(Strict, kw_only=True):
    """All kWh cost more, the more of them a unit of product took (阶梯电价 of aluminium)."""

    product: Code
    threshold_kwh_per_unit: PositiveDecimalText
    step_kwh_per_unit: PositiveDecimalText
    yuan_per_kwh_per_step: PositiveDecimalText


class Tariff(Dated, kw_only=True):
    """Price of electricity: bands and hours, what floats and what does not, basic charges, steps.

    The price of a band is ``band_prices`` of it, or its ratio times the sum of what floats; what
    does not float is added. With ``price_decimals`` a band's price is rounded as it is printed.
    Prices are in yuan for a kWh, a kVA or a kW in a month.
    """

    code: Code
    name: Names
    regime: Code | None = None
    hours: list[BandHours] = []
    special_hours: list[BandHours] = []
    ratios: dict[Band, PositiveDecimalText] = {}
    band_prices: dict[Band, PositiveDecimalText] = {}
    parts: list[PricePart] = []
    price_decimals: Annotated[int, Meta(ge=2, le=8)] | None = None
    capacity_yuan_per_kva: PositiveDecimalText | None = None
    demand_yuan_per_kw: PositiveDecimalText | None = None
    # 发改价格〔2023〕526号: who uses as much of each kVA in a month pays less for demand.
    demand_discount_from_kwh_per_kva: PositiveDecimalText | None = None
    demand_discount_factor: Share | None = None
    # Above this multiple of the contracted demand each kW counts as often.
    contract_excess_from: PositiveDecimalText | None = None
    contract_excess_factor: PositiveDecimalText | None = None
    two_part_from_kva: PositiveDecimalText | None = None
    steps: list[Step] = []
    intensity_steps: IntensitySteps | None = None
    source: str
    verified: bool = False


class Losses(Strict, kw_only=True):
    """Losses of a transformer that stands before the meter (高供低计), added to what was metered.

    No-load losses flow in every hour; load losses are a share of what was metered.
    """

    no_load_kw: DecimalText = "0"
    no_load_kvar: DecimalText = "0"
    load_share: Share = "0"
    load_kvarh_per_kwh: DecimalText = "0"


class Account(Dated, kw_only=True):
    """A customer account of the utility: its billing meters, tariff, and terms of the contract."""

    code: Code
    name: Names
    tariff: Code
    points: Annotated[list[Code], Meta(min_length=1)]
    billing_day: Annotated[int, Meta(ge=1, le=28)] = 1
    basic_charge: Literal["none", "capacity", "demand", "contract_demand"] = "none"
    capacity_kva: PositiveDecimalText | None = None
    contract_demand_kw: PositiveDecimalText | None = None
    power_factor_standard: Literal["0.90", "0.85", "0.80"] | None = None
    losses: Losses | None = None
    demand_window_s: Annotated[int, Meta(ge=60, le=3600, multiple_of=60)] = 900
    demand_slide_s: Annotated[int, Meta(ge=60, le=3600, multiple_of=60)] = 60
    demand_clock_offset_s: Annotated[int, Meta(ge=-3600, le=3600, multiple_of=60)] = 0


class MediumPrice(Dated, kw_only=True):
    """Price of another medium for each unit, with steps by the month."""

    medium: str
    unit: str
    yuan: PositiveDecimalText
    steps: list[Step] = []
    source: str
    verified: bool = False


class Regime(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """Hours and ratios that an authority published; ``to`` is the day after the last."""

    code: Code
    name: Names
    since: dt.date
    to: dt.date | None = None
    hours: list[BandHours]
    special_hours: list[BandHours] = []
    ratios: dict[Band, PositiveDecimalText] = {}
    document: str
    source: str
    verified: bool


class _RegimeFile(msgspec.Struct, forbid_unknown_fields=True):
    regime: list[Regime]


@functools.cache
def regimes() -> dict[str, Regime]:
    """Return the shipped regimes by their code."""
    text = files("enpilot.plant").joinpath("data/tariff_regimes.toml").read_text("utf-8")
    shipped = msgspec.convert(tomllib.loads(text), _RegimeFile).regime
    return {regime.code: regime for regime in shipped}


def with_regime(tariff: Tariff) -> Tariff:
    """Return a tariff with the hours and ratios of its regime written out.

    Parameters
    ----------
    tariff
        As written; what it says itself wins.

    Returns
    -------
    Tariff
        Verified only if both are.
    """
    regime = regimes().get(tariff.regime or "")
    if regime is None:
        return tariff
    return msgspec.structs.replace(
        tariff,
        hours=tariff.hours or regime.hours,
        special_hours=tariff.special_hours or regime.special_hours,
        ratios={} if tariff.band_prices else (tariff.ratios or regime.ratios),
        source=f"{tariff.source}; {regime.document}: {regime.source}",
        verified=tariff.verified and regime.verified,
    )


def check_tariffs(plant: Plant) -> Iterator[str]:
    """Yield every mistake of tariffs, accounts, prices and calendar days.

    Parameters
    ----------
    plant
        A plant file whose dates are settled.

    Yields
    ------
    str
        A mistake with its path and remedy.
    """
    for i, tariff in enumerate(plant.tariff):
        yield from _tariff_mistakes(tariff, f"$.tariff[{i}]", {p.code for p in plant.product})
    for i, account in enumerate(plant.account):
        yield from _account_mistakes(plant, account, f"$.account[{i}]")
    for i, price in enumerate(plant.medium_price):
        yield from _price_mistakes(price, f"$.medium_price[{i}]")
    for day, count in Counter(d.date for d in plant.calendar_day).items():
        if count > 1:
            yield f"day {day} is described {count} times - at `$.calendar_day`"


def _tariff_mistakes(tariff: Tariff, path: str, products: set[str]) -> Iterator[str]:
    if tariff.regime is not None and tariff.regime not in regimes():
        yield (
            f"no regime {tariff.regime!r} is shipped (there is: {', '.join(sorted(regimes()))}) - "
            f"at `{path}.regime`"
        )
        return
    yield from _regime_date_mistakes(tariff, path)
    whole = with_regime(tariff)
    yield from hours_mistakes(whole.hours, whole.special_hours, path)
    yield from _band_price_mistakes(whole, path)
    codes = Counter(part.code for part in tariff.parts)
    yield from (
        f"part {code!r} is described {count} times - at `{path}.parts`"
        for code, count in codes.items()
        if count > 1
    )
    for one, other in (
        ("demand_discount_from_kwh_per_kva", "demand_discount_factor"),
        ("contract_excess_from", "contract_excess_factor"),
    ):
        if (getattr(tariff, one) is None) != (getattr(tariff, other) is None):
            yield f"`{one}` and `{other}` go together - at `{path}`"
    yield from _step_mistakes(tariff.steps, path)
    steps = tariff.intensity_steps
    if steps is not None and steps.product not in products:
        yield (
            f"no product {steps.product!r} in this file (there is: "
            f"{', '.join(sorted(products)) or 'none'}) - at `{path}.intensity_steps.product`"
        )


def _regime_date_mistakes(tariff: Tariff, path: str) -> Iterator[str]:
    regime = regimes().get(tariff.regime or "")
    if regime is None or tariff.valid_from is None:
        return
    if tariff.valid_from.date() < regime.since:
        yield (
            f"regime {regime.code!r} holds from {regime.since} on, the tariff from "
            f"{tariff.valid_from.date()}: name the regime of that time in a tariff of its own - "
            f"at `{path}.from`"
        )
    if regime.to is not None and (tariff.valid_to is None or tariff.valid_to.date() > regime.to):
        yield (
            f"regime {regime.code!r} ends on {regime.to}: end the tariff with `to` and go on "
            f"with the regime that follows - at `{path}.to`"
        )


def _band_price_mistakes(whole: Tariff, path: str) -> Iterator[str]:
    used = {rule.band for rule in (*whole.hours, *whole.special_hours)}
    floating = any(part.floats for part in whole.parts)
    for band in (b for b in BANDS if b in used):
        if band in whole.band_prices or (band in whole.ratios and floating):
            continue
        yield (
            f"band {band!r} has hours, but no price: give `band_prices`, or `ratios` and a part "
            f"that floats - at `{path}`"
        )


def _account_mistakes(plant: Plant, account: Account, path: str) -> Iterator[str]:
    tariffs = [t for t in plant.tariff if t.code == account.tariff]
    if not tariffs:
        there_are = ", ".join(sorted({t.code for t in plant.tariff})) or "none"
        yield (
            f"no tariff {account.tariff!r} in this file (there is: {there_are}) - at "
            f"`{path}.tariff`"
        )
    media = {p.code: p.medium for p in plant.point}
    for code in account.points:
        if media.get(code) != "electricity":
            yield (
                f"point {code!r} is no point of electricity in this file: an account names its "
                f"billing meters - at `{path}.points`"
            )
    if len(set(account.points)) < len(account.points):
        yield f"a point stands twice, and would be paid twice - at `{path}.points`"
    yield from _basic_charge_mistakes(account, tariffs, path)


def _basic_charge_mistakes(account: Account, tariffs: list[Tariff], path: str) -> Iterator[str]:
    kind = account.basic_charge
    if kind == "capacity" and account.capacity_kva is None:
        yield f"a charge for capacity needs `capacity_kva` - at `{path}`"
    if kind == "contract_demand" and account.contract_demand_kw is None:
        yield f"a charge for contracted demand needs `contract_demand_kw` - at `{path}`"
    for tariff in tariffs:
        if kind == "capacity" and tariff.capacity_yuan_per_kva is None:
            yield f"tariff {tariff.code!r} has no `capacity_yuan_per_kva` - at `{path}.tariff`"
        if kind in ("demand", "contract_demand") and tariff.demand_yuan_per_kw is None:
            yield f"tariff {tariff.code!r} has no `demand_yuan_per_kw` - at `{path}.tariff`"
        limit = tariff.two_part_from_kva
        if (
            kind == "none"
            and limit is not None
            and account.capacity_kva is not None
            and Decimal(account.capacity_kva) >= Decimal(limit)
        ):
            yield (
                f"from {limit} kVA on tariff {tariff.code!r} has two parts, and this account has "
                f'{account.capacity_kva} kVA: `basic_charge` is "capacity", "demand" or '
                f'"contract_demand" - at `{path}.basic_charge`'
            )
    if account.demand_window_s % account.demand_slide_s:
        yield f"`demand_window_s` is a multiple of `demand_slide_s` - at `{path}`"


def _price_mistakes(price: MediumPrice, path: str) -> Iterator[str]:
    if price.medium == "electricity":
        yield f"electricity is priced by a tariff and an account - at `{path}.medium`"
    elif price.medium not in MEDIA:
        yield (
            f"no medium {price.medium!r}; use one of: {', '.join(sorted(MEDIA))} - at "
            f"`{path}.medium`"
        )
    else:
        units = QUANTITIES[energy_quantity(price.medium)].units
        if price.unit not in units:
            yield (
                f"{price.medium} is not measured in {price.unit!r}; use one of: "
                f"{', '.join(sorted(units))} - at `{path}.unit`"
            )
    yield from _step_mistakes(price.steps, path)


def _step_mistakes(steps: list[Step], path: str) -> Iterator[str]:
    limits = [Decimal(step.above) for step in steps]
    if any(a >= b for a, b in itertools.pairwise(limits)):
        yield f"steps stand in rising order of `above` - at `{path}.steps`"
