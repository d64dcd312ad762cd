"""Energy and variables of a site's days or months, out of what is stored; missing is not zero.

ISO 50006.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import psycopg

from analytics.accounting.energy_parts import covered_share
from analytics.accounting.product_output import OutputEntry, load_output, output_total
from analytics.accounting.site_calendar import Period, days_of, midnight
from analytics.baselines.declared import DeclaredBaseline, DeclaredVariable
from analytics.baselines.degree_days import DegreeKind, daily_means, degree_days
from analytics.intervals.readings import load_readings, microseconds
from enpilot.archive import ArchiveUnavailableError

__all__ = ["PeriodEnergy", "VariableReader", "complete", "period_energies"]

_WHOLE: Final = 0.999  # an entry that ends a second early is still whole
_OUTPUT_COVERAGE: Final = 0.95
_DAY_KNOWN: Final = 0.75  # share of a day that a thermometer must tell of
_BEFORE: Final = dt.timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class PeriodEnergy:
    """Energy of one period [unit of the baseline]; ``tce`` None where nothing converts it."""

    energy: float
    tce: float | None
    synthetic: bool


def period_energies(
    connection: psycopg.Connection[Any], baseline: DeclaredBaseline, periods: Sequence[Period]
) -> dict[dt.date, PeriodEnergy]:
    """Return the energy of those periods that are covered well enough.

    Parameters
    ----------
    connection
        To the database, after energy and EnPI figures were written.
    baseline
        Whose energy: of its EnPI, or of its points together.
    periods
        Whole days or months.

    Returns
    -------
    dict
        By the first day; a period whose coverage is below the limit is not in it (F4).
    """
    firsts = [p.first for p in periods]
    if baseline.enpi_id is not None:
        rows = connection.execute(
            "SELECT period_from, period_to, energy, energy_tce, synthetic_energy, coverage"
            " FROM enpi_period WHERE enpi_id = %s AND period_kind = %s"
            " AND period_from = ANY(%s) AND energy IS NOT NULL",
            (baseline.enpi_id, baseline.period_kind, firsts),
        ).fetchall()
    else:
        # All points or none: a part of them is another boundary.
        rows = connection.execute(
            "SELECT period_from, max(period_to), sum(amount), NULL, bool_or(simulated),"
            " min(coverage) FROM energy_period WHERE point_id = ANY(%s) AND quantity = %s"
            " AND channel = %s AND period_kind = %s AND period_from = ANY(%s)"
            " AND amount IS NOT NULL GROUP BY period_from HAVING count(*) = %s",
            (
                list(baseline.point_ids), baseline.quantity, baseline.channel,
                baseline.period_kind, firsts, len(baseline.point_ids),
            ),
        ).fetchall()  # fmt: skip
    ends = {p.first: p.after for p in periods}
    return {
        first: PeriodEnergy(energy, tce, synthetic)
        for first, after, energy, tce, synthetic, coverage in rows
        if after == ends[first] and coverage is not None and coverage >= baseline.coverage_limit
    }


class VariableReader:
    """Reads variables period by period; what several of them need is loaded once."""

    def __init__(self, connection: psycopg.Connection[Any], zone: ZoneInfo) -> None:
        self._connection = connection
        self._zone = zone
        self._outputs: dict[tuple[int, str], _Entries] = {}
        self._entered: dict[int, list[tuple[dt.datetime, dt.datetime, float, bool]]] = {}

    def values(
        self, variables: Sequence[DeclaredVariable], period: Period
    ) -> tuple[dict[str, float | None], bool]:
        """Return each variable's value in a period, None where it is not known, and whether some
        of it is synthetic.
        """
        found: dict[str, float | None] = {}
        synthetic = False
        for variable in variables:
            value = self._value(variable, period)
            found[variable.code] = None if value is None else value[0]
            synthetic |= value is not None and value[1]
        return found, synthetic

    def _value(self, v: DeclaredVariable, period: Period) -> tuple[float, bool] | None:
        if v.source == "calendar_days":
            return float((period.after - period.first).days), False
        if v.source == "entered":
            return self._entered_value(v, period)
        if v.source == "output":
            assert v.product_id is not None  # the plant file has it
            return self._output(v.product_id, v.stage, period)
        if v.source == "output_share":
            return self._share(v, period)
        if v.source == "amount":
            return self._amount(v, period)
        if v.source == "mean":
            days = self._thermometer(v, period)
            return None if days is None else (float(np.mean(days)), False)
        return self._degree_days(v, period)

    def _instants(self, period: Period) -> tuple[dt.datetime, dt.datetime]:
        return midnight(period.first, self._zone), midnight(period.after, self._zone)

    def _output(self, product_id: int, stage: str, period: Period) -> tuple[float, bool] | None:
        key = (product_id, stage)
        if key not in self._outputs:
            self._outputs[key] = _Entries(load_output(self._connection, product_id, stage))
        since, until = self._instants(period)
        total = output_total(self._outputs[key].near(since, until), since, until)
        if total.quantity is None or total.coverage < _OUTPUT_COVERAGE:
            return None
        return total.quantity, total.synthetic

    def _share(self, v: DeclaredVariable, period: Period) -> tuple[float, bool] | None:
        made = {p: self._output(p, v.stage, period) for p in v.of_product_ids}
        known = {p: m for p, m in made.items() if m is not None}
        total = sum(m[0] for m in known.values())
        if len(known) < len(made) or total <= 0 or v.product_id is None:
            return None
        return known[v.product_id][0] / total, any(m[1] for m in known.values())

    def _amount(self, v: DeclaredVariable, period: Period) -> tuple[float, bool] | None:
        row = self._connection.execute(
            "SELECT amount, simulated FROM energy_period WHERE point_id = %s AND quantity = %s"
            " AND channel = %s AND period_kind = %s AND period_from = %s AND amount IS NOT NULL",
            (v.point_id, v.quantity, v.channel, period.kind, period.first),
        ).fetchone()
        return None if row is None else (float(row[0]), bool(row[1]))

    def _entered_value(self, v: DeclaredVariable, period: Period) -> tuple[float, bool] | None:
        """Add entries, or average them by time; of one across an end its time inside counts."""
        if v.variable_id not in self._entered:
            self._entered[v.variable_id] = [
                (since, until, float(value), synthetic)
                for since, until, value, synthetic in self._connection.execute(
                    "SELECT from_ts, to_ts, value, synthetic FROM relevant_variable_value"
                    " WHERE relevant_variable_id = %s AND superseded_commit_no IS NULL"
                    " ORDER BY from_ts",
                    (v.variable_id,),
                )
            ]
        since, until = self._instants(period)
        spans, added, weighed, synthetic = [], 0.0, 0.0, False
        for first, after, value, made_up in self._entered[v.variable_id]:
            low, high = max(since, first), min(until, after)
            if low >= high:
                continue
            spans.append((low, high))
            added += value * ((high - low) / (after - first))
            weighed += value * ((high - low) / dt.timedelta(days=1))
            synthetic |= made_up
        if not spans or covered_share(spans, since, until) < _WHOLE:
            return None
        if v.entered_as == "sum":
            return added, synthetic
        time = sum(((high - low) / dt.timedelta(days=1) for low, high in spans), 0.0)
        return weighed / time, synthetic

    def _degree_days(self, v: DeclaredVariable, period: Period) -> tuple[float, bool] | None:
        assert v.base_temperature is not None  # the plant file has it
        kind: DegreeKind = "heating" if v.source == "heating_degree_days" else "cooling"
        of = v if v.temperature is None else v.temperature
        if of.source != "entered":
            days = self._thermometer(of, period)
            return None if days is None else (degree_days(days, v.base_temperature, kind), False)
        entered = [self._entered_value(of, d) for d in days_of(period.first, period.after)]
        known = [e for e in entered if e is not None]
        if len(known) < len(entered):
            return None
        # A mean of a month holds for each of its days: days times what it lies beyond the base.
        total = degree_days(np.array([e[0] for e in known]), v.base_temperature, kind)
        return total, any(e[1] for e in known)

    def _thermometer(self, v: DeclaredVariable, period: Period) -> np.ndarray | None:
        """Return the mean of each day of a period; None if a day is hardly known."""
        row = self._connection.execute(
            "SELECT series_id FROM series WHERE point_id = %s AND quantity = %s AND channel = %s",
            (v.point_id, v.quantity or "temperature", v.channel),
        ).fetchone()
        if row is None:
            return None
        since, until = self._instants(period)
        try:
            readings = load_readings(self._connection, row[0], since - _BEFORE, until)
        except ArchiveUnavailableError:
            return None  # what is stored of an earlier pass stays
        level = np.full(len(readings), np.nan)
        for raw_type, scale, offset, begin, end in self._connection.execute(
            'SELECT raw_type, scale, "offset", valid_from, valid_to FROM series_epoch'
            " WHERE series_id = %s AND superseded_commit_no IS NULL",
            (row[0],),
        ):
            high = np.iinfo(np.int64).max if end is None else microseconds(end)
            inside = (readings.time_us >= microseconds(begin)) & (readings.time_us < high)
            raw = readings.real if raw_type.startswith("float") else readings.whole
            level[inside] = raw[inside] * float(scale) + float(offset)
        kept = np.isfinite(level)
        days = list(days_of(period.first, period.after))
        midnights = [microseconds(midnight(d.first, self._zone)) for d in days]
        mean, known = daily_means(
            readings.time_us[kept], level[kept],
            np.array([*midnights, microseconds(until)], dtype=np.int64),
        )  # fmt: skip
        return mean if float(known.min()) >= _DAY_KNOWN else None


class _Entries:
    """Output entries in order, of which a window needs only those near it."""

    def __init__(self, entries: Sequence[OutputEntry]) -> None:
        self._entries = entries
        self._starts = [e.since for e in entries]
        self._longest = max((e.until - e.since for e in entries), default=dt.timedelta(0))

    def near(self, since: dt.datetime, until: dt.datetime) -> Sequence[OutputEntry]:
        first = bisect.bisect_left(self._starts, since - self._longest)
        return self._entries[first : bisect.bisect_left(self._starts, until)]


def complete(values: Mapping[str, float | None], codes: Sequence[str]) -> bool:
    """Tell whether every one of some variables is known.

    Parameters
    ----------
    values
        By code [unit of the variable]; None or absent where not known.
    codes
        Those that are needed.

    Returns
    -------
    bool
        True if none is missing.
    """
    return all(values.get(code) is not None for code in codes)
