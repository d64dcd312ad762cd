"""The catalogue of pages: names short enough, addresses their own, described in the API."""

from __future__ import annotations

import httpx
import pytest

from dashboards.portal.catalogue import PAGES

_ZH_NAME, _EN_NAME = 6, 18  # characters that fit the rail


def test_every_page_has_an_address_and_a_code_of_its_own() -> None:
    paths = [p for page in PAGES for p in (page.path, page.entry) if p is not None]
    assert len(set(paths)) == len(paths)
    assert len({page.code for page in PAGES}) == len(PAGES)
    for page in PAGES:
        # What the rail leads to has no word left to fill in.
        assert "{" not in (page.entry or page.path) or page.group is None, page.code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.code)
def test_a_page_is_named_and_asks_its_question_in_both_languages(page: object) -> None:
    from dashboards.portal.page import Page

    assert isinstance(page, Page)
    zh, en = page.names
    assert len(zh) <= _ZH_NAME
    assert len(en) <= _EN_NAME
    assert all(page.question)
    assert page.question[0] != page.question[1]


def test_the_phone_has_room_for_four_and_the_rest_is_under_more() -> None:
    assert sum(page.phone for page in PAGES) <= 4
    assert any(page.code == "more" for page in PAGES)


def test_the_api_describes_every_page_and_answers_an_etag(visitor: httpx.Client) -> None:
    described = visitor.get("/api/v1/openapi.json").json()["paths"]
    for page in PAGES:
        operation = described[f"/api/v1/s/{{site}}/{page.path}"]["get"]
        named = {p["name"] for p in operation["parameters"]}
        assert named >= {"site", *page.query}
    address = "/api/v1/s/glycerine/enpi?t=2025"
    first = visitor.get(address)
    same = {"if-none-match": first.headers["etag"]}
    assert visitor.get(address, headers=same).status_code == 304
    other = visitor.get(address.replace("2025", "2024"), headers=same)
    assert other.status_code == 200


def test_the_rail_leads_to_the_first_indicator(visitor: httpx.Client) -> None:
    answer = visitor.get("/api/v1/s/steel/enpi")
    named = visitor.get("/api/v1/s/steel/enpi/electricity-per-tonne")
    assert answer.json()["indicator"] == named.json()["indicator"]
    assert visitor.get("/api/v1/s/steel/enpi/none").status_code == 404
