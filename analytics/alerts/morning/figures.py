"""A day of a site for its morning message, from what analytics stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import dict_row

from analytics.alerts.morning.causes import Excess, find_cause
from analytics.alerts.morning.said import Morning
from analytics.alerts.rules import AlertSite

__all__ = ["like_days", "load_morning"]

_DAY: Final = dt.timedelta(days=1)
# A day is compared with these weekdays before it, of which so many must be known.
_WEEKS, _LEAST_WEEKS = 4, 2
# A day with hardly any output uses its closed-hours load: a distance would blame the wrong thing.
_COMPARABLE: Final = 1.0


def like_days(day: dt.date) -> list[dt.date]:
    """Return the days that a day is compared with.

    Parameters
    ----------
    day
        The local day.

    Returns
    -------
    list of date
        The same weekday of the four weeks before (F38).
    """
    return [day - 7 * n * _DAY for n in range(1, _WEEKS + 1)]


def load_morning(connection: psycopg.Connection[Any], site: AlertSite, day: dt.date) -> Morning:
    """Read what the morning message says of a day.

    Parameters
    ----------
    connection
        To the database.
    site
        The site; its first EnPI is told, as on the overview.
    day
        A local day that is over.

    Returns
    -------
    Morning
        Expected is the energy of a usable baseline, else the target's intensity, else that of the
        same weekdays before, energy over output and never a mean of ratios (F25, F38).
    """
    morning = Morning(day=str(day), page=f"/s/{site.code}/overview?t={day}")
    morning = _with_electricity(connection, site, day, morning)
    morning = _with_cost(connection, site, day, morning)
    enpi_id, row = _enpi_day(connection, site, day)
    excess = Excess(None, None)
    if row is not None:
        morning = msgspec.structs.replace(
            morning, name_zh=row["name_zh"], name_en=row["name_en"],
            energy_unit=row["energy_unit"], output_unit=row["output_unit"],
            intensity=row["intensity"], energy=row["energy"], energy_tce=row["energy_tce"],
            output=row["output"], withheld_code=row["withheld_code"],
            factor_verified=row["factor_verified"],
            synthetic=morning.synthetic or row["synthetic_energy"] or row["synthetic_output"],
        )  # fmt: skip
        morning, excess = _with_expected(connection, enpi_id, day, row, morning)
    cause, action = find_cause(connection, site, day, like_days(day), enpi_id, morning, excess)
    return msgspec.structs.replace(morning, cause=cause, action=action)


def _enpi_day(
    connection: psycopg.Connection[Any], site: AlertSite, day: dt.date
) -> tuple[int | None, Mapping[str, Any] | None]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT i.enpi_id AS told_id, n.name_zh, n.name_en, f.* FROM enpi i JOIN LATERAL ("
            "  SELECT name_zh, name_en FROM enpi_record r WHERE r.enpi_id = i.enpi_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) n ON true"
            " LEFT JOIN enpi_period f ON f.enpi_id = i.enpi_id AND f.period_kind = 'day'"
            "  AND f.period_from = %s AND f.shift = ''"
            " WHERE i.site_id = %s ORDER BY i.enpi_id LIMIT 1",
            (day, site.site_id),
        ).fetchone()
    if row is None or row["period_from"] is None:
        return None, None
    return row["told_id"], row


def _with_expected(
    connection: psycopg.Connection[Any],
    enpi_id: int | None,
    day: dt.date,
    row: Mapping[str, Any],
    morning: Morning,
) -> tuple[Morning, Excess]:
    """Compare with the first of baseline, target and like days that is known."""
    baseline = connection.execute(
        "SELECT f.expected, f.difference, f.energy_tce / nullif(f.actual, 0)"
        " FROM baseline_record r JOIN baseline_period f USING (baseline_id)"
        " JOIN baseline_model m USING (model_id)"
        " WHERE r.enpi_id = %s AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL"
        " AND f.period_kind = 'day' AND f.period_from = %s AND NOT f.training"
        " AND m.usability = 'usable' AND f.withheld_code IS NULL AND f.expected > 0 LIMIT 1",
        (enpi_id, day),
    ).fetchone()
    if baseline is not None:
        expected, difference, tce_per_unit = baseline
        tce = None if tce_per_unit is None else difference * tce_per_unit
        return msgspec.structs.replace(
            morning, basis="baseline", expected=expected, distance=difference / expected
        ), Excess(tce, None)
    intensity, output = row["intensity"], row["output"]
    if intensity is None or not output:
        return morning, Excess(None, None)
    basis, reference = "target", row["target_intensity"] or _month_target(connection, enpi_id, day)
    if not reference or reference <= 0:
        basis, reference = "like_days", _like_intensity(connection, enpi_id, day)
    if not reference or reference <= 0:
        return morning, Excess(None, None)
    distance = intensity / reference - 1.0
    if distance > _COMPARABLE:
        return msgspec.structs.replace(morning, little_output=True), Excess(None, None)
    per_unit = row["energy_tce"] / row["energy"] if row["energy_tce"] and row["energy"] else None
    tce = None if per_unit is None else (intensity - reference) * output * per_unit
    said = msgspec.structs.replace(morning, expected=reference, distance=distance)
    known = msgspec.structs.replace(said, basis="target" if basis == "target" else "like_days")
    return known, Excess(tce, reference)


def _month_target(
    connection: psycopg.Connection[Any], enpi_id: int | None, day: dt.date
) -> float | None:
    row = connection.execute(
        "SELECT target_intensity FROM enpi_period WHERE enpi_id = %s AND period_kind = 'month'"
        " AND period_from <= %s AND period_to > %s ORDER BY period_to DESC LIMIT 1",
        (enpi_id, day, day),
    ).fetchone()
    return None if row is None else row[0]


def _like_intensity(
    connection: psycopg.Connection[Any], enpi_id: int | None, day: dt.date
) -> float | None:
    rows: Sequence[tuple[float, float]] = connection.execute(
        "SELECT energy, output FROM enpi_period WHERE enpi_id = %s AND period_kind = 'day'"
        " AND shift = '' AND period_from = ANY(%s) AND intensity IS NOT NULL AND output > 0",
        (enpi_id, like_days(day)),
    ).fetchall()
    if len(rows) < _LEAST_WEEKS:
        return None
    return sum(energy for energy, _ in rows) / sum(output for _, output in rows)


def _with_electricity(
    connection: psycopg.Connection[Any], site: AlertSite, day: dt.date, morning: Morning
) -> Morning:
    """Say what came through the boundary, and how complete its data are."""
    row = connection.execute(
        "SELECT count(*), sum(amount), min(coverage), min(reporting_completeness),"
        " coalesce(bool_or(e.simulated), false), min(withheld_code)"
        " FROM energy_period e JOIN point p USING (point_id)"
        " JOIN LATERAL (SELECT role, direction FROM point_record r WHERE r.point_id = p.point_id"
        "  AND r.superseded_commit_no IS NULL AND r.valid_from <= %s"
        "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE e.site_id = %s AND e.period_kind = 'day' AND e.period_from = %s"
        " AND e.quantity = 'active_energy' AND e.channel = 'total' AND e.unit = 'kWh'"
        " AND p.medium = 'electricity' AND r.role = 'boundary' AND r.direction = 'import'",
        (dt.datetime.combine(day + _DAY, dt.time(0), site.zone), site.site_id, day),
    ).fetchone()
    assert row is not None
    points, kwh, coverage, completeness, simulated, withheld = row
    if not points:
        return morning
    return msgspec.structs.replace(
        morning, electricity_kwh=None if withheld else kwh, coverage=coverage,
        reporting_completeness=completeness, synthetic=simulated,
    )  # fmt: skip


def _with_cost(
    connection: psycopg.Connection[Any], site: AlertSite, day: dt.date, morning: Morning
) -> Morning:
    """Say what the day's energy cost; one amount that is withheld withholds the sum."""
    row = connection.execute(
        "SELECT count(*), sum(cost_yuan)::double precision, min(withheld_code) FROM cost_period"
        " WHERE site_id = %s AND period_kind = 'day' AND period_from = %s AND band = 'total'",
        (site.site_id, day),
    ).fetchone()
    assert row is not None
    entries, yuan, withheld = row
    if not entries:
        return morning
    return msgspec.structs.replace(
        morning, cost_yuan=None if withheld else yuan, cost_withheld_code=withheld
    )
