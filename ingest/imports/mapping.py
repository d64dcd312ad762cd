"""Mapping files: what the columns of a table mean, in TOML, strict, all mistakes at once.

The pages in docs/reference/import-mapping.md are held against these structures by a test.
"""

from __future__ import annotations

import tomllib
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from enpilot.forms import PositiveDecimalText, form_mistakes
from enpilot.quantities import QUANTITIES, UnitError, unit_ratio
from enpilot.wire.messages import CounterKind, RawType, SeriesDeclaration
from ingest.errors import ImportRefusedError
from ingest.imports.instants import format_mistake

__all__ = [
    "EnergyMapping",
    "EntryMapping",
    "EntryTime",
    "FileForm",
    "ImportMapping",
    "Label",
    "LongForm",
    "ManualMapping",
    "ManualSeries",
    "OutputMapping",
    "ReadingColumn",
    "ReadingsMapping",
    "TimeForm",
    "UnitWord",
    "ValueAddedMapping",
    "VariablesMapping",
    "read_mapping",
]

_Decimals = Annotated[int, Meta(ge=0, le=6)]
_Seconds = Annotated[int, Meta(ge=1, le=366 * 86_400)]
Ambiguous = Literal["refuse", "first", "second", "by_order"]


class Label(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Words for people, in both languages."""

    zh: str
    en: str


class FileForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the table is written down. ``format`` left out follows from the file's ending."""

    format: Literal["csv", "xlsx", "parquet"] | None = None
    encoding: Literal["utf-8", "gb18030", "gbk"] = "utf-8"
    separator: Literal[",", ";", "\t"] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    sheet: str | None = None
    header_row: Annotated[int, Meta(ge=1)] | None = None
    missing: list[str] = []
    footer: str | None = None


class TimeForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When a line of readings was: column, form, zone, and what a stamp stands for."""

    column: str | list[str] = "ts"
    format: str = "iso"
    zone: str | None = None
    stamp: Literal["instant", "start", "end"] = "instant"
    ambiguous: Ambiguous = "refuse"


class EntryTime(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which span an entry of output, of the ledger or of a variable has."""

    format: str = "iso"
    zone: str | None = None
    ambiguous: Literal["refuse", "first", "second"] = "refuse"
    span: Literal["from_to", "day", "month"] = "from_to"
    last_day_included: bool = False


class ImportMapping(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every mapping file says: the site, the source, and what is synthetic in the file."""

    site: str
    source: str
    synthetic: Label | None = None
    file: FileForm = msgspec.field(default_factory=FileForm)


class LongForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A table with one value a line: which column holds it."""

    value: str
    others: Literal["refuse", "ignore"] = "refuse"


class ReadingColumn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One series of the table, and what its numbers mean.

    A wide table has a ``column`` for it, a long one lines whose cells ``match``. A register's
    counts are the number shown times 10 to the power of ``decimals``.
    """

    column: str | None = None
    match: dict[str, str] | None = None
    point: str
    quantity: str
    channel: str = "total"
    unit: str
    kind: Literal["register", "consumption"] = "register"
    decimals: _Decimals = 0
    raw_type: RawType | None = None
    register_scale: PositiveDecimalText | None = None
    side: Literal["primary", "secondary"] = "primary"
    counter: CounterKind | None = None
    modulus: PositiveDecimalText | None = None
    rated_max_per_h: Annotated[float, Meta(gt=0)] | None = None

    def declaration(self) -> SeriesDeclaration:
        """Return what the numbers mean once they are counts."""
        derived = self.kind == "consumption"
        return SeriesDeclaration(
            point=self.point, quantity=self.quantity, channel=self.channel, unit=self.unit,
            raw_type="int64" if derived else self.raw_type or "int64",
            register_scale=_resolution(self.decimals) if derived else self.register_scale or "1",
            side=self.side, counter="lifetime" if derived else self.counter,
            modulus=self.modulus, rated_max_per_h=self.rated_max_per_h,
        )  # fmt: skip


class ReadingsMapping(ImportMapping, kw_only=True):
    """Mapping of a history of readings: registers, gauges, consumption per interval."""

    time: TimeForm = msgspec.field(default_factory=TimeForm)
    period_s: _Seconds = 900
    period: Literal["day", "month"] | None = None
    long: LongForm | None = None
    series: Annotated[list[ReadingColumn], Meta(min_length=1)]


class EntryMapping(ImportMapping, kw_only=True):
    """What output, energy and variables mappings share.

    ``columns`` gives a field's header in the file, ``constants`` a field's word for the whole
    file, ``words`` what the file's words mean, by field.
    """

    time: EntryTime = msgspec.field(default_factory=EntryTime)
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    words: dict[str, dict[str, str]] = {}


class OutputMapping(EntryMapping, kw_only=True):
    """Mapping of production figures."""


class VariablesMapping(EntryMapping, kw_only=True):
    """Mapping of values of relevant variables."""


class ValueAddedMapping(EntryMapping, kw_only=True):
    """Mapping of value added of enterprises."""


class UnitWord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a unit of the file is: ``times`` of one of ours."""

    unit: str
    times: PositiveDecimalText = "1"


class EnergyMapping(EntryMapping, kw_only=True):
    """Mapping of an energy ledger."""

    units: dict[str, UnitWord] = {}
    calorific_unit: Literal["kJ/kg", "MJ/kg", "kcal/kg"] = "kJ/kg"


class DeclaredMapping(EntryMapping, kw_only=True):
    """Mapping of totals that were declared to an authority."""

    units: dict[str, UnitWord] = {}


class ManualSeries(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A register that people read, as its display shows it: so many decimals of a unit."""

    match: dict[str, str] = {}
    point: str
    quantity: str
    channel: str = "total"
    unit: str
    decimals: _Decimals = 0
    side: Literal["primary", "secondary"] = "primary"
    modulus: PositiveDecimalText | None = None

    def declaration(self) -> SeriesDeclaration:
        """Return what the numbers mean where no telemetry has said it."""
        return SeriesDeclaration(
            point=self.point, quantity=self.quantity, channel=self.channel, unit=self.unit,
            raw_type="int64", register_scale=_resolution(self.decimals), side=self.side,
            counter="lifetime", modulus=self.modulus,
        )  # fmt: skip


class ManualMapping(ImportMapping, kw_only=True):
    """Mapping of readings by people: level, time, ± minutes, person, photo."""

    time: TimeForm = msgspec.field(default_factory=TimeForm)
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    series: Annotated[list[ManualSeries], Meta(min_length=1)]


_AnyMapping = TypeVar("_AnyMapping", bound=ImportMapping)


def read_mapping(file: Path, kind: type[_AnyMapping]) -> _AnyMapping:
    """Read and check a mapping file.

    Raises
    ------
    ImportRefusedError
        With everything that is wrong in it, each with its path.
    """
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ImportRefusedError(file, ["there is no such file"]) from error
    except OSError as error:
        raise ImportRefusedError(file, [f"cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportRefusedError(file, [f"not TOML in UTF-8: {error}"]) from error
    mistakes = list(form_mistakes(written, kind))
    if mistakes:
        raise ImportRefusedError(file, mistakes)
    mapping = msgspec.convert(written, kind)
    mistakes = list(_mistakes(mapping))
    if mistakes:
        raise ImportRefusedError(file, mistakes)
    return mapping


def _resolution(decimals: int) -> str:
    """Return 10 to the power of -decimals, as a decimal number."""
    return "1" if decimals == 0 else f"0.{'1'.rjust(decimals, '0')}"


def _mistakes(mapping: ImportMapping) -> Iterator[str]:
    form = mapping.file
    if form.thousands == form.decimal:
        yield f"{form.decimal!r} cannot be both decimal and thousands - at `$.file.thousands`"
    if form.format == "csv" and form.separator == form.decimal:
        yield f"{form.decimal!r} cannot be both decimal and separator - at `$.file.separator`"
    if isinstance(mapping, ReadingsMapping | EntryMapping | ManualMapping):
        yield from _time_mistakes(mapping.time)
    if isinstance(mapping, ReadingsMapping):
        yield from _readings_mistakes(mapping)
    if isinstance(mapping, ManualMapping):
        if mapping.time.stamp != "instant":
            yield "a person reads at an instant: leave `stamp` out - at `$.time.stamp`"
        for i, series in enumerate(mapping.series):
            yield from _unit_mistakes(series.quantity, series.unit, f"$.series[{i}]")
            if len(mapping.series) > 1 and not series.match:
                yield (
                    "say by `match` which lines are this series' (only one series needs none) - "
                    f"at `$.series[{i}]`"
                )
            if not _cumulative(series.quantity):
                yield f"{series.quantity} is not a register's - at `$.series[{i}].quantity`"
    if isinstance(mapping, EnergyMapping | DeclaredMapping):
        ours = {u for q in QUANTITIES.values() for u in q.units}
        for word, unit in mapping.units.items():
            if unit.unit not in ours:
                yield f"no unit {unit.unit!r} - at `$.units.{word}.unit`"


def _time_mistakes(time: TimeForm | EntryTime) -> Iterator[str]:
    mistake = format_mistake(time.format)
    if mistake is not None:
        yield f"{mistake} - at `$.time.format`"
    if time.zone is not None:
        try:
            zoneinfo.ZoneInfo(time.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            yield f"no time zone {time.zone!r}; use an IANA name - at `$.time.zone`"
    if isinstance(time, EntryTime) and time.span != "from_to" and time.last_day_included:
        yield "only from_to has a last day of its own - at `$.time.last_day_included`"


def _readings_mistakes(mapping: ReadingsMapping) -> Iterator[str]:
    seen: dict[tuple[str, str, str], int] = {}
    for i, series in enumerate(mapping.series):
        path = f"$.series[{i}]"
        yield from _unit_mistakes(series.quantity, series.unit, path)
        if mapping.long is None and series.column is None:
            yield f"name its `column`, or the table's `[long]` form - at `{path}`"
        if mapping.long is None and series.match is not None:
            yield f"`match` belongs to a table of `[long]` form - at `{path}.match`"
        if mapping.long is not None and not series.match:
            yield f"say by `match` which lines are this series' - at `{path}`"
        if mapping.long is not None and series.column is not None:
            yield f"a table of `[long]` form has one value column - at `{path}.column`"
        key = (series.point, series.quantity, series.channel)
        if seen.setdefault(key, i) != i:
            yield f"the same series as `$.series[{seen[key]}]` - at `{path}`"
        if series.kind == "consumption":
            yield from _consumption_mistakes(mapping, series, path)
        else:
            yield from _register_mistakes(mapping, series, path)


def _consumption_mistakes(
    mapping: ReadingsMapping, series: ReadingColumn, path: str
) -> Iterator[str]:
    if mapping.time.stamp == "instant":
        yield (
            'a consumption has a span: say whether its stamp is "start" or "end" - '
            "at `$.time.stamp`"
        )
    if not _cumulative(series.quantity):
        yield f"{series.quantity} is a level, not an amount - at `{path}.quantity`"
    for name in ("raw_type", "register_scale", "counter", "modulus"):
        if getattr(series, name) is not None:
            yield f"belongs to a register, not to a consumption - at `{path}.{name}`"


def _register_mistakes(mapping: ReadingsMapping, series: ReadingColumn, path: str) -> Iterator[str]:
    if series.raw_type is None:
        yield f"a register needs its `raw_type` - at `{path}`"
    elif series.decimals and "int" not in series.raw_type:
        yield f"counts with decimals are whole: use an integer type - at `{path}.raw_type`"
    if series.counter is not None and mapping.time.stamp != "instant":
        yield (
            'a register stands at an instant: `stamp = "instant"`, or `kind = "consumption"` if '
            f"the numbers are amounts - at `{path}`"
        )
    if series.counter is not None and not _cumulative(series.quantity):
        yield f"{series.quantity} is a level, it has no counter - at `{path}.counter`"


def _unit_mistakes(quantity: str, unit: str, path: str) -> Iterator[str]:
    try:
        unit_ratio(quantity, unit)
    except UnitError as error:
        yield f"{error} - at `{path}`"


def _cumulative(quantity: str) -> bool:
    return quantity not in QUANTITIES or QUANTITIES[quantity].cumulative
