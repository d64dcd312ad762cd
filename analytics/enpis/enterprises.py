"""An EnPI over all sites of an enterprise: sums of energy and output, never a mean of ratios (F25).

Ownership is that of the period (F14): a site counts by the share held from its first to its last
day. Sites are only added up by one scheme (F6). Finished months only: a running one is a matter of
each site.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import psycopg

from analytics.accounting.enpi_facts import Enpi, Target
from analytics.accounting.site_calendar import month_after
from analytics.accounting.site_facts import SiteFacts
from analytics.accounting.value_added import ValueAdded, value_added_total
from analytics.accounting.withheld import WithheldCode
from analytics.enpis.enpi import annual_rate, judged_jointly, years_of
from analytics.enpis.targets import Status, Verdict, judge

__all__ = ["SiteFigure", "Sum", "sum_sites", "write_enterprise_figures"]

_KINDS = ("month", "quarter", "year_to_date", "rolling_12")


@dataclass(frozen=True, slots=True)
class SiteFigure:
    """What one site contributes to a period.

    Attributes
    ----------
    share
        Held by the enterprise over the whole period; None if it changed within.
    energy, output
        Of the site; None if withheld.
    """

    site_id: int
    share: Fraction | None
    scheme: tuple[object, ...]
    energy: float | None
    energy_tce: float | None
    output: float | None
    coverage: float | None
    output_coverage: float | None
    withheld: str | None
    synthetic_energy: bool
    synthetic_output: bool


@dataclass(frozen=True, slots=True)
class Sum:
    """Sites added up; ``withheld`` says why there is no energy or output."""

    energy: Fraction | None
    energy_tce: float | None
    output: Fraction | None
    coverage: float | None
    output_coverage: float | None
    withheld: str | None
    synthetic_energy: bool
    synthetic_output: bool

    @property
    def intensity(self) -> float | None:
        """Energy over output."""
        if self.withheld is not None or self.energy is None or not self.output:
            return None
        return float(self.energy / self.output)


def sum_sites(
    figures: Sequence[SiteFigure], sites: int, value_added: tuple[Fraction, bool] | None = None
) -> Sum:
    """Add up what the sites of an enterprise did in one period.

    Parameters
    ----------
    figures
        One per site that has the EnPI.
    sites
        How many should have.
    value_added
        Of the enterprise and whether it is synthetic, in place of the sites' output
        [10,000 yuan].

    Returns
    -------
    Sum
        Energy and output weighted by the share held; withheld with the first site's reason.

    Notes
    -----
    F6, F14, F25.
    """
    withheld: str | None = None
    if len(figures) < sites:
        withheld = WithheldCode.ENERGY_MISSING
    elif any(f.share is None for f in figures):
        withheld = WithheldCode.OWNERSHIP_CHANGED
    elif len({f.scheme for f in figures}) > 1:
        withheld = WithheldCode.SCHEME_DIFFERS
    else:
        own = None if value_added is None else "value_added"
        withheld = next(
            (f.withheld for f in figures
             if f.withheld is not None and not (own and f.withheld.startswith(own))),
            None,
        )  # fmt: skip
    synthetic = (any(f.synthetic_energy for f in figures), any(f.synthetic_output for f in figures))
    if withheld is not None or any(f.energy is None for f in figures):
        return Sum(
            None, None, None, None, None, withheld or WithheldCode.ENERGY_MISSING, *synthetic
        )
    energy = sum((_share(f) * Fraction(f.energy or 0.0) for f in figures), Fraction(0))
    tce = [f.energy_tce for f in figures]
    output = (
        sum((_share(f) * Fraction(f.output or 0.0) for f in figures), Fraction(0))
        if value_added is None
        else value_added[0]
    )
    reason = None
    if value_added is not None and output <= 0:
        reason = WithheldCode.VALUE_ADDED_NOT_POSITIVE
    elif output == 0:
        reason = WithheldCode.OUTPUT_ZERO
    return Sum(
        energy,
        None
        if any(x is None for x in tce)
        else float(sum(_share(f) * Fraction(f.energy_tce or 0.0) for f in figures)),
        output,
        min((f.coverage for f in figures if f.coverage is not None), default=None),
        min((f.output_coverage for f in figures if f.output_coverage is not None), default=None),
        reason,
        synthetic[0],
        synthetic[1] if value_added is None else value_added[1],
    )


def _share(figure: SiteFigure) -> Fraction:
    return Fraction(0) if figure.share is None else figure.share


def write_enterprise_figures(
    connection: psycopg.Connection[Any], facts: SiteFacts, version: int
) -> int:
    """Write what the enterprises of a site say of their EnPIs.

    Parameters
    ----------
    connection
        In the transaction in which the site's own figures were written.
    facts
        Of that site.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    wanted = [e for e in facts.enpis if e.of_enterprise]
    # A sum that holds what the site does not contribute any more; another of its sites writes it
    # anew if it still does.
    connection.execute(
        "DELETE FROM enterprise_enpi_period WHERE %s = ANY(site_ids) AND code <> ALL(%s)",
        (facts.site_id, [e.code for e in wanted]),
    )
    if not wanted:
        return 0
    owners = connection.execute(
        "SELECT DISTINCT enterprise_id FROM site_enterprise WHERE site_id = %s"
        " AND superseded_commit_no IS NULL ORDER BY 1",
        (facts.site_id,),
    ).fetchall()
    rows = 0
    for (enterprise_id,) in owners:
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('enpilot.enterprise', %s))",
            (enterprise_id,),
        )
        for enpi in wanted:
            rows += _write(connection, enterprise_id, enpi, version)
    return rows


def _write(
    connection: psycopg.Connection[Any], enterprise_id: int, enpi: Enpi, version: int
) -> int:
    sums = _sums(connection, enterprise_id, enpi)
    connection.execute(
        "DELETE FROM enterprise_enpi_period WHERE enterprise_id = %s AND code = %s",
        (enterprise_id, enpi.code),
    )
    rows = []
    for (kind, first, after), (sites, found) in sorted(sums.items()):
        verdict, base = _verdict(enpi, kind, first, after, sums)
        rows.append(
            (
                enterprise_id, enpi.code, sites, kind, first, after,
                None if found.energy is None else float(found.energy), enpi.scheme.energy_unit,
                found.energy_tce, None if found.output is None else float(found.output),
                enpi.output_unit, found.intensity, base, verdict.target_intensity,
                verdict.progress_ratio, verdict.cumulative_progress, verdict.status,
                found.withheld, found.coverage, found.output_coverage, found.synthetic_energy,
                found.synthetic_output, version,
            )
        )  # fmt: skip
    names = (
        "enterprise_id, code, site_ids, period_kind, period_from, period_to, energy, energy_unit,"
        " energy_tce, output, output_unit, intensity, base_intensity, target_intensity,"
        " progress_ratio, cumulative_progress, status, withheld_code, coverage, output_coverage,"
        " synthetic_energy, synthetic_output, data_version"
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO enterprise_enpi_period ({names}) VALUES ({', '.join(['%s'] * 23)})", rows
        )
    return len(rows)


_Key = tuple[str, dt.date, dt.date]


def _verdict(
    enpi: Enpi,
    kind: str,
    first: dt.date,
    after: dt.date,
    sums: dict[_Key, tuple[list[int], Sum]],
) -> tuple[Verdict, float | None]:
    intensity = sums[kind, first, after][1].intensity
    if intensity is None:
        return Verdict(Status.WITHHELD), None
    target = enpi.target
    if target is None or enpi.kind == "mixed":
        return Verdict(Status.NO_TARGET), None
    years = years_of(target, kind, first, after)
    if years is None or years <= 0:
        return Verdict(Status.BASE if years == 0 else Status.NO_TARGET), None
    if judged_jointly(enpi, kind, first, after):
        return Verdict(Status.JOINT), None
    whole = sums.get(("rolling_12", target.base_from, target.base_to))
    base = _base_of(target, kind, first, after, sums)
    rate = annual_rate(target, None if whole is None else whole[1].intensity)
    verdict = judge(
        intensity, base if rate is not None else None, rate or 0.0, years, target.total_years,
        slow_from=target.slow_from, on_track_from=target.on_track_from,
    )  # fmt: skip
    return verdict, base


def _base_of(
    target: Target,
    kind: str,
    first: dt.date,
    after: dt.date,
    sums: dict[_Key, tuple[list[int], Sum]],
) -> float | None:
    if kind == "rolling_12":
        found = sums.get((kind, target.base_from, target.base_to))
    else:
        back = target.years_after_base(first)
        found = sums.get(
            (kind, first.replace(year=first.year - back), after.replace(year=after.year - back))
        )
    return None if found is None else found[1].intensity


def _sums(
    connection: psycopg.Connection[Any], enterprise_id: int, enpi: Enpi
) -> dict[_Key, tuple[list[int], Sum]]:
    owned: dict[int, list[tuple[dt.datetime, dt.datetime | None, Fraction]]] = defaultdict(list)
    for site_id, since, until, share in connection.execute(
        "SELECT site_id, valid_from, valid_to, share FROM site_enterprise"
        " WHERE enterprise_id = %s AND superseded_commit_no IS NULL ORDER BY site_id, valid_from",
        (enterprise_id,),
    ):
        owned[site_id].append((since, until, Fraction(share)))
    figures: dict[_Key, list[SiteFigure]] = defaultdict(list)
    spans: dict[_Key, tuple[dt.datetime, dt.datetime]] = {}
    for row in connection.execute(
        "SELECT f.period_kind, f.period_from, f.period_to, f.from_ts, f.to_ts, f.site_id, f.energy,"
        " f.energy_tce, f.output, f.coverage, f.output_coverage, f.withheld_code,"
        " f.synthetic_energy, f.synthetic_output, s.media, s.energy_unit, s.factor_standard,"
        " s.factor_edition, s.electricity_basis, s.own_renewables_counted, s.feedstock_deducted,"
        " f.output_unit FROM enpi_period f JOIN enpi e USING (enpi_id)"
        " JOIN enpi_record r ON r.enpi_id = e.enpi_id AND r.superseded_commit_no IS NULL"
        " AND r.valid_to IS NULL AND r.of_enterprise"
        " JOIN scheme_record s ON s.scheme_id = r.scheme_id AND s.superseded_commit_no IS NULL"
        " AND s.valid_to IS NULL"
        " WHERE e.code = %s AND f.site_id = ANY(%s) AND f.period_kind = ANY(%s)"
        " ORDER BY f.site_id",
        (enpi.code, list(owned), list(_KINDS)),
    ):
        kind, first, after, since, until, site_id, *values = row
        if not _finished(kind, first, after):
            continue
        energy, tce, output, coverage, output_coverage, withheld, fake, faked, media, *scheme = (
            values
        )
        share = _held(owned[site_id], since, until)
        if share == 0:
            continue
        spans[kind, first, after] = since, until
        figures[kind, first, after].append(
            SiteFigure(
                site_id, share, (tuple(sorted(media)), *scheme), energy, tce, output, coverage,
                output_coverage, withheld, fake, faked,
            )
        )  # fmt: skip
    published = _published(connection, enterprise_id) if enpi.value_added is not None else None
    sums: dict[_Key, tuple[list[int], Sum]] = {}
    for key, found in figures.items():
        sites = sum(_held(held, *spans[key]) != 0 for held in owned.values())
        value_added = None
        if published is not None:
            total = value_added_total(published, key[1], key[2], enpi.price_year)
            if total.value is not None:
                value_added = total.value, total.synthetic
        sums[key] = [f.site_id for f in found], sum_sites(found, sites, value_added)
    return sums


def _finished(kind: str, first: dt.date, after: dt.date) -> bool:
    """Whether it ends with a month: a running month of a site is cut at its last day."""
    if kind == "month":
        return after == month_after(first, first.day)
    return after.day == first.day


def _held(
    owned: Sequence[tuple[dt.datetime, dt.datetime | None, Fraction]],
    since: dt.datetime,
    until: dt.datetime,
) -> Fraction | None:
    """Return the share over [since, until), 0 if it was never held then, None if it changed."""
    shares = set()
    for low, high, share in owned:
        if low <= since and (high is None or until <= high):
            return share
        if low < until and (high is None or since < high):
            shares.add(share)
    return None if shares else Fraction(0)


def _published(connection: psycopg.Connection[Any], enterprise_id: int) -> list[ValueAdded]:
    return [
        ValueAdded(since, until, year, Fraction(yuan) / 10_000, synthetic)
        for since, until, year, yuan, synthetic in connection.execute(
            "SELECT period_from, period_to, price_year, value_yuan, synthetic FROM value_added"
            " WHERE enterprise_id = %s AND superseded_commit_no IS NULL"
            " ORDER BY price_year, period_from, period_to",
            (enterprise_id,),
        )
    ]
