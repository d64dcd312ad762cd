"""Pages that lead in and out: login, one-time links, sign-out."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Final

import psycopg
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from dashboards.errors import AccessError
from dashboards.portal.access import layout, links, lockout, log, people, sessions
from dashboards.portal.access.clients import close_clients
from dashboards.portal.access.grants import Scope, make_grant
from dashboards.portal.access.links import Link
from dashboards.portal.access.middleware import COOKIE, local_path
from dashboards.portal.access.passwords import SHORTEST, check_password, weakness
from dashboards.portal.markup import Safe, tag
from enpilot.text import Language, pick

__all__ = ["address_of_browser", "begin_session", "router", "signed_in", "weakness_words"]

router = APIRouter(include_in_schema=False)

_YEAR_S: Final = 365 * 86400


@router.get("/login")
async def login_form(request: Request) -> Response:
    return _login_page(request, None)


@router.post("/login")
async def login(request: Request) -> Response:
    sent = await layout.read_form(request, None)
    name = layout.value_of(sent, "login").strip().lower()
    typed = layout.value_of(sent, "password")
    address = address_of_browser(request)
    # Counted as failed in a transaction of its own, whatever becomes of the rest.
    attempt, wait, locks = await layout.database_of(request).run(
        lambda c: lockout.begin_attempt(c, name, address)
    )
    if attempt is None:
        return _login_page(request, wait)
    kept = await layout.database_of(request).run(lambda c: _kept(c, name))
    async with layout.hashing_of(request):
        right, renewed = await asyncio.to_thread(
            check_password, None if kept is None else kept[1], typed
        )
    if not right or kept is None:
        person = None if kept is None else kept[0]
        await layout.database_of(request).run(lambda c: _failed(c, person, address, locks=locks))
        return _login_page(request, 0)
    person_id, number = kept[0], attempt

    def begin(connection: psycopg.Connection[Any]) -> str:
        lockout.succeeded(connection, number)
        if renewed is not None:
            connection.execute(
                "UPDATE person SET password_hash = %s WHERE person_id = %s",
                (renewed, person_id),
            )
        return begin_session(connection, request, person_id, name)

    token = await layout.database_of(request).run(begin)
    return await signed_in(request, token, local_path(request.query_params.get("next")))


@router.get("/link/{token}")
async def link_form(request: Request, token: str) -> Response:
    link = await layout.database_of(request).run(lambda c: links.peek_link(c, token))
    return _no_link(request) if link is None else _link_page(request, link, None)


@router.post("/link/{token}")
async def link(request: Request, token: str) -> Response:
    sent = await layout.read_form(request, None)
    found = await layout.database_of(request).run(lambda c: links.peek_link(c, token))
    if found is None:
        return _no_link(request)
    language = layout.language_of(request)
    login_name = found.login or layout.value_of(sent, "login").strip().lower()
    password = layout.value_of(sent, "password")
    if found.purpose != "sign_in":
        wrong = weakness_words(language, weakness(login_name, password))
        if wrong is None and password != layout.value_of(sent, "again"):
            wrong = pick(language, "两次输入不一致。", "The two do not agree.")
        if wrong is not None:
            return _link_page(request, found, wrong)

    def use(connection: psycopg.Connection[Any]) -> str | None:
        used = links.use_link(connection, token)
        if used is None:
            return None
        person_id = used.person_id
        if person_id is None:
            person_id = _first_administrator(connection, login_name, layout.value_of(sent, "name"))
        if used.purpose != "sign_in":
            people.set_password(connection, person_id, password, login_name)
        return begin_session(connection, request, person_id, login_name, detail=used.purpose)

    try:
        async with layout.hashing_of(request):
            begun = await layout.database_of(request).run(use)
    except AccessError as error:
        return _link_page(request, found, layout.refusal_words(request, error))
    if begun is None:
        return _no_link(request)
    return await signed_in(request, begun, "/")


@router.post("/logout")
async def logout(request: Request) -> Response:
    identity = layout.identity_of(request)
    await layout.read_form(request, identity)
    session_id = identity.session_id
    assert session_id is not None  # the page is not of the API

    def end(connection: psycopg.Connection[Any]) -> None:
        sessions.end_session(connection, identity.person_id, session_id)
        log.record(connection, "sign_out", identity.login, identity.person_id,
                   address_of_browser(request))  # fmt: skip

    await layout.database_of(request).run(end)
    close_clients(session_ids={session_id})
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


def weakness_words(language: Language, weak: str | None) -> str | None:
    """Return why a password cannot be taken, in words."""
    if weak is None:
        return None
    return {
        "short": pick(language, f"密码至少 {SHORTEST} 个字符。",
                      f"A password has at least {SHORTEST} characters."),
        "long": pick(language, "密码太长。", "The password is too long."),
        "login": pick(language, "密码不能包含登录名。", "The password must not contain the login."),
    }[weak]  # fmt: skip


def address_of_browser(request: Request) -> str:
    """Return where a request comes from."""
    return "unknown" if request.client is None else request.client.host


def _kept(connection: psycopg.Connection[Any], login: str) -> tuple[int, str | None] | None:
    row = connection.execute(
        "SELECT person_id, password_hash FROM person WHERE login = %s AND disabled_at IS NULL",
        (login,),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _failed(
    connection: psycopg.Connection[Any], person_id: int | None, address: str, *, locks: bool
) -> None:
    # What was typed may be a password in the wrong field: an unknown login is not written down.
    log.record(connection, "sign_in_failed", "-", person_id, address)
    if locks:
        log.record(connection, "locked", "-", person_id, address)


def begin_session(
    connection: psycopg.Connection[Any],
    request: Request,
    person_id: int,
    login: str,
    detail: str = "password",
) -> str:
    """Begin a session for a person who proved who she is, and return its token."""
    # A new token at each sign-in; the one that came with the request ends.
    former = request.cookies.get(COOKIE)
    if former:
        connection.execute(
            "UPDATE portal_session SET revoked_at = now()"
            " WHERE token_sha256 = %s AND revoked_at IS NULL",
            (sessions.hashed(former),),
        )
    address = address_of_browser(request)
    token = sessions.start_session(
        connection, person_id, address, request.headers.get("user-agent", "")
    )
    log.record(connection, "sign_in", login, person_id, address, detail)
    return token


async def signed_in(request: Request, token: str, address: str) -> Response:
    """Return the answer that hands a session to the browser and goes on to a page."""
    identity = await layout.database_of(request).run(lambda c: sessions.find_session(c, token))
    answer = RedirectResponse(address, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, token, max_age=sessions.ABSOLUTE_S, path="/", secure=secure, httponly=True,
        samesite="lax",
    )  # fmt: skip
    if identity is not None:
        for name, value in (("enpilot_language", identity.language),
                            ("enpilot_theme", identity.theme)):  # fmt: skip
            if value is not None:
                answer.set_cookie(name, value, max_age=_YEAR_S, path="/", secure=secure,
                                  samesite="lax")  # fmt: skip
    return answer


def _first_administrator(connection: psycopg.Connection[Any], login: str, name: str) -> int:
    person_id = people.make_person(connection, login, name, "first start")
    make_grant(
        connection, person_id, "administrator", Scope(everything=True), trade_secrets=True,
        crew_figures=True, author="first start", reason="first administrator",
    )  # fmt: skip
    return person_id


def _login_page(request: Request, wait_s: int | None) -> Response:
    language = layout.language_of(request)
    said = None
    if wait_s == 0:
        said = pick(language, "登录名或密码不对。", "Login or password is wrong.")
    elif wait_s is not None:
        minutes = -(-wait_s // 60)
        said = pick(language, f"尝试次数过多，请在 {minutes} 分钟后再试。",
                    f"Too many attempts: try again in {minutes} min.")  # fmt: skip
    query = f"?{request.url.query}" if request.url.query else ""
    return layout.form_page(
        request,
        pick(language, "登录", "Sign in"),
        layout.form(
            f"/login{query}",
            None,
            _said(said),
            layout.field(pick(language, "登录名", "Login"), "login", required=True,
                         autocomplete="username", autocapitalize="none", autofocus=True),
            layout.field(pick(language, "密码", "Password"), "password", "password", required=True,
                         autocomplete="current-password"),
            layout.button(pick(language, "登录", "Sign in")),
            _provider_link(request, language),
            tag("p", pick(language, "忘记密码：请管理员给一个重设链接。",
                          "Forgotten: ask an administrator for a link to set a new one."),
                cls="reference"),
        ),
        status=200 if wait_s is None else 401 if wait_s == 0 else 429,
    )  # fmt: skip


def _provider_link(request: Request, language: Language) -> Safe | None:
    """Offer the enterprise's own sign-in, where there is one."""
    provider = request.app.state.oidc
    if provider is None:
        return None
    name = provider.settings.name
    query = f"?{request.url.query}" if request.url.query else ""
    said = pick(language, f"用 {name} 登录 ›", f"Sign in with {name} ›")
    return tag("p", tag("a", said, href=f"/login/oidc{query}"))


def _link_page(request: Request, link: Link, wrong: str | None) -> Response:
    language = layout.language_of(request)
    words = functools.partial(pick, language)
    parts: list[Safe | None] = [_said(wrong)]
    if link.purpose == "sign_in":
        title = words(f"以 {link.name} 登录", f"Sign in as {link.name}")
        press = words("进入", "Enter")
    else:
        press = words("设定密码并登录", "Set the password and sign in")
        title = words("设定密码", "Set a password")
        if link.purpose == "first_start":
            title = words("第一位管理员", "The first administrator")
            parts.append(
                tag(
                    "p",
                    words(
                        "还没有任何人员。此处建立的管理员可以邀请其他人。",
                        "There is no person yet. The administrator made here invites the others.",
                    ),
                )
            )
            parts.append(
                layout.field(
                    words("登录名", "Login"),
                    "login",
                    required=True,
                    autocomplete="username",
                    autocapitalize="none",
                )
            )
            parts.append(layout.field(words("姓名", "Name"), "name", autocomplete="name"))
        else:
            parts.append(tag("p", words("登录名：", "Login: "), tag("b", link.login)))
        parts.append(
            layout.field(
                words("密码", "Password"),
                "password",
                "password",
                words(f"至少 {SHORTEST} 个字符", f"at least {SHORTEST} characters"),
                required=True,
                minlength=SHORTEST,
                autocomplete="new-password",
            )
        )
        parts.append(layout.field(words("再输一次", "Once more"), "again", "password",
                                  required=True, autocomplete="new-password"))  # fmt: skip
    return layout.form_page(
        request, title, layout.form(request.url.path, None, *parts, layout.button(press)),
        status=200 if wrong is None else 422,
    )  # fmt: skip


def _no_link(request: Request) -> Response:
    language = layout.language_of(request)
    return layout.form_page(
        request,
        pick(language, "这个链接无效", "This link opens nothing"),
        tag("p", pick(language, "链接只能用一次，并且有期限。请管理员再给一个，或",
                      "A link works once and for a time. Ask an administrator for another, or "),
            tag("a", pick(language, "登录", "sign in"), href="/login"), "。" if language == "zh"
            else "."),
        status=404,
    )  # fmt: skip


def _said(sentence: str | None) -> Safe | None:
    return None if sentence is None else tag("p", sentence, cls="bad-text", role="alert")
