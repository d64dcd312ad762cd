"""Variables, baselines, programmes, retrofits and adjustments of a plant file into the database."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import psycopg

from enpilot.plant import Plant
from ingest.imports.records import Author, dated_row, names_of, reconcile_records, thing

__all__ = ["import_baselines"]

IdOf: TypeAlias = Callable[[str, str], int]


def import_baselines(
    connection: psycopg.Connection[Any],
    plant: Plant,
    site_id: int,
    id_of: IdOf,
    author: Author,
) -> dict[str, int]:
    """Write what a plant file says of baselines and savings.

    Parameters
    ----------
    connection
        Inside the plant's transaction.
    plant
        The file, as `enpilot.plant.load_plant` returned it.
    site_id
        Its site.
    id_of
        Number of a point, product, scheme or EnPI by table and code.
    author
        Who applies the file, and why.

    Returns
    -------
    dict
        Records inserted or superseded, by table.
    """
    return _Import(connection, plant, site_id, id_of, author).apply()


class _Import:
    def __init__(
        self,
        connection: psycopg.Connection[Any],
        plant: Plant,
        site_id: int,
        id_of: IdOf,
        author: Author,
    ) -> None:
        self._connection = connection
        self._plant = plant
        self._site = {"site_id": site_id}
        self._id_of = id_of
        self._author = author
        self._changes: dict[str, int] = {}

    def apply(self) -> dict[str, int]:
        variables = self._variables()
        baselines = self._baselines(variables)
        self._retrofits(baselines, self._programmes())
        return self._changes

    def _thing(self, table: str, code: str, **fixed: Any) -> int:
        key = {"code": code} if table == "programme" else self._site | {"code": code}
        return thing(self._connection, table, key, **fixed)

    def _record(self, table: str, number: int, item: Any, facts: dict[str, Any]) -> None:
        self._changes[f"{table}_record"] = self._changes.get(
            f"{table}_record", 0
        ) + reconcile_records(
            self._connection, f"{table}_record", {f"{table}_id": number}, [dated_row(item, facts)],
            self._author,
        )  # fmt: skip

    def _known(self, table: str, code: str | None) -> int | None:
        return None if code is None else self._id_of(table, code)

    def _variables(self) -> dict[str, int]:
        table = "relevant_variable"
        numbers = {v.code: self._thing(table, v.code, unit=v.unit) for v in self._plant.variable}
        for v in self._plant.variable:
            facts = names_of(v.name) | {
                "source": v.source,
                "entered_as": v.entered_as,
                "product_id": self._known("product", v.product),
                "of_product_ids": [self._id_of("product", p) for p in v.of_products],
                "stage": v.stage,
                "point_id": self._known("point", v.point),
                "quantity": v.quantity,
                "channel": v.channel,
                "base_temperature": v.base_temperature and Decimal(v.base_temperature),
                "temperature_variable_id": v.temperature and numbers[v.temperature],
                "sign": v.sign,
            }
            self._record(table, numbers[v.code], v, facts)
        return numbers

    def _baselines(self, variables: dict[str, int]) -> dict[str, int]:
        numbers = {b.code: self._thing("baseline", b.code) for b in self._plant.baseline}
        for b in self._plant.baseline:
            facts = names_of(b.name) | {
                "enpi_id": self._known("enpi", b.enpi),
                "point_ids": [self._id_of("point", p) for p in b.points],
                "quantity": b.quantity,
                "channel": b.channel,
                "period_kind": b.period,
                "training_from": b.training_from,
                "training_to": b.training_to,
                "variable_ids": [variables[v] for v in b.variables],
                "choose": b.choose,
                "most": b.most,
                "temperature_variable_id": b.temperature and variables[b.temperature],
                "change_points": list(b.change_points),
                "block": b.block,
                "whole_site": b.whole_site,
            }
            self._record("baseline", numbers[b.code], b, facts)
        return numbers

    def _programmes(self) -> dict[str, int]:
        numbers = {p.code: self._thing("programme", p.code) for p in self._plant.programme}
        for p in self._plant.programme:
            goal = p.goal_tce_per_year
            facts = names_of(p.name) | {
                "goal_projects": p.goal_projects,
                "goal_tce_per_year": goal and Decimal(goal),
            }
            self._record("programme", numbers[p.code], p, facts)
        return numbers

    def _retrofits(self, baselines: dict[str, int], programmes: dict[str, int]) -> None:
        numbers = {r.code: self._thing("retrofit", r.code) for r in self._plant.retrofit}
        for r in self._plant.retrofit:
            facts = names_of(r.name) | {
                "kind": r.kind,
                "ipmvp_option": r.option,
                "baseline_id": baselines[r.baseline],
                "implementation_from": r.implementation_from,
                "implementation_to": r.implementation_to,
                "reporting_from": r.reporting_from,
                "reporting_to": r.reporting_to,
                "promised_tce_per_year": r.promised_tce_per_year
                and Decimal(r.promised_tce_per_year),
                "cost_yuan": r.cost_yuan and Decimal(r.cost_yuan),
                "programme_id": r.programme and programmes[r.programme],
                "overlap_ids": [numbers[o] for o in r.overlaps],
                "scheme_id": self._known("scheme", r.scheme),
            }
            self._record("retrofit", numbers[r.code], r, facts)
        for a in self._plant.non_routine_adjustment:
            facts = {
                "retrofit_id": numbers[a.retrofit],
                "amount_per_month": Decimal(a.amount_per_month),
                "why": a.reason,
                "evidence": a.evidence,
            }
            table = "non_routine_adjustment"
            self._record(table, self._thing(table, a.code), a, facts)
