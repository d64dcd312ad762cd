"""A month before it is signed: figures, ledger, invoices, and what stands against it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from dashboards.portal.answers import Answer, last_answer
from dashboards.portal.pages.closing.ledger import LedgerRow, load_ledger
from dashboards.portal.period import Period, parse_period, period_of
from dashboards.portal.site import Site

__all__ = [
    "ClosingPage", "Difference", "MissingOutput", "MonthState", "OpenFinding", "PaidPeriod",
    "SignedFigure", "Step", "Totals", "load_closing",
]  # fmt: skip

_MONTHS = 13


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did about the month; each row is hashed with the one before."""

    version: int
    action: str
    author: str
    reason: str
    self_approved: bool
    at: dt.datetime
    data_version: int
    code_version: str
    sha256: str


class MonthState(msgspec.Struct, frozen=True, kw_only=True):
    """The last word about a month."""

    period_from: dt.date
    period_to: dt.date
    action: str | None  # None: nothing was done yet
    version: int | None
    author: str | None


class SignedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """An EnPI of the month, as it would be signed."""

    code: str
    name_zh: str
    name_en: str
    intensity: float | None
    target_intensity: float | None
    energy: float | None
    energy_unit: str
    output: float | None
    output_unit: str
    status: str
    coverage: float | None
    output_coverage: float | None
    estimated_share: float | None
    factor_verified: bool
    synthetic: bool
    withheld_code: str | None


class PaidPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """A utility account's bill beside its invoice, in yuan."""

    account: str
    account_zh: str
    account_en: str
    period_from: dt.date
    period_to: dt.date
    computed_yuan: float | None
    withheld_code: str | None
    invoice: str | None
    invoiced_yuan: float | None
    synthetic: bool | None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Metered, invoiced and declared side by side (F27)."""

    medium: str
    unit: str
    metered: float | None
    bought: float | None
    invoiced: float | None
    declared: float | None
    invoiced_share: float | None
    declared_share: float | None
    invoices_missing: list[str]


class MissingOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Days of an EnPI with energy and without output."""

    code: str
    name_zh: str
    name_en: str
    days: list[dt.date]


class OpenFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that the signature would cover."""

    finding_id: int
    code: str
    severity: str
    at: dt.datetime
    point_zh: str | None
    point_en: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What later data would make of a signed figure; it waits for a decision."""

    difference_id: int
    kind: str
    figure_key: dict[str, Any]
    closed: dict[str, Any]
    computed: dict[str, Any] | None
    causes: Any
    state: str
    found_at: dt.datetime


class ClosingPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page of one month."""

    site: Site
    month: Period
    period_from: dt.date  # of the site's reporting calendar
    period_to: dt.date
    state: MonthState
    months: list[MonthState]
    steps: list[Step]
    figures: list[SignedFigure]
    ledger: list[LedgerRow]
    ledger_unit: str
    paid: list[PaidPeriod]
    totals: list[Totals]
    missing: list[MissingOutput]
    findings: list[OpenFinding]
    differences: list[Difference]
    over: bool
    checked: Answer | None = None  # the last check that somebody asked for
    misread: str | None = None

    @property
    def blocking(self) -> int:
        """How many things stand against signing, as far as the page knows."""
        withheld = sum(
            f.withheld_code is not None and not f.withheld_code.startswith("base")
            for f in self.figures
        )
        return (
            withheld
            + len(self.missing)
            + sum(f.severity == "fault" for f in self.findings)
            + (not self.over)
        )


def load_closing(connection: psycopg.Connection[Any], site: Site, asked: str | None) -> ClosingPage:
    """Read the month in the address; by default the oldest that is over and not signed."""
    period = parse_period(asked, site.today)
    months = _months(connection, site)
    if period is not None:
        wanted = period_of("month", period.first)
    else:
        over = [m for m in months if m.period_to <= site.today]
        signed = max((m.period_to for m in over if m.action == "closed"), default=None)
        # The next after the last signed one; a plant that never signed begins with its last.
        after = [m for m in over if signed is not None and m.period_from >= signed]
        first = next(iter(after), over[-1] if over else None)
        day = site.today if first is None else first.period_to - dt.timedelta(days=1)
        wanted = period_of("month", day)
    state = next(
        (m for m in months if period_of("month", m.period_to - dt.timedelta(days=1)) == wanted),
        MonthState(period_from=wanted.first, period_to=wanted.end, action=None, version=None,
                   author=None),
    )  # fmt: skip
    first_day, end = state.period_from, state.period_to
    ledger, unit = load_ledger(connection, site, first_day, end)
    return ClosingPage(
        site=site, month=wanted, period_from=first_day, period_to=end, state=state, months=months,
        steps=_steps(connection, site, first_day), figures=_figures(connection, site, first_day),
        ledger=ledger, ledger_unit=unit, paid=_paid(connection, site, wanted),
        totals=_totals(connection, site, first_day),
        missing=_missing(connection, site, first_day, end),
        findings=_findings(connection, site, first_day, end),
        differences=_differences(connection, site, first_day), over=end <= site.today,
        checked=last_answer(
            connection, site.site_id, "closing.check",
            {"kind": "month", "day": (end - dt.timedelta(days=1)).isoformat()},
        ),
        misread=asked[:40] if asked and period is None else None,
    )  # fmt: skip


def _months(connection: psycopg.Connection[Any], site: Site) -> list[MonthState]:
    """Return the last months that have figures, the oldest first, with what was done."""
    rows = (
        connection.cursor(row_factory=class_row(MonthState))
        .execute(
            "SELECT m.period_from, coalesce(s.period_to, (SELECT max(period_to) FROM enpi_period e"
            "  WHERE e.site_id = %(site)s AND e.period_kind = 'month'"
            "  AND e.period_from = m.period_from)) AS period_to, s.action, s.version, s.author"
            " FROM (SELECT DISTINCT period_from FROM enpi_period WHERE site_id = %(site)s"
            "  AND period_kind = 'month' ORDER BY period_from DESC LIMIT %(most)s) m"
            " LEFT JOIN period_state s ON s.site_id = %(site)s AND s.kind = 'month'"
            "  AND s.period_from = m.period_from ORDER BY m.period_from",
            {"site": site.site_id, "most": _MONTHS},
        )
        .fetchall()
    )
    # A running month's figures end today; its last day is its calendar's.
    return [
        msgspec.structs.replace(m, period_to=_after(m.period_from))
        if m.period_to < _after(m.period_from)
        else m
        for m in rows
    ]


def _after(first: dt.date) -> dt.date:
    """Return where a month that begins on a day ends: the same day of the next one."""
    return (first.replace(day=1) + dt.timedelta(days=32)).replace(day=first.day)


def _steps(connection: psycopg.Connection[Any], site: Site, first: dt.date) -> list[Step]:
    return (
        connection.cursor(row_factory=class_row(Step))
        .execute(
            "SELECT version, action, author, reason, self_approved, recorded_at AS at,"
            " data_version, code_version, encode(sha256, 'hex') AS sha256 FROM visible_closing"
            " WHERE site_id = %s AND kind = 'month' AND period_from = %s ORDER BY closing_id",
            (site.site_id, first),
        )
        .fetchall()
    )


def _figures(connection: psycopg.Connection[Any], site: Site, first: dt.date) -> list[SignedFigure]:
    return (
        connection.cursor(row_factory=class_row(SignedFigure))
        .execute(
            "SELECT e.code, r.name_zh, r.name_en, f.intensity, f.target_intensity, f.energy,"
            " f.energy_unit, f.output, f.output_unit, f.status, f.coverage, f.output_coverage,"
            " f.estimated_share, f.factor_verified,"
            " f.synthetic_energy OR f.synthetic_output AS synthetic, f.withheld_code"
            " FROM enpi_period f JOIN enpi e USING (enpi_id) JOIN LATERAL"
            " (SELECT * FROM enpi_record r WHERE r.enpi_id = e.enpi_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE f.site_id = %s AND f.period_kind = 'month' AND f.period_from = %s"
            " ORDER BY e.enpi_id",
            (site.site_id, first),
        )
        .fetchall()
    )


def _paid(connection: psycopg.Connection[Any], site: Site, month: Period) -> list[PaidPeriod]:
    return (
        connection.cursor(row_factory=class_row(PaidPeriod))
        .execute(
            "SELECT a.code AS account, r.name_zh AS account_zh, r.name_en AS account_en,"
            " c.period_from, c.period_to, c.cost_yuan::double precision AS computed_yuan,"
            " c.withheld_code, i.number AS invoice,"
            " i.total_yuan::double precision AS invoiced_yuan, i.synthetic"
            " FROM cost_period c JOIN account a USING (account_id) JOIN LATERAL"
            " (SELECT * FROM account_record r WHERE r.account_id = a.account_id"
            "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " LEFT JOIN LATERAL (SELECT * FROM invoice i WHERE i.account_id = a.account_id"
            "  AND i.superseded_commit_no IS NULL"
            "  AND i.from_ts >= c.period_from - interval '1 day'"
            "  AND i.to_ts <= c.period_to + interval '1 day'"
            "  ORDER BY i.recorded_at DESC LIMIT 1) i ON true"
            " WHERE c.site_id = %s AND c.period_kind = 'billing' AND c.band = 'total'"
            " AND c.period_to > %s AND c.period_to <= %s ORDER BY a.code",
            (site.site_id, month.first + dt.timedelta(days=1), month.end + dt.timedelta(days=1)),
        )
        .fetchall()
    )


def _totals(connection: psycopg.Connection[Any], site: Site, first: dt.date) -> list[Totals]:
    return (
        connection.cursor(row_factory=class_row(Totals))
        .execute(
            "SELECT medium, unit, metered, metered_bought AS bought, invoiced, declared,"
            " invoiced_share, declared_share, invoices_missing FROM reconciliation_period"
            " WHERE site_id = %s AND period_from = %s AND period_kind = 'month' ORDER BY medium",
            (site.site_id, first),
        )
        .fetchall()
    )


def _missing(
    connection: psycopg.Connection[Any], site: Site, first: dt.date, end: dt.date
) -> list[MissingOutput]:
    rows = connection.execute(
        "SELECT e.code, r.name_zh, r.name_en, array_agg(f.period_from ORDER BY f.period_from)"
        " FROM enpi_period f JOIN enpi e USING (enpi_id) JOIN LATERAL"
        " (SELECT * FROM enpi_record r WHERE r.enpi_id = e.enpi_id"
        "  AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) r ON true"
        " WHERE f.site_id = %s AND f.period_kind = 'day' AND f.period_from >= %s"
        " AND f.period_from < %s AND f.withheld_code IN ('output_missing', 'output_coverage_low')"
        " AND f.period_to <= %s GROUP BY e.enpi_id, e.code, r.name_zh, r.name_en"
        " ORDER BY e.enpi_id",
        (site.site_id, first, end, site.today),
    ).fetchall()
    return [MissingOutput(code=c, name_zh=zh, name_en=en, days=days) for c, zh, en, days in rows]


def _findings(
    connection: psycopg.Connection[Any], site: Site, first: dt.date, end: dt.date
) -> list[OpenFinding]:
    return (
        connection.cursor(row_factory=class_row(OpenFinding))
        .execute(
            "SELECT f.finding_id, f.code, f.severity, f.at_ts AS at, r.name_zh AS point_zh,"
            " r.name_en AS point_en FROM finding f LEFT JOIN LATERAL (SELECT * FROM point_record r"
            "  WHERE r.point_id = f.point_id AND r.superseded_commit_no IS NULL"
            "  ORDER BY r.valid_from DESC LIMIT 1) r ON true"
            " WHERE f.site_id = %s AND f.withdrawn_version IS NULL AND f.severity <> 'note'"
            " AND f.at_ts < %s AND coalesce(f.to_ts, f.at_ts) >= %s"
            " ORDER BY f.severity, f.at_ts, f.finding_id",
            (site.site_id, site.midnight(end), site.midnight(first)),
        )
        .fetchall()
    )


def _differences(
    connection: psycopg.Connection[Any], site: Site, first: dt.date
) -> list[Difference]:
    return (
        connection.cursor(row_factory=class_row(Difference))
        .execute(
            "SELECT d.difference_id, d.kind, d.figure_key, d.closed, d.computed, d.causes, d.state,"
            " d.found_at FROM pending_difference d JOIN visible_closing c USING (closing_id)"
            " WHERE d.site_id = %s AND d.state = 'pending' AND c.period_from = %s"
            " ORDER BY d.difference_id",
            (site.site_id, first),
        )
        .fetchall()
    )
