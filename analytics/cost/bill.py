"""A bill of electricity, line by line, exactly: what was metered, times what the tariff says.

Pure: the period's energy comes in by band, a `Bill` goes out. Amounts are fractions; each line is
rounded to a fen, as bills are, and the total adds up the rounded lines (F36).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from analytics.accounting.withheld import WithheldCode
from analytics.cost.power_factor import adjustment_percent, power_factor
from analytics.errors import CostError
from enpilot.plant.tariffs import Account, Losses, Tariff
from enpilot.tariff_hours import BANDS, Band

__all__ = [
    "BandUse",
    "Bill",
    "BillLine",
    "LineKind",
    "Metered",
    "Segment",
    "band_price",
    "compute_bill",
    "to_fen",
]

LineKind = Literal["energy", "part", "basic", "power_factor", "step"]
_FEN: Final = 100


@dataclass(frozen=True, slots=True)
class BandUse:
    """Energy of a band that the billing meters counted.

    Attributes
    ----------
    kwh
        By the registers [kWh].
    hours
        How long the band held [h]; no-load losses flow in all of them.
    """

    kwh: Fraction
    hours: Fraction


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a billing period in which one tariff and one contract hold.

    Attributes
    ----------
    since, until
        Local days [since, until).
    tariff
        With its regime written out.
    account
        The contract.
    use
        By band; bands without use may be left out.
    """

    since: dt.date
    until: dt.date
    tariff: Tariff
    account: Account
    use: Mapping[Band, BandUse]

    @property
    def days(self) -> int:
        """Local days in it."""
        return (self.until - self.since).days


@dataclass(frozen=True, slots=True)
class Metered:
    """What the meters say of a billing period.

    Attributes
    ----------
    segments
        In order of time, at least one.
    kvarh
        Lagging and leading in absolute value [kvarh]; None if no register counts it.
    demand_kw
        The month's maximum demand [kW]; None if nothing tells it.
    demand_is_register
        Whether it is the billing meter's own register, else it was computed from readings (F26).
    output
        Output of the product that stepped prices name [its unit]; None if nothing is booked.
    estimated_share
        Share of the energy whose place in time is a guess; 0 .. 1.
    coverage
        Share that the registers bracket; 0 .. 1.
    withheld
        Why there is no energy; its lines are then withheld.
    """

    segments: Sequence[Segment]
    kvarh: Fraction | None = None
    demand_kw: Fraction | None = None
    demand_is_register: bool = False
    output: Fraction | None = None
    estimated_share: float = 0.0
    coverage: float = 1.0
    withheld: WithheldCode | None = None


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: quantity times price is the amount, rounded to a fen.

    Attributes
    ----------
    kind, code
        What it is: of energy the band, of a part its code, of a basic charge what it is by.
    quantity, unit
        What is paid for; None if it is withheld.
    price_yuan
        For each unit; of the power factor the percentage.
    amount_yuan
        None if ``withheld`` says why.
    note
        What else went into it.
    """

    kind: LineKind
    code: str
    quantity: Fraction | None
    unit: str
    price_yuan: Fraction
    amount_yuan: Decimal | None
    withheld: WithheldCode | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a billing period costs.

    Attributes
    ----------
    lines
        In the order of the paper: energy by band, parts, basic charge, power factor, steps.
    metered_kwh, loss_kwh
        By the registers, and losses before the meter that are billed too [kWh].
    kvarh
        Reactive energy with those losses [kvarh].
    power_factor
        In hundredths; None if it is not judged or not known.
    demand_kw, demand_is_register
        See `Metered`.
    energy_yuan, basic_yuan, power_factor_yuan
        Sums of their lines; None if one of them is withheld.
    total_yuan
        None if a line is withheld; ``withheld`` says why the first of them is.
    estimated_share, coverage
        See `Metered`.
    tariff_verified
        Whether somebody compared every tariff with its source.
    """

    lines: tuple[BillLine, ...]
    metered_kwh: Fraction | None
    loss_kwh: Fraction | None
    kvarh: Fraction | None
    power_factor: Fraction | None
    demand_kw: Fraction | None
    demand_is_register: bool
    energy_yuan: Decimal | None
    basic_yuan: Decimal | None
    power_factor_yuan: Decimal | None
    total_yuan: Decimal | None
    withheld: WithheldCode | None
    estimated_share: float
    coverage: float
    tariff_verified: bool


def to_fen(amount: Fraction) -> Decimal:
    """Round an amount of money to a fen, halves away from zero.

    Parameters
    ----------
    amount
        Exact [yuan].

    Returns
    -------
    Decimal
        With two places [yuan].

    Notes
    -----
    Commercial rounding (四舍五入), as invoices are: general knowledge, not verified.
    """
    fen = math.floor(abs(amount) * _FEN + Fraction(1, 2))
    return Decimal(-fen if amount < 0 else fen).scaleb(-2)


def band_price(tariff: Tariff, band: Band) -> Fraction:
    """Return the price of a kWh in a band, without the parts that do not float.

    Parameters
    ----------
    tariff
        With its regime written out.
    band
        One that it has hours for.

    Returns
    -------
    Fraction
        Its price, or its ratio times the sum of what floats, rounded as the list is [yuan/kWh].

    Raises
    ------
    CostError
        If the tariff has no price for the band.
    """
    if band in tariff.band_prices:
        return Fraction(tariff.band_prices[band])
    if band not in tariff.ratios:
        raise CostError(
            f"tariff {tariff.code!r} has no price for band {band!r}: give `band_prices`, or"
            " `ratios` and a part that floats"
        )
    floating = sum((Fraction(p.yuan_per_kwh) for p in tariff.parts if p.floats), Fraction(0))
    price = Fraction(tariff.ratios[band]) * floating
    if tariff.price_decimals is None:
        return price
    step = 10**tariff.price_decimals
    return Fraction(math.floor(price * step + Fraction(1, 2)), step)


def compute_bill(metered: Metered) -> Bill:
    """Compute a bill from what the meters say.

    Parameters
    ----------
    metered
        One billing period; the month's basic charge is due whole, divided between tariffs that
        follow each other in it by days.

    Returns
    -------
    Bill
        With withheld lines where a register is missing, never with a zero for it.

    Raises
    ------
    CostError
        If there is no segment, or a band has no price.

    Notes
    -----
    Lines as on a utility's bill (F27). Demand charge by 发改价格〔2023〕526号, power factor by
    (83)水电财字215号: percentage of energy and basic charges, without parts that are not adjusted.
    """
    if not metered.segments:
        raise CostError("a bill needs a tariff that holds in its period")
    withheld = metered.withheld
    energy = [line for s in metered.segments for line in _energy_lines(s, withheld)]
    basic = list(_basic_lines(metered))
    adjustment, factor = _power_factor_line(metered, energy, basic)
    steps = list(_step_lines(metered))
    lines = [*(line for line, _ in energy), *basic, *adjustment, *steps]
    stopped = next((line.withheld for line in lines if line.withheld is not None), None)
    kwh, losses = _metered_and_lost(metered)
    return Bill(
        tuple(lines),
        None if withheld else kwh,
        None if withheld else losses,
        _reactive(metered),
        factor,
        metered.demand_kw,
        metered.demand_is_register,
        _sum([line for line, _ in energy]),
        _sum(basic),
        _sum(adjustment),
        _sum(lines),
        stopped,
        metered.estimated_share,
        metered.coverage,
        all(s.tariff.verified for s in metered.segments),
    )


def _energy_lines(
    segment: Segment, withheld: WithheldCode | None
) -> Iterator[tuple[BillLine, bool]]:
    """Yield lines of bands and of parts, and whether the power factor adjusts them."""
    total = Fraction(0)
    for band in (b for b in BANDS if b in segment.use):
        kwh = segment.use[band].kwh + _band_loss(segment, band)
        total += kwh
        yield (
            _line("energy", band, kwh, "kWh", band_price(segment.tariff, band), withheld),
            True,
        )
    for part in segment.tariff.parts:
        if not part.floats:
            price = Fraction(part.yuan_per_kwh)
            yield _line("part", part.code, total, "kWh", price, withheld), part.adjusted


def _band_loss(segment: Segment, band: Band) -> Fraction:
    losses, use = segment.account.losses, segment.use[band]
    if losses is None:
        return Fraction(0)
    return Fraction(losses.no_load_kw) * use.hours + Fraction(losses.load_share) * use.kwh


def _metered_and_lost(metered: Metered) -> tuple[Fraction, Fraction]:
    kwh = lost = Fraction(0)
    for segment in metered.segments:
        kwh += sum((u.kwh for u in segment.use.values()), Fraction(0))
        lost += sum((_band_loss(segment, band) for band in segment.use), Fraction(0))
    return kwh, lost


def _reactive(metered: Metered) -> Fraction | None:
    """Return reactive energy with what a transformer before the meter takes [kvarh]."""
    if metered.kvarh is None:
        return None
    added = Fraction(0)
    for segment in metered.segments:
        losses: Losses | None = segment.account.losses
        if losses is not None:
            for use in segment.use.values():
                added += Fraction(losses.no_load_kvar) * use.hours
                added += Fraction(losses.load_kvarh_per_kwh) * use.kwh
    return metered.kvarh + added


def _basic_lines(metered: Metered) -> Iterator[BillLine]:
    days = sum(s.days for s in metered.segments)
    kwh = sum(_metered_and_lost(metered), Fraction(0))
    for segment in metered.segments:
        account, tariff = segment.account, segment.tariff
        if account.basic_charge == "none":
            continue
        share = Fraction(segment.days, days)
        if account.basic_charge == "capacity":
            assert account.capacity_kva is not None, "load_plant holds it"
            assert tariff.capacity_yuan_per_kva is not None, "load_plant holds it"
            yield _line(
                "basic", "capacity", Fraction(account.capacity_kva) * share, "kVA",
                Fraction(tariff.capacity_yuan_per_kva), None,
            )  # fmt: skip
        else:
            yield _demand_line(metered, segment, share, kwh)


def _demand_line(metered: Metered, segment: Segment, share: Fraction, kwh: Fraction) -> BillLine:
    account, tariff = segment.account, segment.tariff
    assert tariff.demand_yuan_per_kw is not None, "load_plant holds it"
    price = Fraction(tariff.demand_yuan_per_kw)
    note = "" if metered.demand_is_register else "demand computed from readings"
    limit = tariff.demand_discount_from_kwh_per_kva
    discounted = limit is not None and account.capacity_kva is not None
    if discounted and metered.withheld is not None:
        return _line("basic", account.basic_charge, None, "kW", price, metered.withheld, note)
    if limit is not None and account.capacity_kva is not None:
        assert tariff.demand_discount_factor is not None, "load_plant holds it"
        if kwh / Fraction(account.capacity_kva) >= Fraction(limit):
            price *= Fraction(tariff.demand_discount_factor)
            note = f"{note}; " * bool(note) + f"discount: {limit} kWh/kVA reached"
    if metered.demand_kw is None:
        return _line(
            "basic", account.basic_charge, None, "kW", price, WithheldCode.DEMAND_MISSING, note
        )
    billed = _billed_demand(metered.demand_kw, account, tariff)
    return _line("basic", account.basic_charge, billed * share, "kW", price, None, note)


def _billed_demand(demand_kw: Fraction, account: Account, tariff: Tariff) -> Fraction:
    """Return the kW that are paid: the highest, or the contracted with what is far above it."""
    if account.basic_charge == "demand":
        return demand_kw
    assert account.contract_demand_kw is not None, "load_plant holds it"
    contract = Fraction(account.contract_demand_kw)
    if tariff.contract_excess_from is None or tariff.contract_excess_factor is None:
        return max(contract, demand_kw)
    above = demand_kw - contract * Fraction(tariff.contract_excess_from)
    return contract + max(Fraction(0), above) * Fraction(tariff.contract_excess_factor)


def _power_factor_line(
    metered: Metered, energy: Sequence[tuple[BillLine, bool]], basic: Sequence[BillLine]
) -> tuple[list[BillLine], Fraction | None]:
    """Return the adjustment by the contract that holds at the end, and the power factor."""
    standard = metered.segments[-1].account.power_factor_standard
    reactive = _reactive(metered)
    factor = None
    if metered.withheld is None and reactive is not None:
        factor = power_factor(sum(_metered_and_lost(metered), Fraction(0)), reactive)
    if standard is None:
        return [], factor
    adjusted = [*(line for line, counts in energy if counts), *basic]
    stopped = next((line.withheld for line in adjusted if line.withheld is not None), None)
    if stopped is None and reactive is None:
        stopped = WithheldCode.REACTIVE_MISSING
    percent = Fraction(0) if factor is None else adjustment_percent(factor, standard)
    base = _sum(adjusted)
    note = "nothing was used" if stopped is None and factor is None else ""
    return [
        _line(
            "power_factor", standard, None if base is None else Fraction(base), "yuan",
            percent / 100, stopped, note,
        )
    ], factor  # fmt: skip


def _step_lines(metered: Metered) -> Iterator[BillLine]:
    """Yield surcharges by the month's use, and by use for each unit of product."""
    tariff = metered.segments[-1].tariff
    kwh = sum(_metered_and_lost(metered), Fraction(0))
    for step in tariff.steps:
        above = max(Fraction(0), kwh - Fraction(step.above))
        yield _line(
            "step", f"above_{step.above}", above, "kWh", Fraction(step.surcharge_yuan),
            metered.withheld,
        )  # fmt: skip
    steps = tariff.intensity_steps
    if steps is None:
        return
    if metered.withheld is not None or not metered.output:
        missing = WithheldCode.OUTPUT_ZERO if metered.output == 0 else WithheldCode.OUTPUT_MISSING
        reason = metered.withheld or missing
        yield _line("step", steps.product, None, "kWh", Fraction(0), reason)
        return
    above = kwh / metered.output - Fraction(steps.threshold_kwh_per_unit)
    # A step begun is a step.
    count = max(0, math.ceil(above / Fraction(steps.step_kwh_per_unit)))
    price = count * Fraction(steps.yuan_per_kwh_per_step)
    yield _line("step", steps.product, kwh, "kWh", price, None, f"{count} steps")


def _line(
    kind: LineKind,
    code: str,
    quantity: Fraction | None,
    unit: str,
    price: Fraction,
    withheld: WithheldCode | None,
    note: str = "",
) -> BillLine:
    if withheld is not None or quantity is None:
        return BillLine(kind, code, None, unit, price, None, withheld, note)
    return BillLine(kind, code, quantity, unit, price, to_fen(quantity * price), None, note)


def _sum(lines: Sequence[BillLine]) -> Decimal | None:
    total = Decimal("0.00")
    for line in lines:
        if line.amount_yuan is None:
            return None
        total += line.amount_yuan
    return total
