"""``enpilot demo``: two plants, the whole way from registers to verdict, on this machine."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cyclopts
import msgspec

from enpilot.database import connect
from enpilot.demo.broker import broker_command
from enpilot.demo.database import embedded_database
from enpilot.demo.figures import DemoReport, StreamCount, read_report
from enpilot.demo.history import DemoFiles, import_history, import_output_until
from enpilot.demo.paperwork import correct, sign_and_invoice
from enpilot.demo.processes import ProcessGroup, free_port, require_port, running_processes

__all__ = ["app"]

app = cyclopts.App(
    name="demo",
    help="Two plants from real data; every service runs on this machine. 用真实数据演示两家工厂。",
)
_LIVE_S = 20.0
_OUTPUT_EVERY_S = 600.0
_AGENT = """\
plant = {plant}
agent = "steel-gw1"
outbox = {outbox}
batch_s = 1.0

[mqtt]
port = {port}

[uplink]
probe_first_s = 2.0

[clock]
wait_for_sync_s = 0
"""


@app.default
def demo(
    *,
    once: bool = False,
    json: Path | None = None,
    port: int = 8080,
    data_dir: Path | None = None,
) -> None:
    """Import two years of history, let live readings flow, and show it all in the portal.

    Parameters
    ----------
    once
        Run the live part for 20 seconds, compute, report, and stop.
    json
        Write the report of ``--once`` to this file.
    port
        Port of the portal on 127.0.0.1.
    data_dir
        Where the database and the outbox stay, so that a second start goes on where the first
        stopped; ``enpilot-demo`` in the current folder, or with ``--once`` a temporary folder.
    """
    began = time.monotonic()
    require_port(port)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with _folder(data_dir, temporary=once) as folder:
        report = _run(folder, port, once=once, stop=stop, began=began)
    if report is not None:
        text = msgspec.json.format(msgspec.json.encode(report), indent=2)
        if json is not None:
            json.write_bytes(text + b"\n")
        else:
            sys.stdout.write(text.decode() + "\n")


@contextlib.contextmanager
def _folder(chosen: Path | None, *, temporary: bool) -> Iterator[Path]:
    if chosen is not None or not temporary:
        yield (chosen or Path("enpilot-demo")).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="enpilot-demo-") as name:
        # Started by root, the database runs as another user, who must be able to enter.
        Path(name).chmod(0o711)
        yield Path(name)


def _run(
    folder: Path, port: int, *, once: bool, stop: threading.Event, began: float
) -> DemoReport | None:
    broker_port, modbus_port = free_port(), free_port()
    broker, command = broker_command(folder / "broker", broker_port)
    now = dt.datetime.now(dt.UTC)
    files = DemoFiles.lay_out(folder / "plants", now, modbus_port)
    _say("演示数据含合成部分:改善、产量、蒸汽、计件与电价。Parts of the demo's data are synthetic.")
    with (
        embedded_database(folder / "database") as url,
        running_processes(folder / "logs", {"ENPILOT_DATABASE_URL": url}) as group,
    ):
        _say(group.run_enpilot("db", "migrate"))
        import_history(group, files, now, _say)
        import_output_until(group, files, now)
        correct(group, files)
        _say("computing 计算中 ...")
        group.run_enpilot("analyze", "run", "--once")
        sign_and_invoice(group, files, url)
        agent = _agent_settings(folder, files, broker_port)
        group.start(broker, command)
        group.wait_for_port(broker, broker_port)
        group.start_enpilot(
            "simulator", "edge", "simulate", "run", str(files.path("steel_scenario.toml"))
        )
        group.wait_for_port("simulator", modbus_port)
        group.start_enpilot("ingest", "ingest", "run", "--port", str(broker_port))
        group.start_enpilot("edge", "edge", "run", str(agent))
        group.start_enpilot("analyze", "analyze", "run")
        group.start_enpilot("alerts", "alerts", "run")
        group.start_enpilot("ingest-desk", "ingest", "desk")
        group.start_enpilot("analyze-desk", "analyze", "desk")
        # Before the portal starts: with a person there is no link for a first administrator.
        group.run_enpilot(
            "portal", "invite", "demo", "--role", "administrator", "--everything",
            "--name", "演示 Demo", "--reason", "demonstration",
        )  # fmt: skip
        group.start_enpilot("portal", "portal", "run", "--port", str(port))
        group.wait_for_port("portal", port)
        link = group.run_enpilot("portal", "sign-in", "demo", "--port", str(port)).split()[-1]
        _say(f"门户 portal: {link}    Ctrl-C 停止 stops    {broker}, {folder}")
        _say("此链接只能用一次；重新启动会给出新的。It signs in once; a new start prints another.")
        if not once:
            _wait(group, files, stop)
            _say("stopping 正在停止 ...")
            return None
        stop.wait(_LIVE_S)
        group.check()
        return _finish(group, url, files, agent, began)


def _agent_settings(folder: Path, files: DemoFiles, broker_port: int) -> Path:
    file = folder / "agent.toml"
    file.write_text(
        _AGENT.format(
            # A JSON string is a TOML string.
            plant=msgspec.json.encode(str(files.path("steel.toml"))).decode(),
            outbox=msgspec.json.encode(str(folder / "outbox.sqlite")).decode(),
            port=broker_port,
        ),
        "utf-8",
    )
    return file


def _wait(group: ProcessGroup, files: DemoFiles, stop: threading.Event) -> None:
    """Watch the services, and book the production of each shift that ends."""
    next_output = time.monotonic() + _OUTPUT_EVERY_S
    while not stop.wait(1.0):
        group.check()
        if time.monotonic() >= next_output:
            import_output_until(group, files, dt.datetime.now(dt.UTC))
            next_output += _OUTPUT_EVERY_S


def _finish(
    group: ProcessGroup, url: str, files: DemoFiles, agent: Path, began: float
) -> DemoReport:
    # The agent stops first and waits for its receipts, so that everything it sent is counted.
    group.stop("edge")
    streams = msgspec.json.decode(
        group.run_enpilot("edge", "outbox", str(agent), "--json"), type=list[StreamCount]
    )
    group.stop("ingest", "analyze", "alerts", "ingest-desk", "analyze-desk")
    group.run_enpilot("analyze", "run", "--once")
    with connect(url, "demo") as connection:
        return read_report(connection, files.years, streams, time.monotonic() - began)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
