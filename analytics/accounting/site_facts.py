"""What the plant says about a site: calendar, counters, EnPIs, targets, ledger, output."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from analytics.accounting.product_output import OutputEntry, load_output
from analytics.accounting.scheme_energy import LedgerEntry, MeteredPoint, Scheme
from analytics.accounting.standard_coal import load_factors
from enpilot.quantities import QUANTITIES, energy_quantity

__all__ = ["Counter", "Enpi", "SiteFacts", "Target", "load_site_facts"]


@dataclass(frozen=True, slots=True)
class Counter:
    """A cumulative series of a point."""

    series_id: int
    point_id: int
    quantity: str
    channel: str


@dataclass(frozen=True, slots=True)
class Target:
    """The path an EnPI is judged against; dates exclusive at their ends."""

    target_id: int
    base_from: dt.date
    base_to: dt.date
    end_to: dt.date
    annual_rate: float | None
    end_value: float | None

    @property
    def total_years(self) -> int:
        """Whole years from the base year to the end."""
        return self.end_to.year - self.base_to.year

    def years_after_base(self, day: dt.date) -> int:
        """Return whole years from the base period to the year that a day lies in; 0 inside it."""
        return (day.year * 12 + day.month - self.base_from.year * 12 - self.base_from.month) // 12


@dataclass(frozen=True, slots=True)
class Enpi:
    """Energy of a scheme per unit of a product."""

    enpi_id: int
    scheme: Scheme
    output_unit: str
    coverage_limit: float
    output: Sequence[OutputEntry]
    target: Target | None


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """Everything but intervals that a site's figures depend on."""

    site_id: int
    zone: ZoneInfo
    counters: Sequence[Counter]
    points: Sequence[MeteredPoint]
    ledger: Sequence[LedgerEntry]
    enpis: Sequence[Enpi]


def load_site_facts(connection: psycopg.Connection[Any], site_id: int) -> SiteFacts:
    """Load the facts that hold now for a site."""
    row = connection.execute(
        "SELECT timezone FROM site_record WHERE site_id = %s AND superseded_commit_no IS NULL"
        " ORDER BY valid_from DESC LIMIT 1",
        (site_id,),
    ).fetchone()
    assert row is not None  # importing a plant writes site and record together
    counters = [
        Counter(*found)
        for found in connection.execute(
            "SELECT series_id, point_id, quantity, channel FROM series WHERE site_id = %s"
            " AND quantity = ANY(%s) ORDER BY series_id",
            (site_id, [q.code for q in QUANTITIES.values() if q.cumulative]),
        )
    ]
    return SiteFacts(
        site_id,
        ZoneInfo(row[0]),
        counters,
        _points(connection, site_id, counters),
        _ledger(connection, site_id),
        _enpis(connection, site_id),
    )


def _points(
    connection: psycopg.Connection[Any], site_id: int, counters: Sequence[Counter]
) -> list[MeteredPoint]:
    channels: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for counter in counters:
        channels[counter.point_id, counter.quantity][counter.channel] = counter.series_id
    points = []
    for point_id, medium, role, direction, valid_from, valid_to, accuracy in connection.execute(
        "SELECT p.point_id, p.medium, r.role, r.direction, r.valid_from, r.valid_to,"
        " (SELECT d.accuracy_class FROM installation i JOIN device d USING (device_id)"
        "  WHERE i.point_id = p.point_id AND i.superseded_commit_no IS NULL"
        "  ORDER BY i.valid_from DESC LIMIT 1)"
        " FROM point p JOIN point_record r USING (point_id) WHERE p.site_id = %s"
        " AND r.superseded_commit_no IS NULL AND r.commissioning = 'accepted'"
        " AND r.role IN ('boundary', 'generation') ORDER BY p.point_id, r.valid_from",
        (site_id,),
    ):
        quantity = energy_quantity(medium)
        known = channels.get((point_id, quantity), {})
        # A meter that separates directions says so in its channels; another has one total.
        series_id = known.get(direction, known.get("total"))
        if series_id is None:
            continue
        points.append(
            MeteredPoint(
                series_id,
                medium,
                QUANTITIES[quantity].unit,
                -1 if direction == "export" else 1,
                role == "generation",
                valid_from,
                valid_to,
                _class_share(accuracy),
            )
        )
    return points


def _class_share(accuracy_class: str | None) -> float | None:
    """Return "0.5S" as 0.005: the class is the limit of error in percent (GB/T 17215)."""
    found = re.match(r"\d+(\.\d+)?", accuracy_class or "")
    return None if found is None else float(found.group()) / 100


def _ledger(connection: psycopg.Connection[Any], site_id: int) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            medium, kind, Fraction(quantity), unit, since, until, synthetic,
            None if calorific is None else Fraction(calorific),
        )
        for medium, kind, quantity, unit, since, until, synthetic, calorific in connection.execute(
            "SELECT medium, kind, quantity, unit, from_ts, to_ts, synthetic,"
            " calorific_value_kj_per_kg FROM energy_ledger"
            " WHERE site_id = %s AND superseded_commit_no IS NULL ORDER BY from_ts",
            (site_id,),
        )
    ]  # fmt: skip


def _enpis(connection: psycopg.Connection[Any], site_id: int) -> list[Enpi]:
    return [
        Enpi(
            enpi_id,
            _scheme(connection, scheme_id),
            unit,
            float(limit),
            load_output(connection, product_id, stage),
            _target(connection, enpi_id, scheme_id),
        )
        for enpi_id, scheme_id, product_id, stage, unit, limit in connection.execute(
            "SELECT e.enpi_id, r.scheme_id, r.product_id, r.stage, p.unit, r.coverage_limit"
            " FROM enpi e JOIN enpi_record r USING (enpi_id) JOIN product p USING (product_id)"
            " WHERE e.site_id = %s AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL"
            " ORDER BY e.enpi_id",
            (site_id,),
        ).fetchall()
    ]


def _scheme(connection: psycopg.Connection[Any], scheme_id: int) -> Scheme:
    row = connection.execute(
        "SELECT media, energy_unit, factor_standard, factor_edition, electricity_basis,"
        " own_renewables_counted, feedstock_deducted FROM scheme_record WHERE scheme_id = %s"
        " AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (scheme_id,),
    ).fetchone()
    assert row is not None  # importing a plant writes scheme and record together
    media, unit, standard, edition, basis, renewables, feedstock = row
    factors = (
        load_factors(connection, standard, edition, basis or "physical") if unit == "kgce" else None
    )
    return Scheme(frozenset(media), unit, factors, renewables, feedstock)


def _target(connection: psycopg.Connection[Any], enpi_id: int, scheme_id: int) -> Target | None:
    """Return the target that decides: an official one before an assigned, an internal one last.

    A target of another scheme is not comparable and does not decide (F6).
    """
    row = connection.execute(
        "SELECT target_id, base_from, base_to, end_to, annual_rate, end_value FROM target"
        " WHERE enpi_id = %s AND scheme_id = %s AND kind = 'intensity'"
        " AND superseded_commit_no IS NULL"
        " ORDER BY array_position(ARRAY['official', 'assigned', 'internal'], target_class)"
        " LIMIT 1",
        (enpi_id, scheme_id),
    ).fetchone()
    if row is None:
        return None
    target_id, base_from, base_to, end_to, rate, end_value = row
    return Target(
        target_id,
        base_from,
        base_to,
        end_to,
        None if rate is None else float(rate),
        None if end_value is None else float(end_value),
    )
