"""A meter's tariff registers against its total: they count the same energy twice (F27, F31).

A register read at a wrong address, or a meter that was set to another tariff, shows here first.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any, Final

import psycopg

from analytics.accounting.site_calendar import midnight
from analytics.accounting.site_facts import SiteFacts
from analytics.intervals.finding_rows import FindingRow, keep_findings
from enpilot.quantities import tariff_base

__all__ = ["check_tariff_registers"]

_CODE: Final = "tariff_registers_differ"
# Registers are read one after the other and show whole steps.
_RELATIVE: Final = 0.005
_LEAST: Final = 1.0  # [unit of the quantity]


def check_tariff_registers(
    connection: psycopg.Connection[Any],
    facts: SiteFacts,
    since: dt.date,
    until: dt.date,
    version: int,
) -> int:
    """Compare the days of tariff registers with their total; write what differs as findings.

    Parameters
    ----------
    connection
        In the site's transaction, after its days were written.
    facts
        Of the site.
    since, until
        Civil days [since, until), finished ones.
    version
        Data version that the findings name.

    Returns
    -------
    int
        Findings that hold now.
    """
    parts: dict[tuple[int, str, str, dt.date], dict[str, float | None]] = defaultdict(dict)
    totals: dict[tuple[int, str, str, dt.date], float] = {}
    if any(tariff_base(c.channel) for c in facts.counters):
        for point_id, quantity, channel, day, amount, coverage in connection.execute(
            "SELECT point_id, quantity, channel, period_from, amount, coverage FROM energy_period"
            " WHERE site_id = %s AND period_kind = 'day' AND period_from >= %s AND period_to <= %s",
            (facts.site_id, since, until),
        ):
            base = tariff_base(channel)
            if base is not None:
                known = amount if coverage == 1.0 else None
                parts[point_id, quantity, base, day][channel] = known
            elif amount is not None and coverage == 1.0:
                totals[point_id, quantity, channel, day] = amount
    found = []
    for key, registers in sorted(parts.items(), key=lambda item: (item[0][3], item[0][:3])):
        total = totals.get(key)
        amounts = [a for a in registers.values() if a is not None]
        if total is None or len(amounts) < len(registers):
            continue
        difference = sum(amounts) - total
        if abs(difference) > max(_LEAST, _RELATIVE * abs(total)):
            point_id, quantity, base, day = key
            found.append(
                FindingRow(
                    _CODE,
                    midnight(day, facts.zone),
                    midnight(day + dt.timedelta(days=1), facts.zone),
                    "warning",
                    {"quantity": quantity, "channel": base, "total": total,
                     "registers": dict(sorted(registers.items())), "difference": difference},
                    point_id,
                    subject=f"{quantity} {base}",
                )
            )  # fmt: skip
    span = (midnight(since, facts.zone), midnight(until, facts.zone))
    keep_findings(connection, facts.site_id, [_CODE], span, found, version)
    return len(found)
