"""Sums of savings that nobody counts twice, against a programme's goal (F40).

The functions take results of one site or of many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "CountedSaving",
    "ProgrammeTotal",
    "RetrofitKind",
    "VerifiedSaving",
    "count_once",
    "overlap_groups",
    "programme_total",
]

RetrofitKind: TypeAlias = Literal["efficiency", "renewable", "fuel_switch"]


@dataclass(frozen=True, slots=True)
class VerifiedSaving:
    """What a retrofit saves a year by its figures.

    Attributes
    ----------
    code
        Of the retrofit, unique among those that are added.
    kind
        Only efficiency counts towards a goal of efficiency.
    tce_per_year, uncertainty_tce
        Saving and its half width at 68 % [tce/a].
    claimable
        Whether the claim rule holds; what is not claimable is listed and not counted.
    """

    code: str
    kind: RetrofitKind
    tce_per_year: float
    uncertainty_tce: float
    claimable: bool


@dataclass(frozen=True, slots=True)
class CountedSaving:
    """What of a saving counts [tce/a].

    ``unallocated_tce`` was claimed beyond what the whole site saved and belongs to no project.
    """

    saving: VerifiedSaving
    counted_tce: float
    uncertainty_tce: float
    unallocated_tce: float


@dataclass(frozen=True, slots=True)
class ProgrammeTotal:
    """A programme's state.

    Attributes
    ----------
    projects, counted_projects
        All, and those of which something counts.
    efficiency_tce, renewable_tce, fuel_switch_tce
        Counted, apart by kind [tce/a].
    uncertainty_tce
        Of the efficiency sum: independent projects, in quadrature [tce/a].
    unallocated_tce
        Claimed beyond what sites saved [tce/a].
    project_share, tce_share
        Of the goals [1]; None without a goal.
    """

    projects: int
    counted_projects: int
    efficiency_tce: float
    renewable_tce: float
    fuel_switch_tce: float
    uncertainty_tce: float
    unallocated_tce: float
    project_share: float | None
    tce_share: float | None


def overlap_groups(overlaps: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Return groups of retrofits that overlap, directly or through others, each in order.

    Parameters
    ----------
    overlaps
        For each code the codes that it overlaps with; either side may say it.

    Returns
    -------
    list of tuple
        Every code in exactly one group.
    """
    near: dict[str, set[str]] = {code: set() for code in overlaps}
    for code, others in overlaps.items():
        for other in others:
            near.setdefault(other, set()).add(code)
            near[code].add(other)
    groups: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for code in near:
        if code in seen:
            continue
        group, waiting = {code}, [code]
        while waiting:
            for other in near[waiting.pop()] - group:
                group.add(other)
                waiting.append(other)
        seen |= group
        groups.append(tuple(sorted(group)))
    return groups


def count_once(
    savings: Sequence[VerifiedSaving], site_saving_tce: float | None, site_uncertainty_tce: float
) -> list[CountedSaving]:
    """Count overlapping savings up to what the whole site saved.

    Σ verified ≤ the site's saving + its uncertainty; what is beyond belongs to no project, and each
    counts by its share.

    Parameters
    ----------
    savings
        Of one group of overlapping projects.
    site_saving_tce, site_uncertainty_tce
        Of the whole site over the same time, half width at 68 % [tce/a]. None: the site's saving is
        not known, then of overlapping projects only the largest counts.

    Returns
    -------
    list of CountedSaving
        In the order of ``savings``; the counted sum is never above the limit.
    """
    claimed = [s.tce_per_year if s.claimable else 0.0 for s in savings]
    total = math.fsum(claimed)
    if len(savings) == 1 and site_saving_tce is None:
        limit = total
    elif site_saving_tce is None:
        largest = max(range(len(claimed)), key=claimed.__getitem__) if claimed else 0
        return [
            _counted(s, amount if i == largest else 0.0)
            for i, (s, amount) in enumerate(zip(savings, claimed, strict=True))
        ]
    else:
        limit = max(0.0, site_saving_tce + site_uncertainty_tce)
    share = 1.0 if total <= limit else limit / total
    return [_counted(s, amount * share) for s, amount in zip(savings, claimed, strict=True)]


def _counted(saving: VerifiedSaving, counted: float) -> CountedSaving:
    claimed = saving.tce_per_year if saving.claimable else 0.0
    share = counted / claimed if claimed else 0.0
    return CountedSaving(saving, counted, saving.uncertainty_tce * share, claimed - counted)


def programme_total(
    counted: Iterable[CountedSaving],
    *,
    goal_projects: int | None = None,
    goal_tce_per_year: float | None = None,
) -> ProgrammeTotal:
    """Add up the counted savings of one site or of many against a programme's goal.

    Parameters
    ----------
    counted
        Of `count_once`, site by site.
    goal_projects
        Projects that the programme promises, above 0.
    goal_tce_per_year
        Saving that it promises [tce/a], above 0.

    Returns
    -------
    ProgrammeTotal
        Renewables and fuel switches stand apart from efficiency (F40).
    """
    items = list(counted)
    sums = {
        kind: math.fsum(c.counted_tce for c in items if c.saving.kind == kind)
        for kind in ("efficiency", "renewable", "fuel_switch")
    }
    efficient = [c for c in items if c.saving.kind == "efficiency"]
    done = sum(1 for c in items if c.counted_tce > 0)
    return ProgrammeTotal(
        len(items), done, sums["efficiency"], sums["renewable"], sums["fuel_switch"],
        math.sqrt(math.fsum(c.uncertainty_tce**2 for c in efficient)),
        math.fsum(c.unallocated_tce for c in items),
        None if not goal_projects else done / goal_projects,
        None if not goal_tce_per_year else sums["efficiency"] / goal_tce_per_year,
    )  # fmt: skip
