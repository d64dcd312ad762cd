"""What the plant says of a site's variables and baselines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import psycopg

from analytics.baselines.change_points import ChangePoint
from analytics.baselines.model import ModelForm
from analytics.baselines.selection import candidate_forms
from enpilot.quantities import QUANTITIES

__all__ = ["DeclaredBaseline", "DeclaredVariable", "load_baselines"]

_COVERAGE: Final = 0.95  # of points; an EnPI says its own


@dataclass(frozen=True, slots=True)
class DeclaredVariable:
    """A relevant variable, see `enpilot.plant.baselines.Variable`."""

    variable_id: int
    code: str
    source: str
    entered_as: str
    product_id: int | None
    of_product_ids: tuple[int, ...]
    stage: str
    point_id: int | None
    quantity: str | None
    channel: str
    base_temperature: float | None
    temperature: DeclaredVariable | None
    sign: int


@dataclass(frozen=True, slots=True)
class DeclaredBaseline:
    """A baseline, see `enpilot.plant.baselines.Baseline`; dates exclusive at their ends.

    ``coverage_limit`` is the least coverage of a period's energy that is trained on or compared.
    """

    baseline_id: int
    code: str
    enpi_id: int | None
    point_ids: tuple[int, ...]
    quantity: str | None
    channel: str
    period_kind: Literal["day", "month"]
    training_from: dt.date
    training_to: dt.date
    variables: tuple[DeclaredVariable, ...]
    choose: bool
    most: int
    temperature: str
    change_points: tuple[ChangePoint, ...]
    block: int
    whole_site: bool
    energy_unit: str
    coverage_limit: float

    @property
    def codes(self) -> list[str]:
        """Codes of the variables, in the order of the plant file."""
        return [v.code for v in self.variables]

    def forms(self) -> Sequence[ModelForm]:
        """Return the forms that are tried: one, or all combinations of the candidates."""
        if self.choose:
            return candidate_forms(
                self.codes, temperature=self.temperature, change_points=self.change_points,
                most=self.most,
            )  # fmt: skip
        if self.change_points:
            others = tuple(c for c in self.codes if c != self.temperature)
            return [ModelForm(others, self.temperature, self.change_points[0])]
        return [ModelForm(tuple(self.codes))]


def load_baselines(connection: psycopg.Connection[Any], site_id: int) -> list[DeclaredBaseline]:
    """Load the baselines that hold now for a site.

    Parameters
    ----------
    connection
        To the database.
    site_id
        The site.

    Returns
    -------
    list of DeclaredBaseline
        In the order of their numbers.
    """
    variables = _variables(connection, site_id)
    found = []
    for row in connection.execute(
        "SELECT b.baseline_id, b.code, r.enpi_id, r.point_ids, r.quantity, r.channel,"
        " r.period_kind, r.training_from, r.training_to, r.variable_ids, r.choose, r.most,"
        " r.temperature_variable_id, r.change_points, r.block, r.whole_site, s.energy_unit,"
        " e.coverage_limit FROM baseline b JOIN baseline_record r USING (baseline_id)"
        " LEFT JOIN enpi_record e ON e.enpi_id = r.enpi_id AND e.superseded_commit_no IS NULL"
        "  AND e.valid_to IS NULL"
        " LEFT JOIN scheme_record s ON s.scheme_id = e.scheme_id"
        "  AND s.superseded_commit_no IS NULL AND s.valid_to IS NULL"
        " WHERE b.site_id = %s AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL"
        " ORDER BY b.baseline_id",
        (site_id,),
    ):
        (number, code, enpi_id, points, quantity, channel, kind, since, until, variable_ids, choose,
         most, temperature_id, change_points, block, whole_site, unit, limit) = row  # fmt: skip
        found.append(
            DeclaredBaseline(
                number, code, enpi_id, tuple(points), quantity, channel, kind, since, until,
                tuple(variables[v] for v in variable_ids), choose, most,
                variables[temperature_id].code if temperature_id else "", tuple(change_points),
                block, whole_site, unit if quantity is None else QUANTITIES[quantity].unit,
                _COVERAGE if limit is None else float(limit),
            )
        )  # fmt: skip
    return found


def _variables(connection: psycopg.Connection[Any], site_id: int) -> dict[int, DeclaredVariable]:
    rows = connection.execute(
        "SELECT v.relevant_variable_id, v.code, r.source, r.entered_as, r.product_id,"
        " r.of_product_ids, r.stage, r.point_id, r.quantity, r.channel, r.base_temperature,"
        " r.temperature_variable_id, r.sign"
        " FROM relevant_variable v JOIN relevant_variable_record r USING (relevant_variable_id)"
        " WHERE v.site_id = %s AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL"
        " ORDER BY r.temperature_variable_id IS NOT NULL, 1",
        (site_id,),
    ).fetchall()
    found: dict[int, DeclaredVariable] = {}
    for (number, code, source, entered_as, product, products, stage, point, quantity, channel,
         base, temperature_id, sign) in rows:  # fmt: skip
        found[number] = DeclaredVariable(
            number, code, source, entered_as, product, tuple(products), stage, point, quantity,
            channel, None if base is None else float(base),
            None if temperature_id is None else found[temperature_id], sign,
        )  # fmt: skip
    return found
