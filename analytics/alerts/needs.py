"""What a site must have for a preset, and what is said where it has not (F38)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CURRENT", "NEEDS", "Need"]

# Of dated records: those that hold.
CURRENT: Final = (
    "superseded_commit_no IS NULL AND valid_from <= %(at)s"
    " AND (valid_to IS NULL OR %(at)s < valid_to)"
)


@dataclass(frozen=True, slots=True)
class Need:
    """A query that has a row where the site has it; without, the reason in both languages."""

    query: str
    without_zh: str
    without_en: str


NEEDS: Final[dict[str, Need]] = {
    "gateway": Need(
        "SELECT FROM agent WHERE site_id = %(site)s",
        "没有采集网关",
        "there is no gateway",
    ),
    "polled_meter": Need(
        "SELECT FROM agent_grant g JOIN point p USING (point_id) WHERE p.site_id = "
        f"%(site)s AND {CURRENT}",
        "没有由网关采集的表计",
        "no meter is read by a gateway",
    ),
    "figures": Need(
        "SELECT FROM computation WHERE site_id = %(site)s",
        "尚无计算结果",
        "nothing is computed yet",
    ),
    "account": Need(
        "SELECT FROM account JOIN account_record USING (account_id) WHERE site_id = "
        f"%(site)s AND {CURRENT}",
        "没有用电户号",
        "there is no utility account",
    ),
    "contract_demand": Need(
        "SELECT FROM account JOIN account_record USING (account_id) WHERE site_id = "
        f"%(site)s AND terms ->> 'contract_demand_kw' IS NOT NULL AND {CURRENT}",
        "没有约定需量的户号：在工厂文件 [[account]] 中填写 contract_demand_kw",
        "no account has a contracted demand: say `contract_demand_kw` in [[account]]",
    ),
    "power_factor": Need(
        "SELECT FROM account JOIN account_record USING (account_id) WHERE site_id = "
        f"%(site)s AND terms ->> 'power_factor_standard' IS NOT NULL AND {CURRENT}",
        "没有按功率因数调整电费的户号",
        "no account is charged by its power factor",
    ),
    "output": Need(
        "SELECT FROM output WHERE site_id = %(site)s AND superseded_commit_no IS NULL "
        "AND to_ts > %(at)s - interval '60 days'",
        "近 60 天没有录入产量",
        "no output was entered in the last 60 days",
    ),
    "closing_meter": Need(
        "SELECT FROM point_record JOIN point USING (point_id) WHERE site_id = %(site)s "
        f"AND role = 'boundary' AND {CURRENT}",
        "没有边界表计",
        "there is no boundary meter",
    ),
    "calibration": Need(
        "SELECT FROM calibration WHERE site_id = %(site)s AND due_on IS NOT NULL AND "
        "superseded_commit_no IS NULL",
        "没有登记检定有效期",
        "no calibration says until when it holds",
    ),
    "reporting_enterprise": Need(
        "SELECT FROM site_enterprise o JOIN enterprise_record r USING (enterprise_id) "
        "WHERE o.site_id = %(site)s AND r.above_scale AND r.superseded_commit_no IS "
        "NULL AND o.superseded_commit_no IS NULL",
        "没有规模以上企业",
        "no owner is an enterprise above scale",
    ),
    "closed_once": Need(
        "SELECT FROM period_closing WHERE site_id = %(site)s AND kind = 'month' AND "
        "action = 'closed'",
        "尚未结过账",
        "no month was ever closed",
    ),
    "target": Need(
        "SELECT FROM target JOIN enpi USING (enpi_id) WHERE site_id = %(site)s AND "
        "superseded_commit_no IS NULL",
        "没有目标",
        "there is no target",
    ),
    "sub_meter": Need(
        "SELECT FROM point_record JOIN point USING (point_id) WHERE site_id = %(site)s "
        f"AND parent_point_id IS NOT NULL AND {CURRENT}",
        "没有分表",
        "no meter stands below another",
    ),
    "energy_and_power": Need(
        "SELECT FROM series a JOIN series b USING (point_id) WHERE a.site_id = %(site)s "
        "AND a.quantity = 'active_energy' AND b.quantity = 'active_power'",
        "没有同时采集电量与功率的表计",
        "no meter gives both energy and power",
    ),
    "ratio_check": Need(
        f"SELECT FROM ratio_check WHERE site_id = %(site)s AND {CURRENT}",
        "工厂文件中没有 [[ratio_check]]",
        "the plant file has no [[ratio_check]]",
    ),
    "opening_hours": Need(
        f"SELECT FROM opening_hours WHERE site_id = %(site)s AND {CURRENT}",
        "工厂文件中没有 [[opening_hours]]",
        "the plant file has no [[opening_hours]]",
    ),
    "pv_baseline": Need(
        "SELECT FROM baseline i JOIN baseline_record b USING (baseline_id) WHERE "
        "i.site_id = %(site)s AND b.superseded_commit_no IS NULL AND "
        "cardinality(b.point_ids) > 0 AND NOT EXISTS (SELECT FROM point_record p  WHERE "
        "p.point_id = ANY(b.point_ids) AND p.superseded_commit_no IS NULL  AND p.role "
        "<> 'generation')",
        "没有发电点的能耗基准",
        "no baseline says what generation is expected",
    ),
    "tariff": Need(
        "SELECT FROM tariff JOIN tariff_record USING (tariff_id) WHERE site_id = "
        f"%(site)s AND {CURRENT}",
        "没有电价",
        "there is no tariff",
    ),
    "scheme": Need(
        "SELECT FROM scheme JOIN scheme_record USING (scheme_id) WHERE site_id = "
        f"%(site)s AND factor_standard IS NOT NULL AND {CURRENT}",
        "没有使用折标系数的核算口径",
        "no scheme converts by factors",
    ),
}
