"""Grafana boards as code, rendered for file provisioning or pushed."""

from dashboards.grafana.boards import BOARDS, board_json
from dashboards.grafana.push import push
from dashboards.grafana.render import render
from dashboards.grafana.role import make_role

__all__ = ["BOARDS", "board_json", "make_role", "push", "render"]
