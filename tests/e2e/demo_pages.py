"""Every page of a finished demo in chromium, in both languages, against its own database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import psycopg
from playwright.sync_api import Page, sync_playwright

from dashboards.portal.access import links, people
from dashboards.portal.access.middleware import COOKIE
from dashboards.portal.catalogue import PAGES
from enpilot.database import connect
from enpilot.demo.database import embedded_database
from enpilot.text import Language, number, significant
from tests.dashboards.conftest import running_portal


def look_at_every_page(folder: Path, logs: Path) -> None:
    """Start a portal on a demo's database and open its pages as the demo's own person."""
    with (
        embedded_database(folder / "database") as url,
        running_portal(url, logs) as portal,
        connect(url, "test", autocommit=True) as connection,
        httpx.Client(base_url=portal, timeout=20) as client,
    ):
        person = people.find_person(connection, "demo")
        assert person is not None
        link = links.make_link(connection, "sign_in", person.person_id, "test")
        assert client.post(link).status_code == 303
        _browse(portal, client.cookies[COOKIE], connection)


def _browse(portal: str, cookie: str, connection: psycopg.Connection[Any]) -> None:
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": COOKIE, "value": cookie, "url": portal}])
        page = context.new_page()
        page.on("console", lambda m: wrong.append(f"{page.url}: {m.text}")
                if m.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("request", lambda r: None if r.url.startswith((portal, "data:", "blob:"))
                else wrong.append(f"foreign request {r.url}"))  # fmt: skip
        for language in get_args(Language):
            for site, path in _addresses(connection):
                page.goto(f"{portal}/s/{site}/{path}?lang={language}")
                page.locator(".bottom").wait_for()
                assert page.locator("[data-failed]").count() == 0, page.url
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, page.url
                if site == "steel" and path in _FIGURES:
                    _FIGURES[path](page, connection)
        browser.close()
    assert wrong == []


def _addresses(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, str]]:
    """Return every page of the steel works, and those of the plant without meters."""
    series = connection.execute("SELECT min(series_id) FROM series").fetchone()
    words = {"point": "main", "rule": "high-power", "series": str(series[0] if series else "")}
    for page in PAGES:
        path = page.entry or page.path
        for word, value in words.items():
            path = path.replace(f"{{{word}}}", value)
        yield "steel", path
    for path in ("overview", "enpi", "closing", "output", "metering"):
        yield "glycerine", path


def _row(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    steel = "(SELECT site_id FROM site WHERE code = 'steel')"
    text = f"SELECT {query} LIMIT 1".replace(":steel", steel)
    row: tuple[Any, ...] | None = connection.execute(text.encode()).fetchone()
    assert row is not None, query
    return row


def _cost(page: Page, connection: psycopg.Connection[Any]) -> None:
    (cost,) = _row(
        connection,
        "cost_yuan::double precision FROM cost_period WHERE period_kind = 'billing'"
        " AND band = 'total' ORDER BY period_from DESC",
    )
    assert number(cost, 2) in page.locator("#bill tfoot").inner_text()


def _balance(page: Page, connection: psycopg.Connection[Any]) -> None:
    (count,) = _row(
        connection,
        "count(*) FROM balance_period WHERE site_id = :steel AND period_kind = 'month'"
        " AND period_from = (SELECT max(period_from) FROM balance_period WHERE period_kind ="
        " 'month' AND period_to <= (now() AT TIME ZONE 'Asia/Shanghai')::date)",
    )
    assert page.locator("#balance tbody tr").count() == count


def _retrofit(page: Page, connection: psycopg.Connection[Any]) -> None:
    (saving,) = _row(
        connection,
        "saving / 1000 FROM saving_result WHERE site_id = :steel AND span = 'reporting'"
        " AND saving IS NOT NULL",
    )
    assert significant(saving) in page.locator("main.page").inner_text()


def _matrix(page: Page, connection: psycopg.Connection[Any]) -> None:
    (meters,) = _row(
        connection,
        "count(*) FROM series WHERE site_id = :steel AND channel = 'total'"
        " AND quantity IN ('active_energy', 'mass')",
    )
    assert page.locator("#matrix tbody tr").count() == meters


def _overview(page: Page, connection: psycopg.Connection[Any]) -> None:
    (kwh,) = _row(
        connection,
        "e.amount FROM energy_period e JOIN point p USING (point_id) WHERE p.code = 'main'"
        " AND e.period_kind = 'day' AND e.quantity = 'active_energy' AND e.channel = 'total'"
        " AND e.period_to <= (now() AT TIME ZONE 'Asia/Shanghai')::date AND e.amount IS NOT NULL"
        " ORDER BY e.period_from DESC",
    )
    assert number(kwh) in page.locator('[data-figure="electricity"]').inner_text()


_FIGURES = {
    "overview": _overview, "cost": _cost, "flow": _balance, "retrofits": _retrofit,
    "quality": _matrix,
}  # fmt: skip
