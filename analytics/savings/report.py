"""Savings as a table for people: projects, and the programmes they add up to (F40)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from analytics.errors import NoSuchBaselineError
from analytics.savings.programme import CountedSaving, VerifiedSaving, programme_total

__all__ = ["counted_savings", "savings_lines"]


def counted_savings(connection: psycopg.Connection[Any], programme_id: int) -> list[CountedSaving]:
    """Return what counts towards a programme, over all sites: the first 12 months of each project.

    Parameters
    ----------
    connection
        To the database.
    programme_id
        The programme.

    Returns
    -------
    list of CountedSaving
        A project without 12 whole months yet is in it with nothing counted.
    """
    found = []
    for (
        site,
        code,
        kind,
        tce,
        uncertainty,
        claim,
        counted,
        beyond,
        provisional,
    ) in connection.execute(
        "SELECT s.code, t.code, r.kind, r.tce_per_year, r.uncertainty_tce, r.claim,"
        " r.counted_tce, r.unallocated_tce, r.provisional FROM saving_result r"
        " JOIN retrofit t USING (retrofit_id) JOIN site s ON s.site_id = r.site_id"
        " WHERE r.programme_id = %s AND r.span = 'first_12_months' ORDER BY 1, 2",
        (programme_id,),
    ):
        done = not provisional and counted is not None
        saving = VerifiedSaving(
            f"{site}/{code}", kind, tce or 0.0, uncertainty or 0.0,
            done and claim == "claimable",
        )  # fmt: skip
        share = counted / tce if done and tce else 0.0
        found.append(
            CountedSaving(
                saving, counted if done else 0.0, (uncertainty or 0.0) * share,
                beyond if done else 0.0,
            )
        )  # fmt: skip
    return found


def savings_lines(
    connection: psycopg.Connection[Any], project: str | None = None, site: str | None = None
) -> Iterator[str]:
    """Yield the lines that `enpilot analyze savings` prints.

    Parameters
    ----------
    connection
        To the database.
    project, site
        Codes; all of them without.

    Yields
    ------
    str
        A line.

    Raises
    ------
    NoSuchBaselineError
        If there is no such retrofit, or nothing was computed yet.
    """
    rows = connection.execute(
        "SELECT s.code, t.code, r.retrofit_id, r.span, r.period_from, r.period_to - 1, r.months,"
        " r.adjusted_baseline, r.actual, r.adjustment, r.saving, r.uncertainty, r.energy_unit,"
        " r.claim, r.tce_per_year, r.uncertainty_tce, r.counted_tce, r.unallocated_tce,"
        " r.provisional, r.synthetic, r.withheld_code, d.kind, d.promised_tce_per_year,"
        " d.cost_yuan, r.factor_verified FROM saving_result r JOIN retrofit t USING (retrofit_id)"
        " JOIN site s ON s.site_id = r.site_id"
        " JOIN retrofit_record d ON d.retrofit_id = r.retrofit_id"
        "  AND d.superseded_commit_no IS NULL AND d.valid_to IS NULL"
        " WHERE (%(p)s::text IS NULL OR t.code = %(p)s) AND (%(s)s::text IS NULL OR s.code = %(s)s)"
        " ORDER BY s.code, t.code, array_position(ARRAY['reporting', 'first_12_months',"
        " 'persisting'], r.span)",
        {"p": project, "s": site},
    ).fetchall()
    if not rows:
        raise NoSuchBaselineError(
            "no savings" + (f" of {project!r}" if project else "")
            + ": declare a `[[retrofit]]` in the plant file, then `enpilot analyze run --once`"
        )  # fmt: skip
    said = None
    for (place, code, number, span, since, until, months, base, actual, adjustment, saved, error,
         unit, claim, tce, tce_error, counted, beyond, provisional, synthetic, withheld, kind,
         promised, cost, factor_verified) in rows:  # fmt: skip
        if number != said:
            said = number
            yield (
                f"{place}/{code}  {kind}"
                + (f"  promised {promised} tce/a" if promised is not None else "")
                + (f"  cost {cost:,} yuan" if cost is not None else "")
                + ("  contains synthetic data" if synthetic else "")
            )
        if saved is None:
            yield f"  {span}: withheld, {withheld}"
            continue
        yield (
            f"  {span} {since} to {until}, {months:g} months"
            + (", provisional" if provisional else "")
        )
        yield (
            f"    {base:,.2f} expected {adjustment:+,.2f} adjusted - {actual:,.2f} used ="
            f" {saved:,.2f} ± {error:,.2f} {unit} (68 %): {claim}"
        )
        if tce is None:
            yield f"    no tce: {withheld}"
            continue
        yield (
            f"    {tce:,.2f} ± {tce_error:,.2f} tce/a, counted {counted:,.2f}"
            + (f", unallocated {beyond:,.2f}" if beyond else "")
            + ("" if factor_verified else ", factor not verified")
        )
    yield from _programme_lines(connection)


def _programme_lines(connection: psycopg.Connection[Any]) -> Iterator[str]:
    for number, code, projects, goal in connection.execute(
        "SELECT p.programme_id, p.code, r.goal_projects, r.goal_tce_per_year FROM programme p"
        " JOIN programme_record r USING (programme_id) WHERE r.superseded_commit_no IS NULL"
        " AND r.valid_to IS NULL ORDER BY p.code"
    ).fetchall():
        goal_tce = None if goal is None else float(goal)
        total = programme_total(
            counted_savings(connection, number), goal_projects=projects, goal_tce_per_year=goal_tce
        )
        yield ""
        share = "" if total.project_share is None else f", {total.project_share:.1%} of {projects}"
        yield (
            f"programme {code}: {total.counted_projects} of {total.projects} projects counted"
            f"{share}"
            + (
                "; the others have no 12 whole months yet, or are not claimable"
                if total.counted_projects < total.projects
                else ""
            )
        )
        yield (
            f"  efficiency {total.efficiency_tce:,.2f} ± {total.uncertainty_tce:,.2f} tce/a (68 %)"
            + (f", {total.tce_share:.2%} of {goal_tce:,.0f}" if total.tce_share is not None else "")
        )
        yield (
            f"  apart: renewable {total.renewable_tce:,.2f}, fuel switch"
            f" {total.fuel_switch_tce:,.2f}, unallocated {total.unallocated_tce:,.2f} tce/a"
        )
