"""The savings report that the documentation computes by hand, computed by the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from analytics.baselines.model import ModelForm
from analytics.baselines.regression import Regression, fit
from analytics.baselines.selection import select_model
from analytics.baselines.validity import Usability, judge_model, verdict_of
from analytics.savings.avoided import ClaimCode, avoided_energy, effective_points

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
PAGES = ["savings-report.md", "savings-report.zh.md"]
TCE_PER_MWH = 0.1229


class Page:
    """The tables of a page, as numbers."""

    def __init__(self, name: str) -> None:
        self.text = (EXAMPLES / name).read_text("utf-8")
        figures = re.compile(r"^\| [^|]* \| `(\w+)` \| ([\d.]+) \|", re.MULTILINE)
        rows = re.compile(r"^\| (\d{4}-\d\d|Σ) \| (.*) \|$", re.MULTILINE)
        months = [
            (month, [float(c) for c in cells.split("|")])
            for month, cells in rows.findall(self.text)
        ]
        before = next(i for i, (m, _) in enumerate(months) if m == "Σ")
        self.base = np.array([row for _, row in months[:before]])
        self.base_sum = np.array(months[before][1])
        self.report = np.array([row for _, row in months[before + 1 : -1]])
        self.report_sum = np.array(months[-1][1])
        self.said = dict(figures.findall(self.text))

    def holds(self, name: str, value: float) -> bool:
        """Whether a value is the printed one, to its last digit."""
        printed = self.said[name]
        digits = len(printed.partition(".")[2])
        return round(value, digits) == float(printed)

    def model(self) -> Regression:
        return fit(self.base[:, 1], ["output"], self.base[:, :1])


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(request.param)


def test_the_columns_of_the_tables_are_right(page: Page) -> None:
    assert len(page.base) == len(page.report) == 12
    output, energy, off, square, product, expected, e, e2 = page.base.T
    assert np.array_equal(off, output - 50)
    assert np.array_equal(square, off**2)
    assert np.array_equal(product, off * (energy - 200))
    assert np.array_equal(e, energy - expected)
    assert np.array_equal(e2, e**2)
    assert np.array_equal(page.base.sum(axis=0), page.base_sum)
    _, expected, adjustment, used, saved = page.report.T
    assert np.array_equal(saved, expected + adjustment - used)
    assert np.array_equal(page.report.sum(axis=0), page.report_sum)


def test_the_model_is_the_codes(page: Page) -> None:
    r = page.model()
    assert page.holds("intercept", r.coefficients[0].value)
    assert page.holds("slope", r.coefficients[1].value)
    assert page.holds("t", r.coefficients[1].t)
    for name in ("s", "r_squared", "f", "autocorrelation"):
        assert page.holds(name, getattr(r, name)), name
    assert page.holds("cv_rmse", r.cv_rmse * 100)
    assert page.holds("effective_points", effective_points(r.n, r.autocorrelation))
    assert r.expected(page.base[:, :1]) == pytest.approx(page.base[:, 5])
    assert r.expected(page.report[:, :1]) == pytest.approx(page.report[:, 1])


def test_the_model_passes_its_tests(page: Page) -> None:
    chosen = select_model([ModelForm(("output",))], page.base[:, 1], {"output": page.base[:, 0]})
    assert verdict_of(judge_model(chosen, signs={"output": 1})) is Usability.USABLE


def test_the_saving_is_the_codes(page: Page) -> None:
    s = avoided_energy(
        page.model(), page.report[:, :1], page.report[:, 3],
        adjustments=page.report[:, 2].tolist(), expected_periods=12,
    )  # fmt: skip
    assert s.fraction is not None
    assert s.fractional_uncertainty is not None
    found = {
        "adjusted": s.adjusted_baseline + s.adjustment,
        "actual": s.actual,
        "saving": s.saving,
        "fraction": s.fraction * 100,
        "fractional_uncertainty": s.fractional_uncertainty * 100,
        "uncertainty": s.uncertainty,
        "tce": s.saving * TCE_PER_MWH,
        "uncertainty_tce": s.uncertainty * TCE_PER_MWH,
    }
    assert {name: page.holds(name, value) for name, value in found.items()} == dict.fromkeys(
        found, True
    )
    assert s.claim is ClaimCode.CLAIMABLE


def test_both_languages_say_the_same() -> None:
    one, other = (Page(name) for name in PAGES)
    assert one.said == other.said
    assert np.array_equal(one.base, other.base)
    assert np.array_equal(one.report, other.report)
