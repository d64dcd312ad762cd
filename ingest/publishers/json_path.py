"""Where in a JSON message something stands: a small part of JSONPath (RFC 9535).

``$`` is the message, ``a.b`` a field of a field, ``a[2]`` an element, ``[*]`` every element, ``.*``
every field. A path that does not begin with ``$`` begins at the item, ``@`` is the item itself and
``@key`` the name under which it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Item", "Path", "PathError", "parse_path"]

_STEP: Final = re.compile(r"\.?(?:([A-Za-z_][A-Za-z0-9_-]*)|(\*)|\[(\d{1,6})\]|\[(\*)\])")


class PathError(ValueError):
    """A path that cannot be read."""


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a message, and the name or position under which it stands there."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    """A path: whether it begins at the message, and its steps; None stands for "every one"."""

    text: str
    from_root: bool
    key: bool
    steps: tuple[str | int | None, ...]

    def items(self, root: Any, item: Any = None) -> list[Item]:
        """Return everything that stands there; nothing if there is no such place."""
        found = [Item("", root if self.from_root else item)]
        for step in self.steps:
            found = [inner for outer in found for inner in _step(outer.value, step)]
        return found

    def one(self, root: Any, item: Item) -> Any:
        """Return what stands there, None if nothing does."""
        if self.key:
            return item.key
        found = self.items(root, item.value)
        return found[0].value if found else None


def _step(value: Any, step: str | int | None) -> list[Item]:
    if isinstance(step, str):
        return [Item(step, value[step])] if isinstance(value, dict) and step in value else []
    if isinstance(step, int):
        there = isinstance(value, list) and step < len(value)
        return [Item(str(step), value[step])] if there else []
    if isinstance(value, dict):
        return [Item(key, inner) for key, inner in value.items()]
    if isinstance(value, list):
        return [Item(str(i), inner) for i, inner in enumerate(value)]
    return []


def parse_path(text: str) -> Path:
    """Read a path; raises `PathError`."""
    if text in ("@", "@key"):
        return Path(text, from_root=False, key=text == "@key", steps=())
    from_root = text.startswith("$")
    rest = text.removeprefix("$")
    steps: list[str | int | None] = []
    while rest:
        step = _STEP.match(rest)
        if step is None:
            raise PathError(f"{text!r} cannot be read from {rest!r} on")
        name, _, number, _ = step.groups()
        steps.append(name if name is not None else None if number is None else int(number))
        rest = rest[step.end() :]
    if not from_root and not steps:
        raise PathError("a path is empty: `@` is the item itself, `$` the message")
    return Path(text, from_root, key=False, steps=tuple(steps))
