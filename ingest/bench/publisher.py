"""The publisher: all agents in one process on one bare MQTT connection, messages made beforehand.

It must not be the limit, so it writes packets that are ready and reads no more than it must. Paced
by receipts, it does as agents do: a window of batches for each, and what gets no answer is sent
again. Without receipts it sends at a given rate, and a second connection takes the messages off the
broker and looks at none of them, so that the broker has the same to do.
"""

from __future__ import annotations

import resource
import select
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path

import msgspec
import numpy as np

from enpilot.wire import decode_receipt, topic
from ingest.bench.load import Load, Shape

__all__ = ["Assignment", "Report", "main"]

_SILENCE_S = 5.0
_PUBACK, _PUBLISH = 0x40, 0x30
_MOST_OUT_BYTES = 256 * 1024


class Assignment(msgspec.Struct, kw_only=True):
    """What to publish.

    Attributes
    ----------
    rate
        Messages a second, 0 for as many as receipts allow.
    receipts
        Whether to wait for receipts; else a second connection is the subscriber.
    first_us
        Instant of the first reading [µs since 1970].
    """

    port: int
    shape: Shape
    seconds: float
    most_messages: int
    rate: float
    receipts: bool
    first_us: int
    result: str


class Report(msgspec.Struct, kw_only=True):
    """What was published; times in seconds of the monotonic clock, which all processes share."""

    sent: int = 0
    again: int = 0
    confirmed: int = 0
    ran_out: bool = False
    began_s: float = 0.0
    ended_s: float = 0.0
    confirmed_in_window: int = 0
    window_s: float = 0.0
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    cpu_s: float = 0.0


class _Agent:
    """One agent's batches, those under way and when each was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.packets: list[bytes] = []
        self.next = 0
        self.through = 0
        self.sent_at: dict[int, float] = {}
        self.heard_s = 0.0


class _Publisher:
    def __init__(self, work: Assignment) -> None:
        self._work = work
        self._load = Load(work.shape, work.first_us)
        self._agents = {name: _Agent(name) for name in self._load.agents}
        self._order = deque(self._agents.values())
        self._by_stream = {s: self._agents[a] for a, s in self._load.streams.items()}
        self._make_packets()
        self._socket = _connect(work.port, "bench-publisher")
        self._sink = None if work.receipts else _connect(work.port, "bench-sink")
        self._in = bytearray()
        self._out = bytearray()
        self._latencies: list[float] = []
        self._marks: deque[tuple[float, int]] = deque()
        self.report = Report()

    def _make_packets(self) -> None:
        rounds = -(-self._work.most_messages // len(self._agents))
        packet_id = 0
        for agent, _, payload in self._load.messages(rounds):
            packet_id = packet_id % 65_535 + 1
            self._agents[agent].packets.append(_publish(topic(agent, "data"), payload, packet_id))

    def run(self) -> Report:
        if self._sink is not None:
            _subscribe(self._sink, topic("+", "data"))
        else:
            _subscribe(self._socket, topic("+", "receipt"))
        for agent, body in self._load.births.items():
            self._out += _publish(topic(agent, "birth"), body, 1)
        print("ready", flush=True)
        sys.stdin.readline()  # the measurement says when
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = self.report.began_s = time.monotonic()
        deadline = began + self._work.seconds
        while time.monotonic() < deadline and not self.report.ran_out:
            self._turn(send=True)
        self.report.ended_s = time.monotonic()
        after = resource.getrusage(resource.RUSAGE_SELF)
        self.report.cpu_s = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
        patience = time.monotonic() + 30
        while self._work.receipts and self._missing() and time.monotonic() < patience:
            self._turn(send=False)
        self._measure()
        return self.report

    def _missing(self) -> int:
        return self.report.sent - self.report.confirmed

    def _turn(self, *, send: bool) -> None:
        now = time.monotonic()
        if send:
            self._fill(now)
        self._send_again(now)
        readers = [s for s in (self._socket, self._sink) if s is not None]
        writers = [self._socket] if self._out else []
        readable, writable, _ = select.select(readers, writers, [], 0.005)
        if self._sink is not None and self._sink in readable:
            self._sink.recv(1 << 20)
        if self._socket in readable:
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the broker closed the connection")
            self._in += data
            self._read()
        if writable:
            del self._out[: self._socket.send(self._out)]

    def _fill(self, now: float) -> None:
        if len(self._out) > _MOST_OUT_BYTES:
            return
        budget = 1 << 30
        if self._work.rate:
            budget = int((now - self.report.began_s) * self._work.rate) - self.report.sent
        window = self._work.shape.window if self._work.receipts else 1 << 30
        idle = 0
        while budget > 0 and idle < len(self._order) and len(self._out) < _MOST_OUT_BYTES:
            agent = self._order[0]
            self._order.rotate(-1)  # one batch each, round after round
            if agent.next - agent.through >= window:
                idle += 1
                continue
            if agent.next >= len(agent.packets):
                self.report.ran_out = True
                return
            if agent.next == agent.through:
                agent.heard_s = now
            self._out += agent.packets[agent.next]
            agent.next += 1
            agent.sent_at[agent.next] = now
            self.report.sent += 1
            budget -= 1
            idle = 0

    def _send_again(self, now: float) -> None:
        if not self._work.receipts:
            return
        for agent in self._agents.values():
            if agent.next > agent.through and now - agent.heard_s > _SILENCE_S:
                agent.heard_s = now
                for packet in agent.packets[agent.through : agent.next]:
                    self._out += packet
                    self.report.again += 1

    def _read(self) -> None:
        at = 0
        while (found := _packet(self._in, at)) is not None:
            kind, begin, end = found
            if kind & 0xF0 == _PUBLISH and self._work.receipts:
                (length,) = struct.unpack_from(">H", self._in, begin)
                self._heed(bytes(self._in[begin + 2 + length : end]))
            at = end
        del self._in[:at]

    def _heed(self, payload: bytes) -> None:
        now = time.monotonic()
        for stream in decode_receipt(payload).streams:
            agent = self._by_stream.get(stream.stream)
            if agent is None or stream.through <= agent.through:
                continue
            for seq in range(agent.through + 1, stream.through + 1):
                self._latencies.append(now - agent.sent_at.pop(seq))
            self.report.confirmed += stream.through - agent.through
            agent.through, agent.heard_s = stream.through, now
        self._marks.append((now, self.report.confirmed))

    def _measure(self) -> None:
        """Take the rate between commits, not between arbitrary instants."""
        report = self.report
        length = report.ended_s - report.began_s
        marks = [
            m for m in self._marks
            if report.began_s + 0.2 * length <= m[0] <= report.ended_s
        ]  # fmt: skip
        if len(marks) > 1:
            report.window_s = marks[-1][0] - marks[0][0]
            report.confirmed_in_window = marks[-1][1] - marks[0][1]
        if self._latencies:
            some = np.array(self._latencies)
            report.latency_p50_s, report.latency_p99_s = np.quantile(some, [0.5, 0.99]).tolist()


def _connect(port: int, name: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + _text(name)  # 3.1.1, clean session, no keepalive
    connection.sendall(b"\x10" + _length(len(body)) + body)
    if connection.recv(4)[:4] != b"\x20\x02\x00\x00":
        raise ConnectionError("the broker refuses us")
    return connection


def _subscribe(connection: socket.socket, name: str) -> None:
    body = b"\x00\x01" + _text(name) + b"\x00"
    connection.sendall(b"\x82" + _length(len(body)) + body)


def _publish(name: str, payload: bytes, packet_id: int) -> bytes:
    body = _text(name) + packet_id.to_bytes(2, "big") + payload
    return b"\x32" + _length(len(body)) + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _length(number: int) -> bytes:
    coded = bytearray()
    while True:
        number, low = divmod(number, 128)
        coded.append(low | 0x80 if number else low)
        if not number:
            return bytes(coded)


def _packet(data: bytearray, at: int) -> tuple[int, int, int] | None:
    """Return first byte, begin and end of the body of the packet at ``at``, if it is whole."""
    length, shift, i = 0, 0, at + 1
    while True:
        if i >= len(data):
            return None
        length |= (data[i] & 0x7F) << shift
        shift += 7
        i += 1
        if not data[i - 1] & 0x80:
            break
    return (data[at], i, i + length) if i + length <= len(data) else None


def main() -> None:
    """Do what the file named on the command line says."""
    work = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Assignment)
    report = _Publisher(work).run()
    Path(work.result).write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
