"""``enpilot edge``: run, check, profiles, scan, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cyclopts
import msgspec

from edge_agent.profile import load_profile, profile_codes
from edge_agent.settings import EdgeSettings
from enpilot.errors import ConfigurationError
from enpilot.logs import configure_logs
from enpilot.plant import Line
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="edge", help="Read meters over Modbus and publish what they say.")
app.command("edge_agent.check_cli:check", name="check")
app.command("edge_agent.outbox_cli:app", name="outbox")
app.command("edge_agent.diagnosis:diagnose", name="diagnose")
app.command("edge_agent.simulator.cli:app", name="simulate")


@app.command
def run(settings: Path) -> None:
    """Poll, store and publish until stopped (SIGINT or SIGTERM); SIGHUP reads the plant again."""
    # Only here: checking a plant file needs neither Modbus nor MQTT.
    from edge_agent.agent import load_plan, run_agent
    from edge_agent.web import serving

    configure_logs()
    chosen = load_settings(settings, EdgeSettings)
    run_agent(chosen, load_plan(chosen), lambda agent: serving(agent, chosen.web))


@app.command
def scan(
    host: str | None = None,
    *,
    serial: str | None = None,
    rtu: bool = False,
    baud: int = 9600,
    parity: Literal["none", "even", "odd"] = "none",
    stop_bits: Literal[1, 2] = 1,
    units: str = "1-247",
    address: int = 0,
    timeout_s: float = 0.3,
    json: bool = False,
) -> None:
    """Find the units behind a gateway or on a serial line; only reads.

    Parameters
    ----------
    host
        Gateway, as HOST or HOST:PORT.
    serial
        Serial port instead, such as /dev/ttyUSB0; with baud, parity and stop bits.
    rtu
        The gateway passes RTU frames through TCP.
    baud
        Bits a second.
    parity
        As the units are set.
    stop_bits
        As the units are set.
    units
        Whom to ask, such as 1-32,100.
    address
        The register that is read, from zero.
    timeout_s
        How long each is waited for [s].
    json
        One JSON document, without progress.
    """
    from edge_agent.scan import scan_now

    line = _line_to_scan(host, serial, rtu, baud, parity, stop_bits, timeout_s)
    found = scan_now(line, units, address, show=None if json else print)
    if json:
        print(msgspec.json.encode(found).decode())


def _line_to_scan(
    host: str | None,
    serial: str | None,
    rtu: bool,
    baud: int,
    parity: str,
    stop_bits: int,
    timeout_s: float,
) -> Line:
    if (host is None) == (serial is None):
        raise ConfigurationError("say where: HOST[:PORT], or --serial and a serial port")
    described: dict[str, object] = {"code": "scan", "agent": "scan", "timeout_s": timeout_s}
    if serial is not None:
        described |= {
            "kind": "serial", "serial_port": serial, "baud": baud, "parity": parity,
            "stop_bits": stop_bits,
        }  # fmt: skip
    else:
        name, _, port = (host or "").rpartition(":") if ":" in (host or "") else (host, "", "502")
        described |= {
            "kind": "rtu_over_tcp" if rtu else "modbus_tcp", "host": name,
            "port": int(port) if port and port.isdecimal() else port,
        }  # fmt: skip
    try:
        return msgspec.convert(described, Line)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"cannot scan {host or serial}: {error}") from error


@app.command
def profiles(code: str | None = None) -> None:
    """List the shipped meter profiles, or show one."""
    if code is None:
        for name in profile_codes():
            profile = load_profile(name)
            print(f"{name:26} {profile.maker} {', '.join(profile.models)}")
        return
    profile = load_profile(code)
    print(f"{profile.code}: {profile.maker} {', '.join(profile.models)}")
    print(f"source: {profile.source} ({'verified' if profile.verified else 'not verified'})")
    for r in profile.register:
        print(f"  {r.function:7} {r.address:#06x} {r.type:8} {r.name:24} x {r.scale} {r.unit}")
    for i in profile.item:
        print(f"  {i.data_id:8} byte {i.at:2} {i.type:13} {i.name:24} x {i.scale} {i.unit}")
