"""A line as the options of a command describe it."""

from __future__ import annotations

import msgspec

from enpilot.errors import ConfigurationError
from enpilot.plant import Line

__all__ = ["line_from_options"]


def line_from_options(
    host: str | None,
    serial: str | None,
    rtu: bool,
    baud: int,
    parity: str,
    stop_bits: int,
    timeout_s: float,
) -> Line:
    """Return the line that a command is about.

    Parameters
    ----------
    host
        Gateway, as HOST or HOST:PORT.
    serial
        Serial port instead.
    rtu
        The gateway passes RTU frames through TCP.
    baud, parity, stop_bits
        Of the serial port.
    timeout_s
        How long a reply is waited for [s].

    Raises
    ------
    ConfigurationError
        If it is not said where, or it cannot be there.
    """
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
