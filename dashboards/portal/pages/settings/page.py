"""Settings: what holds here, and who changed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from dashboards.portal.page import Page
from dashboards.portal.pages.settings import view
from dashboards.portal.pages.settings.model import SettingsPage, load_settings
from dashboards.portal.site import Site

__all__ = ["PAGE"]


def _load(connection: psycopg.Connection[Any], site: Site, _: Mapping[str, str]) -> SettingsPage:
    return load_settings(connection, site)


PAGE = Page(
    code="settings", path="settings", names=("设置", "Settings"), group="plant",
    question=("这里登记了什么，谁改过？", "What is registered here, and who changed it?"),
    load=_load, build=view.build,
)  # fmt: skip
