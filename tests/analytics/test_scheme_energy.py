"""What a scheme counts: meters, ledger, factors, and how far the total can be trusted."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from analytics.accounting.energy_parts import EnergyTotal, LedgerEntry, MeteredPoint, Scheme
from analytics.accounting.product_output import OutputEntry, ProductionShape, output_total
from analytics.accounting.scheme_energy import total
from analytics.accounting.standard_coal import Factor, FactorSet
from analytics.accounting.withheld import WithheldCode
from analytics.intervals.sums import SeriesIntervals

UTC = dt.UTC
A, B = dt.datetime(2026, 3, 1, tzinfo=UTC), dt.datetime(2026, 4, 1, tzinfo=UTC)
LONG_AGO = dt.datetime(2008, 6, 1, tzinfo=UTC)
# GB/T 2589-2020 appendix A: electricity 0.1229 kgce/kWh, low-pressure steam 128.6 kgce/t.
FACTORS = FactorSet(
    "GB/T 2589", "2020", "physical",
    [
        Factor("electricity", "physical", Fraction("0.1229"), "kWh", True, LONG_AGO, None),
        Factor("steam", "physical", Fraction("128.6"), "t", True, LONG_AGO, None),
        Factor("raw_coal", "physical", Fraction("714.3"), "t", False, LONG_AGO, None),
    ],
)  # fmt: skip


def scheme(*media: str) -> Scheme:
    return Scheme(frozenset(media), "kgce", FACTORS, True, True)


def entry(
    medium: str, kind: str, quantity: str, since: dt.datetime = A, until: dt.datetime = B
) -> LedgerEntry:
    return LedgerEntry(medium, kind, Fraction(quantity), "t", since, until, synthetic=False)


def meter(series_id: int, medium: str = "electricity", **said: object) -> MeteredPoint:
    facts = {
        "series_id": series_id, "medium": medium, "unit": "kWh", "sign": 1, "generation": False,
        "valid_from": LONG_AGO, "valid_to": None, "relative_uncertainty": 0.005, **said,
    }  # fmt: skip
    return MeteredPoint(**facts)  # type: ignore[arg-type]  # facts by name


def intervals(kwh_per_interval: int, since: dt.datetime = A, until: dt.datetime = B) -> object:
    n = int((until - since) / dt.timedelta(minutes=15))
    start = int(since.timestamp()) * 1_000_000
    ones = np.ones(n, np.int64)
    from analytics.intervals.sums import _EpochScale

    return SeriesIntervals(
        start + np.arange(n) * 900_000_000, ones, ones * kwh_per_interval * 1_000_000, ones * 0,
        ones * 900.0, ones, np.zeros(n, np.bool_), np.zeros((0, 4), np.int64),
        {1: _EpochScale(Fraction(1), 900)}, start, start + n * 900_000_000,
    )  # fmt: skip


def test_electricity_counts_by_its_equivalent_value() -> None:
    rows = intervals(10)
    found = total(scheme("electricity"), [meter(1)], [], lambda _: rows, A, B)  # type: ignore[arg-type,return-value]  # a function in place of the reader's protocol
    kwh = 31 * 96 * 10
    assert found.energy == pytest.approx(kwh * 0.1229)
    assert found.energy_tce == pytest.approx(kwh * 0.1229 / 1000)
    assert found.coverage == 1.0
    assert found.reporting_completeness == 1.0
    assert found.relative_uncertainty == pytest.approx(0.005)


def test_export_is_subtracted_and_own_generation_added() -> None:
    given = {1: intervals(10), 2: intervals(3), 3: intervals(2)}
    points = [meter(1), meter(2, sign=-1), meter(3, generation=True)]
    found = total(scheme("electricity"), points, [], given.get, A, B)  # type: ignore[arg-type]  # a function in place of the reader's protocol
    assert found.energy == pytest.approx(31 * 96 * (10 - 3 + 2) * 0.1229)


def test_a_meter_without_data_withholds_the_total() -> None:
    found = total(scheme("electricity"), [meter(1)], [], lambda _: None, A, B)
    assert (found.energy, found.withheld) == (None, WithheldCode.ENERGY_MISSING)


def test_stock_is_consumption_and_an_unverified_factor_is_said() -> None:
    ledger = [
        entry("raw_coal", "opening", "100"),
        entry("raw_coal", "purchase", "50"),
        entry("raw_coal", "sale", "10"),
        entry("raw_coal", "feedstock", "5"),
        entry("raw_coal", "closing", "60"),
    ]
    found = total(scheme("raw_coal"), [], ledger, lambda _: None, A, B)
    assert found.energy == pytest.approx((100 + 50 - 10 - 5 - 60) * 714.3)
    assert found.factor_verified is False
    assert found.coverage == 1.0


def test_a_ledger_span_across_the_windows_end_is_a_guess() -> None:
    whole = entry("steam", "purchase", "310", A, A + dt.timedelta(days=62))
    found = total(scheme("steam"), [], [whole], lambda _: None, A, B)
    assert found.energy == pytest.approx(155 * 128.6)
    assert found.estimated_share == 1.0
    assert found.coverage == 0.0


def test_a_metered_medium_is_not_counted_from_the_ledger_too() -> None:
    rows = intervals(10)
    bill = LedgerEntry("electricity", "purchase", Fraction(999), "kWh", A, B, False)
    found = total(scheme("electricity"), [meter(1)], [bill], lambda _: rows, A, B)  # type: ignore[arg-type,return-value]  # a function in place of the reader's protocol
    assert found.energy == pytest.approx(31 * 96 * 10 * 0.1229)


def test_a_medium_without_a_factor_withholds_the_total() -> None:
    ledger = [entry("diesel", "purchase", "1")]
    found = total(scheme("diesel"), [], ledger, lambda _: None, A, B)
    assert found.withheld is WithheldCode.FACTOR_MISSING


def test_zero_output_is_an_entry_and_scrap_is_none() -> None:
    day = dt.timedelta(days=1)
    entries = [
        OutputEntry(Fraction(0), True, A, A + day, False),
        OutputEntry(Fraction(7), False, A + day, A + 2 * day, True),
    ]
    found = output_total(entries, A, A + 2 * day)
    assert (found.quantity, found.coverage, found.synthetic) == (0.0, 1.0, True)
    assert output_total([], A, B).quantity is None
    half = output_total(entries, A, A + 4 * day)
    assert half.coverage == 0.5


def days(n: int) -> dt.timedelta:
    return dt.timedelta(days=n)


def coal(entries: list[LedgerEntry], since: dt.datetime, until: dt.datetime) -> EnergyTotal:
    return total(scheme("raw_coal"), [], entries, lambda _: None, since, until)


def test_between_two_stock_takes_everything_is_one_consumption() -> None:
    # A delivery of one day is burnt over the whole month: opening 100 + 62 - closing 100.
    entries = [
        entry("raw_coal", "opening", "100"),
        entry("raw_coal", "purchase", "62", A + days(20), A + days(21)),
        entry("raw_coal", "closing", "100"),
    ]
    assert coal(entries, A, B).energy == pytest.approx(62 * 714.3)
    first = coal(entries, A, A + days(1))
    assert first.energy == pytest.approx(2 * 714.3)
    assert first.coverage == 0.0  # how much of it fell on that day is a guess
    assert coal(entries, A + days(20), A + days(21)).energy == pytest.approx(2 * 714.3)


def test_a_stock_take_noted_once_ends_one_time_and_begins_the_next() -> None:
    middle = A + days(10)
    entries = [
        entry("raw_coal", "opening", "100", A, middle),
        entry("raw_coal", "closing", "70", A, middle),
        entry("raw_coal", "purchase", "31", middle, B),
        entry("raw_coal", "closing", "80", middle, B),
    ]
    assert coal(entries, A, middle).energy == pytest.approx(30 * 714.3)
    assert coal(entries, middle, B).energy == pytest.approx(21 * 714.3)
    assert coal(entries, A, B).coverage == 1.0


def test_a_movement_without_any_stock_counts_in_its_own_time() -> None:
    entries = [
        entry("raw_coal", "closing", "5", A - days(10), A),
        entry("raw_coal", "purchase", "10", A, A + days(10)),
    ]
    assert coal(entries, A, A + days(10)).energy == pytest.approx(10 * 714.3)


def test_a_measured_calorific_value_counts_before_the_tables() -> None:
    measured = replace(
        entry("raw_coal", "purchase", "2000"), unit="kg",
        calorific_value_kj_per_kg=Fraction("23027.4"),
    )  # fmt: skip
    found = coal([measured], A, B)
    assert found.energy == pytest.approx(2000 * 23027.4 / 29307.6)
    assert found.factor_verified
    table = coal([replace(measured, calorific_value_kj_per_kg=None)], A, B)
    assert table.energy == pytest.approx(2 * 714.3)
    assert not table.factor_verified


def test_a_unit_of_another_quantity_withholds() -> None:
    wrong = replace(entry("raw_coal", "purchase", "2"), unit="kWh")
    assert coal([wrong], A, B).withheld is WithheldCode.FACTOR_MISSING


BOTH = replace(
    FACTORS,
    electricity_basis="primary",
    factors=[
        *FACTORS.factors,
        Factor("electricity", "primary", Fraction("0.302"), "kWh", False, LONG_AGO, None),
        Factor("compressed_air", "primary", Fraction("0.04"), "m3", False, LONG_AGO, None),
    ],
)


def test_own_power_counts_by_what_it_holds_whatever_the_scheme_says() -> None:
    given = {1: intervals(10), 2: intervals(3), 3: intervals(5)}
    points = [meter(1), meter(2, sign=-1, direction_out=True), meter(3, generation=True)]
    by_primary = replace(scheme("electricity"), factors=BOTH)
    found = total(by_primary, points, [], given.get, A, B)  # type: ignore[arg-type]  # a function in place of the reader's protocol
    assert found.energy == pytest.approx(31 * 96 * (10 * 0.302 + (5 - 3) * 0.1229))
    # Own power that does not count is not taken off either when it leaves.
    uncounted = replace(by_primary, own_renewables_counted=False)
    found = total(uncounted, points, [], given.get, A, B)  # type: ignore[arg-type]  # likewise
    assert found.energy == pytest.approx(31 * 96 * 10 * 0.302)


def test_a_factor_that_changes_inside_the_window_counts_from_its_day() -> None:
    middle = A + days(10)
    dated = replace(BOTH, factors=[
        Factor("electricity", "primary", Fraction("0.3"), "kWh", True, LONG_AGO, middle),
        Factor("electricity", "primary", Fraction("0.2"), "kWh", True, middle, None),
    ])  # fmt: skip
    rows = intervals(10)
    found = total(replace(scheme("electricity"), factors=dated), [meter(1)], [], lambda _: rows,  # type: ignore[arg-type,return-value]  # a function in place of the reader's protocol
                  A, B)  # fmt: skip
    assert found.energy == pytest.approx(96 * 10 * (10 * 0.3 + 21 * 0.2))


def test_bought_air_counts_by_what_making_it_took_and_own_steam_in_its_fuel() -> None:
    bought = LedgerEntry("compressed_air", "purchase", Fraction(1000), "m3", A, B, False)
    found = total(
        replace(scheme("compressed_air"), factors=BOTH), [], [bought], lambda _: None, A, B
    )
    assert found.energy == pytest.approx(40)
    ledger = [
        entry("steam", "own_production", "500"),
        entry("steam", "purchase", "20"),
        entry("steam", "sale", "30"),
    ]
    found = total(scheme("steam"), [], ledger, lambda _: None, A, B)
    assert found.energy == pytest.approx(-10 * 128.6)


def test_what_lives_on_the_site_is_taken_off_where_it_is_metered() -> None:
    given = {1: intervals(10), 2: intervals(1), 3: intervals(2)}
    points = [
        meter(1), meter(2, boundary=False, use="living"), meter(3, boundary=False, use="transport"),
    ]  # fmt: skip
    counting = replace(scheme("electricity"), excluded_uses=frozenset({"living", "construction"}))
    found = total(counting, points, [], given.get, A, B)  # type: ignore[arg-type]  # a function in place of the reader's protocol
    assert found.energy == pytest.approx(31 * 96 * 9 * 0.1229)
    whole = replace(meter(1), use="living")
    assert total(counting, [whole], [], given.get, A, B).withheld is WithheldCode.ENERGY_MISSING  # type: ignore[arg-type]  # likewise
    # Beside an invoice a living quarter's meter does not make the medium metered.
    bill = LedgerEntry("electricity", "purchase", Fraction(100_000), "kWh", A, B, False)
    found = total(counting, points[1:2], [bill], given.get, A, B)  # type: ignore[arg-type]  # likewise
    assert found.energy == pytest.approx((100_000 - 31 * 96) * 0.1229)


def test_what_stock_takes_bracket_lies_as_production_does() -> None:
    made = [
        OutputEntry(Fraction(30), True, A, A + days(10), False),
        OutputEntry(Fraction(10), True, A + days(10), B, False),
    ]
    shape = ProductionShape(tuple(made))
    burnt = [
        replace(entry("raw_coal", kind, quantity), shape=shape)
        for kind, quantity in (("opening", "100"), ("closing", "60"))
    ]
    first, rest = coal(burnt, A, A + days(10)), coal(burnt, A + days(10), B)
    assert first.energy == pytest.approx(30 * 714.3)
    assert first.estimated_share == 1.0
    assert rest.energy == pytest.approx(10 * 714.3)
    assert coal(burnt, A, B).energy == pytest.approx(40 * 714.3)
    # Output that is not entered for all of the span tells nothing of its parts.
    partly = [replace(e, shape=ProductionShape(tuple(made[:1]))) for e in burnt]
    assert coal(partly, A, A + days(10)).energy == pytest.approx(40 * 10 / 31 * 714.3)


def test_a_meter_accepted_in_the_middle_knows_half_of_the_month() -> None:
    half = A + (B - A) / 2
    rows = {1: intervals(1)}
    late = [meter(1, valid_from=half)]
    found = total(scheme("electricity"), late, [], rows.get, A, B)  # type: ignore[arg-type]  # made-up intervals
    assert found.coverage == pytest.approx(0.5)
    # An invoice of the time before is no second source of the same time.
    before = LedgerEntry("electricity", "purchase", Fraction(1000), "kWh", A, half, synthetic=False)
    both = total(scheme("electricity"), late, [before], rows.get, A, B)  # type: ignore[arg-type]  # as above
    assert both.coverage == pytest.approx(1.0)
    assert both.energy is not None
    assert found.energy is not None
    assert both.energy == pytest.approx(found.energy + 1000 * 0.1229)
