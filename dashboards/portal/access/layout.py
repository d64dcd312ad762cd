"""The plain pages of signing in and of people: forms that need no script."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from dashboards.errors import AccessError
from dashboards.portal.access.identity import Identity
from dashboards.portal.database import AccessDatabase
from dashboards.portal.markup import Safe, join, raw, tag
from enpilot.text import Language, pick

__all__ = [
    "button", "choice", "columns", "database_of", "field", "form", "form_page", "hashing_of",
    "identity_of", "language_of", "manages_people", "read_form", "refusal_words", "tick",
    "value_of",
]  # fmt: skip

_LONGEST: Final = 65_536  # of a form [bytes]


def database_of(request: Request) -> AccessDatabase:
    """Return where persons, grants and sessions are; the application keeps it in its state."""
    database = request.app.state.access
    assert isinstance(database, AccessDatabase)
    return database


def hashing_of(request: Request) -> asyncio.Semaphore:
    """Return whose turn it is to hash: each hash takes 64 MiB."""
    turns = request.app.state.hashing
    assert isinstance(turns, asyncio.Semaphore)
    return turns


def language_of(request: Request) -> Language:
    """Return the language of a page: asked for, else chosen before, else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get("enpilot_language")
    return "en" if chosen == "en" else "zh"


def identity_of(request: Request) -> Identity:
    """Return who is signed in; the middleware let nobody else through."""
    identity = request.scope["state"]["identity"]
    assert isinstance(identity, Identity)
    return identity


async def read_form(
    request: Request, identity: Identity | None, longest: int | None = None
) -> FormData:
    """Return a form's fields; with a session it must bring the session's own word.

    Raises
    ------
    fastapi.HTTPException
        403 if it does not; 413 if it is longer than any of ours.
    """
    # Read as a whole, of anyone: a form of ours is short, and says how long it is.
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or len(length) > 9 or int(length) > (longest or _LONGEST):
        raise HTTPException(413, "the form is too long")
    sent = await request.form(max_files=0, max_fields=3000, max_part_size=longest or _LONGEST)
    if identity is not None and value_of(sent, "csrf") != identity.csrf:
        raise HTTPException(403, "the form is of another session: load the page again")
    return sent


def value_of(sent: FormData, name: str) -> str:
    """Return a field's text, empty if it is not there."""
    value = sent.get(name)
    return value.replace("\0", "") if isinstance(value, str) else ""  # no text of the database


def refusal_words(request: Request, error: AccessError) -> str:
    """Return why something cannot be, in the page's language."""
    return pick(language_of(request), error.zh + "。", error.en[:1].upper() + error.en[1:] + ".")


def manages_people(connection: psycopg.Connection[Any], person_id: int) -> bool:
    """Return whether a person may manage people anywhere."""
    return (
        connection.execute(
            "SELECT 1 FROM person_grant g JOIN role_permission USING (role) WHERE person_id = %s"
            " AND permission = 'manage_people' AND revoked_at IS NULL AND valid_from <= now()"
            " AND coalesce(now() < valid_to, true)",
            (person_id,),
        ).fetchone()
        is not None
    )


def form(action: str, identity: Identity | None, *parts: str | None, cls: str = "form") -> Safe:
    """Make a form that posts, with the session's word in it."""
    word = None if identity is None else tag("input", type="hidden", name="csrf",
                                             value=identity.csrf)  # fmt: skip
    return tag("form", word, *parts, method="post", action=action, cls=cls)


def field(label: str, name: str, kind: str = "text", hint: str | None = None,
          **attributes: str | int | bool | None) -> Safe:  # fmt: skip
    """Make a labelled input."""
    return tag(
        "label",
        tag("span", label, cls="label"),
        tag("input", name=name, type=kind, **attributes),
        tag("span", hint, cls="reference") if hint else None,
    )


def choice(label: str, name: str, options: list[tuple[str, str]]) -> Safe:
    """Make a labelled choice of (value, words)."""
    return tag(
        "label",
        tag("span", label, cls="label"),
        tag("select", *(tag("option", words, value=value) for value, words in options), name=name),
    )


def tick(label: str, name: str) -> Safe:
    """Make a labelled box to tick."""
    return tag("label", tag("input", type="checkbox", name=name, value="1"), tag("span", label),
               cls="tick")  # fmt: skip


def button(words: str, cls: str = "press") -> Safe:
    """Make the form's button."""
    return tag("button", words, type="submit", cls=cls)


def columns(heads: list[str], rows: list[list[str | None]]) -> Safe:
    """Make a table that becomes a list of cards on a phone."""
    return tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *(
            tag("tr", *(
                tag("th", cell, scope="row") if i == 0
                else tag("td", cell, data_label=heads[i], data_empty=not cell)
                for i, cell in enumerate(row)
            )) for row in rows
        )),
        cls="stacked",
    )  # fmt: skip


def form_page(
    request: Request,
    title: str,
    *parts: str | None,
    identity: Identity | None = None,
    administrator: bool = False,
    status: int = 200,
    wide: bool = False,
) -> HTMLResponse:
    """Make a whole page.

    Parameters
    ----------
    title
        Its heading.
    parts
        What stands under it.
    identity
        Who is signed in, for the way back and out.
    administrator
        Whether to lead to the people, too.
    status
        HTTP status.
    wide
        For tables.
    """
    language = language_of(request)
    other = "en" if language == "zh" else "zh"
    query = {k: v for k, v in request.query_params.items() if k != "lang"}
    themes = pick(language, "切换深浅色", "light or dark")
    # After a form was sent, the address of its answer cannot be asked for with GET.
    address = f"?{urlencode({**query, 'lang': other})}" if request.method == "GET" else None
    top = tag(
        "div",
        tag("span", "Enpilot", cls="brand"),
        None if identity is None else tag("a", pick(language, "门户", "Portal"), href="/"),
        None if identity is None else tag("a", pick(language, "我的账号", "My account"),
                                          href="/account"),
        tag("a", pick(language, "人员", "People"), href="/people") if administrator else None,
        tag("span", cls="spacer"),
        None if address is None else tag("a", pick(language, "EN", "中文"), href=address,
                                         lang=pick(language, "en", "zh-CN")),
        tag("button", "◐", type="button", data_theme_toggle=True, title=themes, aria_label=themes),
        None if identity is None else form(
            "/logout", identity, button(pick(language, "退出", "Sign out"), "quiet"), cls="inline"
        ),
        cls="top",
    )  # fmt: skip
    body = tag("main", top, tag("h1", title, cls="opening"), *parts,
               cls="forms wide-forms" if wide else "forms")  # fmt: skip
    head = join(
        raw('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        raw('<meta name="referrer" content="same-origin">'),
        raw('<link rel="stylesheet" href="/portal/tokens.css">'),
        raw('<link rel="icon" href="/favicon.ico">'),
        raw('<script src="/portal/preferences.js"></script>'),
        tag("title", f"{title} · Enpilot"),
    )
    lang = pick(language, "zh-CN", "en")
    html = f'<!doctype html><html lang="{lang}"><head>{head}</head><body>{body}</body></html>'
    headers = {"cache-control": "no-store", "referrer-policy": "same-origin"}
    return HTMLResponse(html, status_code=status, headers=headers)
