"""Every lesson that the page names has its test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_lesson_has_a_test_that_exists() -> None:
    rows = re.findall(
        r"^\| \S+#.+?\| .+?\| (.+) \|$",
        (ROOT / "docs" / "lessons.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(rows) > 35
    written = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    cases = {f.stem for f in (ROOT / "tests" / "analytics" / "field_cases").glob("*.toml")}
    for row in rows:
        named = re.findall(r"`(\w+)`", row)
        assert named, row
        assert set(named) <= written | cases, row
