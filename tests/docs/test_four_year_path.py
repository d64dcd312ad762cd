"""The four-year path of the documents, in both languages, is what the code says."""

from __future__ import annotations

from fractions import Fraction

import pytest

from analytics.enpis.change import split_change
from analytics.enpis.targets import Status, judge, target_intensity
from tests.docs.tables import EXAMPLES, number, table

ENGLISH, CHINESE = EXAMPLES / "four-year-path.md", EXAMPLES / "four-year-path.zh.md"
HEADINGS = {
    ENGLISH: ("The base year", "The path", "Three verdicts", "What changed in 2027"),
    CHINESE: ("基期", "路径", "三个判定", "2027年的变化从何而来"),
}
WORDS = {"behind": "behind", "on track": "on_track", "slow": "slow", "落后": "behind",
         "达标": "on_track", "偏慢": "slow"}  # fmt: skip


@pytest.fixture(params=[ENGLISH, CHINESE], ids=["en", "zh"])
def tables(request: pytest.FixtureRequest) -> list[list[list[str]]]:
    return [
        [list(row.values()) for row in table(request.param, heading)]
        for heading in HEADINGS[request.param]
    ]


def test_the_year_is_the_ratio_of_sums(tables: list[list[list[str]]]) -> None:
    *quarters, year = tables[0]
    assert number(year[1]) == sum(number(q[1]) for q in quarters)
    assert number(year[2]) == sum(number(q[2]) for q in quarters)
    for _, energy, output, intensity in tables[0]:
        assert number(energy) * 1000 / number(output) == number(intensity)


def test_the_path(tables: list[list[list[str]]]) -> None:
    for _, k, of_year, of_quarter in tables[1]:
        assert target_intensity(100, 0.04, int(k)) == pytest.approx(float(number(of_year)))
        assert target_intensity(120, 0.04, int(k)) == pytest.approx(float(number(of_quarter)))


def test_the_verdicts(tables: list[list[list[str]]]) -> None:
    for _, energy, output, intensity, base, k, target, ratio, share, word in tables[2]:
        measured = float(number(energy) * 1000 / number(output))
        assert measured == pytest.approx(float(number(intensity)), abs=5e-5)
        verdict = judge(measured, float(number(base)), 0.04, int(k), 4)
        assert verdict.status is Status(WORDS[word])
        assert verdict.target_intensity == pytest.approx(float(number(target)))
        assert verdict.progress_ratio == pytest.approx(float(number(ratio)), abs=5e-5)
        assert verdict.cumulative_progress == pytest.approx(float(number(share)), abs=5e-5)


def test_the_change(tables: list[list[list[str]]]) -> None:
    change = split_change(
        Fraction(4000), Fraction(3640), [Fraction(40_000)], [Fraction(40_400)], [Fraction(1)],
        one_unit=True,
    )  # fmt: skip
    assert change is not None
    said = [number(row[2]) for row in tables[3]]
    assert said == [change.volume, change.mix, change.efficiency, Fraction(-360)]
