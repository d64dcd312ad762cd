"""Energy of production lots (batches, heats), from the registers at their own ends (F12, F22).

A lot belongs to the EnPIs that have points of their own and its line. Its energy is the register's
at its end minus that at its beginning, wherever these lie between the quarters of an hour. What was
computed stays when its readings are in an archive that cannot be read.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import psycopg

from analytics.accounting.energy_parts import EnergyTotal
from analytics.accounting.enpi_facts import Enpi
from analytics.accounting.product_output import OutputEntry
from analytics.accounting.scheme_energy import total
from analytics.accounting.site_facts import SiteFacts
from analytics.accounting.withheld import WithheldCode
from analytics.intervals.counter_facts import PointSeries
from analytics.intervals.exact_windows import ExactWindows
from enpilot.archive import ArchiveMismatchError, ArchiveUnavailableError

__all__ = ["write_lot_figures"]

_Weighed: TypeAlias = tuple[OutputEntry, Fraction | None]


def write_lot_figures(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    since: dt.datetime,
    until: dt.datetime,
    version: int,
) -> int:
    """Write the energy of every lot that touches a span.

    Parameters
    ----------
    connection
        In the transaction that claimed the span.
    facts
        Of the site.
    since, until
        The span.
    version
        Data version that the rows will name.

    Returns
    -------
    int
        Rows written.
    """
    rows: list[tuple[object, ...]] = []
    for enpi in facts.enpis:
        lots = [] if enpi.points is None else list(_lots(enpi, since, until))
        windows = ExactWindows(connection, _series(facts, enpi) if lots else [])
        try:
            rows += [
                _row(facts, enpi, line, lot, entries, windows, version)
                for line, lot, entries in lots
            ]
        except (ArchiveMismatchError, ArchiveUnavailableError):
            continue
        connection.execute(
            "DELETE FROM lot_energy WHERE enpi_id = %s AND from_ts < %s AND to_ts > %s",
            (enpi.enpi_id, until, since),
        )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO lot_energy (site_id, enpi_id, line, lot, from_ts, to_ts, energy,"
            " energy_unit, output, output_unit, intensity, estimated_share, withheld_code,"
            " synthetic, data_version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s, %s)",
            rows,
        )
    return len(rows)


def _lots(
    enpi: Enpi, since: dt.datetime, until: dt.datetime
) -> Iterator[tuple[str, str, list[_Weighed]]]:
    """Yield line, lot and entries of what was made in one go and touches the span."""
    found: dict[tuple[str, str, dt.datetime], list[_Weighed]] = defaultdict(list)
    for product in enpi.products:
        for entry in product.entries:
            if entry.lot:
                found[entry.line, entry.lot, entry.since].append((entry, product.weight))
    for (line, lot, _), entries in sorted(found.items(), key=lambda item: item[0]):
        if entries[0][0].since < until and max(e.until for e, _ in entries) > since:
            yield line, lot, entries


def _series(facts: SiteFacts, enpi: Enpi) -> list[PointSeries]:
    wanted = {p.series_id for p in enpi.points or ()}
    return [
        PointSeries(c.series_id, facts.site_id, c.point_id, c.quantity)
        for c in facts.counters
        if c.series_id in wanted
    ]


def _row(
    facts: SiteFacts,
    enpi: Enpi,
    line: str,
    lot: str,
    entries: Sequence[_Weighed],
    windows: ExactWindows,
    version: int,
) -> tuple[object, ...]:
    since, until = entries[0][0].since, max(e.until for e, _ in entries)
    energy = total(enpi.scheme, enpi.points or (), (), windows, since, until)
    # Of an index, the energy that the base year would have taken for it.
    weighed = [(e.quantity, weight) for e, weight in entries if e.good]
    made = float(sum((q * w for q, w in weighed if w is not None), Fraction(0)))
    withheld = _withheld(enpi, energy, made)
    if withheld in (None, WithheldCode.OUTPUT_ZERO) and any(w is None for _, w in weighed):
        withheld = WithheldCode.PRODUCT_WITHOUT_BASE
    intensity = None
    if withheld is None and energy.energy is not None:
        intensity = energy.energy / made
    return (
        facts.site_id, enpi.enpi_id, line, lot, since, until, energy.energy,
        enpi.scheme.energy_unit, made, enpi.output_unit, intensity, energy.estimated_share,
        withheld, energy.synthetic or any(e.synthetic for e, _ in entries), version,
    )  # fmt: skip


def _withheld(enpi: Enpi, energy: EnergyTotal, made: float) -> WithheldCode | None:
    if enpi.not_accepted:
        return WithheldCode.POINT_NOT_ACCEPTED
    if energy.withheld is not None:
        return energy.withheld
    if energy.coverage < enpi.coverage_limit:
        return WithheldCode.COVERAGE_LOW
    return WithheldCode.OUTPUT_ZERO if made == 0 else None
