"""What simulated units answer on the wire, faults included; they can only be read.

Modbus TCP, or Modbus RTU with DL/T 645 and CJ/T 188 meters on the same line.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from edge_agent.lines.modbus_frames import crc16
from edge_agent.simulator.faults import Fault
from edge_agent.simulator.meter_unit import SimulatedMeter, meter_request, request_length
from edge_agent.simulator.meters import SimulatedUnit

__all__ = ["Responder"]

_FUNCTIONS: Final = {3: "holding", 4: "input"}
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE, _NO_ANSWER = 1, 2, 3, 0x0B
_REQUEST_BYTES: Final = {"tcp": 12, "rtu": 8}
_MAX_REGISTERS: Final = 125
_MBAP_BYTES: Final = 6
# The same garbage each time, so that a scenario can be repeated.
_GARBAGE_SEED: Final = 20250101

Reply = tuple[float, bytes]


class Responder:
    """Answer the requests on one line.

    Parameters
    ----------
    units
        Which units there are.
    frames
        What the line speaks.
    now_s
        The time that registers show [s since 1970].
    began_s
        When the faults' script began [s since 1970].
    meters
        The DL/T 645 and CJ/T 188 meters; they need a line of RTU frames.
    """

    def __init__(
        self,
        units: Iterable[SimulatedUnit],
        frames: Literal["tcp", "rtu"],
        now_s: Callable[[], float],
        began_s: float,
        meters: Iterable[SimulatedMeter] = (),
    ) -> None:
        self._units: Mapping[int, SimulatedUnit] = {u.unit.unit: u for u in units}
        self._meters = {m.address: m for m in meters}
        self._frames = frames
        self._now_s = now_s
        self._began_s = began_s
        self._random = random.Random(_GARBAGE_SEED)  # noqa: S311 - noise on a wire, no secret
        self._late: list[Reply] = []
        self.requests = 0

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the whole requests in some bytes, and the rest."""
        requests = []
        while len(data) >= _REQUEST_BYTES[self._frames]:
            if self._frames == "tcp":
                length = int.from_bytes(data[4:6], "big") + _MBAP_BYTES
            elif crc16(data[:8]) == 0:
                length = 8
            elif self._meters and (found := request_length(data)) is not None:
                if not found:
                    break
                length = found
            else:
                data = data[1:]  # noise, or the end of a request that is no reading
                continue
            if len(data) < length:
                break
            requests.append(data[:length])
            data = data[length:]
        return requests, data

    def answer(self, request: bytes) -> list[Reply]:
        """Return what goes out for a request, each with its delay [s]; nothing is silence."""
        self.requests += 1
        is_tcp = self._frames == "tcp"
        if not is_tcp and len(request) > _REQUEST_BYTES["rtu"]:
            return self._answer_of_meter(request)
        body = request[_MBAP_BYTES:] if is_tcp else request[:-2]
        transaction = request[:2] if is_tcp else b""
        unit = self._units.get(body[0])
        if unit is None:
            if not is_tcp:
                return []
            return [(0.0, self._frame(transaction, body[0], _refusal(body[1], _NO_ANSWER)))]
        faults = self._faults_now(unit.unit.fault)
        pdu = self._pdu(unit, body[1:], faults)
        return self._replies(self._spoil(transaction, body[0], pdu, faults), faults)

    def _answer_of_meter(self, frame: bytes) -> list[Reply]:
        request = meter_request(frame)
        meter = self._meters.get(request.address)
        if meter is None:
            return []
        faults = self._faults_now(meter.unit.fault)
        kinds = {f.kind for f in faults}
        if "silence" in kinds:
            return self._replies(None, faults)
        if "garbage" in kinds:
            return self._replies(self._garbage(), faults)
        return self._replies(meter.answer(request, self._now_s(), faults), faults)

    def _faults_now(self, script: Iterable[Fault]) -> list[Fault]:
        elapsed_s = self._now_s() - self._began_s
        return [f for f in script if f.window(elapsed_s) is not None]

    def _garbage(self) -> bytes:
        return self._random.randbytes(self._random.randint(1, 40))

    def _replies(self, frame: bytes | None, faults: list[Fault]) -> list[Reply]:
        """Return what goes out now; a late reply is kept for the next time."""
        delay_s = sum(f.delay_s for f in faults if f.kind == "delay")
        late, self._late = self._late, []
        if frame is None:
            return late
        if any(f.kind == "late_reply" for f in faults):
            self._late = [(delay_s, frame)]
            return late
        return [*late, (delay_s, frame)]

    def _pdu(self, unit: SimulatedUnit, pdu: bytes, faults: list[Fault]) -> bytes:
        function = _FUNCTIONS.get(pdu[0])
        if function is None or len(pdu) != 5:
            return _refusal(pdu[0], _ILLEGAL_FUNCTION)
        address, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= _MAX_REGISTERS:
            return _refusal(pdu[0], _ILLEGAL_VALUE)
        refusing = (f for f in faults if f.kind == "exception" and f.touches(address, count))
        if (fault := next(refusing, None)) is not None:
            return _refusal(pdu[0], fault.code)
        shown = unit.registers(self._now_s())
        addresses = [at for _, at in shown]
        if not min(addresses) <= address <= address + count - 1 <= max(addresses):
            return _refusal(pdu[0], _ILLEGAL_ADDRESS)
        # As the meters that answer either function: what the other one holds stands there too.
        both = {at: word for (_, at), word in shown.items()}
        both |= {at: word for (kind, at), word in shown.items() if kind == function}
        words = [both.get(at, 0) for at in range(address, address + count)]
        return struct.pack(f">BB{count}H", pdu[0], 2 * count, *words)

    def _spoil(
        self, transaction: bytes, unit: int, pdu: bytes, faults: list[Fault]
    ) -> bytes | None:
        kinds = {f.kind for f in faults}
        if "silence" in kinds:
            return None
        if "garbage" in kinds:
            return self._garbage()
        if "wrong_length" in kinds and pdu[0] in _FUNCTIONS:
            pdu = bytes([pdu[0], pdu[1] - 2]) + pdu[2:-2]
        if "wrong_unit" in kinds:
            unit = unit + 1 & 0xFF
        if "wrong_transaction" in kinds and transaction:
            transaction = (int.from_bytes(transaction, "big") + 1 & 0xFFFF).to_bytes(2, "big")
        frame = self._frame(transaction, unit, pdu)
        if "bad_crc" in kinds and not transaction:
            frame = frame[:-1] + bytes([frame[-1] ^ 0xFF])
        return frame

    def _frame(self, transaction: bytes, unit: int, pdu: bytes) -> bytes:
        if transaction:
            return transaction + struct.pack(">HHB", 0, 1 + len(pdu), unit) + pdu
        frame = bytes([unit]) + pdu
        return frame + crc16(frame).to_bytes(2, "little")


def _refusal(function: int, code: int) -> bytes:
    return bytes([function | 0x80, code])
