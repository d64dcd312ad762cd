"""What can be exported of a site: each dataset's columns, statement, order and right to see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dashboards.portal.exports.columns import Column, column

__all__ = ["DATASETS", "Dataset"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A table that can be had whole or page by page.

    Attributes
    ----------
    code
        Its name in addresses.
    names
        In Chinese and English.
    columns
        As ``name:kind:unit``, in the order of what ``query`` selects.
    query
        Selects from tables that a reader may read, of site ``%(site)s``, with a condition on the
        period in place of ``{period}`` and on what else was asked for in place of ``{wanted}``.
    key
        Expressions that tell rows apart and order them; none is NULL.
    period
        The condition, of days ``%(first)s`` and ``%(end)s`` or instants ``%(since)s`` and
        ``%(until)s``; not set without a period.
    wanted
        Parameters of the address and the condition each one sets.
    unverified, synthetic
        Whether a row rests on a factor or price that nobody checked, or on made-up data.
    required
        Parameters without which there is nothing to export.
    """

    code: str
    names: tuple[str, str]
    columns: Sequence[str]
    query: str
    key: Sequence[str]
    period: str = "true"
    wanted: Mapping[str, str] = field(default_factory=dict)
    unverified: str = "false"
    synthetic: str = "false"
    permission: str = "see"
    required: Sequence[str] = ()

    def described(self) -> list[Column]:
        """Return the columns."""
        return [column(text) for text in self.columns]


_NAMED: Final = (
    " JOIN LATERAL (SELECT name_zh, name_en FROM point_record r WHERE r.point_id = p.point_id"
    " AND r.superseded_commit_no IS NULL ORDER BY r.valid_from DESC LIMIT 1) n ON true"
)
_OF_DAYS: Final = "x.period_from >= %(first)s AND x.period_from < %(end)s"

DATASETS: Final = {
    d.code: d
    for d in (
        Dataset(
            code="energy", names=("分时段用量", "Energy by period"),
            columns=(
                "point", "point_name_zh", "point_name_en", "quantity", "channel", "period",
                "period_from:date", "period_to:date", "amount:number", "unit",
                "estimated_share:number", "coverage:number", "distribution_coverage:number",
                "reporting_completeness:number", "simulated:flag", "withheld_code",
                "data_version:integer",
            ),
            query="SELECT p.code, n.name_zh, n.name_en, x.quantity, x.channel, x.period_kind,"
            " x.period_from, x.period_to, x.amount, x.unit, x.estimated_share, x.coverage,"
            " x.distribution_coverage, x.reporting_completeness, x.simulated, x.withheld_code,"
            f" x.data_version FROM energy_period x JOIN point p USING (point_id){_NAMED}"
            " WHERE x.site_id = %(site)s AND {period}{wanted}",
            key=("p.code", "x.quantity", "x.channel", "x.period_kind", "x.period_from"),
            period=_OF_DAYS, wanted={"meter": "p.code", "kind": "x.period_kind"},
            synthetic="x.simulated",
        ),
        Dataset(
            code="enpi", names=("能效指标", "Energy performance"),
            columns=(
                "enpi", "period", "period_from:date", "period_to:date", "shift", "energy:number",
                "energy_unit", "output:number", "output_unit", "intensity:number",
                "base_intensity:number", "target_intensity:number", "progress_ratio:number",
                "cumulative_progress:number", "status", "withheld_code", "provisional:flag",
                "coverage:number", "output_coverage:number", "reporting_completeness:number",
                "estimated_share:number", "synthetic_energy:flag", "synthetic_output:flag",
                "factor_verified:flag", "data_version:integer",
            ),
            query="SELECT e.code, x.period_kind, x.period_from, x.period_to, x.shift, x.energy,"
            " x.energy_unit, x.output, x.output_unit, x.intensity, x.base_intensity,"
            " x.target_intensity, x.progress_ratio, x.cumulative_progress, x.status,"
            " x.withheld_code, x.provisional, x.coverage, x.output_coverage,"
            " x.reporting_completeness, x.estimated_share, x.synthetic_energy, x.synthetic_output,"
            " x.factor_verified, x.data_version FROM enpi_period x JOIN enpi e USING (enpi_id)"
            " WHERE x.site_id = %(site)s AND {period}{wanted}",
            key=("e.code", "x.period_kind", "x.period_from", "x.period_to", "x.shift"),
            period=_OF_DAYS, wanted={"indicator": "e.code", "kind": "x.period_kind"},
            unverified="NOT x.factor_verified",
            synthetic="x.synthetic_energy OR x.synthetic_output",
        ),
        Dataset(
            code="output", names=("产量", "Output"),
            columns=(
                "product", "line", "lot", "stage", "disposition", "quantity:exact", "unit",
                "from:time", "to:time", "source", "synthetic:flag", "version:integer", "author",
                "reason", "recorded_at:time",
            ),
            query="SELECT d.code, x.line, x.lot, x.stage, x.disposition, x.quantity, d.unit,"
            " x.from_ts, x.to_ts, x.source, x.synthetic, x.version, x.author, x.reason,"
            " x.recorded_at FROM output x JOIN product d USING (product_id)"
            " WHERE x.site_id = %(site)s AND x.superseded_commit_no IS NULL AND {period}{wanted}",
            key=("d.code", "x.from_ts", "x.output_id"),
            period="x.from_ts >= %(since)s AND x.from_ts < %(until)s",
            wanted={"product": "d.code"}, synthetic="x.synthetic", permission="see_trade_secrets",
        ),
        Dataset(
            code="cost", names=("电费逐行", "Cost line by line"),
            columns=(
                "account", "medium", "period", "period_from:date", "period_to:date",
                "line_no:integer", "kind", "code", "quantity:exact", "unit", "price_yuan:exact",
                "amount_yuan:exact", "bill_yuan:exact", "withheld_code", "provisional:flag",
                "tariff_verified:flag", "simulated:flag", "data_version:integer",
            ),
            query="SELECT coalesce(a.code, ''), x.medium, x.period_kind, x.period_from,"
            " x.period_to, coalesce(l.no, 0), l.line->>'kind', l.line->>'code',"
            " (l.line->>'quantity')::numeric, coalesce(l.line->>'unit', x.unit),"
            " (l.line->>'price_yuan')::numeric, (l.line->>'amount_yuan')::numeric, x.cost_yuan,"
            " coalesce(x.withheld_code, l.line->>'withheld'), x.provisional, x.tariff_verified,"
            " x.simulated, x.data_version FROM cost_period x LEFT JOIN account a USING (account_id)"
            " LEFT JOIN LATERAL jsonb_array_elements(coalesce(x.lines, '[]'))"
            "  WITH ORDINALITY AS l(line, no) ON true"
            " WHERE x.site_id = %(site)s AND x.band = 'total' AND x.period_kind <> 'day'"
            " AND {period}{wanted}",
            key=("coalesce(a.code, '')", "x.medium", "x.period_kind", "x.period_from",
                 "coalesce(l.no, 0)"),
            period=_OF_DAYS, wanted={"account": "a.code", "kind": "x.period_kind"},
            unverified="NOT x.tariff_verified", synthetic="x.simulated",
            permission="see_trade_secrets",
        ),
        Dataset(
            code="waste", names=("浪费线索", "Waste findings"),
            columns=(
                "point", "point_name_zh", "point_name_en", "kind", "subject", "first_seen:time",
                "measured_from:time", "measured_to:time", "standing:flag", "amount:number", "unit",
                "withheld_code", "tce:number", "yuan:exact", "amount_a_year:number",
                "tce_a_year:number", "yuan_a_year:exact", "state", "decided_by", "decided_reason",
                "simulated:flag", "verified:flag", "data_version:integer",
            ),
            query="SELECT p.code, n.name_zh, n.name_en, x.kind, x.subject, x.first_seen,"
            " x.measured_from, x.measured_to, x.standing, x.amount, x.unit, x.withheld_code,"
            " x.tce, x.yuan, x.amount_a_year, x.tce_a_year, x.yuan_a_year,"
            " coalesce(d.state, 'open'), d.author, d.reason, x.simulated, x.verified,"
            f" x.data_version FROM waste_finding x JOIN point p USING (point_id){_NAMED}"
            " LEFT JOIN waste_decision d ON d.waste_id = x.waste_id"
            "  AND d.superseded_commit_no IS NULL"
            " WHERE x.site_id = %(site)s AND x.withdrawn_version IS NULL AND {period}{wanted}",
            key=("x.first_seen", "x.waste_id"),
            period="x.measured_to > %(since)s AND x.measured_from < %(until)s",
            wanted={"state": "coalesce(d.state, 'open')", "meter": "p.code"},
            unverified="NOT x.verified", synthetic="x.simulated",
        ),
        Dataset(
            code="findings", names=("数据判断", "Data findings"),
            columns=("at:time", "to:time", "code", "severity", "point", "quantity", "channel",
                     "evidence", "data_version:integer"),
            query="SELECT x.at_ts, x.to_ts, x.code, x.severity, p.code, s.quantity, s.channel,"
            " x.evidence::text, x.data_version FROM finding x LEFT JOIN point p USING (point_id)"
            " LEFT JOIN series s ON s.series_id = x.series_id"
            " WHERE x.site_id = %(site)s AND x.withdrawn_version IS NULL AND {period}{wanted}",
            key=("x.at_ts", "x.finding_id"),
            period="x.at_ts < %(until)s AND coalesce(x.to_ts, x.at_ts) >= %(since)s",
            wanted={"code": "x.code", "meter": "p.code"},
        ),
        Dataset(
            code="readings", names=("原始读数", "Raw readings"),
            columns=("time:time", "raw_int:integer", "raw_real:number", "value:number", "unit",
                     "quality:integer", "late_ms:integer", "batch:integer", "retracted:flag"),
            query="SELECT x.ts, x.raw_int, x.raw_real,"
            " CASE WHEN e.counter_kind IS NULL THEN coalesce(x.raw_int, x.raw_real)"
            '  * e.scale::double precision + e."offset"::double precision END,'
            " CASE WHEN e.counter_kind IS NULL THEN e.unit END, x.quality, x.late_ms, x.batch,"
            " EXISTS (SELECT 1 FROM retracted_batch t"
            "  WHERE x.batch BETWEEN t.from_batch AND t.to_batch)"
            " FROM visible_reading x LEFT JOIN current_epoch e ON e.series_id = x.series_id"
            "  AND x.ts >= e.valid_from AND (e.valid_to IS NULL OR x.ts < e.valid_to)"
            " WHERE x.series_id = (SELECT s.series_id FROM series s"
            "  WHERE s.site_id = %(site)s AND s.series_id = %(series)s) AND {period}{wanted}",
            key=("x.ts", "x.batch"),
            period="x.ts >= %(since)s AND x.ts < %(until)s", permission="see_trade_secrets",
            required=("series", "t"),
        ),
    )
}  # fmt: skip
