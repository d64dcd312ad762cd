"""Shows the figures: web portal, Grafana boards, reports."""

__all__: list[str] = []
