"""What every query of the boards is made of: the chosen site, its meters, its variables.

Queries name only what the reader role may read, and begin at ``chosen``, which holds the site only
if the role is granted it. They filter ``ts`` or the period's column directly, so that chunks are
left out, and sum raw advances before they multiply by the scale (D18, D19). Days and months are the
site's. ``{name}`` stands for the language's column of a name.
"""

from __future__ import annotations

from typing import Final

from enpilot.quantities import QUANTITIES

__all__ = [
    "ACCOUNTS",
    "BOUNDARY_METERS",
    "CHOSEN",
    "ENPIS",
    "FROM_DAY",
    "LABEL",
    "POINTS",
    "POINT_NAME",
    "SITES",
    "UNTIL_DAY",
    "UNTIL_MONTH",
    "UNTIL_YEAR",
    "per_unit",
]


def per_unit(quantity: str, column: str) -> str:
    """Return SQL for the number of a quantity's own unit in one of a unit that a column names."""
    cases = " ".join(
        f"WHEN '{unit}' THEN {ratio.numerator}::numeric / {ratio.denominator}"
        for unit, ratio in QUANTITIES[quantity].units.items()
    )
    return f"CASE {column} {cases} END"


SITES: Final = "SELECT code FROM site JOIN granted_site USING (site_id) ORDER BY code"

CHOSEN: Final = """\
WITH chosen AS (
    SELECT s.site_id, r.timezone, r.demonstration_zh, r.demonstration_en,
           ($__timeFrom()::timestamptz AT TIME ZONE r.timezone)::date AS from_day,
           ($__timeTo()::timestamptz AT TIME ZONE r.timezone)::date AS to_day,
           (now() AT TIME ZONE r.timezone)::date AS today
    FROM site s JOIN granted_site USING (site_id)
    JOIN site_record r ON r.site_id = s.site_id AND r.superseded_commit_no IS NULL
        AND r.valid_from <= now() AND (r.valid_to IS NULL OR r.valid_to > now())
    WHERE s.code = ${site:sqlstring})"""

# For a point p: what it is called now.
POINT_NAME: Final = """\
LEFT JOIN point_record r ON r.point_id = p.point_id AND r.superseded_commit_no IS NULL
    AND r.valid_from <= now() AND (r.valid_to IS NULL OR r.valid_to > now())"""

# Electricity that enters the site, in the columns of `series`.
BOUNDARY_METERS: Final = """\
    SELECT s.series_id, s.quantity FROM chosen c JOIN series s USING (site_id)
    JOIN point p USING (point_id)
    JOIN point_record r ON r.point_id = p.point_id AND r.superseded_commit_no IS NULL
        AND r.valid_from < $__timeTo()::timestamptz
        AND (r.valid_to IS NULL OR r.valid_to > $__timeFrom()::timestamptz)
    WHERE s.channel = 'total' AND p.medium = 'electricity' AND r.role = 'boundary'
      AND r.direction = 'import'"""

ENPIS: Final = """\
SELECT e.code FROM enpi e JOIN site s USING (site_id) JOIN granted_site USING (site_id)
WHERE s.code = ${site:sqlstring} ORDER BY e.code"""

POINTS: Final = """\
SELECT p.code FROM point p JOIN site s USING (site_id) JOIN granted_site USING (site_id)
WHERE s.code = ${site:sqlstring} ORDER BY p.code"""

ACCOUNTS: Final = """\
SELECT a.code FROM account a JOIN site s USING (site_id) JOIN granted_site USING (site_id)
WHERE s.code = ${site:sqlstring} ORDER BY a.code"""

# The last day of the shown span that has figures, as addresses of the portal write it: taken from
# the database, because Grafana writes dates in the browser's zone (grafana/grafana#106452).
_UNTIL = """
SELECT to_char(least(c.to_day, coalesce((d.data_through AT TIME ZONE c.timezone)::date, c.to_day)),
               '%s')
FROM chosen c LEFT JOIN computation d USING (site_id)"""
UNTIL_DAY: Final = CHOSEN + _UNTIL % "YYYY-MM-DD"
UNTIL_MONTH: Final = CHOSEN + _UNTIL % "YYYY-MM"
UNTIL_YEAR: Final = CHOSEN + _UNTIL % "YYYY"
FROM_DAY: Final = CHOSEN + "\nSELECT to_char(from_day, 'YYYY-MM-DD') FROM chosen"

LABEL: Final = CHOSEN + "\nSELECT demonstration_{language} AS label FROM chosen"
