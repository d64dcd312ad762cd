"""Why a figure is not given: no NaN, no zero for missing."""

from __future__ import annotations

import enum

__all__ = ["WithheldCode"]


class WithheldCode(enum.StrEnum):
    """Why a figure is not given."""

    ENERGY_MISSING = "energy_missing"
    COVERAGE_LOW = "coverage_low"
    FACTOR_MISSING = "factor_missing"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_COVERAGE_LOW = "output_coverage_low"
    OUTPUT_ZERO = "output_zero"
    POINT_NOT_ACCEPTED = "point_not_accepted"
    PRODUCT_WITHOUT_BASE = "product_without_base"
    VALUE_ADDED_MISSING = "value_added_missing"
    VALUE_ADDED_NOT_POSITIVE = "value_added_not_positive"
    OWNERSHIP_CHANGED = "ownership_changed"
    SCHEME_DIFFERS = "scheme_differs"
    CONVERSION_CYCLE = "conversion_cycle"
    REGISTER_MISSING = "register_missing"
    REACTIVE_MISSING = "reactive_missing"
    DEMAND_MISSING = "demand_missing"
    TARIFF_MISSING = "tariff_missing"
