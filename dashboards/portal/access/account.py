"""My account: password, sessions, tokens."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import psycopg
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from dashboards.errors import AccessError
from dashboards.portal.access import api_tokens, grants, layout, log, people, sessions
from dashboards.portal.access.api_tokens import ReadScope, TokenRow
from dashboards.portal.access.clients import close_clients
from dashboards.portal.access.grants import Grant
from dashboards.portal.access.identity import Identity
from dashboards.portal.access.passwords import SHORTEST, check_password, weakness
from dashboards.portal.access.sessions import SessionRow
from dashboards.portal.access.sign_in import weakness_words
from dashboards.portal.access.words import flag_words, place_words, role_words, time_words
from dashboards.portal.markup import Safe, tag
from enpilot.text import Language, pick

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


async def _page(
    request: Request, said: str | None = None, made: str | None = None, status: int = 200
) -> Response:
    identity = layout.identity_of(request)

    def load(
        connection: psycopg.Connection[Any],
    ) -> tuple[list[SessionRow], list[TokenRow], list[Grant], bool]:
        return (
            sessions.own_sessions(connection, identity.person_id),
            api_tokens.own_tokens(connection, identity.person_id),
            grants.grants_of(connection, identity.person_id),
            layout.manages_people(connection, identity.person_id),
        )

    opened, tokens, held, administrator = await layout.database_of(request).run(load)
    language = layout.language_of(request)
    return layout.form_page(
        request,
        pick(language, "我的账号", "My account"),
        tag("p", f"{identity.name} · {identity.login}", cls="subline"),
        None if said is None else tag("p", said, cls="bad-text", role="alert"),
        _grants(language, held),
        _password(language, identity),
        _sessions(language, identity, opened),
        _tokens(language, identity, tokens, made),
        identity=identity, administrator=administrator, status=status, wide=True,
    )  # fmt: skip


@router.get("/account")
async def account(request: Request) -> Response:
    return await _page(request)


@router.post("/account/password")
async def password(request: Request) -> Response:
    identity = layout.identity_of(request)
    sent = await layout.read_form(request, identity)
    language = layout.language_of(request)
    kept = await layout.database_of(request).run(
        lambda c: c.execute(
            "SELECT password_hash FROM person WHERE person_id = %s", (identity.person_id,)
        ).fetchone()
    )
    old, new = layout.value_of(sent, "old"), layout.value_of(sent, "password")
    hashed = None if kept is None else kept[0]
    # Who came by a link has none yet.
    if hashed is not None and not (await asyncio.to_thread(check_password, hashed, old))[0]:
        return await _page(
            request, pick(language, "现在的密码不对。", "The present password is wrong."), None,
            422,
        )  # fmt: skip
    wrong = weakness_words(language, weakness(identity.login, new))
    if wrong is None and new != layout.value_of(sent, "again"):
        wrong = pick(language, "两次输入不一致。", "The two do not agree.")
    if wrong is not None:
        return await _page(request, wrong, None, 422)
    await layout.database_of(request).run(
        lambda c: people.set_password(
            c, identity.person_id, new, identity.login, keep_session=identity.session_id
        )
    )
    return RedirectResponse("/account", 303)


@router.post("/account/sessions/{session_id}/end")
async def end(request: Request, session_id: int) -> Response:
    identity = layout.identity_of(request)
    await layout.read_form(request, identity)

    def work(connection: psycopg.Connection[Any]) -> bool:
        ended = sessions.end_session(connection, identity.person_id, session_id)
        if ended:
            log.record(connection, "session_ended", identity.login, identity.person_id)
        return ended

    if not await layout.database_of(request).run(work):
        return Response(status_code=404)
    close_clients(session_ids={session_id})
    return RedirectResponse("/account", 303)


@router.post("/account/tokens")
async def make(request: Request) -> Response:
    identity = layout.identity_of(request)
    sent = await layout.read_form(request, identity)
    scopes: list[ReadScope] = [s for s in ("read", "export") if sent.get(s)]
    days = layout.value_of(sent, "days")
    try:
        made = await layout.database_of(request).run(
            lambda c: api_tokens.make_token(
                c, identity, layout.value_of(sent, "name"), scopes,
                int(days[:4]) if days.isdecimal() else 0, layout.value_of(sent, "site") or None,
            )
        )  # fmt: skip
    except AccessError as error:
        return await _page(request, layout.refusal_words(request, error), None, 422)
    return await _page(request, None, made)


@router.post("/account/tokens/{token_id}/revoke")
async def revoke(request: Request, token_id: int) -> Response:
    identity = layout.identity_of(request)
    await layout.read_form(request, identity)
    if not await layout.database_of(request).run(
        lambda c: api_tokens.revoke_token(c, identity, token_id)
    ):
        return Response(status_code=404)
    return RedirectResponse("/account", 303)


def _head(words: str) -> Safe:
    return tag("header", tag("h2", words), cls="section-head")


def _grants(language: Language, held: list[Grant]) -> Safe:
    rows: list[list[str | None]] = [
        [role_words(language, g.role), place_words(language, g.scope_code),
         flag_words(language, g), time_words(language, g)]
        for g in held if not g.over
    ]  # fmt: skip
    heads = [pick(language, "角色", "Role"), pick(language, "范围", "Where"),
             pick(language, "可见", "Sees"), pick(language, "时间", "When")]  # fmt: skip
    none = tag("p", pick(language, "还没有任何权限：请管理员授予。",
                         "Nothing granted yet: ask an administrator."), cls="empty")  # fmt: skip
    return tag("section", _head(pick(language, "权限", "Rights")),
               layout.columns(heads, rows) if rows else none)  # fmt: skip


def _password(language: Language, identity: Identity) -> Safe:
    return tag("section", _head(pick(language, "密码", "Password")), layout.form(
        "/account/password", identity,
        layout.field(pick(language, "现在的密码", "Present password"), "old", "password",
                     autocomplete="current-password"),
        layout.field(pick(language, "新密码", "New password"), "password", "password",
                     pick(language, f"至少 {SHORTEST} 个字符", f"at least {SHORTEST} characters"),
                     required=True, minlength=SHORTEST, autocomplete="new-password"),
        layout.field(pick(language, "再输一次", "Once more"), "again", "password", required=True,
                     autocomplete="new-password"),
        layout.button(pick(language, "更改；其他会话随之结束", "Change it; other sessions end")),
    ))  # fmt: skip


def _stamp(at: dt.datetime | None) -> str:
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _sessions(language: Language, identity: Identity, opened: list[SessionRow]) -> Safe:
    rows: list[list[str | None]] = [
        [pick(language, "此会话", "this one") if s.session_id == identity.session_id else s.agent,
         s.address, _stamp(s.created_at), _stamp(s.seen_at),
         layout.form(f"/account/sessions/{s.session_id}/end", identity,
                     layout.button(pick(language, "结束", "End"), "quiet"), cls="inline")]
        for s in opened
    ]  # fmt: skip
    heads = [pick(language, "浏览器", "Browser"), pick(language, "地址", "Address"),
             pick(language, "登录", "Signed in"), pick(language, "最近", "Last seen"),
             ""]  # fmt: skip
    return tag("section", _head(pick(language, "会话", "Sessions")), layout.columns(heads, rows))


def _tokens(
    language: Language, identity: Identity, tokens: list[TokenRow], made: str | None
) -> Safe:
    rows: list[list[str | None]] = [
        [t.name, ", ".join(t.scopes), t.site or pick(language, "全部可见厂区", "every site I see"),
         _stamp(t.valid_to), _stamp(t.last_used_at),
         layout.form(f"/account/tokens/{t.token_id}/revoke", identity,
                     layout.button(pick(language, "撤销", "Revoke"), "quiet"), cls="inline")]
        for t in tokens
    ]  # fmt: skip
    heads = [pick(language, "名称", "Name"), pick(language, "范围", "Scopes"),
             pick(language, "厂区", "Site"), pick(language, "截止", "Until"),
             pick(language, "最近使用", "Last used"), ""]  # fmt: skip
    shown = None if made is None else tag(
        "p", pick(language, "新令牌，只显示这一次：", "The new token, shown this once: "),
        tag("code", made), cls="shown-once", role="status",
    )  # fmt: skip
    return tag(
        "section", _head(pick(language, "API 令牌", "API tokens")), shown,
        layout.columns(heads, rows) if rows else None,
        layout.form(
            "/account/tokens", identity,
            layout.field(pick(language, "用途", "What for"), "name", required=True, maxlength=80),
            layout.field(pick(language, "厂区代码（空：全部）", "Code of a site (empty: all)"),
                         "site"),
            layout.field(pick(language, "天数", "Days"), "days", "number", value=90, min=1,
                         max=730, required=True),
            layout.tick(pick(language, "读取 API（read）", "read the API (read)"), "read"),
            layout.tick(pick(language, "导出文件（export）", "export files (export)"), "export"),
            layout.button(pick(language, "生成令牌", "Make a token")),
        ),
    )  # fmt: skip
