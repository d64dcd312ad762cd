"""Forms that ask a service to do something, and what is said of the answer."""

from __future__ import annotations

import uuid

from dashboards.portal.answers import Answer
from dashboards.portal.markup import Safe, join, tag
from dashboards.portal.page import Visit
from enpilot.text import Language, pick

__all__ = ["REQUESTS", "answer_banner", "hidden", "may_ask", "reason_field", "request_form"]

REQUESTS = {  # permission, zh, en, done zh, done en
    "output.enter": ("enter_output", "保存产量", "Save output", "产量已保存", "output is saved"),
    "correction.propose": (
        "propose_correction", "提出修正", "Propose a correction", "修正已提出，待审批",
        "the correction is proposed and awaits approval",
    ),
    "correction.approve": (
        "approve_correction", "批准", "Approve", "修正已批准", "the correction is in force",
    ),
    "correction.reject": ("approve_correction", "驳回", "Reject", "已驳回", "rejected"),
    "correction.revoke": ("approve_correction", "撤销", "Revoke", "已撤销", "revoked"),
    "correction.preview": (
        "propose_correction", "看影响", "What would change", "影响已算出", "computed below",
    ),
    "plant.check": (
        "manage_plant", "检查", "Check", "已检查，尚未写入", "checked, nothing written",
    ),
    "plant.apply": ("manage_plant", "写入", "Apply", "工厂文件已写入", "the plant file is applied"),
    "closing.check": ("see", "检查", "Check", "已检查", "checked"),
    "closing.prepare": (
        "close_period", "准备结账", "Prepare", "已准备，须由另一人签字",
        "prepared; another person signs it",
    ),
    "closing.approve": ("close_period", "签字结账", "Sign", "已结账", "signed"),
    "closing.withdraw": ("close_period", "撤回", "Withdraw", "已撤回", "withdrawn"),
    "closing.reopen": ("close_period", "重新打开", "Reopen", "已重新打开", "open again"),
    "closing.decide": ("close_period", "决定", "Decide", "已决定", "decided"),
    "waste.decide": ("decide_waste", "保存", "Save", "已记录", "recorded"),
    "alert.acknowledge": ("acknowledge_alert", "确认", "Acknowledge", "已确认", "acknowledged"),
    "alert.mute": ("acknowledge_alert", "静默", "Mute", "已静默", "muted"),
    "alert.unmute": ("acknowledge_alert", "结束静默", "End it", "静默已结束", "no longer muted"),
    "alert.replay": ("edit_rules", "回放", "Replay", "已回放", "replayed"),
}  # fmt: skip


def may_ask(visit: Visit, kind: str) -> bool:
    """Return whether the visitor may ask for this here."""
    return REQUESTS[kind][0] in visit.permissions


def request_form(
    visit: Visit, kind: str, *fields: str | None, button: str | None = None, quiet: bool = False,
    cls: str = "fields",
) -> Safe | None:  # fmt: skip
    """Make a form that asks for something in the visitor's name; None where that is not allowed.

    Parameters
    ----------
    fields
        Named ``arguments.…`` (`dashboards.portal.asking.arguments_of`).
    button
        What its button says, if not what the kind says.
    """
    if not may_ask(visit, kind):
        return None
    said = button or pick(visit.language, *REQUESTS[kind][1:3])
    style = "button quiet" if quiet else "button"
    return tag(
        "form",
        tag("input", type_="hidden", name_="csrf", value=visit.csrf),
        tag("input", type_="hidden", name_="back", value=visit.here()),
        # Sent twice by a nervous hand it is still one request.
        tag("input", type_="hidden", name_="key", value=str(uuid.uuid4())),
        *fields,
        tag("button", said, type_="submit", cls=style, data_request=kind),
        method="post", action=f"/s/{visit.site.code}/ask/{kind}", cls=cls,
    )  # fmt: skip


def hidden(**arguments: str | int) -> Safe:
    """Make hidden arguments; whole numbers stay numbers."""
    return join(
        *(
            tag("input", type_="hidden", value=value,
                name_=f"arguments.{key}{':int' if isinstance(value, int) else ''}")
            for key, value in arguments.items()
        )
    )  # fmt: skip


def reason_field(visit: Visit, *, required: bool = True, hint: str | None = None) -> Safe:
    """Make the field for why: it is kept with what is done."""
    said = hint or visit.say("理由", "Reason")
    return tag("input", name_="arguments.reason", required=required, maxlength=2000,
               placeholder=said, aria_label=said, cls="reason")  # fmt: skip


def answer_banner(language: Language, answer: Answer) -> Safe:
    """Say what came of what was asked."""
    words = REQUESTS.get(answer.kind, ("", *([answer.kind] * 4)))
    name, done = pick(language, *words[1:3]), pick(language, *words[3:])
    if answer.state == "done":
        mark, style, said = "●", "good", done
    elif answer.state == "waiting":
        mark, style = "◌", "unknown"
        said = pick(
            language, f"{name}：还在等待服务处理，稍后刷新本页。",
            f"{name}: still waiting for the service; reload this page in a while.",
        )  # fmt: skip
    else:
        mark, style = "■", "bad"
        why = answer.refusal or ""
        said = pick(language, f"{name}未执行：{why}", f"{name} was not done: {why}")
    return tag("p", tag("span", mark, cls=f"shape {style}"), f" {said[:1].upper()}{said[1:]}",
               cls=f"answer {style}", role="status", data_answer=answer.state)  # fmt: skip
