"""The one place where numba's untyped decorators meet typed code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["jit", "parallel_jit", "prange"]

F = TypeVar("F", bound=Callable[..., object])

# range for mypy; numba replaces it by its parallel one where the function is compiled.
prange: type[range] = numba.prange


def jit(function: F) -> F:
    """Compile on first call, keep the machine code on disk, run without the interpreter lock."""
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def parallel_jit(function: F) -> F:
    """Like `jit`, and spread `prange` loops over the cores."""
    decorate = numba.njit(cache=True, nogil=True, error_model="numpy", parallel=True)
    return cast("F", decorate(function))
