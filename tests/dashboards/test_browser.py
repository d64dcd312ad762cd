"""The portal in Debian's chromium: the database's numbers, no errors, nothing foreign, no overflow.

Screenshots go to ENPILOT_SCREENSHOTS, for someone to look at.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboards.portal.access.middleware import COOKIE
from tests.dashboards.steel_figures import DAY

pytestmark = pytest.mark.browser

_PAGES = {
    "steel-overview": "/s/steel/overview",
    "steel-enpi": "/s/steel/enpi/electricity-per-tonne?t=2025&month=2025-09",
    "glycerine-overview": "/s/glycerine/overview",
    "glycerine-enpi": "/s/glycerine/enpi/steam-per-tonne?t=2025",
    "glycerine-normalised": "/s/glycerine/enpi?t=2025&view=normalised",
    "steel-day": "/s/steel/enpi?t=2025&day=2025-09-13",
    "steel-more": "/s/steel/more",
    "foundry-metering": "/s/foundry/metering",
    "glycerine-metering": "/s/glycerine/metering",
}
_DESKTOP, _PHONE = (1280, 900), (390, 844)
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable is not None, "install Debian's chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = os.environ.get("ENPILOT_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser: Browser, portal: str, visitor: httpx.Client) -> Iterator[Any]:
    """Open an address in a fresh profile; at the end nothing may have gone wrong in the page."""
    wrong: list[str] = []
    contexts = []

    def open_page(path: str, size: tuple[int, int] = _DESKTOP, theme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,  # type: ignore[arg-type]  # a literal in its stubs
        )
        contexts.append(context)
        session = {"name": COOKIE, "value": visitor.cookies[COOKIE], "url": portal}
        context.add_cookies([session])  # type: ignore[list-item]  # a dict is one in its stubs
        page = context.new_page()
        page.on("console", lambda m: wrong.append(f"{path}: {m.type}: {m.text}")
                if m.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda error: wrong.append(f"{path}: {error}"))
        page.on("request", lambda r: None if r.url.startswith((portal, "data:", "blob:"))
                else wrong.append(f"{path}: foreign request {r.url}"))  # fmt: skip
        page.goto(portal + path)
        page.locator(".bottom").wait_for()
        for chart in page.locator(".chart").all():
            chart.locator("svg path").first.wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _number(text: str) -> float:
    found = re.search(r"[\u2212-]?[\d,]+(?:\.\d+)?", text)
    assert found is not None, text
    return float(found.group().replace(",", "").replace("\u2212", "-"))


def _stored(connection: Connection, site: str, kind: str, extra: str = "") -> Any:
    return connection.execute(
        "SELECT e.intensity, e.target_intensity, e.progress_ratio, e.output, e.coverage"
        " FROM enpi_period e JOIN site USING (site_id) WHERE site.code = %s"
        f" AND e.period_kind = %s {extra} ORDER BY e.period_from DESC, e.period_to DESC LIMIT 1",
        (site, kind),
    ).fetchone()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_overview_shows_the_databases_numbers(
    visit: Any, connection: Connection, language: str
) -> None:
    page = visit(f"/s/steel/overview?lang={language}")
    stored = _stored(connection, "steel", "day", f"AND e.period_from = '{DAY}'")

    def figure(key: str) -> float:
        return _number(page.locator(f'[data-figure="{key}"] .value').inner_text())

    assert figure("intensity") == pytest.approx(stored[0], abs=0.051)
    assert figure("output") == pytest.approx(stored[3], abs=0.051)
    kwh = connection.execute(
        "SELECT amount FROM energy_period WHERE period_kind = 'day' AND period_from = %s", (DAY,)
    ).fetchone()
    assert kwh is not None
    assert figure("electricity") == pytest.approx(kwh[0], abs=0.51)
    expected = {"zh": "演示数据", "en": "Demonstration"}[language]
    expect(page.locator(".demonstration")).to_contain_text(expected)
    assert page.locator("html").get_attribute("lang") == {"zh": "zh-CN", "en": "en-US"}[language]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_glycerine_shows_its_month_and_says_that_it_has_no_meters(
    visit: Any, connection: Connection, language: str
) -> None:
    page = visit(f"/s/glycerine/overview?lang={language}")
    stored = _stored(connection, "glycerine", "month", "AND e.intensity IS NOT NULL")
    shown = _number(page.locator('[data-figure="intensity"] .value').inner_text())
    assert shown == pytest.approx(stored[0], abs=0.0051)
    expected = {"zh": "本厂没有接入电表", "en": "No meters here"}[language]
    expect(page.locator(".empty")).to_contain_text(expected)
    expect(page.locator(".chart")).to_have_count(0)
    expect(page.locator(".demonstration")).to_be_visible()


@pytest.mark.parametrize("site", ["steel", "glycerine"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_performance_shows_the_databases_verdict(
    visit: Any, connection: Connection, site: str, language: str
) -> None:
    code = {"steel": "electricity-per-tonne", "glycerine": "steam-per-tonne"}[site]
    page = visit(f"/s/{site}/enpi/{code}?t=2025&lang={language}")
    stored = _stored(connection, site, "year_to_date", "AND e.period_from = '2025-01-01'")
    shown = _number(page.locator('[data-figure="ytd-intensity"]').inner_text())
    assert shown == pytest.approx(stored[0], abs=0.051)
    target = _number(page.locator('[data-figure="ytd-target"]').inner_text())
    assert target == pytest.approx(stored[1], abs=0.051)
    progress = _number(page.locator('[data-figure="progress-ratio"]').inner_text())
    assert progress <= stored[2] + 0.005
    assert progress == pytest.approx(stored[2], abs=0.0101)
    internal = {"zh": "内部目标", "en": "internal target"}[language]
    expect(page.locator(".subline")).to_contain_text(internal)
    expect(page.locator(".month-chart")).to_be_visible()


def test_a_withheld_month_is_named_in_the_chart_and_the_table(visit: Any) -> None:
    page = visit(_PAGES["steel-enpi"])
    expect(page.locator(".month-chart svg text", has_text="暂缓")).to_have_count(1)
    page.locator(".table-view summary").first.click()
    expect(page.locator(".table-view").first).to_contain_text("86.3%，低于95%")
    assert page.locator("#days tbody tr").count() == 13


def test_a_click_anywhere_in_a_months_column_leads_to_its_days(visit: Any) -> None:
    page = visit("/s/steel/enpi/electricity-per-tonne?t=2025")
    box = page.locator(".month-chart").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 62 + (box["width"] - 72) * 8.5 / 12, box["y"] + 180)
    page.wait_for_url("**month=2025-09")
    expect(page.locator("#days")).to_be_visible()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_data_intake_shows_the_counters_of_the_database(
    visit: Any, connection: Connection, language: str
) -> None:
    page = visit(f"/s/foundry/metering?lang={language}")
    away, simulated = {"zh": ("失联", "模拟"), "en": ("not heard from", "simulated")}[language]
    expect(page.locator("h1 .bad-text").first).to_contain_text(away)
    expect(page.locator('[data-origin="gw-05"] th')).to_contain_text(simulated)
    stored = connection.execute(
        "SELECT readings_stored FROM ingest_count WHERE agent_id = 'gw-01'"
    ).fetchone()
    assert stored is not None
    label = {"zh": "已存读数", "en": "Stored"}[language]
    shown = page.locator(f'[data-origin="gw-01"] td[data-label="{label}"]').inner_text()
    assert _number(shown) == stored[0]
    assert page.locator("[data-origin]").count() == 7
    assert page.locator("[data-refusal]").count() == 3
    assert page.locator("[data-finding]").count() == 5
    assert page.locator("[data-worker]").count() == 2
    expect(page.locator(".rail nav a[aria-current]").first).to_contain_text(
        {"zh": "采集", "en": "Metering"}[language]
    )


def test_on_the_phone_a_row_is_a_block_and_nothing_scrolls_sideways(visit: Any) -> None:
    page = visit("/s/foundry/metering", size=_PHONE)
    for table in page.locator(".scroll").all():
        assert table.evaluate("e => e.scrollWidth <= e.clientWidth")
    label = "e => getComputedStyle(e, '::before').content"
    cell = page.locator('[data-origin="gw-01"] td[data-label="拒收报文"]')
    assert cell.evaluate(label) == '"拒收报文"'
    expect(page.locator('[data-origin="gw-04"] td[data-label="最近读数"]')).to_be_hidden()
    page.locator(".phone-bar a", has_text="总览").click()
    page.wait_for_url("**/s/foundry/overview")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_wide_table_fits_a_desktop(visit: Any, language: str) -> None:
    page = visit(f"/s/foundry/metering?lang={language}")
    for table in page.locator(".scroll").all():
        assert table.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_live_power_is_the_latest_value_and_follows_it(visit: Any, connection: Connection) -> None:
    connection.execute("UPDATE agent_status SET received_at = now() WHERE agent_id = 'steel-gw1'")
    page = visit("/s/steel/overview")
    live = page.locator('[data-live="main"]')
    expect(live).to_contain_text("412")
    change = (
        "UPDATE latest SET raw_int = %s, ts = now() WHERE series_id = (SELECT series_id FROM"
        " series WHERE quantity = 'active_power')"
    )
    connection.execute(change, (5000,))
    try:
        expect(live).to_contain_text("200", timeout=5000)
    finally:
        connection.execute(change, (10300,))
    expect(page.locator("[data-alert]")).to_contain_text("触发")
    expect(page.locator("[data-gateway]")).to_contain_text("在线")


def test_the_theme_changes_without_a_reload_and_is_remembered(visit: Any) -> None:
    page = visit("/s/steel/overview", theme="dark")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.locator("[data-theme-toggle]").click()
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"


def test_the_language_is_remembered_and_the_link_keeps_the_period(visit: Any) -> None:
    page = visit("/s/steel/overview?t=2025-09-12")
    page.locator('[data-language="en"]').click()
    page.wait_for_url("**lang=en")
    expect(page.locator(".period-name")).to_have_text("Fri 12 Sep 2025")
    page.goto(page.url.split("/s/")[0] + "/s/glycerine/overview")
    expect(page.locator(".rail")).to_contain_text("Overview")


def test_wrong_addresses_are_told_and_never_blank(visit: Any, visitor: httpx.Client) -> None:
    for path in (
        "/s/nowhere/overview",
        "/s/nowhere/metering",
        "/s/steel/enpi/nothing",
        "/nowhere/at/all",
    ):
        answer = visitor.get(path + "?lang=zh")
        assert answer.status_code == 404
        assert "没有这个页面" in answer.text
        assert "There is no such page" in visitor.get(path + "?lang=en").text
    assert visitor.get("/api/v1/s/nowhere/overview").status_code == 404
    page = visit("/s/steel/overview?t=soon")
    expect(page.locator(".subline")).to_contain_text("看不懂地址中的“soon”")


def test_the_api_serves_what_the_page_shows(visitor: httpx.Client, connection: Connection) -> None:
    home = visitor.get("/", follow_redirects=False)
    assert (home.status_code, home.headers["location"]) == (307, "/s/steel/overview")
    overview = visitor.get("/api/v1/s/steel/overview").json()
    assert overview["period_from"] == DAY.isoformat()
    enpi = visitor.get("/api/v1/s/glycerine/enpi/steam-per-tonne?t=2026").json()
    stored = _stored(connection, "glycerine", "year_to_date", "AND e.intensity IS NOT NULL")
    assert enpi["year_to_date"]["intensity"] == pytest.approx(stored[0])
    intake = visitor.get("/api/v1/s/foundry/metering").json()
    assert [o["name"] for o in intake["origins"] if o["kind"] == "mqtt"] == ["scada"]
    assert {o["name"]: o["batches_lost"] for o in intake["origins"]}["gw-02"] == 4
    assert visitor.get("/api/v1/s/nowhere/metering").status_code == 404
    live = visitor.get("/api/v1/s/steel/live").json()
    assert live["power"][0]["unit"] == "kW"


@pytest.mark.parametrize("name", list(_PAGES))
def test_nothing_overflows_and_someone_can_look_at_it(
    visit: Any, screenshots: Path, name: str
) -> None:
    # Every pair of size, language and theme once; all eight would say no more.
    for size, language, theme in (
        (_DESKTOP, "zh", "light"),
        (_DESKTOP, "en", "dark"),
        (_PHONE, "zh", "dark"),
        (_PHONE, "en", "light"),
    ):
        path = _PAGES[name]
        path += f"{'&' if '?' in path else '?'}lang={language}"
        page = visit(path, size, theme)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.evaluate("window.innerWidth")
        whole = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size[0], "height": max(size[1], whole)})
        form = "desktop" if size == _DESKTOP else "phone"
        page.screenshot(path=screenshots / f"{name}-{language}-{theme}-{form}.png")
        page.context.close()


def test_who_is_invited_comes_in_and_whose_session_ends_is_out_at_once(
    browser: Browser, portal: str, visitor: httpx.Client, connection: Connection, screenshots: Path
) -> None:
    forms = {
        "login": "/login", "account": "/account", "people": "/people", "log": "/people/log"
    }  # fmt: skip
    admin = browser.new_context()
    admin.add_cookies([{"name": COOKIE, "value": visitor.cookies[COOKIE], "url": portal}])
    page = admin.new_page()
    page.goto(f"{portal}/people?lang=en")
    invite = page.locator('form[action="/people/invite"]')
    invite.locator('[name="login"]').fill("guest")
    invite.locator('[name="name"]').fill("李伟")
    invite.locator('[name="role"]').select_option("operator")
    invite.locator('[name="scope"]').select_option("site/glycerine")
    invite.locator('[name="trade_secrets"]').check()
    invite.locator('[name="reason"]').fill("shift leader")
    invite.get_by_role("button").click()
    link = page.locator(".shown-once code").inner_text()
    page.goto(f"{portal}/people")
    for form in ("revoke", "disable"):
        expect(page.locator(f'form[action$="/{form}"]').last).to_be_visible()
    guest = browser.new_context()
    inside = guest.new_page()
    inside.goto(link)
    _look(inside, screenshots, "link")
    inside.goto(f"{link}?lang=en")
    for name in ("password", "again"):
        inside.locator(f'[name="{name}"]').fill("correct horse battery")
    inside.get_by_role("button", name="Set the password").click()
    expect(inside).to_have_url(re.compile(r"/s/glycerine/overview"))
    expect(inside.get_by_role("link", name="李伟")).to_have_attribute("href", "/account")
    expect(inside.locator(".bottom")).to_be_attached()
    # As another process ends it: the open page notices by itself.
    connection.execute(
        "UPDATE portal_session SET revoked_at = now() FROM person p"
        " WHERE p.person_id = portal_session.person_id AND login = 'guest'"
    )
    expect(inside).to_have_url(re.compile(r"/login\?next=%2Fs%2Fglycerine"), timeout=20_000)
    inside.locator('[name="login"]').fill("guest")
    inside.locator('[name="password"]').fill("correct horse battery")
    inside.get_by_role("button", name="Sign in").click()
    expect(inside).to_have_url(re.compile(r"/s/glycerine/overview"))
    guest.close()
    for name, path in forms.items():
        if name == "login":
            admin.clear_cookies()
        page.goto(f"{portal}{path}")
        _look(page, screenshots, name)
        admin.add_cookies([{"name": COOKIE, "value": visitor.cookies[COOKIE], "url": portal}])
    admin.close()


def _look(page: Page, screenshots: Path, name: str) -> None:
    """Keep a page in both forms, languages and themes; it is never wider than its window."""
    for size, language, theme in (
        (_DESKTOP, "zh", "light"), (_DESKTOP, "en", "dark"), (_PHONE, "en", "light"),
        (_PHONE, "zh", "dark"),
    ):  # fmt: skip
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # a literal in its stubs
        page.goto(f"{page.url.split('?')[0]}?lang={language}")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
        form = "desktop" if size == _DESKTOP else "phone"
        page.screenshot(path=screenshots / f"{name}-{language}-{theme}-{form}.png", full_page=True)
