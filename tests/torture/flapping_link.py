"""A link between an agent and its broker that breaks and stalls when it is told to."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

__all__ = ["FlappingLink"]


class FlappingLink:
    """Pass bytes on to a port, from a port of its own."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._ended = False
        self.breaks = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._flows.set()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection in the middle of whatever it says."""
        with self._lock:
            ending, self._open = self._open, set()
        self.breaks += len(ending) > 0
        for side in ending:
            side.close()

    def stall(self, flows: bool) -> None:
        """Hold bytes back, or let them flow again."""
        self._flows.set() if flows else self._flows.clear()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                self._flows.wait()
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            for side in (source, sink):
                side.close()
            with self._lock:
                self._open -= {source, sink}
