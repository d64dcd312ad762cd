"""What surrounds every page: rail, top line, demonstration strip, bottom line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import msgspec
from nicegui import ui

from dashboards.portal.markup import Safe, join, raw, tag
from dashboards.portal.site import Indicator, Site
from dashboards.portal.state import data_until, factor_line
from dashboards.portal.text import Language, pick, share

__all__ = ["Frame", "PeriodControl", "block", "document", "frame", "section", "table_view"]


class PeriodControl(msgspec.Struct, frozen=True, kw_only=True):
    """The period shown, and the addresses of its neighbours."""

    name: str
    previous: str | None
    following: str | None
    latest: str | None  # None: this is it
    choices: list[tuple[str, str, bool]] = []  # name, address, chosen


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell needs to know of the page inside it."""

    site: Site
    page: str  # overview, enpi, intake
    path: str
    query: dict[str, str]
    title: str
    period: PeriodControl | None  # None: the page is of this moment
    indicator: Indicator | None
    completeness: float | None
    factor_verified: bool


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
def frame(shown: Frame, language: Language) -> Iterator[None]:
    """Build the shell; what is added inside stands between top and bottom line."""
    ui.page_title(f"{shown.title} · {shown.site.name(language)} · Enpilot")
    strip = shown.site.demonstration(language)
    with ui.element("div").classes("shell"):
        block(_rail(shown, language)).classes("rail")
        with ui.element("main").classes("page"):
            if strip is not None:
                block(tag("p", strip, cls="demonstration", role="note"))
            block(_top(shown, language)).classes("top")
            with ui.element("div").classes("content"):
                yield
            block(_bottom(shown, language)).classes("bottom")
    block(_phone_bar(shown, language)).classes("phone-bar")


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


def _links(shown: Frame, language: Language) -> list[tuple[str, str, bool]]:
    """Return name, address and whether chosen, of the pages that exist for this site."""
    base = f"/s/{shown.site.code}"
    links = [(pick(language, "总览", "Overview"), f"{base}/overview", shown.page == "overview")]
    indicators = shown.site.indicators
    for indicator in indicators:
        name = pick(language, "能效", "Performance")
        if len(indicators) > 1:
            name = f"{name} · {indicator.name(language)}"
        chosen = shown.indicator is not None and shown.indicator.code == indicator.code
        links.append((name, f"{base}/enpi/{indicator.code}", shown.page == "enpi" and chosen))
    links.append((pick(language, "数据接入", "Data intake"), f"{base}/intake",
                  shown.page == "intake"))  # fmt: skip
    return links


def _anchor(name: str, address: str, *, chosen: bool) -> Safe:
    return tag("a", name, href=address, aria_current="page" if chosen else None)


def _rail(shown: Frame, language: Language) -> Safe:
    pages = [_anchor(n, a, chosen=c) for n, a, c in _links(shown, language)]
    sites = [
        _anchor(
            pick(language, s.name_zh, s.name_en),
            f"/s/{s.code}/overview",
            chosen=s.code == shown.site.code,
        )
        for s in shown.site.sites
    ]
    return join(
        tag("p", "Enpilot", cls="brand"),
        tag("p", shown.site.name(language), cls="site-name"),
        tag("nav", *pages, aria_label=pick(language, "页面", "Pages")),
        tag("p", pick(language, "厂区", "Sites"), cls="rail-head"),
        tag("nav", *sites, aria_label=pick(language, "厂区", "Sites"), cls="sites"),
    )


def _phone_bar(shown: Frame, language: Language) -> Safe:
    return tag(
        "nav",
        *(_anchor(n, a, chosen=c) for n, a, c in _links(shown, language)),
        aria_label=pick(language, "页面", "Pages"),
    )


def _top(shown: Frame, language: Language) -> Safe:
    other = "en" if language == "zh" else "zh"
    address = f"{shown.path}?{urlencode({**shown.query, 'lang': other})}"
    complete = None
    if shown.completeness is not None:
        stated = share(shown.completeness)
        complete = tag(
            "span",
            pick(language, "完整率 ", "Completeness "),
            tag("b", stated),
            cls="completeness",
        )
    themes = pick(language, "切换深浅色", "light or dark")
    return join(
        None if shown.period is None else _period(shown.period, language),
        tag("span", cls="spacer"),
        data_until(language, shown.site),
        complete,
        tag("a", pick(language, "EN", "中文"), href=address, lang=pick(language, "en", "zh-CN"),
            data_language=other),
        tag("button", "◐", type_="button", data_theme_toggle=True, title=themes,
            aria_label=themes),
        _site_choice(shown, language),
    )  # fmt: skip


def _site_choice(shown: Frame, language: Language) -> Safe:
    """On the phone the rail is gone: the sites stand in the top line instead."""
    links = [
        _anchor(pick(language, s.name_zh, s.name_en), f"/s/{s.code}/overview",
                chosen=s.code == shown.site.code)
        for s in shown.site.sites
    ]  # fmt: skip
    return tag("nav", *links, cls="phone-sites", aria_label=pick(language, "厂区", "Sites"))


def _period(period: PeriodControl, language: Language) -> Safe:
    steps = tag(
        "span",
        _step("‹", period.previous, pick(language, "前一期", "previous")),
        tag("span", period.name, cls="period-name"),
        _step("›", period.following, pick(language, "后一期", "next")),
        cls="control",
    )
    choices = None
    if len(period.choices) > 1:
        choices = tag(
            "span", *(_anchor(n, a, chosen=c) for n, a, c in period.choices), cls="control choices"
        )
    latest = None
    if period.latest is not None:
        latest = tag("a", pick(language, "最近", "Latest"), href=period.latest)
    return join(choices if choices is not None else steps, latest)


def _step(sign: str, address: str | None, name: str) -> Safe:
    if address is None:
        return tag("span", sign, cls="off", aria_hidden="true")
    return tag("a", sign, href=address, aria_label=name, title=name)


def _bottom(shown: Frame, language: Language) -> Safe:
    site = shown.site
    version = "–" if site.data_version is None else str(site.data_version)
    return join(
        factor_line(language, shown.indicator, verified=shown.factor_verified),
        tag("span", pick(language, f"数据版本 {version}", f"Data version {version}")),
        tag("span", pick(language, f"程序版本 {site.code_version or '–'}",
                         f"Code version {site.code_version or '–'}")),
        tag("span", pick(language, f"时区 {site.timezone}", f"Time zone {site.timezone}")),
    )  # fmt: skip
