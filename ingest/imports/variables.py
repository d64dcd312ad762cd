"""Import values of relevant variables that people keep: operating days, outdoor temperature."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import psycopg

from ingest.imports.entries import VARIABLES, Entry
from ingest.imports.entry_table import EntryField, EntryLine, Span, import_entries
from ingest.imports.mapping import VariablesMapping, read_mapping
from ingest.imports.result import ImportResult
from ingest.imports.site import ImportSite, find_site

__all__ = ["VARIABLE_FIELDS", "import_variables"]

VARIABLE_FIELDS: Final = (EntryField("variable"), EntryField("value", "number"))


def import_variables(
    connection: psycopg.Connection[Any],
    file: Path,
    mapping_file: Path,
    author: str,
    *,
    supersede: bool = False,
    dry_run: bool = False,
) -> ImportResult:
    """Import a table with the fields variable, value, from, to.

    See `ingest.imports.output.import_output` for what happens to entries that are there.

    Raises
    ------
    ingest.errors.ImportRefusedError
        With every line that cannot be read; nothing is written then.
    """
    mapping = read_mapping(mapping_file, VariablesMapping)
    known = _entered(connection, find_site(connection, mapping.site, mapping_file))

    def entry(line: EntryLine, span: Span, site: ImportSite) -> Entry:
        del site  # its variables are known already
        variable = line.one_of("variable", tuple(sorted(known)))
        return Entry(line.number, (known.get(variable, 0), *span), (line.level("value"),))

    return import_entries(
        connection, VARIABLES, file, mapping_file, mapping, VARIABLE_FIELDS, entry, author,
        supersede=supersede, dry_run=dry_run,
    )  # fmt: skip


def _entered(connection: psycopg.Connection[Any], site: ImportSite) -> dict[str, int]:
    """Return the variables whose values are entered; others are computed."""
    with connection.transaction():
        return dict(
            connection.execute(
                "SELECT v.code, v.relevant_variable_id FROM relevant_variable v"
                " JOIN relevant_variable_record r USING (relevant_variable_id)"
                " WHERE v.site_id = %s AND r.source = 'entered'"
                " AND r.superseded_commit_no IS NULL",
                (site.site_id,),
            ).fetchall()
        )
