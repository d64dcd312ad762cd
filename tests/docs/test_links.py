"""Relative links of every document lead somewhere, and its tables are whole."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
_RULE = re.compile(r"^\|(\s*:?-+:?\s*\|)+$")


def _documents() -> list[Path]:
    found = sorted(ROOT.rglob("*.md"))
    return [d for d in found if not any(p[0] == "." for p in d.relative_to(ROOT).parts)]


def _prose(document: Path) -> str:
    return _FENCED.sub("", document.read_text("utf-8"))


def _anchors(document: Path) -> set[str]:
    """Name headings as forges do: lower case, hyphens, no punctuation; a second one is counted."""
    seen: dict[str, int] = {}
    anchors = set()
    for heading in _HEADING.findall(_prose(document)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        anchors.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return anchors


def _broken(document: Path) -> list[str]:
    wrong = []
    for link in _LINK.findall(_CODE.sub("", _prose(document))):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and anchor not in _anchors(target):
            wrong.append(f"{link}: no such heading")
    return wrong


def _torn(document: Path) -> list[str]:
    lines = _prose(document).splitlines()
    wrong = []
    for at, line in enumerate(lines):
        if not _RULE.match(line):
            continue
        if at == 0 or not lines[at - 1].startswith("|"):
            wrong.append(f"{line}: no titles above")
            continue
        if at > 1 and lines[at - 2].strip():
            wrong.append(f"{lines[at - 1]}: no empty line above, so it is no table")
        columns = _cells(line)
        rows = [lines[at - 1]]
        for row in lines[at + 1 :]:
            if not row.startswith("|"):
                break
            rows.append(row)
        wrong += [f"{r}: {_cells(r)} cells of {columns}" for r in rows if _cells(r) != columns]
    return wrong


def _cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row)) - 1


@pytest.mark.parametrize("document", _documents(), ids=lambda d: str(d.relative_to(ROOT)))
def test_a_document_is_whole(document: Path) -> None:
    assert _broken(document) == []
    assert _torn(document) == []


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A `b` (c), d\n\n## 中文 标题\n\n## A b c d\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#a-b-c-d) [b](other.md#中文-标题) [c](other.md#a-b-c-d-1) [d](other.md#a-b)\n"
        "[e](gone.md) `[f](gone.md)` [g](https://example.com/gone)\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 1 |\n",
        "utf-8",
    )
    assert _broken(page) == ["other.md#a-b: no such heading", "gone.md: no such file"]
    assert _torn(page) == ["| 1 |: 1 cells of 2"]
