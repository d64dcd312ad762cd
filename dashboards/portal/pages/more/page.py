"""The list of all pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg

from dashboards.portal.page import Page, Visit
from dashboards.portal.shell import block, more_links
from dashboards.portal.site import Site

__all__ = ["PAGE"]


class AllPages(msgspec.Struct, frozen=True, kw_only=True):
    """A site, whose pages are listed."""

    site: Site


def _load(_: psycopg.Connection[Any], site: Site, __: Mapping[str, str]) -> AllPages:
    return AllPages(site=site)


def _build(_: AllPages, visit: Visit) -> None:
    block(more_links(visit))


PAGE = Page(
    code="more", path="more", names=("全部页面", "All pages"), group=None,
    question=("有哪些页面", "Which pages are there?"), load=_load, build=_build,
)  # fmt: skip
