"""Read a plant file: types first, then everything that refers to something else.

Of either kind all mistakes are said at once, each with its path in the file.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import tomllib
import zoneinfo
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from enpilot.errors import ConfigurationError
from enpilot.forms import form_mistakes
from enpilot.plant import alerts, baselines, savings, waste
from enpilot.plant.accounting import check_accounting
from enpilot.plant.base import Dated
from enpilot.plant.model import Device, Line, Plant
from enpilot.plant.production import check_production
from enpilot.plant.tariffs import check_tariffs
from enpilot.quantities import ENERGY_UNITS, MEDIA, QUANTITIES

__all__ = ["PlantFileError", "load_plant", "read_plant"]


class PlantFileError(ConfigurationError):
    """A plant file that cannot be used; the message names file, paths and remedies.

    Attributes
    ----------
    file
        The file.
    errors
        One sentence for each thing that is wrong, with its path in the file.
    """

    def __init__(self, file: Path, errors: list[str]) -> None:
        super().__init__(f"{file}: " + "; ".join(errors))
        self.file = file
        self.errors = errors


def load_plant(file: Path) -> Plant:
    """Read and check a plant file.

    Parameters
    ----------
    file
        A TOML file of `enpilot.plant.model.Plant`.

    Returns
    -------
    Plant
        With every ``from`` and ``to`` an instant, and every missing ``from`` the site's.

    Raises
    ------
    PlantFileError
        If the file is missing, is not TOML, has an unknown key or a value out of range, or names
        something that does not exist.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError as error:
        raise PlantFileError(file, ["there is no such file"]) from error
    except OSError as error:
        raise PlantFileError(file, [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise PlantFileError(file, [f"not TOML in UTF-8: {error}"]) from error
    return read_plant(text, file)


def read_plant(text: str, file: Path) -> Plant:
    """Read and check the text of a plant file.

    Parameters
    ----------
    text
        TOML.
    file
        Its name, for messages.

    Returns
    -------
    Plant
        See `load_plant`.

    Raises
    ------
    PlantFileError
        See `load_plant`.
    """
    try:
        document = tomllib.loads(text)
        written = _with_instants(document, _zone(document))
    except tomllib.TOMLDecodeError as error:
        raise PlantFileError(file, [f"not TOML in UTF-8: {error}"]) from error
    except zoneinfo.ZoneInfoNotFoundError as error:
        raise PlantFileError(file, [f"{error.args[0]} - at `$.site.timezone`"]) from error
    mistakes = list(form_mistakes(written, Plant))
    if mistakes:
        raise PlantFileError(file, mistakes)
    plant = msgspec.convert(written, Plant)
    errors = [
        *_duplicate_errors(plant),
        *_reference_errors(plant),
        *_word_errors(plant),
        *_line_errors(plant),
        *_wiring_errors(plant),
        *_record_errors(plant),
        *_parent_errors(plant),
        *_target_errors(plant),
        *check_production(plant),
        *check_accounting(plant),
        *baselines.check_baselines(plant),
        *savings.check_savings(plant),
    ]
    if errors:
        raise PlantFileError(file, errors)
    _settle_dates(plant)
    errors = [
        *_date_errors(plant),
        *check_tariffs(plant),
        *waste.check_waste(plant),
        *alerts.check_alerts(plant),
    ]
    if errors:
        raise PlantFileError(file, errors)
    return plant


def _zone(document: dict[str, Any]) -> zoneinfo.ZoneInfo:
    site = document.get("site")
    name = site.get("timezone") if isinstance(site, dict) else None
    if not isinstance(name, str):
        return zoneinfo.ZoneInfo("UTC")  # the type check that follows says what is missing
    try:
        return zoneinfo.ZoneInfo(name)
    # OSError: the name of a folder ("Asia"), or one that is too long for a file.
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise zoneinfo.ZoneInfoNotFoundError(f"no time zone {name!r}") from error


def _with_instants(value: Any, zone: zoneinfo.ZoneInfo, key: str = "") -> Any:
    """Turn dates under ``from`` and ``to`` into midnights of the site, recursively."""
    if isinstance(value, dict):
        return {k: _with_instants(v, zone, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_instants(v, zone, key) for v in value]
    if key in ("from", "to"):
        if isinstance(value, dt.datetime):
            return value if value.tzinfo else value.replace(tzinfo=zone)
        if isinstance(value, dt.date):
            return dt.datetime.combine(value, dt.time(), zone)
    return value


def _coded(plant: Plant) -> Iterable[tuple[str, list[str]]]:
    yield "enterprise", [e.code for e in plant.enterprise]
    yield "agent", [a.id for a in plant.agent]
    yield "line", [line.code for line in plant.line]
    yield "device", [d.code for d in plant.device]
    yield "product", [p.code for p in plant.product]
    yield "scheme", [s.code for s in plant.scheme]
    yield "enpi", [e.code for e in plant.enpi]
    yield "base_adjustment", [a.code for a in plant.base_adjustment]
    yield "rule", [r.code for r in plant.rule]
    yield "preset", [p.code for p in plant.preset]
    yield "variable", [v.code for v in plant.variable]
    yield "baseline", [b.code for b in plant.baseline]
    yield "programme", [p.code for p in plant.programme]
    yield "retrofit", [r.code for r in plant.retrofit]
    yield "non_routine_adjustment", [a.code for a in plant.non_routine_adjustment]


def _duplicate_errors(plant: Plant) -> list[str]:
    return [
        f"{kind} {code!r} is described {count} times - at `$.{kind}`"
        for kind, codes in _coded(plant)
        for code, count in Counter(codes).items()
        if count > 1
    ]


def _reference_errors(plant: Plant) -> list[str]:
    known = {kind: set(codes) for kind, codes in _coded(plant)}
    known["point"] = {p.code for p in plant.point}
    references: list[tuple[str, str | None, str]] = []
    references += [
        (f"$.ownership[{i}].enterprise", o.enterprise, "enterprise")
        for i, o in enumerate(plant.ownership)
    ]
    references += [(f"$.line[{i}].agent", x.agent, "agent") for i, x in enumerate(plant.line)]
    references += [(f"$.device[{i}].line", d.line, "line") for i, d in enumerate(plant.device)]
    references += [
        (f"$.device[{i}].part_of", d.part_of, "device") for i, d in enumerate(plant.device)
    ]
    references += [(f"$.point[{i}].parent", p.parent, "point") for i, p in enumerate(plant.point)]
    for i, x in enumerate(plant.installation):
        references.append((f"$.installation[{i}].point", x.point, "point"))
        references.append((f"$.installation[{i}].device", x.device, "device"))
    for i, e in enumerate(plant.enpi):
        references.append((f"$.enpi[{i}].scheme", e.scheme, "scheme"))
        references.append((f"$.enpi[{i}].product", e.product, "product"))
    references += [(f"$.target[{i}].enpi", t.enpi, "enpi") for i, t in enumerate(plant.target)]
    references += [
        *alerts.references(plant),
        *baselines.references(plant),
        *savings.references(plant),
        *waste.references(plant),
    ]
    return [
        f"no {kind} {code!r} in this file (there is: {', '.join(sorted(known[kind])) or 'none'})"
        f" - at `{path}`"
        for path, code, kind in references
        if code is not None and code not in known[kind]
    ]


def _word_errors(plant: Plant) -> list[str]:
    errors = [
        f"no medium {p.medium!r}; use one of: {', '.join(sorted(MEDIA))} - at `$.point[{i}].medium`"
        for i, p in enumerate(plant.point)
        if p.medium not in MEDIA
    ]
    for i, s in enumerate(plant.scheme):
        path = f"$.scheme[{i}]"
        errors += [f"no medium {m!r} - at `{path}.media`" for m in s.media if m not in MEDIA]
        if s.energy_unit == "kgce":
            if s.factor_standard is None or s.factor_edition is None:
                errors.append(
                    "a scheme in kgce names the `factor_standard` and `factor_edition` "
                    f"it converts by - at `{path}`"
                )
            if "electricity" in s.media and s.electricity_basis is None:
                errors.append(
                    'say how electricity counts: `electricity_basis` "physical" (当量值) or '
                    f'"primary" (等价值) - at `{path}.electricity_basis`'
                )
        elif len(s.media) != 1:
            errors.append(f"only a scheme in kgce can add several media - at `{path}.media`")
        if s.energy_unit not in ENERGY_UNITS:
            errors.append(
                f"no unit {s.energy_unit!r} for energy; use one of: "
                f"{', '.join(sorted(ENERGY_UNITS))} - at `{path}.energy_unit`"
            )
    known_quantities = [
        (f"$.installation[{i}].registers[{j}].quantity", r.quantity)
        for i, x in enumerate(plant.installation)
        for j, r in enumerate(x.registers)
    ]
    known_quantities += [
        (f"$.rule[{i}].quantity", r.quantity)
        for i, r in enumerate(plant.rule)
        if r.quantity is not None
    ]
    errors += [
        f"no quantity {q!r}; use one of: {', '.join(sorted(QUANTITIES))} - at `{path}`"
        for path, q in known_quantities
        if q not in QUANTITIES
    ]
    return errors


def _target_errors(plant: Plant) -> list[str]:
    errors = []
    judged: set[tuple[str, str, str]] = set()
    for i, t in enumerate(plant.target):
        path = f"$.target[{i}]"
        if (t.annual_rate is None) == (t.end_value is None):
            errors.append(f"a target has either `annual_rate` or `end_value` - at `{path}`")
        if not t.base_from < t.base_to <= t.end_to:
            errors.append(
                "the base period begins before it ends, and the target ends after it: base_from "
                f"{t.base_from}, base_to {t.base_to}, end_to {t.end_to} - at `{path}`"
            )
        if (t.enpi, t.kind, t.target_class) in judged:
            errors.append(
                f"EnPI {t.enpi!r} has two targets of class {t.target_class!r} - at `{path}`"
            )
        judged.add((t.enpi, t.kind, t.target_class))
    return errors


def _parent_errors(plant: Plant) -> list[str]:
    parents: dict[str, set[str]] = {}
    for p in plant.point:
        if p.parent is not None:
            parents.setdefault(p.code, set()).add(p.parent)
    return [
        f"point {p.code!r} is its own ancestor - at `$.point[{i}].parent`"
        for i, p in enumerate(plant.point)
        if p.parent is not None and p.code in _ancestors(p.code, parents)
    ]


def _ancestors(code: str, parents: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_codes = [code]
    while open_codes:
        for parent in parents.get(open_codes.pop(), ()):
            if parent not in found:
                found.add(parent)
                open_codes.append(parent)
    return found


def _part_errors(part: Device, whole: Device | None, path: str) -> list[str]:
    errors = []
    if part.line is not None or part.unit_address is not None or part.profile is None:
        errors.append(
            f"device {part.code!r} is part of {part.part_of!r}: it has a `profile`, and the `line` "
            f"and `unit` of that one - at `{path}`"
        )
    if whole is not None and (whole.part_of is not None or whole.line is None):
        errors.append(
            f"device {part.code!r} is part of {whole.code!r}, which is not polled on a line itself"
            f" - at `{path}.part_of`"
        )
    return errors


# DL/T 645: twelve decimal digits; CJ/T 188: the maker's four, which may be hexadecimal, and ten.
_METER_ADDRESS = re.compile(r"[0-9]{12}|[0-9A-F]{14}")


def _meter_errors(device: Device, line: Line | None, path: str) -> list[str]:
    errors = []
    if not _METER_ADDRESS.fullmatch(device.meter_address or ""):
        errors.append(
            f"device {device.code!r}: a `meter_address` is what is written on the meter, 12 digits "
            "for DL/T 645 (zeros in front) or 14, with capitals, for CJ/T 188; not "
            f"{device.meter_address!r} - at `{path}.meter_address`"
        )
    if device.unit is not None:
        errors.append(
            f"device {device.code!r} has a `unit` (Modbus) and a `meter_address` (DL/T 645, CJ/T "
            f"188): it answers to one of them - at `{path}`"
        )
    if device.address_offset:
        errors.append(
            f"device {device.code!r}: a meter with a `meter_address` has no registers to offset - "
            f"at `{path}.address_offset`"
        )
    if line is not None and line.framing == "tcp":
        remedy = '`frames = "rtu"`' if line.kind == "listen" else '`kind = "rtu_over_tcp"`'
        errors.append(
            f"device {device.code!r} speaks DL/T 645 or CJ/T 188, which no Modbus TCP frame "
            f"carries, and line {line.code!r} has these: if its server passes bytes on as they "
            f"come (transparent mode), say {remedy} there - at `{path}.line`"
        )
    return errors


# Which keys of a line belong to which kind only.
_KEYS_OF_KINDS = {
    "serial_port": ("serial",),
    "registration": ("listen",),
    "heartbeat": ("listen",),
    "frames": ("listen",),
}


def _line_errors(plant: Plant) -> list[str]:
    errors = []
    taken: dict[tuple[str, str, str], str] = {}
    for i, line in enumerate(plant.line):
        path = f"$.line[{i}]"
        needed = {"serial": "serial_port", "listen": "registration"}.get(line.kind, "host")
        if not getattr(line, needed):
            errors.append(f"a line of kind {line.kind!r} needs `{needed}` - at `{path}`")
        errors += [
            f"`{key}` belongs to a line of kind {' or '.join(kinds)} - at `{path}.{key}`"
            for key, kinds in _KEYS_OF_KINDS.items()
            if getattr(line, key) and line.kind not in kinds
        ]
        if line.kind == "serial" and line.host:
            errors.append(f"a serial line has no `host` - at `{path}.host`")
        if line.kind == "listen" and line.close_after_read:
            errors.append(
                "a DTU that is sent away may need a minute to dial in again: no `close_after_read`"
                f" on a line of kind listen - at `{path}.close_after_read`"
            )
        try:
            known_by = line.registration_bytes.hex()
            _ = line.heartbeat_bytes
        except ValueError:
            errors.append(f"bytes are text, or pairs of hexadecimal digits after 0x - at `{path}`")
            continue
        place = line.serial_port if line.kind == "serial" else line.address
        other = taken.setdefault((line.agent, place, known_by), line.code)
        if other != line.code and place:
            errors.append(
                f"lines {other!r} and {line.code!r} are one connection ({place}): put their devices"
                f" on one line - at `{path}`"
            )
    return errors


def _wiring_errors(plant: Plant) -> list[str]:
    errors = []
    taken: dict[tuple[str, int | str], str] = {}
    by_code = {d.code: d for d in plant.device}
    lines = {line.code: line for line in plant.line}
    for i, device in enumerate(plant.device):
        address = device.unit_address
        given = (device.line is not None, address is not None, device.profile is not None)
        if device.part_of is not None:
            errors += _part_errors(device, by_code.get(device.part_of), f"$.device[{i}]")
        elif any(given) and not all(given):
            errors.append(
                f"device {device.code!r} is polled only with `line`, `unit` (or `meter_address`) "
                f"and `profile` together - at `$.device[{i}]`"
            )
        if device.meter_address is not None:
            errors += _meter_errors(device, lines.get(device.line or ""), f"$.device[{i}]")
        for quantity in {*device.quantity_period_s, *(device.only or ())} - set(QUANTITIES):
            errors.append(f"no quantity {quantity!r} - at `$.device[{i}]`")
        if device.line is not None and address is not None:
            other = taken.setdefault((device.line, address), device.code)
            if other != device.code:
                errors.append(
                    f"devices {other!r} and {device.code!r} are both unit {address} on line "
                    f"{device.line!r}; a part of a device says `part_of` instead - at "
                    f"`$.device[{i}].unit`"
                )
    for i, installation in enumerate(plant.installation):
        stood: set[tuple[str, str]] = set()
        for j, r in enumerate(installation.registers):
            if (r.quantity, r.channel) in stood:
                errors.append(
                    f"register {r.quantity}.{r.channel} is described twice - at "
                    f"`$.installation[{i}].registers[{j}]`"
                )
            stood.add((r.quantity, r.channel))
    return errors


def _record_errors(plant: Plant) -> list[str]:
    errors = []
    for i, p in enumerate(plant.point):
        path = f"$.point[{i}]"
        if (p.record is None) != (p.record_sha256 is None):
            errors.append(
                f"point {p.code!r}: `record` and `record_sha256` go together; `enpilot edge "
                f"commission {p.code}` prints both - at `{path}`"
            )
        if p.record is not None and p.commissioning in ("planned", "wired"):
            errors.append(
                f"point {p.code!r} has a record, yet is {p.commissioning!r}: `commissioning` is "
                f'"verified" or "accepted" by a record - at `{path}.commissioning`'
            )
        if p.record is not None and (Path(p.record).is_absolute() or ".." in Path(p.record).parts):
            errors.append(
                f"point {p.code!r}: the record lies beside the plant file or below, and is named "
                f"from there - at `{path}.record`"
            )
    return errors


def _settle_dates(plant: Plant) -> None:
    dated: list[Dated] = [
        *plant.enterprise, *plant.ownership, *plant.point, *plant.installation,
        *plant.product, *plant.scheme, *plant.enpi, *plant.rule, *plant.preset,
        *plant.base_adjustment,
        *plant.shift, *plant.production_counter, *plant.integrated,
        *plant.virtual_point, *plant.area, *plant.conversion, *plant.allocation, *plant.factor,
        *plant.ledger_shape,
        *plant.variable,
        *plant.baseline, *plant.programme, *plant.retrofit, *plant.non_routine_adjustment,
        *plant.tariff, *plant.account,
        *plant.medium_price,
        *plant.machine, *plant.opening_hours, *plant.ratio_check, *plant.flat_price,
    ]  # fmt: skip
    for item in dated:
        item.valid_from = item.valid_from or plant.site.valid_from


def _date_errors(plant: Plant) -> list[str]:
    if plant.site.valid_from is None:
        return ["the site needs a `from` date: since when it is described - at `$.site.from`"]
    dated: dict[str, list[tuple[str, Dated]]] = {
        "enterprise": [(e.code, e) for e in plant.enterprise],
        "ownership": [(o.enterprise, o) for o in plant.ownership],
        "point": [(p.code, p) for p in plant.point],
        "installation": [(x.point, x) for x in plant.installation],
        "product": [(p.code, p) for p in plant.product],
        "scheme": [(s.code, s) for s in plant.scheme],
        "enpi": [(e.code, e) for e in plant.enpi],
        "rule": [(r.code, r) for r in plant.rule],
        "preset": [(p.code, p) for p in plant.preset],
        "base_adjustment": [(a.code, a) for a in plant.base_adjustment],
        "shift": [(s.code, s) for s in plant.shift],
        "production_counter": [(c.point, c) for c in plant.production_counter],
        "virtual_point": [(v.code, v) for v in plant.virtual_point],
        "area": [(a.code, a) for a in plant.area],
        "conversion": [(f"{c.area} {c.medium}", c) for c in plant.conversion],
        "allocation": [(a.area, a) for a in plant.allocation],
        "ledger_shape": [(s.medium, s) for s in plant.ledger_shape],
        "factor": [(f"{f.kind} {f.medium} {f.basis}", f) for f in plant.factor],
        "integrated": [(f"{x.point} {x.quantity} {x.channel}", x) for x in plant.integrated],
        "variable": [(v.code, v) for v in plant.variable],
        "baseline": [(b.code, b) for b in plant.baseline],
        "programme": [(p.code, p) for p in plant.programme],
        "retrofit": [(r.code, r) for r in plant.retrofit],
        "non_routine_adjustment": [(a.code, a) for a in plant.non_routine_adjustment],
        "tariff": [(t.code, t) for t in plant.tariff],
        "account": [(a.code, a) for a in plant.account],
        "medium_price": [(p.medium, p) for p in plant.medium_price],
        "machine": [(m.code, m) for m in plant.machine],
        "opening_hours": [(h.code, h) for h in plant.opening_hours],
        "ratio_check": [(r.code, r) for r in plant.ratio_check],
        "flat_price": [("electricity", p) for p in plant.flat_price],
    }
    errors = [_order_error("$.site", plant.site)] if _is_reversed(plant.site) else []
    for kind, items in dated.items():
        errors += [
            _order_error(f"$.{kind}[{i}]", item)
            for i, (_, item) in enumerate(items)
            if _is_reversed(item)
        ]
        errors += [
            f"{kind} {key!r} is described twice for {start.isoformat()}: end the earlier one with "
            f"`to` - at `$.{kind}[{i}]`"
            for key, start, i in _overlaps(items)
        ]
    errors += [
        f"device {key!r} is at two points on {start.isoformat()}: end the earlier installation "
        f"with `to` - at `$.installation[{i}]`"
        for key, start, i in _overlaps([(x.device, x) for x in plant.installation])
    ]
    return errors + _share_errors(plant)


def _is_reversed(item: Dated) -> bool:
    assert item.valid_from is not None  # settled before
    return item.valid_to is not None and item.valid_to <= item.valid_from


def _order_error(path: str, item: Dated) -> str:
    assert item.valid_from is not None
    assert item.valid_to is not None
    return (
        f"`to` ({item.valid_to.isoformat()}) is not after `from` ({item.valid_from.isoformat()}) - "
        f"at `{path}`"
    )


def _overlaps(items: list[tuple[str, Dated]]) -> list[tuple[str, dt.datetime, int]]:
    """Return key, start and place of items that begin before an earlier one of their key ends."""
    spans: dict[str, list[tuple[dt.datetime, dt.datetime | None, int]]] = {}
    for i, (key, item) in enumerate(items):
        assert item.valid_from is not None
        spans.setdefault(key, []).append((item.valid_from, item.valid_to, i))
    found = []
    for key, rows in spans.items():
        rows.sort(key=lambda row: row[0])
        for (_, end, _i), (start, _end, j) in itertools.pairwise(rows):
            if end is None or end > start:
                found.append((key, start, j))
    return found


def _share_errors(plant: Plant) -> list[str]:
    errors = []
    for i, owned in enumerate(plant.ownership):
        start = owned.valid_from
        assert start is not None
        total = sum(
            Decimal(o.share)
            for o in plant.ownership
            if o.valid_from is not None
            and o.valid_from <= start
            and (o.valid_to is None or start < o.valid_to)
        )
        if total > 1:
            errors.append(
                f"the shares of the owners on {start.isoformat()} add up to {total}, more than 1"
                f" - at `$.ownership[{i}]`"
            )
    return errors
