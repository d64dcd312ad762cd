"""What units have refused: addresses that answer with an exception, remembered across restarts.

A gap between two wanted values may hold addresses that the unit does not have; most say so with
"illegal data address" and refuse the whole block. The search for the culprit costs some requests,
so its result is kept in a small file and goes into every later read plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from edge_agent.address_search import Culprits
from edge_agent.blocks import Stretch

__all__ = ["LearnedLimits", "RefusedAddresses"]

_log = structlog.get_logger("edge")
_VERSION = 1


class RefusedAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit has refused.

    ``gaps`` nobody wants and are never read along again; ``values`` are wanted, and are read alone;
    ``max_registers`` is what the unit gives at most. ``profiles`` says for which profiles that was
    found: with others it is forgotten.
    """

    profiles: tuple[str, ...]
    gaps: tuple[Stretch, ...] = ()
    values: tuple[Stretch, ...] = ()
    max_registers: int | None = None


class _File(msgspec.Struct, kw_only=True):
    v: int
    units: dict[str, RefusedAddresses] = {}


class LearnedLimits:
    """The memory of one agent, by device code.

    Parameters
    ----------
    file
        Where it is kept, beside the outbox; None keeps it in memory only.

    A file that cannot be read is replaced, since all of it can be found again.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._path = file
        self._units: dict[str, RefusedAddresses] = {}
        if file is None:
            return
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=_File)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("what units refused is forgotten", file=str(file), reason=str(error))
            return
        if kept.v == _VERSION:
            self._units = kept.units

    def of(self, device: str, profiles: Iterable[str]) -> RefusedAddresses:
        """Return what a unit has refused while it was read by these profiles."""
        wanted = tuple(profiles)
        known = self._units.get(device)
        if known is None or known.profiles != wanted:
            return RefusedAddresses(profiles=wanted)
        return known

    def add(self, device: str, profiles: Iterable[str], found: Culprits) -> bool:
        """Remember why a unit refused a block; return whether that is news."""
        before = self.of(device, profiles)
        lengths = [n for n in (before.max_registers, found.max_registers) if n is not None]
        after = RefusedAddresses(
            profiles=before.profiles,
            gaps=tuple(dict.fromkeys([*before.gaps, *found.gaps])),
            values=tuple(dict.fromkeys([*before.values, *found.values])),
            max_registers=min(lengths, default=None),
        )
        return self._change(device, before, after)

    def forget(self, device: str, profiles: Iterable[str], value: Stretch) -> bool:
        """Note that a unit gives a value after all; return whether that is news."""
        before = self.of(device, profiles)
        left = tuple(v for v in before.values if v != value)
        return self._change(device, before, msgspec.structs.replace(before, values=left))

    def _change(self, device: str, before: RefusedAddresses, after: RefusedAddresses) -> bool:
        if after == before:
            return False
        self._units[device] = after
        self._write()
        return True

    def _write(self) -> None:
        if self._path is None:
            return
        body = msgspec.json.format(
            msgspec.json.encode(_File(v=_VERSION, units=self._units)), indent=1
        )
        beside = self._path.with_name(self._path.name + ".new")
        try:
            with beside.open("wb") as out:
                out.write(body)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self._path)
        except OSError as error:
            _log.warning(
                "what units refused cannot be kept, it is asked again at the next start",
                file=str(self._path), reason=str(error),
            )  # fmt: skip
