"""What every page shows of its site: names, indicators, how far the figures go."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from enpilot.text import Language

__all__ = ["Factor", "Indicator", "Site", "SiteLink", "first_site", "load_site"]


class SiteLink(msgspec.Struct, frozen=True, kw_only=True):
    """A site that can be opened."""

    code: str
    name_zh: str
    name_en: str


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion factor that the figures of an indicator use."""

    medium: str
    basis: str
    value: float  # [unit/per_unit]
    unit: str
    per_unit: str
    verified: bool


class Indicator(msgspec.Struct, frozen=True, kw_only=True):
    """An EnPI with its scheme, product and the limit below which it is withheld."""

    enpi_id: int
    code: str
    name_zh: str
    name_en: str
    scheme_zh: str
    scheme_en: str
    energy_unit: str
    factor_standard: str | None
    factor_edition: str | None
    electricity_basis: str | None
    media: list[str]
    product_zh: str
    product_en: str
    output_unit: str
    coverage_limit: float
    factors: list[Factor] = []

    def name(self, language: Language) -> str:
        """Return its name."""
        return self.name_zh if language == "zh" else self.name_en

    def scheme(self, language: Language) -> str:
        """Return what counts as energy."""
        return self.scheme_zh if language == "zh" else self.scheme_en

    def product(self, language: Language) -> str:
        """Return what it is related to."""
        return self.product_zh if language == "zh" else self.product_en


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A site as its pages see it."""

    site_id: int
    code: str
    name_zh: str
    name_en: str
    timezone: str
    demonstration_zh: str | None
    demonstration_en: str | None
    metered: bool  # some point has a series; else there are only entered figures
    data_version: int | None
    data_through: dt.datetime | None
    code_version: str | None
    now: dt.datetime
    sites: list[SiteLink] = []
    indicators: list[Indicator] = []

    def name(self, language: Language) -> str:
        """Return its name."""
        return self.name_zh if language == "zh" else self.name_en

    def demonstration(self, language: Language) -> str | None:
        """Return what is synthetic here, None if nothing is."""
        return self.demonstration_zh if language == "zh" else self.demonstration_en

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The site's time zone, in which days and months are cut."""
        return zoneinfo.ZoneInfo(self.timezone)

    @property
    def today(self) -> dt.date:
        """The running day at the site."""
        return self.now.astimezone(self.zone).date()

    def midnight(self, date: dt.date) -> dt.datetime:
        """Return the instant at which a day of the site begins."""
        return dt.datetime.combine(date, dt.time(0), self.zone)


_LATEST = (  # what holds now, else what held last: a plant that ended still has a name
    "JOIN LATERAL (SELECT * FROM {record} r WHERE r.{key} = t.{key}"
    " AND r.superseded_commit_no IS NULL AND r.valid_from <= now()"
    " ORDER BY r.valid_from DESC LIMIT 1) {alias} ON true"
)


def _latest(record: str, key: str, alias: str) -> str:
    return _LATEST.format(record=record, key=key, alias=alias)


def first_site(connection: psycopg.Connection[Any]) -> str | None:
    """Return the code of the site that ``/`` leads to, None if there is none yet."""
    row = connection.execute(
        f"SELECT t.code FROM site t {_latest('site_record', 'site_id', 's')}"
        " WHERE t.site_id IN (SELECT site_id FROM granted_site) ORDER BY t.site_id LIMIT 1"
    ).fetchone()
    return None if row is None else str(row[0])


def load_site(connection: psycopg.Connection[Any], code: str) -> Site | None:
    """Return a site that the reader may see, None if there is no such one."""
    site = (
        connection.cursor(row_factory=class_row(Site))
        .execute(
            "SELECT t.site_id, t.code, s.name_zh, s.name_en, s.timezone, s.demonstration_zh,"
            " s.demonstration_en, EXISTS (SELECT 1 FROM series x JOIN point p USING (point_id)"
            "  WHERE p.site_id = t.site_id) AS metered,"
            " c.data_version, c.data_through, c.code_version, now() AS now"
            f" FROM site t {_latest('site_record', 'site_id', 's')}"
            " LEFT JOIN computation c ON c.site_id = t.site_id"
            " WHERE t.code = %s AND t.site_id IN (SELECT site_id FROM granted_site)",
            (code,),
        )
        .fetchone()
    )
    if site is None:
        return None
    return msgspec.structs.replace(
        site, sites=_sites(connection), indicators=_indicators(connection, site.site_id)
    )


def _sites(connection: psycopg.Connection[Any]) -> list[SiteLink]:
    return (
        connection.cursor(row_factory=class_row(SiteLink))
        .execute(
            f"SELECT t.code, s.name_zh, s.name_en FROM site t"
            f" {_latest('site_record', 'site_id', 's')}"
            " WHERE t.site_id IN (SELECT site_id FROM granted_site) ORDER BY t.site_id"
        )
        .fetchall()
    )


def _indicators(connection: psycopg.Connection[Any], site_id: int) -> list[Indicator]:
    rows = (
        connection.cursor(row_factory=class_row(Indicator))
        .execute(
            "SELECT t.enpi_id, t.code, e.name_zh, e.name_en, s.name_zh AS scheme_zh,"
            " s.name_en AS scheme_en, s.energy_unit, s.factor_standard, s.factor_edition,"
            " s.electricity_basis, s.media,"
            " coalesce(p.name_zh, CASE e.kind WHEN 'value_added' THEN '工业增加值'"
            "  ELSE '多种产品' END) AS product_zh,"
            " coalesce(p.name_en, CASE e.kind WHEN 'value_added' THEN 'value added'"
            "  ELSE 'several products' END) AS product_en,"
            " coalesce(q.unit, CASE e.kind WHEN 'index' THEN s.energy_unit"
            "  WHEN 'value_added' THEN '10k_yuan' ELSE (SELECT unit FROM product"
            "  WHERE product_id = e.product_ids[1]) END) AS output_unit,"
            " e.coverage_limit::double precision AS coverage_limit"
            f" FROM enpi t {_latest('enpi_record', 'enpi_id', 'e')}"
            " JOIN LATERAL (SELECT * FROM scheme_record r WHERE r.scheme_id = e.scheme_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) s ON true"
            " LEFT JOIN LATERAL (SELECT * FROM product_record r WHERE r.product_id = e.product_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) p ON true"
            " LEFT JOIN product q ON q.product_id = e.product_id"
            " WHERE t.site_id = %s ORDER BY t.enpi_id",
            (site_id,),
        )
        .fetchall()
    )
    return [msgspec.structs.replace(row, factors=_factors(connection, row)) for row in rows]


def _factors(connection: psycopg.Connection[Any], indicator: Indicator) -> list[Factor]:
    if indicator.factor_standard is None:
        return []
    return (
        connection.cursor(row_factory=class_row(Factor))
        .execute(
            "SELECT medium, basis, value::double precision AS value, unit, per_unit, verified"
            " FROM factor WHERE kind = 'standard_coal' AND standard = %s AND edition = %s"
            " AND medium = ANY(%s) AND superseded_commit_no IS NULL"
            " AND (medium <> 'electricity' OR (basis = %s AND per_unit = 'kWh'))"
            " ORDER BY medium, basis, per_unit",
            (
                indicator.factor_standard, indicator.factor_edition, indicator.media,
                indicator.electricity_basis or "physical",
            ),
        )
        .fetchall()
    )  # fmt: skip
