"""HTML from values: everything is escaped unless this module made it."""

from __future__ import annotations

import html
import re

__all__ = ["Safe", "join", "plain", "raw", "tag"]


class Safe(str):
    """HTML that needs no escaping any more."""

    __slots__ = ()


_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


def raw(text: str) -> Safe:
    """Mark a constant of this tree as HTML; never call it with a value."""
    return Safe(text)


def join(*parts: str | None, by: str = "") -> Safe:
    """Put parts one after the other, escaping what is not `Safe` and leaving out None."""
    return Safe(_escaped(by).join(_escaped(p) for p in parts if p is not None))


def tag(name: str, /, *children: str | None, **attributes: str | int | bool | None) -> Safe:
    """Make one element.

    Parameters
    ----------
    name
        Its HTML name.
    *children
        Text (escaped), `Safe` HTML, or None (left out).
    **attributes
        ``cls`` is ``class``; underscores become hyphens; None and False leave an attribute out,
        True writes its bare name.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
        written += f" {key}" if value is True else f' {key}="{html.escape(str(value))}"'
    if name in _VOID:
        return Safe(f"<{name}{written}>")
    return Safe(f"<{name}{written}>{join(*children)}</{name}>")


def plain(markup: Safe) -> str:
    """Return the words without the elements, for titles and screen readers."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def _escaped(part: str) -> str:
    return part if isinstance(part, Safe) else html.escape(part)
