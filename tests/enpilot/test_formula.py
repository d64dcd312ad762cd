"""Formulas of virtual points: exact, and never a program."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enpilot.plant.formula import FormulaError, parse_formula


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main", {"main": 1}),
        ("main - mill", {"main": 1, "mill": -1}),
        ("main-mill", {"main-mill": 1}),
        ("main -mill", {"main": 1, "mill": -1}),
        ("0.5 * (air-1 + air-2)", {"air-1": Fraction(1, 2), "air-2": Fraction(1, 2)}),
        ("a / 3 + 2*a", {"a": Fraction(7, 3)}),
        ("-(a - b)", {"a": -1, "b": 1}),
        ("a + b - a", {"b": 1}),
        ("3 * 2 * 1_0", {"1_0": 6}),
        ("(a + 1) - 1", {"a": 1}),
    ],
)
def test_what_a_formula_means(text: str, expected: dict[str, Fraction]) -> None:
    assert parse_formula(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a * b", r"a point times a point is no energy, at character 6 \(the end\)"),
        ("a / b", "nothing is divided by a point"),
        ("a / (2 - 2)", "nothing is divided by zero"),
        ("a + 5", "5 alone is no energy"),
        ("a - a", "nothing is left of the formula"),
        ("", "a point, a number or a parenthesis was expected, at character 1"),
        ("(a", "a closing parenthesis was expected, at character 3"),
        ("a b", r"an operator was expected, at character 3 \('b'\)"),
        ("a- b", "put a space before the minus"),
        ("__import__('os')", "only codes of points, numbers"),
        ("a ** 2", "a point, a number or a parenthesis was expected"),
        ("1.2.3 * a", "neither a number nor a code"),
        ("(" * 100 + "a" + ")" * 100, "more than 40 parentheses"),
        ("a+" * 1500, "a formula of 3000 characters"),
        ("9" * 21 + " * a", "at character"),
    ],
)
def test_what_is_refused(text: str, sentence: str) -> None:
    if text.startswith("999"):  # a code may begin with a digit: it is one, and times a point
        sentence = "a point times a point"
    with pytest.raises(FormulaError, match=sentence):
        parse_formula(text)


@given(st.text(alphabet="ab1 .+-*/()_", max_size=60) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_formula(text)
    except FormulaError:
        return
    assert all(k != 0 for k in found.values())


Made: TypeAlias = tuple[str, dict[str, Fraction]]  # a formula, and what it must mean
LEAVES = st.sampled_from(["a", "b", "c-1"]).map(lambda c: (c, {c: Fraction(1)}))
NUMBERS = st.integers(1, 99).map(str)


def added(pair: tuple[Made, str, Made]) -> Made:
    (left, x), sign, (right, y) = pair
    k = 1 if sign == "+" else -1
    total = {c: x.get(c, Fraction(0)) + k * y.get(c, Fraction(0)) for c in x.keys() | y.keys()}
    return f"({left} {sign} {right})", total


def scaled(pair: tuple[str, str, Made]) -> Made:
    number, sign, (text, x) = pair
    k = Fraction(number) if sign == "*" else 1 / Fraction(number)
    said = f"{number} * {text}" if sign == "*" else f"{text} / {number}"
    return f"({said})", {c: v * k for c, v in x.items()}


def joined(children: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    return st.tuples(children, st.sampled_from("+-"), children).map(added) | st.tuples(
        NUMBERS, st.sampled_from("*/"), children
    ).map(scaled)


@given(st.recursive(LEAVES, joined, max_leaves=12))
def test_a_formula_is_its_expansion(made: Made) -> None:
    text, expected = made
    wanted = {code: k for code, k in expected.items() if k != 0}
    if not wanted:
        with pytest.raises(FormulaError):
            parse_formula(text)
    else:
        assert parse_formula(text) == wanted
