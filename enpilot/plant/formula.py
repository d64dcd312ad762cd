"""Formulas of virtual points: sums of points with exact coefficients, and nothing else.

``main - mill - 0.5 * (air-1 + air-2)``: numbers, + - * /, parentheses and codes of points. A code
may hold hyphens, so a minus has a space before it. Nothing is ever evaluated as a program; a point
times a point is refused, because its unit would be no energy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

__all__ = ["FormulaError", "parse_formula"]

_MAX_LENGTH: Final = 2000
_MAX_DEPTH: Final = 40
_TOKEN: Final = re.compile(r"\s*(?:(?P<word>[a-z0-9][a-z0-9_.-]*)|(?P<sign>[-+*/()])|(?P<end>$))")
_NUMBER: Final = re.compile(r"\d{1,20}(\.\d{1,20})?\Z")


class FormulaError(ValueError):
    """A formula that cannot be read; the message says where and what would be right."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """A constant plus points with coefficients."""

    constant: Fraction
    points: Mapping[str, Fraction]

    def plus(self, other: _Sum, sign: int) -> _Sum:
        points = dict(self.points)
        for code, coefficient in other.points.items():
            points[code] = points.get(code, Fraction(0)) + sign * coefficient
        return _Sum(self.constant + sign * other.constant, points)

    def times(self, factor: Fraction) -> _Sum:
        return _Sum(self.constant * factor, {c: k * factor for c, k in self.points.items()})


def parse_formula(text: str) -> Mapping[str, Fraction]:
    """Return the coefficient of each point in a formula.

    Parameters
    ----------
    text
        At most 2,000 characters, parentheses at most 40 deep.

    Returns
    -------
    mapping
        Exact, without points whose coefficients cancel out.

    Raises
    ------
    FormulaError
        If it is no sum of points; the message gives the place.
    """
    if len(text) > _MAX_LENGTH:
        raise FormulaError(f"a formula of {len(text)} characters: use virtual points for its parts")
    parser = _Parser(text)
    found = parser.sum(0)
    if parser.word or parser.sign:
        raise parser.error("an operator was expected")
    if found.constant != 0:
        raise FormulaError(f"{found.constant} alone is no energy: a formula adds up points")
    points = {code: k for code, k in found.points.items() if k != 0}
    if not points:
        raise FormulaError("nothing is left of the formula: it names no point that stays")
    return MappingProxyType(points)


class _Parser:
    """Reads one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._begin = 0
        self.word = self.sign = ""
        self._next()

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            self._begin = self._at
            raise self.error("only codes of points, numbers, + - * / and parentheses can be read")
        self.word, self.sign = found["word"] or "", found["sign"] or ""
        self._begin = found.start(found.lastgroup or 0)
        self._at = found.end()

    def error(self, sentence: str) -> FormulaError:
        rest = self._text[self._begin : self._begin + 20]
        return FormulaError(
            f"{sentence}, at character {self._begin + 1} ({'the end' if not rest else repr(rest)})"
        )

    def sum(self, depth: int) -> _Sum:
        total = self._product(depth)
        while self.sign in ("+", "-"):
            sign = 1 if self.sign == "+" else -1
            self._next()
            total = total.plus(self._product(depth), sign)
        return total

    def _product(self, depth: int) -> _Sum:
        product = self._factor(depth)
        while self.sign in ("*", "/"):
            divides = self.sign == "/"
            self._next()
            other = self._factor(depth)
            if divides:
                if other.points:
                    raise self.error("nothing is divided by a point")
                if other.constant == 0:
                    raise self.error("nothing is divided by zero")
                product = product.times(1 / other.constant)
            elif other.points and product.points:
                raise self.error("a point times a point is no energy")
            else:
                product = (
                    other.times(product.constant) if other.points else product.times(other.constant)
                )
        return product

    def _factor(self, depth: int) -> _Sum:
        if depth > _MAX_DEPTH:
            raise self.error(f"more than {_MAX_DEPTH} parentheses or signs inside each other")
        if self.sign == "-":
            self._next()
            return self._factor(depth + 1).times(Fraction(-1))
        if self.sign == "(":
            self._next()
            inside = self.sum(depth + 1)
            if self.sign != ")":
                raise self.error("a closing parenthesis was expected")
            self._next()
            return inside
        word = self.word
        if not word:
            raise self.error("a point, a number or a parenthesis was expected")
        if _NUMBER.match(word):
            self._next()
            return _Sum(Fraction(word), {})
        if "." in word:
            raise self.error("neither a number nor a code")
        if word.endswith("-"):
            raise self.error("a code does not end with a hyphen: put a space before the minus")
        self._next()
        return _Sum(Fraction(0), {word: Fraction(1)})
