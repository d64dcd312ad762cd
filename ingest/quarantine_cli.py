"""``enpilot ingest quarantine``: list what was refused, show it, try it again."""

from __future__ import annotations

import cyclopts
import msgspec

from enpilot.database import connect, database_url
from enpilot.errors import ConfigurationError
from ingest.replay import replay as replay_messages
from ingest.replay import select_refused

__all__ = ["app"]

app = cyclopts.App(name="quarantine", help="What was refused, and trying it again.")


@app.default
@app.command(name="list")
def list_refused(*, newest: int = 20, agent: str | None = None, code: str | None = None) -> None:
    """List what was refused, newest first, and the exact counts by reason.

    Parameters
    ----------
    newest
        How many payloads.
    agent, code
        Only of this agent or source, only refused for this reason.
    """
    chosen = {"agent": agent, "code": code, "newest": newest}
    with connect(database_url(), "ingest quarantine") as connection:
        counts = connection.execute(
            "SELECT agent_id, code, messages, last_at FROM quarantine_count"
            " WHERE (%(agent)s::text IS NULL OR agent_id = %(agent)s)"
            " AND (%(code)s::text IS NULL OR code = %(code)s) ORDER BY 1, 2",
            chosen,
        ).fetchall()
        rows = connection.execute(
            "SELECT quarantine_id, received_at, agent_id, code, payload_bytes, sentence, outcome"
            " FROM quarantine WHERE (%(agent)s::text IS NULL OR agent_id = %(agent)s)"
            " AND (%(code)s::text IS NULL OR code = %(code)s)"
            " ORDER BY quarantine_id DESC LIMIT %(newest)s",
            chosen,
        ).fetchall()
    for who, why, messages, last in counts:
        print(f"{who:24} {why:20} {messages:8}  last {last:%Y-%m-%d %H:%M:%S} UTC")
    for number, at, who, why, size, sentence, outcome in rows:
        tried = "" if outcome is None else f" (tried again: {outcome})"
        print(f"#{number} {at:%Y-%m-%d %H:%M:%S} {who or '?'} {why} {size} B: {sentence}{tried}")
    if not counts:
        print("nothing was refused")


@app.command
def show(number: int) -> None:
    """Show one payload, readable as far as it can be."""
    with connect(database_url(), "ingest quarantine") as connection:
        row = connection.execute(
            "SELECT received_at, topic, agent_id, stream, seq, code, sentence, payload,"
            " payload_bytes, replayed_at, outcome, outcome_sentence"
            " FROM quarantine WHERE quarantine_id = %s",
            (number,),
        ).fetchone()
    if row is None:
        raise ConfigurationError(
            f"quarantine has no payload {number}: the oldest go when there are too many"
        )
    at, topic, agent, stream, seq, code, sentence, payload, size, tried, outcome, then = row
    print(f"#{number} came {at:%Y-%m-%d %H:%M:%S} UTC on {topic}, {size} bytes")
    print(f"agent {agent or '?'}, stream {stream or '?'}, seq {seq or '?'}")
    print(f"{code}: {sentence}")
    if tried is not None:
        print(f"tried again {tried:%Y-%m-%d %H:%M:%S} UTC: {outcome}, {then}")
    assert isinstance(payload, bytes)  # its column's type
    print(_readable(payload))


@app.command
def replay(*numbers: int, agent: str | None = None, code: str | None = None) -> None:
    """Try refused payloads again, as if they came now; what is stored is stored once.

    Parameters
    ----------
    numbers
        Which; or by agent and reason.
    agent, code
        All that waits of this agent, or for this reason.
    """
    if not numbers and agent is None and code is None:
        raise ConfigurationError("which? name numbers, --agent or --code")
    with connect(database_url(), "ingest quarantine", autocommit=True) as connection:
        chosen = list(numbers) or select_refused(connection, agent, code)
        outcomes = replay_messages(connection, chosen)
    for outcome in outcomes:
        print(f"#{outcome.quarantine_id} {outcome.outcome}: {outcome.sentence}")
    missing = len(chosen) - len(outcomes)
    if missing:
        print(f"{missing} not in quarantine any more")


def _readable(payload: bytes) -> str:
    try:
        return msgspec.json.format(payload, indent=2).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return repr(payload)
