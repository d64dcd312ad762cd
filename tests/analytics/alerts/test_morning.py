"""The morning message of days whose figures were computed from readings; and its one cause."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from analytics.alerts.morning import Cause, Morning, load_morning
from analytics.alerts.morning.causes import Candidate, choose
from analytics.alerts.rules import load_alert_site
from enpilot.database import connect
from tests.analytics.cost_works import COST_WORKS
from tests.analytics.test_engine import compute, local
from tests.imported import apply_plant, import_counts, import_production
from tests.services.postgres import DatabaseServer

DAY = dt.timedelta(days=1)
FIRST = local(2026, 3, 2)  # a Monday
SUBS = "".join(
    f"""
[[point]]
code = "{code}"
name = {{zh = "{code}", en = "{code}"}}
medium = "electricity"
role = "sub"
parent = "main"
commissioning = "accepted"
"""
    for code in ("press", "rest")
)
LIKE = 4 * 7
# Day: of which sub-meter [kWh/h], and output [t]; the four weeks before are all (40, 60), 10 t.
DAYS = {
    LIKE: (60, 60, 10),  # the press alone
    LIKE + 1: (60, 80, 10),  # both
    LIKE + 2: (80, 120, 20),  # twice the output, twice the energy
    LIKE + 3: (40, 60, None),  # nobody entered what was made
}


@pytest.fixture(scope="module")
def works(
    postgres_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("morning")
    with postgres_server.database() as url:
        apply_plant(url, folder, COST_WORKS + SUBS)
        last = LIKE + len(DAYS)
        hours = [FIRST + n * dt.timedelta(hours=1) for n in range(last * 24 + 1)]
        for point, of in (("press", 0), ("rest", 1), ("main", None)):
            counts = [0]
            for n in range(last * 24):
                both = DAYS.get(n // 24, (40, 60, 10))[:2]
                counts.append(counts[-1] + (both[0] + both[1] if of is None else both[of]))
            import_counts(
                url, folder, hours, counts, period_s=3600, point=point, unit="kWh",
                register_scale="1", side="primary",
            )  # fmt: skip
        made = [(d, DAYS.get(d, (0, 0, 10))[2]) for d in range(last)]
        import_production(
            url, folder,
            [(FIRST + d * DAY, FIRST + (d + 1) * DAY, str(t)) for d, t in made if t is not None],
        )  # fmt: skip
        compute(url)
        yield url


def said(url: str, day: int) -> Morning:
    with connect(url, "test", autocommit=True) as connection:
        row = connection.execute("SELECT site_id FROM site WHERE code = 'works'").fetchone()
        assert row is not None
        site = load_alert_site(connection, int(str(row[0])))
        return load_morning(connection, site, FIRST.date() + day * DAY)


def test_a_day_is_compared_with_the_same_weekdays_and_its_cause_is_the_press(works: str) -> None:
    morning = said(works, LIKE)
    assert morning.day == "2026-03-30"
    assert morning.electricity_kwh == pytest.approx(120 * 24)
    assert (morning.output, morning.basis) == (10.0, "like_days")
    assert morning.intensity == pytest.approx(1.2 * (morning.expected or 0.0))
    assert morning.distance == pytest.approx(0.2)
    assert (morning.coverage, morning.withheld_code) == (1.0, None)
    assert morning.cost_yuan is not None
    assert (morning.cause.kind, morning.cause.name_en) == ("waste", "press")
    assert morning.cause.code == "profile_exceeded"
    assert morning.cause.share == pytest.approx(1.0)
    assert morning.cause.tce == pytest.approx(20 * 24 * 0.1229 / 1000)
    assert (morning.action.kind, morning.action.name_en) == ("waste", "press")
    assert Morning.of(morning.facts()) == morning


def test_what_two_meters_moved_alike_is_told_of_the_first(works: str) -> None:
    morning = said(works, LIKE + 1)
    assert morning.distance == pytest.approx(0.4)
    assert morning.cause.share == pytest.approx(0.5)


def test_twice_the_output_with_twice_the_energy_is_as_expected(works: str) -> None:
    morning = said(works, LIKE + 2)
    assert morning.distance == pytest.approx(0.0)
    assert morning.cause.kind == "none"


def test_a_withheld_figure_says_why_and_what_helps(works: str) -> None:
    morning = said(works, LIKE + 3)
    assert (morning.intensity, morning.withheld_code) == (None, "output_missing")
    assert morning.electricity_kwh == pytest.approx(100 * 24)
    assert (morning.cause.kind, morning.action.kind) == ("withheld", "withheld")


def test_of_a_day_without_figures_nothing_is_made_up(works: str) -> None:
    morning = said(works, -400)
    assert not morning.has_figure
    assert (morning.intensity, morning.expected, morning.cost_yuan) == (None, None, None)


def at(kind: str, tce: float, point: int | None = None, parent: int | None = None) -> Candidate:
    assert kind in ("waste", "point", "shift")
    return Candidate(Cause(kind=kind, code=kind, name_en=f"{kind}{point}"), tce, point, parent)  # type: ignore[arg-type]  # checked above


@pytest.mark.parametrize(
    ("candidates", "excess", "expected"),
    [
        ([], 1.0, ("none", "")),
        ([at("point", 0.5, 1), at("point", 0.4, 2)], 1.0, ("point", "point1")),
        ([at("point", 0.3, 1), at("point", 0.3, 2)], 1.0, ("none", "")),
        # What saved does not explain what was used, and the other way round.
        ([at("point", -0.9, 1)], 1.0, ("none", "")),
        ([at("point", -0.9, 1), at("point", 0.9, 2)], -1.0, ("point", "point1")),
        # A waste at the same meter has a remedy; a meter below with most of it is the better name.
        ([at("point", 0.9, 1), at("waste", 0.5, 1)], 1.0, ("waste", "waste1")),
        ([at("point", 0.9, 1), at("point", 0.8, 2, 1)], 1.0, ("point", "point2")),
        ([at("point", 0.9, 1), at("point", 0.5, 2, 1)], 1.0, ("point", "point1")),
        # Of two shifts each has half of it anyway.
        ([at("shift", 0.5), at("shift", 0.5)], 1.0, ("none", "")),
        ([at("shift", 0.7), at("shift", 0.3)], 1.0, ("shift", "shiftNone")),
        # Without anything expected, the largest waste.
        ([at("point", 0.9, 1), at("waste", 0.1, 2)], None, ("waste", "waste2")),
        ([at("point", 0.9, 1)], None, ("none", "")),
    ],
)
def test_the_one_cause(
    candidates: list[Candidate], excess: float | None, expected: tuple[str, str]
) -> None:
    cause = choose(candidates, excess)
    assert (cause.kind, cause.name_en) == expected
