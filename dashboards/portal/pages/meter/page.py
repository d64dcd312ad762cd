"""One meter: is this register what the display says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page
from dashboards.portal.pages.meter import view
from dashboards.portal.pages.meter.model import MeterPage, load_meter
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(
    connection: psycopg.Connection[Any], site: Site, asked: Mapping[str, str]
) -> MeterPage | None:
    return load_meter(connection, site, asked["point"], asked.get("series"), asked.get("shown"))


PAGE = Page(
    code="meter", path="metering/{point}", names=("表计", "Meter"), group=None,
    question=("这块表读得对吗？", "Is this register what the display says?"),
    query={"series": "the register compared", "shown": "the number on the display just now",
           "device": "a new device; with serial, at, closing, opening: its replacement"},
    load=_load, build=view.build, permission="see_trade_secrets",
)  # fmt: skip
