"""EnPIs with an official target by declared totals, beside the metered ones (F15).

An authority computes its verdict of what was declared to it. Base and period are both declared
then: declared months are never held against metered ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import psycopg

from analytics.accounting.energy_parts import Scheme
from analytics.accounting.enpi_facts import Enpi
from analytics.accounting.site_calendar import Period, local_date, month_after
from analytics.accounting.site_facts import SiteFacts
from analytics.enpis.enpi import annual_rate, years_of
from analytics.enpis.targets import Status, Verdict, judge
from analytics.errors import FactorError
from enpilot.quantities import QUANTITIES, UnitError, energy_quantity, unit_ratio

__all__ = ["DeclaredMonth", "declared_energy", "write_declared_enpis"]

# Output that stands behind a figure although its energy does not.
_ENERGY_CODES: Final = ("energy_missing", "coverage_low", "factor_missing", "point_not_accepted")


@dataclass(frozen=True, slots=True)
class DeclaredMonth:
    """A declared total of a month [unit]."""

    quantity: Fraction
    unit: str
    synthetic: bool


@dataclass(frozen=True, slots=True)
class _Output:
    """Output of a period as the metered figure has it."""

    period: Period
    quantity: float
    unit: str
    synthetic: bool


def declared_energy(
    scheme: Scheme, totals: Mapping[str, DeclaredMonth], at: dt.datetime
) -> Fraction | None:
    """Add up what was declared of a scheme's media.

    Parameters
    ----------
    scheme
        Says what counts, and by which factors.
    totals
        Of one month, by medium.
    at
        The month's beginning, whose factors hold.

    Returns
    -------
    Fraction or None
        [energy unit of the scheme]; None if a medium was not declared, or has no factor then.

    Notes
    -----
    F6, F15: by the scheme's own factors, whatever the declaration took, so that it can be held
    against the scheme's target.
    """
    energy = Fraction(0)
    for medium in scheme.media:
        declared = totals.get(medium)
        if declared is None:
            return None
        try:
            energy += declared.quantity * _factor(scheme, medium, declared.unit, at)
        except (FactorError, UnitError):
            return None
    return energy


def write_declared_enpis(
    connection: psycopg.Connection[Any], facts: SiteFacts, version: int
) -> int:
    """Write energy, intensity and verdict by declared totals of every EnPI with an official target.

    Parameters
    ----------
    connection
        In the site's transaction, after its metered EnPIs were written.
    facts
        Of the site.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written: months, and years to date, all of whose media were declared.

    Notes
    -----
    F8, F9, F15.
    """
    connection.execute("DELETE FROM declared_enpi_period WHERE site_id = %s", (facts.site_id,))
    official = [
        e
        for e in facts.enpis
        if e.target is not None
        and e.target.target_class == "official"
        and e.points is None
        and not e.allocated
    ]
    if not official:
        return 0
    declared = _declared(connection, facts)
    if not declared:
        return 0
    rows = [
        row
        for enpi in official
        for row in _Judged(enpi, declared, _outputs(connection, enpi)).rows(facts.site_id, version)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO declared_enpi_period (site_id, enpi_id, period_kind, period_from,"
            " period_to, energy, energy_unit, output, output_unit, intensity, base_intensity,"
            " target_intensity, progress_ratio, cumulative_progress, status, synthetic,"
            " data_version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            rows,
        )
    return len(rows)


class _Judged:
    """One EnPI by declared totals."""

    def __init__(
        self,
        enpi: Enpi,
        declared: Mapping[tuple[dt.date, dt.date], Mapping[str, DeclaredMonth]],
        outputs: Sequence[_Output],
    ) -> None:
        self._enpi = enpi
        self._declared = declared
        self._outputs = {
            (o.period.kind, o.period.first, o.period.after): o for o in outputs if o.quantity > 0
        }

    def rows(self, site_id: int, version: int) -> Iterator[tuple[object, ...]]:
        """Yield the rows of months and years to date whose media were all declared."""
        for output in self._outputs.values():
            period = output.period
            energy = self._energy(period)
            if energy is None:
                continue
            intensity = float(energy) / output.quantity
            base = self._base(period)
            verdict = self._verdict(period, intensity, base)
            yield (
                site_id, self._enpi.enpi_id, period.kind, period.first, period.after,
                float(energy), self._enpi.scheme.energy_unit, output.quantity, output.unit,
                intensity, base, verdict.target_intensity, verdict.progress_ratio,
                verdict.cumulative_progress, verdict.status,
                output.synthetic or self._synthetic(period), version,
            )  # fmt: skip

    def _months(self, period: Period) -> list[tuple[dt.date, dt.date]]:
        calendar = self._enpi.calendar
        return [(m.first, m.after) for m in calendar.months(period.first, period.after)]

    def _energy(self, period: Period) -> Fraction | None:
        energy = Fraction(0)
        for days in self._months(period):
            month = declared_energy(
                self._enpi.scheme, self._declared.get(days, {}),
                self._enpi.calendar.begins(days[0]),
            )  # fmt: skip
            if month is None or days[1] > period.after:
                return None
            energy += month
        return energy

    def _synthetic(self, period: Period) -> bool:
        media = self._enpi.scheme.media
        return any(
            total.synthetic
            for days in self._months(period)
            for medium, total in self._declared[days].items()
            if medium in media
        )

    def _intensity(self, period: Period) -> float | None:
        output = self._outputs.get((period.kind, period.first, period.after))
        energy = self._energy(period)
        return None if output is None or energy is None else float(energy) / output.quantity

    def _base(self, period: Period) -> float | None:
        """Return the intensity of the same months of the base year, adjusted by events (F18)."""
        target = self._enpi.target
        assert target is not None  # only official ones are asked
        years = target.years_after_base(period.first)
        base = None if years < 0 else self._intensity(period.moved(-years))
        if base is None:
            return None
        at = self._enpi.calendar.begins(period.first)
        for adjustment in self._enpi.adjustments:
            if adjustment.counts(at):
                base *= adjustment.factor
        return base

    def _verdict(self, period: Period, intensity: float, base: float | None) -> Verdict:
        target = self._enpi.target
        assert target is not None
        years = years_of(target, period.kind, period.first, period.after)
        if self._enpi.kind == "mixed" or years is None:
            return Verdict(Status.NO_TARGET)
        if years <= 0:
            return Verdict(Status.BASE)
        if period.kind == "month" and self._enpi.calendar.month_number(period.first) <= 2:
            return Verdict(Status.JOINT)
        whole = self._intensity(Period(target.base_from, target.base_to, "year_to_date"))
        rate = annual_rate(target, whole)
        return judge(
            intensity, base if rate is not None else None, rate or 0.0, years, target.total_years,
            slow_from=target.slow_from, on_track_from=target.on_track_from,
        )  # fmt: skip


def _declared(
    connection: psycopg.Connection[Any], facts: SiteFacts
) -> dict[tuple[dt.date, dt.date], dict[str, DeclaredMonth]]:
    found: dict[tuple[dt.date, dt.date], dict[str, DeclaredMonth]] = {}
    month_day = facts.calendars["civil"].month_day
    for medium, quantity, unit, synthetic, since, until in connection.execute(
        "SELECT medium, quantity, unit, synthetic, from_ts, to_ts FROM declared_total"
        " WHERE site_id = %s AND superseded_commit_no IS NULL",
        (facts.site_id,),
    ):
        first, after = local_date(since, facts.zone), local_date(until, facts.zone)
        if first.day == month_day and after == month_after(first, month_day):
            month = DeclaredMonth(Fraction(quantity), unit, synthetic)
            found.setdefault((first, after), {})[medium] = month
    return found


def _outputs(connection: psycopg.Connection[Any], enpi: Enpi) -> list[_Output]:
    return [
        _Output(Period(first, after, kind), quantity, unit, synthetic)
        for kind, first, after, quantity, unit, synthetic in connection.execute(
            # Where only matched days count, the output is not the whole period's.
            "SELECT period_kind, period_from, period_to, output, output_unit, synthetic_output"
            " FROM enpi_period WHERE enpi_id = %s AND period_kind IN ('month', 'year_to_date')"
            " AND output IS NOT NULL AND matched_share IS NULL AND output_coverage >= %s"
            " AND (withheld_code IS NULL OR withheld_code = ANY(%s)) ORDER BY period_from",
            (enpi.enpi_id, enpi.coverage_limit, list(_ENERGY_CODES)),
        )
    ]


def _factor(scheme: Scheme, medium: str, unit: str, at: dt.datetime) -> Fraction:
    quantity = energy_quantity(medium)
    to_own = unit_ratio(quantity, unit)
    if scheme.factors is None:
        return to_own / QUANTITIES[quantity].units[scheme.energy_unit]
    factor = scheme.factors.factor(medium, unit, at)
    return factor.value * to_own / unit_ratio(quantity, factor.per_unit)
