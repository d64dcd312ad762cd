"""What surrounds every page: rail, top line, demonstration strip, bottom line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from nicegui import ui

from dashboards.portal.forms import answer_banner
from dashboards.portal.markup import Safe, join, raw, tag
from dashboards.portal.page import GROUPS, Choice, Head, Page, PeriodControl, Visit, address
from dashboards.portal.state import data_until, factor_line
from enpilot.text import Language, number, pick, share

__all__ = ["Frame", "block", "document", "frame", "more_links", "section", "table_view"]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A page and its surroundings, for one visit."""

    page: Page[Any]
    head: Head
    counts: Mapping[str, int]  # by the page's code


def block(*parts: str | None) -> ui.html:
    """Add static HTML; every value in it was escaped by `dashboards.portal.markup`."""
    return ui.html(join(*parts), sanitize=False)


def section(title: str, unit: str | None = None, right: str | None = None) -> Safe:
    """Return a section's head: title, unit, and what stands on the right."""
    return tag(
        "header",
        tag("h2", title),
        tag("span", unit, cls="section-unit") if unit else None,
        tag("span", right, cls="section-right") if right else None,
        cls="section-head",
    )


def table_view(language: Language, table: Safe) -> Safe:
    """Return a chart's figures as a table, closed until asked for."""
    return tag(
        "details",
        tag("summary", pick(language, "表", "Table")),
        tag("div", table, cls="scroll"),
        cls="table-view",
    )


@contextmanager
def frame(shown: Frame, visit: Visit) -> Iterator[None]:
    """Build the shell; what is added inside stands between top and bottom line."""
    language, site = visit.language, visit.site
    ui.page_title(f"{shown.page.name(language)} · {site.name(language)} · Enpilot")
    strip = site.demonstration(language)
    with ui.element("div").classes("shell"):
        block(_rail(shown, visit)).classes("rail")
        with ui.element("main").classes("page"):
            if strip is not None:
                block(tag("p", strip, cls="demonstration", role="note"))
            block(_top(shown.head, visit)).classes("top")
            if visit.answered is not None:
                block(answer_banner(language, visit.answered))
            with ui.element("div").classes("content"):
                yield
            block(_bottom(shown.head, visit)).classes("bottom")
    block(_phone_bar(shown, visit)).classes("phone-bar")


def document(language: Language, title: str, sentence: str, action: Safe) -> str:
    """Return a whole small page: a wrong address, or no database."""
    body = tag(
        "main",
        tag("p", "Enpilot", cls="brand"),
        tag("h1", sentence, cls="opening"),
        tag("p", action),
        cls="notice",
    )
    lang = pick(language, "zh-CN", "en")
    head = join(
        raw('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        raw('<link rel="stylesheet" href="/portal/tokens.css">'),
        raw('<script src="/portal/preferences.js"></script>'),
        tag("title", title),
    )
    return f'<!doctype html><html lang="{lang}"><head>{head}</head><body>{body}</body></html>'


def more_links(visit: Visit) -> Safe:
    """Return every page with the question it answers, for the phone."""
    rows = [
        tag(
            "li",
            tag("a", page.name(visit.language), href=_entry(page, visit)),
            tag("span", visit.say(*page.question), cls="reference"),
        )
        for page in visit.pages
        if page.group is not None and page.offered(visit.site)
    ]
    return tag("ul", *rows, cls="all-pages")


def _entry(page: Page[Any], visit: Visit) -> str:
    return address(visit.site.code, page.path if page.entry is None else page.entry)


def _anchor(name: str | Safe, target: str, *, chosen: bool, right: Safe | None = None) -> Safe:
    return tag("a", name, right, href=target, aria_current="page" if chosen else None)


def _rail(shown: Frame, visit: Visit) -> Safe:
    language = visit.language
    groups: list[str] = []
    for group, names in GROUPS.items():
        links = [
            _anchor(page.name(language), _entry(page, visit), chosen=page.code == shown.page.code,
                    right=_count(shown, page))
            for page in visit.pages
            if page.group == group and page.offered(visit.site)
        ]  # fmt: skip
        if not links:
            continue
        name = visit.say(*names)
        groups.append(tag("p", name, cls="rail-head"))
        groups.append(tag("nav", *links, aria_label=name or visit.say("厂区维护", "Plant")))
    sites = [_site_link(s, visit) for s in visit.site.sites]
    return join(
        tag("p", "Enpilot", cls="brand"),
        tag("p", visit.site.name(language), cls="site-name"),
        *groups,
        tag("p", visit.say("厂区", "Sites"), cls="rail-head") if len(sites) > 1 else None,
        tag("nav", *sites, aria_label=visit.say("厂区", "Sites"), cls="sites")
        if len(sites) > 1
        else None,
    )


def _count(shown: Frame, page: Page[Any]) -> Safe | None:
    count = shown.counts.get(page.code, 0)
    if not count:
        return None
    return tag("span", number(count), cls="count urgent" if page.urgent else "count")


def _site_link(link: Any, visit: Visit) -> Safe:
    name = visit.say(link.name_zh, link.name_en)
    return _anchor(name, address(link.code, "overview"), chosen=link.code == visit.site.code)


def _phone_bar(shown: Frame, visit: Visit) -> Safe:
    language = visit.language
    links = [
        _anchor(p.name(language), _entry(p, visit), chosen=p.code == shown.page.code)
        for p in visit.pages
        if p.phone and p.offered(visit.site)
    ]
    more = address(visit.site.code, "more")
    links.append(_anchor(visit.say("更多", "More"), more, chosen=shown.page.code == "more"))
    return tag("nav", *links, aria_label=visit.say("页面", "Pages"))


def _top(head: Head, visit: Visit) -> Safe:
    language = visit.language
    other = "en" if language == "zh" else "zh"
    complete = None
    if head.completeness is not None:
        stated = share(head.completeness)
        complete = tag(
            "span", visit.say("完整率 ", "Completeness "), tag("b", stated), cls="completeness"
        )
    themes = visit.say("切换深浅色", "light or dark")
    return join(
        _choices(head.kinds),
        None if head.period is None else _period(head.period, visit),
        _menu(head.scopes),
        _print(visit) if head.printable else None,
        _exports(head.exports, visit),
        tag("span", cls="spacer"),
        data_until(language, visit.site),
        complete,
        tag("a", pick(language, "EN", "中文"), href=visit.here(lang=other),
            lang=pick(language, "en", "zh-CN"), data_language=other),
        tag("button", "◐", type_="button", data_theme_toggle=True, title=themes,
            aria_label=themes),
        None if visit.person is None else tag("a", visit.person, href="/account",
                                              title=visit.say("我的账号", "My account")),
        _site_choice(visit),
    )  # fmt: skip


def _exports(exports: Sequence[Choice], visit: Visit) -> Safe | None:
    if not exports:
        return None
    links = [tag("a", e.name, href=e.address) for e in exports]
    summary = tag("summary", visit.say("导出", "Export"))
    return tag("details", summary, tag("nav", *links), cls="menu")


def _print(visit: Visit) -> Safe:
    return tag("button", visit.say("打印", "Print"), type_="button", data_print=True, cls="link")


def _site_choice(visit: Visit) -> Safe | None:
    """On the phone the rail is gone: the sites stand in the top line instead."""
    if len(visit.site.sites) < 2:
        return None
    links = [_site_link(s, visit) for s in visit.site.sites]
    return tag("nav", *links, cls="phone-sites", aria_label=visit.say("厂区", "Sites"))


def _choices(choices: Sequence[Choice]) -> Safe | None:
    if len(choices) < 2:
        return None
    return tag(
        "span",
        *(_anchor(c.name, c.address, chosen=c.chosen) for c in choices),
        cls="control choices",
    )


def _menu(choices: Sequence[Choice]) -> Safe | None:
    """Return a menu that opens without a script, closed on what is chosen."""
    if len(choices) < 2:
        return None
    chosen = next((c.name for c in choices if c.chosen), choices[0].name)
    links = [_anchor(c.name, c.address, chosen=c.chosen) for c in choices]
    return tag("details", tag("summary", chosen), tag("nav", *links), cls="menu")


def _period(period: PeriodControl, visit: Visit) -> Safe:
    steps = tag(
        "span",
        _step("‹", period.previous, visit.say("前一期", "previous")),
        tag("span", period.name, cls="period-name"),
        _step("›", period.following, visit.say("后一期", "next")),
        cls="control",
    )
    latest = None
    if period.latest is not None:
        latest = tag("a", visit.say("最近", "Latest"), href=period.latest)
    choices = _choices(period.choices)
    return join(steps if choices is None else choices, latest)


def _step(sign: str, target: str | None, name: str) -> Safe:
    if target is None:
        return tag("span", sign, cls="off", aria_hidden="true")
    return tag("a", sign, href=target, aria_label=name, title=name)


def _bottom(head: Head, visit: Visit) -> Safe:
    site = visit.site
    version = "–" if site.data_version is None else str(site.data_version)
    code = site.code_version or "–"
    return join(
        factor_line(visit.language, head.indicator, verified=head.factor_verified),
        tag("span", visit.say(f"数据版本 {version}", f"Data version {version}")),
        tag("span", visit.say(f"程序版本 {code}", f"Code version {code}")),
        tag("span", visit.say(f"时区 {site.timezone}", f"Time zone {site.timezone}")),
    )
