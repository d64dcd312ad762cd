"""Grafana boards as code, rendered for file provisioning."""

from dashboards.grafana.board import site_board
from dashboards.grafana.queries import QUERIES, Query
from dashboards.grafana.render import render

__all__ = ["QUERIES", "Query", "render", "site_board"]
