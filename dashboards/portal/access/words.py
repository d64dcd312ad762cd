"""Words of roles, permissions, scopes and events in both languages."""

from __future__ import annotations

from typing import Final

from dashboards.portal.access.grants import Grant, Role
from dashboards.portal.access.log import Event
from enpilot.text import Language, pick

__all__ = [
    "EVENTS", "PERMISSIONS", "event_words", "flag_words", "permission_words", "place_words",
    "role_words", "time_words",
]  # fmt: skip

_ROLES: Final[dict[Role, tuple[str, str]]] = {
    "viewer": ("查看者", "viewer"),
    "operator": ("操作员", "operator"),
    "energy_manager": ("能源管理员", "energy manager"),
    "regulator": ("监管人员", "regulator"),
    "administrator": ("系统管理员", "administrator"),
}
PERMISSIONS: Final[dict[str, tuple[str, str]]] = {
    "see": ("查看", "see figures"),
    "see_trade_secrets": ("查看商业秘密", "see trade secrets"),
    "see_crew": ("查看班组数据", "see crew figures"),
    "acknowledge_alert": ("确认报警", "acknowledge alerts"),
    "enter_output": ("录入产量", "enter output"),
    "propose_correction": ("提出更正", "propose corrections"),
    "approve_correction": ("批准更正", "approve corrections"),
    "close_period": ("结账", "close periods"),
    "edit_rules": ("编辑报警规则", "edit alert rules"),
    "decide_waste": ("处理浪费项", "decide on waste"),
    "manage_plant": ("管理工厂文件", "manage the plant"),
    "manage_people": ("管理人员", "manage people"),
    "read_access_log": ("查看访问记录", "read the access log"),
}
EVENTS: Final[dict[Event, tuple[str, str]]] = {
    "sign_in": ("登录", "signed in"),
    "sign_out": ("退出", "signed out"),
    "sign_in_failed": ("登录失败", "sign-in failed"),
    "locked": ("锁定", "locked for a time"),
    "link_made": ("生成链接", "link made"),
    "password_set": ("设定密码", "password set"),
    "person_made": ("新增人员", "person made"),
    "person_disabled": ("停用人员", "person disabled"),
    "person_enabled": ("恢复人员", "person enabled"),
    "granted": ("授权", "granted"),
    "grant_revoked": ("撤销授权", "grant revoked"),
    "session_ended": ("结束会话", "session ended"),
    "token_made": ("生成令牌", "token made"),
    "token_revoked": ("撤销令牌", "token revoked"),
}


def role_words(language: Language, role: Role) -> str:
    """Return a role's name."""
    return pick(language, *_ROLES[role])


def permission_words(language: Language, permission: str) -> str:
    """Return what a permission allows."""
    return pick(language, *PERMISSIONS[permission])


def event_words(language: Language, event: Event) -> str:
    """Return what happened."""
    return pick(language, *EVENTS[event])


def place_words(language: Language, code: str) -> str:
    """Return where a grant holds."""
    if code == "*":
        return pick(language, "全部", "everything")
    kind, _, name = code.partition("/")
    if kind == "enterprise":
        return pick(language, f"企业 {name}", f"enterprise {name}")
    return pick(language, f"厂区 {name}", f"site {name}")


def flag_words(language: Language, grant: Grant) -> str:
    """Return which guarded figures a grant shows."""
    seen = [pick(language, "期间指标", "period figures")]
    if grant.trade_secrets:
        seen.append(pick(language, "商业秘密", "trade secrets"))
    if grant.crew_figures:
        seen.append(pick(language, "班组数据", "crew figures"))
    return pick(language, "、", ", ").join(seen)


def time_words(language: Language, grant: Grant) -> str:
    """Return when a grant holds, and how it ended."""
    if grant.revoked_at is not None:
        return pick(language, f"{grant.revoked_at:%Y-%m-%d} 由 {grant.revoked_by} 撤销",
                    f"revoked {grant.revoked_at:%Y-%m-%d} by {grant.revoked_by}")  # fmt: skip
    since = f"{grant.valid_from:%Y-%m-%d}"
    if grant.valid_to is None:
        return pick(language, f"自 {since}", f"since {since}")
    return pick(language, f"{since} 至 {grant.valid_to:%Y-%m-%d}",
                f"{since} to {grant.valid_to:%Y-%m-%d}")  # fmt: skip
