"""Criteria of data quality: each passes or fails with its number, or is not known."""

from __future__ import annotations

import enum
import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import msgspec

__all__ = ["Criterion", "Outcome", "QualityIndex", "Rule", "Rules", "judge", "load_rules", "worst"]


class Outcome(enum.StrEnum):
    """What became of a criterion."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_KNOWN = "not_known"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A criterion with its limit, included in what passes, and its weight in the index."""

    code: str
    kind: Literal["at_least", "at_most"]
    limit: float
    unit: str
    weight: float
    source: str
    verified: bool
    of: Literal["point", "site"] = "point"

    def outcome(self, value: float | None) -> Outcome:
        """Judge a number; one that is missing is not known, never passed."""
        if value is None or not math.isfinite(value):
            return Outcome.NOT_KNOWN
        passed = value >= self.limit if self.kind == "at_least" else value <= self.limit
        return Outcome.PASSED if passed else Outcome.FAILED


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All criteria; an index that rests on less than ``least_known_share`` of them is withheld."""

    least_known_share: float
    rule: tuple[Rule, ...]

    def of(self, what: Literal["point", "site"]) -> tuple[Rule, ...]:
        """Return the criteria of a point, or of a site: all of them."""
        return tuple(r for r in self.rule if what == "site" or r.of == "point")


@dataclass(frozen=True, slots=True)
class Criterion:
    """A rule and the number it was judged by."""

    rule: Rule
    value: float | None

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return self.rule.outcome(self.value)


@dataclass(frozen=True, slots=True)
class QualityIndex:
    """The criteria of a month, and their weighted share.

    Attributes
    ----------
    index
        Weight of what passed in the weight of what is known; 0 .. 1; None if too little is known.
    known_share
        Weight of what is known in all weights; 0 .. 1.
    criteria
        In the order of the rules.
    """

    index: float | None
    known_share: float
    criteria: tuple[Criterion, ...]

    def codes(self, outcome: Outcome) -> list[str]:
        """Return the codes of the criteria with an outcome."""
        return [c.rule.code for c in self.criteria if c.outcome is outcome]


@functools.cache
def load_rules() -> Rules:
    """Return the shipped criteria.

    Returns
    -------
    Rules
        Limits and weights as data, each with its source (GB 17167, F4, F15).
    """
    text = files("analytics.quality").joinpath("data/criteria.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Rules)


def judge(
    rules: Sequence[Rule], values: Mapping[str, float | None], least_known_share: float
) -> QualityIndex:
    """Judge the numbers of a month.

    Parameters
    ----------
    rules
        Criteria of a point or a site.
    values
        Number of each by code, in the rule's unit; missing and None are not known.
    least_known_share
        Weight that must be known for an index, 0 .. 1.

    Returns
    -------
    QualityIndex
        A criterion without data is not known; it is neither passed nor failed.

    Notes
    -----
    The weighted share of passed criteria is our own index; the criteria have sources (F4, F15).
    """
    criteria = tuple(Criterion(r, values.get(r.code)) for r in rules)
    whole = sum(c.rule.weight for c in criteria)
    known = sum(c.rule.weight for c in criteria if c.outcome is not Outcome.NOT_KNOWN)
    passed = sum(c.rule.weight for c in criteria if c.outcome is Outcome.PASSED)
    share = known / whole if whole > 0 else 0.0
    index = passed / known if known > 0 and share >= least_known_share else None
    return QualityIndex(index, share, criteria)


def worst(rule: Rule, values: Sequence[float | None]) -> float | None:
    """Return the number that a site is judged by: the worst of its boundary points.

    Parameters
    ----------
    rule
        The criterion.
    values
        Number of each point [unit of the rule].

    Returns
    -------
    float or None
        One that fails decides; else None if some point's is not known.

    Notes
    -----
    A site is as good as its worst boundary meter (F4).
    """
    known = [v for v in values if v is not None]
    if not known:
        return None
    found = min(known) if rule.kind == "at_least" else max(known)
    if len(known) < len(values) and rule.outcome(found) is Outcome.PASSED:
        return None
    return found
