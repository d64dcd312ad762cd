"""Columns of a table as arrays: text, numbers and dates, each cell in the form it came in."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingest.imports.mapping import FileForm

__all__ = [
    "MISSING",
    "READ",
    "WRONG",
    "Cells",
    "amounts",
    "from_arrow",
    "from_objects",
    "number_mistake",
    "real_numbers",
    "texts",
    "whole_numbers",
]

# What became of a cell.
READ: Final = 0
MISSING: Final = 1
WRONG: Final = 2

_EXACT: Final = 2.0**53  # beyond it a double no longer holds every whole number
_UNIX: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # cells of a table are local
_US: Final = dt.timedelta(microseconds=1)

States = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Cells:
    """One column, shape (n,); each cell is in one of the three, or empty.

    ``text`` is null where a cell is no text; ``whole`` and ``real`` count where ``is_whole`` and
    ``is_real`` say so, ``instant_us`` [µs since 1970] where ``is_instant`` does: in UTC if ``utc``,
    else by the wall clock.
    """

    text: Any  # pyarrow.StringArray; pyarrow ships no types
    whole: NDArray[np.int64]
    is_whole: NDArray[np.bool_]
    real: NDArray[np.float64]
    is_real: NDArray[np.bool_]
    instant_us: NDArray[np.int64]
    is_instant: NDArray[np.bool_]
    utc: bool = False

    def __len__(self) -> int:
        return len(self.is_whole)

    def shown(self, i: int) -> str:
        """Return a cell as a person sees it."""
        if self.is_whole[i]:
            return str(int(self.whole[i]))
        if self.is_real[i]:
            return repr(float(self.real[i]))
        if self.is_instant[i]:
            return str(_UNIX + int(self.instant_us[i]) * _US)
        return self.text[i].as_py() or ""


def from_objects(values: Sequence[object]) -> Cells:
    """Take cells as a CSV or Excel reader gives them: text, numbers, dates, nothing."""
    n = len(values)
    if all(type(v) is str for v in values):
        return _text_only(pa.array(values, pa.string()))
    text: list[str | None] = [None] * n
    cells = _empty(n)
    for i, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, bool | str):
            text[i] = str(value)
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            cells.whole[i], cells.is_whole[i] = value, True
        elif isinstance(value, float):
            cells.real[i], cells.is_real[i] = value, True
        elif isinstance(value, dt.datetime):
            cells.instant_us[i], cells.is_instant[i] = (value - _UNIX) // _US, True
        elif isinstance(value, dt.date):
            midnight = dt.datetime.combine(value, dt.time())
            cells.instant_us[i], cells.is_instant[i] = (midnight - _UNIX) // _US, True
        else:
            text[i] = str(value)
    return Cells(
        pa.array(text, pa.string()), cells.whole, cells.is_whole, cells.real, cells.is_real,
        cells.instant_us, cells.is_instant,
    )  # fmt: skip


def from_arrow(column: Any) -> Cells:
    """Take a column of a Parquet file, whatever its type."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    cells = _empty(len(column))
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind) and kind != pa.uint64():
        whole = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return Cells(cells.text, whole, valid, cells.real, cells.is_real, cells.instant_us,
                     cells.is_instant)  # fmt: skip
    if pa.types.is_floating(kind):
        real = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        return Cells(cells.text, cells.whole, cells.is_whole, real, valid, cells.instant_us,
                     cells.is_instant)  # fmt: skip
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        utc = pa.types.is_timestamp(kind) and kind.tz is not None
        stamps = column.cast(pa.timestamp("us", kind.tz if utc else None), safe=False)
        instants = stamps.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return Cells(cells.text, cells.whole, cells.is_whole, cells.real, cells.is_real,
                     instants, valid, utc)  # fmt: skip
    return _text_only(column.cast(pa.string()))


def texts(cells: Cells) -> Any:
    """Return a column of words, trimmed; numbers as they are shown (a code may look like one)."""
    trimmed = pc.utf8_trim_whitespace(cells.text)
    other = cells.is_whole | cells.is_real | cells.is_instant
    if not other.any():
        return pc.fill_null(trimmed, "")
    words = trimmed.to_pylist()
    for i in np.flatnonzero(other).tolist():
        shown = cells.shown(i)
        words[i] = shown.removesuffix(".0") if cells.is_real[i] else shown
    return pc.fill_null(pa.array(words, pa.string()), "")


def whole_numbers(cells: Cells, decimals: int, form: FileForm) -> tuple[NDArray[np.int64], States]:
    """Read a column as whole numbers of 10**-decimals, exactly.

    Returns
    -------
    values
        Numbers [10**-decimals]; 0 where there is none.
    states
        READ, MISSING, or WRONG: no number, finer than the decimals, beyond 63 bits, or a double
        too large to be sure of its last digit.
    """
    trimmed, states = _trimmed(cells, form)
    values = np.zeros(len(cells), np.int64)
    _read_texts(trimmed, states, values, decimals, form)
    times = 10**decimals
    if cells.is_whole.any():
        fits = np.abs(cells.whole) < 2**63 // times
        states[cells.is_whole] = np.where(fits, READ, WRONG)[cells.is_whole]
        values[cells.is_whole & fits] = cells.whole[cells.is_whole & fits] * times
    if cells.is_real.any():
        shifted = np.where(np.isfinite(cells.real), cells.real, 2 * _EXACT) * times
        nearest = np.rint(shifted)
        # Half a unit in the last place that a double shows is how far a decimal can be off.
        good = (np.abs(nearest) < _EXACT) & (
            np.abs(shifted - nearest) <= 1e-9 * np.maximum(1.0, np.abs(shifted) * 1e-6)
        )
        states[cells.is_real] = np.where(good, READ, WRONG)[cells.is_real]
        values[cells.is_real & good] = nearest[cells.is_real & good].astype(np.int64)
    states[cells.is_instant] = WRONG
    return values, states


def real_numbers(cells: Cells, form: FileForm) -> tuple[NDArray[np.float64], States]:
    """Read a column as floating point; "nan" and "inf" are read as what they are."""
    trimmed, states = _trimmed(cells, form)
    values = np.zeros(len(cells), np.float64)
    chosen = np.flatnonzero(states == READ)
    if len(chosen):
        text = trimmed.take(pa.array(chosen))
        whole, point = _whole_part(form), re.escape(form.decimal)
        pattern = (
            rf"^[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$"
            r"|^(?i:[+-]?(?:nan|inf|infinity))$"
        )
        good = pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
        states[chosen[~good]] = WRONG
        plain = _plain(text.filter(pa.array(good)), form)
        plain = pc.replace_substring(plain, form.decimal, ".")
        plain = pc.replace_substring_regex(plain, r"^\+", "")
        values[chosen[good]] = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)
    values[cells.is_whole] = cells.whole[cells.is_whole]
    values[cells.is_real] = cells.real[cells.is_real]
    states[cells.is_whole | cells.is_real] = READ
    states[cells.is_instant] = WRONG
    return values, states


def amounts(cells: Cells, form: FileForm) -> list[str | None]:
    """Return a column of numbers as decimal text, "12.5", None where there is no number.

    For tables of some thousand lines, whose numbers are kept as decimals.
    """
    trimmed, states = _trimmed(cells, form)
    whole, point = _whole_part(form), re.escape(form.decimal)
    number = re.compile(rf"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)\Z")
    found: list[str | None] = []
    for i, text in enumerate(trimmed.to_pylist()):
        if cells.is_whole[i] or (cells.is_real[i] and math.isfinite(cells.real[i])):
            found.append(cells.shown(i))
        elif states[i] == READ and text is not None and number.match(text):
            found.append(text.replace(form.thousands or "", "").replace(form.decimal, "."))
        else:
            found.append(None)
    return found


def number_mistake(shown: str, decimals: int | None, form: FileForm) -> str:
    """Say what keeps a cell from being a number; ``decimals`` is None for floating point."""
    if decimals is None:
        return f"{shown!r} is not a number{_as_declared(form)}"
    if re.fullmatch(r"[+-]?[0-9]+", shown):
        return f"{shown!r} does not fit 63 bits"
    if re.fullmatch(rf"[+-]?{_whole_part(form)}(?:[.]|{re.escape(form.decimal)})[0-9]+", shown):
        return f"{shown!r} has more than {decimals} decimals: set `decimals` of its series"
    return f"{shown!r} is not a whole number{_as_declared(form)}"


def _as_declared(form: FileForm) -> str:
    grouped = f" and thousands {form.thousands!r}" if form.thousands else ""
    return f" with decimal {form.decimal!r}{grouped}; see `[file]`"


def _read_texts(
    trimmed: Any, states: States, values: NDArray[np.int64], decimals: int, form: FileForm
) -> None:
    chosen = np.flatnonzero(states == READ)
    if not len(chosen):
        return
    text = trimmed.take(pa.array(chosen))
    point = re.escape(form.decimal)
    pattern = rf"^[+-]?{_whole_part(form)}(?:{point}[0-9]{{0,{decimals}}}0*)?$"
    good = pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
    states[chosen[~good]] = WRONG
    chosen = chosen[good]
    plain = _plain(text.filter(pa.array(good)), form)
    has_point = pc.match_substring(plain, form.decimal)
    if decimals or pc.any(has_point).as_py():
        pointed = pc.if_else(has_point, plain, pc.binary_join_element_wise(plain, form.decimal, ""))
        padded = pc.binary_join_element_wise(pointed, "0" * decimals, "")
        plain = pc.replace_substring_regex(
            padded, rf"^([+-]?[0-9]+){point}([0-9]{{{decimals}}}).*$", r"\1\2"
        )
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    try:
        values[chosen] = pc.cast(plain, pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # some number is too large
        for i, digits in zip(chosen.tolist(), plain.to_pylist(), strict=True):
            number = int(digits)
            if -(2**63) <= number < 2**63:
                values[i] = number
            else:
                states[i] = WRONG


def _trimmed(cells: Cells, form: FileForm) -> tuple[Any, States]:
    trimmed = pc.utf8_trim_whitespace(cells.text)
    empty = pc.is_in(trimmed, value_set=pa.array(["", *form.missing], pa.string()))
    missing = pc.or_(pc.is_null(trimmed), empty).to_numpy(zero_copy_only=False)
    return trimmed, np.where(missing, MISSING, READ).astype(np.int8)


def _whole_part(form: FileForm) -> str:
    if form.thousands is None:
        return "[0-9]+"
    return rf"(?:[0-9]{{1,3}}(?:{re.escape(form.thousands)}[0-9]{{3}})+|[0-9]+)"


def _plain(text: Any, form: FileForm) -> Any:
    return text if form.thousands is None else pc.replace_substring(text, form.thousands, "")


def _empty(n: int) -> Cells:
    return Cells(
        pa.nulls(n, pa.string()), np.zeros(n, np.int64), np.zeros(n, np.bool_),
        np.zeros(n, np.float64), np.zeros(n, np.bool_), np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
    )  # fmt: skip


def _text_only(text: Any) -> Cells:
    empty = _empty(len(text))
    return Cells(text, empty.whole, empty.is_whole, empty.real, empty.is_real, empty.instant_us,
                 empty.is_instant)  # fmt: skip
