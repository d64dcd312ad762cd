"""Lines as the plant file describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from edge_agent.lines.dial_in import DialInLink, DialInListener
from edge_agent.lines.exchange import Exchange, RegisterBlock, UnitAddress
from edge_agent.lines.field_line import FieldLine, LineTiming
from edge_agent.lines.links import Link, SerialLink, TcpLink
from edge_agent.lines.meter_frames import meter_exchange
from edge_agent.lines.modbus_frames import RtuExchange, TcpExchange
from enpilot.plant import Device, Line

__all__ = ["make_line", "make_lines"]

# MODBUS over Serial Line 1.02, section 2.5.1.1: 3.5 characters of eleven bits, and a fixed time
# above 19,200 bits a second.
_CHARACTER_BITS = 11
_SILENT_CHARACTERS = 3.5
_FIXED_ABOVE_BAUD = 19_200
_FIXED_SILENCE_S = 0.00175
# A late reply is expected for as long again, and for at least this.
_LEAST_GUARD_S = 1.0


def make_line(
    line: Line,
    devices: Iterable[Device] = (),
    listeners: dict[tuple[str, int], DialInListener] | None = None,
) -> FieldLine:
    """Return a line, not yet open.

    Parameters
    ----------
    line
        What the plant file says.
    devices
        The plant's devices; those on this line may have timeouts and retries of their own.
    listeners
        Those that exist by host and port; lines that share one name the same dictionary.
    """
    link: Link
    noise: tuple[bytes, ...] = ()
    if line.kind == "serial":
        link = SerialLink(line.serial_port, line.baud, line.parity, line.stop_bits)
    elif line.kind == "listen":
        shared = {} if listeners is None else listeners
        address = (line.host, line.port)
        listener = shared.setdefault(address, DialInListener(*address))
        heartbeat = line.heartbeat_bytes
        link = DialInLink(listener, line.registration_bytes, heartbeat)
        noise = link.noise
    else:
        link = TcpLink(line.host, line.port)
    framed_tcp = line.framing == "tcp"
    timing = LineTiming(
        timeout_s=line.timeout_s,
        retries=line.retries,
        pause_s=_pause_s(line),
        byte_s=_CHARACTER_BITS / line.baud if line.kind == "serial" else 0.0,
        guard_s=0.0 if framed_tcp else max(_LEAST_GUARD_S, line.timeout_s),
        close_after_read=line.close_after_read,
    )
    own: dict[UnitAddress, tuple[float, int]] = {
        unit: (
            line.timeout_s if d.timeout_s is None else d.timeout_s,
            line.retries if d.retries is None else d.retries,
        )
        for d in devices
        if d.line == line.code and (unit := d.unit_address) is not None
    }
    return FieldLine(line.code, link, _exchanges(framed_tcp, noise), timing, own)


def make_lines(lines: Iterable[Line], devices: Iterable[Device]) -> list[FieldLine]:
    """Return the lines of one agent; those that listen on one port share it."""
    known = list(devices)
    listeners: dict[tuple[str, int], DialInListener] = {}
    return [make_line(line, known, listeners) for line in lines]


def _exchanges(
    framed_tcp: bool, noise: tuple[bytes, ...]
) -> Callable[[UnitAddress, RegisterBlock], Exchange]:
    transactions = count(1)

    def exchange(unit: UnitAddress, block: RegisterBlock) -> Exchange:
        if not isinstance(unit, int):
            if framed_tcp:
                raise ValueError(f"meter {unit} speaks no Modbus TCP")
            return meter_exchange(unit, block, noise)
        if framed_tcp:
            return TcpExchange(unit, block, transactions)
        return RtuExchange(unit, block, noise)

    return exchange


def _pause_s(line: Line) -> float:
    if line.pause_s is not None:
        return line.pause_s
    if line.kind != "serial":
        return 0.0  # the gateway keeps the silence on its side
    if line.baud > _FIXED_ABOVE_BAUD:
        return _FIXED_SILENCE_S
    return _SILENT_CHARACTERS * _CHARACTER_BITS / line.baud
