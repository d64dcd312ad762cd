"""Public functions say what goes in, in which unit, what comes out, what is refused, and why so."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from numpydoc.docscrape import FunctionDoc

import analytics

# A rule of the design (F25, D11), a standard and its clause, a paper with its year, a document.
SOURCE = re.compile(
    r"\b[FD]\d+\b|GB/T|GB \d|ISO|IPMVP|ASHRAE|IEC|JCGM|发改|水电财字|\b(19|20)\d\d\b|DL/T|OIML"
)
UNIT = re.compile(r"\[[^\]]+\]|\d ?\.\. ?\d|in \(-?\d, \d\)|above 0|at least \d|shape \(")
MEASURED = ("float", "Fraction", "Decimal", "NDArray", "IntArray", "Floats")
# Compilers, commands and their tables compute nothing.
APART = ("analytics._jit", "analytics.cli", "analytics.bench", "analytics.printed")


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for found in pkgutil.walk_packages(analytics.__path__, "analytics."):
        if found.name.startswith(APART) or found.name.endswith(("cli", "_cli")):
            continue
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            function = getattr(module, name)
            if inspect.isfunction(function) and function.__module__ == found.name:
                yield f"{found.name}.{name}", function


FUNCTIONS = dict(public())
each_function = pytest.mark.parametrize("name", FUNCTIONS)


@functools.cache
def parsed(name: str) -> FunctionDoc:
    return FunctionDoc(FUNCTIONS[name])


def test_there_are_functions_to_look_at() -> None:
    assert len(FUNCTIONS) > 100


@each_function
def test_every_parameter_is_described(name: str) -> None:
    described = {
        word.strip().lstrip("*") for p in parsed(name)["Parameters"] for word in p.name.split(",")
    }
    assert set(inspect.signature(FUNCTIONS[name]).parameters) <= described


@each_function
def test_what_comes_out_is_described(name: str) -> None:
    if inspect.signature(FUNCTIONS[name]).return_annotation not in (None, "None"):
        assert parsed(name)["Returns"] or parsed(name)["Yields"]


@each_function
def test_every_error_of_its_own_is_named(name: str) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(FUNCTIONS[name])))
    raised = {
        call.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(call := node.exc, ast.Call)
        and isinstance(call.func, ast.Name)
    }
    named = {(r.name or r.type).split(".")[-1] for r in parsed(name)["Raises"]}
    assert raised <= named


@each_function
def test_numbers_have_a_unit_or_a_range(name: str) -> None:
    function = FUNCTIONS[name]
    signature = inspect.signature(function)
    kinds = [str(p.annotation) for p in signature.parameters.values()]
    kinds.append(str(signature.return_annotation))
    if any(measured in kind for kind in kinds for measured in MEASURED):
        assert UNIT.search(function.__doc__ or ""), "no [unit] and no range like 0 .. 1"


@each_function
def test_what_computes_names_its_source(name: str) -> None:
    function = FUNCTIONS[name]
    if "connection" in inspect.signature(function).parameters:
        return  # it loads or writes what others compute
    module = inspect.getmodule(function)
    assert SOURCE.search(f"{function.__doc__} {module.__doc__ if module else ''}")
