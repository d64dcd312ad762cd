"""What the pages say of closing is what the program does, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from analytics.closing import checks
from tests.docs.tables import table

ROOT = Path(__file__).parents[2]


def test_every_check_has_its_line() -> None:
    source = Path(checks.__file__).read_text("utf-8")
    said = {(code, level) for code, level in re.findall(r'Check\("(\w+)", "(\w+)"', source)}
    assert len(said) > 5
    rows = table(ROOT / "analytics/README.md", "Closing")
    written = {(row["code"].strip("`"), row["level"]) for row in rows}
    assert said <= written
    assert {code for code, _ in written - said} == {"a withheld code", "finding_…"}


def test_both_languages_show_the_same_commands() -> None:
    block = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
    shown = [
        block.findall((ROOT / f"docs/{name}").read_text("utf-8"))
        for name in ("closing.md", "closing.zh.md")
    ]
    assert len(shown[0]) == 7
    assert shown[0] == shown[1]
