"""What a plant declares of its EnPIs: subject, output, calendar, target, adjusted base."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

import psycopg

from analytics.accounting.energy_parts import MeteredPoint, Scheme
from analytics.accounting.product_output import ProductionCounter, ProductOutput, load_output
from analytics.accounting.site_calendar import SiteCalendar
from analytics.accounting.standard_coal import load_factors
from analytics.accounting.value_added import ValueAdded

__all__ = ["BaseAdjustment", "Enpi", "EnpiKind", "Target", "load_enpis", "load_scheme"]

EnpiKind: TypeAlias = Literal["intensity", "index", "mixed", "value_added"]
_YUAN_UNIT: Final = "10k_yuan"
_TEN_THOUSAND: Final = 10_000
_ONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Target:
    """The path an EnPI is judged against; dates exclusive at their ends.

    ``slow_from`` and ``on_track_from`` are where the light turns, as progress ratios.
    """

    target_id: int
    base_from: dt.date
    base_to: dt.date
    end_to: dt.date
    annual_rate: float | None
    end_value: float | None
    target_class: str = "internal"
    slow_from: float = 0.8
    on_track_from: float = 1.0

    @property
    def total_years(self) -> int:
        """Whole years from the base year to the end."""
        return self.end_to.year - self.base_to.year

    def years_after_base(self, day: dt.date) -> int:
        """Return whole years from the base period to the year that a day lies in; 0 inside it."""
        return (day.year * 12 + day.month - self.base_from.year * 12 - self.base_from.month) // 12


@dataclass(frozen=True, slots=True)
class BaseAdjustment:
    """A recorded event after which the base is multiplied by ``factor`` (F18).

    One whose factor differs from 1 by less than ``threshold`` is kept, but does not count.
    """

    code: str
    factor: float
    threshold: float
    valid_from: dt.datetime
    valid_to: dt.datetime | None

    def counts(self, at: dt.datetime) -> bool:
        """Whether it adjusts a period that begins at an instant."""
        held = self.valid_from <= at and (self.valid_to is None or at < self.valid_to)
        return held and abs(self.factor - 1.0) >= self.threshold


@dataclass(frozen=True, slots=True)
class Enpi:
    """Energy of a scheme per output.

    Attributes
    ----------
    enpi_id, code
        Its number and name.
    kind
        "intensity": one product; "index": energy over what the products would have taken in the
        base year (F10); "mixed": several products of one unit added, never judged; "value_added".
    scheme
        What counts as energy.
    points
        Its own points; None: the plant's boundary with its ledger.
    not_accepted
        Points named that may not count yet (F30).
    calendar
        By which energy and output are cut.
    products
        With their weights.
    value_added
        Of the enterprise; empty unless ``kind`` says so.
    price_year
        Price basis of it.
    of_enterprise
        Whether it is added up over the enterprise's sites.
    output_unit
        Of what the energy is divided by.
    coverage_limit
        0 .. 1.
    target
        The one that decides, or None.
    adjustments
        Of the target's base.
    allocated
        Whether its energy is what the plant's areas give its product, by whole months (F11).
    """

    enpi_id: int
    code: str
    kind: EnpiKind
    scheme: Scheme
    points: Sequence[MeteredPoint] | None
    not_accepted: int
    calendar: SiteCalendar
    products: Sequence[ProductOutput]
    output_unit: str
    coverage_limit: float
    target: Target | None
    line: str = ""
    value_added: Sequence[ValueAdded] | None = None
    price_year: int = 0
    of_enterprise: bool = False
    adjustments: Sequence[BaseAdjustment] = field(default=())
    allocated: bool = False


def load_enpis(
    connection: psycopg.Connection[Any],
    site_id: int,
    calendars: Mapping[str, SiteCalendar],
    points: Mapping[str, Sequence[MeteredPoint]],
) -> list[Enpi]:
    """Load the EnPIs that a site declares now.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id
        The site.
    calendars
        By "civil" and "production".
    points
        What counts of each accepted point and virtual one, by its code.

    Returns
    -------
    list of Enpi
        In the order in which they were declared first.
    """
    enpis = []
    for (
        enpi_id, code, kind, subject, scheme_id, stage, limit, line, calendar, price_year,
        of_enterprise, product_ids, bases, codes, signs,
    ) in connection.execute(
        "SELECT e.enpi_id, e.code, r.kind, r.subject, r.scheme_id, r.stage, r.coverage_limit,"
        " r.line, r.calendar, r.price_year, r.of_enterprise,"
        " CASE WHEN r.product_id IS NULL THEN r.product_ids ELSE ARRAY[r.product_id] END,"
        " r.base_intensities, r.point_codes, r.point_signs"
        " FROM enpi e JOIN enpi_record r USING (enpi_id) WHERE e.site_id = %s"
        " AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL ORDER BY e.enpi_id",
        (site_id,),
    ).fetchall():  # fmt: skip
        scheme = load_scheme(connection, scheme_id)
        own = _own_points(points, codes, signs) if subject == "points" else None
        weights = bases if kind == "index" else [1] * len(product_ids)
        products = [
            load_product_output(
                connection,
                site_id,
                product_id,
                stage,
                line,
                None if weight is None else Fraction(weight),
            )
            for product_id, weight in zip(product_ids, weights, strict=True)
        ]
        target = _target(connection, enpi_id, scheme_id)
        enpis.append(
            Enpi(
                enpi_id, code, kind, scheme, own,
                0 if own is None else sum(not points.get(c) for c in codes),
                calendars[calendar], products,
                _output_unit(kind, scheme, products), float(limit), target, line,
                _value_added(connection, site_id) if kind == "value_added" else None,
                price_year, of_enterprise, _adjustments(connection, enpi_id),
                subject == "product",
            )
        )  # fmt: skip
    return enpis


def load_product_output(
    connection: psycopg.Connection[Any],
    site_id: int,
    product_id: int,
    stage: str,
    line: str = "",
    weight: Fraction | None = _ONE,
) -> ProductOutput:
    """Load what is known of a product's output at a stage.

    Parameters
    ----------
    connection
        To the platform's database.
    site_id, product_id
        The site and what it makes.
    stage
        "counted", "qualified", "warehoused" or "shipped".
    line
        Only what was made there; everything if empty.
    weight
        What one unit counts; None if the product has no base.

    Returns
    -------
    ProductOutput
        With counters of PLCs at the stage "counted".
    """
    return ProductOutput(
        product_id,
        _unit(connection, product_id),
        weight,
        load_output(connection, product_id, stage, line),
        _counters(connection, site_id, product_id, line) if stage == "counted" else (),
    )


def _own_points(
    points: Mapping[str, Sequence[MeteredPoint]], codes: Sequence[str], signs: Sequence[int]
) -> list[MeteredPoint]:
    return [
        counted.signed(sign)
        for code, sign in zip(codes, signs, strict=True)
        for counted in points.get(code, ())
    ]


def _output_unit(kind: str, scheme: Scheme, products: Sequence[ProductOutput]) -> str:
    if kind == "index":
        return scheme.energy_unit  # what the base year would have taken
    return _YUAN_UNIT if kind == "value_added" else products[0].unit


def _unit(connection: psycopg.Connection[Any], product_id: int) -> str:
    row = connection.execute(
        "SELECT unit FROM product WHERE product_id = %s", (product_id,)
    ).fetchone()
    assert row is not None  # a foreign key, or an array that the plant file's import filled
    return str(row[0])


def _counters(
    connection: psycopg.Connection[Any], site_id: int, product_id: int, line: str
) -> list[ProductionCounter]:
    return [
        ProductionCounter(series_id, disposition == "good", Fraction(per), since, until, on)
        for series_id, disposition, per, since, until, on in connection.execute(
            "SELECT s.series_id, c.disposition, c.per_count, c.valid_from, c.valid_to, c.line"
            " FROM production_counter c JOIN series s ON s.point_id = c.point_id"
            " AND s.site_id = %s AND s.channel = 'total' AND s.quantity = ANY(%s)"
            " WHERE c.product_id = %s AND c.superseded_commit_no IS NULL"
            " AND (%s = '' OR c.line = %s) ORDER BY s.series_id, c.valid_from",
            (site_id, ["pieces", "mass", "volume"], product_id, line, line),
        )
    ]


def _value_added(connection: psycopg.Connection[Any], site_id: int) -> list[ValueAdded]:
    """Return what the enterprise published [10,000 yuan], if the site is all of it."""
    rows = connection.execute(
        "SELECT v.period_from, v.period_to, v.price_year, v.value_yuan, v.synthetic"
        " FROM value_added v JOIN site_enterprise s USING (enterprise_id)"
        # Who owns the site is asked of the period that was published (F14).
        " CROSS JOIN LATERAL (SELECT v.period_from::timestamp AT TIME ZONE z.timezone AS since,"
        "  v.period_to::timestamp AT TIME ZONE z.timezone AS until FROM site_record z"
        "  WHERE z.site_id = s.site_id AND z.superseded_commit_no IS NULL"
        "  ORDER BY z.valid_from DESC LIMIT 1) p"
        " WHERE s.site_id = %s AND s.share = 1 AND v.superseded_commit_no IS NULL"
        " AND s.superseded_commit_no IS NULL"
        " AND s.valid_from <= p.since AND (s.valid_to IS NULL OR p.until <= s.valid_to)"
        " AND NOT EXISTS (SELECT FROM site_enterprise o WHERE o.enterprise_id = v.enterprise_id"
        "  AND o.site_id <> s.site_id AND o.superseded_commit_no IS NULL"
        "  AND o.valid_from < p.until AND (o.valid_to IS NULL OR p.since < o.valid_to))"
        " ORDER BY v.price_year, v.period_from, v.period_to",
        (site_id,),
    ).fetchall()
    return [
        ValueAdded(since, until, year, Fraction(yuan) / _TEN_THOUSAND, synthetic)
        for since, until, year, yuan, synthetic in rows
    ]


def load_scheme(connection: psycopg.Connection[Any], scheme_id: int) -> Scheme:
    """Load the latest record of a scheme, with its factors.

    Parameters
    ----------
    connection
        To the platform's database.
    scheme_id
        The scheme.

    Returns
    -------
    Scheme
        What it counts.
    """
    row = connection.execute(
        "SELECT s.site_id, s.code, media, energy_unit, factor_standard, factor_edition,"
        " electricity_basis, own_renewables_counted, feedstock_deducted, excluded_uses"
        " FROM scheme s JOIN scheme_record USING (scheme_id) WHERE scheme_id = %s"
        " AND superseded_commit_no IS NULL ORDER BY valid_from DESC LIMIT 1",
        (scheme_id,),
    ).fetchone()
    assert row is not None  # importing a plant writes scheme and record together
    site_id, code, media, unit, standard, edition, basis, renewables, feedstock, excluded = row
    factors = (
        load_factors(connection, standard, edition, basis or "physical", site_id)
        if unit == "kgce"
        else None
    )
    return Scheme(
        frozenset(media), unit, factors, renewables, feedstock, frozenset(excluded), scheme_id, code
    )


def _target(connection: psycopg.Connection[Any], enpi_id: int, scheme_id: int) -> Target | None:
    """Return the target that decides: an official one before an assigned, an internal one last.

    A target of another scheme is not comparable and does not decide (F6).
    """
    row = connection.execute(
        "SELECT target_id, base_from, base_to, end_to, annual_rate, end_value, target_class,"
        " slow_from, on_track_from FROM target"
        " WHERE enpi_id = %s AND scheme_id = %s AND kind = 'intensity'"
        " AND superseded_commit_no IS NULL"
        " ORDER BY array_position(ARRAY['official', 'assigned', 'internal'], target_class)"
        " LIMIT 1",
        (enpi_id, scheme_id),
    ).fetchone()
    if row is None:
        return None
    target_id, base_from, base_to, end_to, rate, end_value, target_class, slow, on_track = row
    return Target(
        target_id,
        base_from,
        base_to,
        end_to,
        None if rate is None else float(rate),
        None if end_value is None else float(end_value),
        target_class,
        float(slow),
        float(on_track),
    )


def _adjustments(connection: psycopg.Connection[Any], enpi_id: int) -> list[BaseAdjustment]:
    found: dict[str, list[BaseAdjustment]] = defaultdict(list)
    for code, factor, threshold, since, until in connection.execute(
        "SELECT code, factor, threshold, valid_from, valid_to FROM base_adjustment"
        " WHERE enpi_id = %s AND superseded_commit_no IS NULL ORDER BY valid_from, code",
        (enpi_id,),
    ):
        found[code].append(BaseAdjustment(code, float(factor), float(threshold), since, until))
    return [a for spans in found.values() for a in spans]
