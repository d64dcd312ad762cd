"""What the explorer draws as a list, and the form that adds one more."""

from __future__ import annotations

from collections.abc import Callable

from dashboards.portal.markup import Safe, tag
from dashboards.portal.page import Visit
from dashboards.portal.pages.explore import drawing
from dashboards.portal.pages.explore.model import ExplorePage
from dashboards.portal.tracks import Track

__all__ = ["canonical", "series_bar"]


def canonical(page: ExplorePage, visit: Visit) -> Callable[..., str]:
    """Return what makes addresses of this page: the series by their codes, nothing to add."""

    def here(**changed: object) -> str:
        query = {"series": ",".join(page.codes), "add": None, **changed}
        return visit.here(**query)

    return here


def series_bar(page: ExplorePage, visit: Visit) -> Safe:
    """Return what is drawn with its line, and a form that adds one more by code or name."""
    chips = []
    for index, chosen in enumerate(page.chosen):
        chips.append(_chip(page, visit, chosen.course.track, drawing.LINES[index]))
    if page.across is not None:
        chips.append(_chip(page, visit, page.across.track, None))
    options = [
        tag("option", f"{t.code} · {t.unit}", value=t.name(visit.language)) for t in page.offered
    ]
    hidden = {**visit.query, "series": ",".join(page.codes)}
    fields = [
        tag("input", type_="hidden", name=name, value=value)
        for name, value in hidden.items()
        if name != "add"
    ]
    hint = visit.say("表计或产品", "meter or product")
    form = tag(
        "form",
        *fields,
        tag("input", name="add", list_="offered", placeholder=hint, aria_label=hint,
            autocomplete="off", required=True),
        tag("datalist", *options, id="offered"),
        tag("button", visit.say("添加", "Add")),
        method="get", action=visit.path, cls="add-series",
    )  # fmt: skip
    more = [_others(code, tracks, page, visit) for code, tracks in page.others.items() if tracks]
    return tag("div", *chips, form, *more, cls="series-bar", data_series=",".join(page.codes))


def _chip(page: ExplorePage, visit: Visit, track: Track, line: tuple[str, str] | None) -> Safe:
    rest = [code for code in page.codes if code != track.code]
    here = canonical(page, visit)
    name = track.name(visit.language)
    remove = None
    if rest and track.code in page.codes:
        remove = tag("a", "×", href=here(series=",".join(rest)),
                     aria_label=visit.say(f"去掉{name}", f"remove {name}"))  # fmt: skip
    sample = None
    if line is not None and page.form in ("lines", "duration"):
        sample = tag("span", cls="sample", style=f"border-top:2px {line[1]} {line[0]}")
    return tag("span", sample, name, remove, cls="chip")


def _others(code: str, tracks: list[Track], page: ExplorePage, visit: Visit) -> Safe:
    here = canonical(page, visit)
    links = [
        tag("a", t.name(visit.language), href=here(series=",".join([*page.codes, t.code])))
        for t in tracks
    ]
    return tag(
        "details", tag("summary", visit.say(f"{code} 的其他量", f"more of {code}")),
        tag("nav", *links), cls="menu",
    )  # fmt: skip
