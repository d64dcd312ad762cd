"""The way to the enterprise's identity provider and back."""

from __future__ import annotations

from typing import Final

import psycopg
import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from dashboards.errors import OidcAwayError, OidcRefusedError
from dashboards.portal.access import layout, log, sign_in
from dashboards.portal.access.middleware import local_path
from dashboards.portal.access.oidc import CALLBACK, Provider, find_person
from dashboards.portal.markup import tag
from enpilot.text import pick

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_COOKIE: Final = "enpilot_oidc"
_LASTS_S: Final = 600
_log = structlog.get_logger(__name__)


def _provider(request: Request) -> Provider:
    provider = request.app.state.oidc
    if not isinstance(provider, Provider):
        raise HTTPException(404, "no identity provider is set up")
    return provider


@router.get("/login/oidc")
async def leave(request: Request) -> Response:
    provider = _provider(request)
    try:
        address, kept = await provider.begin()
    except (OidcAwayError, OidcRefusedError) as error:
        return _failed(request, error)
    answer = RedirectResponse(address, 303)
    onward = local_path(request.query_params.get("next"))
    # Lax: the provider leads back by a link, and only such a one may bring it along.
    answer.set_cookie(
        _COOKIE, f"{kept}|{onward}", max_age=_LASTS_S, path=CALLBACK, httponly=True,
        secure=provider.settings.portal.startswith("https:"), samesite="lax",
    )  # fmt: skip
    return answer


@router.get(CALLBACK)
async def back(request: Request) -> Response:
    provider = _provider(request)
    kept, _, onward = request.cookies.get(_COOKIE, "").partition("|")
    asked = request.query_params
    address = sign_in.address_of_browser(request)
    database = layout.database_of(request)
    try:
        if "error" in asked:
            raise OidcRefusedError(f"the provider says {asked['error'][:80]!r}")
        claims = await provider.finish(kept, asked.get("state", ""), asked.get("code", ""))
    except (OidcAwayError, OidcRefusedError) as error:
        await database.run(lambda c: log.record(c, "sign_in_failed", "-", None, address, "oidc"))
        return _failed(request, error)

    def begin(connection: psycopg.Connection[object]) -> str | None:
        found = find_person(connection, claims)
        if found is None:
            log.record(connection, "sign_in_failed", "-", None, address, "oidc")
            return None
        return sign_in.begin_session(connection, request, *found, detail="oidc")

    token = await database.run(begin)
    if token is None:
        return _refused(
            request,
            "没有人用这个账号被邀请；请管理员邀请您的邮箱。",
            "Nobody was invited with this account; ask an administrator to invite your address.",
        )
    answer = await sign_in.signed_in(request, token, local_path(onward or "/"))
    answer.delete_cookie(_COOKIE, path=CALLBACK)
    return answer


def _failed(request: Request, error: Exception) -> Response:
    _log.warning("sign-in by the identity provider failed", error=str(error))
    away = isinstance(error, OidcAwayError)
    return _refused(
        request,
        "身份提供方暂时没有回应；请稍后再试，或用密码登录。"
        if away
        else "这次登录不成立；请重新登录。",
        "The identity provider does not answer; try again, or use a password."
        if away
        else "This sign-in does not hold; begin it again.",
        status=503 if away else 403,
    )


def _refused(request: Request, zh: str, en: str, status: int = 403) -> Response:
    language = layout.language_of(request)
    return layout.form_page(
        request, pick(language, "登录", "Sign in"), tag("p", pick(language, zh, en), role="alert"),
        tag("p", tag("a", pick(language, "回到登录", "Back to sign-in"), href="/login")),
        status=status,
    )  # fmt: skip
