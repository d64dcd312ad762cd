"""What each kind of rule sees of figures that are in the database."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.alerts.evaluate import evaluate
from analytics.alerts.presets import load_presets, sync_presets
from analytics.alerts.rules import Sighting, load_alert_site, load_rules
from analytics.alerts.sources import see
from enpilot.database import connect
from enpilot.plant.alerts import MEASURES, RuleKind
from tests.analytics.cost_works import COST_WORKS
from tests.imported import apply_plant, import_counts, import_production
from tests.services.postgres import DatabaseServer

MINUTE = dt.timedelta(minutes=1)
NOON = dt.datetime(2026, 3, 18, 4, tzinfo=dt.UTC)  # a Wednesday in Shanghai
DAY = dt.timedelta(days=1)
RULE = """
[[rule]]
code = "{code}"
name = {{zh = "规则", en = "Rule"}}
kind = "{kind}"
comparison = "above"
threshold = "{limit}"
watch = {watch}
"""
# Code, kind, limit, watch, and what is seen at noon: value and limit by subject.
KINDS: dict[str, tuple[str, str, dict[str, Any], dict[str, tuple[float | None, float | None]]]] = {
    "over-target": ("enpi", "5", {}, {"per-tonne": (10.0, None)}),
    "intensity": ("enpi", "5", {"measure": "intensity"}, {"per-tonne": (110.0, None)}),
    "progress": ("enpi", "5", {"measure": "progress"}, {"per-tonne": (0.5, None)}),
    "withheld-year": ("enpi", "5", {"period": "year_to_date"}, {"per-tonne": (None, None)}),
    "path": ("target_path", "0", {}, {"per-tonne": (10.0, None)}),
    "demand": ("demand", "100", {"of_contract": True}, {"main": (600.0, 500.0)}),
    "deviation": ("cost", "5", {}, {"main": (20.0, None)}),
    "yuan": ("cost", "5", {"measure": "yuan", "period": "month"}, {"main": (9000.0, None)}),
    "factor": (
        "cost", "0.8", {"measure": "power_factor", "period": "month", "of_contract": True},
        {"main": (0.88, 0.9)},
    ),
    "coverage": ("data_quality", "95", {}, {"main": (80.0, None)}),
    "completeness": (
        "data_quality", "95", {"measure": "reporting_completeness"}, {"main": (70.0, None)},
    ),
    "index": ("data_quality", "95", {"measure": "index"}, {"works": (60.0, None)}),
    "age": ("finding", "0", {"codes": ["spike"]}, {"spike:main": (96.0, None)}),
    "waste": (
        "finding", "0", {"codes": ["closed_hours_load"]}, {"closed_hours_load:main": (24.0, None)},
    ),
    "open-faults": (
        "finding", "3", {"measure": "working_days", "severities": ["fault"]},
        {"spike:main": (2.0, None)},
    ),
    "calibration": ("deadline", "60", {"measure": "calibration"}, {"m1": (75.0, None)}),
    "tariff": ("deadline", "60", {"measure": "tariff"}, {"industry": (105.0, None)}),
    "report": ("deadline", "60", {"measure": "yearly_report"}, {"2025": (13.0, None)}),
    "close": ("deadline", "3", {"measure": "monthly_report"}, {"2026-02": (-8.0, None)}),
    "correction": ("correction", "4", {}, {"1": (48.0, None)}),
    "output": ("output_missing", "0", {"by": "10:00:00"}, {"section": (1.0, None)}),
    "generation": ("expected", "0", {}, {"year": (-25.0, None)}),
}  # fmt: skip
FLAGGED = {"enpi", "target_path", "cost", "data_quality", "expected"}  # figures, all made up here
FIGURES = """
CREATE TEMP VIEW here AS SELECT site_id FROM site;
INSERT INTO enpi_period (site_id, enpi_id, period_kind, period_from, period_to, energy_unit,
                         output_unit, intensity, target_intensity, progress_ratio, status,
                         withheld_code, provisional, synthetic_energy, synthetic_output,
                         factor_verified, data_version)
    SELECT site_id, enpi_id, k, f, t, 'kWh', 't', i, 100, 0.5, s, w, true, true, true, true, 1
    FROM enpi, (VALUES ('month', '2026-03-01'::date, '2026-04-01'::date, 110, 'behind', NULL),
        ('year_to_date', '2026-01-01', '2026-04-01', NULL, 'withheld', 'coverage_low'))
        x(k, f, t, i, s, w);
INSERT INTO cost_period (site_id, account_id, medium, period_kind, period_from, period_to, band,
                         unit, cost_yuan, power_factor, simulated, tariff_verified, provisional,
                         data_version)
    SELECT site_id, account_id, 'electricity', k, f, t, 'total', 'kWh', y, 0.88, true, false, true,
           1 FROM account, (VALUES ('month', '2026-03-01'::date, '2026-04-01'::date, 9000),
        ('day', '2026-03-17', '2026-03-18', 600), ('day', '2026-03-10', '2026-03-11', 400),
        ('day', '2026-03-03', '2026-03-04', 600)) x(k, f, t, y);
INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind, period_from,
                           period_to, amount, unit, coverage, reporting_completeness, simulated,
                           data_version)
    SELECT site_id, point_id, 'active_energy', 'total', 'month', '2026-03-01', '2026-04-01', 7,
           'kWh', 0.8, 0.7, true, 1 FROM point;
INSERT INTO quality_period (site_id, period_from, period_to, index_share, known_share, failed,
                            not_known, criteria, provisional, simulated, data_version)
    SELECT site_id, '2026-03-01', '2026-04-01', 0.6, 1, '{}', '{}', '{}', true, true, 1 FROM here;
INSERT INTO finding (site_id, point_id, code, at_ts, severity, evidence, data_version, found_at)
    SELECT site_id, point_id, 'spike', '2026-03-13 04:00Z', 'fault', '{}', 1, '2026-03-14 04:00Z'
    FROM point;
INSERT INTO finding (site_id, point_id, code, at_ts, severity, evidence, data_version, found_at)
    SELECT site_id, point_id, 'spike', '2025-03-13 04:00Z', 'fault', '{}', 1, '2026-03-11 04:00Z'
    FROM point;  -- of a history that was imported lately
INSERT INTO waste_finding (site_id, point_id, kind, subject, first_seen, measured_from, measured_to,
                           standing, amount, unit, tce_withheld_code, yuan_withheld_code, evidence,
                           simulated, verified, data_version)
    SELECT site_id, point_id, k, '', '2026-03-17 04:00Z', '2026-03-17', '2026-03-18', true, 7,
           'kWh', 'factor_missing', 'tariff_missing', '{}', true, false, 1
    FROM point, (VALUES ('closed_hours_load'), ('machine_idle')) x(k);
INSERT INTO correction (site_id, series_id, kind, from_ts, to_ts, detail, evidence, author, reason,
                        proposed_at, second_person)
    SELECT site_id, series_id, 'void', '2026-03-01', '2026-03-02', '{}', 'photo', 'ann', 'test',
           '2026-03-16 04:00Z', '{}' FROM series LIMIT 1;
INSERT INTO baseline (site_id, code) SELECT site_id, 'year' FROM here;
INSERT INTO baseline_record (baseline_id, name_zh, name_en, point_ids, channel, period_kind,
                             training_from, training_to, variable_ids, choose, most, block,
                             whole_site, author, reason, commit_no, valid_from)
    SELECT baseline_id, '光伏', 'PV', ARRAY[point_id], 'total', 'day', '2025-01-01', '2026-01-01',
           ARRAY[1], false, 1, 1, false, 'ann', 'test', 1, '2025-01-01' FROM baseline, point;
INSERT INTO baseline_model (site_id, baseline_id, version, training_sha256, training_from,
                            training_to, period_kind, energy_unit, usability, reasons, fault,
                            missing, outliers, synthetic, data_version)
    SELECT site_id, baseline_id, 1, sha256('x'), '2025-01-01', '2026-01-01', 'day', 'kWh',
           'unusable', '{}', 'too_few_points', '{}', '{}', true, 1 FROM baseline;
INSERT INTO baseline_period (site_id, baseline_id, model_id, period_kind, period_from, period_to,
                             training, energy_unit, actual, expected, difference, shift, variables,
                             outside_range, synthetic, data_version)
    SELECT site_id, baseline_id, model_id, 'day', '2026-03-17', '2026-03-18', false, 'kWh', 750,
           1000, -250, false, '{}', '{}', true, 1 FROM baseline_model;
UPDATE output SET recorded_at = to_ts
"""


def plant() -> str:
    text = COST_WORKS.replace(
        'profile = "acrel-adl400"',
        'profile = "acrel-adl400"\ncalibrated_on = 2025-06-01\ncalibration_due = 2026-06-01', 1,
    ).replace(
        'capacity_kva = "1000"',
        'capacity_kva = "1000"\ncontract_demand_kw = "500"\npower_factor_standard = "0.90"',
    )  # fmt: skip
    for code, (kind, limit, watch, _) in KINDS.items():
        said = ", ".join(f"{k} = {_toml(k, v)}" for k, v in watch.items())
        text += RULE.format(code=code, kind=kind, limit=limit, watch=f"{{{said}}}")
    return text


def _toml(key: str, value: Any) -> str:
    return str(value) if key == "by" else json.dumps(value)


@pytest.fixture(scope="module")
def connection(
    postgres_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[psycopg.Connection[Any]]:
    folder: Path = tmp_path_factory.mktemp("kinds")
    with postgres_server.database() as url, connect(url, "test", autocommit=True) as opened:
        apply_plant(url, folder, plant())
        # 600 kW: 10 kWh a minute, the register counting 40 times 0.01 kWh.
        times = [NOON - (75 - n) * MINUTE for n in range(76)]
        import_counts(url, folder, times, [n * 25 for n in range(76)], period_s=60)
        before = [NOON.replace(hour=0) - (1 + 7 * k) * DAY for k in range(1, 5)]
        import_production(url, folder, [(at, at + DAY / 3, "7") for at in before])
        with opened.transaction():
            opened.execute(FIGURES.encode())
        yield opened


def seen(connection: psycopg.Connection[Any], code: str, at: dt.datetime) -> list[Sighting]:
    (rule,) = [r for r in load_rules(connection, at) if r.code == code]
    site = load_alert_site(connection, rule.site_id)
    ((_, sightings),) = see(connection, site, rule, at - MINUTE, [at], at)
    return sightings


@pytest.mark.parametrize("code", KINDS)
def test_what_is_seen(connection: psycopg.Connection[Any], code: str) -> None:
    expected = KINDS[code][3]
    sightings = {s.subject.code: s for s in seen(connection, code, NOON)}
    assert sightings.keys() == expected.keys()
    for subject, (value, limit) in expected.items():
        assert sightings[subject].value == pytest.approx(value)
        assert sightings[subject].limit == limit
        assert sightings[subject].subject.name_zh
        assert sightings[subject].synthetic is (KINDS[code][0] in FLAGGED)


def test_no_kind_and_no_measure_is_left_out() -> None:
    tried = {(kind, watch.get("measure")) for kind, _, watch, _ in KINDS.values()}
    kinds = set(RuleKind.__args__) - {"threshold", "silent", "gateway"}  # type: ignore[attr-defined]  # of a Literal
    assert {kind for kind, _ in tried} == kinds
    wanted = {(k, m) for k, measures in MEASURES.items() if k in kinds for m in measures[1:]}
    assert wanted - tried == {("deadline", "factor")}


def test_facts_of_a_target_path(connection: psycopg.Connection[Any]) -> None:
    (path,) = seen(connection, "path", NOON)
    assert path.facts is not None
    assert path.facts["days_left"] == 14
    # 17 days at 110 and 14 at this make 100 over the month.
    assert path.facts["required_intensity"] == pytest.approx((31 * 100 - 17 * 110) / 14)
    (early,) = seen(connection, "path", dt.datetime(2026, 3, 3, 4, tzinfo=dt.UTC))
    assert early.value is None


def test_output_is_missed_after_its_hour_only(connection: psycopg.Connection[Any]) -> None:
    (early,) = seen(connection, "output", NOON.replace(hour=1))
    assert early.value == 0.0
    # Nothing is ever made on Sundays.
    assert seen(connection, "output", NOON - 2 * DAY) == []


def test_every_preset_that_is_on_can_be_evaluated(connection: psycopg.Connection[Any]) -> None:
    sync_presets(connection, NOON - MINUTE)
    assert evaluate(connection, NOON, dt.timedelta(minutes=5)) is not None
    errors = connection.execute(
        "SELECT r.code, p.error FROM alert_progress p JOIN alert_rule r USING (alert_rule_id)"
        " WHERE p.error IS NOT NULL"
    ).fetchall()
    assert errors == []
    told = connection.execute(
        "SELECT r.code, m.severity, m.facts ->> 'subject' FROM alert_message m"
        " JOIN alert_rule r USING (alert_rule_id) WHERE r.code = ANY(%s) ORDER BY r.code",
        ([p.code for p in load_presets()],),
    ).fetchall()
    assert told == [
        ("completeness-low", "warning", "main"),
        ("coverage-falling", "fault", "main"),
        ("demand-about-to-exceed", "fault", "main"),
        ("month-behind-target", "warning", "per-tonne"),
        ("output-missing", "warning", "section"),
        ("power-factor-low", "warning", "main"),
    ]
