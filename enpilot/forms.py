"""Every mistake in the form of a written document, not the first only.

A conversion by msgspec stops at its first mistake. Who writes a plant file of three hundred devices
wants to hear of all of them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

__all__ = ["DecimalText", "PositiveDecimalText", "form_mistakes"]

_DECIMAL = 'a decimal number in quotes such as "0.1"'
# In quotes, since a binary float would not hold them exactly.
DecimalText = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?\Z", description=_DECIMAL)]
PositiveDecimalText = Annotated[
    str, Meta(pattern=r"^(?=.*[1-9])[0-9]+(\.[0-9]+)?\Z", description=f"{_DECIMAL}, above zero")
]
_Hook = Callable[[type, Any], Any]


def form_mistakes(
    written: Any, kind: Any, path: str = "$", dec_hook: _Hook | None = None
) -> Iterator[str]:
    """Yield what keeps a document from being of a type, each with its path.

    Parameters
    ----------
    written
        What a TOML or JSON reader made of the document.
    kind
        A structure of msgspec, or a type that holds such.
    path
        Where the document is, in the words of msgspec.
    dec_hook
        As for `msgspec.convert`.
    """
    structure, item = _structure(kind), _item(kind)
    if structure is not None and isinstance(written, dict):
        yield from _structure_mistakes(written, structure, path, dec_hook)
    elif item is not None and isinstance(written, list):
        before = len(written)
        mistakes = [
            m
            for i in range(before)
            for m in form_mistakes(written[i], item, f"{path}[{i}]", dec_hook)
        ]
        yield from mistakes or _mistake(written, kind, path, dec_hook)
    else:
        yield from _mistake(written, kind, path, dec_hook)


def _structure_mistakes(
    written: dict[str, Any], structure: type[msgspec.Struct], path: str, dec_hook: _Hook | None
) -> Iterator[str]:
    fields = {f.encode_name: f for f in msgspec.structs.fields(structure)}
    found = False
    if structure.__struct_config__.forbid_unknown_fields:
        for key in written.keys() - fields.keys():
            found = True
            there_are = ", ".join(sorted(fields))
            yield f"Object contains unknown field `{key}` - at `{path}` (there are: {there_are})"
    for key, field in fields.items():
        if key in written:
            for mistake in form_mistakes(written[key], field.type, f"{path}.{key}", dec_hook):
                found = True
                yield mistake
        elif field.required:
            found = True
            yield f"Object missing required field `{key}` - at `{path}`"
    if not found:  # what the structure says of its fields together
        yield from _mistake(written, structure, path, dec_hook)


def _mistake(written: Any, kind: Any, path: str, dec_hook: _Hook | None) -> Iterator[str]:
    try:
        msgspec.convert(written, kind, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        sentence, _, inner = str(error).partition(" - at `$")
        choices, form = _choices(kind), _described(kind)
        remedy = f"; use one of: {', '.join(choices)}" if choices else ""
        if form is not None and "regex" in sentence:
            remedy = f": {written!r} is not {form}"
        yield f"{sentence}{remedy} - at `{path}{inner.removesuffix('`')}`"


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [a for part in get_args(kind) for a in _alternatives(part)]
    return [kind]


def _structure(kind: Any) -> type[msgspec.Struct] | None:
    """Return the only structure among what may be there."""
    found = [
        a for a in _alternatives(kind) if isinstance(a, type) and issubclass(a, msgspec.Struct)
    ]
    return found[0] if len(found) == 1 else None


def _item(kind: Any) -> Any | None:
    found = [
        get_args(a)[0]
        for a in _alternatives(kind)
        if get_origin(a) is list or (get_origin(a) is tuple and get_args(a)[1:] == (...,))
    ]
    return found[0] if len(found) == 1 else None


def _described(kind: Any) -> str | None:
    """Return what a type says of itself in its `msgspec.Meta`."""
    if get_origin(kind) is Annotated:
        return next(
            (m.description for m in get_args(kind)[1:] if isinstance(m, msgspec.Meta)), None
        )
    found = [d for part in get_args(kind) if (d := _described(part)) is not None]
    return found[0] if found else None


def _choices(kind: Any) -> list[str]:
    return [
        str(choice)
        for alternative in _alternatives(kind)
        if get_origin(alternative) is Literal
        for choice in get_args(alternative)
    ]
