"""Tables of figures: real `<table>` elements that print, sort by nothing and read aloud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.portal.markup import Safe, join, tag

__all__ = ["Cell", "numeric", "table"]

Cell = str | Safe | None


class numeric(str):  # noqa: N801  (reads as a word before a column's title)
    """Title of a column of numbers, set to the right."""

    __slots__ = ()


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    caption: str | None = None,
    foot: Sequence[Cell] | None = None,
    chosen: int | None = None,
    cls: str = "wide",
    key: str | None = None,
    stacked: bool = False,
) -> Safe:
    """Return a table in a container that scrolls sideways by itself.

    Parameters
    ----------
    columns
        Titles; `numeric` ones stand to the right, as do their cells.
    rows
        Cells by column; None leaves one empty. The first names its row.
    caption
        What the table is, where no section says it.
    foot
        A row of totals.
    chosen
        Which row is shown in detail elsewhere.
    key
        Its id.
    stacked
        On the phone each row becomes a block with its titles.
    """
    right = [isinstance(title, numeric) for title in columns]
    head = tag(
        "tr",
        *(
            tag("th", title, scope="col", cls="num" if at_right else None)
            for title, at_right in zip(columns, right, strict=True)
        ),
    )
    body = [
        tag("tr", _cells(columns, right, row), cls="chosen" if index == chosen else None)
        for index, row in enumerate(rows)
    ]
    written = tag(
        "table",
        None if caption is None else tag("caption", caption),
        tag("thead", head),
        tag("tbody", *body),
        None if foot is None else tag("tfoot", tag("tr", _cells(columns, right, foot))),
        cls=f"{cls} stacked" if stacked else cls,
        id=key,
    )
    return tag("div", written, cls="scroll")


def _cells(columns: Sequence[str], right: Sequence[bool], row: Sequence[Cell]) -> Safe:
    cells = []
    for index, (title, at_right, cell) in enumerate(zip(columns, right, row, strict=True)):
        style = "num" if at_right else None
        if index == 0:
            cells.append(tag("th", cell, scope="row", cls=style))
        else:
            cells.append(
                tag("td", cell, cls=style, data_label=title, data_empty=cell in (None, ""))
            )
    return join(*cells)
