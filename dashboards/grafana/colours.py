"""The portal's colours: read from its stylesheet, so that there is one place for them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["Theme", "colour"]

Theme: TypeAlias = Literal["light", "dark"]
_STYLESHEET = Path(__file__).parents[1] / "portal" / "tokens.css"
_BLOCK = {"light": r":root \{(.*?)\}", "dark": r':root\[data-theme="dark"\] \{(.*?)\}'}


def colour(token: str, theme: Theme) -> str:
    """Return a token's colour.

    Parameters
    ----------
    token
        Name in the portal's stylesheet without its dashes, for instance ``act``.
    theme
        Of Grafana: a colour in a board does not follow it by itself.

    Returns
    -------
    str
        ``#RRGGBB``.

    Raises
    ------
    KeyError
        If the stylesheet has no such colour.
    """
    return _tokens(theme)[token]


@cache
def _tokens(theme: Theme) -> dict[str, str]:
    block = re.search(_BLOCK[theme], _STYLESHEET.read_text("utf-8"), re.DOTALL)
    if block is None:
        raise KeyError(f"{_STYLESHEET.name} has no {theme} tokens")
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9A-Fa-f]{6})\b", block[1]))
