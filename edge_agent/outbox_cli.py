"""``enpilot edge outbox``: what waits, what was set apart, and letting it go out again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import cyclopts
import msgspec

from edge_agent.outbox import (
    read_dead_letters,
    read_streams,
    read_usage,
    requeue_dead_letters,
)
from edge_agent.settings import EdgeSettings
from enpilot.settings import load_settings

__all__ = ["app"]

app = cyclopts.App(name="outbox", help="Look into an agent's outbox; its agent may be running.")


@app.default
def show(settings: Path, *, json: bool = False) -> None:
    """Say what an outbox holds, by stream, and what it takes on disk.

    Parameters
    ----------
    settings
        TOML file of the agent.
    json
        The streams as one JSON document instead.
    """
    chosen = load_settings(settings, EdgeSettings)
    streams = read_streams(chosen.outbox)
    if json:
        print(msgspec.json.encode(streams).decode())
        return
    for s in streams:
        print(
            f"{s.stream} {s.batches:6} batches {s.readings:9,} readings, "
            f"{s.held} unconfirmed, {s.dead} set apart"
        )
    usage = read_usage(chosen.outbox, chosen.limits)
    each = "" if usage.bytes_per_reading is None else f", {usage.bytes_per_reading:.1f} a reading"
    print(f"{usage.used_bytes:,} of {usage.limit_bytes:,} bytes{each}")
    if usage.dropped_readings or usage.thinned_readings:
        print(
            f"given up so far: {usage.dropped_readings:,} readings dropped, "
            f"{usage.thinned_readings:,} thinned away"
        )


@app.command
def dead(settings: Path, *, json: bool = False) -> None:
    """List the batches that the platform refused or never answered.

    Parameters
    ----------
    settings
        TOML file of the agent.
    json
        One JSON document instead of a table.
    """
    letters = read_dead_letters(load_settings(settings, EdgeSettings).outbox)
    if json:
        print(msgspec.json.encode(letters).decode())
        return
    for d in letters:
        first, last = (
            dt.datetime.fromtimestamp(us / 1e6, dt.UTC).isoformat(" ", "seconds")
            for us in (d.first_us, d.last_us)
        )
        print(f"{d.stream} {d.seq:8} {d.code:18} {d.readings:6} readings, {first} to {last}")
    print(f"{len(letters)} batches set apart")


@app.command
def requeue(settings: Path, *, code: str | None = None) -> None:
    """Let batches that were set apart go out again, under new numbers, within a minute.

    Parameters
    ----------
    settings
        TOML file of the agent.
    code
        Only those with this reason, such as "shape".
    """
    count = requeue_dead_letters(load_settings(settings, EdgeSettings).outbox, code)
    print(f"{count} batches go out again")
