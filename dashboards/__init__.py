"""Shows the figures: web portal, Grafana boards, reports.

No room imports another. Its public face:
``enpilot portal`` and ``enpilot grafana``.
"""

__all__: list[str] = []
