"""Import the energy ledger: fuels and steam without registers, by document, with stock (F5)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import psycopg

from enpilot.fuel_stock import LEDGER_KINDS
from enpilot.quantities import MEDIA
from ingest.imports.entries import ENERGY, Entry, Planned
from ingest.imports.entry_table import EntryField, EntryLine, Span, import_entries
from ingest.imports.findings import Findings
from ingest.imports.ledger_checks import (
    LedgerLine,
    check_ledger,
    current_ledger,
    keep_findings,
)
from ingest.imports.mapping import EnergyMapping, read_mapping
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite

__all__ = ["ENERGY_FIELDS", "import_energy"]

ENERGY_FIELDS: Final = (
    EntryField("medium"),
    EntryField("kind"),
    EntryField("quantity", "number"),
    EntryField("unit"),
    EntryField("document"),
    EntryField("calorific_value", "number", default=""),
    EntryField("moisture_percent", "number", default=""),
)
_KJ_PER_KG: Final = {
    "kJ/kg": Decimal(1), "MJ/kg": Decimal(1000), "kcal/kg": Decimal("4.1868"),
}  # fmt: skip


def import_energy(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
) -> ImportResult:
    """Import a table with the fields medium, kind, quantity, unit, from, to, document.

    ``calorific_value`` (net, as received) and ``moisture_percent`` are kept where they were
    measured. What is odd about the site's ledger as a whole becomes findings.

    See `ingest.imports.output.import_output` for what happens to entries that are there.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    mapping = read_mapping(mapping_file, EnergyMapping)

    def entry(line: EntryLine, span: Span, site: ImportSite) -> Entry:
        del site  # a medium belongs to no point
        return _entry(line, span, mapping)

    return import_entries(
        connection, ENERGY, file, mapping_file, mapping, ENERGY_FIELDS, entry, author,
        supersede=supersede, dry_run=dry_run, judge=_judge,
    )  # fmt: skip


def _entry(line: EntryLine, span: Span, mapping: EnergyMapping) -> Entry:
    word = line.text("unit")
    unit = mapping.units.get(word)
    quantity = line.amount("quantity") * (Decimal(1) if unit is None else Decimal(unit.times))
    calorific = line.optional("calorific_value")
    if calorific is not None:
        calorific *= _KJ_PER_KG[mapping.calorific_unit]
        if not 500 <= calorific <= 150_000:
            line.refuse(
                "calorific_value",
                f"{calorific.normalize():f} kJ/kg: no fuel has that; is `calorific_unit` right?",
            )
    moisture = line.optional("moisture_percent")
    if moisture is not None and moisture >= 100:
        line.refuse("moisture_percent", "moisture is 0 to 100 percent")
    return Entry(
        line.number,
        (
            line.one_of("medium", tuple(sorted(MEDIA))), line.one_of("kind", LEDGER_KINDS),
            line.text("document"), *span,
        ),
        (
            quantity, word if unit is None else unit.unit, calorific,
            None if moisture is None else moisture / 100,
        ),
    )  # fmt: skip


def _ledger_line(entry: Entry) -> LedgerLine:
    medium, kind, document, since, until = entry.key
    quantity, unit, *_ = entry.value
    return LedgerLine(medium, kind, document, since, until, Fraction(quantity), unit)


def _judge(
    connection: psycopg.Connection[Any],
    site: ImportSite,
    planned: Planned,
    supersede: bool,
    findings: Findings,
) -> Callable[[int], None]:
    """Check the ledger as it will be."""
    ledger = current_ledger(connection, site.site_id)
    for entry in planned.new + ([e for e, *_ in planned.differing] if supersede else []):
        ledger[entry.key] = _ledger_line(entry)
    found = check_ledger(list(ledger.values()))
    for finding in found:
        since = finding.since.astimezone(site.zone)
        findings.add(finding.code, finding.medium, f"{since:%Y-%m-%d}: {finding.evidence}")
    return lambda commit_no: keep_findings(connection, site.site_id, found, commit_no)
