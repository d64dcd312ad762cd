"""Accounts of a register that began anew, put together again: nothing is booked in between.

F28.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analytics.counters.account import Account

__all__ = ["join_accounts"]


def join_accounts(parts: Sequence[Account]) -> Account:
    """Join the accounts of runs that follow each other; an interval that two reach is their sum.

    Indices of findings stay those of their own run.

    Parameters
    ----------
    parts
        At least one, in order of time.

    Returns
    -------
    Account
    """
    if len(parts) == 1:
        return parts[0]
    start_us, place = np.unique(np.concatenate([p.start_us for p in parts]), return_inverse=True)

    def summed(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        total = np.zeros(len(start_us), np.int64)
        np.add.at(total, place, np.concatenate([getattr(p, name) for p in parts]))
        return total

    tails = [p.unseen_tail_micro for p in parts]
    return replace(
        parts[-1],
        start_us=start_us,
        advance_micro=summed("advance_micro"),
        estimated_micro=summed("estimated_micro"),
        measured_us=summed("measured_us"),
        readings=summed("readings"),
        gaps=tuple(g for p in parts for g in p.gaps),
        findings=tuple(f for p in parts for f in p.findings),
        silent_resets=sum(p.silent_resets for p in parts),
        unseen_tail_micro=None if None in tails else sum(t for t in tails if t is not None),
        dropped_readings=sum(p.dropped_readings for p in parts),
        first_us=parts[0].first_us,
        context_short=parts[0].context_short,
    )
