"""Ends a server even when the test session is killed and cannot end it itself."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

# The pipe closes when its writer ends, however that happens; then the signal goes out.
_WAIT_THEN_END = 'read -r _; kill -s "$1" "$2"'


@contextlib.contextmanager
def ended_with_us(pid: int, signal_name: str) -> Iterator[None]:
    """Signal ``pid`` if this process ends inside; outside, whoever started it stops it."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _WAIT_THEN_END, "sh", signal_name, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the session, which then stops its servers in order
    )
    try:
        yield
    finally:
        guard.kill()
        guard.wait()
        assert guard.stdin is not None
        guard.stdin.close()
