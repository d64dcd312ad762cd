"""How far a long command is: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Tell", "progress_bar"]

# What is being done, and how much of it is done, 0 .. 1.
Tell: TypeAlias = Callable[[str, float], None]


@contextlib.contextmanager
def progress_bar(name: str, console: Console | None = None) -> Iterator[Tell | None]:
    """Show a bar on standard error while the block runs; yields what tells it how far it is.

    Without a terminal nothing is shown and None is yielded.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task(name, total=1.0)
        phase = ""

        def tell(doing: str, share: float) -> None:
            nonlocal phase
            if doing != phase:
                phase = doing
                progress.reset(task, total=1.0, description=f"{name}: {doing}")
            # A form that does not say how long it is (Excel) shows that something goes on.
            progress.update(task, completed=share, total=1.0 if share else None)

        yield tell
