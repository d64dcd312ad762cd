"""What a DTU says of its own between the bytes of a reply."""

from __future__ import annotations

__all__ = ["without_noise"]


def without_noise(data: bytes, noise: tuple[bytes, ...], least: int) -> list[bytes]:
    """Return what a stream is without one or all of the heartbeats that may stand in it.

    Parameters
    ----------
    data
        What came.
    noise
        The heartbeats; they may stand at any place.
    least
        Length of the shortest reply [bytes]; nothing is looked for in less.
    """
    if len(data) <= least or not noise:
        return []
    found = []
    for heartbeat in noise:
        start = data.find(heartbeat)
        while start >= 0:
            found.append(data[:start] + data[start + len(heartbeat) :])
            start = data.find(heartbeat, start + 1)
        if found:
            found.append(data.replace(heartbeat, b""))
    return found
