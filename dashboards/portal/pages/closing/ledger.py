"""The energy ledger of a month in the layout of the statistical form (F13, F15).

A row a medium: what stood in store, what came in, what went out and for what, what was consumed,
its coefficient, and standard coal. What is metered comes from meters, the rest as it was entered.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg

from dashboards.portal.site import Site

__all__ = ["KINDS", "LedgerRow", "load_ledger"]

KINDS = (
    "opening", "purchase", "own_production", "transfer_in", "transfer_out", "sale", "feedstock",
    "non_industrial", "loss", "closing",
)  # fmt: skip


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One medium."""

    medium: str
    unit: str
    entered: dict[str, float]  # by kind [unit]
    bought: float | None  # as metered at the boundary [unit]
    consumed: float | None  # as it counts [unit]
    factor: float | None  # [energy unit per unit]
    factor_verified: bool
    energy: float | None  # [energy unit of the scheme]
    source: str  # metered, ledger, none
    withheld_code: str | None
    synthetic: bool


def load_ledger(
    connection: psycopg.Connection[Any], site: Site, first: dt.date, end: dt.date
) -> tuple[list[LedgerRow], str]:
    """Return the rows by the scheme that counts most media, and its energy unit."""
    entered: dict[tuple[str, str], dict[str, float]] = {}
    synthetic: set[str] = set()
    for medium, unit, kind, quantity, is_synthetic in connection.execute(
        "SELECT medium, unit, kind, sum(quantity)::double precision, bool_or(synthetic)"
        " FROM energy_ledger WHERE site_id = %s AND superseded_commit_no IS NULL"
        " AND from_ts >= %s AND to_ts <= %s GROUP BY medium, unit, kind",
        (site.site_id, site.midnight(first), site.midnight(end)),
    ):
        entered.setdefault((medium, unit), {})[kind] = quantity
        if is_synthetic:
            synthetic.add(medium)
    bought: dict[str, tuple[str, float | None]] = {
        medium: (unit, amount)
        for medium, unit, amount in connection.execute(
            "SELECT medium, unit, metered_bought FROM reconciliation_period WHERE site_id = %s"
            " AND period_from = %s AND period_kind = 'month'",
            (site.site_id, first),
        )
    }
    counted = connection.execute(
        "WITH widest AS (SELECT scheme_id FROM scheme_energy_period WHERE site_id = %(site)s"
        "  AND period_kind = 'month' AND period_from = %(first)s GROUP BY scheme_id"
        "  ORDER BY count(DISTINCT carrier) DESC, scheme_id LIMIT 1)"
        " SELECT carrier, max(quantity_unit), sum(quantity), max(factor),"
        "  bool_and(factor_verified), sum(energy), max(energy_unit), max(source),"
        "  max(withheld_code), bool_or(synthetic)"
        " FROM scheme_energy_period JOIN widest USING (scheme_id)"
        " WHERE period_kind = 'month' AND period_from = %(first)s GROUP BY carrier",
        {"site": site.site_id, "first": first},
    ).fetchall()
    unit_of_energy = next((str(row[6]) for row in counted), "kgce")
    by_medium = {row[0]: row for row in counted if row[0]}
    media = dict.fromkeys([*by_medium, *(m for m, _ in entered), *bought])
    rows = []
    for medium in media:
        row = by_medium.get(medium)
        unit = row[1] if row is not None and row[1] else None
        unit = unit or next((u for m, u in entered if m == medium), None)
        unit = unit or bought.get(medium, ("", None))[0]
        rows.append(
            LedgerRow(
                medium=medium, unit=unit, entered=entered.get((medium, unit), {}),
                bought=bought.get(medium, (unit, None))[1],
                consumed=None if row is None else row[2],
                factor=None if row is None else row[3],
                factor_verified=True if row is None else bool(row[4]),
                energy=None if row is None else row[5],
                source="none" if row is None else row[7],
                withheld_code=None if row is None else row[8],
                synthetic=medium in synthetic or bool(row is not None and row[9]),
            )
        )  # fmt: skip
    return rows, unit_of_energy
