"""What the plant file said: targets, factors, tariffs, and who changed what when."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.site import Site

__all__ = ["Change", "FactorRow", "SettingsPage", "TargetRow", "TariffRow", "load_settings"]

_CHANGES = 60
# Facts of a plant by what they are about: a table of records, and how its site is found.
_RECORDS = {
    "site": "site_record WHERE site_id = %(site)s",
    "point": "point_record JOIN point USING (point_id) WHERE site_id = %(site)s",
    "product": "product_record JOIN product USING (product_id) WHERE site_id = %(site)s",
    "scheme": "scheme_record JOIN scheme USING (scheme_id) WHERE site_id = %(site)s",
    "enpi": "enpi_record JOIN enpi USING (enpi_id) WHERE site_id = %(site)s",
    "target": "target JOIN enpi USING (enpi_id) WHERE site_id = %(site)s",
    "tariff": "tariff_record JOIN tariff USING (tariff_id) WHERE site_id = %(site)s",
    "account": "account_record JOIN account USING (account_id) WHERE site_id = %(site)s",
    "shift": "shift_record JOIN shift USING (shift_id) WHERE site_id = %(site)s",
    "area": "area_record JOIN area USING (area_id) WHERE site_id = %(site)s",
    "factor": "site_factor WHERE site_id = %(site)s",
    "calendar": "calendar_day WHERE site_id = %(site)s",
    "price": "medium_price WHERE site_id = %(site)s",
    "machine": "machine WHERE site_id = %(site)s",
    "retrofit": "retrofit_record JOIN retrofit USING (retrofit_id) WHERE site_id = %(site)s",
}


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A goal of an EnPI."""

    enpi: str
    name_zh: str
    name_en: str
    base_from: dt.date
    base_to: dt.date
    end_to: dt.date
    annual_rate: float | None
    end_value: float | None
    target_class: str
    authority: str
    document: str | None
    author: str
    recorded_at: dt.datetime


class FactorRow(msgspec.Struct, frozen=True, kw_only=True):
    """A coefficient in use."""

    kind: str
    standard: str
    edition: str
    medium: str
    basis: str
    value: float
    unit: str
    per_unit: str
    source: str
    verified: bool
    own: bool


class TariffRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tariff with when it holds."""

    code: str
    name_zh: str
    name_en: str
    source: str
    verified: bool
    since: dt.datetime
    until: dt.datetime | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one plant file changed."""

    commit_no: int
    at: dt.datetime
    author: str
    reason: str
    about: dict[str, int]  # facts written, by what they are about


class SettingsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    site: Site
    targets: list[TargetRow]
    factors: list[FactorRow]
    tariffs: list[TariffRow]
    changes: list[Change]


def load_settings(connection: psycopg.Connection[Any], site: Site) -> SettingsPage:
    """Read what holds now, and the last changes."""
    return SettingsPage(
        site=site, targets=_targets(connection, site), factors=_factors(connection, site),
        tariffs=_tariffs(connection, site), changes=_changes(connection, site),
    )  # fmt: skip


def _targets(connection: psycopg.Connection[Any], site: Site) -> list[TargetRow]:
    return (
        connection.cursor(row_factory=class_row(TargetRow))
        .execute(
            "SELECT e.code AS enpi, r.name_zh, r.name_en, t.base_from, t.base_to, t.end_to,"
            " t.annual_rate::double precision AS annual_rate,"
            " t.end_value::double precision AS end_value, t.target_class, t.authority, t.document,"
            " t.author, t.recorded_at FROM target t JOIN enpi e USING (enpi_id) JOIN LATERAL"
            " (SELECT * FROM enpi_record r WHERE r.enpi_id = e.enpi_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE e.site_id = %s AND t.superseded_commit_no IS NULL"
            " ORDER BY e.enpi_id, t.target_class",
            (site.site_id,),
        )
        .fetchall()
    )


def _factors(connection: psycopg.Connection[Any], site: Site) -> list[FactorRow]:
    """Return the coefficients of the media that the site's schemes name, its own first."""
    return (
        connection.cursor(row_factory=class_row(FactorRow))
        .execute(
            "SELECT kind, '' AS standard, '' AS edition, medium, basis,"
            " value::double precision AS value, unit, per_unit, source, true AS verified,"
            " true AS own FROM site_factor WHERE site_id = %(site)s"
            " AND superseded_commit_no IS NULL AND (valid_to IS NULL OR valid_to > now())"
            " UNION ALL SELECT f.kind, f.standard, f.edition, f.medium, f.basis,"
            " f.value::double precision, f.unit, f.per_unit, f.source, f.verified, false"
            " FROM factor f WHERE f.superseded_commit_no IS NULL AND f.kind = 'standard_coal'"
            " AND (f.valid_to IS NULL OR f.valid_to > now()) AND EXISTS"
            "  (SELECT FROM scheme_record r JOIN scheme s USING (scheme_id)"
            "   WHERE s.site_id = %(site)s AND r.superseded_commit_no IS NULL"
            "   AND f.standard = r.factor_standard AND f.edition = r.factor_edition"
            "   AND f.medium = ANY(r.media) AND (f.medium <> 'electricity'"
            "    OR f.basis = coalesce(r.electricity_basis, 'physical')))"
            " ORDER BY own DESC, medium, per_unit",
            {"site": site.site_id},
        )
        .fetchall()
    )


def _tariffs(connection: psycopg.Connection[Any], site: Site) -> list[TariffRow]:
    return (
        connection.cursor(row_factory=class_row(TariffRow))
        .execute(
            "SELECT t.code, r.name_zh, r.name_en, r.source, r.verified, r.valid_from AS since,"
            ' r.valid_to AS "until" FROM tariff t JOIN tariff_record r USING (tariff_id)'
            " WHERE t.site_id = %s AND r.superseded_commit_no IS NULL"
            " ORDER BY t.code, r.valid_from DESC",
            (site.site_id,),
        )
        .fetchall()
    )


def _changes(connection: psycopg.Connection[Any], site: Site) -> list[Change]:
    """Return the last plant files that changed something, the newest first."""
    parts = " UNION ALL ".join(
        f"SELECT '{about}' AS about, commit_no, author, reason, recorded_at FROM {source}"
        for about, source in _RECORDS.items()
    )
    rows = connection.execute(
        f"SELECT commit_no, min(recorded_at), min(author), min(reason),"
        f" jsonb_object_agg(about, facts) FROM (SELECT commit_no, about, count(*) AS facts,"
        f" min(recorded_at) AS recorded_at, min(author) AS author, min(reason) AS reason"
        f" FROM ({parts}) f GROUP BY commit_no, about) c GROUP BY commit_no"
        f" ORDER BY commit_no DESC LIMIT {_CHANGES}".encode(),
        {"site": site.site_id},
    ).fetchall()
    return [
        Change(commit_no=number, at=at, author=author, reason=reason, about=about)
        for number, at, author, reason, about in rows
    ]
