"""Apply a plant file: every object becomes a dated record, every change supersedes (F1, F2)."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg

from enpilot.database import draw_commit_no
from enpilot.plant import Plant
from ingest.errors import ClosedPeriodError
from ingest.imports.closed import ClosedPeriod, closed_periods
from ingest.imports.epochs import note_register, split_by_installation
from ingest.imports.months import ChangedMonths
from ingest.imports.plant_accounting import import_accounting
from ingest.imports.plant_alerts import import_alerts
from ingest.imports.plant_baselines import import_baselines
from ingest.imports.plant_production import import_production
from ingest.imports.plant_tariffs import import_tariffs
from ingest.imports.plant_waste import import_waste
from ingest.imports.records import Author, DatedRow, dated_row, names_of, reconcile_records, thing
from ingest.meaning import series_of

__all__ = ["PlantChanges", "import_plant"]


@dataclass(slots=True)
class PlantChanges:
    """How many records of each kind were inserted or superseded, and what follows.

    ``months`` are those with figures that are computed of other facts now, "2026-03"; ``closed``
    the signed periods among them, whose figures stay while the differences wait.
    """

    site: str
    changes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    months: list[str] = field(default_factory=list)
    closed: list[ClosedPeriod] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All of them; 0 means that the database already said the same."""
        return sum(self.changes.values())


def import_plant(
    connection: psycopg.Connection[Any],
    plant: Plant,
    author: str,
    reason: str,
    *,
    reopen_reason: str | None = None,
) -> PlantChanges:
    """Make the database say what the plant file says, in one transaction.

    Objects that the file no longer mentions stay as they are: a point never dies. End it with
    ``to`` instead of removing it.

    Parameters
    ----------
    connection
        Not inside a transaction.
    plant
        As `enpilot.plant.load_plant` returned it.
    author, reason
        Kept with every record that changes.
    reopen_reason
        Why the file may change what closed periods were computed of; kept with the records too.
        Their figures stay signed, and what they would be now waits for a decision.

    Returns
    -------
    PlantChanges
        What changed.

    Raises
    ------
    ClosedPeriodError
        If the file would change a closed period and no reason is given; nothing is applied then.
    """
    if reopen_reason is not None:
        reason = f"{reason}; changes a closed period: {reopen_reason}"
    with connection.transaction():
        # Few rows and rare, so the number may be drawn first although other writers wait for it.
        changes = _PlantImport(
            connection, plant, Author(author, reason, draw_commit_no(connection))
        ).apply()
        if changes.closed and not (reopen_reason or "").strip():
            raise ClosedPeriodError(plant.site.code, [str(p) for p in changes.closed])
    return changes


class _PlantImport:
    """One file's transaction, object by object, in the order in which they refer to each other."""

    def __init__(self, connection: psycopg.Connection[Any], plant: Plant, author: Author) -> None:
        self._connection = connection
        self._plant = plant
        self._author = author
        self._changes = PlantChanges(plant.site.code)
        self._site_id = thing(connection, "site", {"code": plant.site.code})
        self._ids: dict[tuple[str, str], int] = {}

    def apply(self) -> PlantChanges:
        self._site()
        self._devices()
        self._points()
        self._installations()
        self._grants()
        self._products()
        self._changes.changes.update(
            import_production(self._connection, self._plant, self._site_id, self._ids, self._author)
        )
        for table, count in import_accounting(
            self._connection, self._plant, self._site_id, self._ids, self._author
        ).items():
            self._changes.changes[table] += count
        self._alerts()
        self._baselines()
        self._tariffs()
        self._waste()
        self._find_changed()
        if self._changes.total:
            self._connection.execute(
                "INSERT INTO dirty_site (site_id, from_ts, to_ts, commit_no)"
                " VALUES (%s, %s, now(), %s)",
                (self._site_id, self._plant.site.valid_from, self._author.commit_no),
            )
        return self._changes

    def _find_changed(self) -> None:
        """Find the months, and the closed periods, whose figures are of other facts now."""
        site = self._plant.site
        zone = zoneinfo.ZoneInfo(site.timezone)
        row = self._connection.execute(
            "SELECT min(period_from), max(period_to), now() FROM ("
            " SELECT period_from, period_to FROM energy_period WHERE site_id = %(s)s"
            " UNION ALL SELECT period_from, period_to FROM enpi_period WHERE site_id = %(s)s"
            " UNION ALL SELECT period_from, period_to FROM cost_period WHERE site_id = %(s)s"
            ") figures",
            {"s": self._site_id},
        ).fetchone()
        assert row is not None
        if row[0] is None:
            return
        first, after = (dt.datetime.combine(day, dt.time(), zone) for day in row[:2])
        after = min(after, row[2])
        spans = [
            (max(since, first), after if until is None else min(until, after))
            for since, until in self._author.changed
        ]
        spans = [(since, until) for since, until in spans if since < until]
        months = ChangedMonths(zone)
        months.add_spans(spans)
        self._changes.months = months.named()
        self._changes.closed = closed_periods(self._connection, self._site_id, zone, spans)

    def _records(self, table: str, key: dict[str, Any], rows: list[DatedRow]) -> None:
        self._changes.changes[table] += reconcile_records(
            self._connection, table, key, rows, self._author
        )

    def _site(self) -> None:
        site = self._plant.site
        demonstration = site.demonstration
        facts = names_of(site.name) | {
            "timezone": site.timezone,
            "production_day_start": site.production_day_start,
            "month_day": site.month_day,
            "demonstration_zh": demonstration and demonstration.zh,
            "demonstration_en": demonstration and demonstration.en,
            "self_approval": site.self_approval,
        }
        self._records("site_record", {"site_id": self._site_id}, [dated_row(site, facts)])
        for enterprise in self._plant.enterprise:
            number = self._thing("enterprise", enterprise.code, {})
            facts = names_of(enterprise.name) | {
                "credit_code": enterprise.credit_code,
                "industry": enterprise.industry,
                "district": enterprise.district,
                "above_scale": enterprise.above_scale,
            }
            self._records(
                "enterprise_record", {"enterprise_id": number}, [dated_row(enterprise, facts)]
            )
        for code, owned in _by(self._plant.ownership, lambda o: o.enterprise):
            key = {"site_id": self._site_id, "enterprise_id": self._ids["enterprise", code]}
            rows = [dated_row(o, {"share": Decimal(o.share)}) for o in owned]
            self._records("site_enterprise", key, rows)

    def _devices(self) -> None:
        for device in self._plant.device:
            self._thing(
                "device", device.code, {"site_id": self._site_id},
                maker=device.maker, model=device.model, serial=device.serial,
                accuracy_class=device.accuracy_class, simulated=device.simulated,
            )  # fmt: skip
        for agent in self._plant.agent:
            self._connection.execute(
                "INSERT INTO agent (agent_id, site_id, simulated) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (agent.id, self._site_id, agent.simulated),
            )

    def _points(self) -> None:
        by_code = list(_by(self._plant.point, lambda p: p.code))
        for code, spans in by_code:
            self._thing("point", code, {"site_id": self._site_id}, medium=spans[0].medium)
        for code, spans in by_code:
            rows = [
                dated_row(
                    p,
                    names_of(p.name)
                    | {
                        "role": p.role,
                        "direction": p.direction,
                        "metering_level": p.metering_level,
                        "parent_point_id": p.parent and self._ids["point", p.parent],
                        "commissioning": p.commissioning,
                        "use": p.use,
                    },
                )
                for p in spans
            ]
            self._records("point_record", {"point_id": self._ids["point", code]}, rows)

    def _installations(self) -> None:
        for code, spans in _by(self._plant.installation, lambda i: i.point):
            point_id = self._ids["point", code]
            rows = [
                dated_row(
                    i,
                    {
                        "device_id": self._ids["device", i.device],
                        "ct_ratio": Decimal(i.ct_ratio),
                        "pt_ratio": Decimal(i.pt_ratio),
                        "sign": i.sign,
                        "phase_map": i.phase_map,
                    },
                )
                for i in spans
            ]
            self._records("installation", {"point_id": point_id}, rows)
            for i in spans:
                for register in i.registers:
                    series_id = series_of(
                        self._connection, self._site_id, point_id, register.quantity,
                        register.channel,
                    )  # fmt: skip
                    self._changes.changes["installation_register"] += note_register(
                        self._connection, point_id, i.valid_from, series_id,
                        (register.opening, register.closing), self._author,
                    )  # fmt: skip
            self._changes.changes["series_epoch"] += split_by_installation(
                self._connection, point_id, self._author
            )

    def _grants(self) -> None:
        """Let each agent publish the points at which devices on its lines are installed (D10)."""
        agent_of_line = {line.code: line.agent for line in self._plant.line}
        agent_of_device = {
            d.code: agent_of_line[d.line] for d in self._plant.device if d.line is not None
        }
        granted = [
            ((agent_of_device[i.device], i.point), i)
            for i in self._plant.installation
            if i.device in agent_of_device
        ]
        for (agent, point), pairs in _by(granted, lambda pair: pair[0]):
            self._changes.changes["agent_grant"] += reconcile_records(
                self._connection,
                "agent_grant",
                {"agent_id": agent, "point_id": self._ids["point", point]},
                [dated_row(i, {}) for _, i in pairs],
                self._author,
                with_reason=False,
            )

    def _products(self) -> None:
        for product in self._plant.product:
            number = self._thing(
                "product", product.code, {"site_id": self._site_id}, unit=product.unit
            )
            rows = [dated_row(product, names_of(product.name))]
            self._records("product_record", {"product_id": number}, rows)
        for scheme in self._plant.scheme:
            number = self._thing("scheme", scheme.code, {"site_id": self._site_id})
            facts = names_of(scheme.name) | {
                "energy_unit": scheme.energy_unit,
                "media": scheme.media,
                "factor_standard": scheme.factor_standard,
                "factor_edition": scheme.factor_edition,
                "electricity_basis": scheme.electricity_basis,
                "own_renewables_counted": scheme.own_renewables_counted,
                "feedstock_deducted": scheme.feedstock_deducted,
                "excluded_uses": scheme.excluded_uses,
                "grid_region": scheme.grid_region,
                "carbon_standard": scheme.carbon_standard,
                "carbon_edition": scheme.carbon_edition,
            }
            self._records("scheme_record", {"scheme_id": number}, [dated_row(scheme, facts)])

    def _alerts(self) -> None:
        for table, count in import_alerts(
            self._connection, self._plant, self._site_id, self._ids, self._author
        ).items():
            self._changes.changes[table] += count

    def _baselines(self) -> None:
        for table, count in import_baselines(
            self._connection, self._plant, self._site_id,
            lambda table, code: self._ids[table, code], self._author,
        ).items():  # fmt: skip
            self._changes.changes[table] += count

    def _tariffs(self) -> None:
        points = {p.code: self._ids["point", p.code] for p in self._plant.point}
        for table, count in import_tariffs(
            self._connection, self._plant, self._site_id, points, self._author
        ).items():
            self._changes.changes[table] += count

    def _waste(self) -> None:
        for table, count in import_waste(
            self._connection, self._plant, self._site_id, self._ids, self._author
        ).items():
            self._changes.changes[table] += count

    def _thing(self, table: str, code: str, key: dict[str, Any], **fixed: Any) -> int:
        number = thing(self._connection, table, {**key, "code": code}, **fixed)
        self._ids[table, code] = number
        return number


def _by(items: Iterable[Any], key: Any) -> Iterable[tuple[Any, list[Any]]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups.items()
