"""A rolling mill whose figures are typed in: what the pages of load, cost, flow ... must show.

September 2025: 10 kWh a quarter-hour until 08:00, 50 until 20:00, 20 after it, and once 75, so the
month's peak is 300 kW. Rolling takes 60 %, compressed air 25 %, the rest is not sub-metered.
"""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import Any

import psycopg

ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
FIRST, END = dt.date(2025, 9, 1), dt.date(2025, 10, 1)
PEAK = dt.datetime(2025, 9, 10, 10, 0, tzinfo=ZONE)
MAIN_KWH = 30 * (32 * 10 + 48 * 50 + 16 * 20) + 25.0  # 91,225
SHARES = {"main": 1.0, "rolling": 0.6, "air": 0.25}
KGCE_PER_KWH = 0.1229
SAID = {"author": "tester", "reason": "test", "commit_no": 1}
DATED = {"valid_from": "2025-01-01T00:00+08", **SAID}
NAMES = {
    "main": ("总进线", "Main feeder"), "rolling": ("轧线", "Rolling line"),
    "air": ("空压站", "Compressed air"),
}  # fmt: skip


class _Writer:
    """Inserts rows by their columns; returns the key that is asked for."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def put(self, table: str, returning: str | None = None, **columns: Any) -> int:
        values = [json.dumps(v) if isinstance(v, dict) else v for v in columns.values()]
        places = ", ".join(["%s"] * len(values))
        query = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
        if returning is None:
            self.connection.execute(query.encode(), values)
            return 0
        row = self.connection.execute(f"{query} RETURNING {returning}".encode(), values).fetchone()
        assert row is not None
        return int(row[0])


def put_mill(connection: psycopg.Connection[Any], code: str) -> None:
    """Write the site and its figures."""
    with connection.transaction():
        write = _Writer(connection)
        site = write.put("site", "site_id", code=code)
        write.put("site_record", site_id=site, name_zh="轧钢厂", name_en="Rolling mill",
                  timezone="Asia/Shanghai", demonstration_zh="演示数据：全部为合成",
                  demonstration_en="Demonstration: all synthetic", **DATED)  # fmt: skip
        points = _points(write, site)
        _intervals(connection, points)
        enpi = _indicator(write, site)
        _periods(write, site, points, enpi)
        _cost(write, site, points["main"][0])
        _waste(write, site, points)
        _quality(write, site, points)
        _closing(write, site)
        _retrofit(write, site, enpi)
        _alerts(write, site, points)
        _output(write, site)
        write.put("computation", site_id=site, data_version=77, code_version="0.1.0",
                  data_through="2025-10-01T00:00+08")  # fmt: skip


def _points(write: _Writer, site: int) -> dict[str, tuple[int, int]]:
    """Return point and series of each meter."""
    made: dict[str, tuple[int, int]] = {}
    for code in SHARES:
        point = write.put("point", "point_id", site_id=site, code=code, medium="electricity")
        series = write.put("series", "series_id", site_id=site, point_id=point,
                           quantity="active_energy", channel="total")  # fmt: skip
        made[code] = (point, series)
        zh, en = NAMES[code]
        top = code == "main"
        write.put("point_record", point_id=point, name_zh=zh, name_en=en,
                  role="boundary" if top else "sub", direction="import" if top else "internal",
                  parent_point_id=None if top else made["main"][0], commissioning="accepted",
                  **DATED)  # fmt: skip
        write.put("series_epoch", series_id=series, raw_type="uint32", register_scale=1,
                  ratio=40, side="secondary", unit="kWh", counter_kind="lifetime", period_s=900,
                  origin="human", **DATED)  # fmt: skip
        device = write.put("device", "device_id", site_id=site, code=f"meter-{code}",
                           maker="Acrel", model="ADL400", serial=f"S-{code}",
                           accuracy_class="0.5S")  # fmt: skip
        write.put("installation", point_id=point, device_id=device, ct_ratio=40, **DATED)
        write.put("latest", series_id=series, ts="2025-09-30T23:45+08", raw_int=1000, quality=0,
                  batch=1)  # fmt: skip
    return made


def _intervals(connection: psycopg.Connection[Any], points: dict[str, tuple[int, int]]) -> None:
    for code, (_, series) in points.items():
        connection.execute(
            "INSERT INTO interval_advance (series_id, ts, epoch_id, advance_micro, estimated_micro,"
            " measured_s, readings, simulated, data_version)"
            " SELECT %(series)s, ts, e.epoch_id, (1000000 * %(share)s * (CASE"
            "  WHEN ts = %(peak)s THEN 75"
            "  WHEN extract(hour FROM ts AT TIME ZONE 'Asia/Shanghai') < 8 THEN 10"
            "  WHEN extract(hour FROM ts AT TIME ZONE 'Asia/Shanghai') < 20 THEN 50"
            "  ELSE 20 END) / e.scale)::bigint, 0, 900, 1, true, 77"
            " FROM generate_series('2025-09-01T00:00+08'::timestamptz, '2025-09-30T23:45+08',"
            "  '15 minutes') ts, series_epoch e WHERE e.series_id = %(series)s",
            {"series": series, "share": SHARES[code], "peak": PEAK},
        )


def _indicator(write: _Writer, site: int) -> int:
    scheme = write.put("scheme", "scheme_id", site_id=site, code="all")
    write.put("scheme_record", scheme_id=scheme, name_zh="综合能耗", name_en="Energy use",
              energy_unit="kgce", media=["electricity"], factor_standard="GB/T 2589",
              factor_edition="2020", electricity_basis="physical", **DATED)  # fmt: skip
    product = write.put("product", "product_id", site_id=site, code="bar", unit="t")
    write.put("product_record", product_id=product, name_zh="棒材", name_en="Bars", **DATED)
    enpi = write.put("enpi", "enpi_id", site_id=site, code="per-tonne")
    write.put("enpi_record", enpi_id=enpi, name_zh="吨材能耗", name_en="Energy per tonne",
              kind="intensity", scheme_id=scheme, product_id=product, stage="qualified",
              coverage_limit=0.95,
              **DATED)  # fmt: skip
    write.put("target", enpi_id=enpi, kind="intensity", scheme_id=scheme, base_from="2024-01-01",
              base_to="2025-01-01", end_to="2029-01-01", annual_rate=0.04,
              target_class="official", authority="市发改委", **SAID)  # fmt: skip
    write.put("scheme_energy_period", site_id=site, scheme_id=scheme, period_kind="month",
              period_from=FIRST, period_to=END, carrier="electricity", part="import",
              quantity=MAIN_KWH, quantity_unit="kWh", factor=KGCE_PER_KWH, basis="physical",
              energy=MAIN_KWH * KGCE_PER_KWH, energy_unit="kgce", share=1.0, source="metered",
              estimated_share=0.0, coverage=1.0, factor_verified=True, synthetic=True,
              data_version=77)  # fmt: skip
    return enpi


def _periods(write: _Writer, site: int, points: dict[str, tuple[int, int]], enpi: int) -> None:
    for code, (point, _) in points.items():
        energy = {"site_id": site, "point_id": point, "quantity": "active_energy",
                  "channel": "total", "unit": "kWh", "estimated_share": 0.0, "simulated": True,
                  "coverage": 1.0, "distribution_coverage": 1.0, "data_version": 77}  # fmt: skip
        write.put("energy_period", **energy, period_kind="month", period_from=FIRST, period_to=END,
                  amount=MAIN_KWH * SHARES[code], reporting_completeness=0.99)  # fmt: skip
        for day in range(1, 31):
            poor = code == "air" and day == 12
            write.put("energy_period", **energy, period_kind="day",
                      period_from=dt.date(2025, 9, day),
                      period_to=dt.date(2025, 9, day) + dt.timedelta(days=1),
                      amount=3040 * SHARES[code],
                      reporting_completeness=0.62 if poor else 1.0)  # fmt: skip
    below = MAIN_KWH * (SHARES["rolling"] + SHARES["air"])
    write.put("balance_period", site_id=site, medium="electricity",
              parent_point_id=points["main"][0], period_kind="month", period_from=FIRST,
              period_to=END, main=MAIN_KWH, children=below, remainder=MAIN_KWH - below,
              tolerance=912.25, unit="kWh", incomplete=[], status="remainder",
              data_version=77)  # fmt: skip
    for month in (8, 9):
        write.put("enpi_period", site_id=site, enpi_id=enpi, period_kind="month",
                  period_from=dt.date(2025, month, 1), period_to=dt.date(2025, month + 1, 1),
                  energy=MAIN_KWH * KGCE_PER_KWH, energy_unit="kgce",
                  energy_tce=MAIN_KWH * KGCE_PER_KWH / 1000, output=600.0, output_unit="t",
                  intensity=MAIN_KWH * KGCE_PER_KWH / 600.0, status="no_base", coverage=1.0,
                  output_coverage=1.0, reporting_completeness=0.99, estimated_share=0.0,
                  provisional=month == 9, synthetic_energy=True, synthetic_output=True,
                  factor_verified=True, data_version=77)  # fmt: skip
    write.put("enpi_period", site_id=site, enpi_id=enpi, period_kind="day",
              period_from="2025-09-05",
              period_to="2025-09-06", energy=373.6, energy_unit="kgce", output_unit="t",
              status="withheld", coverage=1.0, output_coverage=0.0, provisional=True,
              synthetic_energy=True, synthetic_output=True, factor_verified=True,
              withheld_code="output_missing", data_version=77)  # fmt: skip


def _cost(write: _Writer, site: int, main: int) -> None:
    tariff = write.put("tariff", "tariff_id", site_id=site, code="industry")
    hours = [{"band": "valley", "months": [9], "days": [], "hours": ["00:00-08:00"]}]
    write.put("tariff_record", tariff_id=tariff, name_zh="两部制", name_en="Two-part",
              rules={"hours": hours}, source="test", verified=False, **DATED)  # fmt: skip
    account = write.put("account", "account_id", site_id=site, code="hv-1")
    write.put("account_record", account_id=account, name_zh="高压户", name_en="High voltage",
              tariff_id=tariff, point_ids=[main],
              terms={"contract_demand_kw": "280", "power_factor_standard": "0.90"},
              **DATED)  # fmt: skip
    lines = [
        _line("energy", "flat", "kWh", "91225", "0.62", "56559.50"),
        _line("basic", "demand", "kW", "300", "48", "14400.00", "demand computed from readings"),
        _line("power_factor", "0.90", "yuan", "70959.50", "-0.0075", "-532.20"),
    ]
    cost = {"site_id": site, "account_id": account, "medium": "electricity", "unit": "kWh",
            "period_kind": "billing", "period_from": FIRST, "period_to": END, "simulated": True,
            "tariff_verified": False, "provisional": False, "data_version": 77}  # fmt: skip
    write.put("cost_period", **cost, band="total", amount=91225, cost_yuan="70427.30",
              energy_yuan="56559.50", basic_yuan="14400", power_factor_yuan="-532.20",
              power_factor="0.93", demand_kw=300, lines=json.dumps(lines), coverage=1.0,
              estimated_share=0.0)  # fmt: skip
    write.put("cost_period", **cost, band="flat", amount=91225, cost_yuan="56559.50")
    write.put("demand_day", site_id=site, account_id=account, day=PEAK.date(), demand_kw=300.0,
              at_ts=PEAK + dt.timedelta(minutes=15), least_kw=298.0, most_kw=305.0, window_s=900,
              slide_s=60, distribution_coverage=1.0, windows_left_out=0, simulated=True,
              data_version=77)  # fmt: skip
    write.put("invoice", site_id=site, account_id=account, number="INV-9", multiplier=40,
              from_ts="2025-09-01T00:00+08", to_ts="2025-10-01T00:00+08", total_kwh=93000,
              total_yuan="71900.00", file_name="inv9.xlsx", file_sha256=b"0" * 32, synthetic=True,
              **SAID)  # fmt: skip
    _finding(write, site, "invoice_differs", "fault", "2025-09-01T00:00+08", subject="INV-9",
             to_ts="2025-10-01T00:00+08", evidence={"invoice": "INV-9", "largest_share": 0.019,
             "lines": [{"kind": "total", "code": "energy", "invoiced": "93000",
                        "computed": "91225", "unit": "kWh"}]})  # fmt: skip


def _line(
    kind: str, code: str, unit: str, quantity: str, price: str, amount: str, note: str = ""
) -> dict[str, Any]:
    return {"kind": kind, "code": code, "unit": unit, "quantity": quantity, "price_yuan": price,
            "amount_yuan": amount, "withheld": None, "note": note}  # fmt: skip


def _finding(write: _Writer, site: int, code: str, severity: str, at: str, **more: Any) -> None:
    columns = {"evidence": {}, **more}
    write.put("finding", site_id=site, code=code, severity=severity, at_ts=at, data_version=77,
              **columns)  # fmt: skip


def _waste(write: _Writer, site: int, points: dict[str, tuple[int, int]]) -> None:
    common = {"site_id": site, "first_seen": "2025-09-01T00:00+08", "unit": "kWh",
              "measured_from": "2025-09-01T00:00+08", "measured_to": "2025-09-29T00:00+08",
              "simulated": True, "verified": False, "data_version": 77}  # fmt: skip
    write.put("waste_finding", **common, point_id=points["air"][0], kind="closed_hours_load",
              subject="", standing=True, amount=840.0, tce=0.103, yuan="520.80",
              amount_a_year=10950.0, tce_a_year=1.346, yuan_a_year="6789.00",
              evidence={"usual_rate": 5.0, "closed_hours": 168.0})  # fmt: skip
    write.put("waste_finding", **common, point_id=points["rolling"][0], kind="profile_exceeded",
              subject="", standing=False, amount=120.0, tce=0.0147, yuan="74.40",
              evidence={"z": 6.5, "expected": 400.0})  # fmt: skip
    write.put("waste_finding", **common, point_id=points["air"][0], kind="meter_stuck",
              subject="", standing=False, amount=55.0, tce=0.0068, yuan="34.10",
              evidence={"hours": 3.0})  # fmt: skip
    write.put("base_load", site_id=site, point_id=points["main"][0], hours="night",
              period_from="2025-09-01", period_to="2025-09-29", rate=40.0, low=39.0, high=42.0,
              share=0.105, days=28, unit="kWh/h", simulated=True, data_version=77)  # fmt: skip


def _quality(write: _Writer, site: int, points: dict[str, tuple[int, int]]) -> None:
    criteria = [
        {"code": "reporting_completeness", "kind": "at_least", "unit": "1", "limit": 0.9,
         "value": 0.99, "weight": 3.0, "outcome": "passed", "verified": False},
        {"code": "open_findings", "kind": "at_most", "unit": "1", "limit": 0.0, "value": 2.0,
         "weight": 1.0, "outcome": "failed", "verified": False},
    ]  # fmt: skip
    write.put("quality_period", site_id=site, period_from=FIRST, period_to=END, index_share=0.75,
              known_share=1.0, failed=["open_findings"], not_known=[],
              criteria=json.dumps(criteria), provisional=False, simulated=True,
              data_version=77)  # fmt: skip
    point, series = points["air"]
    _finding(write, site, "gap", "warning", "2025-09-12T06:00+08", to_ts="2025-09-12T15:00+08",
             point_id=point, series_id=series)  # fmt: skip
    write.put("correction", site_id=site, series_id=series, kind="substitute",
              from_ts="2025-09-12T06:00+08", to_ts="2025-09-12T15:00+08",
              detail={"amount": "180"}, evidence="logbook page 12", author="zhang",
              reason="gateway was off", second_person=["over 1 %"])  # fmt: skip


def _closing(write: _Writer, site: int) -> None:
    for action, author in (("prepared", "zhang"), ("closed", "li")):
        write.put("period_closing", site_id=site, kind="month", period_from="2025-08-01",
                  period_to="2025-09-01", version=1, action=action, data_version=70,
                  code_version="0.1.0", inputs_sha256=b"i", snapshot_sha256=b"s",
                  sha256=action.encode(), **(SAID | {"author": author}))  # fmt: skip
    write.put("energy_ledger", site_id=site, medium="diesel", kind="purchase", quantity=2,
              unit="t", from_ts="2025-09-01T00:00+08", to_ts="2025-10-01T00:00+08",
              document="d-1", source="test", synthetic=True, batch=1, **SAID)  # fmt: skip
    write.put("reconciliation_period", site_id=site, medium="electricity", period_from=FIRST,
              period_to=END, period_kind="month", unit="kWh", metered=MAIN_KWH,
              metered_bought=MAIN_KWH, coverage=1.0, invoiced=93000, invoices_missing=[],
              invoiced_share=0.0195, synthetic=True, data_version=77)  # fmt: skip


def _retrofit(write: _Writer, site: int, enpi: int) -> None:
    baseline = write.put("baseline", "baseline_id", site_id=site, code="furnace")
    variable = write.put(
        "relevant_variable", "relevant_variable_id", site_id=site, code="output", unit="t"
    )
    write.put("baseline_record", baseline_id=baseline, name_zh="加热炉", name_en="Furnace",
              enpi_id=enpi, channel="total", period_kind="month", training_from="2024-01-01",
              training_to="2025-01-01", variable_ids=[variable], choose=False, most=1, block=1,
              whole_site=True, **DATED)  # fmt: skip
    write.put("baseline_model", baseline_id=baseline, site_id=site, version=1,
              training_sha256=b"0" * 32, training_from="2024-01-01", training_to="2025-01-01",
              period_kind="month", energy_unit="kgce", usability="usable", reasons=[],
              form="output", points=12, parameters=2, r_squared=0.91, cv_rmse=0.041, missing=[],
              outliers=[], model={}, synthetic=True, data_version=70)  # fmt: skip
    retrofit = write.put("retrofit", "retrofit_id", site_id=site, code="recuperator")
    write.put("retrofit_record", retrofit_id=retrofit, name_zh="换热器改造", name_en="Recuperator",
              kind="efficiency", ipmvp_option="C", baseline_id=baseline,
              implementation_from="2025-06-01", implementation_to="2025-07-01",
              reporting_from="2025-07-01", promised_tce_per_year=12, cost_yuan=180000,
              **DATED)  # fmt: skip
    total = 0.0
    for month, (expected, actual) in enumerate(((12000, 11100), (12200, 11200), (12100, 11212)), 7):
        total += expected - actual
        write.put("saving_period", site_id=site, retrofit_id=retrofit, period_kind="month",
                  period_from=dt.date(2025, month, 1), period_to=dt.date(2025, month + 1, 1),
                  energy_unit="kgce", adjusted_baseline=expected, actual=actual, adjustment=0,
                  saving=expected - actual, cumulative_saving=total, data_version=77)  # fmt: skip
    write.put("saving_result", site_id=site, retrofit_id=retrofit, span="reporting",
              kind="efficiency", period_from="2025-07-01", period_to="2025-10-01", months=3,
              energy_unit="kgce", adjusted_baseline=36300, actual=33512, adjustment=0, saving=2788,
              uncertainty=620, fractional_uncertainty=0.222, confidence=0.9, claim="claimable",
              tce_per_unit=0.001, factor_verified=True, tce_per_year=11.15, uncertainty_tce=2.48,
              counted_tce=11.15, provisional=True, synthetic=True, data_version=77)  # fmt: skip


def _alerts(write: _Writer, site: int, points: dict[str, tuple[int, int]]) -> None:
    rule = write.put("alert_rule", "alert_rule_id", site_id=site, code="main-high")
    write.put("alert_rule_record", alert_rule_id=rule, name_zh="进线功率过高",
              name_en="Feeder power high", kind="threshold", series_id=points["main"][1],
              comparison="above", threshold=250, for_s=60, severity="fault", owner="Wang",
              runbook_zh="错开轧机启动", runbook_en="Stagger the mills", page="load?t=2025-09-10",
              **DATED)  # fmt: skip
    write.put("alert_state", alert_rule_id=rule, subject="main", subject_zh="总进线",
              subject_en="Main feeder", state="firing", since=PEAK, value=300.0, unit="kW",
              evaluated_at=PEAK, synthetic=True)  # fmt: skip
    write.put("alert_event", site_id=site, alert_rule_id=rule, subject="main", at_ts=PEAK,
              from_state="pending", to_state="firing", value=300.0, threshold=250,
              unit="kW")  # fmt: skip
    message = write.put("alert_message", "message_id", site_id=site, kind="firing",
                        alert_rule_id=rule, severity="fault", facts="{}", due_at=PEAK)  # fmt: skip
    now = dt.datetime.now(ZONE)
    for channel, state, error in (
        ("mail", "sent", None),
        ("robot", "retry", "refused: no keyword"),
    ):
        write.put("alert_delivery", site_id=site, message_id=message, recipient_group="duty",
                  channel=channel, attempt=1, at_ts=now, state=state, error=error,
                  next_at=now if error else None)  # fmt: skip
    write.put("alert_preset", site_id=site, code="pv-below", name_zh="光伏低于预期",
              name_en="PV below expected", kind="expected", severity="note", comparison="below",
              threshold=20, state="not_applicable", reason_zh="没有光伏", reason_en="no PV",
              checked_at=PEAK)  # fmt: skip


def _output(write: _Writer, site: int) -> None:
    row = write.connection.execute(
        "SELECT product_id FROM product WHERE site_id = %s", (site,)
    ).fetchone()
    assert row is not None
    for day in range(1, 31):
        for shift, hour in enumerate((0, 8, 16)):
            if (day, shift) == (5, 0):
                continue  # the night of the 5th was never entered
            begin = dt.datetime(2025, 9, day, hour, tzinfo=ZONE)
            write.put("output", site_id=site, product_id=row[0], line="l1", stage="qualified",
                      disposition="good", quantity="6.5", from_ts=begin,
                      to_ts=begin + dt.timedelta(hours=8), booked_at=begin, source="paper",
                      synthetic=True, batch=1, **SAID)  # fmt: skip
