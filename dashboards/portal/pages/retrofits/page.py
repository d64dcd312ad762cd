"""Retrofit projects: did the measure really save, and how sure is that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Head, Page, Visit
from dashboards.portal.pages.retrofits import view
from dashboards.portal.pages.retrofits.model import RetrofitsPage, load_retrofits
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> RetrofitsPage | None:
    return load_retrofits(connection, site, asked.get("project"))


def _head(_page: RetrofitsPage, _visit: Visit) -> Head:
    return Head(printable=True)


PAGE = Page(
    code="retrofits", path="retrofits", names=("节能改造", "Retrofits"), group="ledger",
    question=("措施真的节能了吗？", "Did the measure really save?"),
    query={"project": "the code of the one shown in detail"},
    load=_load, head=_head, build=view.build,
)  # fmt: skip
