"""Savings of an energy-using unit by GB/T 13234-2018, positive where energy was saved.

The standard of 2018 counts base minus report for products and output value, so that a saving is
positive; earlier editions had the other sign. Amounts are exact: fractions, rounded by the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from analytics.errors import SavingError

__all__ = [
    "ProductChange",
    "chained_saving_rate",
    "output_value_saving",
    "product_saving",
    "saving_rate",
    "structure_saving",
    "technical_measure_saving",
]


@dataclass(frozen=True, slots=True)
class ProductChange:
    """One product: unit consumption in base and report [energy unit per output unit], and what was
    made in the reporting period [output unit].
    """

    base: Fraction
    report: Fraction
    output: Fraction


def product_saving(products: Sequence[ProductChange]) -> Fraction:
    """Return Σ (e_base - e_report)·M_report over all products [energy unit].

    Parameters
    ----------
    products
        Every product of the unit, at least one; outputs at least 0.

    Returns
    -------
    Fraction
        Saved [energy unit]; negative where consumption rose.

    Raises
    ------
    SavingError
        If there is no product, or an output is negative.

    Source: GB/T 13234-2018, product savings (产品节能量).
    """
    if not products:
        raise SavingError("product savings need at least one product")
    if any(p.output < 0 for p in products):
        raise SavingError("an output below zero is no output: correct the entry")
    return sum(((p.base - p.report) * p.output for p in products), Fraction(0))


def output_value_saving(base: Fraction, report: Fraction, output_value: Fraction) -> Fraction:
    """Return (e_base - e_report)·G_report [energy unit].

    Parameters
    ----------
    base, report
        Energy per output value [energy unit per 10,000 yuan], both at the same constant prices.
    output_value
        Of the reporting period at those prices [10,000 yuan], at least 0.

    Returns
    -------
    Fraction
        Saved [energy unit]; negative where energy per value rose.

    Raises
    ------
    SavingError
        If the output value is negative.

    Source: GB/T 13234-2018, savings by output value (产值节能量).
    """
    if output_value < 0:
        raise SavingError("an output value below zero has no energy per value")
    return (base - report) * output_value


def technical_measure_saving(before: Fraction, after: Fraction, output: Fraction) -> Fraction:
    """Return (e_before - e_after)·P_after of one measure [energy unit].

    Parameters
    ----------
    before, after
        Unit consumption before and after the measure [energy unit per output unit].
    output
        Made after it [output unit], at least 0.

    Returns
    -------
    Fraction
        Saved [energy unit]; negative where the measure took more.

    Raises
    ------
    SavingError
        If the output is negative.

    Source: GB/T 13234-2018, savings of technical measures (技术措施节能量).
    """
    if output < 0:
        raise SavingError("an output below zero is no output: correct the entry")
    return (before - after) * output


def structure_saving(
    output_value: Fraction,
    base_shares: Sequence[Fraction],
    report_shares: Sequence[Fraction],
    base_intensities: Sequence[Fraction],
) -> Fraction:
    """Return what another mix of products saved: G_report·Σ (K_base - K_report)·e_base.

    Parameters
    ----------
    output_value
        Of the reporting period at constant prices [10,000 yuan], at least 0.
    base_shares, report_shares
        Share of each product in the output value; each list adds up to 1.
    base_intensities
        Energy per output value of each product in the base [energy unit per 10,000 yuan].

    Returns
    -------
    Fraction
        Saved [energy unit]; negative where the mix moved to products that take more.

    Raises
    ------
    SavingError
        If the lists differ in length, shares do not add up to 1, or the output value is negative.

    Source: GB/T 13234-2018, savings of product structure (产品结构节能量).
    """
    if not len(base_shares) == len(report_shares) == len(base_intensities):
        raise SavingError("every product needs its share before and after, and its intensity")
    if sum(base_shares) != 1 or sum(report_shares) != 1:
        raise SavingError("the shares of the products do not add up to 1")
    if output_value < 0:
        raise SavingError("an output value below zero has no energy per value")
    changes = zip(base_shares, report_shares, base_intensities, strict=True)
    return output_value * sum(((k - r) * e for k, r, e in changes), Fraction(0))


def saving_rate(base: Fraction, report: Fraction) -> Fraction:
    """Return (e_base - e_report)/e_base [1], positive where less is used.

    Parameters
    ----------
    base, report
        Unit consumption [energy unit per output unit]; the base above 0.

    Returns
    -------
    Fraction
        Rate [1]; negative where more is used.

    Raises
    ------
    SavingError
        If the base is not above 0.

    Source: GB/T 13234-2018, saving rate (节能率).
    """
    if base <= 0:
        raise SavingError("a base that is not above zero has no rate: compare differences")
    return (base - report) / base


def chained_saving_rate(rates: Sequence[Fraction]) -> Fraction:
    """Return the rate over several years from each year's against the year before: 1 - Π(1 - d).

    Parameters
    ----------
    rates
        Of each year [1].

    Returns
    -------
    Fraction
        Over all of them [1].

    Source: GB/T 13234-2018, cumulative savings from year to year (环比).
    """
    left = Fraction(1)
    for rate in rates:
        left *= 1 - rate
    return 1 - left
