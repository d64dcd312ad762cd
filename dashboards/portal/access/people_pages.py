"""People: invite, grant, revoke, disable; the access log. For administrators, in their scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from dashboards.errors import AccessError
from dashboards.portal.access import grants, layout, links, log, people
from dashboards.portal.access.clients import close_clients
from dashboards.portal.access.grants import ROLES, Grant, Place, Scope, covers
from dashboards.portal.access.identity import Identity
from dashboards.portal.access.log import LogRow
from dashboards.portal.access.people import Person
from dashboards.portal.access.words import (
    event_words,
    flag_words,
    place_words,
    role_words,
    time_words,
)
from dashboards.portal.markup import Safe, tag
from enpilot.text import Language, pick

__all__ = ["Administration", "load_administration", "router"]

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Administration:
    """What an administrator may manage.

    Attributes
    ----------
    own
        The administrator's grants in force that allow it.
    people
        Whom it concerns: those with a grant within the scope; all, with everything.
    grants
        Theirs, by person.
    places
        Where grants may be given.
    """

    own: list[Grant]
    people: list[Person]
    grants: dict[int, list[Grant]]
    places: list[Place]

    @property
    def everything(self) -> bool:
        """Whether there is no limit."""
        return any(grant.everything for grant in self.own)

    def allows(self, scope: Scope, *, trade_secrets: bool = False, crew: bool = False) -> bool:
        """Return whether a grant may be given or revoked: never more than one's own shows."""
        return any(
            covers(grant, scope)
            and (grant.trade_secrets or not trade_secrets)
            and (grant.crew_figures or not crew)
            for grant in self.own
        )

    def wholly(self, person_id: int) -> bool:
        """Return whether all that a person may do is within the scope: then so is the person."""
        held = [g for g in self.grants.get(person_id, []) if not g.over]
        return self.everything or (
            bool(held)
            and all(
                self.allows(g.scope, trade_secrets=g.trade_secrets, crew=g.crew_figures)
                for g in held
            )
        )


def load_administration(
    connection: psycopg.Connection[Any], person_id: int
) -> Administration | None:
    """Return what a person may manage; None: nothing."""
    every = grants.list_grants(connection)
    managing = {
        row[0] for row in connection.execute(
            "SELECT role FROM role_permission WHERE permission = 'manage_people'"
        )
    }  # fmt: skip
    own = [g for g in every if g.person_id == person_id and g.in_force and g.role in managing]
    if not own:
        return None
    unlimited = any(g.everything for g in own)
    by_person: dict[int, list[Grant]] = {}
    for grant in every:
        if unlimited or any(covers(mine, grant.scope) for mine in own):
            by_person.setdefault(grant.person_id, []).append(grant)
    known = [p for p in people.list_people(connection) if unlimited or p.person_id in by_person]
    where = [p for p in grants.places(connection) if any(covers(g, p.scope) for g in own)]
    # Of a person in sight every grant counts, or one could take over who may do more elsewhere.
    complete = {p.person_id: [g for g in every if g.person_id == p.person_id] for p in known}
    return Administration(own, known, complete, where)


async def _administration(request: Request) -> Administration:
    identity = layout.identity_of(request)
    found = await layout.database_of(request).run(
        lambda c: load_administration(c, identity.person_id)
    )
    if found is None:
        raise HTTPException(403)
    return found


async def _page(
    request: Request, said: str | None = None, link: str | None = None, status: int = 200
) -> Response:
    return _people_page(request, await _administration(request), said, link, status)


async def _change(
    request: Request,
    work: Callable[[psycopg.Connection[Any], Administration, Identity, FormData], str | None],
    person_id: int | None = None,
) -> Response:
    """Do what a form asks; the rights are read in the same transaction."""
    identity = layout.identity_of(request)
    sent = await layout.read_form(request, identity)

    def transaction(connection: psycopg.Connection[Any]) -> str | None:
        found = load_administration(connection, identity.person_id)
        if found is None:
            raise HTTPException(403)
        return work(connection, found, identity, sent)

    try:
        link = await layout.database_of(request).run(transaction)
    except AccessError as error:
        return await _page(request, layout.refusal_words(request, error), None, 422)
    if person_id is not None:
        close_clients(person_ids={person_id})
    if link is not None:
        return await _page(request, None, str(request.base_url).rstrip("/") + link)
    return RedirectResponse("/people", 303)


@router.get("/people")
async def list_of_people(request: Request) -> Response:
    return await _page(request)


@router.get("/people/log")
async def access_log(request: Request, before: int | None = None) -> Response:
    found = await _administration(request)
    if not found.everything:
        raise HTTPException(403)
    rows = await layout.database_of(request).run(lambda c: log.read_log(c, before))
    return _log_page(request, rows)


@router.post("/people/invite")
async def invite(request: Request) -> Response:
    def work(
        connection: psycopg.Connection[Any],
        found: Administration,
        identity: Identity,
        sent: FormData,
    ) -> str | None:
        login = layout.value_of(sent, "login")
        person_id = people.make_person(
            connection, login, layout.value_of(sent, "name"), identity.login
        )
        _grant(connection, found, identity, sent, person_id)
        return links.make_link(connection, "invitation", person_id, identity.login)

    return await _change(request, work)


@router.post("/people/{person_id}/grants")
async def grant(request: Request, person_id: int) -> Response:
    def work(
        connection: psycopg.Connection[Any],
        found: Administration,
        identity: Identity,
        sent: FormData,
    ) -> None:
        _known(found, person_id)
        _grant(connection, found, identity, sent, person_id)

    return await _change(request, work, person_id)


@router.post("/people/grants/{grant_id}/revoke")
async def revoke(request: Request, grant_id: int) -> Response:
    def work(
        connection: psycopg.Connection[Any],
        found: Administration,
        identity: Identity,
        _: FormData,
    ) -> None:
        held = next(
            (g for all_ in found.grants.values() for g in all_
             if g.person_grant_id == grant_id),
            None,
        )  # fmt: skip
        if held is None or not found.allows(held.scope):
            raise HTTPException(404)
        if held.person_id == identity.person_id:
            raise AccessError("nobody revokes their own grant", "不能撤销自己的权限")
        grants.revoke_grant(connection, held, identity.login)

    return await _change(request, work)


@router.post("/people/{person_id}/disable")
async def disable(request: Request, person_id: int) -> Response:
    return await _change(request, _switch(person_id, disabled=True), person_id)


@router.post("/people/{person_id}/enable")
async def enable(request: Request, person_id: int) -> Response:
    return await _change(request, _switch(person_id, disabled=False), person_id)


@router.post("/people/{person_id}/reset")
async def reset(request: Request, person_id: int) -> Response:
    def work(
        connection: psycopg.Connection[Any],
        found: Administration,
        identity: Identity,
        _: FormData,
    ) -> str:
        _known(found, person_id, wholly=True)
        return links.make_link(connection, "reset", person_id, identity.login)

    return await _change(request, work)


def _switch(
    person_id: int, *, disabled: bool
) -> Callable[[psycopg.Connection[Any], Administration, Identity, FormData], None]:
    def work(
        connection: psycopg.Connection[Any],
        found: Administration,
        identity: Identity,
        _: FormData,
    ) -> None:
        _known(found, person_id, wholly=True)
        if person_id == identity.person_id:
            raise AccessError("nobody disables themselves", "不能停用自己")
        people.set_disabled(connection, person_id, identity.login, disabled=disabled)

    return work


def _known(found: Administration, person_id: int, *, wholly: bool = False) -> None:
    """Answer 404 for whom the administrator does not manage, as for nobody."""
    if all(p.person_id != person_id for p in found.people):
        raise HTTPException(404)
    if wholly and not found.wholly(person_id):
        raise HTTPException(404)


def _grant(
    connection: psycopg.Connection[Any],
    found: Administration,
    identity: Identity,
    sent: FormData,
    person_id: int,
) -> None:
    code, role = layout.value_of(sent, "scope"), layout.value_of(sent, "role")
    scope = next((p.scope for p in found.places if p.code == code), None)
    chosen = next((r for r in ROLES if r == role), None)
    secrets, crew = bool(sent.get("trade_secrets")), bool(sent.get("crew_figures"))
    if scope is None or chosen is None or person_id == identity.person_id:
        raise HTTPException(404)
    if not found.allows(scope, trade_secrets=secrets, crew=crew):
        raise AccessError("nobody grants more than their own grant shows", "不能授予自己没有的权限")
    grants.make_grant(
        connection, person_id, chosen, scope, trade_secrets=secrets, crew_figures=crew,
        author=identity.login, reason=layout.value_of(sent, "reason"),
        valid_from=_day(sent, "valid_from"), valid_to=_day(sent, "valid_to"),
    )  # fmt: skip


def _day(sent: FormData, name: str) -> dt.datetime | None:
    text = layout.value_of(sent, name)
    if not text:
        return None
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(0), dt.UTC)
    except ValueError as error:
        raise AccessError(
            f"{text!r} is no date: use YYYY-MM-DD", f"“{text}”不是日期：YYYY-MM-DD"
        ) from error


def _people_page(
    request: Request, found: Administration, said: str | None, link: str | None, status: int
) -> Response:
    language = layout.language_of(request)
    identity = layout.identity_of(request)
    return layout.form_page(
        request,
        pick(language, "人员", "People"),
        None if said is None else tag("p", said, cls="bad-text", role="alert"),
        None if link is None else tag(
            "p", pick(language, "请把这个一次性链接交给本人，只显示这一次：",
                      "Hand this one-time link to the person; it is shown this once: "),
            tag("code", link), cls="shown-once", role="status",
        ),
        *(_person(language, identity, found, person) for person in found.people),
        tag("section", _head(pick(language, "邀请", "Invite")), layout.form(
            "/people/invite", identity,
            layout.field(pick(language, "登录名", "Login"), "login", required=True,
                         autocapitalize="none"),
            layout.field(pick(language, "姓名", "Name"), "name"),
            *_grant_fields(language, found),
            layout.button(pick(language, "邀请并生成链接", "Invite and make a link")),
        )),
        tag("p", tag("a", pick(language, "访问记录", "Access log"), href="/people/log"))
        if found.everything else None,
        identity=identity, administrator=True, status=status, wide=True,
    )  # fmt: skip


def _head(words: str, right: str | None = None) -> Safe:
    return tag("header", tag("h2", words), tag("span", right, cls="section-right") if right else
               None, cls="section-head")  # fmt: skip


def _person(language: Language, identity: Identity, found: Administration, person: Person) -> Safe:
    held = found.grants.get(person.person_id, [])
    rows: list[list[str | None]] = [
        [role_words(language, g.role), place_words(language, g.scope_code),
         flag_words(language, g), time_words(language, g), f"{g.author}: {g.reason}",
         None if g.over or g.person_id == identity.person_id or not found.allows(g.scope)
         else layout.form(f"/people/grants/{g.person_grant_id}/revoke", identity,
                          layout.button(pick(language, "撤销", "Revoke"), "quiet"), cls="inline")]
        for g in held
    ]  # fmt: skip
    heads = [pick(language, "角色", "Role"), pick(language, "范围", "Where"),
             pick(language, "可见", "Sees"), pick(language, "时间", "When"),
             pick(language, "授权人与理由", "By, and why"), ""]  # fmt: skip
    state = pick(language, "从未登录", "never signed in")
    if person.disabled_at is not None:
        state = pick(language, "已停用", "disabled")
    elif person.seen_at is not None:
        state = pick(language, f"最近 {person.seen_at:%Y-%m-%d %H:%M} UTC",
                     f"last seen {person.seen_at:%Y-%m-%d %H:%M} UTC")  # fmt: skip
    acts = None
    if person.person_id != identity.person_id and found.wholly(person.person_id):
        base = f"/people/{person.person_id}"
        off = person.disabled_at is None
        acts = tag(
            "div",
            layout.form(f"{base}/reset", identity, layout.button(
                pick(language, "重设密码链接", "Link to set a password"), "quiet"), cls="inline"),
            layout.form(f"{base}/{'disable' if off else 'enable'}", identity, layout.button(
                pick(language, "停用", "Disable") if off else pick(language, "恢复", "Enable"),
                "quiet"), cls="inline"),
            cls="acts",
        )  # fmt: skip
    more = None
    if person.person_id != identity.person_id:
        more = tag(
            "details",
            tag("summary", pick(language, "授权", "Grant")),
            layout.form(f"/people/{person.person_id}/grants", identity,
                        *_grant_fields(language, found),
                        layout.button(pick(language, "授权", "Grant"))),
        )  # fmt: skip
    return tag("section", _head(f"{person.name} · {person.login}", state),
               layout.columns(heads, rows) if rows else None, acts, more)  # fmt: skip


def _grant_fields(language: Language, found: Administration) -> list[Safe]:
    roles: list[tuple[str, str]] = [(role, role_words(language, role)) for role in ROLES]
    where = [
        (p.code, pick(language, p.name_zh, p.name_en) if p.code == "*"
         else f"{place_words(language, p.code)} · {pick(language, p.name_zh, p.name_en)}")
        for p in reversed(found.places)
    ]  # fmt: skip
    return [
        layout.choice(pick(language, "角色", "Role"), "role", roles),
        layout.choice(pick(language, "范围", "Where"), "scope", where),
        layout.tick(pick(language, "可见商业秘密：产量、读数、15 分钟负荷",
                         "sees trade secrets: output, readings, 15-minute load"), "trade_secrets"),
        layout.tick(pick(language, "可见班组数据", "sees crew figures"), "crew_figures"),
        layout.field(pick(language, "自（空：立即）", "From (empty: at once)"), "valid_from",
                     "date"),
        layout.field(pick(language, "至（监管人员必填）", "Until (a regulator's must end)"),
                     "valid_to", "date"),
        layout.field(pick(language, "理由", "Why"), "reason", required=True, maxlength=200),
    ]  # fmt: skip


def _log_page(request: Request, rows: list[LogRow]) -> Response:
    language = layout.language_of(request)
    shown: list[list[str | None]] = [
        [f"{row.at_ts:%Y-%m-%d %H:%M:%S} UTC", event_words(language, row.event), row.actor,
         row.login, row.address, row.detail]
        for row in rows
    ]  # fmt: skip
    heads = [pick(language, "时间", "Time"), pick(language, "事件", "Event"),
             pick(language, "由", "By"), pick(language, "人员", "Person"),
             pick(language, "地址", "Address"), pick(language, "说明", "Detail")]  # fmt: skip
    older = None
    if len(rows) == log.PAGE:
        older = tag("p", tag("a", pick(language, "更早 ›", "Older ›"),
                             href=f"?before={rows[-1].access_log_id}"))  # fmt: skip
    return layout.form_page(
        request, pick(language, "访问记录", "Access log"), layout.columns(heads, shown), older,
        identity=layout.identity_of(request), administrator=True, wide=True,
    )  # fmt: skip
