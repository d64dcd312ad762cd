"""Change points, the choice of variables, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.baselines.change_points import CHANGE_POINTS, bend, find_change_point
from analytics.baselines.model import ModelForm, fit_model
from analytics.baselines.selection import candidate_forms, cross_validate, select_model
from analytics.baselines.validity import Limits, TestCode, Usability, judge_model, verdict_of
from analytics.errors import BaselineError, ModelFault
from tests.analytics.baselines.steam import steam_columns

STEAM = steam_columns()
ENERGY = STEAM["Steam"]


def judged(*names: str, **how: object):  # type: ignore[no-untyped-def]  # tests and verdict
    chosen = select_model([ModelForm(names)], ENERGY, STEAM)
    tests = judge_model(chosen, **how)  # type: ignore[arg-type]  # what judge_model takes
    return verdict_of(tests), {t.code: t for t in tests}


def test_output_alone_is_unusable_and_says_why() -> None:
    verdict, tests = judged("glycerine")
    assert verdict is Usability.UNUSABLE
    failed = {code for code, t in tests.items() if not t.passed}
    assert failed >= {TestCode.MODEL_F, TestCode.R_SQUARED, TestCode.BEST_PREDICTOR_P}
    assert tests[TestCode.R_SQUARED].value == pytest.approx(0.0934, abs=5e-5)
    assert tests[TestCode.R_SQUARED].limit == 0.5


def test_days_and_temperature_are_usable() -> None:
    verdict, tests = judged("op.days", "temperature")
    assert verdict is Usability.USABLE
    assert all(t.passed for t in tests.values())


def test_a_sign_against_physics_makes_a_model_weak() -> None:
    verdict, tests = judged("op.days", "temperature", signs={"temperature": 1})
    assert verdict is Usability.WEAK
    assert not tests[TestCode.SIGN].passed


def test_limits_are_parameters() -> None:
    assert judged("op.days", "temperature", limits=Limits(r_squared=0.9))[0] is Usability.UNUSABLE
    assert judged("op.days", "temperature", missing_share=0.2)[0] is Usability.UNUSABLE


def test_leaving_one_out_is_what_it_says() -> None:
    errors = cross_validate(ModelForm(("temperature",)), ENERGY, STEAM)
    kept = np.arange(25) != 3
    without = fit_model(
        ModelForm(("temperature",)), ENERGY[kept], {"temperature": STEAM["temperature"][kept]}
    )
    expected = without.regression.expected(STEAM["temperature"][3:4, None])
    assert errors[3] == pytest.approx(ENERGY[3] - expected[0])


def test_the_chosen_variables_are_those_that_matter_and_the_others_are_listed() -> None:
    names = ["glycerine", "op.days", "temperature", "wind"]
    chosen = select_model(candidate_forms(names), ENERGY, STEAM, block=1)
    assert "temperature" in chosen.model.form.linear
    assert len(chosen.model.form.linear) == 2
    assert len(chosen.tried) == 15
    assert 0.75 < chosen.predicted_r_squared < chosen.model.regression.r_squared


def test_choosing_among_noise_finds_nothing_usable() -> None:
    """Of 30 records of noise with 30 models each, F alone would find most of them significant."""
    rng = np.random.default_rng(1)
    usable = 0
    for _ in range(30):
        noise = {f"x{i}": rng.normal(size=12) for i in range(5)}
        energy = 100 + rng.normal(size=12)
        chosen = select_model(candidate_forms(list(noise)), energy, noise)
        usable += verdict_of(judge_model(chosen)) is not Usability.UNUSABLE
    assert usable <= 1


def bent(kind: str, rng: np.random.Generator, n: int = 36) -> tuple[np.ndarray, np.ndarray]:
    months = np.arange(n)
    temperature = 15 - 13 * np.cos(2 * np.pi * months / 12) + rng.normal(0, 1, n)
    below, above = np.maximum(0, 16 - temperature), np.maximum(0, temperature - 16)
    load = {"heating_3p": 4 * below, "cooling_3p": 5 * above,
            "heating_cooling_4p": 4 * below + 6 * above}[kind]  # fmt: skip
    return 100 + load + rng.normal(0, 1.5, n), temperature


@pytest.mark.parametrize("kind", CHANGE_POINTS)
def test_a_planted_bend_is_found(kind: str) -> None:
    energy, temperature = bent(kind, np.random.default_rng(4))
    at = find_change_point(energy, temperature, kind)  # type: ignore[arg-type]  # one of them
    assert at == pytest.approx(16, abs=0.7)


@pytest.mark.parametrize("kind", CHANGE_POINTS)
def test_a_bend_costs_a_degree_of_freedom(kind: str) -> None:
    energy, temperature = bent(kind, np.random.default_rng(4))
    form = ModelForm((), "t", kind)  # type: ignore[arg-type]  # one of them
    model = fit_model(form, energy, {"t": temperature})
    slopes = bend(temperature, 16, kind).shape[1]  # type: ignore[arg-type]  # one of them
    assert model.regression.parameters == form.parameters == 1 + slopes + 1


def test_a_bend_is_chosen_where_there_is_one_and_not_where_there_is_none() -> None:
    rng = np.random.default_rng(8)
    energy, temperature = bent("heating_3p", rng)
    forms = candidate_forms(["t"], temperature="t", change_points=CHANGE_POINTS)
    chosen = select_model(forms, energy, {"t": temperature})
    assert chosen.model.form.change_point == "heating_3p"
    straight = 100 - 3 * temperature + rng.normal(0, 1.5, len(temperature))
    assert select_model(forms, straight, {"t": temperature}).model.form.change_point is None


def test_too_few_temperatures_have_no_bend() -> None:
    with pytest.raises(BaselineError) as refused:
        find_change_point(np.arange(5.0), np.arange(5.0), "heating_3p")
    assert refused.value.fault == ModelFault.NO_CHANGE_POINT


def test_forms_that_cannot_be_fitted_are_listed_with_their_fault() -> None:
    columns = {"t": STEAM["temperature"], "same": STEAM["temperature"] * 1.8, "still": ENERGY * 0}
    chosen = select_model(candidate_forms(["t", "same", "still"]), ENERGY, columns)
    faults = {str(t.form): t.fault for t in chosen.tried}
    assert faults["t + same"] == ModelFault.COLLINEAR
    assert faults["still"] == ModelFault.CONSTANT_VARIABLE
    with pytest.raises(BaselineError):
        select_model(candidate_forms(["still"]), ENERGY, columns)
