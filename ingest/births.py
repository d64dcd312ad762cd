"""Births: catalogued by the hash of their bytes, looked up when a batch quotes one (D14)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from enpilot.wire import Birth, Refusal, WireError, decode_birth, sha256_hex
from ingest.errors import RefusedError
from ingest.meaning import GroupColumns, resolve_birth

__all__ = ["Births", "CataloguedBirth", "KnownBirth", "read_birth"]


@dataclass(frozen=True, slots=True)
class CataloguedBirth:
    """A birth that came, with the agent of its topic."""

    agent: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class KnownBirth:
    """A birth that the catalogue holds: its columns, or the reason why none may be used."""

    columns: dict[int, GroupColumns]
    simulated: bool
    refusal: tuple[Refusal, str] | None = None


def read_birth(agent: str, payload: bytes) -> Birth:
    """Decode a birth of an agent's topic.

    Raises
    ------
    enpilot.wire.WireError
        If it is none, or another agent's.
    """
    birth = decode_birth(payload)
    if birth.agent != agent:
        raise WireError(Refusal.WRONG_IDENTITY, f"birth of {birth.agent!r} on {agent!r}'s topic")
    return birth


class Births:
    """The births that this worker has looked up."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], KnownBirth] = {}

    def catalogue(
        self, connection: psycopg.Connection[Any], births: Iterable[CataloguedBirth]
    ) -> None:
        """Keep births; one statement, committed with it on a connection in autocommit mode."""
        rows = {sha256_hex(b.payload): b for b in births}
        if not rows:
            return
        connection.execute(
            "INSERT INTO catalog (sha256, agent_id, body)"
            " SELECT * FROM unnest(%s::bytea[], %s::text[], %s::bytea[]) ON CONFLICT DO NOTHING",
            (
                [bytes.fromhex(digest) for digest in sorted(rows)],
                [rows[digest].agent for digest in sorted(rows)],
                [rows[digest].payload for digest in sorted(rows)],
            ),
        )
        for digest, birth in rows.items():
            # A plant import may have granted points since a birth was refused: look again.
            self._known.pop((birth.agent, digest), None)

    def find(
        self, connection: psycopg.Connection[Any], wanted: set[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownBirth]:
        """Return those of (agent, hash) that are catalogued."""
        for agent, digest in sorted(wanted - self._known.keys()):
            self._look_up(connection, agent, digest)
        return {key: self._known[key] for key in wanted if key in self._known}

    def forget_refused(self) -> None:
        """Look refused births up again: their points may have been granted meanwhile."""
        self._known = {key: b for key, b in self._known.items() if b.refusal is None}

    def _look_up(self, connection: psycopg.Connection[Any], agent: str, digest: str) -> None:
        try:
            sha256 = bytes.fromhex(digest)
        except ValueError:
            return
        row = connection.execute(
            "SELECT body FROM catalog WHERE sha256 = %s AND agent_id = %s", (sha256, agent)
        ).fetchone()
        if row is None:
            return
        birth = decode_birth(bytes(row[0]))
        try:
            with connection.transaction():
                known = KnownBirth(resolve_birth(connection, birth, sha256), birth.simulated)
        except RefusedError as error:
            known = KnownBirth({}, birth.simulated, (error.code, str(error)))
        self._known[agent, digest] = known
