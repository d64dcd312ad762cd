"""Waste in tce and in yuan: factors of the site's scheme, prices of the time it was used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.accounting.energy_parts import Scheme
from analytics.accounting.withheld import WithheldCode
from analytics.cost.band_time import band_spans
from analytics.cost.bill import band_price
from analytics.cost.cost_facts import CostFacts, UtilityAccount, contracts_within
from analytics.errors import CostError, FactorError, NoTariffError
from analytics.intervals.readings import microseconds
from analytics.intervals.sums import GRID_US
from analytics.waste.declared import WasteFacts
from analytics.waste.quarter_hours import LocalQuarters
from enpilot.plant.tariffs import Tariff
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["Priced", "QuarterPrices", "coal_equivalent", "price_of"]

_KG_A_TONNE: Final = 1000
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Priced:
    """A figure in another unit, or why there is none.

    Attributes
    ----------
    value
        In tce or yuan; None if ``withheld`` says why.
    withheld
        The reason.
    source
        Code of the scheme, account or price that it rests on.
    verified
        Whether that was compared with its source.
    """

    value: float | None
    withheld: WithheldCode | None
    source: str
    verified: bool


def coal_equivalent(
    amount: float, medium: str, unit: str, schemes: Sequence[tuple[str, Scheme]], at: dt.datetime
) -> Priced:
    """Convert an amount of a medium by the site's own scheme.

    Parameters
    ----------
    amount
        What was used [``unit``].
    medium, unit
        What it is of.
    schemes
        Those in kgce with their codes; the first that counts the medium converts.
    at
        When the factor holds.

    Returns
    -------
    Priced
        In tce; withheld without such a scheme or factor (F6, GB/T 2589).
    """
    for code, scheme in schemes:
        if medium not in scheme.media or scheme.factors is None:
            continue
        try:
            factor = scheme.factors.factor(medium, unit, at)
        except FactorError:
            continue
        units = QUANTITIES[energy_quantity(medium)].units
        ratio = units[unit] / units[factor.per_unit] if factor.per_unit != unit else Fraction(1)
        tce = amount * float(factor.value * ratio) / _KG_A_TONNE
        return Priced(tce, None, code, factor.verified)
    return Priced(None, WithheldCode.FACTOR_MISSING, "", verified=False)


def price_of(tariff: Tariff, band_yuan: Fraction) -> Fraction:
    """Return what a kWh costs in a band, with the parts that do not float.

    Parameters
    ----------
    tariff
        With its regime written out.
    band_yuan
        Price of the band alone [yuan/kWh].

    Returns
    -------
    Fraction
        What one more kWh costs: basic charges and adjustments do not depend on it [yuan/kWh].

    Notes
    -----
    As bills have it: 发改价格〔2023〕526号 lists the parts of the price.
    """
    return band_yuan + sum(
        (Fraction(p.yuan_per_kwh) for p in tariff.parts if not p.floats), Fraction(0)
    )


class QuarterPrices:
    """Prices of a site's energy by quarter-hours, computed when they are first asked for.

    Parameters
    ----------
    costs, facts
        Of the site.
    quarters
        Over which prices are asked for.
    """

    def __init__(self, costs: CostFacts, facts: WasteFacts, quarters: LocalQuarters) -> None:
        self._costs, self._facts, self._quarters = costs, facts, quarters
        self._by_account: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_], bool]] = {}

    def yuan(
        self, point_id: int, medium: str, unit: str, by_quarter: NDArray[np.float64]
    ) -> Priced:
        """Price energy at the time when it was used.

        Parameters
        ----------
        point_id
            Where it was used.
        medium, unit
            What it is of.
        by_quarter
            Energy of each quarter-hour [unit], shape (n,).

        Returns
        -------
        Priced
            In yuan; of electricity by the tariff of the account that pays for the point, or else
            the flat price; withheld if some of it has no price.
        """
        used = by_quarter != 0
        if medium == "electricity":
            account = self._account(point_id)
            if account is not None:
                price, known, verified = self._of_account(account)
                if known[used].all():
                    yuan = float((by_quarter * price)[used].sum())
                    return Priced(yuan, None, account.code, verified)
            price, known, verified = self._flat()
            source = "flat_price"
        else:
            price, known, verified = self._of_medium(medium, unit)
            source = "medium_price"
        if not known[used].all():
            return Priced(None, WithheldCode.TARIFF_MISSING, "", verified=False)
        return Priced(float((by_quarter * price)[used].sum()), None, source, verified)

    def _account(self, point_id: int) -> UtilityAccount | None:
        """Return the account whose billing meter is the point or above it, or the only one."""
        above = {
            self._facts.place[p].code
            for p in (point_id, *self._facts.ancestors(point_id))
            if p in self._facts.place
        }
        paying = [
            a
            for a in self._costs.accounts
            if any(not above.isdisjoint(r.account.points) for r in a.records)
        ]
        found = paying or list(self._costs.accounts)
        return found[0] if len(found) == 1 else None

    def _of_account(
        self, account: UtilityAccount
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], bool]:
        if account.code not in self._by_account:
            self._by_account[account.code] = self._account_prices(account)
        return self._by_account[account.code]

    def _account_prices(
        self, account: UtilityAccount
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], bool]:
        price, known = self._nothing()
        verified = True
        quarters = self._quarters
        try:
            contracts = contracts_within(account, quarters.days[0], quarters.days[-1] + _DAY)
            for contract in contracts:
                verified &= contract.tariff.verified
                for span in band_spans(contract.tariff, self._costs.calendar, self._costs.zone,
                                       contract.since, contract.until):  # fmt: skip
                    own = self._between(span.since, span.until)
                    yuan = price_of(contract.tariff, band_price(contract.tariff, span.band))
                    price[own] = float(yuan)
                    known[own] = True
        except (NoTariffError, CostError):
            return *self._nothing(), False
        return price, known, verified

    def _flat(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], bool]:
        price, known = self._nothing()
        verified = True
        for flat in self._facts.flat_prices:
            own = self._between(flat.valid_from, flat.valid_to)
            price[own] = float(flat.yuan_per_kwh)
            known[own] = True
            verified &= flat.verified
        return price, known, verified

    def _of_medium(
        self, medium: str, unit: str
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], bool]:
        price, known = self._nothing()
        verified = True
        units = QUANTITIES[energy_quantity(medium)].units
        for one in self._costs.prices:
            if one.medium != medium:
                continue
            days = np.array(
                [one.since <= d and (one.until is None or d < one.until)
                 for d in self._quarters.days], dtype=np.bool_)  # fmt: skip
            own = days[self._quarters.day]
            price[own] = float(one.yuan * units[unit] / units[one.unit])
            known |= own
            verified &= one.verified
        return price, known, verified

    def _nothing(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        n = len(self._quarters.day)
        return np.zeros(n), np.zeros(n, dtype=np.bool_)

    def _between(self, since: dt.datetime, until: dt.datetime | None) -> slice:
        begin, n = microseconds(self._quarters.since), len(self._quarters.day)
        low = (microseconds(since) - begin) // GRID_US
        high = n if until is None else (microseconds(until) - begin) // GRID_US
        return slice(max(0, low), max(0, min(n, high)))
