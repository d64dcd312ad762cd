"""A month's output as a ledger: a row a day, a column a shift, and what each cell was before."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.period import Period, parse_period, period_of
from dashboards.portal.site import Site

__all__ = ["Cell", "Column", "Entry", "OutputPage", "Product", "load_output"]

_LONGEST_H = 26  # longer spans are entered by the month, not by the shift
_STAGES = ("qualified", "warehoused", "shipped", "counted")


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product that output is entered of."""

    code: str
    name_zh: str
    name_en: str
    unit: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one entry; the quantity is exact, as text."""

    line: str
    stage: str
    disposition: str
    quantity: str
    since: dt.datetime
    until: dt.datetime
    source: str
    synthetic: bool
    version: int
    author: str
    reason: str
    recorded_at: dt.datetime
    superseded: bool
    lot: str


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A shift of a line: the time of day from and to which its entries run."""

    line: str
    begin: str  # HH:MM, local
    end: str

    @property
    def key(self) -> str:
        """Names it in forms."""
        return f"{self.line}|{self.begin}|{self.end}"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What was made in one shift."""

    good: str | None
    scrap: str | None
    rework: str | None
    version: int
    synthetic: bool
    missing: bool  # the day is over, other days have it


class OutputPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    month: Period
    products: list[Product]
    product: Product | None
    stage: str
    stages: list[str]
    days: list[dt.date]
    columns: list[Column]
    cells: dict[str, Cell]  # by "2026-11-03|line|00:00|08:00"
    long: list[Entry]  # entries of spans longer than a day
    good_total: str | None
    scrap_total: str | None
    missing: int
    history: list[Entry]  # of the cell asked for
    cell: str | None
    closed: bool  # the month was signed
    edit: bool
    digits: int = 0  # after the point, as the most exact entry has them
    misread: str | None = None


def load_output(
    connection: psycopg.Connection[Any],
    site: Site,
    asked: str | None,
    product: str | None,
    stage: str | None,
    cell: str | None,
    *,
    edit: bool,
) -> OutputPage | None:
    """Read a product's month, by default the running one of the first product."""
    products = (
        connection.cursor(row_factory=class_row(Product))
        .execute(
            "SELECT p.code, r.name_zh, r.name_en, p.unit FROM product p JOIN LATERAL"
            " (SELECT * FROM product_record r WHERE r.product_id = p.product_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE p.site_id = %s ORDER BY p.product_id",
            (site.site_id,),
        )
        .fetchall()
    )
    chosen = next((p for p in products if p.code == product), None)
    if product is not None and chosen is None:
        return None
    chosen = chosen or next(iter(products), None)
    period = parse_period(asked, site.today)
    if chosen is None:
        month = period_of("month", site.today if period is None else period.first)
    else:
        month = period_of(
            "month",
            _last_day(connection, site, chosen) if period is None else period.first,
        )
    entries = [] if chosen is None else _entries(connection, site, chosen, month)
    used = Counter(e.stage for e in entries)
    shown = stage if stage in _STAGES else next((s for s in _STAGES if used[s]), _STAGES[0])
    current = [e for e in entries if not e.superseded and e.stage == shown]
    short = [e for e in current if e.until - e.since <= dt.timedelta(hours=_LONGEST_H)]
    columns = _columns(short, site)
    days = [month.first + dt.timedelta(days=i) for i in range(month.days)]
    cells = _cells(short, columns, days, site)
    closed = connection.execute(
        "SELECT EXISTS (SELECT FROM period_state WHERE site_id = %s AND kind = 'month'"
        " AND action = 'closed' AND period_from < %s AND period_to > %s)",
        (site.site_id, month.end, month.first),
    ).fetchone()
    return OutputPage(
        site=site, month=month, products=products, product=chosen, stage=shown,
        stages=[s for s in _STAGES if used[s]], days=days, columns=columns, cells=cells,
        long=[e for e in current if e.until - e.since > dt.timedelta(hours=_LONGEST_H)],
        good_total=_total(current, "good"), scrap_total=_total(current, "scrap"),
        missing=sum(c.missing for c in cells.values()),
        history=[] if cell is None else [e for e in entries if _key(e, site) == cell],
        digits=max((-int(Decimal(e.quantity).as_tuple().exponent) for e in short), default=0),
        cell=cell, closed=bool(closed and closed[0]), edit=edit,
        misread=asked[:40] if asked and period is None else None,
    )  # fmt: skip


def _last_day(connection: psycopg.Connection[Any], site: Site, product: Product) -> dt.date:
    row = connection.execute(
        "SELECT max(o.to_ts) FROM output o JOIN product p USING (product_id)"
        " WHERE p.site_id = %s AND p.code = %s AND o.superseded_commit_no IS NULL",
        (site.site_id, product.code),
    ).fetchone()
    if row is None or row[0] is None:
        return site.today
    last: dt.datetime = row[0] - dt.timedelta(seconds=1)
    return last.astimezone(site.zone).date()


def _entries(
    connection: psycopg.Connection[Any], site: Site, product: Product, month: Period
) -> list[Entry]:
    return (
        connection.cursor(row_factory=class_row(Entry))
        .execute(
            "SELECT o.line, o.stage, o.disposition, trim_scale(o.quantity)::text AS quantity,"
            ' o.from_ts AS since, o.to_ts AS "until", o.source, o.synthetic, o.version, o.author,'
            " o.reason, o.recorded_at, o.superseded_commit_no IS NOT NULL AS superseded, o.lot"
            " FROM output o JOIN product p USING (product_id) WHERE p.site_id = %s AND p.code = %s"
            " AND o.from_ts < %s AND o.to_ts > %s ORDER BY o.from_ts, o.line, o.version",
            (site.site_id, product.code, site.midnight(month.end), site.midnight(month.first)),
        )
        .fetchall()
    )


def _column(entry: Entry, site: Site) -> Column:
    begin, end = entry.since.astimezone(site.zone), entry.until.astimezone(site.zone)
    return Column(line=entry.line, begin=f"{begin:%H:%M}", end=f"{end:%H:%M}")


def _columns(entries: list[Entry], site: Site) -> list[Column]:
    """Return the shifts that entries are made of, in the order of the day."""
    found = {_column(e, site).key: _column(e, site) for e in entries}
    return sorted(found.values(), key=lambda c: (c.line, c.begin, c.end))


def _key(entry: Entry, site: Site) -> str:
    day = entry.since.astimezone(site.zone).date()
    return f"{day.isoformat()}|{_column(entry, site).key}"


def _cells(
    entries: list[Entry], columns: list[Column], days: list[dt.date], site: Site
) -> dict[str, Cell]:
    of_cell: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        of_cell.setdefault(_key(entry, site), {})[entry.disposition] = entry
    cells = {}
    for day in days:
        for column in columns:
            key = f"{day.isoformat()}|{column.key}"
            known = of_cell.get(key, {})
            good = known.get("good")
            cells[key] = Cell(
                good=None if good is None else good.quantity,
                scrap=known["scrap"].quantity if "scrap" in known else None,
                rework=known["rework"].quantity if "rework" in known else None,
                version=max((e.version for e in known.values()), default=0),
                synthetic=any(e.synthetic for e in known.values()),
                missing=good is None and day < site.today,
            )
    return cells


def _total(entries: list[Entry], disposition: str) -> str | None:
    quantities = [e.quantity for e in entries if e.disposition == disposition]
    if not quantities:
        return None
    total = sum((Decimal(q) for q in quantities), Decimal(0))
    return str(total)
