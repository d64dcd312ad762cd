"""Fills in Grafana's macros and variables the way Grafana does it.

Source: Grafana documentation, PostgreSQL data source, "Macros", and "Variable syntax".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["expand"]

_INSTANT = re.compile(r"\$__time(From|To)\(\)")


def expand(query: str, since: str, until: str, variables: Mapping[str, str | Sequence[str]]) -> str:
    """Return SQL that PostgreSQL takes; raises if something of Grafana's is left in it."""
    filled = _INSTANT.sub(lambda m: f"'{since if m[1] == 'From' else until}'", query)
    while (at := filled.find("$__timeFilter(")) >= 0:
        start = end = at + len("$__timeFilter(")
        depth = 1
        while depth:
            depth += {"(": 1, ")": -1}.get(filled[end], 0)
            end += 1
        column = filled[start : end - 1]
        filled = f"{filled[:at]}{column} BETWEEN '{since}' AND '{until}'{filled[end:]}"
    for name, value in variables.items():
        values = [value] if isinstance(value, str) else value
        said = ",".join("'" + v.replace("'", "''") + "'" for v in values)
        filled = filled.replace(f"${{{name}:sqlstring}}", said)
    assert "$" not in filled, f"not filled in: {filled[filled.index('$') :][:40]}"
    return filled
