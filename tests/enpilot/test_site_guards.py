"""A role sees its granted site and no other, in every relation that holds figures (D19)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from enpilot.database import connect

Connection = psycopg.Connection[Any]

# How a row of a relation that readers may ask names its site.
OF_SERIES = "series_id IN (SELECT series_id FROM series WHERE site_id = {site})"
OF_RULE = "alert_rule_id IN (SELECT alert_rule_id FROM alert_rule WHERE site_id = {site})"
OF_ENPI = "enpi_id IN (SELECT enpi_id FROM enpi WHERE site_id = {site})"
OF_SITE = "site_id = {site}"
GUARDED = {
    "visible_reading": OF_SERIES,
    "visible_interval_advance": OF_SERIES,
    "visible_chart_1m": OF_SERIES,
    "visible_chart_15m": OF_SERIES,
    "latest_value": OF_SITE,
    "granted_site": OF_SITE,
    "granted_secret": OF_SITE,
    "granted_permission": "site_id = {site} AND permission = 'see'",
    "output": OF_SITE,
    "energy_ledger": OF_SITE,
    "finding": OF_SITE,
    "energy_period": OF_SITE,
    "enpi_period": OF_SITE,
    "figure_version": OF_SITE,
    "alert_event": OF_SITE,
    "alert_state": OF_RULE,
    "alert_rule_record": OF_RULE,
    "target": OF_ENPI,
    "visible_intake": OF_SITE,
    "visible_refusal": OF_SITE,
    "base_adjustment": OF_ENPI,
    "value_added": OF_SITE,
    "enterprise_enpi_period": "{site} = ANY (site_ids)",
    "lot_energy": OF_SITE,
    "virtual_point_period": OF_SITE,
    "balance_period": OF_SITE,
    "scheme_energy_period": OF_SITE,
    "carbon_period": OF_SITE,
    "product_energy_period": OF_SITE,
    "medium_factor_period": OF_SITE,
    "site_factor": OF_SITE,
    "enpi_year_end": OF_SITE,
    "period_state": OF_SITE,
    "pending_difference": OF_SITE,
    "declared_total": OF_SITE,
    "reconciliation_period": OF_SITE,
    "declared_enpi_period": OF_SITE,
    "relevant_variable_value": OF_SITE,
    "baseline_record": "baseline_id IN (SELECT baseline_id FROM baseline WHERE site_id = {site})",
    "baseline_model": OF_SITE,
    "baseline_period": OF_SITE,
    "retrofit_record": "retrofit_id IN (SELECT retrofit_id FROM retrofit WHERE site_id = {site})",
    "non_routine_adjustment_record":
        "non_routine_adjustment_id IN (SELECT non_routine_adjustment_id"
        " FROM non_routine_adjustment WHERE site_id = {site})",
    "saving_period": OF_SITE,
    "saving_result": OF_SITE,
    "calendar_day": OF_SITE,
    "tariff_record": "tariff_id IN (SELECT tariff_id FROM tariff WHERE site_id = {site})",
    "account_record": "account_id IN (SELECT account_id FROM account WHERE site_id = {site})",
    "medium_price": OF_SITE,
    "demand_day": OF_SITE,
    "cost_period": OF_SITE,
    "invoice": OF_SITE,
    "machine": OF_SITE,
    "opening_hours": OF_SITE,
    "ratio_check": OF_SITE,
    "flat_price": OF_SITE,
    "calibration": OF_SITE,
    "base_load": OF_SITE,
    "waste_finding": OF_SITE,
    "waste_decision": "waste_id IN (SELECT waste_id FROM waste_finding WHERE site_id = {site})",
    "quality_period": OF_SITE,
    "correction_state": OF_SITE,
    "visible_closing": OF_SITE,
    "visible_installation": OF_SITE,
    "work_request": OF_SITE,
    "alert_preset_record": OF_SITE,
    "alert_preset": OF_SITE,
    "alert_mute": OF_SITE,
    "alert_progress": OF_RULE,
    "alert_message": OF_SITE,
    "alert_delivery": OF_SITE,
    "invoice_line": "invoice_id IN (SELECT invoice_id FROM invoice WHERE site_id = {site})",
}  # fmt: skip
# Names, units, published factors, numbers of batches, the platform's speed: for every reader.
UNGUARDED = {
    "acting_person", "request_kind",
    "allocation", "area", "area_record", "conversion", "ledger_shape",
    "account", "tariff", "alert_rule", "computation", "current_epoch", "enpi", "enpi_record",
    "factor", "ingest_speed",
    "point", "point_record", "product", "product_record", "retracted_batch", "scheme",
    "production_counter", "scheme_record", "series", "series_epoch", "shift", "shift_record",
    "site", "site_record", "virtual_point", "virtual_point_record",
    "relevant_variable", "relevant_variable_record", "baseline", "programme", "programme_record",
    "retrofit", "non_routine_adjustment",
}  # fmt: skip

SAID = "valid_from, author, reason, commit_no"
SAID_VALUES = "'2026-01-01T00:00Z', 'tester', 'test', 1"
AT = "'2026-03-01T00:00Z'"
DAY = f"{AT}, '2026-03-02T00:00Z'"
# One row in each relation; {code} is the site's, the rest is found from it.
ROWS = f"""
INSERT INTO site (code) VALUES ('{{code}}');
INSERT INTO point (site_id, code, medium) SELECT site_id, 'main', 'electricity' FROM here;
INSERT INTO series (site_id, point_id, quantity, channel)
    SELECT site_id, point_id, 'active_energy', 'total' FROM here JOIN point USING (site_id);
INSERT INTO series_epoch (series_id, raw_type, register_scale, unit, origin, {SAID})
    SELECT series_id, 'uint32', 1, 'kWh', 'human', {SAID_VALUES} FROM my_series;
INSERT INTO reading SELECT {AT}, series_id, 7, NULL, 0, 0, 1 FROM my_series;
INSERT INTO latest SELECT series_id, {AT}, 7, NULL, 0, 1 FROM my_series;
INSERT INTO interval_advance SELECT series_id, {AT}, 1, 7, 0, 900, 1, false, 1 FROM my_series;
INSERT INTO product (site_id, code, unit) SELECT site_id, 'bar', 't' FROM here;
INSERT INTO correction (site_id, series_id, kind, from_ts, to_ts, detail, evidence, author, reason,
                        second_person)
    SELECT site_id, series_id, 'void', {DAY}, '{{{{}}}}', 'seen', 'tester', 'test', '{{{{}}}}'
    FROM my_series;
INSERT INTO work_request (request_key, site_id, asked_by, kind, arguments)
    SELECT gen_random_uuid(), site_id, 'tester', 'closing.check', '{{{{}}}}' FROM here;
INSERT INTO output (site_id, product_id, stage, disposition, quantity, from_ts, to_ts, booked_at,
                    source, synthetic, batch, author, reason, commit_no)
    SELECT site_id, product_id, 'qualified', 'good', 7, {DAY}, {AT}, 'test', true, 1, 'tester',
           'test', 1 FROM here JOIN product USING (site_id);
INSERT INTO energy_ledger (site_id, medium, kind, quantity, unit, from_ts, to_ts, document, source,
                           synthetic, batch, author, reason, commit_no)
    SELECT site_id, 'coal', 'purchase', 7, 't', {DAY}, 'd', 'test', true, 1, 'tester', 'test', 1
    FROM here;
INSERT INTO finding (site_id, code, at_ts, severity, evidence, data_version)
    SELECT site_id, 'test', {AT}, 'note', '{{{{}}}}', 1 FROM here;
INSERT INTO energy_period (site_id, point_id, quantity, channel, period_kind, period_from,
                           period_to, amount, unit, simulated, data_version)
    SELECT site_id, point_id, 'active_energy', 'total', 'day', '2026-03-01', '2026-03-02', 7,
           'kWh', true, 1 FROM here JOIN point USING (site_id);
INSERT INTO scheme (site_id, code) SELECT site_id, 'electricity' FROM here;
INSERT INTO enpi (site_id, code) SELECT site_id, 'per-tonne' FROM here;
INSERT INTO target (enpi_id, kind, scheme_id, base_from, base_to, end_to, annual_rate,
                    target_class, authority, author, reason, commit_no)
    SELECT enpi_id, 'intensity', scheme_id, '2025-01-01', '2026-01-01', '2029-01-01', 0.04,
           'internal', 'test', 'tester', 'test', 1
    FROM here JOIN enpi USING (site_id) JOIN scheme USING (site_id);
INSERT INTO enpi_period (site_id, enpi_id, period_kind, period_from, period_to, energy_unit,
                         output_unit, status, provisional, synthetic_energy, synthetic_output,
                         factor_verified, data_version)
    SELECT site_id, enpi_id, 'day', '2026-03-01', '2026-03-02', 'kgce', 't', 'no_base', false,
           true, true, true, 1 FROM here JOIN enpi USING (site_id);
INSERT INTO base_adjustment (enpi_id, code, event, factor, document, {SAID})
    SELECT enpi_id, 'new-line', 'new_line', 1.1, 'minutes', {SAID_VALUES}
    FROM here JOIN enpi USING (site_id);
INSERT INTO enterprise (code) SELECT '{{code}}-owner' FROM here;
INSERT INTO value_added (site_id, enterprise_id, period_from, period_to, price_year, value_yuan,
                         source, synthetic, batch, from_ts, to_ts, author, reason, commit_no)
    SELECT site_id, enterprise_id, '2026-01-01', '2027-01-01', 2020, 7, 'test', true, 1, {DAY},
           'tester', 'test', 1 FROM here, enterprise WHERE code = '{{code}}-owner';
INSERT INTO enterprise_enpi_period (enterprise_id, code, site_ids, period_kind, period_from,
                                    period_to, energy_unit, output_unit, status, synthetic_energy,
                                    synthetic_output, data_version)
    SELECT enterprise_id, 'per-tonne', ARRAY[site_id], 'month', '2026-03-01', '2026-04-01', 'kgce',
           't', 'no_base', true, true, 1 FROM here, enterprise WHERE code = '{{code}}-owner';
INSERT INTO lot_energy (site_id, enpi_id, line, lot, from_ts, to_ts, energy_unit, output_unit,
                        synthetic, data_version)
    SELECT site_id, enpi_id, '', '7', {DAY}, 'kgce', 't', true, 1
    FROM here JOIN enpi USING (site_id);
INSERT INTO virtual_point (site_id, code, medium) SELECT site_id, 'rest', 'electricity' FROM here;
INSERT INTO virtual_point_period (site_id, virtual_point_id, period_kind, period_from, period_to,
                                  amount, unit, simulated, data_version)
    SELECT site_id, virtual_point_id, 'day', '2026-03-01', '2026-03-02', 7, 'kWh', true, 1
    FROM here JOIN virtual_point USING (site_id);
INSERT INTO period_closing (site_id, kind, period_from, period_to, version, action, author, reason,
                            data_version, code_version, inputs_sha256, snapshot_sha256, sha256,
                            commit_no)
    SELECT site_id, 'month', '2026-03-01', '2026-04-01', 1, 'closed', 'ann', '', 1, 'test', 'x',
           'x', 'x', 1 FROM here;
INSERT INTO pending_difference (site_id, closing_id, kind, figure_key, closed, causes, state,
                                data_version)
    SELECT site_id, closing_id, 'enpi_period', '{{{{}}}}', '{{{{}}}}', '{{{{}}}}', 'pending', 1
    FROM here JOIN period_closing USING (site_id);
INSERT INTO declared_total (site_id, medium, quantity, unit, document, source, synthetic, batch,
                            from_ts, to_ts, author, reason, commit_no)
    SELECT site_id, 'electricity', 7, 'kWh', 'd', 'test', true, 1, {DAY}, 'tester', 'test', 1
    FROM here;
INSERT INTO reconciliation_period (site_id, medium, period_from, period_to, period_kind, unit,
                                   invoices_missing, synthetic, data_version)
    SELECT site_id, 'electricity', '2026-03-01', '2026-04-01', 'month', 'kWh', '{{{{}}}}', true, 1
    FROM here;
INSERT INTO declared_enpi_period (site_id, enpi_id, period_kind, period_from, period_to, energy,
                                  energy_unit, output, output_unit, intensity, status, synthetic,
                                  data_version)
    SELECT site_id, enpi_id, 'month', '2026-03-01', '2026-04-01', 7, 'kgce', 1, 't', 7, 'no_base',
           true, 1 FROM here JOIN enpi USING (site_id);
INSERT INTO enpi_year_end (site_id, enpi_id, year_from, year_to, through, synthetic, withheld_code,
                           data_version)
    SELECT site_id, enpi_id, '2026-01-01', '2027-01-01', '2026-04-01', true, 'no_base', 1
    FROM here JOIN enpi USING (site_id);
INSERT INTO balance_period (site_id, medium, parent_point_id, period_kind, period_from, period_to,
                            unit, incomplete, status, data_version)
    SELECT site_id, 'electricity', 0, 'day', '2026-03-01', '2026-03-02', 'kWh', '{{{{}}}}',
           'incomplete', 1 FROM here;
INSERT INTO alert_rule (site_id, code) SELECT site_id, 'high' FROM here;
INSERT INTO alert_rule_record (alert_rule_id, name_zh, name_en, kind, series_id, comparison,
                               threshold, severity, {SAID})
    SELECT alert_rule_id, '高', 'High', 'threshold', series_id, 'above', 7, 'note', {SAID_VALUES}
    FROM my_series JOIN alert_rule USING (site_id);
INSERT INTO alert_state (alert_rule_id, state, since, value, evaluated_at)
    SELECT alert_rule_id, 'firing', {AT}, 7, {AT} FROM here JOIN alert_rule USING (site_id);
INSERT INTO alert_preset_record (site_id, code, enabled, changes, {SAID})
    SELECT site_id, 'gateway-down', false, '{{{{}}}}', {SAID_VALUES} FROM here;
INSERT INTO alert_preset
    SELECT site_id, 'gateway-down', '网关', 'Gateway', 'gateway', 'note', 'above', 7, 'off', '', '',
           {AT} FROM here;
INSERT INTO alert_progress
    SELECT alert_rule_id, {AT}, NULL FROM here JOIN alert_rule USING (site_id);
INSERT INTO alert_mute (site_id, from_ts, to_ts, author, reason, commit_no)
    SELECT site_id, {DAY}, 'tester', 'test', 1 FROM here;
INSERT INTO alert_message (site_id, kind, severity, facts, due_at)
    SELECT site_id, 'firing', 'note', '{{{{}}}}', {AT} FROM here;
INSERT INTO alert_delivery (site_id, message_id, recipient_group, channel, attempt, at_ts, state)
    SELECT site_id, message_id, 'duty', 'mail', 1, {AT}, 'sent'
    FROM here JOIN alert_message USING (site_id);
INSERT INTO scheme_energy_period (site_id, scheme_id, period_kind, period_from, period_to, carrier,
                                  part, energy, energy_unit, source, factor_verified, synthetic,
                                  data_version)
    SELECT site_id, scheme_id, 'month', '2026-03-01', '2026-04-01', 'electricity', 'import', 7,
           'kgce', 'metered', true, true, 1 FROM here JOIN scheme USING (site_id);
INSERT INTO carbon_period (site_id, scheme_id, period_kind, period_from, period_to, carrier,
                           carbon_kg, factor_verified, data_version)
    SELECT site_id, scheme_id, 'month', '2026-03-01', '2026-04-01', 'electricity', 7, true, 1
    FROM here JOIN scheme USING (site_id);
INSERT INTO product_energy_period (site_id, scheme_id, period_kind, period_from, period_to, part,
                                   code, energy, energy_unit, synthetic, data_version)
    SELECT site_id, scheme_id, 'month', '2026-03-01', '2026-04-01', 'product', 'bar', 7, 'kgce',
           true, 1 FROM here JOIN scheme USING (site_id);
INSERT INTO medium_factor_period (site_id, scheme_id, period_from, period_to, medium, input, output,
                                  used, energy_unit, output_unit, data_version)
    SELECT site_id, scheme_id, '2026-03-01', '2026-04-01', 'steam', 7, 7, 7, 'kgce', 't', 1
    FROM here JOIN scheme USING (site_id);
INSERT INTO site_factor (site_id, kind, medium, basis, per_unit, value, unit, source, {SAID})
    SELECT site_id, 'carbon', 'steam', 'physical', 't', 7, 'kgCO2', 'test', {SAID_VALUES} FROM here;
INSERT INTO alert_event (site_id, alert_rule_id, at_ts, from_state, to_state, threshold)
    SELECT site_id, alert_rule_id, {AT}, 'ok', 'firing', 7
    FROM here JOIN alert_rule USING (site_id);
INSERT INTO relevant_variable (site_id, code, unit) SELECT site_id, 'days', 'd' FROM here;
INSERT INTO relevant_variable_value (site_id, relevant_variable_id, value, from_ts, to_ts, source,
                                     synthetic, batch, author, reason, commit_no)
    SELECT site_id, relevant_variable_id, 7, {DAY}, 'test', true, 1, 'tester', 'test', 1
    FROM here JOIN relevant_variable USING (site_id);
INSERT INTO baseline (site_id, code) SELECT site_id, 'year' FROM here;
INSERT INTO baseline_record (baseline_id, name_zh, name_en, enpi_id, channel, period_kind,
                             training_from, training_to, variable_ids, choose, most, block,
                             whole_site, {SAID})
    SELECT baseline_id, '基准', 'Baseline', enpi_id, 'total', 'month', '2025-01-01', '2026-01-01',
           ARRAY[1], false, 1, 1, false, {SAID_VALUES}
    FROM here JOIN baseline USING (site_id) JOIN enpi USING (site_id);
INSERT INTO baseline_model (site_id, baseline_id, version, training_sha256, training_from,
                            training_to, period_kind, energy_unit, usability, reasons, fault,
                            missing, outliers, synthetic, data_version)
    SELECT site_id, baseline_id, 1, sha256('x'), '2025-01-01', '2026-01-01', 'month', 'kgce',
           'unusable', '{{{{}}}}', 'too_few_points', '{{{{}}}}', '{{{{}}}}', true, 1
    FROM here JOIN baseline USING (site_id);
INSERT INTO baseline_period (site_id, baseline_id, model_id, period_kind, period_from, period_to,
                             training, energy_unit, shift, variables, outside_range, synthetic,
                             withheld_code, data_version)
    SELECT site_id, baseline_id, model_id, 'month', '2026-03-01', '2026-04-01', false, 'kgce',
           false, '{{{{}}}}', '{{{{}}}}', true, 'no_model', 1
    FROM here JOIN baseline_model USING (site_id);
INSERT INTO retrofit (site_id, code) SELECT site_id, 'heat' FROM here;
INSERT INTO retrofit_record (retrofit_id, name_zh, name_en, kind, ipmvp_option, baseline_id,
                             implementation_from, implementation_to, reporting_from, {SAID})
    SELECT retrofit_id, '热', 'Heat', 'efficiency', 'C', baseline_id, '2026-01-01', '2026-02-01',
           '2026-02-01', {SAID_VALUES}
    FROM here JOIN retrofit USING (site_id) JOIN baseline USING (site_id);
INSERT INTO non_routine_adjustment (site_id, code) SELECT site_id, 'shift' FROM here;
INSERT INTO non_routine_adjustment_record (non_routine_adjustment_id, retrofit_id,
                                           amount_per_month, why, evidence, {SAID})
    SELECT non_routine_adjustment_id, retrofit_id, 7, 'w', 'e', {SAID_VALUES}
    FROM here JOIN non_routine_adjustment USING (site_id) JOIN retrofit USING (site_id);
INSERT INTO saving_period (site_id, retrofit_id, period_kind, period_from, period_to, energy_unit,
                           adjustment, withheld_code, data_version)
    SELECT site_id, retrofit_id, 'month', '2026-03-01', '2026-04-01', 'kgce', 0, 'no_model', 1
    FROM here JOIN retrofit USING (site_id);
INSERT INTO saving_result (site_id, retrofit_id, span, kind, claim, provisional, synthetic,
                           withheld_code, data_version)
    SELECT site_id, retrofit_id, 'reporting', 'efficiency', 'model_unusable', true, true,
           'no_model', 1 FROM here JOIN retrofit USING (site_id);
INSERT INTO calendar_day (site_id, day, kind, name_zh, name_en, valid_to, {SAID})
    SELECT site_id, '2026-03-01', 'shutdown', '检修', 'overhaul', '2026-03-02T00:00Z',
           {SAID_VALUES} FROM here;
INSERT INTO tariff (site_id, code) SELECT site_id, 'industry' FROM here;
INSERT INTO tariff_record (tariff_id, name_zh, name_en, rules, source, verified, {SAID})
    SELECT tariff_id, '工业', 'industry', '{{{{}}}}', 'test', false, {SAID_VALUES}
    FROM here JOIN tariff USING (site_id);
INSERT INTO account (site_id, code) SELECT site_id, 'main' FROM here;
INSERT INTO account_record (account_id, name_zh, name_en, tariff_id, point_ids, terms, {SAID})
    SELECT account_id, '主', 'main', tariff_id, ARRAY[1], '{{{{}}}}', {SAID_VALUES}
    FROM here JOIN account USING (site_id) JOIN tariff USING (site_id);
INSERT INTO medium_price (site_id, medium, unit, yuan, steps, source, verified, {SAID})
    SELECT site_id, 'steam', 't', 220, '[]', 'test', false, {SAID_VALUES} FROM here;
INSERT INTO demand_day (site_id, account_id, day, demand_kw, at_ts, window_s, slide_s,
                        distribution_coverage, windows_left_out, simulated, data_version)
    SELECT site_id, account_id, '2026-03-01', 7, {AT}, 900, 60, 1, 0, true, 1
    FROM here JOIN account USING (site_id);
INSERT INTO cost_period (site_id, account_id, medium, period_kind, period_from, period_to, band,
                         amount, unit, cost_yuan, simulated, tariff_verified, provisional,
                         data_version)
    SELECT site_id, account_id, 'electricity', 'day', '2026-03-01', '2026-03-02', 'peak', 7, 'kWh',
           7, true, false, false, 1 FROM here JOIN account USING (site_id);
INSERT INTO invoice (site_id, account_id, number, from_ts, to_ts, multiplier, total_kwh, total_yuan,
                     file_name, file_sha256, synthetic, author, reason, commit_no)
    SELECT site_id, account_id, '7', {DAY}, 1, 7, 7, 'test', 'x', true, 'tester', 'test', 1
    FROM here JOIN account USING (site_id);
INSERT INTO invoice_line (invoice_id, line_no, kind, code)
    SELECT invoice_id, 1, 'energy', 'peak' FROM here JOIN invoice USING (site_id);
INSERT INTO machine (site_id, code, name_zh, name_en, point_id, off_values, idle_values, {SAID})
    SELECT site_id, 'press', '压机', 'Press', point_id, '{{{{}}}}', '{{{{}}}}', {SAID_VALUES}
    FROM here JOIN point USING (site_id);
INSERT INTO opening_hours (site_id, code, name_zh, name_en, days, hours, point_ids, {SAID})
    SELECT site_id, 'day', '白班', 'Day', '{{{{workday}}}}', '{{{{08:00-18:00}}}}', '{{{{}}}}',
           {SAID_VALUES} FROM here;
INSERT INTO ratio_check (site_id, code, name_zh, name_en, numerator_point_id, denominator_point_id,
                         high, {SAID})
    SELECT site_id, 'air', '气电比', 'Air', point_id, point_id, 7, {SAID_VALUES}
    FROM here JOIN point USING (site_id);
INSERT INTO flat_price (site_id, yuan_per_kwh, source, verified, {SAID})
    SELECT site_id, 0.7, 'test', false, {SAID_VALUES} FROM here;
INSERT INTO device (site_id, code) SELECT site_id, 'meter' FROM here;
INSERT INTO installation (point_id, device_id, {SAID}) SELECT point_id, device_id, {SAID_VALUES}
    FROM my_series JOIN device USING (site_id);
INSERT INTO calibration (site_id, device_id, calibrated_on, {SAID})
    SELECT site_id, device_id, '2026-01-01', {SAID_VALUES} FROM here JOIN device USING (site_id);
INSERT INTO base_load (site_id, point_id, hours, period_from, period_to, rate, low, high, days,
                       unit, simulated, data_version)
    SELECT site_id, point_id, 'night', '2026-03-01', '2026-03-29', 7, 7, 7, 28, 'kWh', true, 1
    FROM here JOIN point USING (site_id);
INSERT INTO waste_finding (site_id, point_id, kind, subject, first_seen, measured_from, measured_to,
                           standing, amount, unit, tce_withheld_code, yuan_withheld_code, evidence,
                           simulated, verified, data_version)
    SELECT site_id, point_id, 'machine_idle', 'press', {AT}, {DAY}, true, 7, 'kWh',
           'factor_missing', 'tariff_missing', '{{{{}}}}', true, false, 1
    FROM here JOIN point USING (site_id);
INSERT INTO waste_decision (waste_id, state, author, reason, commit_no)
    SELECT waste_id, 'planned', 'tester', 'test', 1 FROM here JOIN waste_finding USING (site_id);
INSERT INTO quality_period (site_id, point_id, period_from, period_to, index_share, known_share,
                            failed, not_known, criteria, provisional, simulated, data_version)
    SELECT site_id, point_id, '2026-03-01', '2026-04-01', 1, 1, '{{{{}}}}', '{{{{}}}}',
           '{{{{}}}}', false, true, 1 FROM here JOIN point USING (site_id);
INSERT INTO agent (agent_id, site_id) SELECT '{{code}}-gw', site_id FROM here;
INSERT INTO publisher (name, site_id, kind, simulated, cycle_s)
    SELECT '{{code}}-scada', site_id, 'mqtt', false, 60 FROM here;
INSERT INTO quarantine_count (agent_id, code, messages)
    VALUES ('{{code}}-gw', 'malformed', 7), ('source:{{code}}-scada', 'malformed', 7);
INSERT INTO quarantine (topic, agent_id, code, sentence, payload, payload_bytes)
    VALUES ('t', '{{code}}-gw', 'malformed', 'why', 'x', 1)
"""


@pytest.fixture
def owner(database_url: str) -> Iterator[Connection]:
    """The owner's connection to a database with two sites, ``ours`` and ``theirs``."""
    with connect(database_url, "owner", autocommit=True) as connection:
        for code in ("ours", "theirs"):
            with connection.transaction():
                connection.execute(
                    f"CREATE TEMP VIEW here AS SELECT site_id FROM site WHERE code = '{code}';"
                    "CREATE TEMP VIEW my_series AS SELECT * FROM series JOIN here USING (site_id)"
                )
                connection.execute(ROWS.format(code=code).encode())
                connection.execute("DROP VIEW my_series, here")
        yield connection


@pytest.fixture
def new_reader(owner: Connection, database_url: str) -> Iterator[Callable[[str], Connection]]:
    """Make a role of its own and return a connection as it; roles belong to the whole server."""
    roles: list[str] = []
    with ExitStack() as connections:

        def make(name: str) -> Connection:
            role = f"{name}_{owner.info.dbname}"
            owner.execute(f"CREATE ROLE {role} IN ROLE enpilot_reader")
            roles.append(role)
            connection = connections.enter_context(connect(database_url, "reader", autocommit=True))
            connection.execute(f"SET SESSION AUTHORIZATION {role}")
            return connection

        yield make
    for role in roles:
        owner.execute(f"DROP ROLE {role}")


def grant(
    owner: Connection,
    reader: Connection,
    code: str = "ours",
    since: str = "-1 day",
    until: str | None = None,
) -> None:
    role = reader.execute("SELECT current_user").fetchone()
    assert role is not None
    owner.execute(
        "INSERT INTO role_grant (role_name, site_id, valid_from, valid_to, author)"
        " SELECT %s, site_id, now() + %s::interval, now() + %s::interval, 'tester'"
        " FROM site WHERE code = %s",
        (role[0], since, until, code),
    )


def seen(connection: Connection, code: str) -> dict[str, int]:
    site = f"(SELECT site_id FROM site WHERE code = '{code}')"
    found = {}
    for relation, of_site in GUARDED.items():
        row = connection.execute(
            f"SELECT count(*) FROM {relation} WHERE {of_site.format(site=site)}"
        ).fetchone()
        assert row is not None
        found[relation] = row[0]
    return found


# A gateway and a source.
# Of an EnPI, carriers, carbon and products the past is kept.
ALL = dict.fromkeys(GUARDED, 1) | {"visible_intake": 2, "visible_refusal": 2, "figure_version": 4}
NOTHING = dict.fromkeys(GUARDED, 0)


def test_each_reader_sees_its_own_site_only(
    owner: Connection, new_reader: Callable[[str], Connection]
) -> None:
    one, other = new_reader("one"), new_reader("other")
    assert seen(owner, "ours") == seen(owner, "theirs") == ALL
    grant(owner, one, "ours")
    grant(owner, other, "theirs")
    assert (seen(one, "ours"), seen(one, "theirs")) == (ALL, NOTHING)
    assert (seen(other, "ours"), seen(other, "theirs")) == (NOTHING, ALL)
    # A condition that a planner might run first cannot tell what it was shown either.
    total = "SELECT sum(raw_int) FROM visible_reading WHERE 1 / (series_id - {}) IS NOT NULL"
    hidden = owner.execute(
        "SELECT series_id FROM series JOIN site USING (site_id) WHERE site.code = 'theirs'"
    ).fetchone()
    assert hidden is not None
    assert one.execute(total.format(hidden[0]).encode()).fetchone() == (7,)


def test_a_role_without_a_grant_in_force_sees_nothing(
    owner: Connection, new_reader: Callable[[str], Connection]
) -> None:
    without, past, future = new_reader("without"), new_reader("past"), new_reader("future")
    grant(owner, past, since="-2 days", until="-1 day")
    grant(owner, future, since="1 day")
    for reader in (without, past, future):
        assert seen(reader, "ours") == seen(reader, "theirs") == NOTHING


def test_a_grant_that_ends_takes_its_site_away(
    owner: Connection, new_reader: Callable[[str], Connection]
) -> None:
    reader = new_reader("leaving")
    grant(owner, reader)
    assert seen(reader, "ours") == ALL
    owner.execute("UPDATE role_grant SET valid_to = now()")
    assert seen(reader, "ours") == NOTHING


def test_a_reader_changes_nothing_and_cannot_grant_itself_a_site(
    owner: Connection, new_reader: Callable[[str], Connection]
) -> None:
    reader = new_reader("one")
    grant(owner, reader)
    refused = (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.ObjectNotInPrerequisiteState,  # a view that nobody can change
    )
    for relation in [*GUARDED, *UNGUARDED, "role_grant", "reading", "interval_advance"]:
        with pytest.raises(refused):
            reader.execute(f"DELETE FROM {relation}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        grant(reader, reader, "theirs")


def test_every_relation_that_readers_may_ask_is_guarded_or_holds_no_figures(
    owner: Connection,
) -> None:
    """A relation that becomes readable must be put on one of the two lists, with a guard or not."""
    readable = {
        row[0]
        for row in owner.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'enpilot'::regnamespace"
            " AND relkind IN ('r', 'v', 'm', 'p')"
            " AND has_any_column_privilege('enpilot_reader', oid, 'SELECT')"
        )
    }
    assert readable == set(GUARDED) | UNGUARDED
