"""Every page there is, in the order of the rail."""

from __future__ import annotations

from typing import Any

from dashboards.portal.page import Page
from dashboards.portal.pages.alert.page import PAGE as ALERT
from dashboards.portal.pages.alerts.page import PAGE as ALERTS
from dashboards.portal.pages.closing.page import PAGE as CLOSING
from dashboards.portal.pages.cost.page import PAGE as COST
from dashboards.portal.pages.enpi.page import PAGE as ENPI
from dashboards.portal.pages.flow.page import PAGE as FLOW
from dashboards.portal.pages.load.page import PAGE as LOAD
from dashboards.portal.pages.meter.page import PAGE as METER
from dashboards.portal.pages.metering.page import PAGE as METERING
from dashboards.portal.pages.more.page import PAGE as MORE
from dashboards.portal.pages.output.page import PAGE as OUTPUT
from dashboards.portal.pages.overview.page import PAGE as OVERVIEW
from dashboards.portal.pages.quality.page import PAGE as QUALITY
from dashboards.portal.pages.readings.page import PAGE as READINGS
from dashboards.portal.pages.reports.page import PAGE as REPORTS
from dashboards.portal.pages.retrofits.page import PAGE as RETROFITS
from dashboards.portal.pages.settings.page import PAGE as SETTINGS
from dashboards.portal.pages.waste.page import PAGE as WASTE

__all__ = ["PAGES"]

PAGES: tuple[Page[Any], ...] = (
    OVERVIEW,
    ENPI,
    LOAD,
    COST,
    FLOW,
    ALERTS,
    WASTE,
    QUALITY,
    CLOSING,
    OUTPUT,
    RETROFITS,
    REPORTS,
    METERING,
    METER,
    ALERT,
    SETTINGS,
    READINGS,
    MORE,
)
