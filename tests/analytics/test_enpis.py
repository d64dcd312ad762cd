"""EnPIs of plant, line and enterprise, over every period, end to end in a database."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from analytics.enpis.cli import enpi_lines, output_lines
from enpilot.database import connect
from ingest.imports.value_added import import_value_added
from tests.analytics.conftest import WORKS
from tests.analytics.test_engine import compute, local, quarters, rows, steady
from tests.imported import apply_plant, import_counts, import_production

DAY = dt.timedelta(days=1)
KGCE_A_DAY = 3840 * 0.1229  # 100 counts a quarter x 0.01 kWh x CT 40 x 96 quarters
SHIFTS = """
[[shift]]
code = "day"
name = {zh = "白班", en = "Day"}
starts = 08:00:00
ends = 20:00:00
[[shift]]
code = "night"
name = {zh = "夜班", en = "Night"}
starts = 20:00:00
ends = 08:00:00
"""


def figures(url: str, kind: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    return rows(
        url,
        f"SELECT {columns} FROM enpi_period JOIN enpi USING (enpi_id)"
        f" WHERE period_kind = '{kind}' AND {where} ORDER BY code, period_from, shift",
    )


def run(
    url: str,
    folder: Path,
    since: dt.datetime,
    until: dt.datetime,
    per_quarter: int = 100,
    a_day: str = "10",
    level: int | None = None,
) -> int:
    """A steady load and the same output every day; return the last register."""
    times = quarters(since, until)
    counts = steady(times, per_quarter, since.year * 100_000 if level is None else level)
    import_counts(url, folder, times, counts)
    spans = [(since + i * DAY, since + (i + 1) * DAY, a_day) for i in range((until - since) // DAY)]
    import_production(url, folder, spans)
    return counts[-1]


def test_a_production_day_and_its_shifts_are_cut_alike(works: str, tmp_path: Path) -> None:
    plant = WORKS.replace(
        'timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nproduction_day_start = 08:00:00'
    ).replace('product = "section"', 'product = "section"\ncalendar = "production"')
    apply_plant(works, tmp_path, plant + SHIFTS)
    since = local(2026, 3, 1, 8)
    times = quarters(since, since + 2 * DAY)
    # By day 100 counts a quarter, by night 40.
    counts, level = [0], 0
    for at in times[:-1]:
        level += 100 if 8 <= at.hour < 20 else 40
        counts.append(level)
    import_counts(works, tmp_path, times, counts)
    halves = [(since + i * DAY / 2, since + (i + 1) * DAY / 2, "5") for i in range(4)]
    import_production(works, tmp_path, halves)
    compute(works)
    by_shift = figures(works, "shift", "period_from, shift, intensity")
    day, night = 48 * 100 * 0.4 * 0.1229 / 5, 48 * 40 * 0.4 * 0.1229 / 5
    assert by_shift == [
        (dt.date(2026, 3, 1), "day", pytest.approx(day)),
        (dt.date(2026, 3, 1), "night", pytest.approx(night)),
        (dt.date(2026, 3, 2), "day", pytest.approx(day)),
        (dt.date(2026, 3, 2), "night", pytest.approx(night)),
    ]
    assert figures(works, "day", "period_from, intensity, from_ts, status") == [
        (first, pytest.approx((day + night) / 2), since + i * DAY, "no_target")
        for i, first in enumerate([dt.date(2026, 3, 1), dt.date(2026, 3, 2)])
    ]


def test_a_production_day_is_complete_when_its_last_shift_ends(works: str, tmp_path: Path) -> None:
    plant = WORKS.replace(
        'timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nproduction_day_start = 08:00:00'
    ).replace('product = "section"', 'product = "section"\ncalendar = "production"')
    apply_plant(works, tmp_path, plant)
    since = local(2026, 3, 1, 8)
    import_production(works, tmp_path, [(since, since + DAY, "10")])
    times = quarters(since, since + DAY + dt.timedelta(hours=1))
    counts = steady(times, 100)
    for part in (slice(0, 93), slice(93, 98), slice(98, None)):  # to 07:00, to 08:15, to 09:00
        import_counts(works, tmp_path, times[part], counts[part])
        compute(works)
    found = figures(works, "day", "period_from, intensity")
    assert found == [(dt.date(2026, 3, 1), pytest.approx(KGCE_A_DAY / 10))]


def test_weeks_quarters_and_rolling_years(works: str, tmp_path: Path) -> None:
    level = run(works, tmp_path, local(2025, 1, 1), local(2026, 1, 1))
    run(works, tmp_path, local(2026, 1, 1), local(2026, 4, 1), per_quarter=95, level=level)
    compute(works)
    weeks = figures(works, "week", "intensity", "period_from = '2025-06-02'")
    assert weeks == [(pytest.approx(KGCE_A_DAY / 10),)]
    quarter = figures(
        works, "quarter", "intensity, target_intensity, status, previous_intensity,"
        " efficiency_effect, volume_effect", "period_from = '2026-01-01'",
    )  # fmt: skip
    e = KGCE_A_DAY / 10
    assert quarter == [
        (
            pytest.approx(0.95 * e), pytest.approx(0.96 * e), "on_track", pytest.approx(e),
            pytest.approx(-0.05 * 90 * KGCE_A_DAY), pytest.approx(0),
        )
    ]  # fmt: skip
    rolling = figures(works, "rolling_12", "period_to, intensity, target_intensity, status")
    assert [r[0] for r in rolling] == [dt.date(2026, m, 1) for m in (1, 2, 3, 4)]
    assert rolling[0][3] == "base"
    # Three months of twelve at 95 %; the path has gone a quarter of a year: 0.96^(3/12).
    assert rolling[3][1] == pytest.approx((275 + 0.95 * 90) / 365 * e)
    assert rolling[3][2] == pytest.approx(0.96**0.25 * e)
    [end] = rows(
        works,
        "SELECT through, energy, intensity, target_intensity, probability, required_change,"
        " required_code, method, withheld_code FROM enpi_year_end WHERE year_from = '2026-01-01'",
    )
    # 95 % of last year's rest is expected; the year may take 96 %: 350.4 - 85.5 of 261.25 days.
    assert end == (
        dt.date(2026, 4, 1), pytest.approx(0.95 * 365 * KGCE_A_DAY), pytest.approx(0.95 * e),
        pytest.approx(0.96 * e), pytest.approx(1.0), pytest.approx(264.9 / 261.25 - 1),
        "met_already", "last_year", None,
    )  # fmt: skip


def test_january_and_february_of_an_assigned_target_are_judged_together(
    works: str, tmp_path: Path
) -> None:
    apply_plant(works, tmp_path, WORKS.replace('"internal"', '"assigned"'))
    for year, load in ((2025, 100), (2026, 95)):
        run(works, tmp_path, local(year, 1, 1), local(year, 4, 1), load)
    compute(works)
    year = "period_from >= '2026-01-01'"
    assert [r[0] for r in figures(works, "month", "status", year)] == ["joint", "joint", "on_track"]
    to_date = figures(works, "year_to_date", "period_to, status", year)
    assert to_date == [
        (dt.date(2026, 2, 1), "joint"), (dt.date(2026, 3, 1), "on_track"),
        (dt.date(2026, 4, 1), "on_track"),
    ]  # fmt: skip


def test_the_light_turns_where_the_target_says(works: str, tmp_path: Path) -> None:
    for year, load in ((2025, 1000), (2026, 965)):
        run(works, tmp_path, local(year, 1, 1), local(year, 2, 1), load)
    compute(works)
    [(status, ratio)] = figures(
        works, "month", "status, progress_ratio", "period_from > '2026-01-01'::date - 1"
    )
    assert (status, ratio) == ("slow", pytest.approx(0.8728, abs=1e-4))  # ln 0.965 / ln 0.96
    apply_plant(works, tmp_path, WORKS.replace(
        'authority = "test"', 'authority = "test"\nslow_from = "0.7"\non_track_from = "0.85"'
    ))  # fmt: skip
    compute(works)
    assert figures(works, "month", "status", "period_from = '2026-01-01'") == [("on_track",)]


def test_an_adjusted_base_keeps_the_original_verdict_beside_it(works: str, tmp_path: Path) -> None:
    for year, load in ((2025, 100), (2026, 100)):
        run(works, tmp_path, local(year, 1, 1), local(year, 2, 1), load)
    event = """
[[base_adjustment]]
code = "new-line"
enpi = "per-tonne"
event = "new_line"
factor = "FACTOR"
document = "minutes of 2026-01-05"
from = 2026-01-01
"""
    apply_plant(works, tmp_path, WORKS + event.replace("FACTOR", "1.06"))
    compute(works)
    found = figures(
        works, "month", "status, original_status, target_intensity / original_target_intensity",
        "period_from = '2026-01-01'",
    )  # fmt: skip
    assert found == [("on_track", "behind", pytest.approx(1.06))]
    apply_plant(works, tmp_path, WORKS + event.replace("FACTOR", "1.04"))  # below the 5 % threshold
    compute(works)
    assert figures(works, "month", "status, original_status", "period_from = '2026-01-01'") == [
        ("behind", None)
    ]


INDEX = """
[[product]]
code = "wire"
name = {zh = "线材", en = "Wire"}
unit = "t"
[[enpi]]
code = "index"
name = {zh = "能耗指数", en = "Energy index"}
scheme = "electricity"
kind = "index"
products = [{product = "section", base_intensity = "40"}, {product = "wire", base_intensity = "80"}]
[[enpi]]
code = "mixed"
name = {zh = "综合单耗", en = "Mix not removed"}
scheme = "electricity"
kind = "mixed"
products = [{product = "section"}, {product = "wire"}]
[[target]]
enpi = "index"
base_from = 2025-01-01
base_to = 2026-01-01
end_to = 2029-01-01
annual_rate = "0.04"
target_class = "internal"
authority = "test"
"""


def test_an_index_is_not_moved_by_the_mix(works: str, tmp_path: Path) -> None:
    apply_plant(works, tmp_path, WORKS + INDEX)
    for year, load, sections, wire in ((2025, 100, "6", "2"), (2026, 100, "4", "3")):
        since = local(year, 1, 1)
        run(works, tmp_path, since, local(year, 2, 1), load, sections)
        spans = [(since + i * DAY, since + (i + 1) * DAY, wire) for i in range(31)]
        import_production(works, tmp_path, spans, product="wire")
    compute(works)
    columns = "code, intensity, status, output_unit, volume_effect, mix_effect, efficiency_effect"
    found = {r[0]: r[1:] for r in figures(works, "month", columns, "period_from = '2026-01-01'")}
    # 6 x 40 + 2 x 80 = 400 in the base year, 4 x 40 + 3 x 80 = 400 now: the same work.
    index = found["index"]
    assert index[:3] == (pytest.approx(KGCE_A_DAY / 400), "behind", "kgce")
    month = 31 * KGCE_A_DAY
    assert index[3:] == (pytest.approx(-month / 8), pytest.approx(month / 8), pytest.approx(0))
    mixed = found["mixed"]
    assert mixed[:2] == (pytest.approx(KGCE_A_DAY / 7), "no_target")


def test_a_product_without_a_base_withholds_the_index(works: str, tmp_path: Path) -> None:
    apply_plant(works, tmp_path, WORKS + INDEX.replace(', base_intensity = "80"', ""))
    since = local(2026, 1, 1)
    run(works, tmp_path, since, local(2026, 2, 1))
    compute(works)
    where = "code = 'index' AND period_from = '2026-01-01'"
    # Not made: whatever its entry would say is missing, and it does not matter for the others.
    assert figures(works, "month", "withheld_code", where) == [(None,)]
    import_production(works, tmp_path, [(since, local(2026, 2, 1), "5")], product="wire")
    compute(works)
    assert figures(works, "month", "withheld_code", where) == [("product_without_base",)]


def test_missing_days_are_left_out_up_to_a_tenth_of_the_energy(works: str, tmp_path: Path) -> None:
    since, until = local(2026, 3, 1), local(2026, 4, 1)
    times = quarters(since, until)
    import_counts(works, tmp_path, times, steady(times, 100))
    days = [
        (since + i * DAY, since + (i + 1) * DAY, "10") for i in range(31) if i not in (4, 20, 21)
    ]
    import_production(works, tmp_path, days)
    compute(works)
    found = figures(works, "month", "intensity, matched_share, provisional, energy")
    assert found == [
        (
            pytest.approx(KGCE_A_DAY / 10), pytest.approx(28 / 31), True,
            pytest.approx(28 * KGCE_A_DAY),
        )
    ]  # fmt: skip


def test_more_missing_days_withhold_the_month(works: str, tmp_path: Path) -> None:
    since, until = local(2026, 3, 1), local(2026, 4, 1)
    times = quarters(since, until)
    import_counts(works, tmp_path, times, steady(times, 100))
    import_production(
        works, tmp_path, [(since + i * DAY, since + (i + 1) * DAY, "10") for i in range(27)]
    )
    compute(works)
    assert figures(works, "month", "withheld_code, matched_share") == [
        ("output_coverage_low", None)
    ]


LINE = """
[[point]]
code = "mill"
name = {zh = "轧机", en = "Mill"}
medium = "electricity"
role = "sub"
parent = "main"
commissioning = "accepted"
[[point]]
code = "pieces"
name = {zh = "计件", en = "Piece counter"}
medium = "product"
role = "production"
commissioning = "accepted"
[[production_counter]]
point = "pieces"
product = "section"
per_count = "0.25"
[[enpi]]
code = "mill"
name = {zh = "轧机单耗", en = "Mill per tonne"}
scheme = "electricity"
product = "section"
stage = "counted"
points = [{point = "mill"}]
"""


def test_a_line_is_its_own_meter_over_what_the_plc_counted(works: str, tmp_path: Path) -> None:
    apply_plant(works, tmp_path, WORKS + LINE)
    since, until = local(2026, 3, 1), local(2026, 3, 3)
    times = quarters(since, until)
    import_counts(works, tmp_path, times, steady(times, 500))
    import_counts(
        works, tmp_path, times, steady(times, 10), point="mill", side="primary", modulus=None
    )
    # 5 pieces a quarter; the counter begins again at each shift, twelve hours long (F28).
    pieces = [(i % 48) * 5 for i in range(len(times))]
    import_counts(
        works, tmp_path, times, pieces, point="pieces", quantity="pieces", unit="pcs",
        register_scale="1", side="primary", counter="periodic", modulus=None,
    )  # fmt: skip
    compute(works)
    found = figures(works, "day", "intensity, output, status, coverage", "code = 'mill'")
    # The last five pieces of each shift went with the reset, unseen: 47 x 5 of 48 x 5, twice a day.
    seen = [470, 470]
    assert [f[1] for f in found] == [pytest.approx(s * 0.25) for s in seen]
    assert found[0][0] == pytest.approx(96 * 10 * 0.01 * 0.1229 / (470 * 0.25))
    assert rows(works, "SELECT count(*) FROM finding WHERE code = 'reset'") == [(0,)]


def test_a_point_that_is_not_accepted_withholds_its_line(works: str, tmp_path: Path) -> None:
    plant = (
        (WORKS + LINE)
        .replace(
            'parent = "main"\ncommissioning = "accepted"',
            'parent = "main"\ncommissioning = "wired"',
        )
        .replace('stage = "counted"', 'stage = "qualified"')
    )
    apply_plant(works, tmp_path, plant)
    times = quarters(local(2026, 3, 1), local(2026, 3, 2))
    import_counts(works, tmp_path, times, steady(times, 500))
    import_counts(works, tmp_path, times, steady(times, 10), point="mill", side="primary")
    import_production(works, tmp_path, [(times[0], times[-1], "10")])
    compute(works)
    found = figures(works, "month", "withheld_code", "code = 'mill'")
    assert found == [("point_not_accepted",)]


OWNED = """
[[enterprise]]
code = "group"
name = {zh = "集团", en = "Group"}
[[ownership]]
enterprise = "group"
share = "SHARE"
"""


def second_site(plant: str) -> str:
    return (
        plant.replace('code = "works"', 'code = "works2"', 1)
        .replace('id = "gw1"', 'id = "gw3"')
        .replace('id = "gw2"', 'id = "gw4"')
        .replace('agent = "gw1"', 'agent = "gw3"')
    )


def test_an_enterprise_is_the_ratio_of_sums_never_the_mean(works: str, tmp_path: Path) -> None:
    plant = WORKS.replace('product = "section"', 'product = "section"\nof_enterprise = true')
    apply_plant(works, tmp_path, plant + OWNED.replace("SHARE", "1"))
    apply_plant(works, tmp_path, second_site(plant) + OWNED.replace("SHARE", "0.5"))
    run(works, tmp_path, local(2026, 1, 1), local(2026, 2, 1), 100, "10")
    with connect(works, "test", autocommit=True) as connection:
        # The second site invoices its electricity: 30,000 kWh for 20 t.
        connection.execute(
            "INSERT INTO energy_ledger (site_id, medium, kind, quantity, unit, from_ts, to_ts,"
            " document, source, synthetic, batch, author, reason, commit_no)"
            " SELECT site_id, 'electricity', 'purchase', 30000, 'kWh', %s, %s, 'invoice', 'test',"
            " false, 0, 'tester', 'test', 1 FROM site WHERE code = 'works2'",
            (local(2026, 1, 1), local(2026, 2, 1)),
        )
    import_production(
        works, tmp_path, [(local(2026, 1, 1), local(2026, 2, 1), "20")], site="works2"
    )
    compute(works)
    found = rows(
        works,
        "SELECT energy, output, intensity, cardinality(site_ids), withheld_code"
        " FROM enterprise_enpi_period WHERE period_kind = 'month' AND period_from = '2026-01-01'",
    )
    energy, output = 31 * KGCE_A_DAY + 0.5 * 30000 * 0.1229, 310 + 0.5 * 20
    assert found == [
        (pytest.approx(energy), pytest.approx(output), pytest.approx(energy / output), 2, None)
    ]


def test_a_lot_is_cut_from_the_registers_at_its_own_ends(works: str, tmp_path: Path) -> None:
    plant = (WORKS + LINE).replace('stage = "counted"', 'stage = "qualified"')
    apply_plant(works, tmp_path, plant)
    since = local(2026, 3, 1)
    times = [since + i * dt.timedelta(minutes=1) for i in range(24 * 60 + 1)]
    # A heat of 47 minutes takes 20 counts a minute, the pause after it 2.
    counts, level = [0], 0
    for i in range(24 * 60):
        level += 20 if 127 <= i < 174 else 2
        counts.append(level)
    import_counts(
        works, tmp_path, times, counts, period_s=60, point="mill", side="primary", modulus=None
    )
    import_counts(works, tmp_path, times, [100 * c for c in counts], period_s=60)
    begin, end = since + dt.timedelta(minutes=127), since + dt.timedelta(minutes=174)
    import_production(works, tmp_path, [(begin, end, "8")], lots=["heat-7"])
    compute(works)
    query = "SELECT lot, energy, intensity, estimated_share, withheld_code FROM lot_energy"
    energy = 47 * 20 * 0.01 * 0.1229
    found = [("heat-7", pytest.approx(energy), pytest.approx(energy / 8), 0.0, None)]
    assert rows(works, query) == found
    # A minute in the middle of the heat that was not read at either end is still bracketed.
    half = dt.timedelta(seconds=30)
    import_production(works, tmp_path, [(begin + half, end + half, "8")], lots=["heat-8"])
    compute(works)
    energy = (46.5 * 20 + 0.5 * 2) * 0.01 * 0.1229
    assert rows(works, query + " WHERE lot = 'heat-8'")[0][1] == pytest.approx(energy)


def test_tariff_registers_are_held_against_the_total(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 3))
    import_counts(works, tmp_path, times, steady(times, 100))
    # Of the first day both registers count all of it; on the second day the peak's stands still.
    for channel, share in (("total_peak", 60), ("total_valley", 40)):
        counts = [min(i, 96 if channel == "total_peak" else 192) * share for i in range(len(times))]
        import_counts(works, tmp_path, times, counts, channel=channel)
    compute(works)
    found = rows(
        works,
        "SELECT at_ts, evidence->>'difference', subject FROM finding"
        " WHERE code = 'tariff_registers_differ' AND withdrawn_version IS NULL",
    )
    assert [(f[0], float(f[1]), f[2]) for f in found] == [
        (local(2026, 3, 2), pytest.approx(-96 * 60 * 0.4), "active_energy total")
    ]


def test_without_a_total_the_tariff_registers_make_it(works: str, tmp_path: Path) -> None:
    times = quarters(local(2026, 3, 1), local(2026, 3, 2))
    for channel, share in (("total_peak", 60), ("total_valley", 40)):
        import_counts(works, tmp_path, times, steady(times, share), channel=channel)
    import_production(works, tmp_path, [(times[0], times[-1], "10")])
    compute(works)
    assert figures(works, "day", "intensity") == [(pytest.approx(KGCE_A_DAY / 10),)]


TREE = """
[[point]]
code = "{code}"
name = {{zh = "分表", en = "Sub-meter"}}
medium = "electricity"
role = "sub"
parent = "main"
commissioning = "accepted"
"""
VIRTUAL = """
[[virtual_point]]
code = "rest"
name = {zh = "其余", en = "The rest"}
medium = "electricity"
formula = "main - a"
to = 2026-03-02
[[virtual_point]]
code = "rest"
name = {zh = "其余", en = "The rest"}
medium = "electricity"
formula = "main - a - 0.5 * b"
from = 2026-03-02
[[enpi]]
code = "rest"
name = {zh = "其余单耗", en = "The rest per tonne"}
scheme = "electricity"
product = "section"
points = [{point = "rest"}]
"""


def tree(works: str, folder: Path, main: int, a: int, b: int) -> None:
    """Two days of kWh a quarter of an hour on a main meter and two below."""
    times = quarters(local(2026, 3, 1), local(2026, 3, 3))
    apply_plant(works, folder, WORKS + TREE.format(code="a") + TREE.format(code="b") + VIRTUAL)
    for code, kwh in (("main", main), ("a", a), ("b", b)):
        import_counts(
            works, folder, times, steady(times, kwh), point=code, register_scale="1",
            side="primary", modulus=None,
        )  # fmt: skip


def test_a_virtual_point_uses_the_formula_of_its_day(works: str, tmp_path: Path) -> None:
    tree(works, tmp_path, 100, 40, 30)
    since = local(2026, 3, 1)
    import_production(works, tmp_path, [(since, since + 2 * DAY, "20")])
    compute(works)
    amounts = rows(
        works,
        "SELECT amount, coverage FROM virtual_point_period WHERE period_kind = 'day' ORDER BY"
        " period_from",
    )
    assert amounts == [(pytest.approx(96 * 60), 1.0), (pytest.approx(96 * 45), 1.0)]
    found = figures(works, "day", "intensity", "code = 'rest'")
    assert [f[0] for f in found] == [pytest.approx(96 * kwh * 0.1229 / 10) for kwh in (60, 45)]
    months = rows(works, "SELECT amount FROM virtual_point_period WHERE period_kind = 'month'")
    assert months == [(pytest.approx(96 * 105),)]


def test_sub_meters_above_their_main_meter_are_a_finding(works: str, tmp_path: Path) -> None:
    tree(works, tmp_path, 100, 70, 50)
    compute(works)
    query = (
        "SELECT parent_point_id = 0, main, children, remainder, status FROM balance_period"
        " WHERE period_kind = 'day' AND period_from = '2026-03-01' ORDER BY 1"
    )
    of_day = (96 * 100.0, 96 * 120.0, -96 * 20.0, "off")
    assert rows(works, query) == [(False, *of_day), (True, *of_day)]
    found = rows(
        works,
        "SELECT subject, evidence->>'children' FROM finding WHERE code = 'balance_off'"
        " AND withdrawn_version IS NULL AND at_ts = '2026-02-28T16:00Z'",
    )
    assert [(f[0], float(f[1])) for f in found] == [("electricity", 96 * 120.0)] * 2


def test_what_is_not_metered_below_is_a_remainder(works: str, tmp_path: Path) -> None:
    tree(works, tmp_path, 100, 40, 30)
    compute(works)
    found = rows(
        works, "SELECT DISTINCT status, remainder FROM balance_period WHERE period_kind = 'day'"
    )
    assert found == [("remainder", 96 * 30.0)]
    assert rows(works, "SELECT count(*) FROM finding WHERE code = 'balance_off'") == [(0,)]


def test_a_sub_meter_that_was_not_read_is_named(works: str, tmp_path: Path) -> None:
    tree(works, tmp_path, 100, 40, 30)
    with connect(works, "test", autocommit=True) as connection:
        connection.execute(
            "DELETE FROM reading WHERE series_id = (SELECT series_id FROM series"
            " JOIN point USING (point_id) WHERE code = 'b') AND ts > %s",
            (local(2026, 3, 2),),
        )
    compute(works)
    found = rows(
        works,
        "SELECT DISTINCT period_from, status, incomplete FROM balance_period"
        " WHERE period_kind = 'day' ORDER BY 1",
    )
    assert found == [
        (dt.date(2026, 3, 1), "remainder", []), (dt.date(2026, 3, 2), "incomplete", ["b"])
    ]  # fmt: skip


VALUE_ADDED = """
[[enterprise]]
code = "owner"
name = {zh = "公司", en = "Company"}
[[ownership]]
enterprise = "owner"
[[enpi]]
code = "value"
name = {zh = "万元增加值能耗", en = "Per value added"}
scheme = "electricity"
kind = "value_added"
price_year = 2020
of_enterprise = true
[[target]]
enpi = "value"
base_from = 2025-01-01
base_to = 2026-01-01
end_to = 2029-01-01
annual_rate = "0.04"
target_class = "assigned"
authority = "test"
"""


def publish(works: str, folder: Path, lines: list[str], *, supersede: bool = False) -> None:
    table, mapping = folder / f"va{len(lines)}{supersede}.csv", folder / "va.toml"
    table.write_text(
        "\n".join(["enterprise,price_year,value_yuan,from,to", *lines]) + "\n", "utf-8"
    )
    mapping.write_text('site = "works"\nsource = "statistics"\n', "utf-8")
    with connect(works, "test", autocommit=True) as connection:
        import_value_added(connection, table, mapping, "tester", supersede=supersede)


def test_energy_per_value_added_takes_what_was_published(works: str, tmp_path: Path) -> None:
    apply_plant(works, tmp_path, WORKS + VALUE_ADDED)
    level = run(works, tmp_path, local(2025, 1, 1), local(2026, 1, 1))
    run(works, tmp_path, local(2026, 1, 1), local(2026, 4, 1), 100, level=level)
    quarter, year = "2025-01-01,2025-04-01", "2025-01-01,2026-01-01"
    publish(works, tmp_path, [
        f"owner,2020,9000000,{quarter}", f"owner,2020,40000000,{year}",
        "owner,2020,9900000,2026-01-01,2026-04-01",
    ])  # fmt: skip
    compute(works)
    columns = "period_to, intensity, target_intensity, status, withheld_code"
    where = "code = 'value' AND period_from = '2026-01-01'"
    by_end = {r[0]: r[1:] for r in figures(works, "year_to_date", columns, where)}
    energy = 90 * KGCE_A_DAY
    # 990 ten thousands of yuan against 900 in the same quarter: 1/1.1 of the intensity.
    assert by_end[dt.date(2026, 4, 1)] == (
        pytest.approx(energy / 990), pytest.approx(0.96 * energy / 900), "on_track", None
    )  # fmt: skip
    assert by_end[dt.date(2026, 3, 1)][3] == "value_added_missing"  # nobody published two months
    owned = rows(
        works,
        "SELECT intensity, status FROM enterprise_enpi_period WHERE period_kind = 'quarter'"
        " AND period_from = '2026-01-01'",
    )
    assert owned == [(pytest.approx(energy / 990), "on_track")]
    # The next vintage is a loss: there is no intensity, and the energy stays.
    publish(works, tmp_path, ["owner,2020,-100000,2026-01-01,2026-04-01"], supersede=True)
    compute(works)
    withheld = "withheld_code, energy"
    assert figures(works, "quarter", withheld, where) == [
        ("value_added_not_positive", pytest.approx(energy))
    ]


def test_stages_are_shown_with_what_lies_between(works: str, tmp_path: Path) -> None:
    since, until = local(2026, 3, 1), local(2026, 4, 1)
    apply_plant(works, tmp_path, WORKS + LINE)
    times = quarters(since, until)
    import_counts(
        works, tmp_path, times, [4 * i for i in range(len(times))], point="pieces",
        quantity="pieces", unit="pcs", register_scale="1", side="primary", modulus=None,
    )  # fmt: skip
    import_production(works, tmp_path, [(since, until, "2900")])
    import_production(works, tmp_path, [(since, until, "50")], disposition="scrap")
    compute(works)
    with connect(works, "test", autocommit=True) as connection:
        found = [line.split() for line in output_lines(connection, "works", "section", "2026-03")]
        judged = enpi_lines(connection, "works", "per-tonne", "month", 5)
    # 31 days of 96 quarters with 4 pieces of a quarter of a tonne each: 2,976 t were counted.
    assert found[1] == ["counted", "2,976.000", "0.000", "0.000", "1.000", "76.000"]
    assert found[2][:5] == ["qualified", "2,900.000", "50.000", "0.000", "1.000"]
    assert found[3][1] == "—"
    assert "energy_missing" in judged[1]


def test_output_that_was_entered_twice_is_a_finding(works: str, tmp_path: Path) -> None:
    run(works, tmp_path, local(2026, 3, 1), local(2026, 4, 1))
    import_production(works, tmp_path, [(local(2026, 3, 1), local(2026, 4, 1), "310")])
    compute(works)
    query = (
        "SELECT subject, at_ts, (evidence->>'pairs')::int FROM finding"
        " WHERE code = 'output_overlaps' AND withdrawn_version IS NULL ORDER BY at_ts"
    )
    found = rows(works, query)
    assert len(found) == 31  # the month lies over each of its days
    assert found[3] == ("section l1 qualified", local(2026, 3, 4), 1)


def test_what_a_counter_did_not_see_withholds_the_month(works: str, tmp_path: Path) -> None:
    apply_plant(works, tmp_path, WORKS + LINE)
    times = quarters(local(2026, 3, 1), local(2026, 4, 1))
    import_counts(works, tmp_path, times, steady(times, 500))
    import_counts(
        works, tmp_path, times, steady(times, 10), point="mill", side="primary", modulus=None
    )
    half = times[len(times) // 2 :]
    import_counts(
        works, tmp_path, half, steady(half, 5), point="pieces", quantity="pieces", unit="pcs",
        register_scale="1", side="primary", modulus=None,
    )  # fmt: skip
    compute(works)
    found = figures(works, "month", "withheld_code, intensity", "code = 'mill'")
    assert found == [("output_coverage_low", None)]


def test_an_end_value_follows_the_whole_base_year(works: str, tmp_path: Path) -> None:
    plant = WORKS.replace('annual_rate = "0.04"', 'end_value = "40"')
    apply_plant(works, tmp_path, plant)
    level = run(works, tmp_path, local(2025, 1, 1), local(2026, 1, 1))
    run(works, tmp_path, local(2026, 1, 1), local(2026, 2, 1), level=level)
    compute(works)
    query = ("month", "target_intensity", "period_from = '2026-01-01'")
    [(before,)] = figures(works, *query)
    e = KGCE_A_DAY / 10
    assert before == pytest.approx(e * (40 / e) ** (1 / 3))
    # A second line in July makes the base year better, and the way to the end value shorter.
    import_production(works, tmp_path, [(local(2025, 7, 1), local(2025, 8, 1), "365")], line="l2")
    compute(works)
    whole = e * 10 / 11
    assert figures(works, *query) == [(pytest.approx(e * (40 / whole) ** (1 / 3)),)]


def test_a_shift_that_ended_leaves_no_figure(works: str, tmp_path: Path) -> None:
    plant = WORKS.replace(
        'timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nproduction_day_start = 08:00:00'
    ).replace('product = "section"', 'product = "section"\ncalendar = "production"')
    apply_plant(works, tmp_path, plant + SHIFTS)
    run(works, tmp_path, local(2026, 3, 1, 8), local(2026, 3, 4, 8))
    compute(works)
    assert len(figures(works, "shift", "shift")) == 6
    ended = SHIFTS.replace('code = "night"', 'code = "night"\nto = 2026-03-02')
    apply_plant(works, tmp_path, plant + ended)
    compute(works)
    found = figures(works, "shift", "period_from, shift")
    assert [d.day for d, shift in found if shift == "day"] == [1, 2, 3]
    assert [d.day for d, shift in found if shift == "night"] == [1]


def test_another_reporting_month_leaves_no_figure_of_the_old_one(
    works: str, tmp_path: Path
) -> None:
    run(works, tmp_path, local(2026, 1, 1), local(2026, 3, 1))
    compute(works)
    assert len(figures(works, "month", "period_from")) == 2
    apply_plant(
        works, tmp_path,
        WORKS.replace('timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nmonth_day = 26'),
    )  # fmt: skip
    compute(works)
    starts = [first for (first,) in figures(works, "month", "period_from")]
    assert starts == [dt.date(2025, 12, 26), dt.date(2026, 1, 26), dt.date(2026, 2, 26)]
    for table in ("scheme_energy_period", "product_energy_period"):
        left = rows(works, f"SELECT DISTINCT period_from FROM {table} WHERE period_kind = 'month'")
        assert {first for (first,) in left} <= set(starts)


def test_an_enpi_that_ended_says_nothing_of_the_time_after_it(works: str, tmp_path: Path) -> None:
    run(works, tmp_path, local(2026, 1, 1), local(2026, 3, 1))
    compute(works)
    ended = WORKS.replace('product = "section"', 'product = "section"\nto = 2026-02-01')
    apply_plant(works, tmp_path, ended)
    compute(works)
    found = figures(works, "month", "period_from, intensity")
    assert found == [(dt.date(2026, 1, 1), pytest.approx(KGCE_A_DAY / 10))]
    assert figures(works, "year_to_date", "period_to") == [(dt.date(2026, 2, 1),)]


def test_an_enterprise_knows_reporting_months_and_judges_two_together(
    works: str, tmp_path: Path
) -> None:
    plant = (
        WORKS.replace('timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\nmonth_day = 26')
        .replace('product = "section"', 'product = "section"\nof_enterprise = true')
        .replace("base_from = 2025-01-01\nbase_to = 2026-01-01",
                 "base_from = 2024-12-26\nbase_to = 2025-12-26")
        .replace('target_class = "internal"', 'target_class = "assigned"')
    )  # fmt: skip
    apply_plant(works, tmp_path, plant + OWNED.replace("SHARE", "1"))
    level = run(works, tmp_path, local(2024, 12, 26), local(2025, 3, 26))
    run(works, tmp_path, local(2025, 12, 26), local(2026, 3, 26), 95, level=level)
    compute(works)
    query = (
        "SELECT period_from, status FROM enterprise_enpi_period WHERE period_kind = 'month'"
        " AND period_from > '2025-07-01' AND status <> 'withheld' ORDER BY 1"
    )
    assert rows(works, query) == [
        (dt.date(2025, 12, 26), "joint"), (dt.date(2026, 1, 26), "joint"),
        (dt.date(2026, 2, 26), "on_track"),
    ]  # fmt: skip
    # The works leaves the sum: what it made with others is no figure any more.
    apply_plant(works, tmp_path, plant.replace("of_enterprise = true", "of_enterprise = false"))
    compute(works)
    assert rows(works, "SELECT count(*) FROM enterprise_enpi_period") == [(0,)]


def test_value_added_is_that_of_the_owner_then(works: str, tmp_path: Path) -> None:
    sold = VALUE_ADDED.replace('enterprise = "owner"', 'enterprise = "owner"\nto = 2026-01-01')
    buyer = """
[[enterprise]]
code = "buyer"
name = {zh = "买方", en = "Buyer"}
[[ownership]]
enterprise = "buyer"
from = 2026-01-01
"""
    apply_plant(works, tmp_path, WORKS + sold + buyer)
    level = run(works, tmp_path, local(2025, 10, 1), local(2026, 1, 1))
    run(works, tmp_path, local(2026, 1, 1), local(2026, 4, 1), level=level)
    quarter = "2026-01-01,2026-04-01"
    publish(works, tmp_path, [
        f"owner,2020,9000000,{quarter}", f"buyer,2020,5000000,{quarter}",
        "owner,2020,8000000,2025-10-01,2026-01-01",
    ])  # fmt: skip
    compute(works)
    found = figures(works, "quarter", "output", "code = 'value'")
    assert found == [(pytest.approx(800),), (pytest.approx(500),)]


def test_a_day_beside_its_lots_was_entered_twice(works: str, tmp_path: Path) -> None:
    since = local(2026, 3, 1)
    times = quarters(since, since + DAY)
    import_counts(works, tmp_path, times, steady(times, 100))
    import_production(works, tmp_path, [(since, since + DAY, "10")])
    half = since + DAY / 2
    import_production(
        works, tmp_path, [(since, half, "6"), (half, since + DAY, "4")], lots=["a", "b"]
    )
    compute(works)
    query = "SELECT (evidence->>'pairs')::int FROM finding WHERE code = 'output_overlaps'"
    assert rows(works, query) == [(2,)]


def test_a_lot_of_an_index_is_weighed(works: str, tmp_path: Path) -> None:
    own = LINE.replace(
        'code = "mill"\nname = {zh = "轧机单耗"', 'code = "one"\nname = {zh = "单耗"'
    )
    index = INDEX.replace('kind = "index"', 'kind = "index"\npoints = [{point = "mill"}]')
    apply_plant(works, tmp_path, WORKS + own + index)
    since = local(2026, 3, 1)
    times = quarters(since, since + DAY)
    import_counts(works, tmp_path, times, steady(times, 500))
    import_counts(
        works, tmp_path, times, steady(times, 10), point="mill", side="primary", modulus=None
    )
    end = since + DAY / 2
    import_production(works, tmp_path, [(since, end, "2")], lots=["heat-1"])
    import_production(works, tmp_path, [(since, end, "3")], lots=["heat-1"], product="wire")
    compute(works)
    found = rows(
        works,
        "SELECT output, output_unit FROM lot_energy JOIN enpi USING (enpi_id) WHERE code = 'index'",
    )
    assert found == [(pytest.approx(2 * 40 + 3 * 80), "kgce")]
